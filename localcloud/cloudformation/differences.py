"""Where what stands differs from what a template sets, property by property, as drift detection tells it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.cloudformation.schemas import Schema

ADD, REMOVE, NOT_EQUAL = "ADD", "REMOVE", "NOT_EQUAL"

# What tells the elements of a list apart, so that a changed one is not taken for one lost and one new
_IDENTITIES = ("Key", "PolicyName", "Sid", "RuleName", "Id", "Name")

# The registry's property transforms, as far as they concern plain values
_FOLDED = re.compile(r"\$(lower|upper)case\(\w+\)")
_JOINED = re.compile(r"\$join\(\[(.+)\]\)")
_PIECE = re.compile(r'"((?:[^"\\]|\\.)*)"|\$string\(\w+\)|\w+')


@dataclass(frozen=True)
class Difference:
    """One property's difference, in the words of DescribeStackResourceDrifts."""

    path: str
    kind: str
    expected: Any = None
    actual: Any = None

    def described(self) -> dict[str, str]:
        """Return it as the API's PropertyDifference; what is not there is `null`."""
        return {
            "PropertyPath": self.path,
            "ExpectedValue": text(self.expected),
            "ActualValue": text(self.actual),
            "DifferenceType": self.kind,
        }


def differences(
    known: Schema, expected: Mapping[str, Any], actual: Mapping[str, Any]
) -> Iterator[Difference]:
    """Yield where `actual` is otherwise than `expected`, whose properties alone are compared.

    A property that `actual` does not have cannot be told and is passed over; None is one that is not set.
    Neither the order of a list nor numbers and booleans written as text are differences.
    """
    comparison = _Comparison(known)
    definitions = known.body["properties"]
    for name, value in expected.items():
        if name in actual and not _transforms_to(known.transform(name), value, actual[name]):
            yield from comparison.compare(definitions.get(name), f"/{name}", value, actual[name])


def same(one: Any, other: Any) -> bool:
    """Whether two values say the same."""
    return bool(_canonical(one) == _canonical(other))


def text(value: Any) -> str:
    """Return a value as the API shows it: plain values as they are, others as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


@dataclass(frozen=True)
class _Comparison:
    known: Schema

    def compare(self, definition: Any, path: str, expected: Any, actual: Any) -> Iterator[Difference]:
        if same(expected, actual):
            return
        expected, actual = _alike(expected, actual)
        if actual is None:
            yield Difference(path, REMOVE, expected)
        elif isinstance(expected, dict) and isinstance(actual, dict):
            yield from self._compare_objects(self.known.resolved(definition), path, expected, actual)
        elif isinstance(expected, list) and isinstance(actual, list):
            yield from self._compare_lists(self.known.resolved(definition), path, expected, actual)
        else:
            yield Difference(path, NOT_EQUAL, expected, actual)

    def _compare_objects(
        self, definition: Mapping[str, Any], path: str, expected: dict[str, Any], actual: dict[str, Any]
    ) -> Iterator[Difference]:
        named = definition.get("properties", {})
        for name, value in expected.items():
            yield from self.compare(named.get(name), f"{path}/{name}", value, actual.get(name))
        if named:  # of an object with properties of its own, too, those alone count that the template sets
            return
        for name in actual.keys() - expected.keys():
            if actual[name] is not None:
                yield Difference(f"{path}/{name}", ADD, None, actual[name])

    def _compare_lists(
        self, definition: Mapping[str, Any], path: str, expected: list[Any], actual: list[Any]
    ) -> Iterator[Difference]:
        left, missing = dict(enumerate(actual)), dict(enumerate(expected))
        for index, value in enumerate(expected):
            if (found := next((at for at, one in left.items() if same(value, one)), None)) is not None:
                del left[found], missing[index]
        for index, value in missing.items():
            partner = _partner(index, value, left)
            if partner is None:
                yield Difference(f"{path}/{index}", REMOVE, value)
            else:
                yield from self.compare(definition.get("items"), f"{path}/{index}", value, left.pop(partner))
        for index, value in left.items():
            yield Difference(f"{path}/{index}", ADD, None, value)


def _partner(index: int, value: Any, left: Mapping[int, Any]) -> int | None:
    """Return the place of the element that `value` has become; None when it is gone."""
    if not isinstance(value, dict):
        return None
    for name in _IDENTITIES:
        if name in value:
            same_name = (
                at for at, one in left.items() if isinstance(one, dict) and same(one.get(name), value[name])
            )
            return next(same_name, None)
    return index if isinstance(left.get(index), dict) else None


def _alike(expected: Any, actual: Any) -> tuple[Any, Any]:
    """Bring both to one kind: documents are also written as text, and lists of one element without list."""
    if isinstance(expected, str) and isinstance(actual, dict | list):
        expected = _parsed(expected)
    elif isinstance(actual, str) and isinstance(expected, dict | list):
        actual = _parsed(actual)
    if isinstance(expected, list) and actual is not None and not isinstance(actual, list):
        actual = [actual]
    elif isinstance(actual, list) and not isinstance(expected, list):
        expected = [expected]
    return expected, actual


def _canonical(value: Any) -> Any:
    """Return a form that is the same for all that says the same. What is empty is as good as not set."""
    if isinstance(value, str):
        parsed = _parsed(value)
        return value if isinstance(parsed, str) else _canonical(parsed)
    if isinstance(value, dict):
        members = {name: _canonical(one) for name, one in value.items()}
        return text({name: one for name, one in members.items() if one is not None}) if members else None
    if isinstance(value, list | tuple):
        elements = sorted(text(_canonical(one)) for one in value)
        return elements[0] if len(elements) == 1 else text(elements) if elements else None
    return None if value is None else text(value)


def _parsed(value: str) -> Any:
    """Return a JSON document that is written as text; other text as it is, and None for none at all."""
    if value[:1] not in ("{", "["):
        return _number(value) if value else None
    try:
        return json.loads(value)
    except ValueError:
        return value


def _number(value: str) -> str:
    """Return "5" for "5.0": CloudFormation keeps numbers as they were written."""
    return value.rstrip("0").rstrip(".") if re.fullmatch(r"-?\d+\.0+", value) else value


def _transforms_to(transform: str | None, expected: Any, actual: Any) -> bool:
    """Whether the service makes `actual` of `expected` by itself, as the registry says."""
    if transform is None or isinstance(expected, dict | list) or actual is None:
        return False
    given, found = text(expected), text(actual)
    return any(_yields(one.strip(), given, found) for one in transform.split("$OR"))


def _yields(transform: str, given: str, found: str) -> bool:
    if folded := _FOLDED.fullmatch(transform):
        return found == (given.lower() if folded[1] == "lower" else given.upper())
    if joined := _JOINED.fullmatch(transform):
        pattern = "".join(
            re.escape(given) if piece[1] is None else piece[1] for piece in _PIECE.finditer(joined[1])
        )
        return re.fullmatch(pattern, found) is not None
    return False
