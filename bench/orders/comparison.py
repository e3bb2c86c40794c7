"""Runs everything, on one engine after the other, and looks at the database after each run."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from acid.stage import ENGINES
from bench.measuring import Ratio
from bench.orders import customers, endpoint, pgbench, pgbouncer, relay, sysbench
from bench.orders.cells import (
    DELAY_MILLISECONDS,
    DELAYED,
    FLOOR,
    NAIVE,
    POOLED,
    PROXY,
    RECONNECTING,
    SHORT,
    WATCHED,
    Cell,
    Extent,
    of_every_round,
    of_the_first_round,
    whole,
)
from bench.orders.customers import Task
from bench.orders.debian_programs import LoadPrograms
from bench.orders.measured import Measured, Run
from bench.orders.outcome import Outcome, percentile
from bench.orders.page import write_page
from bench.orders.shop import Shop, open_shop
from bench.orders.tables import print_tables
from bench.orders.ways_in import WayIn
from operate.deployment import PROJECT

OUTPUT = PROJECT / "build" / "bench" / "orders"
FLOORS = {"postgresql": "pgbench", "mysql": "sysbench"}


def measure(console: Console, runs: int) -> list[Ratio]:
    """Return all ratios, of so many rounds; a page with plots is written beside."""
    return _measure(console, whole(runs))


def measure_shortly(console: Console, _runs: int) -> list[Ratio]:
    """Return them without promises about speed: one round, for the orders themselves."""
    return _measure(console, SHORT)


def _measure(console: Console, extent: Extent) -> list[Ratio]:
    load_before = os.getloadavg()[0]
    all_measured = [_measure_engine(engine, extent, console) for engine in ENGINES]
    print_tables(console, all_measured)
    page = write_page(OUTPUT, all_measured, load_before=load_before)
    console.print(
        f"  load average {load_before:.1f} before, {os.getloadavg()[0]:.1f} after; the page: {page}",
        highlight=False,
    )
    return [ratio for measured in all_measured for ratio in measured.ratios]


def _measure_engine(engine: str, extent: Extent, console: Console) -> Measured:
    with open_shop(engine) as shop, _Ways(shop) as ways:
        measured = Measured(engine, shop.version, FLOORS[engine], extent)
        for number in range(extent.rounds):
            cells = [*of_every_round(engine, extent), *(of_the_first_round(extent) if number == 0 else ())]
            for cell in cells:
                run = ways.run(cell, extent.seconds)
                measured.runs.setdefault(cell, []).append(run)
                console.print(f"  {number + 1}: {_line(engine, cell, run)}", highlight=False)
    return measured


class _Ways:
    """Everything that stands between customers and the shop, opened once."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._cleanup = ExitStack()

    def __enter__(self) -> _Ways:
        shop, enter = self._shop, self._cleanup.enter_context
        self._programs = LoadPrograms.reachable_in(Path(shop.stage.writer.directory).parent)
        self._ways: dict[str, WayIn] = {
            DELAYED: enter(relay.delayed(shop.writer, round_trip_milliseconds=DELAY_MILLISECONDS)),
            PROXY: enter(endpoint.in_front_of(shop.stage.writer, shop.engine)),
        }
        self._pool = (
            enter(pgbouncer.pooled(self._programs, shop.writer)) if shop.engine == "postgresql" else None
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def run(self, cell: Cell, seconds: float) -> Run:
        """Run it in a shop without orders, and look at what it left."""
        self._shop.start_over()
        outcome = self._by_tool(cell, seconds) if cell.client == FLOOR else self._by_python(cell, seconds)
        return Run(outcome, self._shop.check())

    def _by_tool(self, cell: Cell, seconds: float) -> Outcome:
        shop, reconnect = self._shop, cell.way in (RECONNECTING, POOLED)
        socket = self._pool if cell.way == POOLED and self._pool else shop.writer
        options = {"clients": cell.clients, "seconds": seconds, "reconnect": reconnect}
        run: Callable[..., Outcome] = pgbench.order if shop.engine == "postgresql" else sysbench.order
        programs = shop.stage.writer.programs if shop.engine == "postgresql" else self._programs
        return run(programs, socket, cell.mix, **options)

    def _by_python(self, cell: Cell, seconds: float) -> Outcome:
        task = Task(
            cell.client, cell.clients, seconds, cell.mix,
            way_in=self._ways.get(cell.way, self._shop.writer),
            reader=self._shop.reader if cell.way == WATCHED else None,
        )  # fmt: skip
        if cell.client != NAIVE:
            return customers.order(task)
        with self._shop.without_totals_trigger():
            return customers.order(task)


def _line(engine: str, cell: Cell, run: Run) -> str:
    outcome, found = run.outcome, run.found
    return (
        f"{engine}, {cell.mix.name}, {cell.clients} clients, {cell.way}, {cell.client}:"
        f" {outcome.orders_per_second:,.0f}/s, p50 {percentile(outcome.milliseconds, 0.5):.1f} ms,"
        f" {found.deadlocks} deadlocks"
        + (f", [red]{run.unaccounted} unaccounted[/red]" if run.unaccounted else "")
        + (f", [red]{found.violations} violations[/red]" if found.violations else "")
    )
