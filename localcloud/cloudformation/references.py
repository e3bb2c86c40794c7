"""What a part of a template refers to: the order of a stack's resources follows from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from localcloud.cloudformation.template import ResourceDefinition, TemplateInvalid

PLACEHOLDER = re.compile(r"\$\{(!?)([^}]*)\}")


class Reference(NamedTuple):
    """A Ref (no attribute) or Fn::GetAtt, of a resource, a parameter or a pseudo parameter."""

    name: str
    attribute: str | None = None


def references(value: Any, condition: Callable[[str], bool]) -> Iterator[Reference]:
    """Yield each reference in `value`, leaving out the branch of an Fn::If that is not taken."""
    if isinstance(value, list):
        for element in value:
            yield from references(element, condition)
    elif isinstance(value, dict):
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function in _FINDERS:
                yield from _FINDERS[function](argument, condition)
                return
        for element in value.values():
            yield from references(element, condition)


def split_attribute(argument: Any) -> tuple[str, Any]:
    """Return logical id and attribute's name of an Fn::GetAtt, which is a list or "id.attribute"."""
    parts = argument if isinstance(argument, list) else str(argument).split(".", 1)
    if len(parts) < 2:
        raise TemplateInvalid(
            "Template error: every Fn::GetAtt object requires two non-empty parameters, "
            f"the resource name and the resource attribute: {argument}"
        )
    attribute = parts[1] if len(parts) == 2 else ".".join(parts[1:])
    return parts[0], attribute


def dependencies(
    definitions: Mapping[str, ResourceDefinition], condition: Callable[[str], bool]
) -> dict[str, set[str]]:
    """Return what each resource waits for. TemplateInvalid when some wait for each other."""
    graph = {name: _needs(one, condition) & definitions.keys() for name, one in definitions.items()}
    if circle := _stuck(graph):
        raise TemplateInvalid(f"Circular dependency between resources: [{', '.join(sorted(circle))}]")
    return graph


def _needs(definition: ResourceDefinition, condition: Callable[[str], bool]) -> set[str]:
    found = references(dict(definition.properties), condition)
    return {reference.name for reference in found} | definition.depends_on


def _stuck(graph: Mapping[str, set[str]]) -> set[str]:
    """Return what is left when everything that waits for nothing more has been taken away, both ways."""
    waiting = {name: set(needed) for name, needed in graph.items()}
    for _ in range(2):  # the second round, with arrows turned, drops what merely waits for a circle
        while free := {name for name, needed in waiting.items() if not needed & waiting.keys()}:
            waiting = {name: needed for name, needed in waiting.items() if name not in free}
        waiting = {name: {other for other, needed in waiting.items() if name in needed} for name in waiting}
    return set(waiting)


def _in_ref(argument: Any, _: Callable[[str], bool]) -> Iterator[Reference]:
    yield Reference(str(argument))


def _in_get_att(argument: Any, condition: Callable[[str], bool]) -> Iterator[Reference]:
    logical_id, attribute = split_attribute(argument)
    yield Reference(logical_id, str(attribute))
    yield from references(attribute, condition)


def _in_sub(argument: Any, condition: Callable[[str], bool]) -> Iterator[Reference]:
    text, given = (argument, {}) if isinstance(argument, str) else (argument[0], argument[1])
    for literal, name in PLACEHOLDER.findall(text):
        if not literal and name.strip() not in given:
            logical_id, _, attribute = name.strip().partition(".")
            yield Reference(logical_id, attribute or None)
    yield from references(given, condition)


def _in_if(argument: Any, condition: Callable[[str], bool]) -> Iterator[Reference]:
    if not isinstance(argument, list) or len(argument) != 3:
        raise TemplateInvalid("Template error: Fn::If requires a list argument with three elements")
    yield from references(argument[1] if condition(argument[0]) else argument[2], condition)


_FINDERS: dict[str, Callable[[Any, Callable[[str], bool]], Iterator[Reference]]] = {
    "Ref": _in_ref,
    "Fn::GetAtt": _in_get_att,
    "Fn::Sub": _in_sub,
    "Fn::If": _in_if,
}
