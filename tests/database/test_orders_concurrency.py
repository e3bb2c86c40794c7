"""Many clients at once: nothing is sold twice, nothing deadlocks, a token races to one order."""

import random
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

import orders
from aurora.failures import DatabaseError, Remedy
from orders import WantedLine

CLIENTS = 16
TIMEOUT_SECONDS = 60


@pytest.fixture
def shelf(database):
    """A business warehouse (1) with 6 products, P0 to P5, of which there are 40 each."""
    for number in range(6):
        code = f"P{number}"
        database.rows(
            "INSERT INTO shop.products (stock_code, description, unit_price) VALUES (%s, 'a product', 1.005)",
            (code,),
        )
        stocked = "SELECT product_id, 1, 40{} FROM shop.products WHERE stock_code = %s"
        database.rows(
            "INSERT INTO shop.inventory (product_id, warehouse_id, stock) " + stocked.format(""), (code,)
        )
        database.rows(
            "INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind) "
            + stocked.format(", 'opening'"),
            (code,),
        )
    return database


def place(session, lines, token=None):
    return orders.place(
        session,
        request_token=token or uuid.uuid4(),
        warehouse_id=1,
        country="France",
        lines=[WantedLine(code, quantity) for code, quantity in lines],
    )


def all_at_once(database, work, clients=CLIENTS):
    """Run `work(session, number)` in as many threads, each on its own session; return the results."""
    start = threading.Barrier(clients)

    def client(number):
        session = database.session("shop_application")
        start.wait(TIMEOUT_SECONDS)
        return work(session, number)

    with ThreadPoolExecutor(clients) as pool:
        return [done.result(TIMEOUT_SECONDS) for done in [pool.submit(client, n) for n in range(clients)]]


def counted(work, attempts):
    """Return work that tries so often and returns how often it succeeded, was short, and deadlocked."""

    def client(session, number):
        outcomes = {"placed": 0, "short": 0, "deadlocks": 0}
        for _ in range(attempts):
            try:
                work(session, number)
            except orders.OutOfStock:
                outcomes["short"] += 1
            except DatabaseError as error:
                assert error.remedy is Remedy.RETRY
                outcomes["deadlocks"] += 1
            else:
                outcomes["placed"] += 1
        return outcomes

    return client


def total(outcomes, name):
    return sum(outcome[name] for outcome in outcomes)


def violations(database):
    return database.rows("SELECT * FROM shop.invariants WHERE violations > 0")


def test_of_one_row_of_stock_exactly_as_much_is_sold_as_was_there(shelf):
    outcomes = all_at_once(shelf, counted(lambda session, _: place(session, [("P0", 3)]), attempts=5))
    assert total(outcomes, "placed") == 13  # 13 times 3 of 40
    assert total(outcomes, "short") == CLIENTS * 5 - 13
    assert shelf.value("SELECT min(stock) FROM shop.inventory WHERE warehouse_id = 1") == 1
    assert shelf.value("SELECT -sum(quantity) FROM shop.stock_movements WHERE kind = 'sale'") == 39
    assert violations(shelf) == []


def test_orders_whose_lines_run_in_opposite_directions_do_not_deadlock(shelf):
    codes = [f"P{n}" for n in range(6)]

    def back_and_forth(session, number):
        place(session, [(code, 1) for code in (codes if number % 2 else reversed(codes))])

    outcomes = all_at_once(shelf, counted(back_and_forth, attempts=4))
    assert total(outcomes, "deadlocks") == 0
    assert total(outcomes, "placed") == 40
    assert violations(shelf) == []


def test_placing_and_cancelling_at_once_keeps_every_invariant(shelf):
    def place_and_cancel(session, number):
        choice = random.Random(number)
        for _ in range(12):
            lines = [(f"P{choice.randrange(6)}", choice.randint(1, 3)) for _ in range(choice.randint(1, 5))]
            try:
                placed = place(session, lines)
            except orders.OutOfStock:
                continue
            if choice.random() < 0.6:
                assert orders.cancel(session, placed.order_id)

    all_at_once(shelf, place_and_cancel, clients=8)
    assert shelf.value("SELECT count(DISTINCT status) FROM shop.orders") == 2
    assert violations(shelf) == []


def test_a_token_sent_by_all_at_once_places_one_order(shelf):
    token = uuid.uuid4()
    results = all_at_once(shelf, lambda session, _: place(session, [("P0", 2), ("P1", 1)], token))
    assert len({placed.order_id for placed in results}) == 1
    assert [placed.is_new for placed in results].count(True) == 1
    assert (
        shelf.value(
            "SELECT stock FROM shop.inventory JOIN shop.products USING (product_id) WHERE stock_code = 'P0'"
        )
        == 38
    )
    assert violations(shelf) == []


def test_a_cancellation_sent_by_all_at_once_puts_goods_back_once(shelf):
    placed = place(shelf.session("shop_application"), [("P0", 2)])
    results = all_at_once(shelf, lambda session, _: orders.cancel(session, placed.order_id))
    assert results.count(True) == 1
    assert violations(shelf) == []


def test_a_repeated_call_waits_for_the_first_and_takes_over_if_that_one_fails(shelf):
    """The token of an order that was never committed is free again."""
    token = uuid.uuid4()
    first = shelf.session("rdsadmin")
    first.rows("START TRANSACTION")
    first.rows(
        "INSERT INTO shop.orders (request_token, status, country, warehouse_id)"
        " VALUES (%s, 'placed', 'France', 1)",
        (token,),
    )
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(place, shelf.session("shop_application"), [("P0", 1)], token)
        with pytest.raises(TimeoutError):
            second.result(0.3)
        first.rows("ROLLBACK")
        assert second.result(TIMEOUT_SECONDS).is_new
    assert shelf.value("SELECT count(*) FROM shop.orders") == 1


@pytest.mark.engine("postgresql")  # patches the function; MySQL's procedure is read in test_schema_*
def test_goods_that_arrive_between_refusal_and_report_are_sold(shelf):
    """The report of a shortage reads the shelf again: where it finds enough, the order goes on."""
    shelf.rows("UPDATE shop.inventory SET stock = 0 WHERE warehouse_id = 1")
    delivery = shelf.connect("rdsadmin")
    shelf.rows("""
        CREATE FUNCTION shop.delayed() RETURNS boolean LANGUAGE sql AS 'SELECT pg_sleep(0.5) IS NOT NULL';
        GRANT EXECUTE ON FUNCTION shop.delayed() TO PUBLIC;
    """)
    definition = shelf.value("SELECT pg_get_functiondef('shop.take_stock'::regproc)")
    shelf.rows(definition.replace("EXIT WHEN FOUND;", "EXIT WHEN FOUND; PERFORM shop.delayed();"))
    with ThreadPoolExecutor(1) as pool:
        order = pool.submit(place, shelf.session("shop_application"), [("P0", 2)])
        with delivery.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.25)")
            cursor.execute("UPDATE shop.inventory SET stock = 40 WHERE warehouse_id = 1")
        delivery.commit()
        assert order.result(TIMEOUT_SECONDS).is_new
