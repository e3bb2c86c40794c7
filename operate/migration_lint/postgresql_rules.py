"""What is dangerous on Aurora PostgreSQL: squawk's findings, and what squawk passes over."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from apply_schema.database import Statement
from operate.migration_lint.findings import Finding, Problem
from operate.migration_lint.masking import words_of_postgresql

PROJECT = Path(__file__).resolve().parents[2]
SQUAWK = Path(sys.executable).with_name("squawk")
_LONGEST_SECONDS = 60

RULES = {
    "unbounded-write": (
        r"(?:UPDATE|DELETE)\b(?!.*\bWHERE\b)",
        "one transaction over all rows: locks them all and leaves as many dead ones; write in batches by key",
    ),
    "truncate": (r"TRUNCATE\b", "all rows are gone, and everybody waits: drop what is not needed by name"),
    "lock-table": (r"LOCK\b", "everybody waits: let the statement itself take the lock that it needs"),
    "rebuild": (
        r"VACUUM\b.*\bFULL\b|CLUSTER\b|REFRESH MATERIALIZED VIEW (?!CONCURRENTLY\b)",
        "rewrites a table while nobody reads it",
    ),
    "password": (
        r"(?:CREATE|ALTER) (?:ROLE|USER)\b.*\bPASSWORD ''",
        "everybody who reads the file knows it, and the server's log too should it fail: log in by IAM token",
    ),
}
"""Beside squawk's own: it has no rule for these."""

_PATTERNS = {rule: re.compile(pattern, re.IGNORECASE) for rule, (pattern, _) in RULES.items()}
_CREATE = re.compile(
    r'CREATE (?:TEMP |TEMPORARY |UNLOGGED )?TABLE (?:IF NOT EXISTS )?([\w."]+)', re.IGNORECASE
)
_TABLE = re.compile(r'(?:UPDATE|DELETE FROM|TRUNCATE(?: TABLE)?)(?: ONLY)? ([\w."]+)', re.IGNORECASE)
_SQUAWK_SAID = re.compile(
    r"^(?P<path>.*):(?P<line>\d+):\d+: \w+: (?P<rule>[a-z-]+) (?P<what>.*)$", re.MULTILINE
)
_ANNOTATION = re.compile(r"squawk-ignore(?:-file)?\s+(?P<rules>[a-z, -]*?)(?=\s+--|\s*\*/|\s*$)")


def findings_of(statements: Sequence[Statement]) -> Iterator[Finding]:
    """Yield what the statements of a file break; a table that the same file creates is nobody's yet."""
    own: set[str] = set()
    for statement in statements:
        words = words_of_postgresql(statement.text)
        if created := _CREATE.match(words):
            own.add(created[1].lower())
        table = _TABLE.match(words)
        if table and table[1].lower() in own:
            continue
        for rule, pattern in _PATTERNS.items():
            if pattern.match(words):
                yield Finding(statement.line, rule, RULES[rule][1])


def squawk_problems(paths: Sequence[Path]) -> Iterator[Problem]:
    """Yield squawk's findings, and each of its annotations that accepts nothing any more.

    Raises RuntimeError when squawk itself fails.
    """
    for path in paths:
        text = path.read_text(encoding="utf-8")
        yield from _squawk(text, path)
        yield from _stale(text, path)


def _stale(text: str, path: Path) -> Iterator[Problem]:
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if found := _ANNOTATION.search(line):
            unsaid = line.replace("squawk-ignore", "squawk_ignore")
            broken = {
                one.rule for one in _squawk("".join([*lines[:number], unsaid, *lines[number + 1 :]]), path)
            }
            for rule in re.split(r"[,\s]+", found["rules"].strip()):
                if rule not in broken:
                    what = f"nothing here breaks {rule or 'a rule'}: take the annotation away"
                    yield Problem(path, number + 1, "squawk-ignore", what)


def _squawk(text: str, path: Path) -> Iterator[Problem]:
    done = subprocess.run(
        [SQUAWK, "--config", PROJECT / ".squawk.toml", "--reporter", "gcc", "--stdin-filepath", path],
        input=text,
        capture_output=True,
        text=True,
        timeout=_LONGEST_SECONDS,
        check=False,
    )
    problems = [
        Problem(path, int(said["line"]) + 1, said["rule"], said["what"])
        for said in _SQUAWK_SAID.finditer(done.stdout)
    ]
    if done.returncode not in (0, 1) or (done.returncode == 1) != bool(problems):
        raise RuntimeError(f"squawk failed on {path}: {done.stderr.strip() or done.stdout.strip()}")
    return iter(problems)
