"""The migrator against each client's own session and against a bare connection, beside dbmate and yoyo."""

import compileall
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from rich.console import Console

from bench.bare_mysql import MASTER, MASTER_PASSWORD, BareMysql
from bench.bare_postgresql import SAFE, BarePostgresql
from bench.measuring import PYTHON, Ratio, Samples, command, in_turn, print_samples
from operate.deployment import PROJECT

FILES = 500
NOTHING_TO_DO_LIMIT = 1.5
ROUNDS_PER_RUN = 2  # a disk has its moods, and a round is over in seconds
NOTHING_TO_DO_RUNS = 5  # for each round of the long ones: it is over in no time, and a ratio of such is noisy

RIVALS = PROJECT / "build" / "bench"
OURS, DBMATE, YOYO = "apply_schema", "dbmate", "yoyo"
FLOOR_OF_NOTHING = "Python, driver and connection"

Apply = Callable[[str], None]
"""Brings the database of this name up to date."""


@dataclass(frozen=True)
class Course:
    """What the tools run on, and how each of them is told."""

    engine: str
    statements: str
    client: str
    limit: float
    create_database: Apply
    apply_by_client: Callable[[str, list[Path]], None]
    url: Callable[[str], str]
    """As ours and yoyo take it."""
    dbmate_url: Callable[[str], str]
    connect: Callable[[str], str]
    """The least Python that connects."""
    forget: Callable[[], None]
    """Removes a history that all databases share."""


def measure(console: Console, runs: int) -> list[Ratio]:
    """Return the ratios of 500 files and of nothing to do on both engines, each to its floor there."""
    # as pip does with what it installs, the floors' drivers included
    compileall.compile_dir(PROJECT / "lambda", quiet=1)
    ratios = []
    for course in (_postgresql, _mysql):
        with course() as open_course:
            ratios += _measure(open_course, console, runs * ROUNDS_PER_RUN)
    return ratios


def _measure(course: Course, console: Console, rounds: int) -> list[Ratio]:
    with ExitStack() as cleanup:
        directory = Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
        directory.chmod(0o755)  # psql runs as nobody where this runs as root
        tools = _tools(course, directory)
        things = {name: _on_a_new_database(course, name, apply, rounds) for name, apply in tools.items()}
        # nobody is to wait for what the one before him left to be written
        applied = in_turn(rounds, things, console, before_each=os.sync)
        nothing = _nothing_to_do(course, tools, rounds)
    print_samples(console, f"{course.engine}: {FILES} files of three statements", applied)
    print_samples(console, f"{course.engine}: nothing to do", nothing)
    return [
        *_ratios(f"{course.engine}, {FILES} files", applied, course.client, course.limit),
        *_ratios(f"{course.engine}, nothing to do", nothing, FLOOR_OF_NOTHING, NOTHING_TO_DO_LIMIT),
    ]


def _on_a_new_database(course: Course, name: str, apply: Apply, runs: int) -> Callable[[], None]:
    """Return what applies to another database each time. All are there before: what is timed is the files.

    None is dropped in between: who came next would pay for the removal of thousands of files.
    """
    databases = [_database(name, run) for run in range(runs + 1)]
    for database in databases:
        course.create_database(database)
    left = iter(databases)

    def run() -> None:
        if name == OURS:
            course.forget()
        apply(next(left))

    return run


def _nothing_to_do(course: Course, tools: Mapping[str, Apply], runs: int) -> dict[str, Samples]:
    """Time each tool on the database that it was the last to bring up to date."""

    def again(name: str, apply: Apply) -> Callable[[], None]:
        return lambda: apply(_database(name, runs))

    things = {FLOOR_OF_NOTHING: command(PYTHON, "-c", course.connect(_database(OURS, runs)))}
    things |= {name: again(name, apply) for name, apply in tools.items() if name != course.client}
    return in_turn(runs * NOTHING_TO_DO_RUNS, things, Console(quiet=True))


def _database(name: str, run: int) -> str:
    return f"{name.split(',', maxsplit=1)[0]}_{run}"


def _tools(course: Course, directory: Path) -> dict[str, Apply]:
    """Return the client, ours and its rivals, each with the same statements in files as it wants them."""
    folders = {name: directory / name for name in (OURS, DBMATE, YOYO)}
    for folder in folders.values():
        folder.mkdir()
    for n in range(1, FILES + 1):
        statements = course.statements.replace("{n}", str(n))
        (folders[OURS] / f"V{n:04}__table.sql").write_text(statements)
        (folders[DBMATE] / f"{n:04}_table.sql").write_text(f"-- migrate:up\n{statements}-- migrate:down\n")
        (folders[YOYO] / f"{n:04}_table.sql").write_text(statements)
    files = sorted(folders[OURS].iterdir())

    def ours(database: str) -> None:
        command(
            *(PYTHON, "-m", "apply_schema", "apply", "--url", course.url(database)),
            *("--directory", str(folders[OURS])),
            environment={"PYTHONPATH": str(PROJECT / "lambda")},
        )()

    def dbmate(database: str) -> None:
        folder, url = str(folders[DBMATE]), course.dbmate_url(database)
        command(str(_dbmate()), "--url", url, "--migrations-dir", folder, "--no-dump-schema", "migrate")()

    def yoyo(database: str) -> None:
        command(
            *(PYTHON, "-m", "yoyo", "apply", "--batch", "--no-config-file"),
            *("--database", course.url(database), str(folders[YOYO])),
            environment={"PYTHONPATH": str(RIVALS / "python")},
        )()

    return {
        course.client: lambda database: course.apply_by_client(database, files),
        OURS: ours,
        DBMATE: dbmate,
        YOYO: yoyo,
    }


def _dbmate() -> Path:
    """The binary itself: the package's command would be a Node program around it."""
    found = list((RIVALS / "node_modules" / "@dbmate").glob("*/bin/dbmate"))
    if not found:
        raise RuntimeError(f"dbmate is not in {RIVALS}: run this by `make bench`, which installs it")
    return found[0]


def _ratios(what: str, samples: dict[str, Samples], floor: str, limit: float) -> list[Ratio]:
    return [
        Ratio(f"{what}: {name}", each.median, samples[floor].median, limit if name == OURS else None)
        for name, each in samples.items()
        if name != floor
    ]


@contextmanager
def _postgresql() -> Iterator[Course]:
    server = BarePostgresql(SAFE)
    try:
        server.start_writer()
        socket, port = server.place

        def url(database: str) -> str:
            return f"postgresql://postgres@/{database}?host={socket}&port={port}"

        yield Course(
            engine="PostgreSQL",
            statements=(
                "CREATE TABLE table_{n}"
                " (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);\n"
                "CREATE INDEX table_{n}_name ON table_{n} (name);\n"
                "INSERT INTO table_{n} (name) SELECT 'name ' || n FROM generate_series(1, 10) AS n;\n"
            ),
            client="psql, one session",
            limit=1.0,
            create_database=server.create_database,
            apply_by_client=server.apply,
            url=url,
            dbmate_url=lambda name: f"postgres://postgres@:{port}/{name}?socket={socket}&sslmode=disable",
            connect=lambda name: f"import psycopg2; psycopg2.connect({url(name)!r}).close()",
            forget=lambda: None,
        )
    finally:
        server.remove()


@contextmanager
def _mysql() -> Iterator[Course]:
    server = BareMysql()
    login, socket = f"{MASTER}:{quote(MASTER_PASSWORD)}", server.socket
    options = {"unix_socket": str(socket), "user": MASTER, "password": MASTER_PASSWORD, "ssl_disabled": True}
    rows = ", ".join(f"('name {n}')" for n in range(1, 11))
    try:
        yield Course(
            engine="MySQL",
            statements=(
                "CREATE TABLE table_{n} (id bigint AUTO_INCREMENT PRIMARY KEY, name varchar(100) NOT NULL);\n"
                "CREATE INDEX table_{n}_name ON table_{n} (name);\n"
                f"INSERT INTO table_{{n}} (name) VALUES {rows};\n"
            ),
            client="mysql, one session",
            limit=1.25,
            create_database=lambda name: server.run(f"CREATE DATABASE {name}".encode()),
            apply_by_client=lambda name, files: server.apply(files, database=name),
            url=lambda name: f"mysql://{login}@localhost/{name}?unix_socket={socket}",
            dbmate_url=lambda name: f"mysql://{login}@:3306/{name}?socket={socket}",
            connect=lambda name: f"import pymysql; pymysql.connect(database={name!r}, **{options!r}).close()",
            forget=lambda: server.run(b"DROP DATABASE IF EXISTS migrations"),
        )
    finally:
        server.remove()
