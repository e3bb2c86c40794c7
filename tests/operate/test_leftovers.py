"""What a destroyed environment left is taken away, but for what is to be kept, and for its neighbours'."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from rich.console import Console

import operate.deployment
from operate import inventory, lifecycle
from operate.inventory import COPY, Found
from operate.leftovers import LEFT, NOTHING_LEFT, monthly_cost, print_leftovers, take_away
from stacks.settings import DEPLOYMENTS, Deployment
from stacks.validation import choose

PR = choose("ephemeral", name="pr-4")
RETAINED = replace(DEPLOYMENTS["production"], name="pr-4")
NEIGHBOURS = ("pr-42", "pr-4-b", "xpr-4")


def leave(session: Any, name: str) -> None:
    """Leave one of each kind that an environment may leave."""
    one = replace(PR, name=name)
    tags = [{"Key": key, "Value": value} for key, value in one.tags.items()]
    logs, secrets, kms = (session.client(service) for service in ("logs", "secretsmanager", "kms"))
    for group in (
        f"/aws/lambda/shop-{name}-schema-SeedData-1A2B3C",
        f"/aws/rds/cluster/shop-{name}/postgresql",
        f"/aws/rds/proxy/shop-{name}",
    ):
        logs.create_log_group(logGroupName=group)
    secrets.create_secret(Name=one.secret_name, SecretString="x")
    secrets.delete_secret(SecretId=one.secret_name, RecoveryWindowInDays=30)
    session.client("ssm").put_parameter(Name=one.parameter_name("database/port"), Value="1", Type="String")
    key = kms.create_key(
        Description=f"Data of {name}",
        Tags=[{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in tags],
    )["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName=one.key_alias, TargetKeyId=key)
    leave_snapshot(session, one)
    leave_interface(session, tags)


def leave_snapshot(session: Any, one: Deployment) -> None:
    rds = session.client("rds")
    rds.create_db_cluster(
        DBClusterIdentifier=one.cluster_name,
        Engine="aurora-postgresql",
        MasterUsername="shop_admin",
        MasterUserPassword="a-password",
    )
    rds.create_db_cluster_snapshot(
        DBClusterIdentifier=one.cluster_name, DBClusterSnapshotIdentifier=f"shop-{one.name}-database-snapshot"
    )
    rds.delete_db_cluster(DBClusterIdentifier=one.cluster_name, SkipFinalSnapshot=True)


def leave_interface(session: Any, tags: list[dict[str, str]]) -> None:
    ec2 = session.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.30.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}])[
        "Vpc"
    ]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.30.0.0/20")["Subnet"]["SubnetId"]
    ec2.create_network_interface(SubnetId=subnet, Description="AWS Lambda VPC ENI")


def leave_rehearsal(session: Any, one: Deployment, *, of: str | None = None) -> None:
    """Leave what a rehearsal makes, as if it had been killed."""
    rds, name = session.client("rds"), f"{one.cluster_name}-rehearsal"
    given = {**one.tags, "rehearsal-of": one.cluster_name if of is None else of}
    tags = [{"Key": key, "Value": value} for key, value in given.items() if value]
    engine = {"Engine": "aurora-postgresql"}
    login = {"MasterUsername": "shop_admin", "MasterUserPassword": "a-password"}
    rds.create_db_cluster(DBClusterIdentifier=one.cluster_name, **engine, **login)
    rds.create_db_cluster_snapshot(
        DBClusterIdentifier=one.cluster_name, DBClusterSnapshotIdentifier=name, Tags=tags
    )
    rds.delete_db_cluster(DBClusterIdentifier=one.cluster_name, SkipFinalSnapshot=True)
    rds.create_db_cluster(DBClusterIdentifier=name, Tags=tags, **engine, **login)
    rds.create_db_instance(
        DBInstanceIdentifier=f"{one.cluster_name}-copy",
        DBInstanceClass="db.serverless",
        DBClusterIdentifier=name,
        Tags=tags,
        **engine,
    )


def of_databases(session: Any) -> list[str]:
    """Return the identifiers of all clusters, instances and snapshots.

    Automated snapshots, which this simulation keeps for ever, go with their cluster.
    """
    rds = session.client("rds")
    return [
        *(one["DBClusterIdentifier"] for one in rds.describe_db_clusters()["DBClusters"]),
        *(one["DBInstanceIdentifier"] for one in rds.describe_db_instances()["DBInstances"]),
        *(
            one["DBClusterSnapshotIdentifier"]
            for one in rds.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
        ),
    ]


def counts(session: Any) -> dict[str, int]:
    """Return how many there are of each kind, of whatever environment."""
    return {
        "log groups": len(session.client("logs").describe_log_groups()["logGroups"]),
        "secrets": len(
            session.client("secretsmanager").list_secrets(IncludePlannedDeletion=True)["SecretList"]
        ),
        "parameters": len(session.client("ssm").describe_parameters()["Parameters"]),
        "snapshots": len(session.client("rds").describe_db_cluster_snapshots()["DBClusterSnapshots"]),
        "interfaces": len(session.client("ec2").describe_network_interfaces()["NetworkInterfaces"]),
        "aliases": len(session.client("kms").list_aliases()["Aliases"]),
    }


def test_all_goes_that_may_and_no_neighbour_loses_anything(session):
    for name in NEIGHBOURS:
        leave(session, name)
    neighbours = counts(session)
    leave(session, "pr-4")
    found = take_away(session, PR, local=True)
    assert {one.found.kind for one in found.of("removed")} == {
        "log group",
        "secret",
        "parameter",
        "cluster snapshot",
        "network interface",
    }
    assert [one.found.kind for one in found.of("going")] == ["key"]
    assert [one.found.kind for one in found.of("left")] == ["VPC"], "whose groups and subnets nobody knows"
    assert counts(session) | {"aliases": 0} == neighbours | {"aliases": 0}


def test_a_second_look_finds_only_what_goes_by_itself(session):
    leave(session, "pr-4")
    take_away(session, PR, local=True)
    again = take_away(session, PR, local=True)
    assert again.of("removed") == []
    (key,) = again.of("going")
    assert key.found.gone_by is not None
    assert "charges nothing" in key.reason


def test_what_is_to_be_kept_is_kept_and_told_with_its_cost(session):
    leave(session, "pr-4")
    found = take_away(session, RETAINED, local=True)
    assert {one.found.kind for one in found.of("kept")} == {"key", "secret", "cluster snapshot"}
    assert {one.found.kind for one in found.of("removed")} == {"log group", "parameter", "network interface"}
    console = Console(file=io.StringIO(), record=True, width=200)
    print_leftovers(console, found, RETAINED)
    told = console.export_text()
    assert f"{len(found.of('kept'))} kept" in told
    assert "1.00 USD a month  Data of pr-4" in told or "1.00 USD a month  alias/shop-pr-4" in told


def test_while_a_stack_stands_nothing_is_removed(session):
    leave(session, "pr-4")
    before = counts(session)
    session.client("cloudformation").create_stack(
        StackName="shop-pr-4-network",
        TemplateBody=json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}),
    )
    found = take_away(session, PR, local=True)
    assert [(one.found.kind, one.fate) for one in found.all] == [("stack", "left")]
    assert found.exit_code == LEFT
    assert counts(session) == before


def test_where_nobody_may_look_is_told_and_is_no_success(session, monkeypatch):
    def denied(*_: Any) -> Iterator[Found]:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListKeys")

    assert take_away(session, PR, local=True).exit_code == NOTHING_LEFT
    monkeypatch.setattr(inventory, "LISTERS", {**inventory.LISTERS, "keys": denied})
    found = take_away(session, PR, local=True)
    assert found.exit_code == LEFT
    assert "keys" in found.not_looked_at[0]


def test_what_cannot_be_removed_is_left_with_the_reason(session, monkeypatch):
    leave(session, "pr-4")

    def refuse(*_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not yours"}}, "DeleteLogGroup")

    monkeypatch.setattr("operate.leftovers.REMOVERS", {"log group": refuse})
    reasons = {one.found.kind: one.reason for one in take_away(session, PR, local=True).of("left")}
    assert "not yours" in reasons["log group"]
    assert "by hand" in reasons["secret"]


@pytest.fixture
def console(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> Console:
    """Return what the verbs print to; they take the simulated account for the environment's."""
    monkeypatch.setattr(lifecycle, "session_of", lambda *_: session)
    return Console(file=io.StringIO(), record=True, width=200)


ON_THIS_MACHINE = operate.deployment.Deployment(kind="ephemeral", name="pr-4", on_local_cloud=True)


def test_what_a_killed_rehearsal_has_left_is_found_by_its_tag_and_is_no_data_that_is_kept(session):
    leave_rehearsal(session, RETAINED)
    found = take_away(session, RETAINED, local=True)
    assert {one.found.name for one in found.of("left") if one.found.kind == COPY} == {
        "shop-pr-4-copy",
        "shop-pr-4-rehearsal",
    }
    assert "shop-pr-4-rehearsal" not in {one.found.name for one in found.of("kept")}
    assert found.exit_code == LEFT


def test_what_a_killed_rehearsal_has_left_is_taken_away(session, console):
    for name in NEIGHBOURS:
        leave_rehearsal(session, replace(PR, name=name))
    neighbours = of_databases(session)
    leave_rehearsal(session, PR)
    assert lifecycle.look_for_leftovers(console, ON_THIS_MACHINE) == NOTHING_LEFT
    assert of_databases(session) == neighbours
    assert "A rehearsal has left shop-pr-4-copy, shop-pr-4-rehearsal" in console.export_text()


def test_what_a_killed_rehearsal_has_left_goes_before_the_network_that_it_stands_in(
    session, console, monkeypatch
):
    leave_rehearsal(session, PR)
    there: list[str] = []
    monkeypatch.setattr(
        lifecycle, "_destroy_stacks", lambda *_, **__: there.extend(of_databases(session)) or 0
    )
    assert lifecycle.destroy(console, ON_THIS_MACHINE) == 0
    assert there == []


def test_what_only_has_a_rehearsal_s_name_is_nobody_s_to_take(session, console):
    leave_rehearsal(session, PR, of="")
    before = of_databases(session)
    lifecycle._take_copies_away(console, session, ON_THIS_MACHINE)
    assert of_databases(session) == before


# --- interfaces that keep a network from going


class Destroys:
    """The CDK CLI's destroys: each succeeds unless an interface is in the way."""

    def __init__(self, session: Any) -> None:
        self.ec2 = session.client("ec2")
        self.statuses = {"shop-pr-4-network": "CREATE_COMPLETE"}
        self.commands: list[list[str]] = []

    def interfaces(self) -> list[Any]:
        return list(self.ec2.describe_network_interfaces()["NetworkInterfaces"])

    def __call__(self, command: list[str], **_: Any) -> int:
        self.commands.append(command)
        if self.interfaces():
            self.statuses = dict.fromkeys(self.statuses, "DELETE_FAILED")
            return 1
        self.statuses = {}
        return 0


@pytest.fixture
def destroys(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> Destroys:
    """Return an environment of one stack, with an interface in its network that Lambda made."""
    tags = [{"Key": key, "Value": value} for key, value in PR.tags.items()]
    leave_interface(session, tags)
    found = Destroys(session)
    monkeypatch.setattr(lifecycle.cdk, "attached", found)
    monkeypatch.setattr(lifecycle, "environment_of", lambda _: {})
    monkeypatch.setattr(lifecycle, "_standing", lambda *_: found.statuses)
    return found


def test_a_network_that_failed_over_an_interface_of_lambda_s_goes_at_the_second_try(
    session, console, destroys
):
    assert lifecycle._destroy_stacks(console, session, ON_THIS_MACHINE, force=False) == 0
    assert destroys.interfaces() == []
    assert ["--force" in command for command in destroys.commands] == [False, True], "asked once"


def test_an_interface_that_lambda_still_holds_is_waited_for(session, console, destroys, monkeypatch):
    held = [Found("network interface", "eni-1 (AWS Lambda VPC ENI-shop)", "eni-1", state="in-use")]
    (free,) = destroys.interfaces()
    states = [held, held, [replace(held[0], identifier=free["NetworkInterfaceId"], state="available")]]
    waited: list[float] = []
    monkeypatch.setattr(lifecycle, "_interfaces", lambda *_: states.pop(0))
    monkeypatch.setattr(lifecycle.time, "sleep", waited.append)
    assert lifecycle._destroy_stacks(console, session, ON_THIS_MACHINE, force=True) == 0
    assert (len(waited), states) == (2, [])
    assert console.export_text().count("Waiting for Lambda to let go of 1 network interfaces") == 1


def test_an_interface_that_somebody_else_uses_is_neither_waited_for_nor_deleted(
    session, console, destroys, monkeypatch
):
    used = [Found("network interface", "eni-1 (a NAT gateway)", "eni-1", state="in-use")]
    monkeypatch.setattr(lifecycle, "_interfaces", lambda *_: used)
    assert lifecycle._destroy_stacks(console, session, ON_THIS_MACHINE, force=True) == 1
    assert len(destroys.commands) == 2
    assert len(destroys.interfaces()) == 1


def test_a_destroy_that_somebody_declined_is_not_tried_again(session, console, destroys, monkeypatch):
    monkeypatch.setattr(
        lifecycle.cdk, "attached", lambda command, **_: destroys.commands.append(command) or 1
    )
    assert lifecycle._destroy_stacks(console, session, ON_THIS_MACHINE, force=False) == 1
    assert len(destroys.commands) == 1
    assert len(destroys.interfaces()) == 1


def test_a_tag_that_only_the_index_knows_is_told_and_not_trusted(session):
    tags = [{"Key": key, "Value": value} for key, value in PR.tags.items()]
    topic = session.client("sns").create_topic(Name="forgotten", Tags=tags)["TopicArn"]
    (found,) = take_away(session, PR, local=True).of("left")
    assert found.found.identifier == topic
    assert "index of tags may lag" in found.reason


def test_costs_come_from_the_table_and_are_not_made_up():
    assert monthly_cost(Found("key", "k", "k"), "us-east-1") == "1.00"
    assert monthly_cost(Found("cluster snapshot", "s", "s", gibibytes=100), "us-east-1") == "2.10"
    assert monthly_cost(Found("key", "k", "k"), "eu-central-9") == "?"
    assert monthly_cost(Found("instance", "i", "i"), "us-east-1") == "?"
