"""Whether a queue or a function takes what a topic or a rule sends: their own policies say."""

from __future__ import annotations

from typing import Any

from moto.awslambda.utils import get_backend
from moto.sqs.models import sqs_backends

from localcloud.authorization.service_calls import ServiceCall
from localcloud.authorization.services_using_keys import TO_SEND, may_use_key
from localcloud.enforcements import Enforcement
from localcloud.iam.policy import Policy
from localcloud.refusals import Refusals

SNS = "sns.amazonaws.com"


def takes(call: ServiceCall, target_arn: str) -> bool:
    """Return whether the target's policy, and its key's, let the service deliver; a refusal is on record."""
    kind = target_arn.split(":")[2]
    refused = {"sqs": _why_no_queue, "lambda": _why_no_function}[kind](call, target_arn)
    if refused is None:
        return True
    enforcement, reason = refused
    Refusals.of(call.cloud).record(enforcement, f"{call.service} for {call.source_arn}", reason)
    return False


def function_of(arn: str) -> Any:
    """Return the function of an ARN, which may end with a version or an alias; None when there is none."""
    _, _, _, region, account, _, name, *qualifier = arn.split(":")
    try:
        return get_backend(account, region).get_function(name, *qualifier)
    except Exception:
        return None


def _why_no_queue(call: ServiceCall, arn: str) -> tuple[Enforcement, str] | None:
    region, account, name = arn.split(":")[3:6]
    queue = sqs_backends[account][region].queues.get(name)
    if queue is None:
        return Enforcement.IAM, f"sqs:SendMessage on {arn}: there is no such queue"
    policy = Policy.parse(queue.policy) if queue.policy else Policy(())
    decision = call.may("sqs:SendMessage", arn, policy)
    if not decision.allowed:
        return Enforcement.IAM, f"sqs:SendMessage on {arn} {decision.reason}"
    if queue.kms_master_key_id:
        context = {"kms:EncryptionContext:aws:sqs:arn": arn}
        decision = may_use_key(call, queue.kms_master_key_id, region, TO_SEND, context)
        if not decision.allowed:
            return Enforcement.KMS, f"the key {queue.kms_master_key_id} of {arn} {decision.reason}"
    return None


def _why_no_function(call: ServiceCall, arn: str) -> tuple[Enforcement, str] | None:
    function = function_of(arn)
    if function is None:
        return Enforcement.IAM, f"lambda:InvokeFunction on {arn}: there is no such function"
    statements = function.policy.statements if function.policy else []
    policy = Policy.parse({"Version": "2012-10-17", "Statement": statements}) if statements else Policy(())
    decision = call.may("lambda:InvokeFunction", arn, policy)
    return (
        None if decision.allowed else (Enforcement.IAM, f"lambda:InvokeFunction on {arn} {decision.reason}")
    )
