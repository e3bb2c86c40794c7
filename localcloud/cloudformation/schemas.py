"""CloudFormation's registry schemas: which properties a type has, needs, and cannot change in place.

They are the ones that cfn-lint packages, one JSON file per type, read when a template first uses the type.
"""

from __future__ import annotations

import copy
import functools
import importlib.util
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True)
class Schema:
    """What CloudFormation's registry says about one resource type."""

    body: Mapping[str, Any]

    def problems(self, properties: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with resolved properties, in CloudFormation's words; [] when nothing is.

        Checked: unknown, missing and read-only properties, enumerations, and object, list or plain value, at
        any depth. Lengths, patterns and alternatives (oneOf) are left to the service.
        """
        read_only = set(self._names("readOnlyProperties")) & set(properties)
        return [
            *(f"#: extraneous key [{name}] is not permitted: it is read-only" for name in sorted(read_only)),
            *self._check(self.body, properties, "#"),
        ]

    def create_only(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
        """Return the changed properties whose change needs a new resource."""
        return {
            pointer.split("/")[2]
            for pointer in self.body.get("createOnlyProperties", [])
            if _at(old, pointer) != _at(new, pointer)
        }

    def keeps_name(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        """Whether both give the resource the same name of their own, so that they cannot exist together."""
        pointers = self.body.get("primaryIdentifier", [])
        return bool(pointers) and all(_at(new, one) and _at(new, one) == _at(old, one) for one in pointers)

    def with_tags(self, properties: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
        """Return the properties with a stack's tags; the resource's own win. Untaggable types stay."""
        pointer = self.body.get("tagging", {}).get("tagProperty")
        name = pointer.split("/")[-1] if pointer else "Tags"
        definition = self.resolved(self.body["properties"].get(name))
        if not tags or not definition:
            return dict(properties)
        if definition.get("type") == "object":
            return {**properties, name: {**tags, **properties.get(name, {})}}
        own = properties.get(name, [])
        taken = {tag["Key"] for tag in own if isinstance(tag, dict) and "Key" in tag}
        inherited = [{"Key": key, "Value": value} for key, value in tags.items() if key not in taken]
        return {**properties, name: [*own, *inherited]}

    @property
    def can_be_read(self) -> bool:
        """Whether CloudFormation reads resources of the type, and so detects their drift."""
        return "read" in self.body.get("handlers", {})

    def readable(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Return the properties without those that are write-only: no service tells them again."""
        found = copy.deepcopy(dict(properties))
        for pointer in self.body.get("writeOnlyProperties", []):
            *parents, last = pointer.split("/")[2:]
            holders: list[Any] = [found]
            for part in parents:
                holders = list(_step(holders, part))
            for holder in holders:
                if isinstance(holder, dict):
                    holder.pop(last, None)
        return {name: value for name, value in found.items() if value or not properties[name]}

    def transform(self, name: str) -> str | None:
        """Return what a service makes of a property by itself, in the registry's language; None: nothing."""
        found: str | None = self.body.get("propertyTransform", {}).get(f"/properties/{name}")
        return found

    def _names(self, member: str) -> Iterator[str]:
        """Yield the top-level properties of a list of pointers."""
        for pointer in self.body.get(member, []):
            parts = pointer.split("/")
            if len(parts) == 3:
                yield parts[2]

    def resolved(self, definition: Any) -> Mapping[str, Any]:
        """Return a definition of the schema, or what it refers to; empty where there is none."""
        while isinstance(definition, dict) and "$ref" in definition:
            definition = functools.reduce(
                lambda found, part: found[part], definition["$ref"].split("/")[1:], self.body
            )
        return definition if isinstance(definition, dict) else {}

    def _check(self, definition: Any, value: Any, path: str) -> Iterator[str]:
        definition = self.resolved(definition)
        kinds = definition.get("type", [])
        kinds = {kinds} if isinstance(kinds, str) else set(kinds)
        if kinds and not kinds & _kinds_of(value):
            yield f"{path}: expected type: {_titles(kinds)}, found: {_titles(_kinds_of(value))}"
        elif isinstance(value, dict):
            yield from self._check_object(definition, value, path)
        elif isinstance(value, list):
            for index, element in enumerate(value):
                yield from self._check(definition.get("items"), element, f"{path}/{index}")
        elif "enum" in definition and str(value) not in map(str, definition["enum"]):
            yield f"{path}: {value} is not a valid enum value"

    def _check_object(self, definition: Mapping[str, Any], value: dict[str, Any], path: str) -> Iterator[str]:
        known = definition.get("properties", {})
        patterns = definition.get("patternProperties")
        for name, element in value.items():
            if name in known:
                yield from self._check(known[name], element, f"{path}/{name}")
            elif known and not patterns and definition.get("additionalProperties") is False:
                yield f"{path}: extraneous key [{name}] is not permitted"
        for name in definition.get("required", []):
            if name not in value:
                yield f"{path}: required key [{name}] not found"


@functools.cache
def schema(resource_type: str, region: str = _DEFAULT_REGION) -> Schema | None:
    """Return the schema of a type; None when CloudFormation has no such type in the region."""
    index = _index(region)
    if resource_type not in index:
        return None
    path = _directory() / "resources" / f"{index[resource_type]}.json"
    return Schema(json.loads(path.read_text()))


@functools.cache
def _index(region: str) -> dict[str, str]:
    providers = _directory() / "providers"
    path = providers / f"{region}.json"
    found: dict[str, str] = json.loads(
        (path if path.exists() else providers / f"{_DEFAULT_REGION}.json").read_text()
    )
    return found


@functools.cache
def _directory() -> Path:
    """Find the data without importing cfn-lint, which takes a second."""
    spec = importlib.util.find_spec("cfnlint")
    if spec is None or spec.origin is None:
        raise RuntimeError("cfn-lint is not installed: its CloudFormation schemas are needed")
    return Path(spec.origin).parent / "data" / "schemas"


def _at(properties: Any, pointer: str) -> Any:
    """Return what stands at "/properties/A/B"; None when nothing does. "*" collects a list's elements."""
    found: list[Any] = [properties]
    for part in pointer.split("/")[2:]:
        found = list(_step(found, part))
    return found


def _step(values: Iterable[Any], part: str) -> Iterator[Any]:
    for value in values:
        if part == "*" and isinstance(value, list):
            yield from value
        elif isinstance(value, dict) and part in value:
            yield value[part]


def _kinds_of(value: Any) -> set[str]:
    """CloudFormation takes "5" for 5 and "true" for true; what differs is plain value, list or object."""
    if isinstance(value, dict):
        return {"object"}
    if isinstance(value, list):
        return {"array"}
    return {"string", "integer", "number", "boolean"}


def _titles(kinds: set[str]) -> str:
    titles = {"object": "JSONObject", "array": "JSONArray", "string": "String"}
    return " or ".join(sorted(titles[kind] for kind in kinds & titles.keys()) or sorted(kinds))
