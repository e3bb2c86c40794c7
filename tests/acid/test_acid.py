"""The whole of `make acid`, in small, on each engine; and that its report would tell what is wrong."""

from __future__ import annotations

import os
import re
from dataclasses import replace

import pytest

from acid.atomicity import Finding as Interrupted
from acid.consistency import Kept
from acid.controls import Failing
from acid.durability import Killed
from acid.failover import FailedOver, longest_pause
from acid.isolation import Finding as Anomaly
from acid.load import Promises
from acid.page import write_page
from acid.replication import Compared, ReadBack
from acid.schedules import ANOMALIES, HAPPENS, PREVENTED
from acid.showing import SHORT, HotRow, Shown, show
from acid.stage import ENGINES

KEPT = Kept(acknowledged=9, lost=0, altered=0, duplicated=0, unacknowledged=0, violations=0)
AS_IT_SHOULD_BE = Shown(
    "postgresql",
    "16.0",
    atomicity=[Interrupted("cut", "once", orders=2, once=2, nothing=0, broken=0, tried_again=2)],
    isolation=[Anomaly(name, "SERIALIZABLE", PREVENTED, PREVENTED) for name in ANOMALIES],
    hot_row=HotRow(stock_before=10, stock_after=1, sold=9, refused=3),
    durability=Killed(KEPT, Promises(seconds=1.0, acknowledged_at=[0.1]), [0.2], [0.1]),
    violations=[("stock is never negative", 0)],
    kept=KEPT,
    replication=[Compared("orders", 9, 0)],
    read_back=ReadBack(5, 0, (1.0, 2.0)),
    failovers=[FailedOver("planned", KEPT, Promises(acknowledged_at=[0.1, 0.4]), 0.2, 0.3)],
    controls=[Failing("shared", "lost", 0, 9), Failing("shared", "in part", 2, 9)],
)
WRONG = {
    "an order is there in part": {"atomicity": [Interrupted("cut", "once", 2, 1, 0, 1, 2)]},
    "an order is not there": {"atomicity": [Interrupted("cut", "once", 2, 1, 1, 0, 2)]},
    "a refused order is there": {"atomicity": [Interrupted("short", "nothing", 2, 1, 1, 0, 2)]},
    "a published anomaly is prevented": {"isolation": [Anomaly("P4", "SERIALIZABLE", PREVENTED, HAPPENS)]},
    "an anomaly happens": {"isolation": [Anomaly("P4", "SERIALIZABLE", HAPPENS, PREVENTED)]},
    "more is sold than was there": {"hot_row": HotRow(10, 1, 10, 0)},
    "stock is below zero": {"hot_row": HotRow(10, -1, 11, 0)},
    "an acknowledged order is lost": {"durability": Killed(replace(KEPT, lost=1), Promises())},
    "an order stands twice": {"kept": replace(KEPT, duplicated=1)},
    "an acknowledged order is another": {"kept": replace(KEPT, altered=1)},
    "an invariant is violated": {"violations": [("stock is never negative", 1)]},
    "the reader differs": {"replication": [Compared("orders", 9, 1)]},
    "an order is not on the reader": {"read_back": ReadBack(5, 1)},
    "a failover loses an order": {
        "failovers": [FailedOver("planned", replace(KEPT, lost=1), Promises(), 0.2, 0.3)]
    },
    "a control did not fail": {"controls": [Failing("shared", "lost", 0, 9)]},
}


@pytest.fixture
def environment():
    """Others share the process's environment: a failover's cloud is in it no longer than the failover."""
    before = dict(os.environ)
    yield
    left = {name for name, value in os.environ.items() if before.get(name) != value}
    assert {name for name in left if name.startswith(("AWS_", "LOCALCLOUD_"))} == set()


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("engine", ENGINES)
def test_everything_is_as_it_should_be_and_every_control_fails(engine):
    shown = show(engine, SHORT, lambda _line: None)
    assert shown.problems == []
    assert len(shown.durability.outages_seconds) == SHORT.kills
    assert shown.durability.kept.acknowledged >= SHORT.orders
    assert len(shown.isolation) == 40
    assert [found.kind for found in shown.failovers] == ["planned", "the writer dies"]
    assert all(found.kept.acknowledged >= 2 * SHORT.failover_orders for found in shown.failovers)
    assert {control.control for control in shown.controls if control.failed} == {
        "a retry without a token",
        "one connection for all customers",
        "reading without waiting for the reader",
        "commits that do not wait for the disk",
    }


def test_nothing_is_wrong_where_everything_is_right():
    assert AS_IT_SHOULD_BE.problems == []


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told(case):
    assert len(replace(AS_IT_SHOULD_BE, **WRONG[case]).problems) == 1


def test_the_page_opens_without_a_network(tmp_path):
    page = write_page(tmp_path, [AS_IT_SHOULD_BE]).read_text(encoding="utf-8")
    assert re.findall(r"<(?:script|link|iframe)", page) == []
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r"src='([^']+)", page))
    assert page.count("<img") == 3


def test_the_longest_pause_is_between_two_acknowledgements():
    assert longest_pause([0.1, 0.9, 0.2, 1.0]) == pytest.approx(0.7)
    assert longest_pause([0.1]) == 0
