"""One database server per engine and test process, and what a test may ask of a database on it."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg2
import pymysql

from apply_schema.migration_files import read_files
from apply_schema.migrations import apply as migrate
from aurora.mysql import MysqlSession, open_connection
from aurora.mysql_migrations import MysqlMigrations
from aurora.postgresql import PostgresqlSession
from aurora.postgresql_migrations import Limits, PostgresqlMigrations
from aurora.session import Session
from localcloud.aurora.mysql_server import MysqlServer
from localcloud.aurora.postgresql_server import PostgresqlServer

MAJOR = int(os.environ.get("POSTGRESQL_MAJOR", "16"))
"""Of PostgreSQL; with another one, `POSTGRESQL_MAJOR=18 make test TESTS=tests/database` shows it on that."""
MASTER = "shop_admin"
MASTER_PASSWORD = "of a test server that lives for minutes"
SUPERUSER = "rdsadmin"
SCHEMAS = Path(__file__).parents[2] / "schema"

Server = PostgresqlServer | MysqlServer


class Database(Protocol):
    """One database of the test server, and connections to it that end with the test.

    Connections use the private socket, without TLS and without a password: what is tested lies behind the
    login.
    """

    engine: str
    name: str
    server: Any

    def connect(self, user: str = MASTER) -> Any:
        """Return the driver's own connection, as it comes: psycopg2 begins a transaction by itself."""

    def session(self, user: str = "shop_application") -> Session:
        """Return a session of any role's."""

    def superuser(self) -> Any:
        """Connect as the server's own superuser, who can corrupt what nobody else can; autocommit."""

    def rows(self, statement: str, parameters: Any = None, *, user: str = SUPERUSER) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own and return its rows."""

    def value(self, statement: str, parameters: Any = None, *, user: str = SUPERUSER) -> Any:
        """Run one statement and return its only value."""

    def migrations(self, limits: Limits | None = None) -> Any:
        """Return the migrator's own view, on a connection of the master user's."""

    def close(self) -> None:
        """End all connections."""


class ServerUnderTest(Protocol):
    """A running server, and databases on it."""

    engine: str
    server: Any

    def empty_database(self) -> Iterator[Database]:
        """Yield a database of the master user's in which nothing was migrated yet, and drop it."""

    def migrated_database(self) -> Iterator[Database]:
        """Yield a database with all migrations applied and nothing else in it, and drop it."""

    def stop(self) -> None:
        """End it."""


@contextmanager
def running(engine: str) -> Iterator[ServerUnderTest]:
    """Run a server with Aurora's roles and the master user; durable settings are off, as locally."""
    with tempfile.TemporaryDirectory(prefix="shop-test-") as directory:
        Path(directory).chmod(0o711)  # the server runs as nobody where the tests run as root
        server = _SERVERS[engine](Path(directory) / "writer")
        try:
            yield server
        finally:
            server.stop()


def apply_migrations(database: Database) -> None:
    """Apply every file as the deployment's own migrator does."""
    with closing(database.migrations()) as migrations:
        migrate(migrations, read_files(SCHEMAS / database.engine), report=lambda _line: None)


class _Connections:
    """What both engines' databases do with connections."""

    def __init__(self) -> None:
        self._open: list[Any] = []

    def value(self, statement: str, parameters: Any = None, *, user: str = SUPERUSER) -> Any:
        ((value,),) = self.rows(statement, parameters, user=user)
        return value

    def rows(self, statement: str, parameters: Any = None, *, user: str = SUPERUSER) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    def close(self) -> None:
        for connection in self._open:
            connection.close()


# --- PostgreSQL

_numbers = itertools.count(1)


class PostgresqlDatabase(_Connections):
    """A Database of its own on the server."""

    engine = "postgresql"

    def __init__(self, server: PostgresqlServer, name: str) -> None:
        super().__init__()
        self.server = server
        self.name = name

    def connect(self, user: str = MASTER) -> Any:
        connection = psycopg2.connect(
            host=str(self.server.socket_directory),
            port=self.server.port,
            user=user,
            dbname=self.name,
            connect_timeout=10,
        )
        self._open.append(connection)
        return connection

    def session(self, user: str = "shop_application") -> Session:
        return PostgresqlSession(self.connect(user))

    def superuser(self) -> Any:
        connection = self.connect(SUPERUSER)
        connection.autocommit = True
        return connection

    def rows(self, statement: str, parameters: Any = None, *, user: str = SUPERUSER) -> list[tuple[Any, ...]]:
        with closing(self.connect(user)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def migrations(self, limits: Limits | None = None) -> Any:
        return PostgresqlMigrations(self.connect(), limits or Limits())


class _PostgresqlServerUnderTest:
    """Migrating once and copying is what makes a database per test cheap."""

    engine = "postgresql"

    def __init__(self, directory: Path) -> None:
        self.server = PostgresqlServer.initialize(
            directory,
            major=MAJOR,
            master_user=MASTER,
            master_password=MASTER_PASSWORD,
            database=None,
            parameters={},
        )
        self._template: str | None = None

    def empty_database(self) -> Iterator[PostgresqlDatabase]:
        yield from self._created(template="template0")

    def migrated_database(self) -> Iterator[PostgresqlDatabase]:
        if self._template is None:
            self._template = "migrated_template"
            self.server.execute(f'CREATE DATABASE "{self._template}" OWNER {MASTER}')
            with closing(PostgresqlDatabase(self.server, self._template)) as migrated:
                apply_migrations(migrated)
        yield from self._created(template=self._template)

    def stop(self) -> None:
        self.server.stop(mode="immediate")

    def _created(self, *, template: str) -> Iterator[PostgresqlDatabase]:
        database = PostgresqlDatabase(self.server, f"test_{next(_numbers)}")
        self.server.execute(f'CREATE DATABASE "{database.name}" TEMPLATE "{template}" OWNER {MASTER}')
        try:
            yield database
        finally:
            database.close()
            self.server.execute(f'DROP DATABASE "{database.name}" WITH (FORCE)')


# --- MySQL


class MysqlDatabase(_Connections):
    """The server's only database: its schemas shop and migrations, which their names would let collide."""

    engine = "mysql"
    name = "shop"

    def __init__(self, server: MysqlServer) -> None:
        super().__init__()
        self.server = server

    def connect(self, user: str = MASTER) -> Any:
        connection = open_connection(
            unix_socket=str(self.server.socket_path),
            user=user,
            password=MASTER_PASSWORD if user == MASTER else "",
            timeout_seconds=10,
        )
        self._open.append(connection)
        return connection

    def session(self, user: str = "shop_application") -> Session:
        return MysqlSession(self.connect(user))

    def superuser(self) -> Any:
        return self.connect(SUPERUSER)

    def rows(self, statement: str, parameters: Any = None, *, user: str = SUPERUSER) -> list[tuple[Any, ...]]:
        with closing(self.connect(user)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return list(cursor.fetchall())

    def migrations(self, limits: Limits | None = None) -> Any:
        return MysqlMigrations(self.connect(), limits or Limits())

    def close(self) -> None:
        for connection in self._open:
            if connection.open:
                connection._force_close()  # without a goodbye, which a killed server would not hear


class _MysqlServerUnderTest:
    """Schemas and accounts belong to a server, so each has one database at a time: a second one gets another.

    Each test begins without schemas and accounts.
    """

    engine = "mysql"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._all: list[MysqlServer] = []
        self._idle = [self._start()]

    @property
    def server(self) -> MysqlServer:
        """The one that is used where none is in use yet."""
        return self._all[0]

    def empty_database(self) -> Iterator[MysqlDatabase]:
        with self._database() as database:
            yield database

    def migrated_database(self) -> Iterator[MysqlDatabase]:
        with self._database() as database:
            apply_migrations(database)
            yield database

    def stop(self) -> None:
        for server in self._all:
            server.kill()

    @contextmanager
    def _database(self) -> Iterator[MysqlDatabase]:
        if not self._idle:
            self._idle.append(self._start())
        server = self._idle.pop()
        database = MysqlDatabase(server)
        try:
            yield database
        finally:
            database.close()
            _empty(server)
            self._idle.append(server)

    def _start(self) -> MysqlServer:
        server = MysqlServer.initialize(
            self._directory.with_name(f"mysql-{len(self._all)}"),
            master_user=MASTER,
            master_password=MASTER_PASSWORD,
            parameters=_MYSQL_PARAMETERS,
        )
        self._all.append(server)
        return server


def _empty(server: MysqlServer) -> None:
    """Drop every schema and account that is not the server's own."""
    with closing(pymysql.connect(unix_socket=str(server.socket_path), user=SUPERUSER)) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT id FROM information_schema.processlist"
            " WHERE id <> connection_id() AND user NOT IN ('system user', 'event_scheduler')"
            " AND command NOT LIKE 'Binlog Dump%'"
        )
        for (session,) in cursor.fetchall():
            _unless_gone(cursor, f"KILL {session}")
        cursor.execute(
            "SELECT schema_name FROM information_schema.schemata"
            " WHERE schema_name NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')"
        )
        for (schema,) in cursor.fetchall():
            cursor.execute(f"DROP DATABASE `{schema}`")
        cursor.execute(
            "SELECT user, host FROM mysql.user WHERE user LIKE 'shop\\_%%' AND user <> %s", (MASTER,)
        )
        for account in cursor.fetchall():
            cursor.execute("DROP USER %s@%s", account)


def _unless_gone(cursor: Any, kill: str) -> None:
    try:
        cursor.execute(kill)
    except pymysql.OperationalError as error:
        if error.args[0] != 1094:  # no such session any more
            raise


# Of the parameter group, what the migrations depend on.
_MYSQL_PARAMETERS = {"log_bin_trust_function_creators": "1"}

_SERVERS: dict[str, Any] = {"postgresql": _PostgresqlServerUnderTest, "mysql": _MysqlServerUnderTest}
