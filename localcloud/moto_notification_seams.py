"""Where the local cloud reaches into moto's alarms, topics and event bus, and why."""

from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend
from moto.events.models import Rule
from moto.sns.models import Subscription

from localcloud.alarms import states
from localcloud.alarms.evaluator import AlarmEvaluator
from localcloud.authorization.service_calls import ServiceCall
from localcloud.cloud import Cloud
from localcloud.functions.asynchronous import invoke_unattended
from localcloud.functions.runner import Functions
from localcloud.notifications import delivery, event_bus

_log = logging.getLogger(__name__)


def install(cloud: Cloud) -> None:
    """Let alarms ring, topics deliver to who lets them, and the event bus to topics and functions."""
    _begin_alarms_without_data(cloud)
    _act_on_states_that_are_set(cloud)
    _deliver_where_allowed(cloud)
    _deliver_events(cloud)


def _begin_alarms_without_data(cloud: Cloud) -> None:
    """moto begins an alarm as OK, and begins it anew with each change; none of its alarms rings."""
    put = CloudWatchBackend.put_metric_alarm

    def put_metric_alarm(backend: Any, *given: Any, **named: Any) -> Any:
        former = backend.alarms.get(named.get("name") or (given[0] if given else None))
        alarm = put(backend, *given, **named)
        if former is None:
            alarm.state_value = states.INSUFFICIENT_DATA
        else:
            for name in ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp"):
                setattr(alarm, name, getattr(former, name))
            alarm.history = former.history
        AlarmEvaluator.of(cloud)
        return alarm

    CloudWatchBackend.put_metric_alarm = put_metric_alarm


def _act_on_states_that_are_set(cloud: Cloud) -> None:
    """moto notes the state and tells nobody."""
    set_state = CloudWatchBackend.set_alarm_state

    def set_alarm_state(backend: Any, name: str, reason: str, reason_data: str, state: str) -> None:
        alarm = backend.alarms.get(name)
        if alarm is None or state not in (states.OK, states.ALARM, states.INSUFFICIENT_DATA):
            set_state(backend, name, reason, reason_data, state)  # which says what is wrong
            return
        AlarmEvaluator.of(cloud).move(alarm, state, reason, reason_data or "{}")

    CloudWatchBackend.set_alarm_state = set_alarm_state


def _deliver_where_allowed(cloud: Cloud) -> None:
    """moto delivers to any queue and function, and takes RawMessageDelivery "false" for true."""
    publish = Subscription.publish

    def deliver(subscription: Any, message: str, message_id: str, **more: Any) -> None:
        if str(subscription.attributes.get("RawMessageDelivery", "")).lower() == "false":
            del subscription.attributes["RawMessageDelivery"]
        if subscription.protocol in ("sqs", "lambda"):
            call = ServiceCall(cloud, delivery.SNS, subscription.topic.arn)
            if not delivery.takes(call, subscription.endpoint):
                return
        if subscription.protocol == "lambda":
            _invoke(cloud, subscription, message, message_id, more)
        elif subscription.protocol in ("http", "https"):
            threading.Thread(
                target=_unattended, args=(publish, subscription, message, message_id, more), daemon=True
            ).start()
        else:
            publish(subscription, message, message_id, **more)

    Subscription.publish = deliver


def _unattended(publish: Any, subscription: Any, message: str, message_id: str, more: dict[str, Any]) -> None:
    try:
        publish(subscription, message, message_id, **more)
    except Exception as error:
        _log.warning("%s did not take a message: %s", subscription.endpoint, error)


def _invoke(cloud: Cloud, subscription: Any, message: str, message_id: str, more: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html; moto's event is a sample of an event."""
    matcher = subscription._filter_policy_matcher
    if matcher is not None and not matcher.matches(more.get("message_attributes"), message):
        return
    if more.get("message_structure") == "json":
        message = subscription._parse_message_structure(message, subscription.protocol)
    told = {
        "Type": "Notification",
        "MessageId": message_id,
        "TopicArn": subscription.topic.arn,
        "Subject": more.get("subject"),
        "Message": message,
        "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "SignatureVersion": "1",
        "Signature": "",
        "SigningCertUrl": "",
        "UnsubscribeUrl": "",
        "MessageAttributes": more.get("message_attributes") or {},
    }
    record = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription.arn,
        "Sns": told,
    }
    function = delivery.function_of(subscription.endpoint)
    invoke_unattended(cloud.part(Functions, Functions), function, {"Records": [record]})


def _deliver_events(cloud: Cloud) -> None:
    """moto delivers to queues and logs alone, asks nobody, and fails PutEvents for other targets."""
    archive = Rule.send_to_targets

    def send_to_targets(rule: Any, event: Any, transform_input: bool = True) -> None:
        if not rule.event_pattern.matches_event(event) or rule.state != "ENABLED":
            return
        seconds = event.get("time")
        stamp = datetime.fromtimestamp(float(seconds), UTC) if isinstance(seconds, int | float) else seconds
        sent = json.loads(json.dumps({**event, "time": ""}, default=str))
        sent["time"] = stamp.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(stamp, datetime) else str(stamp)
        sent.pop("ingestion-time", None)
        own = [target for target in rule.targets if target["Arn"].split(":")[2] in event_bus.SERVICES]
        for target in own:
            event_bus.deliver(cloud, rule, target, sent)
        others = [target for target in rule.targets if target not in own]
        if others:
            kept, rule.targets = rule.targets, others
            try:
                archive(rule, event, transform_input)
            finally:
                rule.targets = kept

    Rule.send_to_targets = send_to_targets
