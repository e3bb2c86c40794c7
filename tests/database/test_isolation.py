"""Both engines isolate as is published of them; what the order path is built on is among it."""

from __future__ import annotations

import pytest

from acid.isolation import findings, run
from acid.schedules import HAPPENS, LEVELS, PREVENTED, SCHEDULES


@pytest.fixture(scope="module")
def connect(shared_database):
    """A session in which unqualified names are the shop's."""

    def connect():
        session = shared_database.session("rdsadmin")
        use = {"postgresql": "SET search_path = shop", "mysql": "USE shop"}
        session.rows(use[session.engine])
        return session

    return connect


@pytest.fixture(scope="module")
def found(connect):
    return findings(connect)


@pytest.mark.parametrize("level", LEVELS)
def test_every_anomaly_happens_or_is_prevented_as_published(found, level):
    cells = [finding for finding in found if finding.level == level]
    assert len(cells) == 10
    assert [finding for finding in cells if not finding.agrees] == []


def test_what_orders_must_not_rely_on_is_seen_to_happen(found, engine):
    """At READ COMMITTED both lose updates, so orders change stock by conditional updates."""
    seen = {(finding.level, finding.anomaly): finding.seen for finding in found}
    assert seen["READ COMMITTED", "P4"] == HAPPENS
    assert seen["REPEATABLE READ", "P4"] == {"postgresql": PREVENTED, "mysql": HAPPENS}[engine]
    assert seen["SERIALIZABLE", "P4"] == PREVENTED


def test_a_conditional_update_is_not_lost_where_a_computed_one_is(connect):
    """The control: the same schedule with relative updates keeps both, at the same level."""
    lost = next(schedule for schedule in SCHEDULES if schedule.name == "P4")
    with_its_own_session = connect()
    with_its_own_session.rows("CREATE TABLE anomalies (id integer PRIMARY KEY, value integer)")
    try:
        assert run(lost, "READ COMMITTED", connect, with_its_own_session).left == {1: 11, 2: 20}
        relative = type(lost)(
            lost.name,
            lost.meaning,
            tuple(
                type(step)(step.transaction, step.statement.replace("value = 11", "value = value + 1"))
                for step in lost.steps
            ),
            lost.happened,
        )
        assert run(relative, "READ COMMITTED", connect, with_its_own_session).left == {1: 12, 2: 20}
    finally:
        with_its_own_session.rows("DROP TABLE anomalies")
