"""A composite alarm's rule: ALARM("a") AND (NOT OK("b") OR INSUFFICIENT_DATA("c")).

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from localcloud.alarms.states import ALARM, INSUFFICIENT_DATA, OK


class BadRule(ValueError):
    """CloudWatch would not take the rule."""


_TOKEN = re.compile(r'\s*(?:[()]|"[^"]+"|[^\s()"]+)')
_STATES = {ALARM, OK, INSUFFICIENT_DATA}


def holds(rule: str, state_of: Callable[[str], str]) -> bool:
    """Return whether the rule is true; `state_of` tells the state of an alarm by its name or ARN.

    BadRule where it cannot be read. State functions of alarms that are not there are false.
    """
    reader = _Reader(rule, state_of)
    value = reader.either()
    reader.end()
    return value


class _Reader:
    def __init__(self, rule: str, state_of: Callable[[str], str]) -> None:
        self._rule = rule
        self._state_of = state_of
        self._tokens = list(self._split())
        self._next = 0

    def either(self) -> bool:
        value = self._both()
        while self._peek() == "OR":
            self._take()
            value = self._both() or value
        return value

    def end(self) -> None:
        if self._next != len(self._tokens):
            raise BadRule(f"AlarmRule {self._rule!r}: {self._peek()} is not expected")

    def _split(self) -> Iterator[str]:
        position = 0
        while position < len(self._rule.rstrip()):
            found = _TOKEN.match(self._rule, position)
            if found is None:
                raise BadRule(f"AlarmRule {self._rule!r} cannot be read from {self._rule[position:]!r} on")
            yield found[0].strip()
            position = found.end()

    def _both(self) -> bool:
        value = self._one()
        while self._peek() == "AND":
            self._take()
            value = self._one() and value
        return value

    def _one(self) -> bool:
        word = self._take()
        if word == "NOT":
            return not self._one()
        if word in ("TRUE", "FALSE"):
            return word == "TRUE"
        if word == "(":
            value = self.either()
            self._expect(")")
            return value
        if word in _STATES:
            self._expect("(")
            name = self._take().strip('"').rpartition(":alarm:")[2]
            self._expect(")")
            return self._state_of(name) == word
        raise BadRule(f"AlarmRule {self._rule!r}: {word} is not expected")

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        if not token:
            raise BadRule(f"AlarmRule {self._rule!r} ends too early")
        self._next += 1
        return token

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise BadRule(f"AlarmRule {self._rule!r}: {token} is missing")
