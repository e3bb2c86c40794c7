"""CloudFormation's intrinsic functions. What is not known here fails; nothing passes through unresolved."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from localcloud.cloudformation.references import PLACEHOLDER, split_attribute
from localcloud.cloudformation.template import Template, TemplateInvalid


class Lookup(Protocol):
    """What the functions ask the stack and its region for."""

    def reference(self, logical_id: str) -> Any:
        """Return what Ref of a resource yields; KeyError when there is no such resource."""

    def attribute(self, logical_id: str, name: str) -> Any:
        """Return an attribute of a resource; KeyError when there is no such resource."""

    def imported(self, export: str) -> Any:
        """Return the value of another stack's export; TemplateInvalid when it does not exist."""

    def availability_zones(self, region: str) -> list[str]:
        """Return the names of a region's zones."""


class _NoValue:
    """What Ref of AWS::NoValue yields: whatever would hold it does without."""


NO_VALUE = _NoValue()


@dataclass(frozen=True)
class Resolver:
    """Turns a template's values into plain ones. `parameters` holds the pseudo parameters as well."""

    template: Template
    parameters: Mapping[str, Any]
    lookup: Lookup

    def value(self, raw: Any) -> Any:
        """Return `raw` with every function resolved; TemplateInvalid names what cannot be."""
        if isinstance(raw, list):
            return [value for value in map(self.value, raw) if value is not NO_VALUE]
        if not isinstance(raw, dict):
            return raw
        for name in raw:
            if name == "Ref" and len(raw) == 1:
                return self._ref(raw[name])
            if str(name).startswith("Fn::"):
                return self._call(name, raw)
        resolved = {name: self.value(element) for name, element in raw.items()}
        return {name: value for name, value in resolved.items() if value is not NO_VALUE}

    def condition(self, name: str) -> bool:
        """Return a condition of the template."""
        conditions = self.template.section("Conditions")
        if name not in conditions:
            raise TemplateInvalid(f"Template format error: Unresolved condition dependency {name}")
        return self.holds(conditions[name])

    def holds(self, expression: Any) -> bool:
        """Return whether a condition's expression is true."""
        if not isinstance(expression, dict) or len(expression) != 1:
            raise TemplateInvalid(f"Template error: {json.dumps(expression)} is no condition")
        ((function, argument),) = expression.items()
        if function == "Condition":
            return self.condition(argument)
        if function not in _CONDITIONS:
            raise TemplateInvalid(f"Template error: {function} is not available in a condition")
        return _CONDITIONS[function](self, argument)

    def _call(self, name: str, raw: dict[str, Any]) -> Any:
        if name not in _FUNCTIONS:
            raise TemplateInvalid(
                f"Template error: Encountered unsupported function: {name} "
                f"Supported functions are: [{', '.join(sorted(_FUNCTIONS))}]"
            )
        if len(raw) > 1:
            raise TemplateInvalid(f"Template error: {name} does not stand alone beside {sorted(raw)}")
        return _FUNCTIONS[name](self, raw[name])

    def _ref(self, name: Any) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.parameters:
            return self.parameters[name]
        try:
            return self.lookup.reference(name)
        except KeyError:
            raise TemplateInvalid(_unresolved(name)) from None

    def _get_att(self, argument: Any) -> Any:
        logical_id, attribute = split_attribute(argument)
        try:
            return self.lookup.attribute(logical_id, str(self.value(attribute)))
        except KeyError:
            raise TemplateInvalid(_unresolved(logical_id)) from None

    def _sub(self, argument: Any) -> str:
        text, given = (argument, {}) if isinstance(argument, str) else self._pair("Fn::Sub", argument)
        values = {name: self.value(value) for name, value in given.items()}

        def placed(match: re.Match[str]) -> str:
            literal, name = match.group(1), match.group(2).strip()
            if literal:
                return "${" + match.group(2) + "}"
            if name in values:
                return _text("Fn::Sub", values[name])
            return _text("Fn::Sub", self._get_att(name) if "." in name else self._ref(name))

        return PLACEHOLDER.sub(placed, text)

    def _join(self, argument: Any) -> str:
        delimiter, elements = self._pair("Fn::Join", argument)
        values = self._list("Fn::Join", elements)
        return str(delimiter).join(_text("Fn::Join", value) for value in values)

    def _split(self, argument: Any) -> list[str]:
        delimiter, text = self._pair("Fn::Split", argument)
        return _text("Fn::Split", self.value(text)).split(delimiter)

    def _select(self, argument: Any) -> Any:
        index, elements = self._pair("Fn::Select", argument)
        values, position = self._list("Fn::Select", elements), int(self.value(index))
        if not 0 <= position < len(values):
            raise TemplateInvalid(
                f"Template error: Fn::Select cannot select nonexistent value at index {position}"
            )
        return values[position]

    def _get_azs(self, argument: Any) -> list[str]:
        return self.lookup.availability_zones(self.value(argument) or self.parameters["AWS::Region"])

    def _base64(self, argument: Any) -> str:
        return base64.b64encode(_text("Fn::Base64", self.value(argument)).encode()).decode()

    def _find_in_map(self, argument: Any) -> Any:
        if not isinstance(argument, list) or len(argument) not in (3, 4):
            raise TemplateInvalid(
                "Template error: Fn::FindInMap requires a list of map, two keys, and a default"
            )
        mapping, first, second = (self.value(part) for part in argument[:3])
        found = self.template.section("Mappings").get(mapping, {}).get(first, {}).get(second)
        if found is None and len(argument) == 4:
            return self.value(argument[3]["DefaultValue"])
        if found is None:
            raise TemplateInvalid(f"Template error: Unable to get mapping for {mapping}::{first}::{second}")
        return found

    def _if(self, argument: Any) -> Any:
        if not isinstance(argument, list) or len(argument) != 3:
            raise TemplateInvalid("Template error: Fn::If requires a list argument with three elements")
        return self.value(argument[1] if self.condition(argument[0]) else argument[2])

    def _import_value(self, argument: Any) -> Any:
        return self.lookup.imported(_text("Fn::ImportValue", self.value(argument)))

    def _cidr(self, argument: Any) -> list[str]:
        """Fn::Cidr: [block, count, bits of each address's host part]."""
        block, count, *rest = self._list("Fn::Cidr", argument)
        network = ipaddress.ip_network(block)
        bits = int(rest[0]) if rest else 8
        try:
            subnets = network.subnets(new_prefix=network.max_prefixlen - bits)
            return [str(next(subnets)) for _ in range(int(count))]
        except (ValueError, StopIteration):
            raise TemplateInvalid(f"Template error: {block} has no {count} subnets of {bits} bits") from None

    def _length(self, argument: Any) -> int:
        return len(self._list("Fn::Length", argument))

    def _to_json_string(self, argument: Any) -> str:
        return json.dumps(self.value(argument), separators=(",", ":"))

    def _pair(self, function: str, argument: Any) -> tuple[Any, Any]:
        if not isinstance(argument, list) or len(argument) != 2:
            raise TemplateInvalid(f"Template error: every {function} object requires a list of two elements")
        return argument[0], argument[1]

    def _list(self, function: str, argument: Any) -> list[Any]:
        value = self.value(argument)
        if not isinstance(value, list):
            raise TemplateInvalid(f"Template error: {function} requires a list, not {json.dumps(value)}")
        return value

    def _equals(self, argument: Any) -> bool:
        first, second = self._pair("Fn::Equals", argument)
        return bool(_comparable(self.value(first)) == _comparable(self.value(second)))

    def _and(self, argument: Any) -> bool:
        return all(self.holds(part) for part in argument)

    def _or(self, argument: Any) -> bool:
        return any(self.holds(part) for part in argument)

    def _not(self, argument: Any) -> bool:
        return not self.holds(argument[0])

    def _contains(self, argument: Any) -> bool:
        values, wanted = self._pair("Fn::Contains", argument)
        return _comparable(self.value(wanted)) in map(_comparable, self._list("Fn::Contains", values))


_FUNCTIONS: dict[str, Callable[[Resolver, Any], Any]] = {
    "Fn::Base64": Resolver._base64,
    "Fn::Cidr": Resolver._cidr,
    "Fn::FindInMap": Resolver._find_in_map,
    "Fn::GetAZs": Resolver._get_azs,
    "Fn::GetAtt": Resolver._get_att,
    "Fn::If": Resolver._if,
    "Fn::ImportValue": Resolver._import_value,
    "Fn::Join": Resolver._join,
    "Fn::Length": Resolver._length,
    "Fn::Select": Resolver._select,
    "Fn::Split": Resolver._split,
    "Fn::Sub": Resolver._sub,
    "Fn::ToJsonString": Resolver._to_json_string,
}

_CONDITIONS: dict[str, Callable[[Resolver, Any], bool]] = {
    "Fn::And": Resolver._and,
    "Fn::Contains": Resolver._contains,  # in Rules only
    "Fn::Equals": Resolver._equals,
    "Fn::Not": Resolver._not,
    "Fn::Or": Resolver._or,
}


def _unresolved(name: Any) -> str:
    return f"Template format error: Unresolved resource dependencies [{name}] in the template"


def _text(function: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)) or value is NO_VALUE:
        raise TemplateInvalid(f"Template error: {function} needs a string, not {_shown(value)}")
    return str(value)


def _comparable(value: Any) -> Any:
    return value if isinstance(value, (dict, list)) else _text("Fn::Equals", value)


def _shown(value: Any) -> str:
    return "AWS::NoValue" if value is NO_VALUE else json.dumps(value)
