"""The Condition element: every operator of AWS's reference, parsed once.

IAM User Guide, "IAM JSON policy elements: Condition operators", "Conditions with multiple context keys or
values" and "Single-valued vs. multivalued context keys".
"""

from __future__ import annotations

import enum
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from localcloud.iam import comparisons
from localcloud.iam.comparisons import Comparison, Factory
from localcloud.iam.variables import Context

_IF_EXISTS = "IfExists"


class UnknownOperator(ValueError):
    """The policy asks for an operator that AWS does not have."""


class Quantifier(enum.Enum):
    """How the values of a multivalued key are put together."""

    NONE = ""
    ALL = "ForAllValues"
    ANY = "ForAnyValue"


@dataclass(frozen=True)
class Operator:
    """An operator by its name in a policy."""

    compare: Factory
    negated: bool = False


@dataclass(frozen=True)
class Clause:
    """One key of one operator: true if it is so of the request."""

    key: str
    comparisons: tuple[Comparison, ...]
    negated: bool
    if_exists: bool
    quantifier: Quantifier

    def holds(self, context: Context) -> bool:
        """Tell whether the request's values are as the policy wants them."""
        values = self._values(context)
        if self.quantifier is Quantifier.ALL:
            return all(self._fits(value, context) for value in values)
        if not values:
            return self.if_exists or (self.negated and self.quantifier is Quantifier.NONE)
        if self.quantifier is Quantifier.ANY:
            return any(self._fits(value, context) for value in values)
        # A multivalued key wants a set operator. Without one, a positive operator is content with any value
        # and a negated one is its opposite.
        return any(self._matches(value, context) for value in values) is not self.negated

    def _fits(self, value: str, context: Context) -> bool:
        return self._matches(value, context) is not self.negated

    def _matches(self, value: str, context: Context) -> bool:
        return any(compare(value, context) for compare in self.comparisons)

    def _values(self, context: Context) -> Sequence[str]:
        values = _of_key(context, self.key)
        return values if self.quantifier is Quantifier.NONE else _not_null(values)


@dataclass(frozen=True)
class Null:
    """Whether the request lacks a key."""

    key: str
    wanted: frozenset[bool]

    def holds(self, context: Context) -> bool:
        """Tell whether the key is missing or there, as the policy wants it."""
        return (not _not_null(_of_key(context, self.key))) in self.wanted


@dataclass(frozen=True)
class Condition:
    """All clauses of the element: every one has to hold."""

    clauses: tuple[Clause | Null, ...] = ()

    @classmethod
    def parse(cls, element: Mapping[str, Mapping[str, Sequence[str]]], *, variables: bool) -> Condition:
        """Return the condition; raise UnknownOperator for an operator that AWS does not have."""
        return cls(
            tuple(
                _clause(name, key.lower(), values, variables)
                for name, keys in element.items()
                for key, values in keys.items()
            )
        )

    def holds(self, context: Context) -> bool:
        """Tell whether the request meets the condition."""
        return all(clause.holds(context) for clause in self.clauses)


def _of_key(context: Context, key: str) -> Sequence[str]:
    value = context.get(key, ())
    return (value,) if isinstance(value, str) else value


def _not_null(values: Sequence[str]) -> Sequence[str]:
    """Return the values that are not empty: an empty text is null to Null and to the set operators."""
    return [value for value in values if value]


def _clause(name: str, key: str, values: Iterable[str], variables: bool) -> Clause | Null:
    if name == "Null":
        return Null(key, frozenset(value.lower() == "true" for value in values))
    quantifier, bare = _quantifier(name)
    if_exists = bare.endswith(_IF_EXISTS)
    found = _OPERATORS.get(bare.removesuffix(_IF_EXISTS))
    if found is None:
        raise UnknownOperator(name)
    compare = tuple(found.compare(value, variables) for value in values)
    return Clause(key, compare, found.negated, if_exists, quantifier)


def _quantifier(name: str) -> tuple[Quantifier, str]:
    prefix, colon, rest = name.partition(":")
    if not colon:
        return Quantifier.NONE, name
    try:
        return Quantifier(prefix), rest
    except ValueError:
        raise UnknownOperator(name) from None


_OPERATORS = {
    "StringEquals": Operator(comparisons.equal),
    "StringNotEquals": Operator(comparisons.equal, negated=True),
    "StringEqualsIgnoreCase": Operator(comparisons.equal_in_any_case),
    "StringNotEqualsIgnoreCase": Operator(comparisons.equal_in_any_case, negated=True),
    "StringLike": Operator(comparisons.like),
    "StringNotLike": Operator(comparisons.like, negated=True),
    "NumericEquals": Operator(comparisons.number(operator.eq)),
    "NumericNotEquals": Operator(comparisons.number(operator.eq), negated=True),
    "NumericLessThan": Operator(comparisons.number(operator.lt)),
    "NumericLessThanEquals": Operator(comparisons.number(operator.le)),
    "NumericGreaterThan": Operator(comparisons.number(operator.gt)),
    "NumericGreaterThanEquals": Operator(comparisons.number(operator.ge)),
    "DateEquals": Operator(comparisons.date(operator.eq)),
    "DateNotEquals": Operator(comparisons.date(operator.eq), negated=True),
    "DateLessThan": Operator(comparisons.date(operator.lt)),
    "DateLessThanEquals": Operator(comparisons.date(operator.le)),
    "DateGreaterThan": Operator(comparisons.date(operator.gt)),
    "DateGreaterThanEquals": Operator(comparisons.date(operator.ge)),
    "Bool": Operator(comparisons.equal_in_any_case),
    "BinaryEquals": Operator(comparisons.binary),
    "IpAddress": Operator(comparisons.in_network),
    "NotIpAddress": Operator(comparisons.in_network, negated=True),
    "ArnEquals": Operator(comparisons.arn_like),
    "ArnLike": Operator(comparisons.arn_like),
    "ArnNotEquals": Operator(comparisons.arn_like, negated=True),
    "ArnNotLike": Operator(comparisons.arn_like, negated=True),
}
