"""Replication: the reader holds what the writer does, row by row, and what was just written if waited for."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from uuid import uuid4

from acid.load import WAREHOUSE_ID, basket
from acid.stage import SUPERUSER, Stage
from aurora.session import Row, Session
from orders import transactions

TABLES: Mapping[str, str] = {
    "customers": "customer_id",
    "products": "product_id",
    "warehouses": "warehouse_id",
    "inventory": "product_id, warehouse_id",
    "loads": "load_id",
    "rejects": "load_id, line_number",
    "orders": "order_id",
    "order_lines": "order_id, line_number",
    "stock_movements": "movement_id",
}
"""Every table, with its key."""
ROWS_AT_A_TIME = 10_000
PATIENCE_SECONDS = 60.0

_POSITION = {"postgresql": "SELECT pg_current_wal_insert_lsn()", "mysql": "SELECT @@GLOBAL.gtid_executed"}
_REACHED = {
    "postgresql": "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn",
    "mysql": "SELECT gtid_subset(%s, @@GLOBAL.gtid_executed)",
}


class NotReached(Exception):
    """The reader did not come to a position of the writer's in time."""


@dataclass(frozen=True)
class Compared:
    """One table on both servers."""

    table: str
    rows: int
    different: int


@dataclass(frozen=True)
class ReadBack:
    """Orders that were read on the reader right after they were placed on the writer."""

    orders: int
    stale: int
    """Not there yet."""
    waited_milliseconds: tuple[float, ...] = ()


def compare(stage: Stage) -> list[Compared]:
    """Return how many rows of each table differ, once the reader has all that the writer has now."""
    with closing(stage.session(SUPERUSER)) as writer, closing(_on_reader(stage)) as reader:
        wait_for(reader, position_of(writer))
        return [_compared(writer, reader, table, key) for table, key in TABLES.items()]


def read_your_writes(stage: Stage, *, orders: int, waiting: bool) -> ReadBack:
    """Place orders and read each on the reader: after waiting for its position, or as a control at once."""
    choice, stale, waited = random.Random(orders), 0, []  # noqa: S311 - the same baskets in every run
    with (
        closing(stage.session()) as writer,
        closing(stage.session(SUPERUSER)) as observer,
        closing(_on_reader(stage)) as reader,
    ):
        for _ in range(orders):
            token = uuid4()
            transactions.place(
                writer,
                request_token=token,
                warehouse_id=WAREHOUSE_ID,
                country="France",
                lines=basket(choice, stage.products),
            )
            if waiting:
                began = time.perf_counter()
                wait_for(reader, position_of(observer))
                waited.append((time.perf_counter() - began) * 1000)
            stale += transactions.read_by_token(reader, token) is None
    return ReadBack(orders, stale, tuple(waited))


def position_of(writer: Session) -> str:
    """Return how far the writer is: an LSN, or a set of GTIDs."""
    return str(writer.rows(_POSITION[writer.engine])[0][0])


def wait_for(reader: Session, position: str) -> None:
    """Return once the reader has what the writer had at this position, or raise NotReached."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not reader.rows(_REACHED[reader.engine], (position,))[0][0]:
        if time.monotonic() > give_up:
            raise NotReached(f"the reader did not come to {position} within {PATIENCE_SECONDS:.0f} s")
        time.sleep(0.0005)


def _on_reader(stage: Stage) -> Session:
    return stage.session(SUPERUSER, on=stage.reader)


def _compared(writer: Session, reader: Session, table: str, key: str) -> Compared:
    rows, different, offset = 0, 0, 0
    while True:
        here, there = (_page(session, table, key, offset) for session in (writer, reader))
        if not (here or there):
            return Compared(table, rows, different)
        rows += len(here)
        different += len(set(here) ^ set(there))
        offset += ROWS_AT_A_TIME


def _page(session: Session, table: str, key: str, offset: int) -> list[Row]:
    # the names are this module's own
    return session.rows(
        f"SELECT * FROM shop.{table} ORDER BY {key} LIMIT %s OFFSET %s",  # noqa: S608
        (ROWS_AT_A_TIME, offset),
    )
