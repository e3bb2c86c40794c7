"""Controls: the same counts with one protection taken away, which must fail."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from uuid import UUID, uuid4

from acid.atomicity import cut_when
from acid.consistency import kept, last_order_id
from acid.load import WAREHOUSE_ID, customers
from acid.stage import SUPERUSER, Stage
from aurora.failures import DatabaseError
from aurora.session import Row, Session
from orders import WantedLine, transactions

_COMMIT_BEFORE_IT_IS_WRITTEN = {
    "postgresql": (
        "ALTER ROLE shop_application SET synchronous_commit = off",
        "ALTER SYSTEM SET bgwriter_lru_maxpages = 0",  # writing a page would write its log first
        "SELECT pg_reload_conf()",
    ),
    "mysql": (
        "SET GLOBAL innodb_flush_log_at_trx_commit = 0",
        "SET GLOBAL innodb_flush_log_at_timeout = 10",
        "SET GLOBAL sync_binlog = 0",
    ),
}
SHARING_CUSTOMERS = 8
SHARED_ORDER_LINES = 3
ROLLED_BACK_SHARE = 0.2


@dataclass(frozen=True)
class Failing:
    """A control, and how often it failed: at zero the check that it belongs to sees nothing."""

    control: str
    what: str
    """What `count` counts."""
    count: int
    of: int

    @property
    def failed(self) -> bool:
        """Whether it failed, as it must."""
        return self.count > 0


def commits_that_do_not_wait_for_the_disk(stage: Stage, *, seconds: float) -> Failing:
    """Kill the writer once under load, with orders acknowledged before they are written.

    The stage is spoilt for everything else.
    """
    for statement in _COMMIT_BEFORE_IT_IS_WRITTEN[stage.engine]:
        stage.rows(statement)
    _freeze_log_writer(stage)
    before_id = last_order_id(stage)
    with customers(stage, 8) as promises:
        time.sleep(seconds)
        stage.writer.kill()
        stage.start_writer_again()
    found = kept(stage, promises, since_order_id=before_id)
    return Failing(
        "commits that do not wait for the disk", "acknowledged orders lost", found.lost, found.acknowledged
    )


def _freeze_log_writer(stage: Stage) -> None:
    """Have the log written by nobody but those who wait for it, as when the disk is slow.

    PostgreSQL's log writer is so quick that a kill finds a commit or two unwritten, or none.
    """
    if stage.engine == "postgresql":
        ((process_id,),) = stage.rows("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")
        os.kill(process_id, signal.SIGSTOP)


def a_retry_without_a_token(stage: Stage, *, times: int) -> Failing:
    """Lose the answer to a committed order, and ask again as for another one."""
    twice = sum(_purchase_without_a_token(stage) == 2 for _ in range(times))
    return Failing("a retry without a token", "purchases that became two orders", twice, times)


def _purchase_without_a_token(stage: Stage) -> int:
    """Return how many orders one purchase became."""
    tokens: list[UUID] = []
    with stage.network() as (network, directory):
        for attempt in range(2):
            tokens.append(uuid4())
            with closing(stage.connect(by=directory)) as session, ThreadPoolExecutor(1) as pool:
                cutting = None
                if attempt == 0:
                    network.swallow_answers()
                    cutting = pool.submit(cut_when, lambda: _is_there(stage, tokens[0]), network)
                with suppress(DatabaseError):
                    transactions.place(
                        session,
                        request_token=tokens[-1],
                        warehouse_id=WAREHOUSE_ID,
                        country="France",
                        lines=[WantedLine(stage.products[0], 1)],
                    )
                if cutting is not None:
                    cutting.result()
    return sum(_is_there(stage, token) for token in tokens)


def _is_there(stage: Stage, token: UUID) -> bool:
    return bool(stage.rows("SELECT order_id FROM shop.orders WHERE request_token = %s", (token,)))


def one_connection_for_all(stage: Stage, *, times: int) -> tuple[Failing, Failing]:
    """Have customers share one connection, each with statements of its own between BEGIN and COMMIT."""
    with closing(stage.session(SUPERUSER)) as session, ThreadPoolExecutor(SHARING_CUSTOMERS) as pool:
        ((product_id,),) = session.rows(
            "SELECT product_id FROM shop.products WHERE stock_code = %s", (stage.products[0],)
        )
        shared = _Shared(session, int(product_id))
        for running in [pool.submit(shared.orders, number, times) for number in range(SHARING_CUSTOMERS)]:
            running.result()
        session.rows("ROLLBACK")
    found = stage.rows("SELECT request_token, line_count FROM shop.orders WHERE country = 'shared'")
    there = {_token(token): line_count for token, line_count in found}
    lost = sum(token not in there for token in shared.acknowledged)
    partial = sum(line_count < SHARED_ORDER_LINES for line_count in there.values())
    name = "one connection for all customers"
    return (
        Failing(name, "acknowledged orders lost", lost, len(shared.acknowledged)),
        Failing(name, "orders with missing lines", partial, len(there)),
    )


class _Shared:
    """One connection, on which each statement waits for the one before, whosever that is."""

    def __init__(self, session: Session, product_id: int) -> None:
        self.acknowledged: list[UUID] = []
        self._session = session
        self._product_id = product_id
        self._lock = threading.Lock()

    def orders(self, customer: int, times: int) -> None:
        """Order so often, and roll some of it back, as out of stock would."""
        choice = random.Random(customer)  # noqa: S311 - the same customers in every run
        for _ in range(times):
            token = uuid4()
            try:
                self._order(token)
                if choice.random() < ROLLED_BACK_SHARE:
                    self._run("ROLLBACK")
                    continue
                self._run("COMMIT")
            except DatabaseError:
                self._run("ROLLBACK")
            else:
                self.acknowledged.append(token)

    def _order(self, token: UUID) -> None:
        self._run("START TRANSACTION")
        self._run(
            "INSERT INTO shop.orders (request_token, status, country, warehouse_id)"
            " VALUES (%s, 'placed', 'shared', %s)",
            token,
            WAREHOUSE_ID,
        )
        found = self._run("SELECT order_id FROM shop.orders WHERE request_token = %s", token)
        if not found:
            raise DatabaseError("the order is gone: another one's ROLLBACK took it along")
        for line_number in range(1, SHARED_ORDER_LINES + 1):
            self._run(
                "INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)"
                " VALUES (%s, %s, %s, 1, 1.005)",
                found[0][0],
                line_number,
                self._product_id,
            )

    def _run(self, statement: str, *values: object) -> list[Row]:
        with self._lock:
            rows = self._session.rows(statement, values)
        time.sleep(0.0002)  # as long as a network takes: another one's statement comes between
        return rows


def _token(stored: str | bytes) -> UUID:
    return UUID(bytes=stored) if isinstance(stored, bytes) else UUID(stored)
