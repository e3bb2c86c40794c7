"""Where it is shown: a durable writer and its reader, with a shop on both."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pymysql

from acid.load import WAREHOUSE_ID
from acid.network import Network
from apply_schema.migration_files import read_files
from apply_schema.migrations import apply
from aurora.deadline import Deadline
from aurora.failures import Unavailable
from aurora.mysql import MysqlSession, open_connection
from aurora.mysql_migrations import MysqlMigrations
from aurora.postgresql import PostgresqlSession
from aurora.postgresql_migrations import Limits, PostgresqlMigrations
from aurora.session import Session
from localcloud.aurora.mysql_server import MysqlServer
from localcloud.aurora.postgresql_programs import ProgramFailed
from localcloud.aurora.postgresql_server import PostgresqlServer
from orders import OrderClient

PROJECT = Path(__file__).parents[1]
ENGINES = ("postgresql", "mysql")
POSTGRESQL_MAJOR = 16
DATABASE = "shop"
MASTER, SUPERUSER, APPLICATION = "shop_admin", "rdsadmin", "shop_application"
_MASTER_PASSWORD = "of a server that lives for minutes"  # noqa: S105
_MYSQL_PARAMETERS = {"log_bin_trust_function_creators": "1"}
# Room for what a control leaves unwritten: a page that has to go would have its log written first.
_POSTGRESQL_PARAMETERS = {"max_connections": "300", "shared_buffers": "128MB", "wal_buffers": "16MB"}

_LONGEST_AFTERLIFE_SECONDS = 10.0
Server = Any  # PostgresqlServer or MysqlServer: both give start, kill, execute, catch_up


@dataclass
class Stage:
    """A writer whose commits wait for the disk, a reader that follows it, and products in stock."""

    engine: str
    writer: Server
    reader: Server
    """None where the stage was opened without one."""
    products: tuple[str, ...]

    def session(
        self, user: str = APPLICATION, *, on: Server | None = None, by: Path | None = None
    ) -> Session:
        """Return a session by the server's private socket: what is shown lies behind the login.

        `by` is another directory with a socket of the same name, such as a network's.
        """
        server = on or self.writer
        return _SESSIONS[self.engine](server, by or server.socket_path.parent, user)

    def connect(self, _deadline: Deadline | None = None, *, by: Path | None = None) -> Session:
        """Return a session of the application's on the writer, or raise Unavailable."""
        try:
            return self.session(by=by)
        except (psycopg2.OperationalError, pymysql.OperationalError, OSError) as error:
            raise Unavailable(str(error)) from None

    def client(self, report: Callable[[Exception], None] = lambda error: None) -> OrderClient:
        """Return an order client of the application's, on the writer."""
        return OrderClient(self.connect, report=report)

    def observer(self) -> Session:
        """Return the superuser's session on the writer."""
        return self.session(SUPERUSER)

    @contextmanager
    def network(self) -> Iterator[tuple[Network, Path]]:
        """Put a network in front of the writer; return it and the directory to connect by."""
        with tempfile.TemporaryDirectory(prefix="net-") as name:
            path = Path(name) / self.writer.socket_path.name
            with closing(Network.to_socket(self.writer.socket_path, at=path)) as network:
                yield network, path.parent

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement on the writer as its superuser."""
        with closing(self.session(SUPERUSER)) as session:
            return session.rows(statement, parameters)

    def start_writer_again(self) -> None:
        """Start the writer after it was killed, once the processes that it left behind have ended."""
        give_up = time.monotonic() + _LONGEST_AFTERLIFE_SECONDS
        while True:
            try:
                self.writer.start()
                return
            except ProgramFailed:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.05)


@contextmanager
def open_stage(
    engine: str, *, products: int = 24, stock: int = 1_000_000, with_reader: bool = True
) -> Iterator[Stage]:
    """Start the servers, migrate, and put so many products into stock; end it all in the end."""
    with tempfile.TemporaryDirectory(prefix="shop-acid-") as name:
        directory = Path(name)
        directory.chmod(0o711)  # the servers run as nobody where this runs as root
        writer = _WRITERS[engine](directory / "writer")
        try:
            with closing(_MIGRATIONS[engine](writer)) as migrations:
                apply(migrations, read_files(PROJECT / "schema" / engine), report=lambda _line: None)
            codes = tuple(f"ACID-{number:04}" for number in range(products))
            stage = Stage(engine, writer, None, codes)
            try:
                if with_reader:
                    stage.reader = type(writer).clone(writer, directory / "reader")
                _fill(stage, stock)
                yield stage
            finally:
                if stage.reader is not None:
                    stage.reader.kill()
        finally:
            writer.kill()


def _fill(stage: Stage, stock: int) -> None:
    with closing(stage.session(SUPERUSER)) as session, session.transaction():
        for code in stage.products:
            session.rows(
                "INSERT INTO shop.products (stock_code, description, unit_price) VALUES (%s, %s, 1.005)",
                (code, f"Product {code}"),
            )
        stocked = "SELECT product_id, %s, %s{} FROM shop.products WHERE stock_code LIKE 'ACID-%%'"
        session.rows(
            "INSERT INTO shop.inventory (product_id, warehouse_id, stock) " + stocked.format(""),
            (WAREHOUSE_ID, stock),
        )
        session.rows(
            "INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind) "
            + stocked.format(", 'opening'"),
            (WAREHOUSE_ID, stock),
        )


# --- what differs by engine


def _postgresql_writer(directory: Path) -> PostgresqlServer:
    server = PostgresqlServer.initialize(
        directory,
        major=POSTGRESQL_MAJOR,
        master_user=MASTER,
        master_password=_MASTER_PASSWORD,
        database=DATABASE,
        parameters=_POSTGRESQL_PARAMETERS,
        durable=True,
    )
    return server


def _mysql_writer(directory: Path) -> MysqlServer:
    return MysqlServer.initialize(
        directory,
        master_user=MASTER,
        master_password=_MASTER_PASSWORD,
        parameters=_MYSQL_PARAMETERS,
        durable=True,
    )


def _postgresql_session(server: PostgresqlServer, directory: Path, user: str) -> Session:
    return PostgresqlSession(
        psycopg2.connect(
            host=str(directory), port=server.port, user=user, dbname=DATABASE, connect_timeout=10
        )
    )


def _mysql_session(server: MysqlServer, directory: Path, user: str) -> Session:
    return MysqlSession(
        open_connection(
            unix_socket=str(directory / server.socket_path.name),
            user=user,
            password=_MASTER_PASSWORD if user == MASTER else "",
            timeout_seconds=10,
        )
    )


_WRITERS: dict[str, Callable[[Path], Server]] = {"postgresql": _postgresql_writer, "mysql": _mysql_writer}
_SESSIONS: dict[str, Callable[[Any, Path, str], Session]] = {
    "postgresql": _postgresql_session,
    "mysql": _mysql_session,
}
_MIGRATIONS: dict[str, Callable[[Any], Any]] = {
    "postgresql": lambda server: PostgresqlMigrations(server.connect(MASTER, database=DATABASE), Limits()),
    "mysql": lambda server: MysqlMigrations(
        _mysql_session(server, server.directory, MASTER).connection, Limits()
    ),
}
