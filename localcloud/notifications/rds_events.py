"""What RDS tells of clusters, instances and parameter groups: to event subscriptions and to EventBridge.

Aurora user guide: "Amazon RDS event categories and event messages", "Amazon RDS event notification".
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.rds.models import rds_backends

from localcloud.authorization.service_calls import ServiceCall
from localcloud.cloud import Cloud
from localcloud.notifications import event_bus, topics
from localcloud.notifications.outbox import Outbox

SUBJECT = "RDS Notification Message"
_EVENT_PAGE = "http://docs.amazonwebservices.com/AmazonRDS/latest/UserGuide/USER_Events.html#"


class Source(enum.StrEnum):
    """A kind of resource, as subscriptions name it."""

    CLUSTER = "db-cluster"
    INSTANCE = "db-instance"
    PARAMETER_GROUP = "db-parameter-group"

    @property
    def in_arns(self) -> str:
        """The kind in ARNs."""
        return {"db-cluster": "cluster", "db-instance": "db", "db-parameter-group": "pg"}[self.value]

    @property
    def at_eventbridge(self) -> str:
        """The kind in an event's detail, without what detail-type has around it."""
        return {"db-cluster": "CLUSTER", "db-instance": "DB_INSTANCE", "db-parameter-group": "DB_PARAM"}[
            self.value
        ]

    @property
    def detail_type(self) -> str:
        """What EventBridge calls such events."""
        names = {
            "db-cluster": "RDS DB Cluster Event",
            "db-instance": "RDS DB Instance Event",
            "db-parameter-group": "RDS DB Parameter Group Event",
        }
        return names[self.value]


@dataclass(frozen=True)
class Kind:
    """An event as AWS's table has it: its number, category and words."""

    source: Source
    number: str
    category: str
    message: str


CLUSTER_CREATED = Kind(Source.CLUSTER, "RDS-EVENT-0170", "creation", "DB cluster created.")
CLUSTER_DELETED = Kind(Source.CLUSTER, "RDS-EVENT-0171", "deletion", "DB cluster deleted.")
FAILOVER_STARTED = Kind(
    Source.CLUSTER, "RDS-EVENT-0073", "failover", "Started cross AZ failover to DB instance: {name}"
)
FAILOVER_COMPLETED = Kind(
    Source.CLUSTER, "RDS-EVENT-0071", "failover", "Completed failover to DB instance: {name}"
)
FAILOVER_FAILED = Kind(
    Source.CLUSTER,
    "RDS-EVENT-0069",
    "failover",
    "Cluster failover failed, check the health of your cluster instances and try again.",
)
UPGRADE_PREPARED = Kind(
    Source.CLUSTER, "RDS-EVENT-0363", "maintenance", "Upgrade preparation in progress: {name}"
)
UPGRADE_STARTED = Kind(
    Source.CLUSTER, "RDS-EVENT-0177", "maintenance", "Database cluster upgrade is in progress."
)
MAJOR_UPGRADED = Kind(
    Source.CLUSTER,
    "RDS-EVENT-0176",
    "maintenance",
    "Database cluster engine major version has been upgraded.",
)
UPGRADED = Kind(
    Source.CLUSTER, "RDS-EVENT-0173", "maintenance", "Database cluster engine version has been upgraded."
)
NOT_UPGRADABLE = Kind(
    Source.CLUSTER,
    "RDS-EVENT-0174",
    "maintenance",
    "Database cluster is in a state that cannot be upgraded.",
)
CLASS_CHANGING = Kind(
    Source.INSTANCE,
    "RDS-EVENT-0012",
    "configuration change",
    "Applying modification to database instance class.",
)
CLASS_CHANGED = Kind(
    Source.INSTANCE,
    "RDS-EVENT-0014",
    "configuration change",
    "Finished applying modification to DB instance class.",
)
INSTANCE_CREATED = Kind(Source.INSTANCE, "RDS-EVENT-0005", "creation", "DB instance created.")
INSTANCE_DELETED = Kind(Source.INSTANCE, "RDS-EVENT-0003", "deletion", "DB instance deleted.")
INSTANCE_RESTARTED = Kind(Source.INSTANCE, "RDS-EVENT-0006", "availability", "DB instance restarted.")
PARAMETER_UPDATED = Kind(
    Source.PARAMETER_GROUP,
    "RDS-EVENT-0037",
    "configuration change",
    "Updated parameter {name} to {value} with apply method {method}.",
)


@dataclass(frozen=True)
class _Event:
    kind: Kind
    source_id: str
    arn: str
    message: str
    at: datetime
    tags: Mapping[str, str]


def tell(cloud: Cloud, region: str, kind: Kind, source_id: str, **words: str) -> None:
    """Tell everybody who subscribed, soon."""
    event = _Event(
        kind,
        source_id,
        f"arn:aws:rds:{region}:{cloud.account}:{kind.source.in_arns}:{source_id}",
        kind.message.format(**words),
        datetime.now(UTC),
        _tags(cloud, region, kind.source, source_id),
    )
    Outbox.of(cloud).put(lambda: _tell(cloud, region, event))


def _tell(cloud: Cloud, region: str, event: _Event) -> None:
    message = topics.Message(
        json.dumps(_as_notification(event, region)),
        SUBJECT,
        {"EventID": event.kind.number, "Resource": event.arn},
    )
    for subscription in list(rds_backends[cloud.account][region].event_subscriptions.values()):
        if _hears(subscription, event.kind, event.source_id):
            arn = f"arn:aws:rds:{region}:{cloud.account}:es:{subscription.subscription_name}"
            call = ServiceCall(cloud, topics.RDS_EVENTS, arn)
            topics.publish(call, subscription.sns_topic_arn, message)
    event_bus.put_event(
        cloud,
        region,
        source="aws.rds",
        detail_type=event.kind.source.detail_type,
        resources=[event.arn],
        detail=_as_detail(event),
    )


def _as_notification(event: _Event, region: str) -> dict[str, Any]:
    console = f"https://console.aws.amazon.com/rds/home?region={region}"
    return {
        "Event Source": str(event.kind.source),
        "Event Time": event.at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
        "Identifier Link": f"{console}#:id={event.source_id}",
        "Source ID": event.source_id,
        "Source ARN": event.arn,
        "Event ID": _EVENT_PAGE + event.kind.number,
        "Event Message": event.message,
        "Tags": dict(event.tags),
    }


def _as_detail(event: _Event) -> dict[str, Any]:
    return {
        "EventCategories": [event.kind.category],
        "SourceType": event.kind.source.at_eventbridge,
        "SourceArn": event.arn,
        "Date": event.at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "Message": event.message,
        "SourceIdentifier": event.source_id,
        "EventID": event.kind.number,
        "Tags": dict(event.tags),
    }


def _hears(subscription: Any, kind: Kind, source_id: str) -> bool:
    return (
        bool(subscription.enabled)
        and subscription.source_type in (None, str(kind.source))
        and (not subscription.event_categories or kind.category in subscription.event_categories)
        and (not subscription.source_ids or source_id in map(str.lower, subscription.source_ids))
    )


def _tags(cloud: Cloud, region: str, source: Source, source_id: str) -> dict[str, str]:
    rds = rds_backends[cloud.account][region]
    records = {Source.CLUSTER: rds.clusters, Source.INSTANCE: rds.databases}.get(source, {})
    record = records.get(source_id)
    return {tag["Key"]: tag["Value"] for tag in getattr(record, "tags", None) or []}
