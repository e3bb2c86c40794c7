"""Amazon SNS: topics, their policies and subscriptions."""

from __future__ import annotations

import json
from typing import ClassVar

from moto.core.utils import camelcase_to_underscores
from moto.sns.models import SNSBackend, sns_backends

from localcloud.resources.base import Handler, Properties, Provisioned, Request
from localcloud.resources.on_moto import OnMoto, document, found_tags, gone_is_deleted, removed_tags, tag_map

_TOPIC_ATTRIBUTES = (
    "ContentBasedDeduplication",
    "DisplayName",
    "FifoTopic",
    "KmsMasterKeyId",
    "TracingConfig",
)
_SUBSCRIPTION_ATTRIBUTES = (
    "DeliveryPolicy",
    "FilterPolicy",
    "FilterPolicyScope",
    "RawMessageDelivery",
    "RedrivePolicy",
)


class Topic(OnMoto):
    """A topic with its inline subscriptions. It delivers to Lambda, SQS and HTTP; no mail leaves here."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {*_TOPIC_ATTRIBUTES, "Subscription", "Tags", "TopicName"}
    )
    no_local_effect: ClassVar[frozenset[str]] = frozenset({"DeliveryStatusLogging", "SignatureVersion"})

    def create(self, request: Request) -> Provisioned:
        """Create the topic; Ref yields its ARN."""
        given = request.properties
        fifo = ".fifo" if str(given.get("FifoTopic", "")).lower() == "true" else ""
        name = given.get("TopicName") or request.generated_name(longest=256 - len(fifo)) + fifo
        attributes = {key: _text(given[key]) for key in _TOPIC_ATTRIBUTES if key in given}
        topic = _backend(request).create_topic(name, attributes, tag_map(given))
        for subscription in given.get("Subscription", []):
            _backend(request).subscribe(topic.arn, subscription["Endpoint"], subscription["Protocol"])
        return Provisioned(topic.arn, {"TopicArn": topic.arn, "TopicName": name})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring attributes, subscriptions and tags to what the template says."""
        backend, given, arn = _backend(request), request.properties, current.physical_id
        for key in _TOPIC_ATTRIBUTES:
            if previous.get(key) != given.get(key):
                backend.set_topic_attribute(arn, camelcase_to_underscores(key), _text(given.get(key, "")))
        old, new = previous.get("Subscription", []), given.get("Subscription", [])
        for one in list(backend.subscriptions.values()):
            if one.topic.arn == arn and _described(one) in old and _described(one) not in new:
                backend.unsubscribe(one.arn)
        for wanted in [wanted for wanted in new if wanted not in old]:
            backend.subscribe(arn, wanted["Endpoint"], wanted["Protocol"])
        backend.untag_resource(arn, removed_tags(previous, given))
        backend.tag_resource(arn, tag_map(given))
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the topic with its subscriptions."""
        with gone_is_deleted():
            _backend(request).delete_topic(current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return attributes, subscriptions and tags."""
        backend, arn = _backend(request), current.physical_id
        topic = backend.topics.get(arn)
        if topic is None:
            return None
        return {
            **{key: getattr(topic, camelcase_to_underscores(key), None) for key in _TOPIC_ATTRIBUTES},
            "Subscription": [
                _described(one) for one in backend.subscriptions.values() if one.topic.arn == arn
            ],
            "Tags": found_tags(backend.list_tags_for_resource(arn)),
            "TopicName": topic.name,
        }


class Subscription(OnMoto):
    """A subscription of a topic."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {*_SUBSCRIPTION_ATTRIBUTES, "Endpoint", "Protocol", "TopicArn"}
    )

    def create(self, request: Request) -> Provisioned:
        """Subscribe; Ref yields the subscription's ARN."""
        backend, given = _backend(request), request.properties
        arn = backend.subscribe(given["TopicArn"], given["Endpoint"], given["Protocol"]).arn
        return self.update(request, Provisioned(arn, {"Arn": arn}), {})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring the attributes to what the template says."""
        for key in _SUBSCRIPTION_ATTRIBUTES:
            if previous.get(key) != request.properties.get(key):
                value = _text(request.properties.get(key, ""))
                _backend(request).set_subscription_attributes(current.physical_id, key, value)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Unsubscribe."""
        with gone_is_deleted():
            _backend(request).unsubscribe(current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return who is told of what, and how."""
        found = _backend(request).subscriptions.get(current.physical_id)
        if found is None:
            return None
        attributes = {key: found.attributes.get(key) for key in _SUBSCRIPTION_ATTRIBUTES}
        return {**attributes, **_described(found), "TopicArn": found.topic.arn}


class TopicPolicy(OnMoto):
    """One policy for several topics, kept and answered."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"PolicyDocument", "Topics"})

    def create(self, request: Request) -> Provisioned:
        """Put the policy on each topic."""
        self._put(request, request.properties["Topics"], document(request.properties["PolicyDocument"]))
        name = request.generated_name(longest=128)
        return Provisioned(name, {"Id": name})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Put the new policy, and take it from topics that are no longer named."""
        self._put(request, sorted(set(previous["Topics"]) - set(request.properties["Topics"])), "")
        self._put(request, request.properties["Topics"], document(request.properties["PolicyDocument"]))
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Take the policy from each topic."""
        self._put(request, request.properties["Topics"], "")

    def _put(self, request: Request, topics: list[str], policy: str) -> None:
        for arn in topics:
            if policy:
                _backend(request).set_topic_attribute(arn, "policy", policy)
            elif topic := _backend(request).topics.get(arn):
                topic.policy = type(topic)(topic.name, _backend(request)).policy  # a new topic's default


def _backend(request: Request) -> SNSBackend:
    return sns_backends[request.account][request.region]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _described(subscription: object) -> dict[str, str]:
    return {
        "Endpoint": getattr(subscription, "endpoint", ""),
        "Protocol": getattr(subscription, "protocol", ""),
    }


HANDLERS: dict[str, Handler] = {
    "AWS::SNS::Subscription": Subscription(),
    "AWS::SNS::Topic": Topic(),
    "AWS::SNS::TopicPolicy": TopicPolicy(),
}
