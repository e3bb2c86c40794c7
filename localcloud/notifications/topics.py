"""A service publishes to a topic: the topic's policy has to let it, and the policy of the topic's key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from moto.sns.models import sns_backends

from localcloud.authorization.service_calls import ServiceCall
from localcloud.authorization.services_using_keys import may_publish_encrypted
from localcloud.enforcements import Enforcement
from localcloud.iam.policy import Policy
from localcloud.refusals import Refusals

CLOUDWATCH = "cloudwatch.amazonaws.com"
RDS_EVENTS = "events.rds.amazonaws.com"
EVENTBRIDGE = "events.amazonaws.com"

# They publish for the owner of the topic, which is what a topic's default policy asks for. EventBridge does
# not: "Amazon SNS permissions" in its user guide has the policy that a topic needs.
_FOR_THE_OWNER = frozenset({CLOUDWATCH, RDS_EVENTS})


@dataclass(frozen=True)
class Message:
    """What is published."""

    text: str
    subject: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


def publish(call: ServiceCall, topic_arn: str, message: Message) -> str | None:
    """Publish in a service's name; return why AWS would not let it, which is on record then, or None."""
    account, region = topic_arn.split(":")[4], topic_arn.split(":")[3]
    topic = sns_backends[account][region].topics.get(topic_arn)
    if topic is None:
        return _refused(call, Enforcement.IAM, f"sns:Publish on {topic_arn}: there is no such topic")
    decision = call.may("sns:Publish", topic_arn, Policy.parse(topic.policy), _context(call))
    if not decision.allowed:
        return _refused(call, Enforcement.IAM, f"sns:Publish on {topic_arn} {decision.reason}")
    if topic.kms_master_key_id:
        decision = may_publish_encrypted(call, topic.kms_master_key_id, region, topic_arn)
        if not decision.allowed:
            what = f"the key {topic.kms_master_key_id} of {topic_arn} {decision.reason}"
            return _refused(call, Enforcement.KMS, what)
    sent = {name: {"Type": "String", "Value": value} for name, value in message.attributes.items()}
    topic.publish(message.text, message.subject and message.subject[:100], sent or None)
    return None


def _context(call: ServiceCall) -> dict[str, str | list[str]]:
    return {"AWS:SourceOwner": call.cloud.account} if call.service in _FOR_THE_OWNER else {}


def _refused(call: ServiceCall, enforcement: Enforcement, reason: str) -> str:
    Refusals.of(call.cloud).record(enforcement, f"{call.service} for {call.source_arn}", reason)
    return reason
