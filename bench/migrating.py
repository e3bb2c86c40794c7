"""The migrator against the client's own session and against a bare connection, beside dbmate and yoyo."""

import compileall
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from bench.bare_postgresql import SAFE, BarePostgresql
from bench.measuring import PYTHON, Ratio, Samples, command, in_turn, print_samples
from operate.deployment import PROJECT

FILES = 500
STATEMENTS = """\
CREATE TABLE table_{n} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
CREATE INDEX table_{n}_name ON table_{n} (name);
INSERT INTO table_{n} (name) SELECT 'name ' || n FROM generate_series(1, 10) AS n;
"""
APPLY_LIMIT = 1.0
NOTHING_TO_DO_LIMIT = 1.5
ROUNDS_PER_RUN = 2  # a disk has its moods, and a round is over in seconds
NOTHING_TO_DO_RUNS = 5  # for each round of the long ones: it is over in no time, and a ratio of such is noisy

RIVALS = PROJECT / "build" / "bench"
OURS, DBMATE, YOYO = "apply_schema", "dbmate", "yoyo"
FLOOR_OF_FILES, FLOOR_OF_NOTHING = "psql, one session", "Python, driver and connection"


def measure(console: Console, runs: int) -> list[Ratio]:
    """Return the ratios of 500 files and of nothing to do, each to its floor on the same server."""
    # as pip does with what it installs, the floor's driver included
    compileall.compile_dir(PROJECT / "lambda", quiet=1)
    with ExitStack() as cleanup:
        server = cleanup.enter_context(_durable_server())
        directory = Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
        directory.chmod(0o755)  # psql runs as nobody where this runs as root
        tools = _tools(server, directory)
        rounds = runs * ROUNDS_PER_RUN
        things = {name: _on_a_new_database(server, name, apply, rounds) for name, apply in tools.items()}
        # nobody is to wait for what the one before him left to be written
        applied = in_turn(rounds, things, console, before_each=os.sync)
        nothing = _nothing_to_do(server, tools, rounds)
    print_samples(console, f"{FILES} files of three statements", applied)
    print_samples(console, "Nothing to do", nothing)
    return [
        *_ratios(f"{FILES} files", applied, FLOOR_OF_FILES, APPLY_LIMIT),
        *_ratios("nothing to do", nothing, FLOOR_OF_NOTHING, NOTHING_TO_DO_LIMIT),
    ]


Apply = Callable[[str], None]
"""Brings the database of this name up to date."""


def _on_a_new_database(server: BarePostgresql, name: str, apply: Apply, runs: int) -> Callable[[], None]:
    """Return what applies to another database each time. All are there before: what is timed is the files.

    None is dropped in between: who came next would pay for the removal of thousands of files.
    """
    databases = [_database(name, run) for run in range(runs + 1)]
    for database in databases:
        server.create_database(database)
    left = iter(databases)
    return lambda: apply(next(left))


def _nothing_to_do(server: BarePostgresql, tools: Mapping[str, Apply], runs: int) -> dict[str, Samples]:
    """Time each tool on the database that it was the last to bring up to date."""

    def again(name: str, apply: Apply) -> Callable[[], None]:
        return lambda: apply(_database(name, runs))

    connect = f"import psycopg2; psycopg2.connect({_libpq_url(server, _database(OURS, runs))!r}).close()"
    things = {FLOOR_OF_NOTHING: command(PYTHON, "-c", connect)}
    things |= {name: again(name, apply) for name, apply in tools.items() if name != FLOOR_OF_FILES}
    return in_turn(runs * NOTHING_TO_DO_RUNS, things, Console(quiet=True))


def _database(name: str, run: int) -> str:
    return f"{name.split(',', maxsplit=1)[0]}_{run}"


def _tools(server: BarePostgresql, directory: Path) -> dict[str, Apply]:
    """Return psql, ours and its rivals, each with the same statements in files as it wants them."""
    socket, port = server.place
    folders = {name: directory / name for name in (OURS, DBMATE, YOYO)}
    for folder in folders.values():
        folder.mkdir()
    for n in range(1, FILES + 1):
        statements = STATEMENTS.replace("{n}", str(n))
        (folders[OURS] / f"V{n:04}__table.sql").write_text(statements)
        (folders[DBMATE] / f"{n:04}_table.sql").write_text(f"-- migrate:up\n{statements}-- migrate:down\n")
        (folders[YOYO] / f"{n:04}_table.sql").write_text(statements)
    files = sorted(folders[OURS].iterdir())

    def ours(database: str) -> None:
        command(
            *(PYTHON, "-m", "apply_schema", "apply", "--url", _libpq_url(server, database)),
            *("--directory", str(folders[OURS])),
            environment={"PYTHONPATH": str(PROJECT / "lambda")},
        )()

    def dbmate(database: str) -> None:
        url = f"postgres://postgres@:{port}/{database}?socket={socket}&sslmode=disable"
        folder = str(folders[DBMATE])
        command(str(_dbmate()), "--url", url, "--migrations-dir", folder, "--no-dump-schema", "migrate")()

    def yoyo(database: str) -> None:
        command(
            *(PYTHON, "-m", "yoyo", "apply", "--batch", "--no-config-file"),
            *("--database", _libpq_url(server, database), str(folders[YOYO])),
            environment={"PYTHONPATH": str(RIVALS / "python")},
        )()

    return {
        FLOOR_OF_FILES: lambda database: server.apply(database, files),
        OURS: ours,
        DBMATE: dbmate,
        YOYO: yoyo,
    }


def _libpq_url(server: BarePostgresql, database: str) -> str:
    socket, port = server.place
    return f"postgresql://postgres@/{database}?host={socket}&port={port}"


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
def _durable_server() -> Iterator[BarePostgresql]:
    server = BarePostgresql(SAFE)
    try:
        server.start_writer()
        yield server
    finally:
        server.remove()
