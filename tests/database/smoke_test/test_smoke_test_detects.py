"""Each check of the smoke test fails where what it checks is broken, and says what it expected and saw."""

from __future__ import annotations

import re
import time

from tests.database.smoke_test.breaking import trust_anyone, verify_no_host
from tests.database.smoke_test.observing import failures, orders_in_test_warehouse


def test_sessions_that_are_not_verified_are_seen(smoke_test, engine, monkeypatch):
    verify_no_host(monkeypatch, engine)
    seen = failures(smoke_test())
    assert set(seen) == {"sessions_are_verified"}, "the chain is still verified"
    assert "TLS, verified in full, saw less" in seen["sessions_are_verified"]


def test_a_client_that_trusts_anyone_is_seen(smoke_test, engine, monkeypatch):
    trust_anyone(monkeypatch, engine)
    assert set(failures(smoke_test())) == {"sessions_are_verified", "stranger_is_not_trusted"}


def test_a_reader_given_as_the_writer_is_detected(smoke_test, endpoints, reader):
    endpoints.writer.server = reader.server
    assert (
        "expected the proxy's endpoint: the writer, saw a reader"
        in failures(smoke_test())["writer_takes_writes"]
    )


def test_a_writer_that_refuses_writes_is_detected(smoke_test, breaking):
    breaking.read_only_by_default()
    assert (
        "an insert: no error, saw the server takes no writes" in failures(smoke_test())["writer_takes_writes"]
    )


def test_a_writer_given_as_the_reader_is_detected(smoke_test, endpoints, database_server):
    endpoints.reader.server = database_server.server
    seen = failures(smoke_test())
    assert set(seen) == {"reader_refuses_writes"}
    assert "read-only endpoint: a reader, saw the writer" in seen["reader_refuses_writes"]


def test_a_line_that_is_lost_is_seen(smoke_test, breaking):
    breaking.lose_third_lines()
    assert "order_commits_whole" in failures(smoke_test())


def test_stock_that_is_not_taken_is_seen(smoke_test, breaking):
    breaking.take_no_stock()
    seen = failures(smoke_test())
    assert "saw no error" in seen["order_beyond_stock_leaves_nothing"]
    assert "stock is the sum of its movements" in seen["invariants_hold"]


def test_a_product_that_should_not_exist_is_seen(smoke_test, shop):
    code = "SMOKE-TEST-NO-SUCH-PRODUCT"
    for statement in (
        "INSERT INTO shop.products (product_id, stock_code, description, unit_price)"
        f" VALUES (8, '{code}', 'It exists', 1)",
        "INSERT INTO shop.inventory VALUES (8, 2, 5)",
        "INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind)"
        " VALUES (8, 2, 5, 'opening')",
    ):
        shop.rows(statement)
    seen = failures(smoke_test())
    assert set(seen) == {"unknown_product_is_refused"}
    assert "a product that does not exist: UnknownProduct, saw no error" in seen["unknown_product_is_refused"]


def test_a_request_that_makes_two_orders_is_seen(smoke_test, breaking):
    breaking.forget_tokens()
    assert "repeated_request_is_one_order" in failures(smoke_test())


def test_a_stuck_reader_fails_by_its_deadline(smoke_test, shop, paused_reader):
    started = time.monotonic()
    report = smoke_test(reader_patience_seconds=0.5)
    assert time.monotonic() - started < 10
    seen = failures(report)
    assert set(seen) == {"order_appears_on_reader"}
    assert "on the reader within 0.5 s, saw none" in seen["order_appears_on_reader"]
    assert orders_in_test_warehouse(shop) == 0


def test_a_read_only_role_that_may_write_is_seen(smoke_test, shop):
    shop.rows("GRANT DELETE ON shop.orders TO shop_read_only")
    seen = failures(smoke_test())
    assert set(seen) == {"read_only_role_cannot_write"}
    assert (
        "DELETE FROM shop.orders WHERE false: the role may not, saw no error"
        in seen["read_only_role_cannot_write"]
    )


def test_a_cancellation_that_keeps_the_stock_is_seen(smoke_test, breaking):
    breaking.cancel_without_returning_goods()
    seen = failures(smoke_test())
    assert set(seen) == {"cancellation_returns_stock", "invariants_hold"}
    assert "its stock movements (count, sum): (4, 0), saw (2, -5)" in seen["cancellation_returns_stock"]


def test_a_broken_invariant_is_named(smoke_test, shop):
    shop.rows("UPDATE shop.inventory SET stock = stock + 1 WHERE product_id = 7")
    seen = failures(smoke_test())
    assert set(seen) == {"invariants_hold"}
    assert "saw {'stock is the sum of its movements': 1}" in seen["invariants_hold"]


def test_invariants_that_are_gone_do_not_pass(smoke_test, breaking):
    breaking.have_no_invariants()
    assert "whether there are invariants" in failures(smoke_test())["invariants_hold"]


def test_orders_that_are_not_purged_are_seen(smoke_test, breaking):
    breaking.replace_purge("SELECT 0")
    assert (
        "request tokens of test orders left: [], saw [UUID("
        in failures(smoke_test())["business_data_are_as_before"]
    )


def test_a_purge_that_takes_business_along_is_seen(smoke_test, breaking):
    breaking.replace_purge(
        "DELETE FROM shop.stock_movements"
        " WHERE order_id IN (SELECT order_id FROM shop.orders WHERE warehouse_id = 2)",
        "DELETE FROM shop.orders WHERE warehouse_id = 2 OR invoice_number IS NOT NULL",
        "SELECT 0",
    )
    seen = failures(smoke_test())["business_data_are_as_before"]
    assert "1 orders of 1 lines and 15.300 in all" in seen
    assert "saw 0 customers, 0 orders" in seen


def test_without_leave_to_order_every_check_that_orders_fails_and_the_others_pass(smoke_test, breaking):
    breaking.forbid_to_order()
    seen = failures(smoke_test())
    assert set(seen) == {
        "order_commits_whole",
        "order_beyond_stock_leaves_nothing",
        "unknown_product_is_refused",
        "repeated_request_is_one_order",
        "order_appears_on_reader",
        "cancellation_returns_stock",
    }
    said = "42501: permission denied for function place_order|1370: execute command denied to user"
    assert re.search(f"unexpected DatabaseError: ({said})", seen["order_commits_whole"])


def test_a_database_that_does_not_answer_is_one_clear_failure(smoke_test, endpoints):
    endpoints.close()
    report = smoke_test(seconds=0.5)
    assert [check.name for check in report.checks] == ["sessions_open"]
    assert (
        f"unexpected Unavailable: shop_application@{endpoints.writer.address}"
        in failures(report)["sessions_open"]
    )
