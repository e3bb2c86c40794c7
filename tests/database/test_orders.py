"""An order is placed whole or not at all, once per token, and cancelled once."""

import json
import uuid
from decimal import Decimal

import pytest

import orders
from aurora.failures import DatabaseError
from orders import WantedLine

TEST_WAREHOUSE = 2
A, B, SCARCE = "SMOKE-TEST-A", "SMOKE-TEST-B", "SMOKE-TEST-C"  # 1.005, 2.500, and 0.100 of which there are 3


@pytest.fixture
def session(database):
    return database.session("shop_application")


def place(session, lines, *, token=None, **changed):
    wanted = {"warehouse_id": TEST_WAREHOUSE, "country": "France", **changed}
    return orders.place(
        session,
        request_token=token or uuid.uuid4(),
        lines=[WantedLine(code, quantity) for code, quantity in lines],
        **wanted,
    )


def stock(database):
    return dict(
        database.rows("SELECT stock_code, stock FROM shop.inventory JOIN shop.products USING (product_id)")
    )


def everything(database):
    """All that an order may change."""
    return [
        database.rows(f"SELECT * FROM shop.{table} ORDER BY 1, 2")
        for table in ("orders", "order_lines", "stock_movements", "inventory")
    ]


def invariants_hold(database):
    return not database.rows("SELECT * FROM shop.invariants WHERE violations > 0")


def test_a_placed_order_has_its_lines_in_order_and_its_total(database, session):
    token = uuid.uuid4()
    placed = place(session, [(B, 2), (A, 3), (B, 1)], token=token)
    order = orders.read(session, placed.order_id)
    assert placed.is_new
    assert (placed.line_count, placed.total_amount) == (3, Decimal("10.515"))
    assert [(line.line_number, line.stock_code, line.quantity, line.unit_price) for line in order.lines] == [
        (1, B, 2, Decimal("2.500")),
        (2, A, 3, Decimal("1.005")),
        (3, B, 1, Decimal("2.500")),
    ]
    assert order.lines[0].description == "Smoke test: another product"
    assert (order.status, order.customer_id, order.country) == ("placed", None, "France")
    assert order.request_token == token
    assert orders.read_by_token(session, token) == order
    assert stock(database) == {A: 999_997, B: 999_997, SCARCE: 3}
    assert invariants_hold(database)


def test_the_price_is_the_one_of_the_day(database, session):
    placed = place(session, [(A, 1)])
    database.rows("UPDATE shop.products SET unit_price = 9 WHERE stock_code = %s", (A,))
    assert orders.read(session, placed.order_id).total_amount == Decimal("1.005")
    assert place(session, [(A, 1)]).total_amount == 9


def test_a_placed_order_is_committed(database, session):
    placed = place(session, [(A, 1)])
    session.close()
    assert database.rows("SELECT order_id FROM shop.orders") == [(placed.order_id,)]


def test_an_open_transaction_is_not_committed_by_the_way(database, session):
    with pytest.raises(RuntimeError, match="open transaction"), session.transaction():
        place(session, [(A, 1)])
    assert database.rows("SELECT order_id FROM shop.orders") == []


def test_an_order_may_take_the_last_piece(database, session):
    place(session, [(SCARCE, 1), (SCARCE, 2)])
    assert stock(database)[SCARCE] == 0


def test_an_order_that_is_short_on_its_last_line_leaves_nothing(database, session):
    before = everything(database)
    with pytest.raises(orders.OutOfStock) as refused:
        place(session, [(A, 1), (B, 1), (SCARCE, 4)])
    assert refused.value.shortages == (orders.Shortage(SCARCE, wanted=4, available=3),)
    assert "SMOKE-TEST-C (wanted 4, available 3)" in str(refused.value)
    assert everything(database) == before


def test_lines_of_one_product_count_together(session):
    with pytest.raises(orders.OutOfStock) as refused:
        place(session, [(SCARCE, 2), (A, 1), (SCARCE, 2)])
    assert refused.value.shortages == (orders.Shortage(SCARCE, wanted=4, available=3),)


def test_every_short_product_is_named(session):
    with pytest.raises(orders.OutOfStock) as refused:
        place(session, [(SCARCE, 9), (B, 2_000_000), (A, 1)])
    assert refused.value.shortages == (
        orders.Shortage(B, wanted=2_000_000, available=1_000_000),
        orders.Shortage(SCARCE, wanted=9, available=3),
    )


def test_a_product_that_was_enough_is_not_named_beside_one_that_is_short(database, session):
    """The order's own lines have been taken off the shelf when the shortage is reported."""
    database.rows("UPDATE shop.inventory SET stock = 3 WHERE product_id = 1")
    with pytest.raises(orders.OutOfStock) as refused:
        place(session, [(A, 2), (SCARCE, 9)])
    assert refused.value.shortages == (orders.Shortage(SCARCE, wanted=9, available=3),)


def test_a_product_that_the_warehouse_never_had_is_out_of_stock(database, session):
    database.rows("INSERT INTO shop.products (stock_code, description, unit_price) VALUES ('new', '', 1)")
    with pytest.raises(orders.OutOfStock) as refused:
        place(session, [("new", 1)])
    assert refused.value.shortages == (orders.Shortage("new", wanted=1, available=0),)


def test_unknown_products_are_named_and_nothing_is_ordered(database, session):
    """An inner join on products would place the rest of the order and say nothing."""
    before = everything(database)
    with pytest.raises(orders.UnknownProduct) as refused:
        place(session, [(A, 1), ("smoke-test-a", 1), ("nothing", 2)])
    assert refused.value.stock_codes == ("nothing", "smoke-test-a")
    assert everything(database) == before


INVALID = {
    "no line": {"lines": []},
    "too many lines": {"lines": [(A, 1)] * 1001},
    "quantity 0": {"lines": [(A, 1), (B, 0)]},
    "negative quantity": {"lines": [(A, -1)]},
    "half a piece": {"lines": [(A, 0.5)]},
    "quantity as text": {"lines": [(A, "1")]},
    "quantity as boolean": {"lines": [(A, True)]},
    "no quantity": {"lines": [(A, None)]},
    "quantity beyond an integer": {"lines": [(A, 2**31)]},
    "quantity beyond a bigint": {"lines": [(A, 10**30)]},
    "quantity not a number": {"lines": [(A, float("nan"))]},
    "infinite quantity": {"lines": [(A, float("inf"))]},
    "no stock code": {"lines": [(None, 1)]},
    "stock code as number": {"lines": [(85123, 1)]},
    "NUL in a stock code": {"lines": [("A\0", 1)]},
    "half a surrogate pair in a stock code": {"lines": [("\ud800", 1)]},
    "no country": {"country": None},
    "empty country": {"country": ""},
    "NUL in the country": {"country": "Fra\0nce"},
    "half a surrogate pair in the country": {"country": "\ud800"},
    "no warehouse": {"warehouse_id": None},
    "unknown warehouse": {"warehouse_id": 999},
    "warehouse beyond an integer": {"warehouse_id": 2**40},
    "unknown customer": {"customer_id": 5},
    "customer beyond a bigint": {"customer_id": 2**70},
}


@pytest.mark.parametrize("case", INVALID)
def test_what_is_no_order_is_refused_and_changes_nothing(shared_database, case):
    session = shared_database.session("shop_application")
    before = everything(shared_database)
    with pytest.raises(orders.InvalidOrder, match="invalid order"):
        place(session, **{"lines": [(A, 1)], **INVALID[case]})
    assert everything(shared_database) == before
    session.close()


@pytest.mark.parametrize(
    "code",
    ["'; DROP TABLE shop.orders; --", '"quoted"', "%s", "{}", "\\", "名前", " " * 255, "$$", "x" * 255],
)
def test_hostile_values_are_data(database, session, code):
    database.rows(
        "INSERT INTO shop.products (stock_code, description, unit_price) VALUES (%s, %s, 1)", (code, code)
    )
    database.rows(
        "INSERT INTO shop.inventory SELECT product_id, 2, 5 FROM shop.products WHERE stock_code = %s", (code,)
    )
    placed = place(session, [(code, 1)], country=code)
    order = orders.read(session, placed.order_id)
    assert (order.country, order.lines[0].stock_code, order.lines[0].description) == (code, code, code)


@pytest.mark.engine("mysql")
def test_what_is_too_long_for_a_key_is_refused_and_not_cut(database):
    """MySQL indexes 3,072 bytes at most; its columns hold 255 characters where PostgreSQL's have no limit."""
    with pytest.raises(DatabaseError, match=r"products_stock_code_given|Data too long"):
        database.session("shop_loader").rows(
            "INSERT INTO shop.products (stock_code, description, unit_price) VALUES (%s, '', 1)", ("x" * 256,)
        )


def test_a_token_places_one_order(database, session):
    token = uuid.uuid4()
    first = place(session, [(A, 1), (B, 2)], token=token)
    after_first = everything(database)
    second = place(session, [(A, 1), (B, 2)], token=token)
    assert (first.is_new, second.is_new) == (True, False)
    assert (second.order_id, second.total_amount, second.ordered_at) == (
        first.order_id,
        first.total_amount,
        first.ordered_at,
    )
    assert everything(database) == after_first


def test_a_repeated_call_finds_its_order_though_prices_changed_and_stock_is_gone(database, session):
    token = uuid.uuid4()
    first = place(session, [(SCARCE, 3)], token=token)
    database.rows("UPDATE shop.products SET unit_price = 99")
    again = place(session, [(SCARCE, 3)], token=token)
    assert (again.order_id, again.total_amount, again.is_new) == (first.order_id, first.total_amount, False)


OTHER_CONTENT = {
    "another quantity": {"lines": [(A, 1), (B, 3)]},
    "another product": {"lines": [(A, 1), (SCARCE, 2)]},
    "another order of lines": {"lines": [(B, 2), (A, 1)]},
    "a line less": {"lines": [(A, 1)]},
    "a line more": {"lines": [(A, 1), (B, 2), (B, 2)]},
    "another country": {"country": "Germany"},
    "another warehouse": {"warehouse_id": 1},
    "another customer": {"customer_id": 12346},
}


@pytest.mark.parametrize("change", OTHER_CONTENT)
def test_a_token_given_to_another_order_is_refused(database, session, change):
    database.rows("INSERT INTO shop.customers (customer_id, country) VALUES (12346, 'France')")
    token = uuid.uuid4()
    placed = place(session, [(A, 1), (B, 2)], token=token)
    before = everything(database)
    with pytest.raises(orders.TokenReused) as refused:
        place(session, **{"lines": [(A, 1), (B, 2)], "token": token, **OTHER_CONTENT[change]})
    assert refused.value.order_id == placed.order_id
    assert everything(database) == before


def test_a_refused_order_leaves_its_token_free(session):
    token = uuid.uuid4()
    with pytest.raises(orders.OutOfStock):
        place(session, [(SCARCE, 4)], token=token)
    assert place(session, [(SCARCE, 3)], token=token).is_new


def test_a_cancelled_order_puts_its_goods_back_once(database, session):
    before = stock(database)
    placed = place(session, [(A, 1), (SCARCE, 3), (A, 4)])
    assert orders.cancel(session, placed.order_id) is True
    assert stock(database) == before
    assert orders.cancel(session, placed.order_id) is False
    assert stock(database) == before
    assert orders.read(session, placed.order_id).status == "cancelled"
    assert invariants_hold(database)


def test_only_placed_orders_can_be_cancelled(database, session):
    database.rows(
        "INSERT INTO shop.orders (order_id, invoice_number, request_token, status, customer_id, country)"
        " VALUES (70, '536365', NULL, 'invoiced', NULL, 'France')"
    )
    with pytest.raises(orders.NotCancellable, match="order 70 is invoiced"):
        orders.cancel(session, 70)
    for unknown in (999, None):
        with pytest.raises(orders.UnknownOrder):
            orders.cancel(session, unknown)


def test_unknown_orders_read_as_none(session):
    assert orders.read(session, 999) is None
    assert orders.read_by_token(session, uuid.uuid4()) is None


def test_an_order_without_lines_can_be_read(database, session):
    database.rows(
        "INSERT INTO shop.orders (order_id, invoice_number, request_token, status, customer_id, country)"
        " VALUES (70, 'C536379', NULL, 'returned', NULL, 'France')"
    )
    order = orders.read(session, 70)
    assert (order.lines, order.request_token, order.invoice_number) == ((), None, "C536379")


def test_test_orders_are_forgotten_without_a_trace(database, session):
    kept, cancelled = place(session, [(A, 1)]), place(session, [(B, 7)])
    before = everything(database)
    tokens = [uuid.uuid4(), uuid.uuid4()]
    place(session, [(A, 5), (SCARCE, 1)], token=tokens[0])
    orders.cancel(session, place(session, [(A, 5)], token=tokens[1]).order_id)
    assert purge(database, tokens) == 2
    assert everything(database) == before
    assert orders.read(session, kept.order_id) and orders.read(session, cancelled.order_id)
    assert invariants_hold(database)


def test_what_a_broken_smoke_test_left_is_forgotten_an_hour_later(database, session):
    before = everything(database)
    place(session, [(A, 5)])
    database.rows("UPDATE shop.orders SET ordered_at = ordered_at - INTERVAL '61' MINUTE")
    assert purge(database, []) == 1
    assert everything(database) == before


def test_business_orders_are_beyond_a_purge(database, session):
    database.rows("INSERT INTO shop.inventory (product_id, warehouse_id, stock) VALUES (1, 1, 5)")
    database.rows(
        "INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind)"
        " VALUES (1, 1, 5, 'opening')"
    )
    token = uuid.uuid4()
    place(session, [(A, 5)], token=token, warehouse_id=1)
    database.rows("UPDATE shop.orders SET ordered_at = ordered_at - INTERVAL '1' YEAR")
    before = everything(database)
    assert purge(database, [token]) == 0
    assert everything(database) == before


def purge(database, tokens):
    ((purged,),) = database.session("shop_application").call(
        "shop.purge_test_orders", (json.dumps([str(token) for token in tokens]),)
    )
    return purged
