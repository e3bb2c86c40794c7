"""What notices a missing right: the deployment, or something that a deployed stack does by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tests.deploy.least_privilege.deploying import Deployment, StackFailed
from tests.deploy.least_privilege.rights import STACKS, Right, without

NO_NEW_VERSION = "the secret has no new version"
NO_ANSWER = "failed without a response"
"""The CDK's framework asks again what it may not ask, until its own time is over."""


@dataclass(frozen=True)
class Notice:
    """Who noticed, and what was said."""

    by: str
    reason: str


def what_notices(deployment: Deployment, right: Right | None) -> Notice | None:
    """Return who notices that the right is missing; None when nobody does. Without a right: the control."""
    notice = _what_notices(deployment, right)
    if notice and right and any(one in notice.reason for one in (NO_NEW_VERSION, NO_ANSWER)):
        return Notice(notice.by, f"{notice.reason}; refused: {_last_refusal(deployment, right)}")
    return notice


def _what_notices(deployment: Deployment, right: Right | None) -> Notice | None:
    templates = deployment.templates
    changed = {right.stack: without(templates[right.stack], right)} if right else {}
    try:
        deployment.deploy(changed)
    except StackFailed as failure:
        return Notice("deployment", str(failure))
    for name, observe in OBSERVATIONS.items():
        reason = observe(deployment)
        if reason:
            return Notice(name, reason)
    stuck = deployment.take_down(right.stack if right else STACKS[0])
    return Notice("deletion", stuck[0]) if stuck else None


def _rotation(deployment: Deployment) -> str | None:
    """The admin secret rotates when it is asked to."""
    (secret,) = _of_type(deployment, "AWS::SecretsManager::Secret")
    client = deployment.cloud.client("secretsmanager")
    before = _current_version(client, secret)
    try:
        client.rotate_secret(SecretId=secret)
    except ClientError as refused:
        return str(refused)
    if _current_version(client, secret) != before:
        return None
    return NO_NEW_VERSION


def _logs(deployment: Deployment) -> str | None:
    """Every function that has run has written to its log."""
    for stack in STACKS:
        physical = deployment.resources(stack)
        for logical_id, function in _resources(deployment, stack, "AWS::Lambda::Function"):
            group = physical[function["LoggingConfig"]["LogGroup"]["Ref"]]
            if not deployment.cloud.items("logs", "filter_log_events", "events", logGroupName=group):
                return f"{logical_id}: no line of its log has arrived"
    return None


def _flow_log(deployment: Deployment) -> str | None:
    """The flow log reaches its group."""
    (flow_log,) = _of_type(deployment, "AWS::EC2::FlowLog")
    described = deployment.cloud.client("ec2").describe_flow_logs(FlowLogIds=[flow_log])["FlowLogs"][0]
    if described["DeliverLogsStatus"] == "SUCCESS":
        return None
    return f"DeliverLogsStatus {described['DeliverLogsStatus']}: {described['DeliverLogsErrorMessage']}"


OBSERVATIONS: dict[str, Callable[[Deployment], str | None]] = {
    "rotation": _rotation,
    "logs": _logs,
    "flow log": _flow_log,
}
"""What is looked at after a deployment that succeeded; each returns why it is not content."""


def _last_refusal(deployment: Deployment, right: Right) -> str:
    """Return what the cloud refused to whom the right belongs to, at last."""
    who = f"{deployment.stack_name(right.stack)}-{right.holder}"
    found = [one["reason"] for one in deployment.cloud.status()["refusals"] if who in one["who"]]
    return str(found[-1]) if found else "nothing"


def _current_version(client: Any, secret: str) -> str:
    versions: dict[str, list[str]] = client.describe_secret(SecretId=secret)["VersionIdsToStages"]
    return next(version for version, stages in versions.items() if "AWSCURRENT" in stages)


def _of_type(deployment: Deployment, resource_type: str) -> list[str]:
    """Return the physical ids of all resources of a type."""
    return [
        deployment.resources(stack)[logical_id]
        for stack in STACKS
        for logical_id, _ in _resources(deployment, stack, resource_type)
    ]


def _resources(deployment: Deployment, stack: str, resource_type: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (logical_id, resource.get("Properties", {}))
        for logical_id, resource in deployment.templates[stack]["Resources"].items()
        if resource["Type"] == resource_type
    ]
