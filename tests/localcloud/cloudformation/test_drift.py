"""Drift detection: what is compared, what counts as a difference, and how it is told."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from localcloud import resources
from localcloud.cloudformation import drift
from localcloud.cloudformation.change_sets import Refused
from localcloud.cloudformation.descriptions import described_drift, described_resource, described_stack
from localcloud.cloudformation.schemas import schema
from localcloud.resources.base import Properties, Provisioned, Readable, Request
from tests.localcloud.cloudformation.conftest import CloudFormation, Remembering

README = Path(resources.__file__).parents[1] / "README.md"
# CloudFormation has no schema of these
CUSTOM_FREE = {"AWS::CloudFormation::CustomResource", "Custom::"}


class Standing(Remembering):
    """Remembers properties as they stand, which a test changes past the template."""

    def __init__(self) -> None:
        super().__init__()
        self.standing: dict[str, Any] = {}
        self.refusal: Exception | None = None
        self.while_reading = lambda: None

    def create(self, request: Request) -> Provisioned:
        created = super().create(request)
        self.standing[request.logical_id] = dict(request.properties)
        return created

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        self.standing[request.logical_id] = dict(request.properties)
        return super().update(request, current, previous)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        self.while_reading()
        if self.refusal is not None:
            raise self.refusal
        standing: Properties | None = self.standing[request.logical_id]
        return standing


@pytest.fixture
def standing(cloudformation: CloudFormation) -> Standing:
    handler = Standing()
    kinds = [
        "AWS::Logs::LogGroup", "AWS::RDS::DBCluster", "AWS::Lambda::Function", "AWS::IAM::Role",
        "AWS::IAM::Policy", "AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupIngress",
        "AWS::RDS::DBParameterGroup", "AWS::SecretsManager::Secret",
    ]  # fmt: skip
    for kind in kinds:
        cloudformation.types[kind] = handler
    return handler


def one(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": kind, "Properties": properties}


def deploy(cloudformation: CloudFormation, **given: dict[str, Any]) -> Any:
    return cloudformation.deploy("shop", {"Resources": given})


def detect(cloudformation: CloudFormation, *names: str) -> Any:
    region, stack = cloudformation.operations.region, cloudformation.stack("shop")
    assert stack is not None
    return drift.detection(region, drift.detect(region, stack, names))[1]


def told(cloudformation: CloudFormation) -> dict[str, list[tuple[str, str, str, str]]]:
    """Detect, and return what DescribeStackResourceDrifts tells of each resource."""
    detect(cloudformation)
    stack = cloudformation.stack("shop")
    assert stack is not None
    described = [described_drift(stack, found) for found in drift.page(stack, [], None, None)[0]]
    names = ("DifferenceType", "PropertyPath", "ExpectedValue", "ActualValue")
    return {
        each["LogicalResourceId"]: [
            tuple(change[name] for name in names) for change in each["PropertyDifferences"]
        ]
        for each in described
    }


def test_what_stands_as_the_template_says_is_in_sync(cloudformation, standing, thing):
    deploy(
        cloudformation,
        Log=one("AWS::Logs::LogGroup", RetentionInDays=7, LogGroupName="a"),
        Unreadable=thing(A=1),
    )
    assert described_stack(cloudformation.stack("shop"))["DriftInformation"] == {
        "StackDriftStatus": "NOT_CHECKED",
        "LastCheckTimestamp": None,
    }
    found = detect(cloudformation)
    assert (found.status, found.stack_status, found.drifted) == ("DETECTION_COMPLETE", "IN_SYNC", 0)
    stack = cloudformation.stack("shop")
    described = described_stack(stack)["DriftInformation"]
    assert described == {"StackDriftStatus": "IN_SYNC", "LastCheckTimestamp": found.timestamp}
    status = {
        name: described_resource(stack, each)["DriftInformation"]["StackResourceDriftStatus"]
        for name, each in stack.resources.items()
    }
    assert status == {"Log": "IN_SYNC", "Unreadable": "NOT_CHECKED"}
    [only] = drift.page(stack, [], None, None)[0]
    assert described_drift(stack, only)["ExpectedProperties"] == '{"LogGroupName":"a","RetentionInDays":7}'


def test_a_changed_property_is_told_with_both_values(cloudformation, standing):
    deploy(cloudformation, Log=one("AWS::Logs::LogGroup", RetentionInDays=7, LogGroupName="a"))
    standing.standing["Log"] |= {"RetentionInDays": 30, "KmsKeyId": "arn:of-nobody's-template"}
    assert told(cloudformation) == {"Log": [("NOT_EQUAL", "/RetentionInDays", "7", "30")]}
    assert detect(cloudformation).drifted == 1
    stack = cloudformation.stack("shop")
    assert described_stack(stack)["DriftInformation"]["StackDriftStatus"] == "DRIFTED"
    [only] = [described_drift(stack, found) for found in drift.page(stack, ["MODIFIED"], None, None)[0]]
    assert only["StackResourceDriftStatus"] == "MODIFIED"
    assert only["ActualProperties"] == '{"LogGroupName":"a","RetentionInDays":30}'
    assert drift.page(stack, ["IN_SYNC", "DELETED"], None, None) == ([], None)


def test_a_property_that_is_gone_is_removed_and_one_that_cannot_be_told_is_passed_over(
    cloudformation, standing
):
    deploy(cloudformation, Log=one("AWS::Logs::LogGroup", RetentionInDays=7, LogGroupName="a"))
    standing.standing["Log"] = {"RetentionInDays": None}
    assert told(cloudformation) == {"Log": [("REMOVE", "/RetentionInDays", "7", "null")]}


def test_a_resource_that_is_gone_is_deleted_and_has_no_properties(cloudformation, standing):
    stack = deploy(cloudformation, Log=one("AWS::Logs::LogGroup", RetentionInDays=7))
    standing.standing["Log"] = None
    assert detect(cloudformation).stack_status == "DRIFTED"
    [only] = [described_drift(stack, found) for found in drift.page(stack, ["DELETED"], None, None)[0]]
    assert only["StackResourceDriftStatus"] == "DELETED"
    assert {"ExpectedProperties", "ActualProperties"}.isdisjoint(only)


def policy(*actions: str, sid: str = "Read") -> dict[str, Any]:
    return {"Statement": [{"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": "*"}]}


@pytest.mark.parametrize(
    ("kind", "expected", "actual"),
    [
        ("AWS::Logs::LogGroup", {"RetentionInDays": 7}, {"RetentionInDays": "7"}),
        ("AWS::RDS::DBCluster", {"DeletionProtection": "true"}, {"DeletionProtection": True}),
        ("AWS::RDS::DBCluster", {"DBClusterIdentifier": "Shop"}, {"DBClusterIdentifier": "shop"}),
        ("AWS::RDS::DBCluster", {"EngineVersion": "16"}, {"EngineVersion": "16.13"}),
        ("AWS::RDS::DBCluster", {"KmsKeyId": "1-2"}, {"KmsKeyId": "arn:aws:kms:r:1:key/1-2"}),
        ("AWS::RDS::DBCluster", {"VpcSecurityGroupIds": ["a", "b"]}, {"VpcSecurityGroupIds": ["b", "a"]}),
        ("AWS::IAM::Role", {"Policies": []}, {"Policies": None}),
        (
            "AWS::IAM::Role",
            {"AssumeRolePolicyDocument": policy("sts:AssumeRole")},
            {"AssumeRolePolicyDocument": '{"Statement": {"Sid": "Read", "Effect": "Allow",'
             ' "Action": "sts:AssumeRole", "Resource": "*"}}'},
        ),
        (
            "AWS::IAM::Role",
            {"AssumeRolePolicyDocument": {"Statement": [{"Action": ["a:B", "a:C"]}, {"Action": ["a:D"]}]}},
            {"AssumeRolePolicyDocument": {"Statement": [{"Action": "a:D"}, {"Action": ["a:C", "a:B"]}]}},
        ),
        (
            "AWS::EC2::SecurityGroup",
            {"SecurityGroupIngress": [{"IpProtocol": "tcp", "SourceSecurityGroupName": "write-only"}]},
            {"SecurityGroupIngress": [{"IpProtocol": "tcp"}]},
        ),
        ("AWS::Lambda::Function", {"Code": {"S3Key": "a"}}, {"Code": {"S3Key": "b"}}),
        ("AWS::Lambda::Function", {"VpcConfig": {"SubnetIds": ["a"]}},
         {"VpcConfig": {"SubnetIds": ["a"], "Ipv6AllowedForDualStack": False}}),
        ("AWS::RDS::DBCluster", {"MasterUserPassword": "one"}, {"MasterUserPassword": "two"}),
    ],
)  # fmt: skip
def test_what_says_the_same_is_no_difference(cloudformation, standing, kind, expected, actual):
    deploy(cloudformation, It=one(kind, **{**minimal(kind), **expected}))
    standing.standing["It"] |= actual
    assert told(cloudformation) == {"It": []}


@pytest.mark.parametrize(
    ("kind", "expected", "actual", "differences"),
    [
        ("AWS::RDS::DBCluster", {"EngineVersion": "16.1"}, {"EngineVersion": "17.1"},
         [("NOT_EQUAL", "/EngineVersion", "16.1", "17.1")]),
        ("AWS::RDS::DBCluster", {"KmsKeyId": "1-2"}, {"KmsKeyId": "arn:aws:kms:r:1:key/3-4"},
         [("NOT_EQUAL", "/KmsKeyId", "1-2", "arn:aws:kms:r:1:key/3-4")]),
        ("AWS::RDS::DBCluster", {"VpcSecurityGroupIds": ["a", "b"]}, {"VpcSecurityGroupIds": ["c", "a"]},
         [("REMOVE", "/VpcSecurityGroupIds/1", "b", "null"), ("ADD", "/VpcSecurityGroupIds/0", "null", "c")]),
        ("AWS::RDS::DBParameterGroup", {"Parameters": {"a": "1", "b": "2"}},
         {"Parameters": {"a": "3", "c": "4"}},
         [("NOT_EQUAL", "/Parameters/a", "1", "3"), ("REMOVE", "/Parameters/b", "2", "null"),
          ("ADD", "/Parameters/c", "null", "4")]),
        ("AWS::IAM::Role", {"Policies": [{"PolicyName": "p", "PolicyDocument": policy("a:B", "a:C")}]},
         {"Policies": [{"PolicyName": "q", "PolicyDocument": policy("a:D")},
                       {"PolicyName": "p", "PolicyDocument": policy("a:B", "a:C", "a:X")}]},
         [("ADD", "/Policies/0/PolicyDocument/Statement/0/Action/2", "null", "a:X"),
          ("ADD", "/Policies/0", "null", '{"PolicyDocument":{"Statement":[{"Action":["a:D"],"Effect":"Allow",'
           '"Resource":"*","Sid":"Read"}]},"PolicyName":"q"}')]),
        ("AWS::Logs::LogGroup", {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]},
         {"Tags": [{"Key": "b", "Value": "3"}]},
         [("REMOVE", "/Tags/0", '{"Key":"a","Value":"1"}', "null"),
          ("NOT_EQUAL", "/Tags/1/Value", "2", "3")]),
    ],
)  # fmt: skip
def test_differences_are_told_by_path(cloudformation, standing, kind, expected, actual, differences):
    deploy(cloudformation, It=one(kind, **{**minimal(kind), **expected}))
    standing.standing["It"] |= actual
    assert told(cloudformation) == {"It": differences}


def minimal(kind: str) -> dict[str, Any]:
    """What the registry demands of a type, and no test here is about."""
    return {
        "AWS::EC2::SecurityGroup": {"GroupDescription": "d"},
        "AWS::IAM::Role": {"AssumeRolePolicyDocument": {}},
        "AWS::Lambda::Function": {"Role": "r", "Code": {}},
        "AWS::RDS::DBParameterGroup": {"Description": "d", "Family": "f"},
    }.get(kind, {})


def test_what_another_resource_of_the_stack_attaches_is_no_drift(cloudformation, standing):
    rule = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "CidrIp": "10.0.0.0/8"}
    own = {**rule, "ToPort": 2}
    attached = {"PolicyName": "p", "PolicyDocument": policy("a:B")}
    deploy(
        cloudformation,
        Group=one("AWS::EC2::SecurityGroup", GroupDescription="d", SecurityGroupIngress=[own]),
        Rule=one("AWS::EC2::SecurityGroupIngress", GroupId={"Ref": "Group"}, **rule),
        Role=one("AWS::IAM::Role", AssumeRolePolicyDocument={}, Policies=[{**attached, "PolicyName": "o"}]),
        Policy=one("AWS::IAM::Policy", Roles=[{"Ref": "Role"}], **attached),
    )
    standing.standing["Group"]["SecurityGroupIngress"] = [rule, own]
    standing.standing["Role"]["Policies"].append(attached)
    assert told(cloudformation) == {"Group": [], "Rule": [], "Role": []}
    foreign = {**rule, "CidrIp": "0.0.0.0/0"}
    standing.standing["Group"]["SecurityGroupIngress"].append(foreign)
    assert [change[:2] for change in told(cloudformation)["Group"]] == [("ADD", "/SecurityGroupIngress/1")]


def test_a_type_that_cloudformation_cannot_read_is_not_checked(cloudformation, standing):
    stack = deploy(cloudformation, Policy=one("AWS::IAM::Policy", PolicyName="p", PolicyDocument={}))
    standing.standing["Policy"] = None
    assert told(cloudformation) == {}
    with pytest.raises(Refused, match=r"not supported for resource type \[AWS::IAM::Policy\]"):
        drift.detect_resource(cloudformation.operations.region, stack, "Policy")


def test_what_is_hidden_is_neither_compared_nor_told(cloudformation, standing):
    cloudformation.secrets["s"] = '{"username": "from-the-secret"}'
    template = {
        "Parameters": {"Hidden": {"Type": "String", "NoEcho": "true"}},
        "Resources": {
            "Cluster": one(
                "AWS::RDS::DBCluster",
                MasterUsername="{{resolve:secretsmanager:s:SecretString:username}}",
                DatabaseName={"Fn::Sub": "x${Hidden}"},
                Engine="aurora-mysql",
            )
        },
    }
    cloudformation.deploy("shop", template, {"Hidden": "not-to-be-seen"})
    standing.standing["Cluster"] |= {"MasterUsername": "other", "DatabaseName": "other"}
    stack = cloudformation.stack("shop")
    assert told(cloudformation) == {"Cluster": []}
    described = str([described_drift(stack, found) for found in drift.page(stack, [], None, None)[0]])
    assert "aurora-mysql" in described
    assert "not-to-be-seen" not in described and "other" not in described


def test_a_resource_that_cannot_be_read_fails_the_detection_and_nothing_else(cloudformation, standing):
    deploy(cloudformation, Log=one("AWS::Logs::LogGroup", RetentionInDays=7))
    standing.refusal = ValueError("throttled")
    found = detect(cloudformation)
    assert (found.status, found.stack_status) == ("DETECTION_FAILED", "UNKNOWN")
    assert found.reason == "Failed to detect drift on resource [Log]"
    [only] = drift.page(cloudformation.stack("shop"), [], None, None)[0]
    assert (only.status, only.reason) == ("UNKNOWN", "throttled")


def test_only_the_resources_that_are_named_are_looked_at(cloudformation, standing):
    names = ["A", "B"]
    stack = deploy(cloudformation, **{name: one("AWS::Logs::LogGroup", RetentionInDays=7) for name in names})
    for name in names:
        standing.standing[name]["RetentionInDays"] = 1
    assert detect(cloudformation, "B").drifted == 1
    assert list(stack.drift.of(stack.target)) == ["B"]
    found = drift.detect_resource(cloudformation.operations.region, stack, "A")
    assert (found.logical_id, found.status) == ("A", "MODIFIED")
    assert set(stack.drift.of(stack.target)) == {"A", "B"}, "the other's result stays"
    with pytest.raises(Refused, match="Resource C does not exist for stack shop"):
        detect(cloudformation, "C")


def test_results_come_in_pages(cloudformation, standing):
    stack = deploy(
        cloudformation, **{f"Log{n}": one("AWS::Logs::LogGroup", RetentionInDays=7) for n in range(5)}
    )
    detect(cloudformation)
    seen: list[str] = []
    token = None
    for _ in range(3):
        found, token = drift.page(stack, [], 2, token)
        seen += [each.logical_id for each in found]
    assert (sorted(seen), token) == ([f"Log{n}" for n in range(5)], None)
    for size, wrong in ((0, None), (101, None), (None, "x")):
        with pytest.raises(Refused):
            drift.page(stack, [], size, wrong)


def test_results_hold_until_the_stack_is_changed_but_a_detection_is_remembered(cloudformation, standing):
    stack = deploy(cloudformation, Log=one("AWS::Logs::LogGroup", RetentionInDays=7))
    standing.standing["Log"]["RetentionInDays"] = 1
    earlier = detect(cloudformation)
    deploy(cloudformation, Log=one("AWS::Logs::LogGroup", RetentionInDays=14))
    assert described_stack(stack)["DriftInformation"]["StackDriftStatus"] == "NOT_CHECKED"
    assert drift.page(stack, [], None, None) == ([], None)
    assert drift.detection(cloudformation.operations.region, earlier.detection_id) == (stack, earlier)
    assert detect(cloudformation).stack_status == "IN_SYNC"
    with pytest.raises(Refused, match=r"\[none\] does not exist"):
        drift.detection(cloudformation.operations.region, "none")


def test_a_stack_that_is_not_complete_cannot_be_looked_at(cloudformation, standing, thing):
    cloudformation.things.fail("create", "Thing")
    stack = deploy(cloudformation, Thing=thing())
    with pytest.raises(
        Refused, match=r"cannot be performed on stack \[arn:.*\] while it is in \[ROLLBACK_CO"
    ):
        detect(cloudformation)
    assert stack.drift.detections == {}


def test_one_detection_of_a_stack_goes_on_at_a_time(cloudformation, standing):
    deploy(cloudformation, Log=one("AWS::Logs::LogGroup", RetentionInDays=7))
    reading, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        reading.set()
        assert go_on.wait(60)

    standing.while_reading = wait
    first = threading.Thread(target=detect, args=(cloudformation,))
    first.start()
    assert reading.wait(60)
    try:
        with pytest.raises(Refused, match=r"Drift detection is already in progress for stack \[arn:"):
            detect(cloudformation)
    finally:
        go_on.set()
        first.join(60)
    standing.while_reading = lambda: None
    assert detect(cloudformation).stack_status == "IN_SYNC"


@pytest.mark.parametrize("kind", sorted(set(resources.implemented()) - CUSTOM_FREE))
def test_what_is_read_here_cloudformation_reads_too_and_the_rest_is_listed(kind):
    known, listed = schema(kind), kind.removeprefix("AWS::")
    assert known is not None
    [line] = [line for line in README.read_text().splitlines() if line.startswith("- Drift: ")]
    unread = line.partition("NOT_CHECKED here: ")[2].partition(". ")[0].split(", ")
    if isinstance(resources.handler(kind), Readable):
        assert known.can_be_read and listed not in unread
    else:
        assert known.can_be_read == (listed in unread)
