"""Shows each letter on one engine, and the controls beside them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from acid import atomicity, controls, durability, failover, isolation, replication
from acid.atomicity import Finding as Interrupted
from acid.consistency import Kept, kept, last_order_id, violations
from acid.controls import Failing
from acid.durability import Killed
from acid.failover import FailedOver
from acid.isolation import Finding as Anomaly
from acid.load import WAREHOUSE_ID, customers
from acid.replication import Compared, ReadBack
from acid.stage import SUPERUSER, Stage, open_stage
from aurora.session import Session

Report = Callable[[str], None]

HOT_ROW_CUSTOMERS = 16


@dataclass(frozen=True)
class Extent:
    """How much is shown."""

    interruptions: int
    """Orders per fault."""
    kills: int
    orders: int
    """Acknowledged at least, over all kills."""
    hot_stock: int
    """Pieces of the one product that all customers want."""
    read_backs: int
    lazy_seconds: float
    failover_orders: int
    """Acknowledged before each failover, and after it."""


WHOLE = Extent(
    interruptions=20,
    kills=20,
    orders=20_000,
    hot_stock=3_000,
    read_backs=500,
    lazy_seconds=5.0,
    failover_orders=1_000,
)
SHORT = Extent(
    interruptions=2,
    kills=3,
    orders=1_500,
    hot_stock=300,
    read_backs=100,
    lazy_seconds=2.0,
    failover_orders=100,
)


@dataclass(frozen=True)
class HotRow:
    """What became of one product that all customers wanted at once."""

    stock_before: int
    stock_after: int
    sold: int
    refused: int

    @property
    def exact(self) -> bool:
        """Whether as much was sold as is missing, and never more than was there."""
        return self.stock_after == self.stock_before - self.sold >= 0


@dataclass
class Shown:
    """What was seen on one engine."""

    engine: str
    version: str
    atomicity: list[Interrupted] = field(default_factory=list)
    isolation: list[Anomaly] = field(default_factory=list)
    hot_row: HotRow | None = None
    durability: Killed | None = None
    violations: list[tuple[str, int]] = field(default_factory=list)
    kept: Kept | None = None
    """Of the orders on the hot row."""
    replication: list[Compared] = field(default_factory=list)
    read_back: ReadBack | None = None
    failovers: list[FailedOver] = field(default_factory=list)
    controls: list[Failing] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def problems(self) -> list[str]:
        """What is not as it should be; a control that did not fail among it."""
        return [
            *(f"atomicity: {found.fault}: {found}" for found in self.atomicity if not found.as_expected),
            *(f"isolation: {found}" for found in self.isolation if not found.agrees),
            *([f"isolation: {self.hot_row}"] if self.hot_row and not self.hot_row.exact else []),
            *([f"isolation: {self.kept}"] if self.kept and not self.kept.whole else []),
            *(f"consistency: {name}: {count} violations" for name, count in self.violations if count),
            *(
                [f"durability: {self.durability.kept}"]
                if self.durability and not self.durability.kept.whole
                else []
            ),
            *(f"replication: {found}" for found in self.replication if found.different),
            *([f"replication: {self.read_back}"] if self.read_back and self.read_back.stale else []),
            *(f"failover: {found.kind}: {found.kept}" for found in self.failovers if not found.whole),
            *(
                f"control: {name}: none of its counts is above zero"
                for name in {control.control for control in self.controls}
                if not any(control.failed for control in self.controls if control.control == name)
            ),
        ]


def show(engine: str, extent: Extent, report: Report) -> Shown:
    """Show everything on one engine; `report` is told how far it is."""
    began = time.monotonic()
    report("starting writer and reader")
    with open_stage(engine) as stage:
        with closing(stage.session(SUPERUSER)) as session:
            shown = Shown(engine, session.server_version())
        report("atomicity")
        shown.atomicity = atomicity.findings(stage, times=extent.interruptions, report=report)
        report("isolation: the anomalies")
        shown.isolation = isolation.findings(lambda: _in_shop(stage))
        report(f"isolation: {HOT_ROW_CUSTOMERS} customers on one row")
        shown.hot_row, shown.kept = _hot_row(stage, extent.hot_stock)
        report("durability")
        shown.durability = durability.kill_under_load(
            stage, kills=extent.kills, orders=extent.orders, report=report
        )
        report("consistency")
        shown.violations = violations(stage)
        report("replication")
        shown.replication = replication.compare(stage)
        shown.read_back = replication.read_your_writes(stage, orders=extent.read_backs, waiting=True)
        report("controls")
        shown.controls = _controls(stage, extent)
    shown.failovers = failover.findings(engine, orders=extent.failover_orders, report=report)
    shown.seconds = time.monotonic() - began
    return shown


def _in_shop(stage: Stage) -> Session:
    session = stage.session(SUPERUSER)
    session.rows({"postgresql": "SET search_path = shop", "mysql": "USE shop"}[stage.engine])
    return session


def _hot_row(stage: Stage, stock: int) -> tuple[HotRow, Kept]:
    """Have all customers want the first product until it is sold out."""
    hot = stage.products[0]
    count = "SELECT stock FROM shop.inventory JOIN shop.products USING (product_id)"
    count += " WHERE stock_code = %s AND warehouse_id = %s"
    ((before,),) = stage.rows(count, (hot, WAREHOUSE_ID))
    taken, before_id = before - stock, last_order_id(stage)
    _adjust(stage, hot, -taken)
    with customers(stage, HOT_ROW_CUSTOMERS, products=[hot]) as promises:
        give_up = time.monotonic() + 120
        while promises.refused < HOT_ROW_CUSTOMERS and time.monotonic() < give_up:
            time.sleep(0.02)
    ((after,),) = stage.rows(count, (hot, WAREHOUSE_ID))
    sold = -sum(
        int(quantity)
        for token in promises.acknowledged
        for (quantity,) in stage.rows(
            "SELECT sum(quantity) FROM shop.stock_movements JOIN shop.orders USING (order_id)"
            " WHERE request_token = %s",
            (token,),
        )
    )
    found = HotRow(stock, after, sold, promises.refused), kept(stage, promises, since_order_id=before_id)
    _adjust(stage, hot, taken)
    return found


def _adjust(stage: Stage, stock_code: str, quantity: int) -> None:
    """Move stock in or out, with its movement."""
    with closing(stage.session(SUPERUSER)) as session, session.transaction():
        ((product_id,),) = session.rows(
            "SELECT product_id FROM shop.products WHERE stock_code = %s", (stock_code,)
        )
        session.rows(
            "UPDATE shop.inventory SET stock = stock + %s WHERE product_id = %s AND warehouse_id = %s",
            (quantity, product_id, WAREHOUSE_ID),
        )
        session.rows(
            "INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind)"
            " VALUES (%s, %s, %s, 'adjustment')",
            (product_id, WAREHOUSE_ID, quantity),
        )


def _controls(stage: Stage, extent: Extent) -> list[Failing]:
    unwaited = replication.read_your_writes(stage, orders=extent.read_backs, waiting=False)
    return [
        controls.a_retry_without_a_token(stage, times=extent.interruptions),
        *controls.one_connection_for_all(stage, times=extent.interruptions * 5),
        Failing(
            "reading without waiting for the reader", "orders not there", unwaited.stale, unwaited.orders
        ),
        controls.commits_that_do_not_wait_for_the_disk(
            stage, seconds=extent.lazy_seconds
        ),  # spoils the stage
    ]
