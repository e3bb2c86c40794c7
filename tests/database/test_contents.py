"""What a database says it holds: the same for the same rows, another for any other, at one moment."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from apply_schema import contents as verb
from apply_schema import handler
from aurora import mysql_contents, postgresql_contents
from aurora.contents import BEFORE_THE_FIRST, NotHashed, OutOfTime, read_contents
from aurora.deadline import Deadline
from aurora.failures import DatabaseError
from aurora.stored_table import StoredTable
from orders import WantedLine, place
from tests.database.servers import MASTER
from tests.database.test_migrations_from_cloudformation import Context

DIALECTS = {"postgresql": postgresql_contents, "mysql": mysql_contents}
TOKEN = "00000000-0000-4000-8000-000000000001"
SOME_BUSINESS = (
    "INSERT INTO shop.products (product_id, stock_code, description, unit_price)"
    " VALUES (7, 'BOX', 'A box', 2), (8, 'TIN', 'A tin', 3.005)",
    "INSERT INTO shop.orders (order_id, invoice_number, status, country, ordered_at)"
    " VALUES (1, '536365', 'invoiced', 'France', '2010-12-01'),"
    " (2, '536366', 'invoiced', 'Nauru', '2010-12-02')",
    "INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price, description)"
    " VALUES (1, 1, 7, 6, 2.55, NULL), (1, 2, 8, 1, 3.005, 'NULL'), (2, 1, 7, 1, 2.55, '')",
)


@pytest.fixture
def shop(database):
    for statement in SOME_BUSINESS:
        database.rows(statement)
    return database


@pytest.fixture
def read(shop):
    """Read the contents as the master user does."""

    def read(up_to=None):
        with closing(master(shop)) as session:
            return read_contents(session, deadline=Deadline.after(60), up_to=up_to)

    return read


def master(shop):
    """Return a session of the master user's, in the shop's database as a function's is."""
    session = shop.session(MASTER)
    if shop.engine == "mysql":
        session.rows("USE shop")
    return session


def digest_of(read, table="shop.order_lines"):
    return read().tables[table]


def test_every_table_of_the_shop_and_of_the_migrator_is_there(shop, read):
    found = read()
    expected = {"customers", "inventory", "loads", "order_lines", "orders", "products", "rejects"}
    assert {f"shop.{name}" for name in expected} < set(found.tables)
    assert "migrations.history" in found.tables
    assert not [name for name in found.tables if name.split(".")[0] not in {"shop", "migrations"}]
    assert found.tables["shop.order_lines"].rows == 3
    assert found.tables["shop.order_lines"].up_to == 2
    assert found.tables["shop.rejects"].up_to == BEFORE_THE_FIRST
    assert found.server_version == shop.session().server_version()
    assert len(found.violations) > 5
    assert not any(found.violations.values())


def test_the_order_in_which_rows_lie_does_not_matter(shop, read):
    before = digest_of(read)
    shop.rows("DELETE FROM shop.order_lines WHERE order_id = 1 AND line_number = 1")
    assert digest_of(read) != before
    shop.rows(
        "INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)"
        " VALUES (1, 1, 7, 6, 2.55)"
    )
    assert digest_of(read) == before


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE shop.order_lines SET unit_price = 2.551 WHERE order_id = 2",
        "UPDATE shop.order_lines SET description = NULL WHERE order_id = 2",  # was an empty text
        "UPDATE shop.order_lines SET description = NULL WHERE order_id = 1",  # was its name
        "UPDATE shop.order_lines SET invoiced_at = '2010-12-01 00:00:00.000001' WHERE order_id = 2",
        "DELETE FROM shop.order_lines WHERE order_id = 2",
    ],
)
def test_a_changed_and_a_missing_row_change_the_digest(shop, read, change):
    before = digest_of(read)
    shop.rows(change)
    assert digest_of(read).digest != before.digest


def test_values_that_change_places_change_the_digest(shop, read):
    before = digest_of(read)
    for line, price in ((1, "3.005"), (2, "2.55")):
        shop.rows(
            "UPDATE shop.order_lines SET unit_price = %s WHERE order_id = 1 AND line_number = %s",
            (price, line),
        )
    assert digest_of(read).digest != before.digest


def test_rows_that_stand_twice_are_two(shop, read):
    shop.rows("CREATE TABLE shop.notes (note varchar(10))")
    shop.rows("GRANT SELECT ON shop.notes TO shop_admin")
    digests = []
    for _ in range(3):
        found = digest_of(read, "shop.notes")
        assert found.up_to is None
        digests.append(found.digest)
        shop.rows("INSERT INTO shop.notes VALUES ('the same')")
    assert len(set(digests)) == 3


def test_only_what_is_no_newer_than_a_key_is_read(shop, read):
    before = read()
    shop.rows(
        "INSERT INTO shop.orders (order_id, invoice_number, status, country, ordered_at)"
        " VALUES (3, '536367', 'invoiced', 'Peru', '2010-12-03')"
    )
    shop.rows(
        "INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)"
        " VALUES (3, 1, 7, 6, 2.55)"
    )
    shop.rows("INSERT INTO shop.customers (country) VALUES ('Peru')")  # where there was none
    limits = {name: one.up_to for name, one in before.tables.items() if one.up_to is not None}
    assert read(limits).tables == before.tables
    assert read().tables != before.tables


def test_stock_is_left_to_its_movements_and_their_invariant(shop, read):
    shop.rows("INSERT INTO shop.inventory VALUES (7, 1, 0)")
    before = read()
    shop.rows("UPDATE shop.inventory SET stock = 5 WHERE product_id = 7")
    after = read()
    assert after.tables == before.tables
    assert after.violations["stock is the sum of its movements"] == 1


def test_the_newest_order_is_the_last_that_was_placed_here(shop, read):
    assert read().newest_order is None
    lines = [WantedLine("SMOKE-TEST-A", 1)]
    if shop.engine == "postgresql":
        shop.rows("SELECT setval(pg_get_serial_sequence('shop.orders', 'order_id'), 100000)")
    placed = place(shop.session(), request_token=TOKEN, warehouse_id=2, country="France", lines=lines)
    assert read().newest_order == placed.ordered_at.isoformat()


def test_it_is_one_moment_and_writes_nothing(shop):
    dialect = DIALECTS[shop.engine]
    count = "SELECT count(*) FROM shop.customers"
    with closing(master(shop)) as session:
        with dialect.one_moment(session):
            before = session.rows(count)
            shop.rows("INSERT INTO shop.customers (country) VALUES ('Peru')")
            assert session.rows(count) == before
            with pytest.raises(DatabaseError):
                session.rows("DELETE FROM migrations.history")
        assert session.rows(count) != before


def test_the_digest_is_the_same_in_a_session_with_other_habits(shop, read):
    before = read().tables
    with closing(master(shop)) as session:
        for habit in {
            "postgresql": ("SET TimeZone = 'Asia/Tokyo'", "SET DateStyle = 'German'"),
            "mysql": ("SET time_zone = '+09:00'", "SET sql_mode = ''"),
        }[shop.engine]:
            session.rows(habit)
        assert read_contents(session, deadline=Deadline.after(60)).tables == before


def test_odd_names_are_quoted(shop, read):
    quote = "`" if shop.engine == "mysql" else '"'
    name, column = (f"{quote}{text}{quote}" for text in ("odd % table's", "50% of; --"))
    shop.rows(f"CREATE TABLE shop.{name} ({column} int PRIMARY KEY)")
    shop.rows(f"GRANT SELECT ON shop.{name} TO shop_admin")
    shop.rows(f"INSERT INTO shop.{name} VALUES (41)")
    found = digest_of(read, "shop.odd % table's")
    assert (found.rows, found.up_to) == (1, 41)


class Passing(Deadline):
    """A deadline that passes after the first two times at which somebody asks."""

    def passed(self):
        answers.append(len(answers) >= 2)
        return answers[-1]


answers = []


def test_a_deadline_that_passes_is_an_error_that_names_the_table(shop):
    answers.clear()
    with closing(master(shop)) as session:
        with pytest.raises(OutOfTime, match="before the first table"):
            read_contents(session, deadline=Deadline.after(0))
        second = "migrations.journal" if shop.engine == "mysql" else "shop.customers"
        with pytest.raises(OutOfTime, match=f"the deadline came before {second}: 1 tables were read"):
            read_contents(session, deadline=Passing.after(60))


@pytest.mark.engine("mysql")
def test_a_row_that_is_too_long_for_the_server_to_hash_is_an_error(shop, monkeypatch):
    shop.rows("UPDATE shop.order_lines SET description = repeat('x', 3000) WHERE order_id = 2")
    monkeypatch.setattr(mysql_contents, "tables", lambda _session: [LINES])
    monkeypatch.setattr(mysql_contents, "digest_statement", lambda *_: TOO_LONG)
    with closing(master(shop)) as session, pytest.raises(NotHashed, match="1 rows are too long"):
        read_contents(session, deadline=Deadline.after(60))


LINES = StoredTable("shop", "order_lines", ["description"], "order_id")
TOO_LONG = """
SELECT count(*), count(hash), 0, 0, max(k)
FROM (
    SELECT sha2(repeat(coalesce(description, ''), 100000), 256) AS hash, order_id AS k
    FROM shop.order_lines WHERE order_id <= %s
) AS hashed
"""


def test_the_function_answers_with_all_of_it(shop, monkeypatch):
    monkeypatch.setattr(verb, "_open", lambda *_, **__: master(shop))
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    answer = json.loads(json.dumps(handler.on_event({"verb": "contents"}, Context())))
    assert answer["exit_code"] == 0
    assert answer["data"]["tables"]["shop.order_lines"]["rows"] == 3
    assert "shop.order_lines" in answer["text"]
    refused = handler.on_event({"verb": "contents", "up_to": {"shop.orders": 1}}, Context(10))
    assert refused["exit_code"] == 1
    assert "the deadline came before" in refused["text"]


VARIABLES = {
    "DATABASE_ENGINE": "postgresql",
    "DATABASE_NAME": "shop",
    "DATABASE_PORT": "1",
    "CLUSTER_ENDPOINT": "127.0.0.1",
    "CLUSTER_READER_ENDPOINT": "127.0.0.1",
    "PROXY_ENDPOINT": "127.0.0.1",
    "PROXY_READ_ONLY_ENDPOINT": "127.0.0.1",
    "AWS_REGION": "eu-west-1",
}
