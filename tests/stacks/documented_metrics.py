"""What AWS documents of the metrics that alarms and dashboard name: units, engines, dimensions.

Written down on 2026-11-21, metric by metric, those that are used and their neighbours, each with its page.
Aurora's and the proxy's rows were read in stored editions of their pages, older than that day; those of
Serverless v2, Database Insights and Lambda were not all read there again: compare a row with its page before
something new relies on it. The unit is CloudWatch's: "Megabytes" of an older edition of the first page stands
for Bytes, as RDS sends them.
"""

from __future__ import annotations

from dataclasses import dataclass

USER_GUIDE = "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/"
AURORA_PAGE = USER_GUIDE + "Aurora.AuroraMonitoring.Metrics.html"
AURORA_DIMENSIONS_PAGE = USER_GUIDE + "dimensions.html"
SERVERLESS_PAGE = (
    USER_GUIDE + "aurora-serverless-v2.setting-capacity.html#aurora-serverless-v2.viewing.monitoring"
)
INSIGHTS_PAGE = USER_GUIDE + "USER_PerfInsights.Cloudwatch.html"
PROXY_PAGE = USER_GUIDE + "rds-proxy.monitoring.html"
LAMBDA_PAGE = "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html"
BOTH = ("postgresql", "mysql")


@dataclass(frozen=True)
class Documented:
    """One metric as its page has it."""

    page: str
    unit: str
    dimensions: tuple[frozenset[str], ...]
    engines: tuple[str, ...] = BOTH


def _sets(*names: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(one.split()) for one in names)


_INSTANCE = _sets("DBInstanceIdentifier", "DBClusterIdentifier", "DBClusterIdentifier Role")
_CLUSTER = _sets("DBClusterIdentifier")
_PROXY = _sets(
    "ProxyName", "ProxyName EndpointName", "ProxyName TargetGroup Target", "ProxyName TargetGroup TargetRole"
)
_FUNCTION = _sets("FunctionName", "FunctionName Resource", "")

METRICS = {
    "AWS/RDS": {
        "AuroraReplicaLag": Documented(AURORA_PAGE, "Milliseconds", _INSTANCE),
        "AuroraReplicaLagMaximum": Documented(AURORA_PAGE, "Milliseconds", _INSTANCE),
        "CPUUtilization": Documented(AURORA_PAGE, "Percent", _INSTANCE),
        "CommitLatency": Documented(AURORA_PAGE, "Milliseconds", _INSTANCE),
        "DatabaseConnections": Documented(AURORA_PAGE, "Count", _INSTANCE),
        "Deadlocks": Documented(AURORA_PAGE, "Count/Second", _INSTANCE),
        "FreeableMemory": Documented(AURORA_PAGE, "Bytes", _INSTANCE),
        "MaximumUsedTransactionIDs": Documented(AURORA_PAGE, "Count", _INSTANCE, ("postgresql",)),
        "RollbackSegmentHistoryListLength": Documented(AURORA_PAGE, "Count", _INSTANCE, ("mysql",)),
        "VolumeBytesUsed": Documented(AURORA_PAGE, "Bytes", _CLUSTER),
        "ACUUtilization": Documented(SERVERLESS_PAGE, "Percent", _INSTANCE),
        "ServerlessDatabaseCapacity": Documented(SERVERLESS_PAGE, "Count", _INSTANCE),
        "DBLoad": Documented(INSIGHTS_PAGE, "Count", _sets("DBInstanceIdentifier")),
        "DBLoadCPU": Documented(INSIGHTS_PAGE, "Count", _sets("DBInstanceIdentifier")),
        "DBLoadNonCPU": Documented(INSIGHTS_PAGE, "Count", _sets("DBInstanceIdentifier")),
        "ClientConnectionsSetupFailedAuth": Documented(PROXY_PAGE, "Count", _PROXY[:2]),
        "DatabaseConnectionsBorrowLatency": Documented(PROXY_PAGE, "Microseconds", _PROXY[:2]),
        "DatabaseConnectionsCurrentlySessionPinned": Documented(
            PROXY_PAGE, "Count", (_PROXY[0], *_PROXY[2:])
        ),
        "QueryDatabaseResponseLatency": Documented(PROXY_PAGE, "Microseconds", _PROXY),
    },
    "AWS/Lambda": {
        "Invocations": Documented(LAMBDA_PAGE, "Count", _FUNCTION),
        "Errors": Documented(LAMBDA_PAGE, "Count", _FUNCTION),
        "Throttles": Documented(LAMBDA_PAGE, "Count", _FUNCTION),
        "Duration": Documented(LAMBDA_PAGE, "Milliseconds", _FUNCTION),
        "ConcurrentExecutions": Documented(LAMBDA_PAGE, "Count", _FUNCTION),
    },
}

EVENT_CATEGORIES = {
    # USER_Events.Messages.html, "Amazon RDS event categories and event messages for Aurora"
    "db-cluster": {
        "configuration change", "creation", "deletion", "failover", "failure", "global-failover",
        "maintenance", "migration", "notification", "serverless",
    },
    "db-instance": {
        "availability", "backtrack", "backup", "configuration change", "creation", "deletion", "failover",
        "failure", "low storage", "maintenance", "notification", "read replica", "recovery", "restoration",
        "security", "security patching", "serverless",
    },
    "db-parameter-group": {"configuration change"},
    "db-security-group": {"configuration change", "failure"},
    "db-proxy": {"configuration change", "creation", "deletion", "failure"},
}  # fmt: skip
