"""A session means the same on both engines: values, transactions, errors, time limits."""

from __future__ import annotations

import json
import threading
import time
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone

import pytest

from aurora.failures import Cause, DatabaseError, Remedy
from tests.database.connecting.probing import within

TOKEN_COLUMN = {"postgresql": "uuid", "mysql": "binary(16)"}


@pytest.fixture
def session(shared_database):
    with closing(shared_database.session("rdsadmin")) as session:
        yield session


@pytest.fixture
def other(shared_database):
    with closing(shared_database.session("rdsadmin")) as session:
        yield session


@pytest.fixture
def table(session):
    """A table of two rows that ends with the test."""
    moment = {"postgresql": "timestamptz", "mysql": "datetime(6)"}[session.engine]
    session.rows(
        f"CREATE TABLE shop.probe (id integer PRIMARY KEY, token {TOKEN_COLUMN[session.engine]},"
        f" moment {moment}, amount numeric(12, 3), CONSTRAINT probe_positive CHECK (id > 0))"
    )
    session.rows("INSERT INTO shop.probe (id, amount) VALUES (1, 0), (2, 0)")
    yield "shop.probe"
    session.rows("DROP TABLE shop.probe")


def test_a_uuid_is_found_again(session, table):
    token = uuid.uuid4()
    session.rows(f"UPDATE {table} SET token = %s WHERE id = 1", (token,))
    assert session.rows(f"SELECT id FROM {table} WHERE token = %s", (token,)) == [(1,)]
    assert session.rows(f"SELECT id FROM {table} WHERE token = %s", (uuid.uuid4(),)) == []


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-7))])
def test_a_moment_stays_the_same_moment(session, table, zone):
    moment = datetime(2010, 12, 1, 8, 26, 0, 123456, tzinfo=zone)
    session.rows(f"UPDATE {table} SET moment = %(moment)s WHERE id = %(id)s", {"moment": moment, "id": 1})
    ((read,),) = session.rows(f"SELECT moment FROM {table} WHERE id = 1")
    assert read == moment


def test_the_server_s_time_is_a_moment(session):
    assert abs(session.now() - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.engine("mysql")
def test_a_time_without_a_zone_is_refused(session):
    with pytest.raises(ValueError, match="without a zone"):
        session.rows("SELECT %s", (datetime(2010, 12, 1),))


def test_each_statement_is_committed(session, other, table):
    session.rows(f"UPDATE {table} SET amount = 1 WHERE id = 1")
    assert other.rows(f"SELECT amount FROM {table} WHERE id = 1") == [(1,)]


def test_a_transaction_commits_whole(session, other, table):
    with session.transaction():
        session.rows(f"UPDATE {table} SET amount = 1 WHERE id = 1")
        assert other.rows(f"SELECT amount FROM {table} WHERE id = 1") == [(0,)]
    assert other.rows(f"SELECT amount FROM {table} WHERE id = 1") == [(1,)]


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_a_transaction_that_raises_leaves_nothing(session, other, table, error):
    with pytest.raises(error), session.transaction():
        session.rows(f"UPDATE {table} SET amount = 1 WHERE id = 1")
        raise error
    assert other.rows(f"SELECT amount FROM {table} WHERE id = 1") == [(0,)]
    session.rows("SELECT 1")


def test_a_transaction_within_a_transaction_is_refused(session, table):
    with pytest.raises(RuntimeError, match="open transaction"), session.transaction(), session.transaction():
        pass
    with pytest.raises(RuntimeError, match="open transaction"), session.transaction():
        session.call("shop.cancel_order", (1,))


LOCK_TIMEOUT = {"postgresql": "SET lock_timeout = '500ms'", "mysql": "SET innodb_lock_wait_timeout = 1"}


def test_waiting_too_long_for_a_lock_rolls_back_the_whole_transaction(session, other, table):
    """MySQL's 1205 takes back its statement alone, and leaves what came before in an open transaction."""
    session.rows(LOCK_TIMEOUT[session.engine])
    with other.transaction():
        other.rows(f"UPDATE {table} SET amount = 7 WHERE id = 2")
        with pytest.raises(DatabaseError) as failed, session.transaction():
            session.rows(f"UPDATE {table} SET amount = 1 WHERE id = 1")
            session.rows(f"UPDATE {table} SET amount = 1 WHERE id = 2")
    assert failed.value.remedy is Remedy.RETRY
    assert failed.value.code in ("55P03", "1205")
    assert session.rows(f"SELECT amount FROM {table} ORDER BY id") == [(0,), (7,)]


def test_a_deadlock_is_to_be_tried_again(session, other, table):
    outcomes = []

    def swap(session, first, second, met):
        try:
            with session.transaction():
                session.rows(f"UPDATE {table} SET amount = amount + 1 WHERE id = %s", (first,))
                met.wait(10)
                session.rows(f"UPDATE {table} SET amount = amount + 1 WHERE id = %s", (second,))
        except DatabaseError as error:
            outcomes.append((error.code, error.remedy))
        else:
            outcomes.append(None)

    met = threading.Barrier(2)
    second = threading.Thread(target=swap, args=(other, 2, 1, met))
    second.start()
    swap(session, 1, 2, met)
    second.join()
    code = {"postgresql": "40P01", "mysql": "1213"}[session.engine]
    assert sorted(outcomes, key=str) == [(code, Remedy.RETRY), None]
    assert session.rows(f"SELECT amount FROM {table} ORDER BY id") == [(1,), (1,)]


VIOLATIONS = {
    "INSERT INTO shop.probe (id) VALUES (1)": ("23505", "1062", "probe_pkey", "PRIMARY"),
    "INSERT INTO shop.probe (id) VALUES (-1)": ("23514", "3819", "probe_positive", "probe_positive"),
    "INSERT INTO shop.inventory (product_id, warehouse_id, stock) VALUES (1, 99, 1)": (
        "23503",
        "1452",
        "inventory_warehouse_fk",
        "inventory_warehouse_fk",
    ),
}


@pytest.mark.parametrize("statement", VIOLATIONS)
def test_a_violated_constraint_is_named(session, table, statement):
    of_postgresql, of_mysql, named, named_by_mysql = VIOLATIONS[statement]
    with pytest.raises(DatabaseError) as failed:
        session.rows(statement)
    expected = {"postgresql": (of_postgresql, named), "mysql": (of_mysql, named_by_mysql)}[session.engine]
    assert (failed.value.code, failed.value.constraint) == expected
    assert failed.value.remedy is Remedy.NONE


def test_a_refusal_brings_its_detail(shared_database):
    with closing(shared_database.session("shop_application")) as session:
        lines = json.dumps([{"stock_code": "nothing", "quantity": 1}])
        with pytest.raises(DatabaseError, match="unknown product: nothing") as refused:
            session.call("shop.place_order", (str(uuid.uuid4()), None, "France", 2, lines))
    assert (refused.value.sqlstate, refused.value.detail) == ("SH002", {"stock_codes": ["nothing"]})


def test_what_the_role_may_not_is_told_from_what_the_server_does_not(shared_database):
    with closing(shared_database.session("shop_read_only")) as session:
        for statement in ("DELETE FROM shop.orders", "CREATE TABLE shop.mine (id integer)"):
            with pytest.raises(DatabaseError) as refused:
                session.rows("START TRANSACTION READ WRITE")
                session.rows(statement)
            session.rows("ROLLBACK")
            assert refused.value.cause is Cause.NOT_PERMITTED
        with pytest.raises(DatabaseError) as refused:
            session.call("shop.cancel_order", (1,))
        assert refused.value.cause is Cause.NOT_PERMITTED


ENDLESS = {
    "postgresql": "SELECT pg_sleep(30)",
    "mysql": "SELECT count(*) FROM information_schema.columns a, information_schema.columns b,"
    " information_schema.columns c",
}


def test_a_statement_ends_at_its_limit(session):
    session.limit_statements(seconds=0.5)
    with within(3), pytest.raises(DatabaseError) as ended:
        session.rows(ENDLESS[session.engine])
    assert ended.value.code in ("57014", "3024")
    assert ended.value.remedy is Remedy.NONE
    session.rows("SELECT 1")


@pytest.mark.engine("mysql")
def test_what_the_server_will_not_end_loses_its_session(session):
    """max_execution_time ends reading statements only; for all others the driver stops waiting."""
    session.limit_statements(seconds=1)
    began = time.monotonic()
    with pytest.raises(DatabaseError) as ended:
        session.rows("DO sleep(30)")
    assert time.monotonic() - began < 4
    assert (ended.value.remedy, session.closed) == (Remedy.RECONNECT, True)


def test_closing_twice_is_no_error(shared_database):
    session = shared_database.session("shop_application")
    session.close()
    session.close()
    assert session.closed
    with pytest.raises(DatabaseError) as failed:
        session.rows("SELECT 1")
    assert failed.value.remedy is Remedy.RECONNECT
