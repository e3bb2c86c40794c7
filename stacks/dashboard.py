"""The dashboard: is it healthy, are orders flowing, who is slow, what it runs on; in this order, on one page.

A widget names metrics as the table of alarms does, and draws the threshold of the alarm that watches them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stacks.alarms import (
    SHOP,
    Alarm,
    Metric,
    of_cluster,
    of_function,
    of_proxy,
    of_role,
    orders,
)
from stacks.settings import Deployment

WIDTH = 24
"""Of CloudWatch's grid."""
Widget = dict[str, Any]


@dataclass(frozen=True)
class Watched:
    """What the dashboard shows beside what follows from the settings."""

    alarms: Sequence[Alarm]
    alarm_arns: Sequence[str]
    functions: Mapping[str, str]
    """Names of functions by what they do."""


def dashboard_body(deployment: Deployment, watched: Watched) -> dict[str, Any]:
    """Return the dashboard as CloudWatch takes it."""
    page = _Page(deployment, {alarm.name: alarm for alarm in watched.alarms})
    page.row(5, page.alarms(watched.alarm_arns))
    page.row(6, *_orders(page))
    page.row(6, *_slow(page))
    page.row(6, *_instances(page))
    page.row(6, *_cluster(page))
    page.row(6, *_functions(page, watched.functions))
    return {"start": "-PT3H", "periodOverride": "inherit", "widgets": page.widgets}


def _orders(page: _Page) -> list[Widget]:
    shop = page.deployment
    return [
        page.lines(
            "Are orders flowing?",
            [orders(shop, "Orders", "Sum"), orders(shop, "OrderLines", "Sum")],
        ),
        page.lines("Revenue", [orders(shop, "Revenue", "Sum")]),
        page.lines(
            "Refused, tried again, given up",
            [orders(shop, "Retries", "Sum"), orders(shop, "OrderFailures", "Sum")],
            searches={
                "Refused: ${PROP('Dim.Reason')}": (
                    f'SEARCH(\'{{{SHOP},Caller,Deployment,Reason}} MetricName="Refusals" '
                    f'Deployment="{shop.name}" Caller="customers"\', \'Sum\')'
                )
            },
            alarm="order-failures",
        ),
    ]


def _slow(page: _Page) -> list[Widget]:
    shop = page.deployment
    waits = [
        page.lines(
            "Who is slow? Orders, ms",
            [orders(shop, "OrderLatency", statistic) for statistic in ("p50", "p99")],
            alarm="order-latency",
        ),
        # Insights has its metrics by instance, whose names are CloudFormation's
        page.lines(
            "DB load: sessions at work, and waiting",
            searches={
                f"{what} ${{PROP('Dim.DBInstanceIdentifier')}}": (
                    f'SEARCH(\'{{AWS/RDS,DBInstanceIdentifier}} MetricName="{name}" '
                    f"DBInstanceIdentifier=\"{shop.stack_name('database')}\"', 'Average')"
                )
                for what, name in {"at work": "DBLoadCPU", "waiting": "DBLoadNonCPU"}.items()
            },
        ),
    ]
    if not shop.database.proxy:
        return [*waits, _slow_statements(page)]
    borrowing = page.lines(
        "Proxy: waiting for a connection, µs",
        [
            of_proxy(shop, "DatabaseConnectionsBorrowLatency", "Average"),
            of_proxy(shop, "QueryDatabaseResponseLatency", "Average"),
        ],
        alarm="proxy-borrow-latency",
    )
    return [*waits, borrowing, _slow_statements(page)]


def _slow_statements(page: _Page) -> Widget:
    """Return the last slow statements, as the engine logs them."""
    log, like = {"postgresql": ("postgresql", "duration:"), "mysql": ("slowquery", "Query_time")}[
        page.deployment.database.engine
    ]
    group = f"/aws/rds/cluster/{page.deployment.cluster_name}/{log}"
    return {
        "type": "log",
        "properties": {
            "title": "Statements over a second",
            "region": page.deployment.region,
            "view": "table",
            "query": f"SOURCE '{group}' | fields @timestamp, @message | filter @message like /{like}/ "
            "| sort @timestamp desc | limit 20",
        },
    }


def _instances(page: _Page) -> list[Widget]:
    shop = page.deployment
    roles = ["WRITER"] + (["READER"] if shop.database.reader_count else [])
    widgets = {
        "CPU, %": ("CPUUtilization", "Average", "cpu-writer"),
        "Free memory, bytes": ("FreeableMemory", "Minimum", "memory-writer"),
        "Connections": ("DatabaseConnections", "Maximum", "connections-writer"),
    }
    return [
        page.lines(title, [of_role(shop, name, role, statistic) for role in roles], alarm=alarm)
        for title, (name, statistic, alarm) in widgets.items()
    ]


def _cluster(page: _Page) -> list[Widget]:
    shop = page.deployment
    widgets = []
    if shop.database.reader_count:
        lag = of_role(shop, "AuroraReplicaLag", "READER", "Maximum")
        widgets.append(page.lines("Readers behind, ms", [lag], alarm="replica-lag"))
    widgets.append(
        page.lines("Deadlocks a second", [of_role(shop, "Deadlocks", "WRITER", "Average")], alarm="deadlocks")
    )
    if shop.database.engine == "postgresql":
        oldest = of_role(shop, "MaximumUsedTransactionIDs", "WRITER", "Maximum")
        widgets.append(page.lines("Oldest transaction id", [oldest], alarm="transaction-ids"))
    else:
        history = of_role(shop, "RollbackSegmentHistoryListLength", "WRITER", "Maximum")
        widgets.append(page.lines("History list length", [history], alarm="history-list"))
    widgets.append(page.lines("Storage, bytes", [of_cluster(shop, "VolumeBytesUsed", "Maximum")]))
    if "acu" in page.alarm_rows:
        widgets.append(
            page.lines("Capacity used, %", [of_cluster(shop, "ACUUtilization", "Maximum")], alarm="acu")
        )
    return widgets


def _functions(page: _Page, functions: Mapping[str, str]) -> list[Widget]:
    shop = page.deployment
    outcomes = [
        Metric(SHOP, name, {"Deployment": shop.name}, "Sum")
        for name in ("SmokeTestPassed", "SmokeTestFailed")
    ]
    return [
        page.lines("Smoke tests", outcomes),
        page.lines(
            "Functions: errors and throttles",
            [
                of_function(function, name, "Sum")
                for function in functions.values()
                for name in ("Errors", "Throttles")
            ],
        ),
        page.lines(
            "Functions: duration, ms",
            [of_function(function, "Duration", "Maximum") for function in functions.values()],
        ),
    ]


class _Page:
    """Lays widgets out in rows of the grid's width, and knows the thresholds to draw."""

    def __init__(self, deployment: Deployment, alarm_rows: Mapping[str, Alarm]) -> None:
        self.deployment = deployment
        self.alarm_rows = alarm_rows
        self.widgets: list[Widget] = []
        self._y = 0

    def row(self, height: int, *widgets: Widget) -> None:
        """Put widgets side by side, all as wide as they can be."""
        for number, widget in enumerate(widgets):
            x = number * WIDTH // len(widgets)
            width = (number + 1) * WIDTH // len(widgets) - x
            self.widgets.append({"x": x, "y": self._y, "width": width, "height": height, **widget})
        self._y += height

    def alarms(self, arns: Sequence[str]) -> Widget:
        """Return the state of every alarm."""
        return {
            "type": "alarm",
            "properties": {"title": f"Is shop-{self.deployment.name} healthy?", "alarms": list(arns)},
        }

    def lines(
        self,
        title: str,
        metrics: Sequence[Metric] = (),
        *,
        searches: Mapping[str, str] | None = None,
        alarm: str | None = None,
    ) -> Widget:
        """Return metrics over time, with the threshold of the alarm that watches them."""
        found = [{"expression": text, "label": label} for label, text in (searches or {}).items()]
        properties: dict[str, Any] = {
            "title": title,
            "region": self.deployment.region,
            "view": "timeSeries",
            "stacked": False,
            "period": 300,
            "metrics": [*(_named(metric) for metric in metrics), *([one] for one in found)],
        }
        if row := self.alarm_rows.get(alarm or ""):
            line = {"label": f"alarm {row.comparison} {row.threshold:,.0f}", "value": row.threshold}
            properties["annotations"] = {"horizontal": [line]}
        return {"type": "metric", "properties": properties}


def _named(metric: Metric) -> list[Any]:
    dimensions = [word for pair in metric.dimensions.items() for word in pair]
    return [metric.namespace, metric.name, *dimensions, {"stat": metric.statistic}]
