"""Folders of migrations and runs of the migrator, for the tests of both."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pymysql.constants import CLIENT

from apply_schema import migrations
from apply_schema.limits import Limits
from apply_schema.migration_files import read_files
from apply_schema.migrations import Outcome
from aurora.mysql_migrations.history import RUN_LOCK
from aurora.mysql_migrations.session import WORKER_LOCK
from aurora.postgresql_migrations.lock import LOCK_KEY
from tests.database.servers import MASTER_PASSWORD, Database

LAMBDA = Path(__file__).parents[2] / "lambda"
MIGRATOR = "shop_admin"


@pytest.fixture(autouse=True)
def spoken_alike(request: pytest.FixtureRequest) -> None:
    """Have an empty database of both engines understand the same files: a schema to be in, and SLEEP."""
    if "empty_database" not in request.fixturenames or request.node.get_closest_marker("engine"):
        return
    database = request.getfixturevalue("empty_database")
    if database.engine == "postgresql":
        database.server.execute(SLEEP, database=database.name)
        return
    database.server.execute("CREATE DATABASE shop")
    connect = database.connect

    def connect_to_shop(user: str = MIGRATOR) -> Any:
        connection = connect(user)
        connection.select_db("shop")
        connection.db = "shop"  # as if it had been connected so
        connection.client_flag |= CLIENT.CONNECT_WITH_DB
        return connection

    database.connect = connect_to_shop


SLEEP = "CREATE FUNCTION sleep(float) RETURNS void LANGUAGE sql AS 'SELECT pg_sleep($1)'"


def write(folder: Path, files: dict[str, str]) -> Path:
    """Put these files into the folder."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def migrate(
    database: Database,
    folder: Path,
    *,
    limits: Limits | None = None,
    allow_late: bool = False,
    said: list[str] | None = None,
) -> Outcome:
    """Apply the folder's files on a connection of their own."""
    with closing(database.migrations(limits or Limits(wait_for_lock_seconds=20))) as session:
        report = [].append if said is None else said.append
        return migrations.apply(session, read_files(folder), report=report, allow_late=allow_late)


def history(database: Database) -> list[tuple[Any, ...]]:
    """What the database says is applied."""
    return database.rows("SELECT name, kind FROM migrations.history ORDER BY installed_as")


def exists(database: Database, relation: str) -> bool:
    """Whether a table, view or index is there."""
    if database.engine == "postgresql":
        return bool(database.value("SELECT to_regclass(%s) IS NOT NULL", (relation,)))
    *schema, name = relation.split(".")
    tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = %s AND table_name = %s"
    return bool(database.value(tables, ((schema or ["shop"])[0], name)))


@contextmanager
def queries(database: Database) -> Iterator[Callable[[], list[str]]]:
    """What the server was sent by the master user since then."""
    server = database.server
    if database.engine == "postgresql":
        log = server.directory / "postgresql.log"
        server.execute(f"ALTER DATABASE {database.name} SET log_statement = 'all'")
        before = log.stat().st_size
        yield lambda: re.findall(r"LOG:  statement: (.*)", log.read_bytes()[before:].decode())
        return
    server.execute("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON")
    logged = (
        "SELECT replace(convert(argument USING utf8mb4), '\n', ' ') FROM mysql.general_log"
        f" WHERE command_type IN ('Query', 'Init DB') AND user_host LIKE '{MIGRATOR}[%'"
        # with which the driver begins
        " AND argument NOT LIKE 'SET NAMES%' AND argument <> 'SET AUTOCOMMIT = 1'"
    )
    try:
        yield lambda: server.execute(logged).splitlines()
    finally:
        server.execute("SET GLOBAL general_log = OFF")
        server.execute("TRUNCATE mysql.general_log")


@contextmanager
def held_lock(database: Database) -> Iterator[int]:
    """A session that holds the migrator's lock; its number."""
    with closing(database.connect("rdsadmin")) as holder, holder.cursor() as cursor:
        if database.engine == "postgresql":
            cursor.execute("SET application_name = 'the holder'; SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
            yield holder.info.backend_pid
        else:
            cursor.execute("SELECT GET_LOCK(%s, 0)", (RUN_LOCK,))
            yield holder.thread_id()


def is_locked(database: Database) -> bool:
    """Whether anybody holds the migrator's lock."""
    if database.engine == "postgresql":
        return bool(database.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))
    locks = database.rows("SELECT IS_USED_LOCK(%s), IS_USED_LOCK(%s)", (RUN_LOCK, WORKER_LOCK))
    return locks != [(None, None)]


def running(database: Database, text: str) -> list[tuple[Any, ...]]:
    """Sessions of the database that execute a statement with this text."""
    if database.engine == "postgresql":
        return database.rows(
            "SELECT pid FROM pg_stat_activity WHERE datname = %s AND state = 'active' AND query LIKE %s"
            " AND pid <> pg_backend_pid()",
            (database.name, f"%{text}%"),
        )
    return database.rows(
        "SELECT id FROM information_schema.processlist WHERE command = 'Query' AND info LIKE %s"
        " AND id <> connection_id()",
        (f"%{text}%",),
    )


def command_line(database: Database, *arguments: str | Path) -> list[str]:
    """The command of a run in a process of its own."""
    if database.engine == "postgresql":
        url = f"postgresql://{MIGRATOR}@/{database.name}?host={database.server.socket_directory}"
        url += f"&port={database.server.port}"
    else:
        login = f"{MIGRATOR}:{quote(MASTER_PASSWORD)}"
        url = (
            f"mysql://{login}@localhost/{database.name}?unix_socket={quote(str(database.server.socket_path))}"
        )
    return [sys.executable, "-m", "apply_schema", *map(str, arguments), "--url", url]


def run(database: Database, *arguments: str | Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run the migrator as people do."""
    return subprocess.run(
        command_line(database, *arguments),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def start(database: Database, *arguments: str | Path) -> subprocess.Popen[str]:
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
