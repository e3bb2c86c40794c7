"""EventBridge: events of services, and of PutEvents, to the targets of the rules that match."""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from moto.events.models import events_backends
from moto.logs.models import logs_backends
from moto.sqs.models import sqs_backends

from localcloud.authorization.service_calls import ServiceCall
from localcloud.cloud import Cloud
from localcloud.functions.asynchronous import invoke_unattended
from localcloud.functions.runner import Functions
from localcloud.notifications import delivery, topics
from localcloud.notifications.outbox import Outbox

SERVICES = frozenset({"lambda", "logs", "sns", "sqs"})
"""Whose resources events are delivered to here."""

_log = logging.getLogger(__name__)


def put_event(
    cloud: Cloud,
    region: str,
    *,
    source: str,
    detail_type: str,
    detail: Mapping[str, Any],
    resources: Sequence[str] = (),
) -> None:
    """Let the default bus have an event of a service of AWS; nobody waits for who hears of it."""
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": cloud.account,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": list(resources),
        "detail": dict(detail),
    }
    for rule in list(events_backends[cloud.account][region].describe_event_bus("default").rules.values()):
        if rule.state == "ENABLED" and rule.event_pattern.matches_event(event):
            for target in list(rule.targets):
                deliver(cloud, rule, target, event)


def deliver(cloud: Cloud, rule: Any, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:
    """Send an event to one target of a rule, soon, if the target's policy lets EventBridge."""
    Outbox.of(cloud).put(lambda: _deliver(cloud, rule.arn, target, shaped(target, event)))


def shaped(target: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """Return what the target gets: the event, a part of it, a constant, or a template filled from it."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return json.dumps(_at(event, target["InputPath"]))
    if "InputTransformer" in target:
        return _filled(target["InputTransformer"], event)
    return json.dumps(event)


def _deliver(cloud: Cloud, rule_arn: str, target: Mapping[str, Any], text: str) -> None:
    arn = target["Arn"]
    _, _, service, region, account, rest = arn.split(":", 5)
    call = ServiceCall(cloud, topics.EVENTBRIDGE, rule_arn)
    if service == "sns":
        # "You can't use Condition blocks in Amazon SNS topic policies for EventBridge": user guide, "Using
        # resource-based policies for Amazon EventBridge"
        topics.publish(replace(call, tells_source=False), arn, topics.Message(text))
    elif service == "logs":
        _log_it(account, region, rest.removeprefix("log-group:").removesuffix(":*"), text)
    elif delivery.takes(call, arn):
        if service == "sqs":
            group = (target.get("SqsParameters") or {}).get("MessageGroupId")
            sqs_backends[account][region].send_message(rest, text, group_id=group)
        else:
            functions = cloud.part(Functions, Functions)
            invoke_unattended(functions, delivery.function_of(arn), json.loads(text))


def _log_it(account: str, region: str, group: str, text: str) -> None:
    logs, stream = logs_backends[account][region], str(uuid.uuid4())
    if group not in logs.groups:
        _log.warning("an event for log group %s, which is not there", group)
        return
    logs.create_log_stream(group, stream)
    stamp = int(datetime.now(UTC).timestamp() * 1000)
    logs.put_log_events(group, stream, [{"timestamp": stamp, "message": text}])


def _filled(transformer: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """Return the template with its <names> replaced: within a JSON text as text, elsewhere as JSON.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
    """
    paths = transformer.get("InputPathsMap") or {}
    values = {name: _at(event, path) for name, path in paths.items()}
    template: str = transformer["InputTemplate"]
    in_quotes = False
    parts = []
    for part in re.split(r'(<[\w.-]+>|(?<!\\)")', template):
        if part == '"':
            in_quotes = not in_quotes
        name = part[1:-1] if part.startswith("<") else None
        if name in values:
            value = values[name]
            plain = value if isinstance(value, str) else json.dumps(value)
            part = json.dumps(plain)[1:-1] if in_quotes else json.dumps(value)  # noqa: PLW2901
        parts.append(part)
    return "".join(parts)


def _at(event: Mapping[str, Any], path: str) -> Any:
    """Return what stands at a path like $.detail.eventName; "" where nothing does."""
    found: Any = event
    for name in path.removeprefix("$").strip(".").split("."):
        if name:
            found = found.get(name, "") if isinstance(found, Mapping) else ""
    return found
