"""A target's values, resolved against a stack as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.cloudformation.intrinsics import Resolver
from localcloud.cloudformation.references import references
from localcloud.cloudformation.region import Region
from localcloud.cloudformation.schemas import schema
from localcloud.cloudformation.stack import Output, Stack, Target
from localcloud.cloudformation.template import ResourceDefinition, TemplateInvalid


@dataclass
class StackLookup:
    """What intrinsic functions see of a stack and its region. `imports` collects what they import."""

    region: Region
    stack: Stack
    imports: set[str] = field(default_factory=set)

    def reference(self, logical_id: str) -> Any:
        """Return a resource's physical id."""
        provisioned = self.stack.resources[logical_id].provisioned
        if provisioned is None:
            raise KeyError(logical_id)
        return provisioned.physical_id

    def attribute(self, logical_id: str, name: str) -> Any:
        """Return a resource's attribute; TemplateInvalid when its type has none of that name."""
        resource = self.stack.resources[logical_id]
        if resource.provisioned is None:
            raise KeyError(logical_id)
        attributes = resource.provisioned.attributes
        try:
            value = attributes(name) if callable(attributes) else attributes[name]
        except KeyError:
            value = None
        if value is None:
            raise TemplateInvalid(
                f"Template error: resource {logical_id} does not support attribute type {name} in Fn::GetAtt"
            )
        return value

    def imported(self, export: str) -> Any:
        """Return another stack's export."""
        value = self.region.exports.value(export)
        if value is None:
            raise TemplateInvalid(f"No export named {export} found.")
        self.imports.add(export)
        self.stack.imports.add(export)
        return value

    def availability_zones(self, region: str) -> list[str]:
        """Return a region's zones."""
        return self.region.availability_zones(region)


def resolver(region: Region, stack: Stack, target: Target, lookup: StackLookup | None = None) -> Resolver:
    """Return what resolves the target's values."""
    values: dict[str, Any] = {
        "AWS::AccountId": region.account,
        "AWS::NotificationARNs": stack.notification_arns,
        "AWS::Partition": "aws",
        "AWS::Region": region.name,
        "AWS::StackId": stack.stack_id,
        "AWS::StackName": stack.name,
        "AWS::URLSuffix": "amazonaws.com",
        **{name: parameter.value for name, parameter in target.parameters.items()},
    }
    return Resolver(target.template, values, lookup or StackLookup(region, stack))


def wanted(target: Target, resolve: Resolver) -> dict[str, ResourceDefinition]:
    """Return the resources whose condition holds."""
    return {
        name: definition
        for name, definition in target.template.resources.items()
        if definition.condition is None or resolve.condition(definition.condition)
    }


def properties(definition: ResourceDefinition, target: Target, resolve: Resolver) -> dict[str, Any]:
    """Return a resource's resolved properties, the stack's tags among them."""
    resolved: dict[str, Any] = resolve.value(dict(definition.properties))
    known = schema(definition.type, resolve.parameters["AWS::Region"])
    return known.with_tags(resolved, target.tags) if known else resolved


def outputs(target: Target, resolve: Resolver) -> dict[str, Output]:
    """Return the outputs whose condition holds."""
    return {
        key: _output(key, raw, resolve)
        for key, raw in target.template.section("Outputs").items()
        if "Condition" not in raw or resolve.condition(raw["Condition"])
    }


def check_references(
    definitions: Mapping[str, ResourceDefinition], target: Target, resolve: Resolver
) -> None:
    """TemplateInvalid when something refers to, or depends on, what the template does not have."""
    known = {*definitions, *resolve.parameters, "AWS::NoValue"}
    for definition in definitions.values():
        found = {one.name for one in references(dict(definition.properties), resolve.condition)}
        # a resource left out by its condition may stand in DependsOn, not in a value
        _refuse_unknown(found - known, "Resources")
        _refuse_unknown(set(definition.depends_on) - set(target.template.resources), "Resources")
    for raw in target.template.section("Outputs").values():
        if "Condition" not in raw or resolve.condition(raw["Condition"]):
            _refuse_unknown({one.name for one in references(raw, resolve.condition)} - known, "Outputs")


def check_rules(target: Target, resolve: Resolver) -> None:
    """TemplateInvalid with the description of the first assertion of the template's Rules that fails."""
    for name, rule in target.template.section("Rules").items():
        if "RuleCondition" in rule and not resolve.holds(rule["RuleCondition"]):
            continue
        for assertion in rule.get("Assertions", []):
            if not resolve.holds(assertion["Assert"]):
                described = assertion.get("AssertDescription", f"rule {name}")
                raise TemplateInvalid(f"Template rule {name} failed: {described}")


def _refuse_unknown(names: set[str], block: str) -> None:
    if names:
        raise TemplateInvalid(
            f"Template format error: Unresolved resource dependencies [{', '.join(sorted(names))}] "
            f"in the {block} block of the template"
        )


def _output(key: str, raw: Mapping[str, Any], resolve: Resolver) -> Output:
    value = resolve.value(raw.get("Value"))
    if isinstance(value, (dict, list)) or value is None:
        raise TemplateInvalid(f"Template format error: the Value of output {key} must be a string")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    export = resolve.value(raw["Export"]["Name"]) if "Export" in raw else None
    return Output(key, text, raw.get("Description"), export)
