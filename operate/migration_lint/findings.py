"""What was found in a file, what its author accepts of it and why, and what is left."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from apply_schema.database import Statement

_ANNOTATION = re.compile(r"(?:^|\s)--\s*accept:[ \t]*(?P<rule>[\w-]*)[ \t]*(?P<reason>.*?)\s*$")


@dataclass(frozen=True)
class Finding:
    """A rule that a statement breaks, and the line at which the statement begins."""

    line: int
    rule: str
    what: str


@dataclass(frozen=True)
class Problem:
    """A line of the linter's answer."""

    path: Path
    line: int
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.what}"


@dataclass(frozen=True)
class _Annotation:
    line: int
    rule: str
    reason: str


def problems_of(
    path: Path,
    text: str,
    statements: Sequence[Statement],
    findings: Sequence[Finding],
    rules: Collection[str],
) -> Iterator[Problem]:
    """Yield every finding that its file does not accept, and every annotation that accepts nothing.

    `-- accept: rule reason` speaks for the statement that it stands in, or for the next one.
    """
    left = list(findings)
    for annotation in _annotations(text):
        statement = _statement_of(annotation.line, statements)
        accepted = [one for one in left if one.rule == annotation.rule and one.line == statement]
        wrong = _wrong(annotation, rules, accepts=bool(accepted))
        if wrong:
            yield Problem(path, annotation.line, "accept", wrong)
        else:
            left = [one for one in left if one not in accepted]
    yield from (Problem(path, one.line, one.rule, one.what) for one in left)


def _annotations(text: str) -> Iterator[_Annotation]:
    for number, line in enumerate(text.splitlines(), start=1):
        if found := _ANNOTATION.search(line):
            yield _Annotation(number, found["rule"], found["reason"])


def _statement_of(line: int, statements: Sequence[Statement]) -> int | None:
    ends_behind = (one for one in statements if one.line + one.text.rstrip().count("\n") >= line)
    return next((one.line for one in ends_behind), None)


def _wrong(annotation: _Annotation, rules: Collection[str], *, accepts: bool) -> str:
    if annotation.rule not in rules:
        return f"{annotation.rule or 'nothing'} is no rule: there are {', '.join(sorted(rules))}"
    if not annotation.reason:
        return f"{annotation.rule} is accepted without a reason: write it behind the rule"
    if not accepts:
        return f"the statement here does not break {annotation.rule}: take the annotation away"
    return ""
