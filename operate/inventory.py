"""Everything of one environment that an account still has, found by its tags and by its names.

By both, since each alone misses something: services make logs, snapshots and interfaces without our tags, and
names of CloudFormation's making end in ways that nobody knows beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from operate.rehearsals.copies import TAG as REHEARSAL_TAG
from operate.rehearsals.copies import Copies
from operate.rehearsals.steps import Steps
from stacks.settings import STACKS, Deployment

if TYPE_CHECKING:
    import boto3


@dataclass(frozen=True)
class Found:
    """One thing that is there."""

    kind: str
    name: str
    """By which people know it."""
    identifier: str
    """By which its service's API knows it."""
    state: str = ""
    """What its service says of it, where that matters here."""
    gone_by: datetime | None = None
    """When it goes by itself."""
    gibibytes: float = 0
    arn: str = ""


@dataclass(frozen=True)
class Inventory:
    """What is there, and where nobody could look."""

    found: tuple[Found, ...]
    not_looked_at: tuple[str, ...]


def inventory(session: boto3.Session, settings: Deployment, *, local: bool = False) -> Inventory:
    """Look for everything of an environment; reads only. A service that does not answer is named.

    `local`: on the local cloud, which does not have everything that AWS has.
    """
    found: dict[tuple[str, str], Found] = {}
    unseen: list[str] = []
    for kind, look in LISTERS.items():
        if local and kind in NOT_ON_LOCAL_CLOUD:
            continue
        try:
            found |= {(one.kind, one.identifier): one for one in look(session, settings)}
        except (ClientError, BotoCoreError) as error:
            unseen.append(f"{kind}: {error}")
    listed = [one for one in found.values() if one.kind != TAGGED]
    known = {one.arn for one in listed} | {one.identifier for one in listed}
    rest = [one for one in found.values() if one.kind == TAGGED and not _is_known(one, known)]
    return Inventory((*listed, *rest), tuple(unseen))


TAGGED = "tagged resource"
COPY = "rehearsal's copy"
LAMBDA_INTERFACE = "AWS Lambda VPC ENI"
"""How the description of each interface begins that Lambda makes for functions in a VPC."""


def _is_known(tagged: Found, known: set[str]) -> bool:
    """Whether another lister has it, or has seen that it is gone: the index of tags lags behind deletions."""
    service = tagged.identifier.split(":")[2]
    return bool({tagged.identifier, tagged.identifier.split("/")[-1]} & known) or service in FULLY_LISTED


FULLY_LISTED = frozenset({"cloudformation", "logs", "kms", "secretsmanager", "ssm", "lambda"})
"""Services of which the listers see everything that may bear our tags."""


def stacks(session: boto3.Session, settings: Deployment) -> Iterator[Found]:
    """Yield the environment's stacks."""
    names = {settings.stack_name(part) for part in STACKS}
    for stack in _pages(session, "cloudformation", "describe_stacks", "Stacks"):
        if stack["StackName"] in names:
            yield Found("stack", stack["StackName"], stack["StackId"], state=stack["StackStatus"])


def _log_groups(session: boto3.Session, settings: Deployment) -> Iterator[Found]:
    own = [settings.stack_name(part) for part in STACKS]
    prefixes = [
        *(f"{place}{stack}-" for place in ("", "/aws/lambda/", "/aws/rds/instance/") for stack in own),
        f"/aws/rds/cluster/{settings.cluster_name}/",
        f"/aws/rds/proxy/{settings.proxy_name}",
    ]
    for prefix in prefixes:
        for group in _pages(session, "logs", "describe_log_groups", "logGroups", logGroupNamePrefix=prefix):
            name = group["logGroupName"]
            if prefix.endswith(("-", "/")) or name == prefix:
                size = group.get("storedBytes", 0) / 2**30
                yield Found("log group", name, name, gibibytes=size, arn=group["arn"].removesuffix(":*"))


def _clusters(session: boto3.Session, settings: Deployment) -> Iterator[Found]:
    for cluster in _pages(session, "rds", "describe_db_clusters", "DBClusters"):
        name = cluster["DBClusterIdentifier"]
        if name == settings.cluster_name:
            yield Found("cluster", name, name, state=cluster["Status"], arn=cluster["DBClusterArn"])
    for instance in _pages(session, "rds", "describe_db_instances", "DBInstances"):
        name = instance["DBInstanceIdentifier"]
        if instance.get("DBClusterIdentifier") == settings.cluster_name:
            state = instance["DBInstanceStatus"]
            yield Found("instance", name, name, state=state, arn=instance["DBInstanceArn"])


def _proxies(session: boto3.Session, settings: Deployment) -> Iterator[Found]:
    for one in _pages(session, "rds", "describe_db_proxies", "DBProxies"):
        if one["DBProxyName"] == settings.proxy_name:
            yield Found(
                "proxy", one["DBProxyName"], one["DBProxyName"], state=one["Status"], arn=one["DBProxyArn"]
            )


def _snapshots(session: boto3.Session, settings: Deployment) -> Iterator[Found]:
    for one in _pages(
        session,
        "rds",
        "describe_db_cluster_snapshots",
        "DBClusterSnapshots",
        DBClusterIdentifier=settings.cluster_name,
    ):
        name = one["DBClusterSnapshotIdentifier"]
        if REHEARSAL_TAG in {tag["Key"] for tag in one.get("TagList", [])}:
            continue  # no copy of anybody's data that is to be kept: see _copies
        yield Found(
            "cluster snapshot",
            name,
            name,
            state=one.get("SnapshotType", "manual"),
            gibibytes=float(one.get("AllocatedStorage") or 0),
            arn=one["DBClusterSnapshotArn"],
        )


def copies_of(session: boto3.Session, settings: Deployment, console: Console, *, local: bool) -> Copies:
    """Return what rehearsals of an environment have left, to be taken away; the console hears of it."""
    steps = Steps(console, poll_seconds=0.2 if local else 5)
    return Copies(session, steps, cluster=settings.cluster_name, tags=settings.tags)


def _copies(session: boto3.Session, settings: Deployment) -> Iterator[Found]:
    for name in copies_of(session, settings, Console(quiet=True), local=True).left():
        yield Found(COPY, name, name)


def _automated_backups(session: boto3.Session, settings: Deployment) -> Iterator[Found]:
    for one in _pages(
        session,
        "rds",
        "describe_db_cluster_automated_backups",
        "DBClusterAutomatedBackups",
        DBClusterIdentifier=settings.cluster_name,
    ):
        if one["Status"] == "retained":  # what belongs to a cluster that is there goes with it
            name = one["DbClusterResourceId"]
            yield Found("automated backup", name, name, gibibytes=float(one.get("AllocatedStorage") or 0))


def _secrets(session: boto3.Session, settings: Deployment) -> Iterator[Found]:
    prefix = f"shop/{settings.name}/"
    for one in _pages(
        session,
        "secretsmanager",
        "list_secrets",
        "SecretList",
        IncludePlannedDeletion=True,
        Filters=[{"Key": "name", "Values": [prefix]}],
    ):
        if one["Name"].startswith(prefix):
            state = "in recovery" if one.get("DeletedDate") else "in use"
            yield Found("secret", one["Name"], one["ARN"], state=state, arn=one["ARN"])


def _keys(session: boto3.Session, settings: Deployment) -> Iterator[Found]:
    """By alias and by tag: a key that is pending deletion has lost its alias with its stack."""
    kms = session.client("kms")
    ours = (settings.key_alias, settings.log_key_alias, settings.vault_key_alias)
    names: dict[str, str] = {arn.split("/")[-1]: "" for arn in _tagged_arns(session, settings, "kms:key")}
    for alias in _pages(session, "kms", "list_aliases", "Aliases"):
        name, key_id = alias["AliasName"], alias.get("TargetKeyId")
        if key_id and (key_id in names or name in ours):
            names[key_id] = name
    for key_id, name in names.items():
        try:
            key = kms.describe_key(KeyId=key_id)["KeyMetadata"]
        except kms.exceptions.NotFoundException:
            continue  # the index of tags lags behind
        yield Found(
            "key",
            name or key.get("Description") or key_id,
            key_id,
            state=key["KeyState"],
            gone_by=key.get("DeletionDate"),
            arn=key["Arn"],
        )


def _parameters(session: boto3.Session, settings: Deployment) -> Iterator[Found]:
    path = f"/shop/{settings.name}/"
    for one in _pages(session, "ssm", "get_parameters_by_path", "Parameters", Path=path, Recursive=True):
        yield Found("parameter", one["Name"], one["Name"], arn=one.get("ARN", ""))


def _functions(session: boto3.Session, settings: Deployment) -> Iterator[Found]:
    own = tuple(f"{settings.stack_name(part)}-" for part in STACKS)
    for one in _pages(session, "lambda", "list_functions", "Functions"):
        if one["FunctionName"].startswith(own):
            name = one["FunctionName"]
            yield Found("function", name, name, arn=one["FunctionArn"])


def _roles(session: boto3.Session, settings: Deployment) -> Iterator[Found]:
    own = tuple(f"{settings.stack_name(part)}-" for part in STACKS)
    for one in _pages(session, "iam", "list_roles", "Roles"):
        if one["RoleName"].startswith(own):
            yield Found("role", one["RoleName"], one["RoleName"], arn=one["Arn"])


def _network(session: boto3.Session, settings: Deployment) -> Iterator[Found]:
    """A VPC, and the interfaces that keep it from being deleted."""
    tags = [{"Name": f"tag:{key}", "Values": [value]} for key, value in _identity(settings).items()]
    vpcs = [one["VpcId"] for one in _pages(session, "ec2", "describe_vpcs", "Vpcs", Filters=tags)]
    for vpc in vpcs:
        yield Found("VPC", vpc, vpc)
    if not vpcs:
        return
    inside = [{"Name": "vpc-id", "Values": vpcs}]
    for one in _pages(session, "ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=inside):
        name = one["NetworkInterfaceId"]
        yield Found("network interface", f"{name} ({one.get('Description', '')})", name, state=one["Status"])


def _vault(session: boto3.Session, settings: Deployment) -> Iterator[Found]:
    vaults = _pages(session, "backup", "list_backup_vaults", "BackupVaultList")
    for vault in (one for one in vaults if one["BackupVaultName"] == settings.vault_name):
        name, arn = vault["BackupVaultName"], vault["BackupVaultArn"]
        yield Found("backup vault", name, name, arn=arn)
        if not vault.get("NumberOfRecoveryPoints"):
            continue
        for point in _pages(
            session,
            "backup",
            "list_recovery_points_by_backup_vault",
            "RecoveryPoints",
            BackupVaultName=name,
        ):
            point_arn = point["RecoveryPointArn"]
            yield Found(
                "recovery point",
                point_arn,
                point_arn,
                state=point.get("Status", ""),
                gone_by=point.get("CalculatedLifecycle", {}).get("DeleteAt"),
                gibibytes=point.get("BackupSizeInBytes", 0) / 2**30,
                arn=point_arn,
            )


def _dashboards(session: boto3.Session, settings: Deployment) -> Iterator[Found]:
    """By name: a dashboard cannot be found by tags."""
    for one in _pages(session, "cloudwatch", "list_dashboards", "DashboardEntries"):
        if one["DashboardName"] == f"shop-{settings.name}":
            yield Found("dashboard", one["DashboardName"], one["DashboardName"], arn=one["DashboardArn"])


def _tagged(session: boto3.Session, settings: Deployment) -> Iterator[Found]:
    for arn in _tagged_arns(session, settings):
        yield Found(TAGGED, arn.split(":", 5)[-1], arn, arn=arn)


LISTERS: Mapping[str, Callable[[boto3.Session, Deployment], Iterator[Found]]] = {
    "stacks": stacks,
    "log groups": _log_groups,
    "clusters": _clusters,
    "proxies": _proxies,
    "rehearsals": _copies,
    "cluster snapshots": _snapshots,
    "automated backups": _automated_backups,
    "secrets": _secrets,
    "keys": _keys,
    "parameters": _parameters,
    "functions": _functions,
    "roles": _roles,
    "network": _network,
    "backup vault": _vault,
    "dashboards": _dashboards,
    "tags": _tagged,
}


NOT_ON_LOCAL_CLOUD = frozenset({"automated backups"})
"""Of what the local cloud makes none, and cannot be asked for any."""


def _tagged_arns(session: boto3.Session, settings: Deployment, *types: str) -> list[str]:
    filters = [{"Key": key, "Values": [value]} for key, value in _identity(settings).items()]
    pages = _pages(
        session,
        "resourcegroupstaggingapi",
        "get_resources",
        "ResourceTagMappingList",
        TagFilters=filters,
        **({"ResourceTypeFilters": list(types)} if types else {}),
    )
    return [one["ResourceARN"] for one in pages]


def _identity(settings: Deployment) -> dict[str, str]:
    """Return the tags that tell this environment from all others of an account."""
    return {key: settings.tags[key] for key in ("application", "environment")}


def _pages(session: boto3.Session, service: str, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    client = cast(Any, session).client(service)
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page[key]
