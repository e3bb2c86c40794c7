"""Real databases for the tests: one PostgreSQL per test process, a fresh database per test."""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import extensions

from apply_schema.migration_files import read_files
from apply_schema.migrations import apply as migrate
from aurora.postgresql_migrations import Limits, PostgresqlMigrations
from localcloud.aurora.postgresql_server import PostgresqlServer

MAJOR = 16
MASTER = "shop_admin"
MASTER_PASSWORD = "of a test server that lives for minutes"
MIGRATIONS = Path(__file__).parents[2] / "schema" / "postgresql"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A writer with Aurora's roles and the master user; durable settings are off, as locally."""
    with tempfile.TemporaryDirectory(prefix="shop-test-") as directory:
        Path(directory).chmod(0o711)  # the server runs as nobody where the tests run as root
        server = PostgresqlServer.initialize(
            Path(directory) / "writer",
            major=MAJOR,
            master_user=MASTER,
            master_password=MASTER_PASSWORD,
            database=None,
            parameters={},
        )
        try:
            yield server
        finally:
            server.stop(mode="immediate")


@dataclass
class Database:
    """One database of the test server, and connections to it that end with the test."""

    server: PostgresqlServer
    name: str
    _open: list[extensions.connection] = field(default_factory=list)

    def connect(self, user: str = MASTER) -> extensions.connection:
        """Connect as any role, without TLS and without a password: what is tested lies behind the login."""
        connection = psycopg2.connect(
            host=str(self.server.socket_directory),
            port=self.server.port,
            user=user,
            dbname=self.name,
            connect_timeout=10,
        )
        self._open.append(connection)
        return connection

    def superuser(self) -> extensions.connection:
        """Connect as the server's own superuser, who can corrupt what nobody else can."""
        connection = self.connect("rdsadmin")
        connection.autocommit = True
        return connection

    def rows(self, statement: str, parameters: object = None, *, user: str = "rdsadmin") -> list[tuple]:
        """Run one statement in a transaction of its own and return its rows."""
        with closing(self.connect(user)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def value(self, statement: str, parameters: object = None, *, user: str = "rdsadmin") -> object:
        """Run one statement and return its only value."""
        ((value,),) = self.rows(statement, parameters, user=user)
        return value

    def close(self) -> None:
        for connection in self._open:
            connection.close()


_numbers = itertools.count(1)


@pytest.fixture
def empty_database(postgresql_server: PostgresqlServer) -> Iterator[Database]:
    """A database of the master user's in which nothing was migrated yet."""
    yield from _created(postgresql_server, template="template0")


@pytest.fixture
def migrated_database(empty_database: Database) -> Database:
    """A database that the migrations ran in themselves: a copy lacks the database's own privileges."""
    apply_migrations(empty_database.connect())
    return empty_database


@pytest.fixture(scope="module")
def shared_database(postgresql_server: PostgresqlServer, migrated_template: str) -> Iterator[Database]:
    """A migrated database for the tests of one file, which leave it as they found it."""
    yield from _created(postgresql_server, template=migrated_template)


@pytest.fixture
def database(postgresql_server: PostgresqlServer, migrated_template: str) -> Iterator[Database]:
    """A database with all migrations applied and nothing else in it."""
    yield from _created(postgresql_server, template=migrated_template)


@pytest.fixture(scope="session")
def migrated_template(postgresql_server: PostgresqlServer) -> str:
    """Name of a database to copy: migrating once and copying is what makes a database per test cheap."""
    name = "migrated_template"
    postgresql_server.execute(f'CREATE DATABASE "{name}" OWNER {MASTER}')
    migrated = Database(postgresql_server, name)
    apply_migrations(migrated.connect())
    migrated.close()
    return name


def apply_migrations(connection: extensions.connection) -> None:
    """Apply every file as the deployment's own migrator does."""
    migrate(PostgresqlMigrations(connection, Limits()), read_files(MIGRATIONS), report=lambda _line: None)


def _created(server: PostgresqlServer, *, template: str) -> Iterator[Database]:
    database = Database(server, f"test_{next(_numbers)}")
    server.execute(f'CREATE DATABASE "{database.name}" TEMPLATE "{template}" OWNER {MASTER}')
    try:
        yield database
    finally:
        database.close()
        server.execute(f'DROP DATABASE "{database.name}" WITH (FORCE)')
