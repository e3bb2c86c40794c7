"""The migrator against the client's own session and against a bare connection, beside dbmate and yoyo."""

import compileall
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
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
NOTHING_TO_DO_RUNS = 10  # for each run of the long ones: it is over in no time, and a ratio of such is noisy

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
        psql = sorted((directory / OURS).iterdir())
        applying: dict[str, Callable[[], None]] = {
            FLOOR_OF_FILES: lambda: server.apply("psql", psql),
            **{tool.name: tool.apply for tool in tools},
        }

        def start_over() -> None:
            for name in ("psql", *(tool.database for tool in tools)):
                server.new_database(name)

        start_over()
        applied = in_turn(runs, applying, console, after_each_round=start_over)
        nothing = _nothing_to_do(runs, tools)
    print_samples(console, f"{FILES} files of three statements", applied)
    print_samples(console, "Nothing to do", nothing)
    return [
        *_ratios(f"{FILES} files", applied, FLOOR_OF_FILES, APPLY_LIMIT),
        *_ratios("nothing to do", nothing, FLOOR_OF_NOTHING, NOTHING_TO_DO_LIMIT),
    ]


@dataclass(frozen=True)
class Tool:
    """A migrator: the database that is its own in this run, and what applies the files to it."""

    name: str
    database: str
    url: str
    apply: Callable[[], None]


def _nothing_to_do(runs: int, tools: list[Tool]) -> dict[str, Samples]:
    ours = tools[0]
    connect = f"import psycopg2; psycopg2.connect({ours.url!r}).close()"
    things = {FLOOR_OF_NOTHING: command(PYTHON, "-c", connect)}
    for tool in tools:
        tool.apply()
        things[tool.name] = tool.apply
    return in_turn(runs * NOTHING_TO_DO_RUNS, things, Console(quiet=True))


def _tools(server: BarePostgresql, directory: Path) -> list[Tool]:
    """Return ours and its rivals, each with the same statements in files as it wants them."""
    socket, port = server.place
    folders = {name: directory / name for name in (OURS, DBMATE, YOYO)}
    for folder in folders.values():
        folder.mkdir()
    for n in range(1, FILES + 1):
        statements = STATEMENTS.replace("{n}", str(n))
        (folders[OURS] / f"V{n:04}__table.sql").write_text(statements)
        (folders[DBMATE] / f"{n:04}_table.sql").write_text(f"-- migrate:up\n{statements}-- migrate:down\n")
        (folders[YOYO] / f"{n:04}_table.sql").write_text(statements)
    libpq = f"?host={socket}&port={port}"
    urls = {
        OURS: f"postgresql://postgres@/ours{libpq}",
        DBMATE: f"postgres://postgres@:{port}/dbmate?socket={socket}&sslmode=disable",
        YOYO: f"postgresql://postgres@/yoyo{libpq}",
    }
    places = {name: str(folder) for name, folder in folders.items()}
    commands = {
        OURS: command(
            *(PYTHON, "-m", "apply_schema", "apply", "--url", urls[OURS], "--directory", places[OURS]),
            environment={"PYTHONPATH": str(PROJECT / "lambda")},
        ),
        DBMATE: command(
            *(str(_dbmate()), "--url", urls[DBMATE], "--migrations-dir", places[DBMATE]),
            *("--no-dump-schema", "migrate"),
        ),
        YOYO: command(
            *(PYTHON, "-m", "yoyo", "apply", "--batch", "--no-config-file", "--database", urls[YOYO]),
            places[YOYO],
            environment={"PYTHONPATH": str(RIVALS / "python")},
        ),
    }
    databases = {OURS: "ours", DBMATE: "dbmate", YOYO: "yoyo"}
    return [Tool(name, databases[name], urls[name], commands[name]) for name in commands]


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
