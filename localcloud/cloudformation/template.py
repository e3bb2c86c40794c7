"""Templates as CloudFormation reads them: JSON or YAML, checked as far as no value has to be known."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml

_SECTIONS = {
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
}
_RESOURCE_MEMBERS = {
    "Condition",
    "DeletionPolicy",
    "DependsOn",
    "Metadata",
    "Properties",
    "Type",
    "UpdateReplacePolicy",
}
_POLICIES = {
    "DeletionPolicy": {"Delete", "Retain", "RetainExceptOnCreate", "Snapshot"},
    "UpdateReplacePolicy": {"Delete", "Retain", "Snapshot"},
}
_LANGUAGE_EXTENSIONS = "AWS::LanguageExtensions"  # Fn::Length, Fn::ToJsonString, FindInMap's default


class TemplateInvalid(ValueError):
    """A template or a parameter's value is refused; the message is CloudFormation's."""


@dataclass(frozen=True)
class ResourceDefinition:
    """A resource as the template writes it, nothing resolved."""

    logical_id: str
    type: str
    properties: Mapping[str, Any]
    depends_on: frozenset[str]
    condition: str | None
    deletion_policy: str | None
    replace_policy: str | None
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Template:
    """A parsed template. Sections that it does not have are empty."""

    text: str
    body: Mapping[str, Any]
    resources: Mapping[str, ResourceDefinition]

    @property
    def description(self) -> str | None:
        """The template's own words about itself."""
        return self.body.get("Description")

    def section(self, name: str) -> Mapping[str, Any]:
        """Return a section such as Parameters or Outputs."""
        found: Mapping[str, Any] = self.body.get(name) or {}
        return found


def parse(text: str) -> Template:
    """Return the template; TemplateInvalid when CloudFormation would not accept its form."""
    body = _load(text)
    if not isinstance(body, dict):
        raise TemplateInvalid("Template format error: unsupported structure.")
    if unknown := sorted(set(body) - _SECTIONS):
        raise TemplateInvalid(f"Invalid template property or properties [{', '.join(unknown)}]")
    _refuse_transforms(body.get("Transform"))
    resources = body.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise TemplateInvalid("Template format error: At least one Resources member must be defined.")
    definitions = {name: _definition(name, raw) for name, raw in resources.items()}
    template = Template(text, body, definitions)
    _check_conditions_exist(template)
    return template


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return yaml.load(text, Loader=_YamlLoader)  # noqa: S506 - a safe loader with CloudFormation's tags
    except yaml.YAMLError as error:
        raise TemplateInvalid(f"Template format error: YAML not well-formed. {error}") from error


class _YamlLoader(yaml.CSafeLoader):  # type: ignore[misc]  # yaml has no types
    """YAML with the short form of the intrinsic functions, and dates left as text."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


def _short_form(loader: _YamlLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    return {name: value}


_YamlLoader.add_multi_constructor("!", _short_form)


def _refuse_transforms(transform: Any) -> None:
    named = transform if isinstance(transform, list) else [transform] if transform else []
    if others := [str(name) for name in named if name != _LANGUAGE_EXTENSIONS]:
        raise TemplateInvalid(f"No transform named {others[0]} found (the local cloud runs no macros)")


def _definition(name: str, raw: Any) -> ResourceDefinition:
    if not re.fullmatch(r"[A-Za-z0-9]+", str(name)):
        raise TemplateInvalid(f"Template format error: Resource name {name} is non alphanumeric.")
    if not isinstance(raw, dict):
        raise TemplateInvalid(f"Template format error: [/Resources/{name}] resource definition is malformed")
    if not isinstance(raw.get("Type"), str):
        raise TemplateInvalid(
            f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
        )
    if unknown := sorted(set(raw) - _RESOURCE_MEMBERS):
        raise TemplateInvalid(
            f"Invalid template resource property '{unknown[0]}' of {name}, or none that the local cloud has"
        )
    for member, known in _POLICIES.items():
        if raw.get(member, "Delete") not in known:
            raise TemplateInvalid(
                f"Template error: every {member} must be one of {sorted(known)}, {name} has {raw[member]!r}"
            )
    depends_on = raw.get("DependsOn", [])
    return ResourceDefinition(
        logical_id=name,
        type=raw["Type"],
        properties=raw.get("Properties") or {},
        depends_on=frozenset([depends_on] if isinstance(depends_on, str) else depends_on),
        condition=raw.get("Condition"),
        deletion_policy=raw.get("DeletionPolicy"),
        replace_policy=raw.get("UpdateReplacePolicy"),
        metadata=raw.get("Metadata") or {},
    )


def _check_conditions_exist(template: Template) -> None:
    known = template.section("Conditions")
    for name, used in _used_conditions(template):
        if used not in known:
            raise TemplateInvalid(
                f"Template format error: Unresolved condition dependency {used} in {name} of the template"
            )


def _used_conditions(template: Template) -> Iterator[tuple[str, str]]:
    for definition in template.resources.values():
        if definition.condition:
            yield f"the resource {definition.logical_id}", definition.condition
    for name, output in template.section("Outputs").items():
        if output.get("Condition"):
            yield f"the output {name}", output["Condition"]
