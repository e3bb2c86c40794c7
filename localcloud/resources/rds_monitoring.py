"""What RDS watches of clusters and instances: recorded and answered, refused where RDS refuses it."""

from __future__ import annotations

from typing import Any

from localcloud.authorization import services_acting
from localcloud.authorization.services_using_keys import key_named
from localcloud.resources.base import Properties, Request, ResourceFailed
from localcloud.resources.on_moto import flag

# "Turning Enhanced Monitoring on and off", Aurora user guide
_INTERVALS_SECONDS = (0, 1, 5, 10, 15, 30, 60)
# "Pricing and data retention for Performance Insights": a week, months of 31 days, two years
_RETENTIONS_DAYS = (7, *(31 * months for months in range(1, 24)), 731)
# "Turning on the Advanced mode of Database Insights for Amazon Aurora"
_ADVANCED_DAYS = 465

# the registry's name of clusters, of instances, and the attribute that Describe answers with
_RECORDED = (
    ("MonitoringInterval", "MonitoringInterval", "monitoring_interval"),
    ("MonitoringRoleArn", "MonitoringRoleArn", "monitoring_role_arn"),
    ("DatabaseInsightsMode", "DatabaseInsightsMode", "database_insights_mode"),
    ("PerformanceInsightsEnabled", "EnablePerformanceInsights", "performance_insights_enabled"),
    ("PerformanceInsightsKmsKeyId", "PerformanceInsightsKMSKeyId", "performance_insights_kms_key_id"),
    (
        "PerformanceInsightsRetentionPeriod",
        "PerformanceInsightsRetentionPeriod",
        "performance_insights_retention_period",
    ),
)


def refuse_monitoring(request: Request) -> None:
    """ResourceFailed, in RDS's words, for monitoring and insights that RDS would not turn on."""
    _refuse_enhanced_monitoring(request)
    _refuse_insights(request)


def show_monitoring(record: Any, given: Properties) -> None:
    """Let DescribeDBClusters and DescribeDBInstances say what the template says."""
    for of_cluster, of_instance, attribute in _RECORDED:
        value = given.get(of_cluster, given.get(of_instance))
        if attribute in ("monitoring_interval", "performance_insights_retention_period"):
            value = None if value is None else int(value)
        elif attribute == "performance_insights_enabled":
            value = str(value or False).lower() == "true"
        setattr(record, attribute, value)


def found_monitoring(record: Any, *, of_cluster: bool) -> Properties:
    """Return what is recorded, under the registry's names for clusters or for instances."""
    return {
        (cluster if of_cluster else instance): getattr(record, attribute, None)
        for cluster, instance, attribute in _RECORDED
    }


def _refuse_enhanced_monitoring(request: Request) -> None:
    given = request.properties
    interval, role = int(given.get("MonitoringInterval") or 0), given.get("MonitoringRoleArn")
    if interval not in _INTERVALS_SECONDS:
        raise ResourceFailed(
            f"Invalid monitoring interval {interval}: valid values are"
            f" {', '.join(map(str, _INTERVALS_SECONDS))}"
        )
    if interval and not role:
        raise ResourceFailed(
            "A MonitoringRoleARN value is required if you specify a MonitoringInterval value other than 0."
        )
    if role and not interval:
        raise ResourceFailed(
            "You must specify a MonitoringInterval value other than 0 when you specify a MonitoringRoleARN"
            " value."
        )
    refused = role and services_acting.why_no_monitoring(request.cloud, role, request.region)
    if refused:
        raise ResourceFailed(refused)


def _refuse_insights(request: Request) -> None:
    given = request.properties
    enabled = flag(given, "PerformanceInsightsEnabled") or flag(given, "EnablePerformanceInsights")
    days = int(given.get("PerformanceInsightsRetentionPeriod") or 7)
    if days not in _RETENTIONS_DAYS:
        raise ResourceFailed(
            f"Invalid Performance Insights retention period {days}: valid values are 7, month * 31 (1 to 23"
            " months), 731"
        )
    if given.get("DatabaseInsightsMode") == "advanced" and not (enabled and days >= _ADVANCED_DAYS):
        raise ResourceFailed(
            "To enable the Advanced mode of Database Insights, you must enable Performance Insights and set"
            f" its retention period to at least {_ADVANCED_DAYS} days."
        )
    key = given.get("PerformanceInsightsKmsKeyId") or given.get("PerformanceInsightsKMSKeyId")
    if key and not str(key).rpartition("alias/")[2].startswith("aws/"):
        found = key_named(request.account, request.region, str(key))
        if found is None or found.key_state != "Enabled":
            raise ResourceFailed(
                f"The specified KMS key [{key}] does not exist, is not enabled or you do not have permissions"
                " to access it."
            )
