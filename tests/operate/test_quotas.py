"""An environment for which the account has no room is refused before anything is made."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from operate import quotas
from operate.aws import Refused
from operate.deployment import PROJECT, Deployment
from operate.quotas import QUOTAS, RESERVED, needed
from stacks.deploy_roles import LOOKS
from stacks.validation import choose
from tests.stacks.synthesized import synthesize

PR = Deployment(kind="ephemeral", name="pr-1")
VPC = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.30.0.0/16"}}
DEFAULT_VPCS = 5


@pytest.fixture(scope="module")
def wanted() -> dict[str, Any]:
    """Return the templates of an ephemeral environment."""
    return dict(synthesize(choose("ephemeral", name="pr-1")).templates)


def template(**resources: Any) -> dict[str, Any]:
    return {"shop-pr-1-network": {"Resources": resources}}


def make_vpcs(session: Any, number: int) -> None:
    """Make so many beside the default one."""
    for _ in range(number):
        session.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")


def limit(monkeypatch: pytest.MonkeyPatch, resource_type: str, *, limit: int, used: int) -> None:
    known = replace(QUOTAS[resource_type], used=lambda _: used, limit=lambda _: limit)
    monkeypatch.setattr(quotas, "QUOTAS", {**quotas.QUOTAS, resource_type: known})


def test_the_last_one_that_there_is_room_for_is_made_and_the_next_is_refused(session, console):
    make_vpcs(session, DEFAULT_VPCS - 2)
    quotas.check(console, session, PR, template(Vpc=VPC))
    make_vpcs(session, 1)
    with pytest.raises(Refused) as refused:
        quotas.check(console, session, PR, template(Vpc=VPC))
    assert "pr-1 would exceed what the account may have in us-east-1. Nothing was made" in str(refused.value)
    assert "VPCs per Region (L-F678F1CE): 1 more needed, 5 of 5 in use" in str(refused.value)
    assert "--service-code vpc --quota-code L-F678F1CE --desired-value 6" in str(refused.value)


def test_what_is_deployed_already_takes_no_more_room(session, console):
    make_vpcs(session, DEFAULT_VPCS - 2)
    body = template(Vpc=VPC)["shop-pr-1-network"]
    session.client("cloudformation").create_stack(
        StackName="shop-pr-1-network", TemplateBody=json.dumps(body)
    )
    quotas.check(console, session, PR, template(Vpc=VPC))
    with pytest.raises(Refused, match="1 more needed, 5 of 5 in use"):
        quotas.check(console, session, PR, template(Vpc=VPC, Another=VPC))


def test_all_that_is_short_is_said_at_once(session, console, monkeypatch):
    limit(monkeypatch, "AWS::RDS::DBCluster", limit=40, used=40)
    limit(monkeypatch, "AWS::RDS::DBInstance", limit=40, used=39)
    found = template(
        Cluster={"Type": "AWS::RDS::DBCluster"},
        Writer={"Type": "AWS::RDS::DBInstance"},
        Reader={"Type": "AWS::RDS::DBInstance"},
    )
    with pytest.raises(Refused) as refused:
        quotas.check(console, session, PR, found)
    assert "DB clusters (L-952B80B8): 1 more needed, 40 of 40 in use" in str(refused.value)
    assert "DB instances (L-7B6409FD): 2 more needed, 39 of 40 in use. Ask for 41" in str(refused.value)


def test_lambda_keeps_a_hundred_executions_that_nobody_reserves(session, console, monkeypatch, wanted):
    monkeypatch.setattr(quotas, "QUOTAS", {RESERVED: QUOTAS[RESERVED]})
    ours = needed(wanted, {})[RESERVED]
    assert ours > 0

    def check(*, allowed: int, unreserved: int) -> None:
        limits = {"ConcurrentExecutions": allowed, "UnreservedConcurrentExecutions": unreserved}
        monkeypatch.setattr(quotas, "_concurrency_limits", lambda _: limits)
        quotas.check(console, session, PR, wanted)

    check(allowed=1000, unreserved=100 + ours)
    with pytest.raises(Refused, match=rf"L-B99A9384.*{ours} more needed.*Ask for 1001 or more"):
        check(allowed=1000, unreserved=99 + ours)
    with pytest.raises(Refused, match=rf"0 of 10 in use.*Ask for {ours + 100}.*reserved_concurrency=None"):
        check(allowed=10, unreserved=10)


def test_a_quota_that_nobody_may_ask_for_is_told_and_no_obstacle(session, console, monkeypatch):
    def denied(_: Any) -> int:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetServiceQuota")

    unknown = replace(QUOTAS["AWS::EC2::VPC"], limit=denied)
    monkeypatch.setattr(quotas, "QUOTAS", {"AWS::EC2::VPC": unknown})
    quotas.check(console, session, PR, template(Vpc=VPC))
    assert "Quota not asked: VPCs per Region" in console.export_text()


def test_an_account_without_a_value_of_its_own_has_the_default(session):
    quota = QUOTAS["AWS::RDS::DBProxy"]

    class NoSuchResourceException(Exception):
        pass

    def none(**_: str) -> None:
        raise NoSuchResourceException

    client = SimpleNamespace(
        exceptions=SimpleNamespace(NoSuchResourceException=NoSuchResourceException),
        get_service_quota=none,
        get_aws_default_service_quota=lambda **given: {"Quota": {"Value": 20.0}} if given else {},
    )
    asked: Any = SimpleNamespace(client=lambda _: client)
    assert quotas.limit_of(asked, quota) == 20


def test_every_quota_is_asked_of_what_is_there(session, wanted):
    """By calls that the pipelines' roles may make."""
    made: set[str] = set()
    session.events.register(
        "before-call", lambda model, **_: made.add(f"{model.service_model.signing_name}:{model.name}")
    )
    for resource_type, quota in QUOTAS.items():
        if resource_type != RESERVED:  # of which this simulation knows nothing
            quota.used(session)
    assert len(made) == len(QUOTAS) - 1
    assert made <= set(LOOKS)
    assert needed(wanted, {}).keys() == QUOTAS.keys(), "an environment makes one of each, at least"
    make_vpcs(session, 2)
    assert QUOTAS["AWS::EC2::VPC"].used(session) == 3
    assert QUOTAS["AWS::EC2::VPCEndpoint"].used(session) == 0


def test_the_page_tells_what_one_environment_needs(wanted):
    page = (PROJECT / "docs" / "environments.md").read_text()
    told = {
        code: int(number)
        for code, number in re.findall(r"\| (L-\w+) \|[^|]+\| (\d+)(?: reserved)? \|$", page, re.MULTILINE)
    }
    needs = {QUOTAS[kind].code: number for kind, number in needed(wanted, {}).items()}
    assert told
    assert told == {code: needs[code] for code in told}
