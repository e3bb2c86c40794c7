"""What a change set would do to each resource, as far as it can be known beforehand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from localcloud.cloudformation import resolution
from localcloud.cloudformation.provisioning import Provisioner
from localcloud.cloudformation.references import dependencies
from localcloud.cloudformation.region import Region
from localcloud.cloudformation.schemas import schema
from localcloud.cloudformation.stack import Stack, StackResource, Target
from localcloud.cloudformation.template import ResourceDefinition, TemplateInvalid

_LATER = "{{changeSet:KNOWN_AFTER_APPLY}}"  # CloudFormation's own words in a change set


@dataclass(frozen=True)
class Change:
    """One resource's change, in the words of DescribeChangeSet."""

    action: str
    logical_id: str
    resource_type: str
    physical_id: str | None = None
    recreates: dict[str, bool] = field(default_factory=dict)
    """Changed properties, and whether their change needs a new resource."""

    def described(self) -> dict[str, Any]:
        """Return it as the API's ResourceChange."""
        change: dict[str, Any] = {
            "Action": self.action,
            "LogicalResourceId": self.logical_id,
            "ResourceType": self.resource_type,
            "Scope": ["Properties"] if self.recreates else [],
            "Details": [_detail(name, recreates) for name, recreates in sorted(self.recreates.items())],
        }
        if self.physical_id:
            change["PhysicalResourceId"] = self.physical_id
        if self.action == "Modify":
            change["Replacement"] = "True" if any(self.recreates.values()) else "False"
        return {"Type": "Resource", "ResourceChange": change}


def changes(region: Region, stack: Stack, target: Target) -> list[Change]:
    """Return every change between the stack and the target. TemplateInvalid when the target cannot be."""
    lookup = _Expected(region, stack)
    resolve = resolution.resolver(region, stack, target, lookup)
    definitions = resolution.wanted(target, resolve)
    resolution.check_references(definitions, target, resolve)
    resolution.check_rules(target, resolve)
    found: list[Change] = []
    for name in _in_order(dependencies(definitions, resolve.condition)):
        change = _change(
            region, stack, definitions[name], resolution.properties(definitions[name], target, resolve)
        )
        if change is not None:
            found.append(change)
            if change.action == "Add" or any(change.recreates.values()):
                lookup.new.add(name)
    found += [
        Change("Remove", name, one.definition.type, one.physical_id)
        for name, one in stack.resources.items()
        if name not in definitions
    ]
    return found


@dataclass
class _Expected(resolution.StackLookup):
    """A stack as it will be: what new resources will be called is not known yet."""

    new: set[str] = field(default_factory=set)

    def reference(self, logical_id: str) -> Any:
        return _LATER if self._unknown(logical_id) else super().reference(logical_id)

    def attribute(self, logical_id: str, name: str) -> Any:
        if self._unknown(logical_id):
            return _LATER
        try:
            return super().attribute(logical_id, name)
        except TemplateInvalid:
            return _LATER  # an attribute that an update of a custom resource will add

    def imported(self, export: str) -> Any:
        value = self.region.exports.value(export)
        if value is None:
            raise TemplateInvalid(f"No export named {export} found.")
        return value

    def _unknown(self, logical_id: str) -> bool:
        current = self.stack.resources.get(logical_id)
        return logical_id in self.new or current is None or current.provisioned is None


def _change(
    region: Region, stack: Stack, definition: ResourceDefinition, properties: dict[str, Any]
) -> Change | None:
    name, current = definition.logical_id, stack.resources.get(definition.logical_id)
    if current is None or current.status == "CREATE_FAILED":
        return Change("Add", name, definition.type)
    different = {
        key
        for key in properties.keys() | current.properties.keys()
        if properties.get(key) != current.properties.get(key)
    }
    if not different and definition.type == current.definition.type:
        return None
    wanted = StackResource(definition, properties, set())
    if not Provisioner(region, stack).needs_replacement(current, wanted):
        recreating: set[str] = set()
    else:
        known = schema(definition.type, region.name)
        create_only = known.create_only(current.properties, properties) if known else set()
        recreating = create_only | (different & region.handlers(definition.type).replaced_by) or different
    return Change(
        "Modify", name, definition.type, current.physical_id, {key: key in recreating for key in different}
    )


def _in_order(graph: dict[str, set[str]]) -> list[str]:
    ordered: dict[str, None] = {}
    while len(ordered) < len(graph):
        ordered |= dict.fromkeys(
            name for name, needed in graph.items() if name not in ordered and needed <= ordered.keys()
        )
    return list(ordered)


def _detail(name: str, recreates: bool) -> dict[str, Any]:
    return {
        "Target": {
            "Attribute": "Properties",
            "Name": name,
            "RequiresRecreation": "Always" if recreates else "Never",
        },
        "Evaluation": "Static",
        "ChangeSource": "DirectModification",
    }
