"""Amazon SQS: queues and their policies."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from moto.sqs.exceptions import QueueDoesNotExist
from moto.sqs.models import SQSBackend, sqs_backends

from localcloud.resources.base import Handler, Properties, Provisioned, Request, ResourceFailed
from localcloud.resources.on_moto import OnMoto, document, flag, found_tags, tag_map

_ATTRIBUTES = {
    "ContentBasedDeduplication": "false",
    "DelaySeconds": "0",
    "KmsDataKeyReusePeriodSeconds": "300",
    "KmsMasterKeyId": "",
    "MaximumMessageSize": "262144",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "RedrivePolicy": "",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}
"""With the values that SQS gives a queue without them."""


class Queue(OnMoto):
    """A queue. Its key is recorded."""

    supported: ClassVar[frozenset[str] | None] = frozenset({*_ATTRIBUTES, "FifoQueue", "QueueName", "Tags"})
    no_local_effect: ClassVar[frozenset[str]] = frozenset(
        {"DeduplicationScope", "FifoThroughputLimit", "RedriveAllowPolicy"}
    )

    def create(self, request: Request) -> Provisioned:
        """Create the queue; Ref yields its URL."""
        given = request.properties
        fifo = ".fifo" if flag(given, "FifoQueue") else ""
        name = given.get("QueueName") or request.generated_name(longest=80 - len(fifo)) + fifo
        if name in _backend(request).queues:
            raise ResourceFailed(f"{name} already exists (QueueAlreadyExists)")
        attributes = {key: _text(given[key]) for key in _ATTRIBUTES if key in given}
        if fifo:
            attributes["FifoQueue"] = "true"
        queue = _backend(request).create_queue(name, tag_map(given), **attributes)
        url = f"{request.cloud.endpoint_url}/{request.account}/{name}"
        return Provisioned(url, {"Arn": queue.queue_arn, "QueueName": name, "QueueUrl": url})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring attributes and tags to what the template says."""
        given, queue = request.properties, _queue(request, current.physical_id)
        changed = {
            key: _text(given.get(key, default))
            for key, default in _ATTRIBUTES.items()
            if previous.get(key) != given.get(key)
        }
        if changed:
            _backend(request).set_queue_attributes(queue.name, changed)
        queue.tags = tag_map(given)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the queue with what is in it."""
        _backend(request).queues.pop(_name(current.physical_id), None)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return attributes and tags."""
        queue = _backend(request).queues.get(_name(current.physical_id))
        if queue is None:
            return None
        told = queue.attributes
        attributes = {name: told.get(name, default) for name, default in _ATTRIBUTES.items()}
        return {**attributes, "QueueName": queue.name, "Tags": found_tags(queue.tags)}


class QueuePolicy(OnMoto):
    """One policy for several queues."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"PolicyDocument", "Queues"})

    def create(self, request: Request) -> Provisioned:
        """Put the policy on each queue."""
        self._put(request, request.properties["Queues"], document(request.properties["PolicyDocument"]))
        name = request.generated_name(longest=128)
        return Provisioned(name, {"Id": name})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Put the new policy, and take it from queues that are no longer named."""
        self._put(request, sorted(set(previous["Queues"]) - set(request.properties["Queues"])), "")
        self._put(request, request.properties["Queues"], document(request.properties["PolicyDocument"]))
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Take the policy from each queue; one that is gone has none."""
        self._put(request, request.properties["Queues"], "")

    def _put(self, request: Request, queues: list[str], policy: str) -> None:
        for url in queues:
            try:
                _queue(request, url).policy = policy
            except QueueDoesNotExist:
                if policy:
                    raise ResourceFailed(f"The specified queue does not exist: {url}") from None


def _queue(request: Request, url: str) -> Any:
    return _backend(request).get_queue(_name(url))


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _backend(request: Request) -> SQSBackend:
    return sqs_backends[request.account][request.region]


HANDLERS: dict[str, Handler] = {"AWS::SQS::Queue": Queue(), "AWS::SQS::QueuePolicy": QueuePolicy()}
