"""A writer, its streaming reader and a shop on both."""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest

from aurora.deadline import Deadline
from localcloud.aurora.postgresql_server import PostgresqlServer
from smoke_test.running import run_smoke_test
from tests.database.endpoints import AuroraEndpoints


@pytest.fixture(scope="session")
def reader_server(postgresql_server):
    with tempfile.TemporaryDirectory(prefix="shop-test-") as directory:
        Path(directory).chmod(0o711)  # the server runs as nobody where the tests run as root
        reader = PostgresqlServer.clone(postgresql_server, Path(directory) / "reader")
        yield reader
        reader.stop(mode="immediate")


@pytest.fixture
def endpoints(postgresql_server, reader_server, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with closing(AuroraEndpoints(tmp_path, writer=postgresql_server, reader=reader_server)) as endpoints:
        yield endpoints


@pytest.fixture
def shop(database, reader_server):
    """A migrated database with some business in it, on writer and reader."""
    database.rows(
        """
        SET ROLE shop_owner;
        INSERT INTO shop.products (product_id, stock_code, description, unit_price)
        VALUES (7, 'BOX', 'A box', 2);
        INSERT INTO shop.inventory VALUES (7, 1, 10000);
        INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind, moved_at)
        VALUES (7, 1, 10000, 'opening', now() - interval '1 day');
        INSERT INTO shop.orders (invoice_number, status, country, ordered_at)
        VALUES ('536365', 'invoiced', 'France', '2010-12-01');
        INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)
        SELECT order_id, 1, 7, 6, 2.55 FROM shop.orders;
        """
    )
    caught_up(database, reader_server)
    return database


def caught_up(database, reader_server):
    """Wait until the reader has what the writer has committed."""
    written = database.server.execute("SELECT pg_current_wal_lsn()")
    give_up = time.monotonic() + 20
    while reader_server.execute(f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn") != "t":
        assert time.monotonic() < give_up, "the reader does not follow"
        time.sleep(0.01)


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
def paused_reader(reader_server):
    """A reader that applies nothing until it is resumed."""
    reader_server.execute("SELECT pg_wal_replay_pause()")
    give_up = time.monotonic() + 10
    while reader_server.execute("SELECT pg_get_wal_replay_pause_state()") != "paused":
        assert time.monotonic() < give_up
        time.sleep(0.01)
    yield reader_server
    reader_server.execute("SELECT pg_wal_replay_resume()")
