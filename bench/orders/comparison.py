"""Runs everything, on one engine after the other, and tells what it found."""

from __future__ import annotations

import os
from collections.abc import Callable

from rich.console import Console

from acid.stage import ENGINES
from bench.measuring import Ratio
from bench.orders.cells import SHORT, Cell, Extent, of_every_round, of_the_first_round, whole
from bench.orders.measured import Measured, Run
from bench.orders.outcome import percentile
from bench.orders.page import write_page
from bench.orders.runner import Runner
from bench.orders.shop import open_shop
from bench.orders.tables import print_tables
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
    all_measured = [
        measure_engine(engine, extent, lambda line: console.print(f"  {line}", highlight=False))
        for engine in ENGINES
    ]
    print_tables(console, all_measured)
    page = write_page(OUTPUT, all_measured, load_before=load_before)
    console.print(
        f"  load average {load_before:.1f} before, {os.getloadavg()[0]:.1f} after; the page: {page}",
        highlight=False,
    )
    return [ratio for measured in all_measured for ratio in measured.ratios]


def measure_engine(engine: str, extent: Extent, report: Callable[[str], None]) -> Measured:
    """Run all of it on one engine; `report` is told of each run."""
    with open_shop(engine) as shop, Runner(shop) as runner:
        measured = Measured(engine, shop.version, FLOORS[engine], extent, missing=runner.missing)
        for number in range(extent.rounds):
            cells = [*of_every_round(engine, extent), *(of_the_first_round(extent) if number == 0 else ())]
            for cell in filter(runner.can, cells):
                run = runner.run(cell, extent.seconds)
                measured.runs.setdefault(cell, []).append(run)
                report(f"{number + 1}: {_line(engine, cell, run)}")
        return measured


def _line(engine: str, cell: Cell, run: Run) -> str:
    outcome, found = run.outcome, run.found
    return (
        f"{engine}, {cell.mix.name}, {cell.clients} clients, {cell.way}, {cell.client}:"
        f" {outcome.orders_per_second:,.0f}/s, p50 {percentile(outcome.milliseconds, 0.5):.1f} ms,"
        f" {found.deadlocks} deadlocks"
        + (f", [red]{run.unaccounted} unaccounted[/red]" if run.unaccounted else "")
        + (f", [red]{found.violations} violations[/red]" if found.violations else "")
    )
