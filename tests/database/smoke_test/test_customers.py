"""The smoke test's function as customers who order without a pause: what it counts, and takes away."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from uuid import uuid4

import pytest

from aurora.deadline import Deadline
from custom_resource import CustomResourceFailed
from orders import PlacedOrder, WantedLine, place
from smoke_test import customers
from smoke_test.customers import Demand, Promises, kept, longest_pause, order_for_a_while
from smoke_test.handler import on_event
from smoke_test.scene import COUNTRY, PRODUCT, WAREHOUSE_ID
from tests.database.endpoints import Context
from tests.database.smoke_test.observing import orders_in_test_warehouse

STOCK = "SELECT sum(stock) FROM shop.inventory WHERE warehouse_id = 2"


@pytest.fixture(autouse=True)
def beyond_recorded_orders(shop):
    """New orders get numbers above all that were recorded, as a load sees to."""
    if shop.engine == "postgresql":
        shop.rows("SELECT setval(pg_get_serial_sequence('shop.orders', 'order_id'), 100000)")


@pytest.fixture
def function(shop, endpoints, monkeypatch):
    """The function's environment."""
    for name, value in endpoints.variables(shop.name).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def load(shop, endpoints):
    """Have customers order, with what happens once all were served."""

    def load(*, seconds=1.0, began=lambda: None):
        return order_for_a_while(
            endpoints.environment(shop.name),
            Demand(seconds, customers=2),
            deadline=Deadline.after(120),
            cleanup_deadline=Deadline.after(180),
            began=began,
        )

    return load


@pytest.fixture
def promises(shop):
    """Two orders that were acknowledged, and are there."""
    promises = Promises()
    session = shop.session("shop_application")
    for quantity in (1, 2):
        token = uuid4()
        promises.asked.add(token)
        promises.acknowledged[token] = place(
            session,
            request_token=token,
            warehouse_id=WAREHOUSE_ID,
            country=COUNTRY,
            lines=[WantedLine(PRODUCT, quantity)],
        )
    return promises


def test_a_load_is_counted_and_leaves_no_trace(function, shop):
    stock = shop.value(STOCK)
    answer = on_event({"verb": "order", "seconds": 1, "customers": 2}, Context(120))
    assert answer["result"] == "kept"
    assert answer["acknowledged"] == answer["asked"] >= 2
    assert answer["purged"] == answer["acknowledged"]
    assert answer["pause_milliseconds"] >= answer["usual_milliseconds"]
    assert {name: answer[name] for name in ("lost", "altered", "twice", "unknown", "refused", "left")} == {
        "lost": 0, "altered": 0, "twice": 0, "unknown": 0, "refused": 0, "left": 0
    }  # fmt: skip
    assert orders_in_test_warehouse(shop) == 0
    assert shop.value(STOCK) == stock


def test_an_order_that_is_lost_behind_the_customers_backs_is_found(load, shop):
    def lose_one():
        lose_order(shop, shop.value("SELECT min(order_id) FROM shop.orders WHERE warehouse_id = 2"))

    answer = load(began=lose_one)
    assert (answer["result"], answer["lost"], len(answer["named"])) == ("broken", 1, 1)
    assert answer["left"] == 0


def test_a_load_that_is_broken_off_leaves_no_trace(load, shop):
    def break_off():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(seconds=60, began=break_off)
    assert orders_in_test_warehouse(shop) == 0


def test_customers_that_are_refused_for_good_end_the_load_and_say_why(load, shop, breaking):
    taken = "REVOKE EXECUTE ON PROCEDURE shop.place_order FROM shop_application"
    if shop.engine == "postgresql":
        taken = "REVOKE EXECUTE ON FUNCTION shop.place_order FROM shop_application"
    answer = load(seconds=60, began=lambda: shop.rows(taken))
    assert answer["result"] == "broken"
    assert "DatabaseError" in answer["gave_up"][0]
    assert answer["seconds"] < 60


def test_promises_that_were_kept(shop, promises):
    found = kept(shop.session("shop_application"), promises)
    assert found.whole
    assert found.unacknowledged == 0


def test_a_lost_order_and_another_total_are_told_apart(shop, promises):
    (lost, first), (altered, second) = promises.acknowledged.items()
    lose_order(shop, first.order_id)
    told = PlacedOrder(second.order_id, 1, Decimal("0.001"), second.ordered_at, is_new=True)
    promises.acknowledged[altered] = told
    found = kept(shop.session("shop_application"), promises)
    assert (found.lost, found.altered, found.whole) == ((str(lost),), (str(altered),), False)


def test_an_order_of_which_nobody_was_told_is_counted_and_no_fault(shop, promises):
    promises.acknowledged.popitem()
    found = kept(shop.session("shop_application"), promises)
    assert (found.unacknowledged, found.whole) == (1, True)


def test_a_broken_invariant_is_no_kept_promise(shop, promises):
    shop.rows("UPDATE shop.inventory SET stock = stock + 1 WHERE product_id = 7")
    found = kept(shop.session("shop_application"), promises)
    assert found.violations == {"stock is the sum of its movements": 1}
    assert not found.whole


def test_the_longest_pause_lies_between_two_acknowledgements():
    assert longest_pause([0.1, 3.0, 0.2, 3.1]) == (pytest.approx(2.8), 0.2)
    assert longest_pause([1.0]) == (0.0, 0.0)


def test_more_than_the_function_has_time_for_is_refused_before_any_order(function, shop):
    with pytest.raises(CustomResourceFailed, match="seconds is 60: this function has 0 s left for orders"):
        on_event({"verb": "order", "seconds": 60}, Context(90))
    assert orders_in_test_warehouse(shop) == 0


def test_a_load_that_was_purged_in_part_says_so(load, shop, monkeypatch):
    monkeypatch.setattr(customers, "json", SimpleNamespace(dumps=lambda _tokens: "[]"))  # names none
    assert load()["left"] > 0


def lose_order(shop, order_id):
    """Take an order away as no application can: with its movements, so that no invariant tells."""
    for statement in (
        "UPDATE shop.inventory SET stock = stock - (SELECT sum(quantity) FROM shop.stock_movements AS gone"
        " WHERE gone.order_id = %s AND gone.product_id = inventory.product_id)"
        " WHERE warehouse_id = 2 AND product_id IN"
        " (SELECT product_id FROM shop.stock_movements WHERE order_id = %s)",
        "DELETE FROM shop.stock_movements WHERE order_id = %s OR order_id = %s",
        "DELETE FROM shop.orders WHERE order_id = %s OR order_id = %s",
    ):
        shop.rows(statement, (order_id, order_id))
