"""A policy document, parsed once into statements that are quick to ask.

IAM User Guide, "Grammar of the IAM JSON policy language". The texts of MalformedPolicy are those of IAM's
MalformedPolicyDocument; behind IAM's terse "Syntax errors in policy." stands which error it is.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from localcloud.iam import wildcards
from localcloud.iam.conditions import Condition, UnknownOperator
from localcloud.iam.principals import EVERYBODY, Principals
from localcloud.iam.variables import Context, Pattern

WITH_VARIABLES = "2012-10-17"
_VERSIONS = ("2008-10-17", WITH_VARIABLES)
_POLICY_ELEMENTS = frozenset({"Version", "Id", "Statement"})
_EXCLUSIVE = {"Principal": "NotPrincipal", "Action": "NotAction", "Resource": "NotResource"}
_STATEMENT_ELEMENTS = frozenset({"Sid", "Effect", "Condition", *_EXCLUSIVE, *_EXCLUSIVE.values()})
_PRINCIPAL_TYPES = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})


class MalformedPolicy(ValueError):
    """The document is no policy: AWS would not have taken it."""


class Effect(enum.Enum):
    """What a statement does with what it matches."""

    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True)
class Actions:
    """An Action or NotAction element: in any case of letters."""

    named: wildcards.AnyOf
    others: bool
    """Whether it speaks of the actions that are not named."""

    def include(self, action: str) -> bool:
        """Tell whether the element speaks of the action, which is given in lower case."""
        return self.named.matches(action) is not self.others


@dataclass(frozen=True)
class Resources:
    """A Resource or NotResource element."""

    constant: wildcards.AnyOf
    variable: tuple[Pattern, ...]
    others: bool
    """Whether it speaks of the resources that are not named."""

    def include(self, arn: str, context: Context) -> bool:
        """Tell whether the element speaks of the resource."""
        named = self.constant.matches(arn) or any(one.matches(arn, context) for one in self.variable)
        return named is not self.others


@dataclass(frozen=True)
class Statement:
    """One statement of a policy."""

    effect: Effect
    actions: Actions
    resources: Resources | None
    """None in a policy of the resource itself, as a role's trust policy: there it is that resource."""
    condition: Condition
    principals: Principals | None = None
    not_principals: Principals | None = None

    def applies(self, action: str, resource: str, context: Context) -> bool:
        """Tell whether it speaks of the request, whoever asks. `action` and the keys are in lower case."""
        return (
            self.actions.include(action)
            and (self.resources is None or self.resources.include(resource, context))
            and self.condition.holds(context)
        )


@dataclass(frozen=True)
class Policy:
    """A policy document."""

    statements: tuple[Statement, ...]
    allowing: tuple[Statement, ...] = field(init=False, repr=False, compare=False)
    denying: tuple[Statement, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, effect in (("allowing", Effect.ALLOW), ("denying", Effect.DENY)):
            object.__setattr__(self, name, tuple(one for one in self.statements if one.effect is effect))

    @classmethod
    def parse(cls, document: str | Mapping[str, Any]) -> Policy:
        """Return the policy of a JSON text or of what such a text says; raise MalformedPolicy.

        A text is parsed once: the same policies are asked for each call of a role.
        """
        return _of_text(document) if isinstance(document, str) else _policy(document)


@lru_cache(maxsize=1024)
def _of_text(document: str) -> Policy:
    try:
        return _policy(json.loads(document))
    except json.JSONDecodeError as error:
        raise _syntax(f"it is not JSON: {error}") from None


def _policy(document: Any) -> Policy:
    policy = _mapping(document, "a policy")
    _check_elements(policy, _POLICY_ELEMENTS, "the policy")
    version = policy.get("Version", _VERSIONS[0])
    if version not in _VERSIONS:
        raise MalformedPolicy(f"Policy document must be version 2012-10-17 or greater. It is {version!r}.")
    if not policy.get("Statement"):
        raise _syntax("the policy has no Statement")
    statements = policy["Statement"]
    return Policy(
        tuple(
            _statement(_mapping(one, "a statement"), variables=version == WITH_VARIABLES)
            for one in (statements if isinstance(statements, list) else [statements])
        )
    )


def _statement(element: Mapping[str, Any], *, variables: bool) -> Statement:
    _check_elements(element, _STATEMENT_ELEMENTS, "a statement")
    for name, opposite in _EXCLUSIVE.items():
        if name in element and opposite in element:
            raise _syntax(f"a statement has {name} and {opposite}")
    principals = _principals(element, "Principal")
    not_principals = _principals(element, "NotPrincipal")
    of_a_resource = principals is not None or not_principals is not None
    return Statement(
        _effect(element),
        _actions(element),
        _resources(element, variables=variables, needed=not of_a_resource),
        _condition(element.get("Condition", {}), variables=variables),
        principals,
        not_principals,
    )


def _effect(element: Mapping[str, Any]) -> Effect:
    try:
        return Effect(element.get("Effect"))
    except ValueError:
        raise _syntax(f"Effect is {element.get('Effect')!r}, and has to be Allow or Deny") from None


def _actions(element: Mapping[str, Any]) -> Actions:
    name = _either(element, "Action")
    if name is None:
        raise MalformedPolicy("Policy statement must contain actions.")
    actions = _texts(element[name], name)
    for action in actions:
        if action != "*" and ":" not in action:
            raise MalformedPolicy(
                f"Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc. ({action})"
            )
    return Actions(wildcards.AnyOf(action.lower() for action in actions), others=name == "NotAction")


def _resources(element: Mapping[str, Any], *, variables: bool, needed: bool) -> Resources | None:
    name = _either(element, "Resource")
    if name is None:
        if needed:
            raise MalformedPolicy("Policy statement must contain resources.")
        return None
    resources = _texts(element[name], name)
    for resource in resources:
        if resource != "*" and not resource.startswith("arn:"):
            raise MalformedPolicy(f'Resource {resource} must be in ARN format or "*".')
    filled_in = [one for one in resources if variables and "${" in one]
    return Resources(
        wildcards.AnyOf((one for one in resources if one not in filled_in), wildcards.resource),
        tuple(map(Pattern.of_resource, filled_in)),
        others=name == "NotResource",
    )


def _principals(element: Mapping[str, Any], name: str) -> Principals | None:
    if name not in element:
        return None
    named = element[name]
    if named == EVERYBODY:
        return Principals(everybody=True)
    by_type = _mapping(named, name)
    _check_elements(by_type, _PRINCIPAL_TYPES, name)
    return Principals.parse({kind: _texts(names, name) for kind, names in by_type.items()})


def _condition(element: Any, *, variables: bool) -> Condition:
    operators = {
        name: {key: _texts(value, f"{name} of {key}") for key, value in _mapping(keys, name).items()}
        for name, keys in _mapping(element, "Condition").items()
    }
    try:
        return Condition.parse(operators, variables=variables)
    except UnknownOperator as error:
        raise _syntax(f"Invalid Condition type : {error}") from None


def _either(element: Mapping[str, Any], name: str) -> str | None:
    """Return which of two elements is there: Action or NotAction, Resource or NotResource."""
    return next((one for one in (name, _EXCLUSIVE[name]) if one in element), None)


def _texts(value: Any, name: str) -> Sequence[str]:
    """Return the one or many values; numbers and booleans may come without quotation marks."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str | bool | int | float) for one in values):
        raise _syntax(f"{name} is {value!r}, and has to be a text or a list of them")
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _syntax(f"{name} has to be an object, and is {value!r}")
    return value


def _check_elements(element: Mapping[str, Any], known: frozenset[str], name: str) -> None:
    if unknown := sorted(set(element) - known):
        raise _syntax(f"{name} has {', '.join(unknown)}")


def _syntax(error: str) -> MalformedPolicy:
    return MalformedPolicy(f"Syntax errors in policy. ({error})")
