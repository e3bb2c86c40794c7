"""`make drift`: what it asks CloudFormation, what it says, and the code it ends with, on either target."""

from __future__ import annotations

import io
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from operate import drift
from operate.aws import Refused
from operate.deployment import Deployment

DEPLOYMENT = Deployment(kind="dev", engine="postgresql")
EVERYBODY = {
    "SecurityGroupRuleId": "sgr-added", "GroupId": "sg-1", "IsEgress": False, "IpProtocol": "tcp",
    "FromPort": 22, "ToPort": 22, "CidrIpv4": "0.0.0.0/0",
}  # fmt: skip


class Account:
    """CloudFormation and EC2 as the verb sees them: one page holds one element."""

    def __init__(self) -> None:
        self.drifts: dict[str, list[dict[str, Any]]] = {name: [] for name in DEPLOYMENT.stack_names}
        self.resources: dict[str, list[dict[str, Any]]] = {name: [] for name in DEPLOYMENT.stack_names}
        self.statuses: dict[str, list[dict[str, Any]]] = {}
        self.rules: list[dict[str, Any]] = []
        self.asked: list[str] = []

    def add(self, stack: str, name: str, kind: str, **given: Any) -> None:
        """Put a resource into a stack; with a status, one that CloudFormation has compared."""
        one = {"LogicalResourceId": name, "PhysicalResourceId": f"physical-{name}", "ResourceType": kind}
        self.resources[f"shop-dev-{stack}"].append({**one, **given})
        if "StackResourceDriftStatus" in given:
            self.drifts[f"shop-dev-{stack}"].append({**one, **given})

    def client(self, _: str) -> Account:
        return self

    def detect_stack_drift(self, **asked: str) -> dict[str, Any]:
        self.asked.append(f"detect {asked['StackName']}")
        return {"StackDriftDetectionId": asked["StackName"]}

    def describe_stack_drift_detection_status(self, **asked: str) -> dict[str, Any]:
        self.asked.append(f"status {asked['StackDriftDetectionId']}")
        left = self.statuses.get(asked["StackDriftDetectionId"], [])
        return left.pop(0) if left else {"DetectionStatus": "DETECTION_COMPLETE"}

    def describe_stack_resource_drifts(self, **asked: str) -> dict[str, Any]:
        return page("StackResourceDrifts", self.drifts[asked["StackName"]], asked)

    def list_stack_resources(self, **asked: str) -> dict[str, Any]:
        return page("StackResourceSummaries", self.resources[asked["StackName"]], asked)

    def describe_security_group_rules(self, **asked: Any) -> dict[str, Any]:
        [wanted] = [one["Values"] for one in asked["Filters"] if one["Name"] == "group-id"]
        return page("SecurityGroupRules", [one for one in self.rules if one["GroupId"] in wanted], asked)


def page(member: str, all_of: list[Any], asked: dict[str, Any]) -> dict[str, Any]:
    at = int(asked.get("NextToken", "0"))
    following = {"NextToken": str(at + 1)} if at + 1 < len(all_of) else {}
    return {member: all_of[at : at + 1], **following}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture
def account() -> Account:
    return Account()


def shown(account: Account) -> tuple[int, str]:
    said = io.StringIO()
    return drift.show(Console(file=said), account, DEPLOYMENT), said.getvalue()  # type: ignore[arg-type]


def in_sync(**given: Any) -> dict[str, Any]:
    return {"StackResourceDriftStatus": "IN_SYNC", "PropertyDifferences": [], **given}


def modified(path: str, expected: str, actual: str) -> dict[str, Any]:
    change = {"PropertyPath": path, "ExpectedValue": expected, "ActualValue": actual}
    return {"StackResourceDriftStatus": "MODIFIED", "PropertyDifferences": [change]}


def test_no_drift_is_0_and_what_nobody_compared_is_said(account):
    account.add("database", "Cluster", "AWS::RDS::DBCluster", **in_sync())
    account.add("schema", "Migrations", "Custom::Migrations")
    code, text = shown(account)
    assert code == drift.NONE == 0
    assert "0 of 1 compared resources of dev have drifted" in text
    assert "Not compared: Custom::Migrations" in text


def test_every_difference_of_every_page_is_told_with_both_values_and_ends_with_3(account):
    account.add("database", "Group", "AWS::RDS::DBParameterGroup", **in_sync())
    account.add(
        "database", "Cluster", "AWS::RDS::DBCluster", **modified("/DeletionProtection", "true", "false")
    )
    account.add("database", "Key", "AWS::KMS::Key", StackResourceDriftStatus="DELETED")
    code, text = shown(account)
    assert code == drift.DRIFTED == 3
    assert (
        "shop-dev-database: Cluster (AWS::RDS::DBCluster, physical-Cluster) /DeletionProtection: true in the"
        " template, false in the account"
    ) in text
    assert "shop-dev-database: Key (AWS::KMS::Key, physical-Key) is gone" in text
    assert "2 of 3 compared resources" in text


def test_a_long_value_is_shortened(account):
    account.add(
        "observability", "Dashboard", "AWS::CloudWatch::Dashboard", **modified("/Body", "x" * 999, "y")
    )
    text = shown(account)[1]
    assert "x" * 200 + "… in the template" in text and "x" * 201 not in text


def test_all_stacks_are_compared_at_once_and_waited_for(account):
    under_way = {"DetectionStatus": "DETECTION_IN_PROGRESS"}
    account.statuses["shop-dev-database"] = [under_way, under_way]
    shown(account)
    first = [f"detect {name}" for name in DEPLOYMENT.stack_names]
    assert account.asked[: len(first)] == first
    assert account.asked.count("status shop-dev-database") == 3


def test_a_detection_without_end_is_given_up(account, monkeypatch):
    monkeypatch.setattr(drift, "PATIENCE_SECONDS", -1)
    account.statuses["shop-dev-network"] = [{"DetectionStatus": "DETECTION_IN_PROGRESS"}]
    with pytest.raises(Refused, match="shop-dev-network: drift is still being detected after"):
        shown(account)


def test_resources_that_could_not_be_read_are_an_error_and_no_clean_bill(account):
    failed = {"DetectionStatus": "DETECTION_FAILED", "DetectionStatusReason": "Failed to detect drift on Key"}
    account.statuses["shop-dev-network"] = [failed]
    account.add("network", "Key", "AWS::KMS::Key", StackResourceDriftStatus="UNKNOWN")
    with pytest.raises(Refused, match="shop-dev-network: Failed to detect drift on Key"):
        shown(account)


@pytest.mark.parametrize(("code", "expected"), [("ValidationError", Refused), ("AccessDenied", ClientError)])
def test_a_stack_that_cannot_be_looked_at_is_refused_in_cloudformations_words(account, code, expected):
    def refuse(**asked: str) -> dict[str, Any]:
        answer = {"Error": {"Code": code, "Message": f"Stack with id {asked['StackName']} does not exist"}}
        raise ClientError(answer, "DetectStackDrift")  # type: ignore[arg-type]

    account.detect_stack_drift = refuse
    with pytest.raises(expected, match="Stack with id shop-dev-network does not exist"):
        shown(account)


def test_a_rule_that_lets_somebody_in_and_is_in_no_template_is_told(account):
    account.add("network", "Group", "AWS::EC2::SecurityGroup", **in_sync(PhysicalResourceId="sg-1"))
    own = {"PhysicalResourceId": "sgr-own"}
    account.add("network", "Rule", "AWS::EC2::SecurityGroupIngress", **in_sync(**own))
    account.rules = [
        {**EVERYBODY, "SecurityGroupRuleId": "sgr-own"},
        {**EVERYBODY, "SecurityGroupRuleId": "sgr-out", "IsEgress": True},
    ]
    assert shown(account)[0] == drift.NONE
    account.rules.append(EVERYBODY)
    code, text = shown(account)
    assert code == drift.DRIFTED
    assert (
        "shop-dev-network: Group (AWS::EC2::SecurityGroup, sg-1) lets in tcp/22-22 from 0.0.0.0/0, sgr-added,"
        " of no template"
    ) in text
    assert "1 of 2 compared resources" in text


def test_rules_that_a_template_lists_in_their_group_are_cloudformations_to_compare(account):
    listed = in_sync(PhysicalResourceId="sg-1", ExpectedProperties='{"SecurityGroupIngress": []}')
    account.add("network", "Group", "AWS::EC2::SecurityGroup", **listed)
    account.rules = [EVERYBODY]
    assert shown(account)[0] == drift.NONE


@pytest.mark.parametrize("name", ["dev", "local"])
def test_both_targets_are_asked_the_same_way(account, name):
    deployment = Deployment(kind=name, engine="postgresql")
    account.drifts = {stack: [] for stack in deployment.stack_names}
    account.resources = {stack: [] for stack in deployment.stack_names}
    drift.show(Console(quiet=True), account, deployment)  # type: ignore[arg-type]
    assert [one for one in account.asked if one.startswith("detect")] == [
        f"detect {stack}" for stack in deployment.stack_names
    ]
