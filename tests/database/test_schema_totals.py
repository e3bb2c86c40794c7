"""Lines of recorded orders keep their order's count and total true; lines of placed orders stand still."""

import uuid

import psycopg2
import pytest

import orders
from orders import WantedLine

LINE = "INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price) VALUES "


@pytest.fixture
def recorded(database):
    """Invoices 1 and 2 in a database whose products 1 to 3 are the smoke test's."""
    database.rows(
        "INSERT INTO shop.orders (order_id, invoice_number, status, country)"
        " VALUES (1, '536365', 'invoiced', 'France'), (2, '536366', 'invoiced', 'France')"
    )
    database.rows(LINE + "(1, 1, 1, 6, 2.550), (1, 2, 2, 1, 0.001), (2, 1, 1, 1, 5.000)")
    return database


def totals(database):
    return [
        (count, str(total))
        for count, total in database.rows(
            "SELECT line_count, total_amount FROM shop.orders ORDER BY order_id"
        )
    ]


def test_inserted_lines_count(recorded):
    assert totals(recorded) == [(2, "15.301"), (1, "5.000")]


def test_edited_lines_count(recorded):
    recorded.rows("UPDATE shop.order_lines SET quantity = 7, unit_price = 1 WHERE product_id = 1")
    assert totals(recorded) == [(2, "7.001"), (1, "7.000")]


def test_deleted_lines_count_no_more(recorded):
    recorded.rows("DELETE FROM shop.order_lines WHERE product_id = 1")
    assert totals(recorded) == [(1, "0.001"), (0, "0.000")]


def test_a_deleted_order_takes_its_lines_along(recorded):
    recorded.rows("DELETE FROM shop.orders WHERE order_id = 1")
    assert recorded.value("SELECT count(*) FROM shop.order_lines") == 1


def test_a_line_stays_with_its_order(recorded):
    with pytest.raises(psycopg2.errors.RestrictViolation, match="cannot move to order 2"):
        recorded.rows("UPDATE shop.order_lines SET order_id = 2, line_number = 9 WHERE line_number = 2")


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize(
    "statement", ["UPDATE shop.order_lines SET quantity = 1", "DELETE FROM shop.order_lines"]
)
def test_lines_whose_goods_have_moved_stand_still(database, statement, cancelled):
    connection = database.connect("shop_application")
    placed = orders.place(
        connection,
        request_token=uuid.uuid4(),
        warehouse_id=2,
        country="France",
        lines=[WantedLine("SMOKE-TEST-A", 2)],
    )
    if cancelled:
        orders.cancel(connection, placed.order_id)
    before = orders.read(connection, placed.order_id)
    with pytest.raises(psycopg2.errors.RestrictViolation, match="its goods have moved"):
        database.rows(statement)
    assert orders.read(connection, placed.order_id) == before
