"""The dashboard's layout as a picture, from the same body that CloudWatch gets: docs/dashboard.svg.

`python -m operate.dashboard_picture` draws it anew; a test holds it to what is deployed. It shows what is
where and which thresholds are drawn, and no curves: those would be made up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from stacks.alarms import alarms
from stacks.dashboard import WIDTH, Watched, dashboard_body
from stacks.settings import DEPLOYMENTS

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "dashboard.svg"
FUNCTIONS = ("rotate-secret", "apply-schema", "seed-data", "smoke-test")
COLUMN, ROW, GAP = 60, 34, 6
"""Of CloudWatch's grid, in pixels."""
CHARACTER = 6.2
"""Pixels that one takes, at eleven pixels."""
COLORS = ("#0972d3", "#e07700", "#2e7d32", "#7d3c98", "#a8071a", "#00838f", "#5d4037", "#546e7a")
ALARM_COLOR = "#d13212"


def picture() -> str:
    """Return the dashboard of production, on PostgreSQL, as SVG."""
    deployment = DEPLOYMENTS["production"]
    table = alarms(deployment, {name: name for name in FUNCTIONS})
    names = [row.name for row in table]
    body = dashboard_body(deployment, Watched(table, names, {name: name for name in FUNCTIONS}))
    height = max(widget["y"] + widget["height"] for widget in body["widgets"]) * ROW
    cards = "\n".join(line for widget in body["widgets"] for line in _card(widget))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * COLUMN} {height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="11">\n'
        f'<rect width="{WIDTH * COLUMN}" height="{height}" fill="#f2f3f3"/>\n{cards}\n</svg>\n'
    )


def _card(widget: dict[str, Any]) -> Iterator[str]:
    x, y = widget["x"] * COLUMN + GAP, widget["y"] * ROW + GAP
    width, height = widget["width"] * COLUMN - 2 * GAP, widget["height"] * ROW - 2 * GAP
    yield (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="4" fill="#ffffff" stroke="#d5dbdb"/>'
    )
    yield _text(x + 10, y + 18, widget["properties"]["title"], size=14, weight="bold")
    inside = (x + 10, y + 28, width - 20, height - 36)
    draw = {"alarm": _alarms, "metric": _plot, "log": _log}[widget["type"]]
    yield from draw(widget["properties"], *inside)


def _alarms(properties: dict[str, Any], x: int, y: int, width: int, height: int) -> Iterator[str]:
    """Draw each alarm as CloudWatch does: a green field with its name."""
    across = 7
    cell = width // across
    for number, name in enumerate(properties["alarms"]):
        left, top = x + number % across * cell, y + number // across * 27
        yield (
            f'<rect x="{left}" y="{top}" width="{cell - 6}" height="22" rx="3" fill="#e9f6ec" '
            'stroke="#1d8102"/>'
        )
        yield _text(left + 8, top + 15, name)


def _plot(properties: dict[str, Any], x: int, y: int, width: int, height: int) -> Iterator[str]:
    """Draw the axes, the threshold, and the legend of the lines that will be there."""
    labels = [_label(metric) for metric in properties["metrics"]]
    legend_top = y + height - 15 * _lines_of(labels, width)
    floor = legend_top - 12
    yield f'<path d="M{x} {y}V{floor}H{x + width}" fill="none" stroke="#aab7b8"/>'
    for line in properties.get("annotations", {}).get("horizontal", []):
        at = y + (floor - y) * (3 if "<" in line["label"] else 1) // 4  # where it is bad: below, or above
        yield f'<path d="M{x} {at}H{x + width}" stroke="{ALARM_COLOR}" stroke-dasharray="5 4"/>'
        yield _text(x + 6, at - 4, line["label"], color=ALARM_COLOR)
    left, top = x, legend_top
    for number, label in enumerate(labels):
        wide = _width_of(label)
        if left > x and left + wide > x + width:
            left, top = x, top + 15
        color = COLORS[number % len(COLORS)]
        yield f'<rect x="{left}" y="{top}" width="9" height="9" fill="{color}"/>'
        yield _text(left + 13, top + 9, label)
        left += wide


def _log(properties: dict[str, Any], x: int, y: int, width: int, height: int) -> Iterator[str]:
    """Draw the head of the table, and where its lines come from."""
    yield _text(x, y + 10, "@timestamp     @message", color="#5f6b7a")
    for number in range(1, (height - 20) // 18):
        yield f'<path d="M{x} {y + 18 * number}H{x + width}" stroke="#eaeded"/>'
    (source,) = re.findall(r"SOURCE '(.*?)'", properties["query"])
    yield _text(x, y + height, source, color="#5f6b7a")


def _label(metric: Sequence[Any]) -> str:
    if isinstance(metric[0], dict):
        return re.sub(r"\$\{PROP\('Dim\.(\w+)'\)\}", r"by \1", metric[0]["label"])
    _, name, *dimensions, how = metric
    given = dict(zip(dimensions[::2], dimensions[1::2], strict=True))
    whose = str(given.get("Role") or given.get("FunctionName") or "").lower()
    return " ".join(part for part in (name, whose, how["stat"]) if part)


def _width_of(label: str) -> int:
    return int(len(label) * CHARACTER) + 26


def _lines_of(labels: Sequence[str], width: int) -> int:
    lines, left = 1, 0
    for label in labels:
        wide = _width_of(label)
        if left and left + wide > width:
            lines, left = lines + 1, 0
        left += wide
    return lines


def _text(x: int, y: int, text: str, *, size: int = 11, weight: str = "", color: str = "#16191f") -> str:
    bold = f' font-weight="{weight}"' if weight else ""
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{color}"{bold}>{escape(text)}</text>'


if __name__ == "__main__":
    PICTURE.write_text(picture())
