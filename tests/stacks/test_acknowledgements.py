"""What an acknowledgement writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_logs as logs
from aws_cdk.assertions import Template

from stacks.acknowledgements import acknowledge

REASON = "It is made to be looked at: nothing is written to it"
OF_EACH = ("CKV_AWS_158", "W3005", "CT.CLOUDWATCH.PR.3", "HIPAA.Security-CloudWatchLogGroupEncrypted")


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(cdk.App(outdir=str(tmp_path), builtin_cloud_formation_validation=False), "Stack")


def metadata_of(stack: cdk.Stack) -> dict[str, dict[str, object]]:
    resources = Template.from_stack(stack).to_json()["Resources"]
    return {logical_id: resource.get("Metadata", {}) for logical_id, resource in resources.items()}


def test_each_scanner_is_told_where_it_looks_and_of_one_resource_only(stack, tmp_path):
    acknowledge(logs.LogGroup(stack, "One"), rules=OF_EACH, reason=REASON)
    logs.LogGroup(stack, "Other")
    (one,), (other,) = (
        [found for logical_id, found in metadata_of(stack).items() if logical_id.startswith(name)]
        for name in ("One", "Other")
    )
    assert one["checkov"] == {"skip": [{"id": "CKV_AWS_158", "comment": REASON}]}
    assert one["cfn-lint"] == {"config": {"ignore_checks": ["W3005"]}}
    assert other.keys() <= {"aws:cdk:path"}
    recorded = json.loads((tmp_path / "Stack.metadata.json").read_text())
    acknowledged = {
        path: entry["data"]
        for path, entries in recorded.items()
        for entry in entries
        if entry["type"] == "aws:cdk:acknowledged-rules"
    }
    assert acknowledged == {"/Stack/One/Resource": dict.fromkeys(OF_EACH, REASON)}


def test_a_second_acknowledgement_adds_to_the_first(stack):
    group = logs.LogGroup(stack, "One")
    acknowledge(group, rules=["CKV_AWS_158", "W3005"], reason=REASON)
    acknowledge(group, rules=["CKV_AWS_66", "W3010"], reason="another")
    (metadata,) = metadata_of(stack).values()
    assert [skip["id"] for skip in metadata["checkov"]["skip"]] == ["CKV_AWS_158", "CKV_AWS_66"]
    assert metadata["cfn-lint"]["config"]["ignore_checks"] == ["W3005", "W3010"]


@pytest.mark.parametrize(
    "rule", ["", "CKV_AZURE_1", "AwsSolution-L1", "W30", "CT.RDS.26", "AwsSolutions-IAM5["]
)
def test_a_rule_of_no_scanner_is_refused(stack, rule):
    group = logs.LogGroup(stack, "One")
    with pytest.raises(ValueError, match="belong to no scanner"):
        acknowledge(group, rules=["CKV_AWS_158", rule], reason=REASON)
    assert "checkov" not in str(metadata_of(stack))


def test_a_construct_of_many_resources_is_refused(stack):
    with pytest.raises(ValueError, match="Stack has no resource of its own"):
        acknowledge(stack, rules=["CKV_AWS_158"], reason=REASON)
