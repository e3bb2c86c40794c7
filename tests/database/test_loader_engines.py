"""One file leaves the same rows on both engines."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime

import pytest

from aurora.deadline import Deadline
from seed_data.generated import Generated
from seed_data.loader import LoadReport, load
from seed_data.sources import SAMPLE, PathSource
from tests.database.conftest import ENGINES
from tests.database.retail_files import real_file, sale, written
from tests.database.servers import running

# All columns but moments of the load itself.
ROWS = (
    "SELECT customer_id, country FROM shop.customers ORDER BY 1",
    "SELECT product_id, stock_code, description, unit_price FROM shop.products ORDER BY 1",
    "SELECT product_id, warehouse_id, stock FROM shop.inventory ORDER BY 1, 2",
    # no ids of movements: MySQL skips some
    "SELECT product_id, warehouse_id, quantity, kind, order_id FROM shop.stock_movements ORDER BY 1, 2",
    "SELECT load_id, source, sha256, loads.lines, order_lines, rejects, quantity, amount FROM shop.loads"
    " ORDER BY 1",
    "SELECT load_id, line_number, reason, raw, quantity, unit_price FROM shop.rejects ORDER BY 1, 2",
    "SELECT order_id, invoice_number, request_token, status, customer_id, country, warehouse_id, line_count,"
    " total_amount, ordered_at, load_id FROM shop.orders ORDER BY 1",
    "SELECT order_id, line_number, product_id, quantity, unit_price, description, invoiced_at"
    " FROM shop.order_lines ORDER BY 1, 2",
)


@pytest.fixture
def databases():
    with running(ENGINES[0]) as first, running(ENGINES[1]) as second:
        databases = [server.migrated_database() for server in (first, second)]
        yield [next(database) for database in databases]
        for database in databases:
            database.close()


def test_the_same_files_leave_the_same_rows_on_both_engines(databases, tmp_path):
    scattered = [sale("x1"), sale("1"), sale("2"), sale("1", quantity="7"), "bad", sale("1", customer="")]
    correction = written(tmp_path / "correction.csv", [sale("1"), sale("3", price="1.5", code="NEW")])
    sources = (
        PathSource(SAMPLE),
        PathSource(written(tmp_path / "scattered.csv", scattered)),
        PathSource(correction),
        Generated(20_000, seed=7),
        PathSource(real_file()),
    )
    for source in sources:
        first, second = (loaded(database, source) for database in databases)
        assert first == second
    for query in ROWS:
        first, second = ([*map(_comparable, database.rows(query))] for database in databases)
        assert first == second, query


def loaded(database, source) -> LoadReport:
    with closing(database.session("shop_loader")) as session:
        return load(session, source, deadline=Deadline.after(120))


def _comparable(row: tuple) -> tuple:
    """Times as moments: each driver has a time zone of its own to show them in."""
    return tuple(value.timestamp() if isinstance(value, datetime) else value for value in row)
