"""Lines of recorded orders keep their order's count and total true; lines of placed orders stand still."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest

import orders
from aurora.failures import DatabaseError
from orders import WantedLine

RESTRICT_VIOLATION = "23001"
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
    with pytest.raises(DatabaseError, match="cannot move to order 2") as refused:
        recorded.session("shop_loader").rows(
            "UPDATE shop.order_lines SET order_id = 2, line_number = 9 WHERE line_number = 2"
        )
    assert refused.value.sqlstate == RESTRICT_VIOLATION


def test_lines_added_by_two_sessions_at_once_all_count(recorded):
    """The second one waits for the order, and then has to count what the first one has committed."""
    first, second = (recorded.session("shop_loader") for _ in range(2))
    first.rows("START TRANSACTION")
    with ThreadPoolExecutor(1) as pool:
        first.rows(LINE + "(1, 3, 1, 1, 1.000)")
        waiting = pool.submit(second.rows, LINE + "(1, 4, 1, 1, 2.000)")
        with pytest.raises(TimeoutError):
            waiting.result(0.3)
        first.rows(LINE + "(1, 5, 1, 1, 4.000)")
        first.rows("COMMIT")
        waiting.result(30)
    assert totals(recorded) == [(5, "22.301"), (1, "5.000")]


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize(
    "statement", ["UPDATE shop.order_lines SET quantity = 1", "DELETE FROM shop.order_lines"]
)
def test_lines_whose_goods_have_moved_stand_still(database, statement, cancelled):
    session = database.session("shop_application")
    placed = orders.place(
        session,
        request_token=uuid.uuid4(),
        warehouse_id=2,
        country="France",
        lines=[WantedLine("SMOKE-TEST-A", 2)],
    )
    if cancelled:
        orders.cancel(session, placed.order_id)
    before = orders.read(session, placed.order_id)
    with pytest.raises(DatabaseError, match="its goods have moved") as refused:
        database.session("shop_loader").rows(statement)
    assert refused.value.sqlstate == RESTRICT_VIOLATION
    assert orders.read(session, placed.order_id) == before


ANOTHER = (
    "INSERT INTO shop.orders (order_id, invoice_number, status, country)"
    " VALUES (9001, '536367', 'invoiced', 'France')"
)
TOTAL_OF_ANOTHER = "SELECT total_amount FROM shop.orders WHERE order_id = 9001"


@pytest.mark.parametrize("refused", [False, True])
def test_lines_count_again_once_an_order_is_placed_or_refused(database, refused):
    """The order writes its own totals; what its session writes then is counted as ever."""
    session = database.session("rdsadmin")
    session.rows(ANOTHER)
    lines = [WantedLine("SMOKE-TEST-A", 2_000_000_000 if refused else 1)]
    with pytest.raises(orders.OutOfStock) if refused else nullcontext():
        orders.place(session, request_token=uuid.uuid4(), warehouse_id=2, country="France", lines=lines)
    session.rows(LINE + "(9001, 1, 1, 2, 1.000)")
    assert str(database.value(TOTAL_OF_ANOTHER)) == "2.000"


@pytest.mark.engine("postgresql")
def test_lines_count_again_in_the_transaction_that_placed_an_order(database):
    session = database.session("rdsadmin")
    with session.transaction():
        session.rows(ANOTHER)
        session.rows(
            "SELECT * FROM shop.place_order(gen_random_uuid(), NULL, 'France', 2,"
            """ '[{"stock_code": "SMOKE-TEST-A", "quantity": 1}]')"""
        )
        session.rows(LINE + "(9001, 1, 1, 2, 1.000)")
    assert str(database.value(TOTAL_OF_ANOTHER)) == "2.000"
