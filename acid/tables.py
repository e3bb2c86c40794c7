"""The report on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from acid.isolation import as_table
from acid.schedules import ANOMALIES, HAPPENS, ONLY_READS, PREVENTED
from acid.showing import HOT_ROW_CUSTOMERS, Shown

SIGNS = {PREVENTED: "✓", HAPPENS: "—", ONLY_READS: "reads"}


def print_report(console: Console, shown: Shown) -> None:
    """Print one table per letter, and the controls."""
    for table in (
        _atomicity(shown),
        _consistency(shown),
        _isolation(shown),
        _durability(shown),
        _replication(shown),
        _failover(shown),
        _controls(shown),
    ):
        console.print(table)
    console.print(f"{shown.engine} {shown.version}: {shown.seconds:.0f} s", highlight=False)


def percentile(values: tuple[float, ...] | list[float], share: float) -> float:
    """Return the value below which this share of them lies; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1))
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


def _atomicity(shown: Shown) -> Table:
    columns = ("interrupted by", "orders", "once", "nothing", "broken", "again", "")
    table = _table("Atomicity: whole and once, or not at all", *columns)
    for found in shown.atomicity:
        counts = (found.orders, found.once, found.nothing, found.broken, found.tried_again)
        table.add_row(found.fault, *map(str, counts), _verdict(found.as_expected))
    return table


def _consistency(shown: Shown) -> Table:
    table = _table("Consistency: what must hold of all data", "invariant", "violations", "")
    for name, count in shown.violations:
        table.add_row(name, str(count), _verdict(count == 0))
    return table


def _isolation(shown: Shown) -> Table:
    table = _table("Isolation: ✓ prevented, — happens, as published by ept/hermitage", "level", *ANOMALIES)
    for level, found in as_table(shown.isolation).items():
        cells = (SIGNS[found[name].seen] + ("" if found[name].agrees else " !") for name in ANOMALIES)
        table.add_row(level.lower(), *cells)
    hot = shown.hot_row
    if hot:
        table.caption = (
            f"{HOT_ROW_CUSTOMERS} customers on one row: {hot.stock_before:,} pieces, {hot.sold:,} sold,"
            f" {hot.stock_after:,} left, {hot.refused:,} refused"
        )
        table.caption_justify = "left"
    return table


def _durability(shown: Shown) -> Table:
    table = _table("Durability: the writer killed under load", "", "")
    killed = shown.durability
    if killed:
        kept = killed.kept
        for name, value in (
            ("SIGKILLs", f"{len(killed.outages_seconds)}"),
            ("orders acknowledged", f"{kept.acknowledged:,}"),
            ("lost", f"{kept.lost}"),
            ("altered", f"{kept.altered}"),
            ("twice, or never asked for", f"{kept.duplicated}"),
            ("committed, the answer lost for good", f"{kept.unacknowledged}"),
            ("attempts tried again", f"{killed.promises.tried_again:,}"),
            ("orders a second, outages included", f"{kept.acknowledged / killed.promises.seconds:,.0f}"),
            ("kill to next order, median", f"{percentile(killed.outages_seconds, 0.5) * 1000:,.0f} ms"),
            ("kill to next order, longest", f"{percentile(killed.outages_seconds, 1.0) * 1000:,.0f} ms"),
        ):
            table.add_row(name, value)
    return table


def _replication(shown: Shown) -> Table:
    table = _table("Replication: the reader against the writer", "table", "rows", "different")
    for compared in shown.replication:
        table.add_row(compared.table, f"{compared.rows:,}", str(compared.different))
    read_back = shown.read_back
    if read_back:
        waited = read_back.waited_milliseconds
        table.caption = (
            f"{read_back.orders} orders read back, each after waiting for its position:"
            f" {read_back.stale} stale; waited {percentile(waited, 0.5):.1f} ms,"
            f" 99th percentile {percentile(waited, 0.99):.1f} ms"
        )
        table.caption_justify = "left"
    return table


def _failover(shown: Shown) -> Table:
    columns = ("ordering through the proxy", "acknowledged", "lost", "altered", "twice", "pause", "")
    table = _table("Failover: a reader becomes the writer under load", *columns)
    for found in shown.failovers:
        kept = found.kept
        counts = (f"{kept.acknowledged:,}", str(kept.lost), str(kept.altered), str(kept.duplicated))
        table.add_row(found.kind, *counts, f"{found.pause_seconds * 1000:,.0f} ms", _verdict(found.whole))
    return table


def _controls(shown: Shown) -> Table:
    table = _table("Controls: without one protection each, these must be above zero", "without", "", "", "")
    for control in shown.controls:
        table.add_row(control.control, f"{control.count:,}", f"of {control.of:,}", control.what)
    return table


def _verdict(right: bool) -> str:
    return "✓" if right else "[red]WRONG[/red]"
