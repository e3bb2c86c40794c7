"""Databases to load into, and the two ways to load them: the engine's own client and ours."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import psycopg2
import pymysql
from psycopg2.extensions import connection as Connection  # noqa: N812 - the driver's class, by a class's name
from pymysql.cursors import SSCursor

from aurora.row_text import row
from bench.bare_mysql import BareMysql
from bench.bare_postgresql import MAJOR, SAFE, BarePostgresql
from bench.measuring import PYTHON
from localcloud.aurora.mysql_first_accounts import SUPERUSER
from localcloud.aurora.postgresql_programs import Programs
from operate.deployment import PROJECT

# What a file brings, in the order in which the keys allow it. Products of the smoke test are there already.
ROWS_OF = {
    "customers": "SELECT * FROM shop.customers",
    "products": "SELECT * FROM shop.products WHERE stock_code NOT LIKE 'SMOKE-TEST-%'",
    "loads": "SELECT * FROM shop.loads",
    "rejects": "SELECT * FROM shop.rejects",
    "orders": "SELECT * FROM shop.orders",
    "order_lines": "SELECT * FROM shop.order_lines",
}


class Shop(Protocol):
    """A server that waits for its disk, with one database: the schema, and no invoices after `start_over`."""

    url: str
    """Where the loader loads."""
    pandas_url: str
    """The same for SQLAlchemy, as the superuser."""

    def start_over(self) -> None:
        """Empty it: keys and triggers as the migrations made them, and not one invoice."""

    def write_rows(self, directory: Path) -> dict[str, Path]:
        """Write what was loaded to files as the client reads them, by table."""

    def copy(self, files: Mapping[str, Path]) -> None:
        """Have the engine's own client copy files into their tables, whose keys stay."""

    def other_floors(self) -> Mapping[str, Callable[[Mapping[str, Path]], None]]:
        """Return other ways to do the same, to be measured beside."""

    def remove(self) -> None:
        """End the server, and leave nothing."""


class PostgresqlShop:
    """A Shop on PostgreSQL, copied from a template."""

    _migrated, _name = "postgres", "shop"

    def __init__(self) -> None:
        self._server = BarePostgresql(SAFE)
        self._server.start_writer()
        self._server.apply_migrations()
        directory, port = self._server.place
        self.url = f"postgresql://shop_loader@/{self._name}?host={directory}&port={port}"
        self.pandas_url = f"postgresql+psycopg2://postgres@/{self._name}?host={directory}&port={port}"

    def start_over(self) -> None:
        """By a copy of the migrated database."""
        with _autocommit(self._dsn("template1")) as connection:
            cursor = connection.cursor()
            cursor.execute(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")
            cursor.execute(f"CREATE DATABASE {self._name} TEMPLATE {self._migrated}")

    def write_rows(self, directory: Path) -> dict[str, Path]:
        """By COPY."""
        files = {table: directory / f"{table}.tsv" for table in ROWS_OF}
        with closing(psycopg2.connect(self._dsn(self._name))) as connection:
            for table, path in files.items():
                with path.open("wb") as file:
                    connection.cursor().copy_expert(f"COPY ({ROWS_OF[table]}) TO STDOUT", file)
        return files

    def copy(self, files: Mapping[str, Path]) -> None:
        r"""By psql's \copy. The triggers of order_lines are off, for the loader takes them off too."""
        statements = ["ALTER TABLE shop.order_lines DISABLE TRIGGER USER"]
        statements += [f"\\copy shop.{table} from '{file}'" for table, file in files.items()]
        psql = [Programs.find(MAJOR).path("psql"), "-q", "-X", "-w", "-v", "ON_ERROR_STOP=1"]
        words = [word for statement in statements for word in ("-c", statement)]
        subprocess.run([*psql, "-d", self._dsn(self._name), *words], check=True)

    def other_floors(self) -> Mapping[str, Callable[[Mapping[str, Path]], None]]:
        """Return none."""
        return {}

    def remove(self) -> None:
        """End the server."""
        self._server.remove()

    def _dsn(self, name: str) -> str:
        directory, port = self._server.place
        return f"host={directory} port={port} dbname={name} user=postgres"


class MysqlShop:
    """A Shop on MySQL, made anew each time: a schema has one name."""

    def __init__(self) -> None:
        self._server = BareMysql()
        socket = self._server.socket
        self.url = f"mysql://shop_loader@localhost/shop?unix_socket={socket}"
        self.pandas_url = f"mysql+pymysql://{SUPERUSER}@localhost/shop?unix_socket={socket}"

    def start_over(self) -> None:
        """By the migrations."""
        self._server.run(b"DROP DATABASE IF EXISTS shop")
        self._server.apply_migrations()

    def write_rows(self, directory: Path) -> dict[str, Path]:
        """By a client of ours: mysql's own prints for people."""
        files = {table: directory / f"{table}.mysql.tsv" for table in ROWS_OF}
        with closing(
            pymysql.connect(
                unix_socket=str(self._server.socket), user=SUPERUSER, cursorclass=SSCursor, charset="utf8mb4"
            )
        ) as connection:
            for table, path in files.items():
                cursor = connection.cursor()
                cursor.execute(ROWS_OF[table])
                with path.open("w", encoding="utf-8", newline="") as file:
                    file.writelines(row(*map(_text, values)) for values in cursor)
        return files

    def copy(self, files: Mapping[str, Path]) -> None:
        """By LOAD DATA LOCAL of the mysql client.

        The trigger of order_lines is there, as in a load of ours, and told that totals are taken care of.
        """
        self._load(files, "SET @shop_totals_by_load = 1")

    def other_floors(self) -> Mapping[str, Callable[[Mapping[str, Path]], None]]:
        """Without the trigger. A load cannot take it off: that would commit, and others would miss it."""
        drop = "DROP TRIGGER shop.order_totals_after_insert"
        return {"the same, trigger dropped": lambda files: self._load(files, drop)}

    def remove(self) -> None:
        """End the server."""
        self._server.remove()

    def _load(self, files: Mapping[str, Path], before: str) -> None:
        loads = [f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE shop.{table}" for table, file in files.items()]
        script = "".join(f"{statement};\n" for statement in [before, *loads]).encode()
        self._server.run(script, database="shop", options=("--local-infile=1",))


def _text(value: object) -> str | None:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return None if value is None else str(value)


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
        words = [*self.arguments, "--database", self.shop.url]
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
