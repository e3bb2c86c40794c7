"""The event that CloudFormation sends, typed."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

from custom_resource.properties import MalformedEvent, Properties

LONGEST_ID = 1024  # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
STACK_ARN = re.compile(
    r"arn:aws[a-z-]*:cloudformation:[a-z0-9-]+:\d{12}:stack/[A-Za-z0-9-]{1,128}/[A-Za-z0-9-]+"
)

__all__ = ["MalformedEvent", "Request", "RequestType"]


class RequestType(enum.Enum):
    """What CloudFormation asks for."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"


@dataclass(frozen=True)
class Request:
    """One well-formed request. Properties are checked where they are read: a Delete reads none."""

    type: RequestType
    logical_resource_id: str
    stack_id: str
    request_id: str
    physical_resource_id: str | None
    """None on Create alone."""
    properties: Properties
    old_properties: Properties
    """Empty but on Update."""

    @classmethod
    def from_event(cls, event: object) -> Request:
        """Return the request, or raise MalformedEvent naming everything that is wrong with the event."""
        if not isinstance(event, Mapping):
            raise MalformedEvent(f"the event is {_shown(event)}: expected an object")
        problems: list[str] = []
        kind = _request_type(event, problems)
        physical_id = None
        if kind is not RequestType.CREATE:
            physical_id = _identifier(event, "PhysicalResourceId", problems)
        request = cls(
            type=kind or RequestType.CREATE,
            logical_resource_id=_identifier(event, "LogicalResourceId", problems),
            stack_id=_stack_id(event, problems),
            request_id=_identifier(event, "RequestId", problems),
            physical_resource_id=physical_id,
            properties=_properties(event, "ResourceProperties", problems),
            old_properties=_properties(event, "OldResourceProperties", problems),
        )
        if problems:
            raise MalformedEvent("; ".join(problems))
        return request


def _request_type(event: Mapping[object, object], problems: list[str]) -> RequestType | None:
    value = event.get("RequestType")
    if isinstance(value, str) and value in {kind.value for kind in RequestType}:
        return RequestType(value)
    problems.append(f"RequestType is {_shown(value)}: expected Create, Update or Delete")
    return None


def _identifier(event: Mapping[object, object], name: str, problems: list[str]) -> str:
    value = event.get(name)
    if isinstance(value, str) and 0 < len(value) <= LONGEST_ID and value.isprintable():
        return value
    problems.append(f"{name} is {_shown(value)}: expected 1 to {LONGEST_ID} printable characters")
    return ""


def _stack_id(event: Mapping[object, object], problems: list[str]) -> str:
    value = _identifier(event, "StackId", problems)
    if value and not STACK_ARN.fullmatch(value):
        problems.append(f"StackId is {_shown(value)}: expected the ARN of a stack")
    return value


def _properties(event: Mapping[object, object], name: str, problems: list[str]) -> Properties:
    value = event.get(name, {})
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return Properties({key: value[key] for key in value if key != "ServiceToken"})
    problems.append(f"{name} is {_shown(value)}: expected an object")
    return Properties({})


def _shown(value: object) -> str:
    return "missing" if value is None else repr(value)[:80]
