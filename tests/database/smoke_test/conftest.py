"""A writer, its replicating reader and a shop on both."""

from __future__ import annotations

import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from aurora.deadline import Deadline
from localcloud.aurora.mysql_server import MysqlServer
from localcloud.aurora.postgresql_server import PostgresqlServer
from smoke_test.running import run_smoke_test
from tests.database.endpoints import AuroraEndpoints
from tests.database.smoke_test.breaking import Breaking


class PostgresqlReader:
    """A streaming replica whose replay can be held."""

    def __init__(self, writer, directory):
        self.writer = writer
        self.server = PostgresqlServer.clone(writer, directory)

    def pause(self):
        self.server.execute("SELECT pg_wal_replay_pause()")
        give_up = time.monotonic() + 10
        while self.server.execute("SELECT pg_get_wal_replay_pause_state()") != "paused":
            assert time.monotonic() < give_up
            time.sleep(0.01)

    def resume(self):
        self.server.execute("SELECT pg_wal_replay_resume()")

    def catch_up(self):
        written = self.writer.execute("SELECT pg_current_wal_lsn()")
        give_up = time.monotonic() + 20
        while self.server.execute(f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn") != "t":
            assert time.monotonic() < give_up, "the reader does not follow"
            time.sleep(0.01)

    def stop(self):
        self.server.stop(mode="immediate")


class MysqlReader:
    """A replica by GTIDs whose applying can be held."""

    def __init__(self, writer, directory):
        self.writer = writer
        self.server = MysqlServer.clone(writer, directory)

    def pause(self):
        self.server.execute("STOP REPLICA SQL_THREAD")

    def resume(self):
        self.server.execute("START REPLICA SQL_THREAD")

    def catch_up(self):
        assert self.server.wait_for(self.writer, timeout_seconds=20), "the reader does not follow"

    def stop(self):
        self.server.kill()


READERS = {"postgresql": PostgresqlReader, "mysql": MysqlReader}


@pytest.fixture(scope="session")
def reader(database_server):
    with tempfile.TemporaryDirectory(prefix="shop-test-") as directory:
        Path(directory).chmod(0o711)  # the server runs as nobody where the tests run as root
        reader = READERS[database_server.engine](database_server.server, Path(directory) / "reader")
        yield reader
        reader.stop()


@pytest.fixture
def endpoints(database_server, reader, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    writer = database_server.server
    with closing(AuroraEndpoints(tmp_path, writer=writer, reader=reader.server)) as endpoints:
        yield endpoints


SOME_BUSINESS = (
    "INSERT INTO shop.products (product_id, stock_code, description, unit_price)"
    " VALUES (7, 'BOX', 'A box', 2)",
    "INSERT INTO shop.inventory VALUES (7, 1, 10000)",
    "INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind, moved_at)"
    " VALUES (7, 1, 10000, 'opening', '2010-11-30')",
    "INSERT INTO shop.orders (order_id, invoice_number, status, country, ordered_at)"
    " VALUES (1000, '536365', 'invoiced', 'France', '2010-12-01')",
    "INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)"
    " VALUES (1000, 1, 7, 6, 2.55)",
)


@pytest.fixture
def shop(database, reader):
    """A migrated database with some business in it, on writer and reader."""
    for statement in SOME_BUSINESS:
        database.rows(statement)
    reader.catch_up()
    return database


@pytest.fixture
def breaking(shop):
    """Ways to break the shop."""
    with closing(Breaking(shop)) as breaking:
        yield breaking


@pytest.fixture
def smoke_test(shop, endpoints):
    """Run the smoke test."""

    def smoke_test(*, seconds=30.0, reader_patience_seconds=10.0):
        return run_smoke_test(
            endpoints.environment(shop.name),
            deadline=Deadline.after(seconds),
            cleanup_deadline=Deadline.after(seconds + 10),
            reader_patience_seconds=reader_patience_seconds,
        )

    return smoke_test


@pytest.fixture
def paused_reader(reader):
    """A reader that applies nothing until it is resumed."""
    with paused(reader):
        yield reader


@contextmanager
def paused(reader):
    reader.pause()
    try:
        yield
    finally:
        reader.resume()
