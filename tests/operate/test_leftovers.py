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
from moto import mock_aws
from rich.console import Console

from operate import inventory
from operate.inventory import Found
from operate.leftovers import LEFT, NOTHING_LEFT, monthly_cost, print_leftovers, take_away
from stacks.settings import DEPLOYMENTS, Deployment
from stacks.validation import choose

PR = choose("ephemeral", name="pr-4")
RETAINED = replace(DEPLOYMENTS["production"], name="pr-4")
NEIGHBOURS = ("pr-42", "pr-4-b", "xpr-4")


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        yield boto3.Session(region_name="us-east-1")


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
