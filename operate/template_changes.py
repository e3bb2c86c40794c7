"""What a change of templates does to resources: which are changed in place, replaced, or deleted.

The verdict is CloudFormation's, read from its registry: a changed create-only property needs a new resource,
and so does one that refers to a resource that gets a new one, in whatever stack. A change set says that of
one stack alone, and cannot be made where one imports what another is only about to export (docs/adr/0100).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from localcloud.cloudformation.schemas import Schema, schema

Template = Mapping[str, Any]
IN_PLACE: Mapping[str, frozenset[str]] = {
    "AWS::RDS::DBInstance": frozenset(
        {
            "AutoMinorVersionUpgrade",
            "BackupRetentionPeriod",
            "DBParameterGroupName",
            "MultiAZ",
            "PerformanceInsightsKMSKeyId",
            "PreferredMaintenanceWindow",
        }
    )
}
"""Properties of which the registry says that a change may need a new resource: not in an Aurora cluster."""
UNREGISTERED: Mapping[str, frozenset[str]] = {
    "AWS::KMS::Key": frozenset({"KeySpec", "KeyUsage", "MultiRegion"}),
}
"""What no key can change about itself, and the registry does not say."""
OVERWRITING: Mapping[str, frozenset[str]] = {
    "AWS::SecretsManager::Secret": frozenset({"GenerateSecretString", "SecretString"}),
}
"""A change of these is made in place, by a value that the cluster is not told of."""


@dataclass(frozen=True)
class Resource:
    """One resource of a set of templates, its references written as `stack/logical id`."""

    stack: str
    logical_id: str
    body: Mapping[str, Any]

    @property
    def key(self) -> str:
        """What tells it from the others of all stacks."""
        return f"{self.stack}/{self.logical_id}"

    @property
    def type(self) -> str:
        """CloudFormation's name of its type."""
        return str(self.body["Type"])

    @property
    def properties(self) -> Mapping[str, Any]:
        """What the template says of it."""
        found: Mapping[str, Any] = self.body.get("Properties", {})
        return found


@dataclass(frozen=True)
class Difference:
    """A property that needs a new resource, as it was and as it shall be; None stands for nothing."""

    name: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.old == self.new:
            return f"{self.name}: {_short(self.old)}, which gets a new one itself"
        return f"{self.name}: {_short(self.old)} -> {_short(self.new)}"


@dataclass(frozen=True)
class Loss:
    """A deployed resource that a change takes away, or whose value it takes away."""

    kind: Literal["replaced", "deleted", "overwritten"]
    resource: Resource
    differences: tuple[Difference, ...] = ()

    def what_becomes_of_it(self) -> str:
        """Return what the deployed template says that happens to the old one."""
        if self.kind == "overwritten":
            return "the old value is an earlier version of it, and what uses it is not told of the new one"
        policy = "UpdateReplacePolicy" if self.kind == "replaced" else "DeletionPolicy"
        default = "Snapshot" if self.resource.type == "AWS::RDS::DBCluster" else "Delete"
        said = self.resource.body.get(policy, default)
        return {
            "Delete": "the old one is deleted",
            "Snapshot": "the old one is deleted, a snapshot of it stays",
        }.get(said, "the old one stays behind, outside the deployment")


def losses(deployed: Mapping[str, Template], wanted: Mapping[str, Template]) -> list[Loss]:
    """Return what is replaced or deleted when the deployed templates become the wanted ones, by stack name.

    A deployed stack that is not wanted any more is left as it is: the CDK CLI does not touch it.
    """
    old = {one.key: one for one in _resources(deployed)}
    new = {one.key: one for one in _resources(wanted)}
    replaced: dict[str, tuple[Difference, ...]] = {}
    while found := {
        key: differences
        for key in old.keys() & new.keys() - replaced.keys()
        if (differences := _recreating(old[key], new[key], replaced))
    }:
        replaced |= found
    replaced = {key: _recreating(old[key], new[key], replaced) for key in replaced}  # with all reasons
    gone = [key for key in old if key not in new and old[key].stack in wanted]
    overwritten = {
        key: _differences(old[key], new[key], names)
        for key in old.keys() & new.keys() - replaced.keys()
        if (names := _changed(old[key], new[key], OVERWRITING))
    }
    return [
        *(Loss("replaced", old[key], replaced[key]) for key in old if key in replaced),
        *(Loss("overwritten", old[key], overwritten[key]) for key in old if key in overwritten),
        *(Loss("deleted", old[key]) for key in gone),
    ]


def _recreating(old: Resource, new: Resource, replaced: Mapping[str, Any]) -> tuple[Difference, ...]:
    if old.type != new.type:
        return (Difference("Type", old.type, new.type),)
    changed = _marked(new.properties, replaced)
    names = _of_registry(new.type, old.properties, changed)
    names |= _changed(old, new, UNREGISTERED)
    return _differences(old, new, names)


def _changed(old: Resource, new: Resource, watched: Mapping[str, frozenset[str]]) -> set[str]:
    names = watched.get(new.type, frozenset())
    return {name for name in names if old.properties.get(name) != new.properties.get(name)}


def _differences(old: Resource, new: Resource, names: set[str]) -> tuple[Difference, ...]:
    return tuple(
        Difference(name, old.properties.get(name), new.properties.get(name)) for name in sorted(names)
    )


def _of_registry(resource_type: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    known = schema(resource_type)
    if known is None:  # custom resources: their provider decides, and ours keep theirs
        return set()
    perhaps = Schema({"createOnlyProperties": known.body.get("conditionalCreateOnlyProperties") or []})
    certain = Schema({"createOnlyProperties": known.body.get("createOnlyProperties") or []})
    in_place = IN_PLACE.get(resource_type, frozenset())
    return certain.create_only(old, new) | (perhaps.create_only(old, new) - in_place)


def _marked(value: Any, replaced: Mapping[str, Any]) -> Any:
    """Return a value in which references to replaced resources differ from what they were."""
    if isinstance(value, list):
        return [_marked(item, replaced) for item in value]
    if not isinstance(value, dict):
        return value
    if _target(value) in replaced:
        return {**value, "of": "a new resource"}
    return {key: _marked(item, replaced) for key, item in value.items()}


def _target(value: Mapping[str, Any]) -> str | None:
    if isinstance(value.get("Ref"), str):
        return str(value["Ref"])
    attribute = value.get("Fn::GetAtt")
    return str(attribute[0]) if isinstance(attribute, list) else None


def _resources(templates: Mapping[str, Template]) -> Iterator[Resource]:
    exported = {
        output["Export"]["Name"]: _qualified(output["Value"], stack, {})
        for stack, template in templates.items()
        for output in template.get("Outputs", {}).values()
        if isinstance(output.get("Export", {}).get("Name"), str)
    }
    for stack, template in templates.items():
        for logical_id, body in template.get("Resources", {}).items():
            yield Resource(stack, logical_id, _qualified(body, stack, exported))


def _qualified(value: Any, stack: str, exported: Mapping[str, Any]) -> Any:
    """Return a value with references that hold for all stacks at once, imports resolved."""
    if isinstance(value, list):
        return [_qualified(item, stack, exported) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"Ref": str(name)} if not name.startswith("AWS::"):
            return {"Ref": f"{stack}/{name}"}
        case {"Fn::GetAtt": [str(name), *attribute]}:
            return {"Fn::GetAtt": [f"{stack}/{name}", *attribute]}
        case {"Fn::ImportValue": str(name)}:
            return exported.get(name, value)
    return {key: _qualified(item, stack, exported) for key, item in value.items()}


def _short(value: Any, *, longest: int = 160) -> str:
    """Return a value as a reader of the template knows it."""
    if value is None:
        return "(nothing)"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
