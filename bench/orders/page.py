"""The report as one HTML page that opens without a network, its plots in it."""

from __future__ import annotations

import base64
import html
import io
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.measuring import Ratio
from bench.orders.cells import DIRECT, FLOOR, NAIVE, OURS, PROXY, WATCHED, Cell
from bench.orders.measured import Measured
from bench.orders.mix import HOT, MIXES, Mix
from bench.orders.tables import NOT_HERE, lag_lines, rows

COLOURS = {OURS: "#1f6feb", FLOOR: "#8b949e", NAIVE: "#d1742c"}
PERCENTILES = (0.5, 0.95, 0.99)
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; max-width: 66rem; margin: 2rem auto }
h1 { font-size: 1.6rem } h3 { margin-bottom: .3rem }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #d0d7de }
table { border-collapse: collapse; margin: .6rem 0; font-size: .9rem; font-variant-numeric: tabular-nums }
td, th { padding: .25rem .7rem; text-align: right } td.text { text-align: left }
th { font-weight: 600; border-bottom: 1px solid #d0d7de } td:first-child, th:first-child { text-align: left }
tr:nth-child(even) td { background: #f6f8fa } .no { color: #b42318; font-weight: 600 } .yes { color: #1a7f37 }
.sum { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0 }
.sum div { border: 1px solid #d0d7de; border-radius: 6px; padding: .6rem 1rem; min-width: 9rem }
.sum b { display: block; font-size: 1.5rem } img { max-width: 100% } p.note { color: #57606a }
"""
_HOW = f"""
<p>An order has one to five lines of one to three pieces each, of a thousand products: drawn uniformly, or by
Zipf's law with the exponent {HOT.exponent}, where the most wanted product is {HOT.share_of_first:.0%} of all
lines. Every commit waits for the disk. Each run begins without orders;
a reader follows the writer while it is watched, and not else, since it shares the machine. After the run all
invariants are looked at, and the orders that are there are compared with those that were acknowledged.</p>
<ul>
<li><b>ours</b>: the order client of the functions, one process and one connection per customer.</li>
<li><b>pgbench</b>, <b>sysbench</b>: the load tools, which call the same routine with the same mix.</li>
<li><b>naive</b>: the same rows, statement by statement: reads prices and stock, inserts order and lines,
updates stock in the order asked for, commits; after a deadlock it begins again.</li>
<li><b>1 ms away</b>: a relay in front of the server's socket delays each direction by half of it.</li>
<li><b>through the endpoint</b>: the local cloud's stand-in for RDS Proxy, with TLS verified in full. It is
one Python process, and shares the machine.</li>
<li><b>watched on the reader</b>: one of the customers looks for its orders there until it sees them.</li>
</ul>
"""


def write_page(directory: Path, all_measured: Sequence[Measured], *, load_before: float) -> Path:
    """Write the page and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "index.html"
    ratios = [ratio for measured in all_measured for ratio in measured.ratios]
    path.write_text(
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Orders under load</title>"
        f"<style>{_STYLE}</style><h1>Orders under load</h1>"
        + _summary(all_measured, ratios)
        + _HOW
        + _machine(load_before)
        + "<h2>Beside their floors</h2>"
        + _promises(ratios)
        + "".join(_engine(measured) for measured in all_measured)
        + "</html>\n",
        encoding="utf-8",
    )
    return path


def _summary(all_measured: Sequence[Measured], ratios: Sequence[Ratio]) -> str:
    promises = [ratio for ratio in ratios if ratio.limit is not None]
    runs = [run for measured in all_measured for runs in measured.runs.values() for run in runs]
    cards = {
        "promises kept": f"{sum(ratio.kept for ratio in promises)} of {len(promises)}",
        "orders placed": f"{sum(run.outcome.acknowledged for run in runs):,}",
        "of these not there": f"{sum(run.unaccounted for run in runs):,}",
        "violations of invariants": f"{sum(run.found.violations for run in runs):,}",
        "deadlocks of the routine": f"{sum(each.deadlocks(each.of_the_routine) for each in all_measured):,}",
    }
    return "<div class='sum'>" + "".join(f"<div><b>{v}</b>{k}</div>" for k, v in cards.items()) + "</div>"


def _machine(load_before: float) -> str:
    return (
        f"<p class='note'>{os.cpu_count()} cores, {platform.system()} {platform.machine()},"
        f" Python {platform.python_version()}; load average {load_before:.1f} before,"
        f" {os.getloadavg()[0]:.1f} after. Clients and servers share the machine: absolute figures are its"
        " own, ratios are what is compared.</p>"
    )


def _promises(ratios: Iterable[Ratio]) -> str:
    heads = ("", "measured", "floor", "", "ratio", "promised", "")
    return _html_table(
        heads,
        (
            (
                html.escape(ratio.name), f"{ratio.measured:,.1f}", f"{ratio.floor:,.1f}", ratio.unit,
                f"{ratio.value:.2f}",
                "" if ratio.limit is None else f"{'≥' if ratio.at_least else '≤'} {ratio.limit:g}",
                "" if ratio.limit is None else _mark(ratio.kept),
            )
            for ratio in ratios
        ),
    )  # fmt: skip


def _engine(measured: Measured) -> str:
    heads = (
        "products",
        "way",
        "clients",
        "ours",
        measured.floor,
        "naive",
        "÷ floor",
        "÷ naive",
        "naive's deadlocks",
    )
    missing = f"<p class='no'>Without {NOT_HERE[measured.engine]}: {html.escape(measured.missing)}</p>"
    lags = "".join(f"<p>{html.escape(line)}.</p>" for line in lag_lines(measured))
    return (
        f"<h2>{html.escape(measured.engine)} {html.escape(measured.version)}</h2>"
        + (missing if measured.missing else "")
        + "<h3>Throughput</h3>" + _picture(_throughput(measured), "orders a second by clients")
        + "<h3>Latency</h3>" + _picture(_latencies(measured), "percentiles of latency")
        + "<h3>Lag of the reader</h3>" + lags + _picture(_lags(measured), "lag of the reader over time")
        + "<h3>All figures</h3><p class='note'>Orders a second, medians; in brackets p50 / p99 in ms.</p>"
        + _html_table(heads, rows(measured))
    )  # fmt: skip


# --- plots


def _throughput(measured: Measured) -> Figure:
    figure = Figure(figsize=(10, 4), layout="constrained")
    both = figure.subplots(1, 2, sharey=True)
    for axes, mix in zip(both, MIXES, strict=True):
        for client, label in ((FLOOR, measured.floor), (OURS, "ours"), (NAIVE, "naive")):
            _curve(axes, measured, client, mix, DIRECT, label=label, style="o-")
        _curve(axes, measured, OURS, mix, PROXY, label="ours, through the endpoint", style="o:")
        counts = sorted({cell.clients for cell in measured.runs})
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set(title=f"{mix.name} products", xlabel="clients")
        axes.grid(alpha=0.3)
    both[0].set_ylabel("orders a second")
    both[0].legend(loc="lower right")
    return figure


def _curve(
    axes: Axes, measured: Measured, client: str, mix: Mix, way: str, *, label: str, style: str
) -> None:
    points = sorted(
        (cell.clients, measured.rate(cell) or 0.0)
        for cell in measured.runs
        if (cell.client, cell.mix, cell.way) == (client, mix, way)
    )
    if points:
        axes.plot(*zip(*points, strict=True), style, color=COLOURS[client], label=label)


def _latencies(measured: Measured) -> Figure:
    places = [(mix, clients) for mix in MIXES for clients in measured.extent.counts]
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    all_axes = figure.subplots(1, len(places), sharey=True)
    for axes, (mix, clients) in zip(all_axes, places, strict=True):
        for number, client in enumerate((FLOOR, OURS, NAIVE)):
            cell = Cell(client, mix, clients)
            if cell not in measured.runs:
                continue
            axes.bar(
                [place + (number - 1) * 0.27 for place in range(len(PERCENTILES))],
                [measured.milliseconds(cell, share) for share in PERCENTILES],
                width=0.25,
                color=COLOURS[client],
                label=measured.floor if client == FLOOR else client,
            )
        axes.set_yscale("log")
        axes.set_xticks(range(len(PERCENTILES)), [f"p{share * 100:g}" for share in PERCENTILES])
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_title(f"{mix.name}, {clients} clients", fontsize=10)
    all_axes[0].set_ylabel("ms")
    all_axes[0].legend(fontsize=8)
    return figure


def _lags(measured: Measured) -> Figure:
    watched = sorted((cell for cell in measured.runs if cell.way == WATCHED), key=lambda cell: cell.clients)
    figure = Figure(figsize=(10, 2.8), layout="constrained")
    axes = figure.subplots()
    for cell, colour in zip(watched, ("#1f6feb", "#d1742c"), strict=False):
        lags = measured.runs[cell][-1].outcome.lags
        if lags:
            axes.plot(
                *zip(*lags, strict=True), ".", markersize=3, color=colour, label=f"{cell.clients} clients"
            )
    axes.set(xlabel="seconds", ylabel="ms until an order is there", ylim=(0, None))
    axes.legend(loc="upper right")
    axes.grid(alpha=0.3)
    return figure


def _picture(figure: Figure, what: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return f"<img alt='{what}' src='data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}'>"


def _html_table(heads: Iterable[str], all_rows: Iterable[Iterable[object]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in all_rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _mark(kept: bool) -> str:
    return "<span class='yes'>kept</span>" if kept else "<span class='no'>MISSED</span>"
