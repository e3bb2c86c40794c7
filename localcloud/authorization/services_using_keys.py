"""What AWS's services do with a customer's key in their own name: the key's policy alone decides.

Nothing is asked where the enforcement of KMS is switched off, nor of keys that AWS manages for the account.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moto.kms.models import kms_backends

from localcloud.authorization.authorizer import ALLOWED
from localcloud.authorization.service_calls import Context, ServiceCall
from localcloud.cloud import Cloud
from localcloud.enforcements import Enforcement
from localcloud.iam.evaluation import Decision
from localcloud.iam.policy import Policy

# "Encrypt log data in CloudWatch Logs using AWS Key Management Service", CloudWatch Logs user guide
_OF_LOGS = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey")
# "Enable compatibility between event sources from AWS services and encrypted topics", SNS developer guide
TO_SEND = ("kms:GenerateDataKey", "kms:Decrypt")


def why_no_log_key(cloud: Cloud, key_arn: str, region: str, group_arn: str) -> str | None:
    """Return in CloudWatch Logs' words why it encrypts no log group with this key; None when it does."""
    context: dict[str, str | list[str]] = {
        "kms:EncryptionContext:aws:logs:arn": group_arn,
        "kms:EncryptionContextKeys": ["aws:logs:arn"],
    }
    logs = ServiceCall(cloud, f"logs.{region}.amazonaws.com", group_arn)
    decision = may_use_key(logs, key_arn, region, _OF_LOGS, context)
    if decision.allowed:
        return None
    return (
        "The specified KMS key does not exist or is not allowed to be used with Arn"
        f" '{group_arn}' (AccessDeniedException)"
    )


def may_publish_encrypted(call: ServiceCall, key_id: str, region: str, topic_arn: str) -> Decision:
    """Return whether a service may use the key of an encrypted topic, to publish to it."""
    if call.cloud.enforces(Enforcement.KMS) and _is_aws_managed(key_id):
        return Decision(allowed=False, reason=f"because the policy of {key_id} is AWS's and names no service")
    context: dict[str, str | list[str]] = {
        "kms:EncryptionContext:aws:sns:topicArn": topic_arn,
        "kms:EncryptionContextKeys": ["aws:sns:topicArn"],
    }
    return may_use_key(call, key_id, region, TO_SEND, context)


def may_use_key(
    call: ServiceCall, key_id: str, region: str, actions: Sequence[str], context: Context
) -> Decision:
    """Return whether a key that is there and enabled lets a service do all of this with it."""
    if not call.cloud.enforces(Enforcement.KMS) or _is_aws_managed(key_id):
        return ALLOWED
    key = key_named(call.cloud.account, region, key_id)
    if key is None or key.key_state != "Enabled":
        return Decision(allowed=False, reason=f"because the key {key_id} is not there, or not enabled")
    policy = Policy.parse(key.policy)
    decisions = (call.may(one, key.arn, policy, context, enforcement=Enforcement.KMS) for one in actions)
    return next((decision for decision in decisions if not decision.allowed), ALLOWED)


def key_named(account: str, region: str, key_id: str) -> Any:
    """Return the key of an id, ARN or alias; None when there is none."""
    backend = kms_backends[account][region]
    try:
        return backend.describe_key(backend.any_id_to_key_id(key_id))
    except Exception:
        return None


def _is_aws_managed(key_id: str) -> bool:
    return key_id.rpartition("alias/")[2].startswith("aws/")
