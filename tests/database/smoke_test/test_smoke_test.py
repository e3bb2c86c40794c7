"""The smoke test on a real writer and a streaming reader, over verified TLS: it leaves no trace."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

import orders
from orders import WantedLine
from smoke_test import running
from smoke_test.checks import CHECKS
from tests.database.smoke_test.observing import failures, orders_in_test_warehouse

PROJECT = Path(__file__).parents[3]
ALL = [check.__name__ for check in CHECKS] + ["business_data_are_as_before"]


def test_all_checks_pass_and_leave_no_trace(smoke_test, shop):
    everything = "SELECT * FROM shop.%s ORDER BY 1, 2"
    tables = ("customers", "products", "inventory", "orders", "order_lines", "stock_movements")
    before = {table: shop.rows(everything % table) for table in tables}
    report = smoke_test()
    assert failures(report) == {}
    assert [check.name for check in report.checks] == ALL
    assert report.result == "passed"
    assert report.database == shop.name
    assert report.writer_version == shop.session("rdsadmin").server_version()
    assert report.reader_version == report.writer_version
    assert {table: shop.rows(everything % table) for table in tables} == before


def test_four_at_once_pass(smoke_test, shop):
    with ThreadPoolExecutor(4) as several:
        reports = [run.result() for run in [several.submit(smoke_test) for _ in range(4)]]
    assert [failures(report) for report in reports] == [{}] * 4
    assert orders_in_test_warehouse(shop) == 0


def test_business_goes_on_meanwhile(smoke_test, shop):
    ended = threading.Event()
    with closing(shop.session("shop_application")) as customer, ThreadPoolExecutor(1) as business:

        def buy():
            bought = 0
            while not ended.is_set():
                box = [WantedLine("BOX", 1)]
                orders.place(customer, request_token=uuid4(), warehouse_id=1, country="France", lines=box)
                bought += 1
            return bought

        buying = business.submit(buy)
        try:
            assert failures(smoke_test()) == {}
        finally:
            ended.set()
        assert buying.result() > 0
    assert shop.value("SELECT count(*) FROM shop.orders WHERE warehouse_id = 1") == buying.result()


def test_a_reader_two_seconds_behind_is_waited_for(smoke_test, paused_reader):
    resume = threading.Timer(2, paused_reader.resume)
    resume.start()
    report = smoke_test()
    resume.join()
    assert failures(report) == {}
    lag = next(check for check in report.checks if check.name == "order_appears_on_reader")
    assert lag.milliseconds > 1000


def test_near_its_deadline_it_says_so_and_cleans_up(smoke_test, shop, monkeypatch):
    def slow_order(scene):
        scene.place(WantedLine("SMOKE-TEST-A", 1))
        time.sleep(0.6)
        return "slow"

    monkeypatch.setattr(running, "CHECKS", (slow_order, *CHECKS))
    report = smoke_test(seconds=0.5)
    seen = failures(report)
    assert [check.name for check in report.checks if check.passed] == [
        "slow_order",
        "business_data_are_as_before",
    ]
    assert set(seen) == {check.__name__ for check in CHECKS}
    assert "there was no time left for it" in seen["order_commits_whole"]
    assert orders_in_test_warehouse(shop) == 0


ENDLESS = {
    "postgresql": "SELECT pg_sleep(30)",
    "mysql": "SELECT count(*) FROM information_schema.columns a, information_schema.columns b,"
    " information_schema.columns c",
}


def test_no_statement_outlasts_the_deadline(smoke_test, monkeypatch):
    def late(scene):
        time.sleep(1.5)
        return "late"

    def sleeping(scene):
        scene.application.rows(ENDLESS[scene.application.engine])
        return "slept"

    monkeypatch.setattr(running, "CHECKS", (late, sleeping))
    report = smoke_test(seconds=2)
    assert re.search("statement timeout|maximum statement execution time", failures(report)["sleeping"])
    assert report.checks[1].milliseconds < 1500, "what is left of the two seconds, not two seconds again"


OWN_ID = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}
TERMINATE = {"postgresql": "SELECT pg_terminate_backend({}, 5000)", "mysql": "KILL {}"}


def test_a_lost_session_fails_what_needs_it_and_the_cleanup_takes_a_new_one(smoke_test, shop, monkeypatch):
    def order_and_lose_the_session(scene):
        scene.place(WantedLine("SMOKE-TEST-A", 1))
        ((own_id,),) = scene.application.rows(OWN_ID[shop.engine])
        shop.rows(TERMINATE[shop.engine].format(own_id))
        return "lost"

    monkeypatch.setattr(running, "CHECKS", (order_and_lose_the_session,))
    assert failures(smoke_test()) == {}
    assert orders_in_test_warehouse(shop) == 0


def test_broken_off_it_cleans_up(smoke_test, shop, monkeypatch):
    def interrupted(scene):
        scene.place(WantedLine("SMOKE-TEST-A", 1))
        assert orders_in_test_warehouse(shop) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "CHECKS", (interrupted,))
    with pytest.raises(KeyboardInterrupt):
        smoke_test()
    assert orders_in_test_warehouse(shop) == 0


def test_what_a_killed_run_left_harms_no_run_and_is_gone_after_the_next_one_an_hour_later(
    smoke_test, shop, endpoints, paused_reader
):
    program = (
        "from smoke_test.handler import on_event; from tests.database.endpoints import Context;"
        "on_event({}, Context(60))"
    )
    environment = (
        os.environ | endpoints.variables(shop.name) | {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'lambda'}"}
    )
    run = subprocess.Popen([sys.executable, "-c", program], env=environment, cwd=PROJECT)
    try:
        give_up = time.monotonic() + 30
        while orders_in_test_warehouse(shop) < 3:  # it now waits for the reader
            assert time.monotonic() < give_up
            assert run.poll() is None
            time.sleep(0.05)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait(10)
    left = orders_in_test_warehouse(shop)
    assert left >= 3
    paused_reader.resume()

    assert failures(smoke_test()) == {}
    assert orders_in_test_warehouse(shop) == left, "it may be another run's, still at work"

    shop.rows("UPDATE shop.orders SET ordered_at = ordered_at - INTERVAL '2' HOUR WHERE warehouse_id = 2")
    assert failures(smoke_test()) == {}
    assert orders_in_test_warehouse(shop) == 0
    assert shop.value("SELECT sum(violations) FROM shop.invariants") == 0
