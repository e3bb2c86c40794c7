"""Amazon EventBridge: rules of the event bus. Where their events come from is in localcloud/notifications."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from moto.core.exceptions import JsonRESTError
from moto.events.models import EventsBackend, events_backends

from localcloud.notifications.event_bus import SERVICES
from localcloud.resources.base import Handler, Properties, Provisioned, Request, ResourceFailed
from localcloud.resources.on_moto import OnMoto, found_tags, gone_is_deleted, removed_tags, tag_list


class Rule(OnMoto):
    """A rule with its targets. Events that match its pattern are delivered; nothing happens by a schedule."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"Description", "EventBusName", "EventPattern", "Name", "State", "Tags", "Targets"}
    )
    no_local_effect: ClassVar[frozenset[str]] = frozenset({"RoleArn", "ScheduleExpression"})
    replaced_by: ClassVar[frozenset[str]] = frozenset({"EventBusName"})

    def create(self, request: Request) -> Provisioned:
        """Create the rule; Ref yields its name."""
        name = request.properties.get("Name") or request.generated_name(longest=64)
        if name in _rules(request):
            raise ResourceFailed(f"Rule {name} already exists (ResourceAlreadyExistsException)")
        return self._put(request, name)

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Put the new rule and its targets in the place of the old ones."""
        rule = _rules(request)[current.physical_id]
        if gone := removed_tags(previous, request.properties):
            _backend(request).untag_resource(rule.arn, gone)
        rule.targets.clear()
        return self._put(request, current.physical_id)

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the rule with its targets; one that is gone is fine."""
        with gone_is_deleted():
            if rule := _rules(request).get(current.physical_id):
                rule.targets.clear()
                _backend(request).delete_rule(current.physical_id, request.properties.get("EventBusName"))

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the rule with its targets."""
        rule = _rules(request).get(current.physical_id)
        if rule is None:
            return None
        tags = _backend(request).tagger.get_tag_dict_for_resource(rule.arn)
        return {
            "Description": rule.description,
            "EventPattern": rule.event_pattern.get_pattern(),
            "Name": rule.name,
            "RoleArn": rule.role_arn,
            "ScheduleExpression": rule.scheduled_expression,
            "State": rule.state,
            "Tags": found_tags(tags),
            "Targets": rule.targets,
        }

    def _put(self, request: Request, name: str) -> Provisioned:
        given = request.properties
        targets = given.get("Targets", [])
        for target in targets:
            if target["Arn"].split(":")[2] not in SERVICES:
                raise ResourceFailed(
                    f"Targets: {target['Arn']}: the local cloud delivers to {', '.join(sorted(SERVICES))}"
                )
        pattern = given.get("EventPattern")
        try:
            rule = _backend(request).put_rule(
                name,
                given.get("Description"),
                given.get("EventBusName"),
                pattern if pattern is None or isinstance(pattern, str) else json.dumps(pattern),
                given.get("RoleArn"),
                given.get("ScheduleExpression"),
                given.get("State"),
                tags=tag_list(given),
            )
            _backend(request).put_targets(name, given.get("EventBusName"), targets)
        except JsonRESTError as error:
            _rules(request).pop(name, None)
            raise ResourceFailed(str(error.message)) from error
        return Provisioned(name, {"Arn": rule.arn, "RuleName": name})


def _rules(request: Request) -> dict[str, Any]:
    bus = _backend(request).describe_event_bus(request.properties.get("EventBusName") or "default")
    rules: dict[str, Any] = bus.rules
    return rules


def _backend(request: Request) -> EventsBackend:
    return events_backends[request.account][request.region]


HANDLERS: dict[str, Handler] = {"AWS::Events::Rule": Rule()}
