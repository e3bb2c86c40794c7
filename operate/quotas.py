"""Whether the account has room for what a deployment would make, asked before anything is made.

CloudFormation meets a quota half-way, after a quarter of an hour of creating, and takes all of it back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from operate.aws import Refused
from operate.guard import deployed_templates
from operate.template_changes import Template

if TYPE_CHECKING:
    import boto3

    from operate.deployment import Deployment

Count = Callable[["boto3.Session"], int]
UNRESERVED_CONCURRENCY = 100
"""Executions that Lambda keeps for functions that reserve none: what is left of the quota may be reserved.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
"""


@dataclass(frozen=True)
class Quota:
    """How many of one kind an account may have in a region, and how many it has."""

    name: str
    """As Service Quotas calls it."""
    service: str
    code: str
    used: Count
    limit: Count | None = None
    """Where the service itself knows better than Service Quotas."""
    kept_free: int = 0
    """Of the limit, what nobody may take."""
    otherwise: str = ""
    """What to do where more is not to be had."""


@dataclass(frozen=True)
class Shortage:
    """One quota that a deployment would exceed."""

    quota: Quota
    limit: int
    used: int
    needed: int

    def __str__(self) -> str:
        """Say numbers, code and the next step."""
        quota, enough = self.quota, self.used + self.needed + self.quota.kept_free
        free = f", {quota.kept_free} have to stay free" if quota.kept_free else ""
        return (
            f"{quota.name} ({quota.code}): {self.needed} more needed, {self.used} of {self.limit} in use"
            f"{free}. Ask for {enough} or more: aws service-quotas request-service-quota-increase "
            f"--service-code {quota.service} --quota-code {quota.code} --desired-value {enough}"
            f"{quota.otherwise}"
        )


def check(
    console: Console, session: boto3.Session, deployment: Deployment, wanted: Mapping[str, Template]
) -> None:
    """Raise Refused with every quota that the wanted templates would exceed, and by how much.

    What is deployed already is not counted twice. A quota that nobody may ask for is named, and no obstacle.
    """
    deployed = deployed_templates(session, deployment.stack_names)
    needs = needed(wanted, deployed)
    shortages: list[Shortage] = []
    for resource_type, number in needs.items():
        quota = QUOTAS[resource_type]
        try:
            limit, used = limit_of(session, quota), quota.used(session)
        except (BotoCoreError, ClientError) as error:
            console.print(f"Quota not asked: {quota.name} ({error})", soft_wrap=True, markup=False)
            continue
        if used + number + quota.kept_free > limit:
            shortages.append(Shortage(quota, limit, used, number))
    if shortages:
        raise Refused(
            f"{deployment.title} would exceed what the account may have in {session.region_name}. Nothing "
            "was made:\n" + "\n".join(f"- {one}" for one in shortages) + "\n"
            "Or make room: make list shows what stands, make sweep destroys what has expired."
        )


def needed(wanted: Mapping[str, Template], deployed: Mapping[str, Template]) -> dict[str, int]:
    """Return by type how many more there would be, of types that have a quota; only where it is more."""
    more = _counted(wanted)
    more.subtract(_counted(deployed))
    return {kind: number for kind, number in more.items() if number > 0}


def limit_of(session: boto3.Session, quota: Quota) -> int:
    """Return how many there may be; AWS's default where the account has none of its own."""
    if quota.limit:
        return quota.limit(session)
    quotas = session.client("service-quotas")
    which = {"ServiceCode": quota.service, "QuotaCode": quota.code}
    try:
        found = quotas.get_service_quota(**which)["Quota"]
    except quotas.exceptions.NoSuchResourceException:
        found = quotas.get_aws_default_service_quota(**which)["Quota"]
    return int(found["Value"])


def _counted(templates: Mapping[str, Template]) -> Counter[str]:
    found: Counter[str] = Counter()
    for template in templates.values():
        for resource in template["Resources"].values():
            for kind, number in _weights(resource["Type"], resource.get("Properties", {})):
                found[kind] += number
    return found


def _weights(resource_type: str, properties: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    if resource_type == "AWS::Lambda::Function":
        yield RESERVED, int(properties.get("ReservedConcurrentExecutions", 0))
    elif resource_type == "AWS::EC2::VPCEndpoint" and properties.get("VpcEndpointType") == "Interface":
        return
    elif resource_type in QUOTAS:
        yield resource_type, 1


def _number_of(service: str, operation: str, key: str, **arguments: Any) -> Callable[[boto3.Session], int]:
    def used(session: boto3.Session) -> int:
        pages = cast(Any, session).client(service).get_paginator(operation).paginate(**arguments)
        return sum(len(page[key]) for page in pages)

    return used


def _concurrency(session: boto3.Session) -> int:
    return int(_concurrency_limits(session)["ConcurrentExecutions"])


def _reserved(session: boto3.Session) -> int:
    return _concurrency(session) - int(_concurrency_limits(session)["UnreservedConcurrentExecutions"])


def _concurrency_limits(session: boto3.Session) -> Mapping[str, Any]:
    limits: Mapping[str, Any] = session.client("lambda").get_account_settings()["AccountLimit"]
    return limits


RESERVED = "reserved concurrency"
GATEWAYS: Sequence[Mapping[str, Any]] = [{"Name": "vpc-endpoint-type", "Values": ["Gateway"]}]
QUOTAS: Mapping[str, Quota] = {
    "AWS::EC2::VPC": Quota(
        "VPCs per Region", "vpc", "L-F678F1CE", _number_of("ec2", "describe_vpcs", "Vpcs")
    ),
    "AWS::EC2::VPCEndpoint": Quota(
        "Gateway VPC endpoints per Region",
        "vpc",
        "L-1B52E74A",
        _number_of("ec2", "describe_vpc_endpoints", "VpcEndpoints", Filters=GATEWAYS),
    ),
    "AWS::RDS::DBCluster": Quota(
        "DB clusters", "rds", "L-952B80B8", _number_of("rds", "describe_db_clusters", "DBClusters")
    ),
    "AWS::RDS::DBInstance": Quota(
        "DB instances", "rds", "L-7B6409FD", _number_of("rds", "describe_db_instances", "DBInstances")
    ),
    "AWS::RDS::DBProxy": Quota(
        "Proxies", "rds", "L-D94C7EA3", _number_of("rds", "describe_db_proxies", "DBProxies")
    ),
    "AWS::RDS::DBSubnetGroup": Quota(
        "DB subnet groups", "rds", "L-48C6BF61",
        _number_of("rds", "describe_db_subnet_groups", "DBSubnetGroups"),
    ),
    "AWS::RDS::DBClusterParameterGroup": Quota(
        "DB cluster parameter groups", "rds", "L-E4C808A8",
        _number_of("rds", "describe_db_cluster_parameter_groups", "DBClusterParameterGroups"),
    ),
    "AWS::RDS::DBParameterGroup": Quota(
        "Parameter groups", "rds", "L-DE55804A",
        _number_of("rds", "describe_db_parameter_groups", "DBParameterGroups"),
    ),
    "AWS::RDS::EventSubscription": Quota(
        "Event subscriptions", "rds", "L-A59F4C87",
        _number_of("rds", "describe_event_subscriptions", "EventSubscriptionsList"),
    ),
    RESERVED: Quota(
        "Concurrent executions", "lambda", "L-B99A9384", _reserved,
        limit=_concurrency, kept_free=UNRESERVED_CONCURRENCY,
        otherwise="; or reserve none: FunctionSettings(reserved_concurrency=None) in stacks/settings.py",
    ),
}  # fmt: skip
"""By type: the quotas that environments of this project meet first, since by default they are 5 to 50."""
