"""The shop that is ordered from: a durable writer, filled anew before each run, and a reader on demand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from acid.load import WAREHOUSE_ID
from acid.replication import position_of, wait_for
from acid.stage import SUPERUSER, Stage, open_stage
from aurora.session import Session
from bench.orders.ways_in import Socket
from localcloud.aurora import mysql_server, postgresql_configuration

PRODUCTS = 1_000
FIRST_PRODUCT = 10_000
"""Stock codes are B-10000 and so on: a load tool can write them without padding a number."""
STOCK = 10_000_000

_EMPTY = {
    "postgresql": ("TRUNCATE shop.orders, shop.order_lines, shop.stock_movements RESTART IDENTITY",),
    "mysql": (
        "SET foreign_key_checks = 0",
        "TRUNCATE shop.stock_movements",
        "TRUNCATE shop.order_lines",
        "TRUNCATE shop.orders",
        "SET foreign_key_checks = 1",
    ),
}
_SETTLE = {
    "postgresql": ("VACUUM ANALYZE shop.inventory", "ANALYZE shop.products", "CHECKPOINT"),
    "mysql": ("ANALYZE TABLE shop.inventory, shop.products",),
}
# A reader of Aurora's reads the writer's volume and keeps no log: this one shows what it received without
# waiting for a disk. The writer does wait.
_OF_READER = {
    "postgresql": {"max_connections": "300", **postgresql_configuration.NOT_DURABLE},
    "mysql": {"log_bin_trust_function_creators": "1", **mysql_server.NOT_DURABLE},
}
_DEADLOCKS = {
    "postgresql": "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
    "mysql": "SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'",
}


@dataclass(frozen=True)
class Found:
    """What the writer holds after a run."""

    orders: int
    violations: int
    """Of shop.invariants, all together."""
    deadlocks: int
    """As the server counted them since the run began."""


class Shop:
    """A stage (see acid) with products of its own."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._deadlocks_before = 0
        with closing(self._superuser()) as session, session.transaction():
            for number in range(FIRST_PRODUCT, FIRST_PRODUCT + PRODUCTS):
                session.rows(
                    "INSERT INTO shop.products (stock_code, description, unit_price) VALUES (%s, %s, 1.005)",
                    (f"B-{number}", f"Product {number}"),
                )
            session.rows(
                "INSERT INTO shop.inventory (product_id, warehouse_id, stock)"
                " SELECT product_id, %s, 0 FROM shop.products",
                (WAREHOUSE_ID,),
            )

    @property
    def engine(self) -> str:
        """`postgresql` or `mysql`."""
        return self.stage.engine

    @property
    def version(self) -> str:
        """The server's."""
        with closing(self._superuser()) as session:
            return session.server_version()

    @property
    def writer(self) -> Socket:
        """Where the writer listens."""
        return Socket(self.engine, str(self.stage.writer.socket_path))

    @contextmanager
    def watched(self) -> Iterator[Socket]:
        """Have a reader that follows the writer, and tell where it listens.

        Only while somebody looks: here it does the writer's work once more on the same cores, on MySQL with
        more of them than the writer takes, where Aurora's readers have a machine of their own and share the
        writer's volume.
        """
        writer = self.stage.writer
        directory = Path(tempfile.mkdtemp(prefix="reader-", dir=writer.directory.parent))
        directory.chmod(0o711)
        self.stage.reader = type(writer).clone(writer, directory / "server", _OF_READER[self.engine])
        try:
            yield Socket(self.engine, str(self.stage.reader.socket_path))
        finally:
            self.stage.reader.remove()
            self.stage.reader = None

    def start_over(self) -> None:
        """Have no orders and full shelves, on the reader too, and nothing left to write from before."""
        with closing(self._superuser()) as session:
            for statement in _EMPTY[self.engine]:
                session.rows(statement)
            with session.transaction():
                session.rows("UPDATE shop.inventory SET stock = %s", (STOCK,))
                session.rows(
                    "INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind)"
                    " SELECT product_id, warehouse_id, stock, 'opening' FROM shop.inventory"
                )
            for statement in _SETTLE[self.engine]:
                session.rows(statement)
            if self.stage.reader is not None:
                with closing(self.stage.session(SUPERUSER, on=self.stage.reader)) as reader:
                    wait_for(reader, position_of(session))
            self._deadlocks_before = self._deadlocks(session)

    def check(self) -> Found:
        """Return what there is, and what of it is wrong."""
        with closing(self._superuser()) as session:
            ((orders,),) = session.rows("SELECT count(*) FROM shop.orders")
            ((violations,),) = session.rows("SELECT sum(violations) FROM shop.invariants")
            return Found(int(orders), int(violations), self._deadlocks(session) - self._deadlocks_before)

    @contextmanager
    def without_totals_trigger(self) -> Iterator[None]:
        """Let clients who write an order's totals themselves not pay for a trigger that writes them again.

        On MySQL they say so in their session.
        """
        if self.engine == "mysql":
            yield
            return
        alter = "ALTER TABLE shop.order_lines {} TRIGGER order_totals_after_insert"
        self.stage.rows(alter.format("DISABLE"))
        try:
            yield
        finally:
            self.stage.rows(alter.format("ENABLE"))

    def _superuser(self) -> Session:
        return self.stage.session(SUPERUSER)

    def _deadlocks(self, session: Session) -> int:
        return int(session.rows(_DEADLOCKS[self.engine])[0][0])


@contextmanager
def open_shop(engine: str) -> Iterator[Shop]:
    """Start it; all of it ends with the block."""
    with open_stage(engine, products=0, with_reader=False) as stage:
        yield Shop(stage)
