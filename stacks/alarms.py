"""Every alarm of a deployment in one table: what it watches, from which value on, why, and what to do.

A row is the whole alarm: its two last texts are what the person reads who is woken by it. Names of metrics,
units and dimensions are checked against AWS's documentation in tests/stacks/test_observability.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from stacks.capacity import GIB, max_connections, memory_bytes
from stacks.settings import Deployment, ServerlessV2

AURORA = "AWS/RDS"
LAMBDA = "AWS/Lambda"
SHOP = "Shop"
DAY_SECONDS = 86400
HOUR_SECONDS = 3600

Unit = Literal["Percent", "Bytes", "Count", "Count/Second", "Milliseconds", "Microseconds"]


@dataclass(frozen=True)
class Metric:
    """A metric of one thing, by the statistic that the alarm and the dashboard look at."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One row: fires after `breaches` of the last `periods` periods were past the threshold."""

    name: str
    metric: Metric
    comparison: Literal[">", ">=", "<"]
    threshold: float
    unit: Unit
    period_seconds: int = 300
    periods: int = 1
    breaches: int | None = None
    """None: all of them."""
    missing: Literal["breaching", "notBreaching", "missing"]
    """What no data means. `missing`: the source is gone, and the alarm says that it cannot tell."""
    expression: str | None = None
    """Metric math over the metric, named m."""
    why: str
    what_to_do: str

    @property
    def description(self) -> str:
        """What the alarm says of itself."""
        return f"{self.why} NEXT: {self.what_to_do}"


def alarms(deployment: Deployment, functions: Mapping[str, str]) -> tuple[Alarm, ...]:
    """Return all alarms of a deployment; `functions` are the names of its functions by what they do."""
    return (
        *_of_orders(deployment),
        *_of_instances(deployment),
        *_of_cluster(deployment),
        *_of_proxy(deployment),
        *_of_functions(functions),
    )


def orders(deployment: Deployment, name: str, statistic: str) -> Metric:
    """Return a metric of customers' orders."""
    return Metric(SHOP, name, {"Deployment": deployment.name, "Caller": "customers"}, statistic)


def of_role(deployment: Deployment, name: str, role: str, statistic: str) -> Metric:
    """Return a metric of the cluster's writer or of all of its readers, whichever instances these are now."""
    return Metric(AURORA, name, {"DBClusterIdentifier": deployment.cluster_name, "Role": role}, statistic)


def of_cluster(deployment: Deployment, name: str, statistic: str) -> Metric:
    """Return a metric of the cluster as a whole."""
    return Metric(AURORA, name, {"DBClusterIdentifier": deployment.cluster_name}, statistic)


def of_proxy(deployment: Deployment, name: str, statistic: str) -> Metric:
    """Return a metric of the proxy, over all of its endpoints."""
    return Metric(AURORA, name, {"ProxyName": deployment.proxy_name}, statistic)


def of_function(function_name: str, name: str, statistic: str) -> Metric:
    """Return a metric of a function."""
    return Metric(LAMBDA, name, {"FunctionName": function_name}, statistic)


def _of_orders(deployment: Deployment) -> Iterator[Alarm]:
    hours = deployment.observability.longest_without_orders_hours
    if hours is not None:
        yield Alarm(
            name="no-orders",
            metric=orders(deployment, "Orders", "Sum"),
            comparison="<",
            threshold=1,
            unit="Count",
            period_seconds=HOUR_SECONDS,
            periods=hours,
            missing="breaching",
            why=f"No customer has ordered for {hours} hours. In the year of real invoices that the seed is "
            "made from, the shop was closed from each Friday evening to Sunday for up to 43 hours, and "
            "longer only over Christmas, Easter and one more holiday.",
            what_to_do="Unless it is a holiday: make smoke. If it passes, look at what comes before the "
            "database.",
        )
    yield Alarm(
        name="order-failures",
        metric=orders(deployment, "OrderFailures", "Sum"),
        comparison=">=",
        threshold=1,
        unit="Count",
        missing="notBreaching",
        why="An order was given up at its deadline, after all retries: a customer has no answer.",
        what_to_do="Look at RDS events for a failover and at proxy-borrow-latency; the caller may repeat the "
        "order with the same request token, which places it once.",
    )
    yield Alarm(
        name="order-latency",
        metric=orders(deployment, "OrderLatency", "p99"),
        comparison=">",
        threshold=1000,
        unit="Milliseconds",
        periods=3,
        missing="notBreaching",
        why="One order in a hundred takes longer than a second, for a quarter of an hour; a few milliseconds "
        "are usual.",
        what_to_do="Look at DB load on the dashboard: above the vCPUs' line it lacks capacity; below, what "
        "sessions wait for stands in Database Insights.",
    )
    yield Alarm(
        name="smoke-test",
        metric=Metric(SHOP, "SmokeTestFailed", {"Deployment": deployment.name}, "Sum"),
        comparison=">=",
        threshold=1,
        unit="Count",
        missing="notBreaching",
        why="A smoke test failed: an order did not do what it has to, or somebody could do what nobody may.",
        what_to_do="The function's log names each failed check, with what was expected and what was seen.",
    )


def _of_instances(deployment: Deployment) -> Iterator[Alarm]:
    settings = deployment.database
    readers = [("readers", "READER", settings.capacity_of_readers)] if settings.reader_count else []
    for who, role, capacity in [("writer", "WRITER", settings.capacity), *readers]:
        memory, connections = memory_bytes(capacity), max_connections(settings.engine, capacity)
        grow = "max_capacity_acu" if isinstance(capacity, ServerlessV2) else "instance_class"
        yield Alarm(
            name=f"cpu-{who}",
            metric=of_role(deployment, "CPUUtilization", role, "Average"),
            comparison=">=",
            threshold=90,
            unit="Percent",
            periods=3,
            missing="missing",
            why="CPU at 90 % for a quarter of an hour: no room is left for a failover's double load.",
            what_to_do=f"See in Database Insights which statements; then mend them, or raise {grow}.",
        )
        yield Alarm(
            name=f"memory-{who}",
            metric=of_role(deployment, "FreeableMemory", role, "Minimum"),
            comparison="<",
            threshold=memory // 10,
            unit="Bytes",
            periods=3,
            missing="missing",
            why=f"Less than a tenth of {memory / GIB:g} GiB is free for a quarter of an hour; without any, "
            "the instance restarts.",
            what_to_do="Look for sessions that sort or hash much, and for many connections; then raise "
            f"{grow}.",
        )
        yield Alarm(
            name=f"connections-{who}",
            metric=of_role(deployment, "DatabaseConnections", role, "Maximum"),
            comparison=">=",
            threshold=connections * 8 // 10,
            unit="Count",
            periods=2,
            missing="missing",
            why=f"Four fifths of the {connections} connections that such an instance takes are in use.",
            what_to_do="Find who connects past the proxy, and what does not give connections back; then "
            f"raise {grow}, from which max_connections follows.",
        )
    if isinstance(settings.capacity, ServerlessV2):
        yield Alarm(
            name="acu",
            metric=of_cluster(deployment, "ACUUtilization", "Maximum"),
            comparison=">=",
            threshold=90,
            unit="Percent",
            periods=3,
            missing="missing",
            why=f"An instance is near its {settings.capacity.max_capacity_acu:g} ACU for a quarter of an "
            "hour, and cannot grow any more.",
            what_to_do="If the load is real, raise max_capacity_acu; max_connections follows at the next "
            "restart.",
        )


def _of_cluster(deployment: Deployment) -> Iterator[Alarm]:
    settings = deployment.database
    if settings.reader_count:
        yield Alarm(
            name="replica-lag",
            metric=of_role(deployment, "AuroraReplicaLag", "READER", "Maximum"),
            comparison=">",
            threshold=2000,
            unit="Milliseconds",
            period_seconds=60,
            periods=5,
            missing="missing",
            why="A reader shows what was two seconds ago, for five minutes; under 100 ms are usual, and "
            "customers look for the order that they just placed.",
            what_to_do="Look at the reader's CPU and for long transactions there; a reader that falls far "
            "behind restarts by itself.",
        )
    yield Alarm(
        name="deadlocks",
        metric=of_role(deployment, "Deadlocks", "WRITER", "Average"),
        comparison=">",
        threshold=0,
        unit="Count/Second",
        missing="missing",
        why="There was a deadlock. Orders lock in the order of keys and have none.",
        what_to_do="The database's log names both statements: one of them is new, or somebody's by hand.",
    )
    if settings.engine == "postgresql":
        yield Alarm(
            name="transaction-ids",
            metric=of_role(deployment, "MaximumUsedTransactionIDs", "WRITER", "Maximum"),
            comparison=">",
            threshold=1_000_000_000,
            unit="Count",
            missing="missing",
            why="A table was not frozen for a billion transactions. At 2,146,483,648 the database takes no "
            "more writes; autovacuum begins at 200 million and should have been done long ago.",
            what_to_do="Look for what holds VACUUM back: an old transaction, a prepared one, a replication "
            "slot (pg_stat_activity.backend_xmin); end it, then VACUUM FREEZE the oldest tables.",
        )
    else:
        yield Alarm(
            name="history-list",
            metric=of_role(deployment, "RollbackSegmentHistoryListLength", "WRITER", "Maximum"),
            comparison=">",
            threshold=1_000_000,
            unit="Count",
            periods=3,
            missing="missing",
            why="Undo records of more than a million changes wait for purge, and every read goes through "
            "more of them: the length that Aurora's own insights report.",
            what_to_do="Find the oldest transaction in information_schema.innodb_trx, on the readers as "
            "well, and end it.",
        )
    growth = deployment.observability.storage_growth_gib_a_day
    yield Alarm(
        name="storage-growth",
        metric=of_cluster(deployment, "VolumeBytesUsed", "Maximum"),
        expression="DIFF(m)",
        comparison=">",
        threshold=growth * GIB,
        unit="Bytes",
        period_seconds=DAY_SECONDS,
        periods=2,  # a difference needs the day before
        breaches=1,
        missing="notBreaching",
        why=f"The volume grew by more than {growth} GiB in a day, which are paid for from then on; the real "
        "file's 541,909 lines take less than one.",
        what_to_do="See which table grows (pg_total_relation_size, information_schema.tables); a load "
        "announces itself, a loop does not.",
    )


def _of_proxy(deployment: Deployment) -> Iterator[Alarm]:
    if not deployment.database.proxy:
        return
    yield Alarm(
        name="proxy-borrow-latency",
        metric=of_proxy(deployment, "DatabaseConnectionsBorrowLatency", "Average"),
        comparison=">",
        threshold=100_000,
        unit="Microseconds",
        period_seconds=60,
        periods=5,
        missing="notBreaching",
        why="Clients wait a tenth of a second for a connection of the proxy, on average over five minutes: "
        "about a hundred times as long as an order takes.",
        what_to_do="Look at proxy-pinning and connections-writer: sessions are held, or there are too few.",
    )
    pinned = max_connections(deployment.database.engine, deployment.database.capacity) // 10
    yield Alarm(
        name="proxy-pinning",
        metric=of_proxy(deployment, "DatabaseConnectionsCurrentlySessionPinned", "Sum"),
        comparison=">",
        threshold=pinned,
        unit="Count",
        period_seconds=60,
        periods=10,
        missing="notBreaching",
        why=f"More than {pinned} connections, a tenth of all, serve one client each for ten minutes. Orders "
        "pin none, smoke tests four for seconds.",
        what_to_do="The proxy's log says why each was pinned: SET, a temporary table, a lock; take it out "
        "of the callers' statements.",
    )
    yield Alarm(
        name="proxy-refused-logins",
        metric=of_proxy(deployment, "ClientConnectionsSetupFailedAuth", "Sum"),
        comparison=">=",
        threshold=10,
        unit="Count",
        missing="notBreaching",
        why="The proxy refused ten logins in five minutes: a caller lacks rds-db:connect or TLS, or "
        "somebody tries.",
        what_to_do="The proxy's log names users and addresses; CloudTrail, who was given which policy last.",
    )


def _of_functions(functions: Mapping[str, str]) -> Iterator[Alarm]:
    for does, name in functions.items():
        yield Alarm(
            name=f"errors-{does}",
            metric=of_function(name, "Errors", "Sum"),
            comparison=">=",
            threshold=1,
            unit="Count",
            missing="notBreaching",
            why=_WHY_ERRORS.get(
                does, "The function failed: what it does is part of a deployment, and not done."
            ),
            what_to_do="Its log names the step and the reason; the log group is that of the function's own "
            "name.",
        )
        yield Alarm(
            name=f"throttles-{does}",
            metric=of_function(name, "Throttles", "Sum"),
            comparison=">=",
            threshold=1,
            unit="Count",
            missing="notBreaching",
            why="Lambda refused to start the function: its reserved concurrency, or the account's, is used "
            "up.",
            what_to_do="See who invokes it; raise reserved_concurrency, or the account's quota.",
        )


_WHY_ERRORS = {
    "rotate-secret": "A rotation of the admin secret failed. The present password goes on working until the "
    "next attempt; only the migrator uses it."
}
