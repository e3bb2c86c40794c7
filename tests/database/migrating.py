"""Folders of migrations and runs of the migrator, for the tests of both."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from apply_schema import migrations
from apply_schema.migration_files import read_files
from apply_schema.migrations import Outcome
from aurora.postgresql_migrations import Limits, PostgresqlMigrations

LAMBDA = Path(__file__).parents[2] / "lambda"
MIGRATOR = "shop_admin"


class ADatabase(Protocol):
    """What conftest.py hands to a test."""

    server: Any
    name: str

    def connect(self, user: str = MIGRATOR) -> Any: ...

    def value(self, statement: str, parameters: object = None) -> Any: ...

    def rows(self, statement: str, parameters: object = None) -> list[tuple[Any, ...]]: ...


def write(folder: Path, files: dict[str, str]) -> Path:
    """Put these files into the folder."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def migrate(
    database: ADatabase,
    folder: Path,
    *,
    limits: Limits | None = None,
    allow_late: bool = False,
    said: list[str] | None = None,
) -> Outcome:
    """Apply the folder's files on a connection of their own."""
    session = PostgresqlMigrations(database.connect(), limits or Limits(wait_for_lock_seconds=20))
    with closing(session):
        report = [].append if said is None else said.append
        return migrations.apply(session, read_files(folder), report=report, allow_late=allow_late)


def history(database: ADatabase) -> list[tuple[Any, ...]]:
    """What the database says is applied."""
    return database.rows("SELECT name, kind FROM migrations.history ORDER BY installed_as")


def exists(database: ADatabase, relation: str) -> bool:
    """Whether a table, view or index is there."""
    return bool(database.value("SELECT to_regclass(%s) IS NOT NULL", (relation,)))


def command_line(database: ADatabase, *arguments: str | Path) -> list[str]:
    """The command of a run in a process of its own."""
    url = f"postgresql://{MIGRATOR}@/{database.name}?host={database.server.socket_directory}"
    url += f"&port={database.server.port}"
    return [sys.executable, "-m", "apply_schema", *map(str, arguments), "--url", url]


def run(database: ADatabase, *arguments: str | Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run the migrator as people do."""
    return subprocess.run(
        command_line(database, *arguments),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def start(database: ADatabase, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start the migrator and leave it running."""
    return subprocess.Popen(
        command_line(database, *arguments),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def environment() -> dict[str, str]:
    """This process's environment, with the migrator to be found in it."""
    return os.environ | {"PYTHONPATH": str(LAMBDA)}


def numbered(count: int, statements: Sequence[str]) -> dict[str, str]:
    """Files V1 to Vn of the same statements, in which {n} is the file's number."""
    return {
        f"V{n}__file_{n}.sql": "".join(f"{statement};\n".replace("{n}", str(n)) for statement in statements)
        for n in range(1, count + 1)
    }
