"""What notices a missing right: the deployment, or something that a deployed stack does by itself."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tests.deploy.least_privilege.deploying import Deployment, StackFailed
from tests.deploy.least_privilege.rights import STACKS, Right, without

NO_NEW_VERSION = "the secret has no new version"
ROTATION = "rotate_secret.handler.on_event"
MESSAGE_PATIENCE_SECONDS = 20
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


def _alarm(deployment: Deployment) -> str | None:
    """An alarm that rings reaches who subscribed to the topic."""
    alarm = _of_type(deployment, "AWS::CloudWatch::Alarm")[0]

    def ring() -> None:
        deployment.cloud.client("cloudwatch").set_alarm_state(
            AlarmName=alarm, StateValue="ALARM", StateReason="to see who hears of it"
        )

    return None if _is_told(deployment, ring, alarm) else f"{alarm} rang, and nobody was told"


def _failed_rotation(deployment: Deployment) -> str | None:
    """A rotation that fails is told to who subscribed to the topic."""
    (secret,) = _of_type(deployment, "AWS::SecretsManager::Secret")
    (function,) = [
        deployment.resources(stack)[logical_id]
        for stack in STACKS
        for logical_id, one in _resources(deployment, stack, "AWS::Lambda::Function")
        if one["Handler"] == ROTATION
    ]
    client = deployment.cloud.client("lambda")

    def fail() -> None:
        client.update_function_configuration(FunctionName=function, Handler="nowhere.on_event")
        with contextlib.suppress(ClientError):
            deployment.cloud.client("secretsmanager").rotate_secret(SecretId=secret)

    try:
        told = _is_told(deployment, fail, "RotationFailed")
    finally:
        client.update_function_configuration(FunctionName=function, Handler=ROTATION)
    return None if told else "a rotation failed, and nobody was told"


def _is_told(deployment: Deployment, happens: Callable[[], None], word: str) -> bool:
    """Return whether a queue behind the topic gets a message with the word soon after something happens."""
    (topic,) = _of_type(deployment, "AWS::SNS::Topic")
    sqs, sns = deployment.cloud.client("sqs"), deployment.cloud.client("sns")
    queue = sqs.create_queue(QueueName=f"told-{uuid.uuid4()}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(_taken_from(topic, arn))})
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    try:
        happens()
        deadline = time.monotonic() + MESSAGE_PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for message in sqs.receive_message(QueueUrl=queue).get("Messages", []):
                if word in message["Body"]:
                    return True
            time.sleep(0.2)
        return False
    finally:
        sns.unsubscribe(SubscriptionArn=subscription)
        sqs.delete_queue(QueueUrl=queue)


def _taken_from(topic: str, queue: str) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


OBSERVATIONS: dict[str, Callable[[Deployment], str | None]] = {
    "rotation": _rotation,
    "logs": _logs,
    "flow log": _flow_log,
    "alarm": _alarm,
    "failed rotation": _failed_rotation,
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
