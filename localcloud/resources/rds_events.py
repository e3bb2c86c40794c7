"""AWS::RDS::EventSubscription: which of RDS's events go to a topic."""

from __future__ import annotations

from typing import Any, ClassVar

from moto.sns.models import sns_backends

from localcloud.resources.base import Properties, Provisioned, Request, ResourceFailed
from localcloud.resources.on_moto import OnMoto, flag, gone_is_deleted, tag_list
from localcloud.resources.rds_records import backend

# "Amazon RDS event categories and event messages for Aurora": of what RDS tells something, and which kinds
CATEGORIES = frozenset(
    {
        "availability", "backtrack", "backup", "configuration change", "creation", "deletion", "failover",
        "failure", "global-failover", "low storage", "maintenance", "migration", "notification",
        "read replica", "recovery", "restoration", "security", "security patching", "serverless",
    }
)  # fmt: skip
SOURCE_TYPES = frozenset(
    {
        "blue-green-deployment", "custom-engine-version", "db-cluster", "db-cluster-snapshot", "db-instance",
        "db-parameter-group", "db-proxy", "db-security-group", "db-shard-group", "db-snapshot", "zero-etl",
    }
)  # fmt: skip


class EventSubscription(OnMoto):
    """A topic that hears of RDS's events. What it hears of is in localcloud/notifications/rds_events.py."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"Enabled", "EventCategories", "SnsTopicArn", "SourceIds", "SourceType", "SubscriptionName", "Tags"}
    )

    def create(self, request: Request) -> Provisioned:
        """Create the subscription; Ref yields its name."""
        name = request.properties.get("SubscriptionName") or request.generated_name(longest=255)
        _refuse(request)
        backend(request).create_event_subscription({"subscription_name": name})
        return self.update(request, Provisioned(name), {})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring everything but the name to what the template says."""
        given = request.properties
        _refuse(request)
        record = backend(request).event_subscriptions[current.physical_id]
        record.sns_topic_arn = given["SnsTopicArn"]
        record.source_type = given.get("SourceType")
        record.event_categories = given.get("EventCategories", [])
        record.source_ids = given.get("SourceIds", [])
        record.enabled = flag(given, "Enabled", default=True)
        record.tags = tag_list(given)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the subscription."""
        with gone_is_deleted():
            backend(request).delete_event_subscription(current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return what is told, of what, and to which topic."""
        record = backend(request).event_subscriptions.get(current.physical_id)
        if record is None:
            return None
        return {
            "Enabled": record.enabled,
            "EventCategories": record.event_categories,
            "SnsTopicArn": record.sns_topic_arn,
            "SourceIds": record.source_ids,
            "SourceType": record.source_type,
            "SubscriptionName": current.physical_id,
            "Tags": record.tags,
        }


def _refuse(request: Request) -> None:
    """Refuse what CreateEventSubscription refuses."""
    given = request.properties
    topic, kind = given["SnsTopicArn"], given.get("SourceType")
    if topic not in sns_backends[request.account][request.region].topics:
        raise ResourceFailed("The SNS topic ARN does not exist. (SNSTopicArnNotFound)")
    if kind is not None and kind not in SOURCE_TYPES:
        raise ResourceFailed(f"Invalid source type: {kind} (InvalidParameterValue)")
    unknown = sorted(set(given.get("EventCategories", [])) - CATEGORIES)
    if unknown:
        raise ResourceFailed(
            f"The supplied category does not exist: {', '.join(unknown)} (SubscriptionCategoryNotFound)"
        )
    if given.get("SourceIds") and kind is None:
        raise ResourceFailed(
            "SourceIds supplied must also specify a SourceType (InvalidParameterCombination)"
        )
    known = _known_sources(request, kind)
    missing = [one for one in given.get("SourceIds", []) if known is not None and one.lower() not in known]
    if missing:
        raise ResourceFailed(
            f"The requested source could not be found: {', '.join(missing)} (SourceNotFound)"
        )


def _known_sources(request: Request, kind: str | None) -> set[str] | None:
    """Return the names that exist; None for kinds that have no records here."""
    rds = backend(request)
    records: dict[str, list[Any]] = {
        "db-cluster": [rds.clusters],
        "db-instance": [rds.databases],
        "db-parameter-group": [rds.db_parameter_groups, rds.db_cluster_parameter_groups],
        "db-cluster-snapshot": [rds.cluster_snapshots],
        "db-proxy": [rds.db_proxies],
    }
    found = records.get(kind or "")
    return None if found is None else {str(name).lower() for one in found for name in one}
