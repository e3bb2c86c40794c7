"""Databases to load into, and the two ways to load them: psql and ours."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - the driver's class, by a class's name

from bench.bare_postgresql import MAJOR, BarePostgresql
from bench.measuring import PYTHON
from localcloud.aurora.postgresql_programs import Programs
from operate.deployment import PROJECT

MIGRATED = "postgres"  # the database that others are copied from
# What a file brings, in the order in which the keys allow it. Products of the smoke test are there already.
ROWS_OF = {
    "customers": "SELECT * FROM shop.customers",
    "products": "SELECT * FROM shop.products WHERE stock_code NOT LIKE 'SMOKE-TEST-%'",
    "loads": "SELECT * FROM shop.loads",
    "rejects": "SELECT * FROM shop.rejects",
    "orders": "SELECT * FROM shop.orders",
    "order_lines": "SELECT * FROM shop.order_lines",
}


@dataclass(frozen=True)
class Shop:
    """A database of the server, with the schema and no invoices after `start_over`."""

    server: BarePostgresql
    name: str

    @property
    def dsn(self) -> str:
        """Where it is, for drivers and clients."""
        directory, port = self.server.place
        return f"host={directory} port={port} dbname={self.name}"

    def start_over(self) -> None:
        """Empty it: keys and triggers as the migrations made them, and not one invoice."""
        with _autocommit(f"{Shop(self.server, 'template1').dsn} user=postgres") as connection:
            cursor = connection.cursor()
            cursor.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
            cursor.execute(f"CREATE DATABASE {self.name} TEMPLATE {MIGRATED}")

    def take_triggers_off(self) -> None:
        """Leave order_lines its keys alone."""
        with _autocommit(f"{self.dsn} user=postgres") as connection:
            connection.cursor().execute("ALTER TABLE shop.order_lines DISABLE TRIGGER USER")

    def write_rows(self, directory: Path) -> dict[str, Path]:
        """Write what was loaded to files as COPY reads them, by table."""
        files = {table: directory / f"{table}.tsv" for table in ROWS_OF}
        with closing(psycopg2.connect(self.dsn, user="postgres")) as connection:
            for table, path in files.items():
                with path.open("wb") as file:
                    connection.cursor().copy_expert(f"COPY ({ROWS_OF[table]}) TO STDOUT", file)
        return files

    def copy(self, files: Mapping[str, Path]) -> None:
        """Have psql copy files into their tables."""
        copies = [
            word for table, file in files.items() for word in ("-c", f"\\copy shop.{table} from '{file}'")
        ]
        psql = [Programs.find(MAJOR).path("psql"), "-q", "-X", "-w", "-v", "ON_ERROR_STOP=1"]
        subprocess.run([*psql, "-d", f"{self.dsn} user=postgres", *copies], check=True)


# VmHWM is this program's alone; getrusage's maximum has the parent's memory in it, from before the exec.
LOAD_AND_TELL_PEAK = """
import re, sys
from seed_data.__main__ import main
code = main(sys.argv[1:])
with open("/proc/self/status") as status:
    print(re.search("VmHWM:.* ([0-9]+) kB", status.read())[1])
sys.exit(code)
"""


@dataclass
class Loader:
    """The loader's command line, as a user starts it."""

    shop: Shop
    arguments: tuple[str, ...]
    peak_megabytes: float = 0.0
    """The most memory that any run has needed so far."""

    def __call__(self) -> None:
        """Load what the arguments name."""
        words = [*self.arguments, "--database", f"{self.shop.dsn} user=shop_loader"]
        done = subprocess.run(
            [PYTHON, "-c", LOAD_AND_TELL_PEAK, *words],
            cwd=PROJECT / "lambda",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"seed_data {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
        self.peak_megabytes = max(self.peak_megabytes, int(done.stdout.split()[-1]) / 1024)


@contextmanager
def _autocommit(dsn: str) -> Iterator[Connection]:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        yield connection
