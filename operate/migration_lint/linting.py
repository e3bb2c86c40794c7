"""The same for both engines: cut a file as the migrator does, and weigh what its statements break."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from apply_schema import sql_script
from apply_schema.database import Script, ScriptRefused, Statement
from aurora.mysql_migrations import script as mysql_script
from operate.migration_lint import mysql_rules, postgresql_rules
from operate.migration_lint.findings import Finding, Problem, problems_of


@dataclass(frozen=True)
class _Engine:
    read: Callable[[str], Script]
    findings_of: Callable[[Sequence[Statement]], Iterator[Finding]]
    rules: Collection[str]


_ENGINES = {
    "postgresql": _Engine(sql_script.read_script, postgresql_rules.findings_of, postgresql_rules.RULES),
    "mysql": _Engine(mysql_script.read_script, mysql_rules.findings_of, mysql_rules.RULES),
}


def lint_folder(engine: str, paths: Sequence[Path]) -> Iterator[Problem]:
    """Yield every problem of an engine's files, squawk's among them."""
    for path in paths:
        yield from lint_text(engine, path, path.read_text(encoding="utf-8-sig"))
    if engine == "postgresql":
        yield from postgresql_rules.squawk_problems(paths)


def lint_text(engine: str, path: Path, text: str) -> Iterator[Problem]:
    """Yield every problem that our own rules find in a file; a file that cannot be cut is one."""
    chosen = _ENGINES[engine]
    try:
        statements = chosen.read(text.replace("\r\n", "\n")).statements
    except ScriptRefused as refused:
        yield Problem(path, refused.line, "script", str(refused))
        return
    yield from problems_of(path, text, statements, list(chosen.findings_of(statements)), chosen.rules)
