"""The report as one HTML page that opens without a network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from acid.failover import CUSTOMERS
from acid.isolation import as_table
from acid.schedules import ANOMALIES, SCHEDULES
from acid.showing import HOT_ROW_CUSTOMERS, Shown
from acid.tables import SIGNS, percentile

BUCKET_SECONDS = 0.25
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; max-width: 66rem; margin: 2rem auto }
h1 { font-size: 1.6rem } h3 { margin-bottom: .3rem }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #d0d7de }
table { border-collapse: collapse; margin: .6rem 0 } td, th { padding: .25rem .8rem; text-align: right }
th { font-weight: 600; border-bottom: 1px solid #d0d7de } td:first-child, th:first-child { text-align: left }
tr:nth-child(even) td { background: #f6f8fa } .no { color: #b42318; font-weight: 600 } .yes { color: #1a7f37 }
.sum { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0 }
.sum div { border: 1px solid #d0d7de; border-radius: 6px; padding: .6rem 1rem; min-width: 9rem }
.sum b { display: block; font-size: 1.5rem } img { max-width: 100% } p.note { color: #57606a }
"""


def write_page(directory: Path, all_shown: Sequence[Shown]) -> Path:
    """Write the page and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "index.html"
    body = "".join(_engine(shown) for shown in all_shown)
    path.write_text(
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>ACID, counted</title>"
        f"<style>{_STYLE}</style><h1>ACID, counted</h1>"
        "<p>Orders placed by the shop's own client on real servers of this machine, interrupted in every way"
        " that is known here; and each count again without the protection that it tests.</p>"
        f"{body}</html>\n",
        encoding="utf-8",
    )
    return path


def _engine(shown: Shown) -> str:
    return "".join(
        (
            f"<h2>{html.escape(shown.engine)} {html.escape(shown.version)}</h2>",
            _summary(shown),
            _atomicity(shown),
            _consistency(shown),
            _isolation(shown),
            _durability(shown),
            _replication(shown),
            _failover(shown),
            _controls(shown),
        )
    )


def _summary(shown: Shown) -> str:
    killed = shown.durability
    cards = [
        ("as it should be", "everything" if not shown.problems else f"all but {len(shown.problems)}"),
        ("orders interrupted", f"{sum(found.orders for found in shown.atomicity):,}"),
        ("violations", f"{sum(count for _, count in shown.violations):,}"),
    ]
    if killed:
        cards += [
            ("acknowledged under kills", f"{killed.kept.acknowledged:,}"),
            ("of these lost", f"{killed.kept.lost}"),
            ("of these twice", f"{killed.kept.duplicated}"),
        ]
    return (
        "<div class='sum'>" + "".join(f"<div><b>{value}</b>{name}</div>" for name, value in cards) + "</div>"
    )


def _atomicity(shown: Shown) -> str:
    rows = (
        (
            found.fault,
            found.orders,
            found.once,
            found.nothing,
            found.broken,
            found.tried_again,
            _mark(found.as_expected),
        )
        for found in shown.atomicity
    )
    heads = ("interrupted by", "orders", "there once", "not there", "broken", "attempts tried again", "")
    return "<h3>Atomicity</h3>" + _html_table(heads, rows)


def _consistency(shown: Shown) -> str:
    rows = ((name, count, _mark(count == 0)) for name, count in shown.violations)
    return "<h3>Consistency</h3>" + _html_table(("invariant", "violations", ""), rows)


def _isolation(shown: Shown) -> str:
    rows = (
        (
            level.lower(),
            *(
                f"<span class='{'yes' if found[name].agrees else 'no'}'>{SIGNS[found[name].seen]}</span>"
                for name in ANOMALIES
            ),
        )
        for level, found in as_table(shown.isolation).items()
    )
    meanings = dict.fromkeys(ANOMALIES, "")
    for schedule in SCHEDULES:
        meanings[schedule.name] = meanings[schedule.name] or schedule.meaning
    legend = "; ".join(f"{name}: {meaning}" for name, meaning in meanings.items())
    hot = shown.hot_row
    note = (
        f"<p>{HOT_ROW_CUSTOMERS} customers on one row of stock: {hot.stock_before:,} pieces,"
        f" {hot.sold:,} sold, {hot.stock_after:,} left, {hot.refused:,} orders refused.</p>"
        if hot
        else ""
    )
    return (
        "<h3>Isolation</h3><p>✓ prevented, — happens; green where <a href='https://github.com/ept/hermitage'>"
        "hermitage</a> publishes the same.</p>"
        + _html_table(("level", *ANOMALIES), rows)
        + f"<p class='note'>{html.escape(legend)}.</p>{note}"
    )


def _durability(shown: Shown) -> str:
    killed = shown.durability
    if killed is None:
        return ""
    outages = killed.outages_seconds
    return (
        "<h3>Durability</h3>"
        f"<p>{len(outages)} SIGKILLs of the writer under load."
        f" {killed.kept.acknowledged:,} orders acknowledged: {killed.kept.lost} lost,"
        f" {killed.kept.duplicated} twice, {killed.kept.altered} altered. The next order was acknowledged"
        f" {percentile(outages, 0.5) * 1000:,.0f} ms after a kill (median), at most"
        f" {percentile(outages, 1.0) * 1000:,.0f} ms.</p>"
        + _picture(_orders_over_time(killed.promises.acknowledged_at, killed.killed_at, "SIGKILL"))
    )


def _replication(shown: Shown) -> str:
    rows = ((compared.table, f"{compared.rows:,}", compared.different) for compared in shown.replication)
    table = _html_table(("table", "rows on both", "different"), rows)
    read_back = shown.read_back
    if read_back is None:
        return f"<h3>Replication</h3>{table}"
    waited = read_back.waited_milliseconds
    return (
        f"<h3>Replication</h3>{table}"
        f"<p>{read_back.orders} orders read back on the reader, each after waiting for its position:"
        f" {read_back.stale} stale; waited {percentile(waited, 0.5):.1f} ms (median),"
        f" {percentile(waited, 0.99):.1f} ms (99th percentile).</p>" + _picture(_waits(waited))
    )


def _failover(shown: Shown) -> str:
    rows = (
        (
            found.kind,
            f"{found.kept.acknowledged:,}",
            found.kept.lost,
            found.kept.altered,
            found.kept.duplicated,
            f"{found.pause_seconds * 1000:,.0f} ms",
            _mark(found.whole),
        )
        for found in shown.failovers
    )
    heads = ("failover", "acknowledged", "lost", "altered", "twice", "longest pause", "")
    return (
        f"<h3>Failover</h3><p>{CUSTOMERS} customers order through the proxy of the deployed cluster while a"
        " reader becomes the writer: as asked for, and because the writer's process was killed.</p>"
        + _html_table(heads, rows)
        + "".join(
            _picture(_orders_over_time(found.promises.acknowledged_at, [found.at_seconds], found.kind))
            for found in shown.failovers
        )
    )


def _controls(shown: Shown) -> str:
    rows = ((c.control, f"{c.count:,}", f"of {c.of:,}", c.what) for c in shown.controls)
    return (
        "<h3>Controls</h3><p>The same counts without one protection each. They must fail, or the counts above"
        " would show nothing.</p>" + _html_table(("without it", "failed", "", ""), rows)
    )


def _html_table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _mark(right: bool) -> str:
    return "<span class='yes'>✓</span>" if right else "<span class='no'>WRONG</span>"


def _orders_over_time(acknowledged_at: Sequence[float], marks: Sequence[float], what: str) -> Figure:
    figure = Figure(figsize=(10, 3), layout="constrained")
    axes = figure.subplots()
    last = max(acknowledged_at, default=0.0)
    edges = [number * BUCKET_SECONDS for number in range(int(last / BUCKET_SECONDS) + 2)]
    weights = [1 / BUCKET_SECONDS] * len(acknowledged_at)
    axes.hist(acknowledged_at, bins=edges, weights=weights, histtype="stepfilled", color="#7cb7ea")
    for number, at in enumerate(marks):
        axes.axvline(at, color="#b42318", linewidth=1, label=what if number == 0 else None)
    axes.set(xlabel="seconds", ylabel="orders a second", xlim=(0, last))
    axes.legend(loc="upper right")
    return figure


def _waits(milliseconds: Sequence[float]) -> Figure:
    figure = Figure(figsize=(10, 2.4), layout="constrained")
    axes = figure.subplots()
    axes.hist(milliseconds, bins=60, color="#7cb7ea")
    axes.set(xlabel="ms until the reader has an order", ylabel="orders", xlim=(0, None))
    return figure


def _picture(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return f"<img alt='' src='data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}'>"
