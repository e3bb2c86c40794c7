"""What was measured, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from bench.orders.cells import FLOOR, NAIVE, OURS, WATCHED, Cell
from bench.orders.measured import Measured
from bench.orders.mix import Mix

NOT_HERE = {"postgresql": "pgbouncer", "mysql": "sysbench"}
CLIENTS = (OURS, FLOOR, NAIVE)


def print_tables(console: Console, all_measured: Sequence[Measured]) -> None:
    """Print orders a second and latencies, a row for each mix, way and number of clients."""
    for measured in all_measured:
        title = f"Orders a second, {measured.engine} {measured.version}, medians; in brackets p50 / p99 in ms"
        table = Table(title=title, title_justify="left", box=None, padding=(0, 1))
        for column in ("products", "way", "clients"):
            table.add_column(column)
        for column in ("ours", measured.floor, "naive", "÷ floor", "÷ naive", "naive's deadlocks"):
            table.add_column(column, justify="right")
        for row in rows(measured):
            table.add_row(*row)
        console.print(table)
        if measured.missing:
            console.print(f"  [red]without {NOT_HERE[measured.engine]}: {measured.missing}[/red]")
        for line in lag_lines(measured):
            console.print(f"  {line}", highlight=False)


def rows(measured: Measured) -> Iterator[tuple[str, ...]]:
    """Yield a row for each mix, way and number of clients."""
    for mix, way, clients in _places(measured):
        ours, floor, naive = (Cell(client, mix, clients, way) for client in CLIENTS)
        yield (
            mix.name, way, str(clients),
            *(_cell(measured, cell) for cell in (ours, floor, naive)),
            _quotient(measured, ours, floor), _quotient(measured, ours, naive),
            f"{measured.deadlocks([naive]):,}" if naive in measured.runs else "",
        )  # fmt: skip


def lag_lines(measured: Measured) -> Iterator[str]:
    """Yield a sentence for each number of clients that the reader was watched under."""
    for cell in measured.runs:
        if cell.way == WATCHED:
            count = sum(len(run.outcome.lags) for run in measured.runs[cell])
            shares = ", ".join(
                f"p{share * 100:g} {measured.lag(cell.clients, share):.1f} ms" for share in (0.5, 0.95, 0.99)
            )
            yield f"{cell.clients} clients: {count:,} orders looked for on the reader until there: {shares}"


def _places(measured: Measured) -> list[tuple[Mix, str, int]]:
    order = [cell.way for cell in measured.runs]
    places = {(cell.mix, cell.way, cell.clients) for cell in measured.runs}
    return sorted(
        places,
        key=lambda place: (place[0].exponent, order.index(place[1]), place[2]),
    )


def _cell(measured: Measured, cell: Cell) -> str:
    rate = measured.rate(cell)
    if rate is None:
        return ""
    return f"{rate:,.0f} ({measured.milliseconds(cell, 0.5):,.1f} / {measured.milliseconds(cell, 0.99):,.0f})"


def _quotient(measured: Measured, ours: Cell, other: Cell) -> str:
    mine, its = measured.rate(ours), measured.rate(other)
    return f"{mine / its:.2f}" if mine and its else ""
