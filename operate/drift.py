"""What somebody changed past the templates, as CloudFormation's drift detection tells it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from rich.console import Console

from operate.aws import Refused
from operate.deployment import Deployment

if TYPE_CHECKING:
    import boto3

NONE, DRIFTED = 0, 3
PATIENCE_SECONDS = 900
_POLL_SECONDS = 3
_LONGEST_VALUE = 200
_GROUP = "AWS::EC2::SecurityGroup"


def show(console: Console, session: boto3.Session, deployment: Deployment) -> int:
    """Print each resource that is not as its template says, with both values; returns NONE or DRIFTED.

    Says as well which types nobody compared. Raises Refused where a stack cannot be looked at, and for
    resources that could not be read although they should be: "no drift" would not be known.
    """
    stacks = _compared(session.client("cloudformation"), deployment)
    found = [*_differences(stacks), *_rules_added(session.client("ec2"), stacks)]
    for one in found:
        console.print(one.line, style="red", soft_wrap=True, markup=False)
    checked = sum(one["StackResourceDriftStatus"] != "UNKNOWN" for stack in stacks for one in stack.drifts)
    drifted = len({one.resource for one in found})
    console.print(f"{drifted} of {checked} compared resources of {deployment.title} have drifted")
    unchecked = sorted({kind for stack in stacks for kind in stack.unchecked_types})
    if unchecked:
        console.print(f"Not compared: {', '.join(unchecked)}", soft_wrap=True)
    if failures := [stack.failure for stack in stacks if stack.failure]:
        raise Refused("; ".join(failures))
    return DRIFTED if found else NONE


@dataclass(frozen=True)
class _Found:
    """One difference; the physical id says whose."""

    resource: str
    line: str


@dataclass(frozen=True)
class _Stack:
    """One stack, compared."""

    name: str
    drifts: list[dict[str, Any]]
    resources: list[dict[str, Any]]
    failure: str

    @property
    def unchecked_types(self) -> set[str]:
        """The types of which nothing was compared."""
        checked = {one["LogicalResourceId"] for one in self.drifts}
        return {one["ResourceType"] for one in self.resources if one["LogicalResourceId"] not in checked}

    def where(self, drift: dict[str, Any]) -> str:
        """Say which resource a line is about."""
        kind, physical_id = drift["ResourceType"], drift.get("PhysicalResourceId", "")
        return f"{self.name}: {drift['LogicalResourceId']} ({kind}, {physical_id})"


def _compared(cloudformation: Any, deployment: Deployment) -> list[_Stack]:
    """Compare all stacks at once: on AWS each takes a minute or more."""
    begun = {name: _begin(cloudformation, name) for name in deployment.stack_names}
    until = time.monotonic() + PATIENCE_SECONDS
    return [_finish(cloudformation, name, detection, until) for name, detection in begun.items()]


def _begin(cloudformation: Any, name: str) -> str:
    try:
        detection: str = cloudformation.detect_stack_drift(StackName=name)["StackDriftDetectionId"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise Refused(f"{name}: {error.response['Error']['Message']}") from error
    return detection


def _finish(cloudformation: Any, name: str, detection: str, until: float) -> _Stack:
    while True:
        status = cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        if status["DetectionStatus"] != "DETECTION_IN_PROGRESS":
            break
        if time.monotonic() > until:
            raise Refused(f"{name}: drift is still being detected after {PATIENCE_SECONDS} s; run it again")
        time.sleep(_POLL_SECONDS)
    failed = status["DetectionStatus"] == "DETECTION_FAILED"
    return _Stack(
        name,
        _pages(cloudformation, "describe_stack_resource_drifts", "StackResourceDrifts", StackName=name),
        _pages(cloudformation, "list_stack_resources", "StackResourceSummaries", StackName=name),
        f"{name}: {status.get('DetectionStatusReason', 'drift detection failed')}" if failed else "",
    )


def _pages(client: Any, operation: str, member: str, **arguments: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = getattr(client, operation)(**arguments)
        found += page[member]
        if not page.get("NextToken"):
            return found
        arguments["NextToken"] = page["NextToken"]


def _differences(stacks: list[_Stack]) -> Iterator[_Found]:
    for stack in stacks:
        for one in stack.drifts:
            physical_id = one.get("PhysicalResourceId", "")
            if one["StackResourceDriftStatus"] == "DELETED":
                yield _Found(physical_id, f"{stack.where(one)} is gone")
            for change in one.get("PropertyDifferences", []):
                yield _Found(
                    physical_id,
                    f"{stack.where(one)} {change['PropertyPath']}: {_shortened(change['ExpectedValue'])} in"
                    f" the template, {_shortened(change['ActualValue'])} in the account",
                )


def _rules_added(ec2: Any, stacks: list[_Stack]) -> Iterator[_Found]:
    """Yield what was let into a security group past the templates.

    CloudFormation compares the rules of a group only where its template lists them there; ours are resources
    of their own, as the CDK makes them, so that to CloudFormation one more is none of its business.
    """
    groups = {
        one["PhysicalResourceId"]: stack.where(one)
        for stack in stacks
        for one in stack.drifts
        if one["ResourceType"] == _GROUP
        and "SecurityGroupIngress" not in json.loads(one.get("ExpectedProperties") or "{}")
    }
    if not groups:
        return
    known = {one.get("PhysicalResourceId") for stack in stacks for one in stack.resources}
    of_groups = [{"Name": "group-id", "Values": sorted(groups)}]
    for rule in _pages(ec2, "describe_security_group_rules", "SecurityGroupRules", Filters=of_groups):
        if not rule["IsEgress"] and rule["SecurityGroupRuleId"] not in known:
            yield _Found(
                rule["GroupId"],
                f"{groups[rule['GroupId']]} lets in {_described(rule)}, {rule['SecurityGroupRuleId']}, of no"
                " template",
            )


def _described(rule: dict[str, Any]) -> str:
    peers = [rule.get(name) for name in ("CidrIpv4", "CidrIpv6", "PrefixListId")]
    peers.append(rule.get("ReferencedGroupInfo", {}).get("GroupId"))
    ports = f"{rule.get('FromPort')}-{rule.get('ToPort')}"
    protocol = "everything" if rule["IpProtocol"] == "-1" else f"{rule['IpProtocol']}/{ports}"
    return f"{protocol} from {next((one for one in peers if one), 'anywhere')}"


def _shortened(value: str) -> str:
    return value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}…"
