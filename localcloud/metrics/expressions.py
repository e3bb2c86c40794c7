"""Metric math: series of values by time, and what expressions make of them.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
The functions that are here are FUNCTIONS; an expression with another one is refused, not guessed.
"""

from __future__ import annotations

import itertools
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

Series = Mapping[float, float]
"""A value for each period that has one, by the period's beginning."""
Value = float | Series | list[Series]


class BadExpression(ValueError):
    """CloudWatch would not take it, or the local cloud does not know it; it says which."""


@dataclass(frozen=True)
class Evaluated:
    """What an expression reads."""

    series: Mapping[str, Series]
    periods: Mapping[str, float]
    times: Sequence[float]
    """The periods that are asked for, with or without values."""


def evaluate(expression: str, known: Evaluated) -> Value:
    """Return a series, several of them, or a number."""
    return _Parser(expression, known).parse()


_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z][A-Za-z0-9_]*)"
    r"|(?P<text>\"[^\"]*\"|'[^']*')|(?P<sign>==|!=|<=|>=|&&|\|\||[-+*/^()<>,\[\]]))"
)
_BINARY: Final[tuple[tuple[str, ...], ...]] = (
    ("||", "OR"),
    ("&&", "AND"),
    ("==", "!=", "<=", ">=", "<", ">"),
    ("+", "-"),
    ("*", "/"),
    ("^",),
)
_OPERATIONS: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: a / b if b else math.nan,
    "^": operator.pow,
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
    "<=": lambda a, b: float(a <= b),
    ">=": lambda a, b: float(a >= b),
    "<": lambda a, b: float(a < b),
    ">": lambda a, b: float(a > b),
    "&&": lambda a, b: float(bool(a) and bool(b)),
    "AND": lambda a, b: float(bool(a) and bool(b)),
    "||": lambda a, b: float(bool(a) or bool(b)),
    "OR": lambda a, b: float(bool(a) or bool(b)),
}


class _Parser:
    """Reads an expression and computes it at once; operators bind as in CloudWatch, ^ closest."""

    def __init__(self, expression: str, known: Evaluated) -> None:
        self._known = known
        self._expression = expression
        self._tokens = list(self._split())
        self._next = 0

    def parse(self) -> Value:
        value = self._binary(0)
        if self._next != len(self._tokens):
            raise self._bad(f"{self._tokens[self._next]!r} is not expected")
        return value

    def _split(self) -> Iterator[str]:
        position = 0
        while position < len(self._expression.rstrip()):
            found = _TOKEN.match(self._expression, position)
            if found is None:
                raise self._bad(f"cannot be read from {self._expression[position:]!r} on")
            yield found[0].strip()
            position = found.end()

    def _binary(self, level: int) -> Value:
        if level == len(_BINARY):
            return self._unary()
        value = self._binary(level + 1)
        while self._peek() in _BINARY[level]:
            sign = self._take()
            value = _combined(_OPERATIONS[sign], value, self._binary(level + 1))
        return value

    def _unary(self) -> Value:
        if self._peek() in ("-", "+"):
            return _combined(_OPERATIONS[self._take()], 0.0, self._unary())
        return self._atom()

    def _atom(self) -> Value:
        token = self._take()
        if token == "(":  # noqa: S105 - a parenthesis
            value = self._binary(0)
            self._expect(")")
            return value
        if token == "[":  # noqa: S105
            return [one for value in self._arguments("]") for one in _all(value)]
        if token[0].isdigit():
            return float(token)
        if self._peek() == "(":
            return self._call(token)
        if token in self._known.series:
            return self._known.series[token]
        raise self._bad(f"{token} is neither a query's id nor a number")

    def _call(self, name: str) -> Value:
        self._take()
        if name == "METRICS":
            return self._metrics()
        if name == "PERIOD":
            query = self._take()
            self._expect(")")
            return self._known.periods.get(query, math.nan)
        if name not in FUNCTIONS:
            raise self._bad(f"the local cloud does not know {name}: it has {', '.join(sorted(FUNCTIONS))}")
        return FUNCTIONS[name](self._known, *self._arguments(")"))

    def _metrics(self) -> Value:
        wanted = "" if self._peek() == ")" else self._take().strip("\"'")
        self._expect(")")
        return [series for name, series in self._known.series.items() if wanted in name]

    def _arguments(self, closing: str) -> list[Value]:
        found: list[Value] = []
        while self._peek() != closing:
            if found:
                self._expect(",")
            found.append(math.nan if self._skipped_word() else self._binary(0))
        self._take()
        return found

    def _skipped_word(self) -> bool:
        """FILL's REPEAT and LINEAR: words, not values. Only REPEAT is here, and it is told by NaN."""
        if self._peek() == "REPEAT":
            self._take()
            return True
        return False

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        if not token:
            raise self._bad("it ends too early")
        self._next += 1
        return token

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise self._bad(f"{token} is missing")

    def _bad(self, why: str) -> BadExpression:
        return BadExpression(f"Error in expression {self._expression!r}: {why}")


def _combined(operation: Callable[[float, float], float], left: Value, right: Value) -> Value:
    """Apply to each period that both have; a number stands for all, an array for each of its series."""
    if isinstance(left, list):
        return [series for one in left for series in _all(_combined(operation, one, right))]
    if isinstance(right, list):
        return [series for one in right for series in _all(_combined(operation, left, one))]
    if isinstance(left, float) and isinstance(right, float):
        return operation(left, right)
    times = (left if isinstance(left, Mapping) else right).keys()  # type: ignore[union-attr]
    found = (
        (at, operation(_at(left, at), _at(right, at))) for at in times if _has(left, at) and _has(right, at)
    )
    return {at: value for at, value in found if not math.isnan(value)}


def _has(value: float | Series, at: float) -> bool:
    return not isinstance(value, Mapping) or at in value


def _at(value: float | Series, at: float) -> float:
    return value[at] if isinstance(value, Mapping) else value


def _all(value: Value) -> list[Series]:
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, Mapping) else []


def _over(reduce: Callable[[Sequence[float]], float]) -> Callable[..., Value]:
    """Return the function that makes one number of a series, and one series of several."""

    def reduced(_: Evaluated, value: Value) -> Value:
        if isinstance(value, Mapping):
            return reduce(list(value.values())) if value else math.nan
        if isinstance(value, float):
            return value
        times = sorted({at for series in value for at in series})
        return {at: reduce([series[at] for series in value if at in series]) for at in times}

    return reduced


def _each(apply: Callable[[float], float]) -> Callable[..., Value]:
    def applied(_: Evaluated, value: Value) -> Value:
        if isinstance(value, float):
            return float(apply(value))
        if isinstance(value, list):
            return [{at: float(apply(one)) for at, one in series.items()} for series in value]
        return {at: float(apply(one)) for at, one in value.items()}

    return applied


def _fill(known: Evaluated, value: Value, filling: Value) -> Value:
    if isinstance(value, list):
        return [series for one in value for series in _all(_fill(known, one, filling))]
    if isinstance(value, float):
        return value
    if isinstance(filling, list):
        raise BadExpression("FILL takes a number, REPEAT, or one series")
    filled: dict[float, float] = {}
    repeats = isinstance(filling, float) and math.isnan(filling)
    last = math.nan
    for at in known.times:
        instead = last if repeats else _at(filling, at) if _has(filling, at) else math.nan
        last = value.get(at, instead)
        if not math.isnan(last):
            filled[at] = last
    return filled


def _if(_: Evaluated, condition: Value, then: Value, otherwise: Value | None = None) -> Value:
    if isinstance(condition, list) or isinstance(then, list) or isinstance(otherwise, list):
        raise BadExpression("IF takes series and numbers, not arrays")
    if isinstance(condition, float):
        chosen = then if condition else otherwise
        return {} if chosen is None else chosen
    found = {}
    for at, holds in condition.items():
        chosen = then if holds else otherwise
        if chosen is not None and _has(chosen, at):
            found[at] = _at(chosen, at)
    return found


def _differences(value: Value) -> Iterator[tuple[float, float, float]]:
    """Yield each period but the first, with the difference to the last one that has a value, and the time."""
    if not isinstance(value, Mapping):
        raise BadExpression("DIFF, DIFF_TIME and RATE take one series")
    ordered = sorted(value.items())
    for (before, former), (at, latter) in itertools.pairwise(ordered):
        yield at, latter - former, at - before


def _running_sum(_: Evaluated, value: Value) -> Value:
    if not isinstance(value, Mapping):
        raise BadExpression("RUNNING_SUM takes one series")
    total, found = 0.0, {}
    for at, one in sorted(value.items()):
        found[at] = total = total + one
    return found


def _times(known: Evaluated, value: Value) -> Value:
    return dict.fromkeys(known.times, value) if isinstance(value, float) else value


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "ABS": _each(abs),
    "AVG": _over(lambda values: math.fsum(values) / len(values)),
    "CEIL": _each(math.ceil),
    "DIFF": lambda _, value: {at: change for at, change, _time in _differences(value)},
    "DIFF_TIME": lambda _, value: {at: time for at, _change, time in _differences(value)},
    "FILL": _fill,
    "FLOOR": _each(math.floor),
    "IF": _if,
    "LOG10": _each(lambda one: math.log10(one) if one > 0 else math.nan),
    "MAX": _over(max),
    "MIN": _over(min),
    "RATE": lambda _, value: {at: change / time for at, change, time in _differences(value)},
    "RUNNING_SUM": _running_sum,
    "SUM": _over(math.fsum),
    "TIME_SERIES": _times,
}
