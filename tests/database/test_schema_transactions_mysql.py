"""MySQL's procedures begin and end their own transactions: whole, whatever ends them, and nobody else's."""

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from pymysql.constants import SERVER_STATUS

from aurora.failures import DatabaseError

pytestmark = pytest.mark.engine("mysql")

OPEN_TRANSACTION = "1568"
LOCK_TIMEOUT = "1205"
INTERRUPTED = "1317"
LONGEST_MESSAGE = 128
A, SCARCE = "SMOKE-TEST-A", "SMOKE-TEST-C"
CALLS = {
    "shop.place_order": (str(uuid.uuid4()), None, "France", 2, "[]"),
    "shop.cancel_order": (1,),
    "shop.purge_test_orders": ("[]",),
}


def call(session, lines, *, token=None, country="France"):
    """Place an order past the client, which would do some of it by itself."""
    wanted = json.dumps([{"stock_code": code, "quantity": quantity} for code, quantity in lines])
    return session.call("shop.place_order", (str(token or uuid.uuid4()), None, country, 2, wanted))


def in_transaction(connection):
    """Tell whether the server said last that it has a transaction open."""
    return bool(connection.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)


@pytest.mark.parametrize("procedure", CALLS)
def test_a_procedure_refuses_to_end_the_transaction_of_its_caller(database, procedure):
    session = database.session("shop_admin")
    session.rows("START TRANSACTION")
    session.rows("INSERT INTO shop.customers (country) VALUES ('France')")
    placeholders = ", ".join(["%s"] * len(CALLS[procedure]))
    with pytest.raises(DatabaseError) as refused:
        session.rows(f"CALL {procedure}({placeholders})", CALLS[procedure])
    assert refused.value.code == OPEN_TRANSACTION
    session.rows("COMMIT")
    assert database.value("SELECT count(*) FROM shop.customers") == 1
    assert database.value("SELECT count(*) FROM shop.orders") == 0


@pytest.mark.parametrize(
    "held",
    [
        "UPDATE shop.products SET unit_price = 7 WHERE product_id = 1",  # the order's lines wait for it
        "UPDATE shop.inventory SET stock = stock - 1 WHERE product_id = 1",
    ],
)
def test_an_order_that_waited_too_long_is_gone_whole(database, held):
    """1205 takes back one statement alone: the order would stay, and its locks with it."""
    holder, session = database.session("shop_loader"), database.session("shop_application")
    holder.rows("START TRANSACTION")
    holder.rows(held)
    session.rows("SET innodb_lock_wait_timeout = 1, @shop_totals_by_load = 7")
    lines = json.dumps([{"stock_code": A, "quantity": 1}])
    with pytest.raises(DatabaseError) as refused:
        session.rows("CALL shop.place_order(uuid(), NULL, 'France', 2, %s)", (lines,))
    assert refused.value.code == LOCK_TIMEOUT
    holder.rows("ROLLBACK")
    assert session.rows("SELECT @shop_totals_by_load") == [(7,)]
    assert not in_transaction(session.connection)
    for table in ("orders", "order_lines"):
        assert session.rows(f"SELECT count(*) FROM shop.{table}") == [(0,)]


def test_a_call_that_was_killed_is_gone_whole(database):
    """KILL QUERY passes the procedure's handlers by: whoever gets its error rolls back, as a Session does."""
    holder, session = database.session("shop_loader"), database.session("shop_application")
    holder.rows("START TRANSACTION")
    holder.rows("UPDATE shop.inventory SET stock = stock - 1 WHERE product_id = 1")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(call, session, [(A, 1)])
        while not database.value("SELECT count(*) FROM performance_schema.data_lock_waits"):
            time.sleep(0.01)
        database.rows(f"KILL QUERY {session.connection.thread_id()}")
        with pytest.raises(DatabaseError) as killed:
            waiting.result(60)
    assert killed.value.code == INTERRUPTED
    holder.rows("ROLLBACK")
    assert call(session, [(SCARCE, 1)])[0][-1] == 1
    assert database.value("SELECT count(*) FROM shop.order_lines") == 1


@pytest.mark.parametrize("lines", [[(A, 1)], [(SCARCE, 99)], [("nothing", 1)], []])
def test_a_call_leaves_its_session_as_it_was(database, lines):
    """Through a pool, the next caller gets the session."""
    session = database.session("shop_application")
    settings = "SELECT @shop_totals_by_load, @@transaction_isolation, @@autocommit, @@sql_mode"
    session.rows("SET @shop_totals_by_load = 7")
    before = session.rows(settings)
    try:
        call(session, lines)
    except DatabaseError as refused:
        assert refused.sqlstate.startswith("SH")
    assert session.rows(settings) == before
    assert not in_transaction(session.connection)


def test_what_a_lax_session_would_cut_off_is_refused(database):
    session = database.session("shop_application")
    session.rows("SET sql_mode = ''")
    for country in ("x" * 256, "x" * 70_000):
        with pytest.raises(DatabaseError) as refused:
            call(session, [(A, 1)], country=country)
        assert refused.value.sqlstate == "SH003"
    assert database.value("SELECT count(*) FROM shop.orders") == 0


def test_when_the_first_of_three_with_one_token_fails_the_others_place_one_order(database):
    """Each of those who wait holds a lock that stops the other, and InnoDB has one of them begin again."""
    token = uuid.uuid4()
    first = database.session("shop_loader")
    first.rows("START TRANSACTION")
    first.rows(
        "INSERT INTO shop.orders (request_token, status, country, warehouse_id)"
        " VALUES (%s, 'placed', 'France', 2)",
        (token,),
    )
    sessions = [database.session("shop_application") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(call, session, [(A, 1)], token=token) for session in sessions]
        while database.value("SELECT count(*) FROM performance_schema.data_lock_waits") < len(sessions):
            time.sleep(0.01)
        first.rows("ROLLBACK")
        placed = [answer.result(60)[0] for answer in waiting]
    assert len({order_id for order_id, *_ in placed}) == 1
    assert sorted(is_new for *_, is_new in placed) == [0, 0, 0, 1]


def test_an_order_may_have_a_thousand_lines(database):
    """Short of every one of them, too."""
    session = database.session("shop_application")
    database.rows(
        "INSERT INTO shop.products (stock_code, description, unit_price)"
        " WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 999)"
        " SELECT concat(repeat('x', 250), n), '', 1 FROM numbers"
    )
    lines = [("x" * 250 + str(number), 2) for number in range(1000)]
    with pytest.raises(DatabaseError) as short:
        call(session, lines)
    shortages = short.value.detail["shortages"]
    assert [shortage["stock_code"] for shortage in shortages] == sorted(code for code, _ in lines)
    database.rows(
        "INSERT INTO shop.inventory SELECT product_id, 2, 2 FROM shop.products WHERE stock_code LIKE 'x%'"
    )
    ((_, line_count, total, *_),) = call(session, lines)
    assert (line_count, total) == (1000, 2000)


def test_a_refusal_s_detail_is_whole_though_its_message_is_cut(database):
    """An error of MySQL's has room for 128 characters."""
    session = database.session("shop_application")
    codes = [f"no such product {number} {'x' * 200}" for number in range(1000)]
    with pytest.raises(DatabaseError) as refused:
        call(session, [(code, 1) for code in codes])
    assert refused.value.detail == {"stock_codes": sorted(codes)}
    assert len(refused.value.message) == LONGEST_MESSAGE
