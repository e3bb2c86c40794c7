"""What resources of a stack add to lists of other resources of it: no drift of those.

"Considerations when detecting drift" in CloudFormation's user guide calls them attachments. As there, only
those of the same stack are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from localcloud.cloudformation.differences import same
from localcloud.cloudformation.stack import Stack, StackResource
from localcloud.resources.base import Properties


@dataclass(frozen=True)
class Attachment:
    """A value that a resource puts into a list property of another one."""

    container: str
    """The physical id of the one that has the list."""
    property_name: str
    value: Any


def without_attachments(stack: Stack, resource: StackResource, actual: Properties) -> Properties:
    """Return what stands of a resource without what others of its stack have attached to it."""
    found = dict(actual)
    for one in _attachments(stack):
        elements = found.get(one.property_name)
        own = resource.properties.get(one.property_name, [])
        if one.container != resource.physical_id or not isinstance(elements, list):
            continue
        if any(same(element, one.value) for element in own):
            continue
        found[one.property_name] = [element for element in elements if not same(element, one.value)]
    return found


def _attachments(stack: Stack) -> Iterator[Attachment]:
    for resource in list(stack.resources.values()):
        attached = _BY_TYPE.get(resource.definition.type)
        if attached is not None and resource.provisioned is not None:
            yield from attached(resource)


def _rule(property_name: str) -> Callable[[StackResource], Iterator[Attachment]]:
    def attached(resource: StackResource) -> Iterator[Attachment]:
        rule = {name: value for name, value in resource.properties.items() if name != "GroupId"}
        yield Attachment(resource.properties.get("GroupId", ""), property_name, rule)

    return attached


def _inline_policy(resource: StackResource) -> Iterator[Attachment]:
    given = resource.properties
    policy = {"PolicyName": given["PolicyName"], "PolicyDocument": given["PolicyDocument"]}
    for role in given.get("Roles", []):
        yield Attachment(role, "Policies", policy)


def _managed_policy(resource: StackResource) -> Iterator[Attachment]:
    for role in resource.properties.get("Roles", []):
        yield Attachment(role, "ManagedPolicyArns", resource.physical_id)


def _subscription(resource: StackResource) -> Iterator[Attachment]:
    given = resource.properties
    value = {name: given.get(name) for name in ("Endpoint", "Protocol")}
    yield Attachment(given["TopicArn"], "Subscription", value)


_BY_TYPE: dict[str, Callable[[StackResource], Iterator[Attachment]]] = {
    "AWS::EC2::SecurityGroupEgress": _rule("SecurityGroupEgress"),
    "AWS::EC2::SecurityGroupIngress": _rule("SecurityGroupIngress"),
    "AWS::IAM::ManagedPolicy": _managed_policy,
    "AWS::IAM::Policy": _inline_policy,
    "AWS::SNS::Subscription": _subscription,
}
