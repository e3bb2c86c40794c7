"""Rotation of secrets by a Lambda function, in Secrets Manager's four steps.

Source: AWS Secrets Manager User Guide, "Rotation by Lambda function", and API reference, "RotateSecret".
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.awslambda.utils import get_backend
from moto.secretsmanager.exceptions import (
    InvalidRequestException,
    ResourceNotFoundException,
    SecretsManagerClientError,
)
from moto.secretsmanager.models import SecretsManagerBackend

from localcloud.authorization import services_acting
from localcloud.cloud import Cloud
from localcloud.functions.runner import Functions
from localcloud.notifications import event_bus

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")

_RATE = re.compile(r"rate\((\d+) (hour|day)s?\)")
_CRON = re.compile(r"cron\(\S+( \S+){5}\)")

_log = logging.getLogger(__name__)
_one_at_a_time = threading.Lock()


def rotate_secret(
    cloud: Cloud,
    backend: SecretsManagerBackend,
    *,
    secret_id: str,
    client_request_token: str | None = None,
    rotation_lambda_arn: str | None = None,
    rotation_rules: Mapping[str, Any] | None = None,
    rotate_immediately: bool = True,
) -> str:
    """RotateSecret: answers when it is over. As on AWS, a failure shows in the secret, not here."""
    secret = backend.describe_secret(secret_id)
    register(cloud, backend, secret_id, rotation_lambda_arn or secret.rotation_lambda_arn, rotation_rules)
    if rotate_immediately:
        rotate(cloud, secret, client_request_token)
    else:
        test(cloud, secret)
    answer: str = secret.to_short_dict()
    return answer


def register(
    cloud: Cloud,
    backend: SecretsManagerBackend,
    secret_id: str,
    function_arn: str,
    rules: Mapping[str, Any] | None,
) -> Any:
    """The secret, which this function rotates from now on. Raises AWS's errors for what cannot be."""
    secret = backend.describe_secret(secret_id)
    if secret.is_deleted():
        raise InvalidRequestException(
            "You tried to perform the operation on a secret that's currently marked deleted."
        )
    if not function_arn:
        raise InvalidRequestException(
            "You tried to enable rotation on a secret that doesn't already have a Lambda function ARN"
            " configured and you didn't include such an ARN as a parameter in this call."
        )
    refused = services_acting.why_no_rotation(cloud, _function(secret, function_arn), secret.arn)
    if refused:
        raise SecretsManagerClientError("AccessDeniedException", refused)
    secret.rotation_requested = True
    secret.rotation_enabled = True
    secret.rotation_lambda_arn = function_arn
    if rules:
        secret.auto_rotate_after_days = _days(rules)
        whole = {"AutomaticallyAfterDays": int} if "AutomaticallyAfterDays" in rules else {}
        secret.rotation_rules = {name: whole.get(name, str)(value) for name, value in rules.items()}
        if secret.auto_rotate_after_days:
            secret.next_rotation_date = int(time.time()) + secret.auto_rotate_after_days * 86_400
    return secret


def rotate(cloud: Cloud, secret: Any, token: str | None = None) -> bool:
    """Whether all four steps succeeded: only then has the secret a new current version.

    A rotation that failed before is taken up again, with its version.
    """
    with _one_at_a_time:
        _tell(cloud, secret, "RotationStarted")
        version = _pending(secret) or token or str(uuid.uuid4())
        if version not in secret.versions:
            secret.versions[version] = _new_version(version, {})
        for step in STEPS:
            failure = _take(cloud, secret, version, step)
            if failure:
                _log.warning("rotation of %s failed at %s: %s", secret.name, step, failure)
                _tell(cloud, secret, "RotationFailed")
                return False
        if "AWSCURRENT" not in secret.versions[version]["version_stages"]:
            _log.warning("rotation of %s: finishSecret did not make its version current", secret.name)
            _tell(cloud, secret, "RotationFailed")
            return False
        secret.set_default_version_id(version)
        secret.last_rotation_date = int(time.time())
        if secret.auto_rotate_after_days:
            secret.next_rotation_date = secret.last_rotation_date + secret.auto_rotate_after_days * 86_400
        _tell(cloud, secret, "RotationSucceeded")
        return True


def test(cloud: Cloud, secret: Any) -> bool:
    """Whether the function passes its test step, with the present value as a pending version."""
    with _one_at_a_time:
        if _pending(secret):
            return False
        version = str(uuid.uuid4())
        current = secret.versions[secret.default_version_id]
        value = {kind: current[kind] for kind in ("secret_string", "secret_binary") if kind in current}
        secret.versions[version] = _new_version(version, value)
        try:
            failure = _take(cloud, secret, version, "testSecret")
        finally:
            secret.versions.pop(version, None)
        if failure:
            _log.warning("test of the rotation of %s failed: %s", secret.name, failure)
        _tell(cloud, secret, "TestRotationFailed" if failure else "TestRotationSucceeded")
        return failure is None


def _days(rules: Mapping[str, Any]) -> int:
    """How many days lie between rotations; 0 for a cron expression, which nobody computes here.

    InvalidRequestException for what is no schedule: 1 to 1000 days, or rate() from 4 hours on.
    """
    days, schedule = rules.get("AutomaticallyAfterDays"), rules.get("ScheduleExpression")
    if days is not None and schedule is not None:
        raise InvalidRequestException(
            "You can't specify both AutomaticallyAfterDays and ScheduleExpression in RotationRules."
        )
    if days is not None and not 1 <= int(days) <= 1000:
        raise InvalidRequestException("RotationRules.AutomaticallyAfterDays must be within 1-1000.")
    if days is not None or schedule is None:
        return int(days or 0)
    rate = _RATE.fullmatch(schedule)
    if rate is None and not _CRON.fullmatch(schedule):
        raise InvalidRequestException(f"The schedule expression {schedule} is not valid.")
    hours = int(rate[1]) * (24 if rate[2] == "day" else 1) if rate else 24
    if hours < 4:
        raise InvalidRequestException("A secret can be rotated as often as every four hours.")
    return -(-hours // 24) if rate else 0


def _tell(cloud: Cloud, secret: Any, name: str) -> None:
    """EventBridge hears of it as CloudTrail writes it down.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html
    """
    event_bus.put_event(
        cloud,
        secret.region,
        source="aws.secretsmanager",
        detail_type="AWS Service Event via CloudTrail",
        detail={
            "eventVersion": "1.08",
            "userIdentity": {
                "accountId": secret.account_id,
                "invokedBy": "secretsmanager.amazonaws.com",
            },
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": "secretsmanager.amazonaws.com",
            "eventName": name,
            "awsRegion": secret.region,
            "eventType": "AwsServiceEvent",
            "eventID": str(uuid.uuid4()),
            "recipientAccountId": secret.account_id,
            "additionalEventData": {"SecretId": secret.arn},
        },
    )


def _take(cloud: Cloud, secret: Any, version: str, step: str) -> str | None:
    """The function's error, or None."""
    event = {"Step": step, "SecretId": secret.arn, "ClientRequestToken": version}
    function = _function(secret, secret.rotation_lambda_arn)
    refused = services_acting.why_no_rotation(cloud, function, secret.arn)
    if refused:
        return refused
    outcome = cloud.part(Functions, Functions).invoke(function, event, waits=True)
    if not outcome.failed:
        return None
    try:
        error = json.loads(outcome.payload)
        return f"{error.get('errorType')}: {error.get('errorMessage')}"
    except (ValueError, AttributeError):
        return outcome.payload[:500]


def _function(secret: Any, function_arn: str) -> Any:
    try:
        return get_backend(secret.account_id, secret.region).get_function(function_arn)
    except Exception as error:
        raise ResourceNotFoundException(
            f"Secrets Manager can't find the Lambda function {function_arn}."
        ) from error


def _pending(secret: Any) -> str | None:
    """The version of a rotation that is not finished."""
    for version, entry in secret.versions.items():
        stages = entry["version_stages"]
        if "AWSPENDING" in stages and "AWSCURRENT" not in stages:
            return str(version)
    return None


def _new_version(version: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "createdate": int(time.time()),
        "version_id": version,
        "version_stages": ["AWSPENDING"],
        **value,
    }
