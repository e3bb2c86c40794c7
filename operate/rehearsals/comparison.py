"""Whether a copy holds what its source held, while orders went on.

The source is looked at before the copied moment and after it, and each time at the same rows: up to the
largest key of the first look. What has not changed between the two looks must be in the copy as it is. What
has (an order that was cancelled, a test's order that was purged) must be there as one of the looks saw it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table

from operate.rehearsals.functions import Contents, TableContents

Verdict = Literal["same", "changed meanwhile", "DIFFERS"]


@dataclass(frozen=True)
class Compared:
    """One table of the copy beside the same of its source."""

    table: str
    rows: int
    verdict: Verdict
    detail: str = ""


@dataclass(frozen=True)
class Comparison:
    """All tables, and the invariants of the copy."""

    tables: tuple[Compared, ...]
    violations: Mapping[str, int]
    """Of the copy, those that the source has not as well."""

    @property
    def rows(self) -> int:
        """How many rows were found to be the same."""
        return sum(one.rows for one in self.tables if one.verdict == "same")

    @property
    def holds(self) -> bool:
        """Whether the copy is what it should be."""
        return not self.violations and all(one.verdict != "DIFFERS" for one in self.tables)


def compare(before: Contents, copy: Contents, after: Contents) -> Comparison:
    """Compare a copy with its source before the copied moment and after it, each up to the same keys."""
    names = sorted({*before.tables, *copy.tables, *after.tables})
    tables = tuple(
        _compared(name, before.tables.get(name), copy.tables.get(name), after.tables.get(name))
        for name in names
    )
    known = (before.violations, after.violations)
    new = {
        name: count
        for name, count in copy.violations.items()
        if count and count not in [one.get(name) for one in known]
    }
    return Comparison(tables, new)


def compare_with_the_past(copy: Contents, source: Contents) -> Comparison:
    """Compare a copy of a moment long ago: what differs has changed since, which is no fault of it."""
    found = compare(source, copy, source)
    since: tuple[Compared, ...] = tuple(
        Compared(one.table, one.rows, "changed meanwhile", one.detail) if one.verdict == "DIFFERS" else one
        for one in found.tables
    )
    return Comparison(since, {name: count for name, count in copy.violations.items() if count})


def print_comparison(console: Console, found: Comparison) -> None:
    """Show each table's verdict, and what is wrong."""
    table = Table(box=None, padding=(0, 2))
    table.add_column("table")
    table.add_column("rows", justify="right")
    table.add_column("in the copy")
    table.add_column("", overflow="fold")
    for one in found.tables:
        style = {"same": "", "changed meanwhile": "yellow", "DIFFERS": "red"}[one.verdict]
        table.add_row(one.table, f"{one.rows:,}", one.verdict, one.detail, style=style)
    console.print(table)
    for line in _violations(found):
        console.print(line, soft_wrap=True, markup=False)


def _violations(found: Comparison) -> Iterator[str]:
    if not found.violations:
        yield "Invariants of the copy: hold"
    for name, count in found.violations.items():
        yield f"Invariants of the copy: {count} times not: {name}"


def _compared(
    name: str, before: TableContents | None, copy: TableContents | None, after: TableContents | None
) -> Compared:
    rows = copy.rows if copy else 0
    if _alike(copy, before) or _alike(copy, after):
        return Compared(name, rows, "same")
    told = f"{_said(before)} before, {_said(copy)} in the copy, {_said(after)} after"
    return Compared(name, rows, "DIFFERS" if _alike(before, after) else "changed meanwhile", told)


def _alike(one: TableContents | None, other: TableContents | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.rows, one.digest) == (other.rows, other.digest)


def _said(found: TableContents | None) -> str:
    return f"{found.rows:,} rows {found.digest[:8]}" if found else "no such table"
