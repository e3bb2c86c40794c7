"""What each type of resource is charged for. A type that stands nowhere here is told, never free."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from operate.cost.templates import Resource, Templates
from operate.cost.usage import BOTH, DAYS_A_MONTH, HOURS_A_MONTH, Usage


@dataclass(frozen=True)
class Charge:
    """A quantity of something that has a price."""

    what: str
    price: str
    """The key of its price."""
    idle: Decimal
    busy: Decimal


class NotCounted(Exception):
    """A resource costs something that cannot be told from the template; the message says what."""


Rule = Callable[[Resource, Templates], Iterator[Charge]]


def charges_of(resource: Resource, templates: Templates) -> Iterator[Charge]:
    """Yield what a resource is charged for, nothing for what is free; raises NotCounted."""
    if resource.type in _RULES:
        yield from _RULES[resource.type](resource, templates)
    elif resource.type in BY_USE:
        raise NotCounted(BY_USE[resource.type])
    elif resource.type not in FREE:
        raise NotCounted("an unknown type: say in operate/cost/charges.py what it is charged for")


def _of(what: str, price: str, quantity: Callable[[Usage], Decimal]) -> Charge:
    idle, busy = (quantity(usage) for usage in BOTH)
    return Charge(what, price, idle, busy)


def _always(what: str, price: str, quantity: int | Decimal) -> Charge:
    return _of(what, price, lambda _: Decimal(quantity))


# --- the database


def _cluster(resource: Resource, _: Templates) -> Iterator[Charge]:
    properties = resource.properties
    if _is_optimized(resource):
        yield _of("data, by GB", "storage_optimized_gb_month", lambda usage: usage.storage_gb)
    else:
        yield _of("data, by GB", "storage_gb_month", lambda usage: usage.storage_gb)
        yield _of("I/O requests, by million", "io_million", lambda usage: usage.io_millions)
    days = int(properties.get("BackupRetentionPeriod", 1))
    if days > 1:
        yield _of(
            f"backups of {days} days beyond the data's own size, by GB",
            "backup_gb_month",
            lambda usage: usage.changed_gb_a_day * (days - 1),
        )
    hours = Decimal(properties.get("BacktrackWindow", 0)) / 3600
    if hours:
        # every record is kept, and paid for, as long as the window is
        yield _of(
            f"backtrack of {hours:f} hours, by million records and hour",
            "backtrack_million_records_hour",
            lambda usage: usage.million_records_an_hour * hours * HOURS_A_MONTH,
        )


def _instance(resource: Resource, templates: Templates) -> Iterator[Charge]:
    instance_class, cluster = resource.properties["DBInstanceClass"], _cluster_of(resource, templates)
    optimized = "optimized_" if _is_optimized(cluster) else ""
    advanced = cluster.properties.get("DatabaseInsightsMode") == "advanced"
    if instance_class == "db.serverless":
        smallest, largest = _capacity(resource, templates)
        acu_hours = _hours(resource, templates, _acu)
        yield _of(f"{smallest:f} to {largest:f} ACU, by hour", f"acu_{optimized}hour", acu_hours)
        if advanced:
            yield _of("Database Insights, by ACU and hour", "insights_acu_hour", acu_hours)
    else:
        yield _always(f"{instance_class}, by hour", f"{instance_class}_{optimized}hour", HOURS_A_MONTH)
        if advanced:
            hours = _vcpu(instance_class) * HOURS_A_MONTH
            yield _always("Database Insights, by vCPU and hour", "insights_vcpu_hour", hours)
    if resource.properties.get("PerformanceInsightsRetentionPeriod", 7) != 7 and not advanced:
        raise NotCounted("Performance Insights for more than 7 days, without Database Insights")
    if resource.properties.get("MonitoringInterval", cluster.properties.get("MonitoringInterval", 0)):
        raise NotCounted("Enhanced Monitoring, by GB of the log that it writes")


def _is_optimized(cluster: Resource) -> bool:
    return cluster.properties.get("StorageType") == "aurora-iopt1"


def _hours(
    resource: Resource, templates: Templates, quantity: Callable[[Resource, Templates, Usage], Decimal]
) -> Callable[[Usage], Decimal]:
    return lambda usage: quantity(resource, templates, usage) * HOURS_A_MONTH


def _acu(instance: Resource, templates: Templates, usage: Usage) -> Decimal:
    return _capacity(instance, templates)[usage.at_full_capacity]


def _capacity(instance: Resource, templates: Templates) -> tuple[Decimal, Decimal]:
    scaling = _cluster_of(instance, templates).properties["ServerlessV2ScalingConfiguration"]
    return Decimal(str(scaling["MinCapacity"])), Decimal(str(scaling["MaxCapacity"]))


def _cluster_of(instance: Resource, templates: Templates) -> Resource:
    cluster = templates.referred(instance, instance.properties.get("DBClusterIdentifier"))
    if cluster is None:
        raise NotCounted("its cluster is not in the same template")
    return cluster


_VCPU_OF_SIZE = {"medium": 2, "large": 2, "xlarge": 4}


def _vcpu(instance_class: str) -> Decimal:
    # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Concepts.DBInstanceClass.Summary.html
    size = instance_class.rsplit(".", 1)[-1]
    if size in _VCPU_OF_SIZE:
        return Decimal(_VCPU_OF_SIZE[size])
    if size.endswith("xlarge") and size.removesuffix("xlarge").isdecimal():
        return Decimal(size.removesuffix("xlarge")) * 4
    raise NotCounted(f"how many vCPU {instance_class} has is not known")


_LEAST_ACU_OF_A_PROXY = Decimal(8)
_LEAST_VCPU_OF_A_PROXY = Decimal(2)


def _proxy(resource: Resource, templates: Templates) -> Iterator[Charge]:
    """By the capacity of all instances behind it, and at least for 8 ACU or 2 vCPU."""
    instances = _behind(resource, templates)
    serverless = [one for one in instances if one.properties["DBInstanceClass"] == "db.serverless"]
    others = [one.properties["DBInstanceClass"] for one in instances if one not in serverless]
    if serverless:
        yield _of(
            "ACU behind the proxy, at least 8, by hour",
            "proxy_acu_hour",
            lambda usage: (
                HOURS_A_MONTH
                * max(
                    sum((_acu(one, templates, usage) for one in serverless), Decimal()), _LEAST_ACU_OF_A_PROXY
                )
            ),
        )
    if others:
        least = max(sum(map(_vcpu, others), Decimal()), _LEAST_VCPU_OF_A_PROXY)
        yield _always("vCPU behind the proxy, at least 2, by hour", "proxy_vcpu_hour", least * HOURS_A_MONTH)


def _behind(proxy: Resource, templates: Templates) -> list[Resource]:
    clusters = [
        templates.referred(group, cluster)
        for group in templates.of_type("AWS::RDS::DBProxyTargetGroup")
        if templates.referred(group, group.properties.get("DBProxyName")) == proxy
        for cluster in group.properties.get("DBClusterIdentifiers", [])
    ]
    instances = [
        one
        for one in templates.of_type("AWS::RDS::DBInstance")
        if templates.referred(one, one.properties.get("DBClusterIdentifier")) in clusters
    ]
    if not instances:
        raise NotCounted("no instance behind it is in the same template")
    return instances


_DAILY = re.compile(r"cron\(\d+ \d+ (?:\* \* \?|\? \* \*) \*\)")


def _recovery_points(resource: Resource, templates: Templates) -> Iterator[Charge]:
    """A snapshot within the cluster's own retention is free; each that is older counts as the whole volume.

    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-storage-backup.html
    """
    retained = [int(one.properties.get("BackupRetentionPeriod", 1)) for one in templates.of_type(_CLUSTER)]
    for rule in resource.properties["BackupPlan"]["BackupPlanRule"]:
        days = rule.get("Lifecycle", {}).get("DeleteAfterDays")
        if days is None or not _DAILY.fullmatch(str(rule.get("ScheduleExpression"))):
            raise NotCounted("recovery points that are kept for ever, or not made daily")
        points = max(int(days) - min(retained, default=1), 0)
        yield _of(
            f"{points} daily recovery points beyond the cluster's own backups, by GB",
            "backup_gb_month",
            _volumes(points),
        )
        if rule.get("CopyActions"):
            raise NotCounted("copies in another region, each of the whole volume, at that region's price")


def _volumes(number: int) -> Callable[[Usage], Decimal]:
    return lambda usage: usage.storage_gb * number


# --- what is around it


def _endpoint(resource: Resource, _: Templates) -> Iterator[Charge]:
    properties = resource.properties
    if properties.get("VpcEndpointType", "Gateway") == "Gateway":
        return  # free
    subnets = properties.get("SubnetIds")
    if not isinstance(subnets, list):
        raise NotCounted("how many zones it is in cannot be told")
    zones = len(subnets)
    yield _always(f"{zones} zones, by hour", "endpoint_zone_hour", zones * HOURS_A_MONTH)
    yield _of("data through it, by GB", "endpoint_gb", lambda usage: usage.endpoint_gb)


def _key(_: Resource, __: Templates) -> Iterator[Charge]:
    yield _always("key, until its first rotation", "key_month", 1)


def _secret(_: Resource, __: Templates) -> Iterator[Charge]:
    yield _always("secret", "secret_month", 1)


def _function(resource: Resource, _: Templates) -> Iterator[Charge]:
    properties = resource.properties
    architecture = (properties.get("Architectures") or ["x86_64"])[0]
    gib = Decimal(properties.get("MemorySize", 128)) / 1024
    yield _of(
        "invocations, by million", "lambda_million_requests", lambda usage: usage.invocations / 1_000_000
    )
    yield _of(
        f"{gib:f} GB of memory, by second",
        f"lambda_{architecture}_gb_second",
        lambda usage: gib * usage.invocations * usage.seconds_an_invocation,
    )


def _log_group(resource: Resource, _: Templates) -> Iterator[Charge]:
    days = resource.properties.get("RetentionInDays")
    if days is None:
        raise NotCounted("its log is kept for ever")
    yield _of("log taken in, by GB", "log_ingested_gb", lambda usage: usage.log_gb)
    yield _of(
        f"log kept for {days} days, by GB",
        "log_stored_gb_month",
        lambda usage: usage.log_gb * Decimal(days) / DAYS_A_MONTH,
    )


def _alarm(resource: Resource, _: Templates) -> Iterator[Charge]:
    if "ThresholdMetricId" in resource.properties:
        raise NotCounted("anomaly detection")
    queries = resource.properties.get("Metrics", [{"MetricStat": {}}])
    metrics = [query for query in queries if "MetricStat" in query]
    if not metrics:
        raise NotCounted("an alarm on a query")
    periods = [query["MetricStat"].get("Period", 60) for query in metrics]
    if min(resource.properties.get("Period", 60), *periods) < 60:
        raise NotCounted("an alarm of high resolution")
    yield _always("metrics watched", "alarm_metric_month", len(metrics))


def _dashboard(_: Resource, __: Templates) -> Iterator[Charge]:
    yield _always("dashboard", "dashboard_month", 1)


def _parameter(resource: Resource, _: Templates) -> Iterator[Charge]:
    if resource.properties.get("Tier", "Standard") != "Standard":
        raise NotCounted("an advanced parameter")
    yield from ()


_CLUSTER = "AWS::RDS::DBCluster"

_RULES: Mapping[str, Rule] = {
    "AWS::Backup::BackupPlan": _recovery_points,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::Dashboard": _dashboard,
    "AWS::EC2::VPCEndpoint": _endpoint,
    "AWS::KMS::Key": _key,
    "AWS::Lambda::Function": _function,
    "AWS::Logs::LogGroup": _log_group,
    _CLUSTER: _cluster,
    "AWS::RDS::DBInstance": _instance,
    "AWS::RDS::DBProxy": _proxy,
    "AWS::SSM::Parameter": _parameter,
    "AWS::SecretsManager::Secret": _secret,
}

FREE = frozenset(
    {
        "AWS::Backup::BackupSelection",  # its plan is charged for
        "AWS::Backup::BackupVault",
        "AWS::CDK::Metadata",
        "AWS::EC2::FlowLog",  # its log group is charged for
        "AWS::EC2::RouteTable",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::Subnet",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPC",
        "AWS::Events::Rule",  # events of AWS's own services
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::KMS::Alias",
        "AWS::Lambda::Alias",
        "AWS::Lambda::Permission",
        "AWS::Lambda::Version",
        "AWS::RDS::DBClusterParameterGroup",
        "AWS::RDS::DBParameterGroup",
        "AWS::RDS::DBProxyTargetGroup",
        "AWS::RDS::DBSubnetGroup",
        "AWS::RDS::EventSubscription",
        "AWS::SNS::TopicPolicy",
        "AWS::SecretsManager::ResourcePolicy",
        "AWS::SecretsManager::RotationSchedule",  # the function that it calls is charged for
        "AWS::SecretsManager::SecretTargetAttachment",
        # each is a call of a function that is charged for
        "Custom::Migrations",
        "Custom::SeedData",
        "Custom::SmokeTest",
        "Custom::VpcRestrictDefaultSG",
    }
)
"""What costs nothing by being there."""

BY_USE: Mapping[str, str] = {
    "AWS::CloudTrail::Trail": "data events, by 100,000",
    "AWS::Logs::MetricFilter": "its metric, by month",
    "AWS::RDS::DBProxyEndpoint": (
        "whether AWS bills a second endpoint of a proxy as an interface endpoint could not be confirmed"
    ),
    "AWS::S3::Bucket": "objects, by GB and month, and requests",
    "AWS::S3::BucketPolicy": "part of its bucket",
    "AWS::SNS::Subscription": "messages delivered",
    "AWS::SNS::Topic": "messages",
}
"""What costs something by how it is used, which nothing here assumes: told beside the sum."""
