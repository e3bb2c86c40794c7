"""Callers get their order once and by their deadline, whatever happens to connections, locks and servers."""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import closing

import pytest

import orders
from acid.network import Network
from aurora import connecting
from aurora.deadline import Deadline
from aurora.failures import DatabaseError, Unavailable
from orders import OrderClient, OutcomeUnknown, WantedLine
from tests.database.endpoints import AuroraEndpoints

A, SCARCE = "SMOKE-TEST-A", "SMOKE-TEST-C"
OWN_ID = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}
TERMINATE = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}
IDLE_TIMEOUT = {"postgresql": "SET idle_session_timeout = '500ms'", "mysql": "SET wait_timeout = 1"}
LOCK_TIMEOUT = {"postgresql": "SET lock_timeout = '500ms'", "mysql": "SET innodb_lock_wait_timeout = 1"}


@pytest.fixture
def endpoints(database_server, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    server = database_server.server
    with closing(AuroraEndpoints(tmp_path, writer=server, reader=server)) as endpoints:
        yield endpoints


@pytest.fixture
def network(endpoints):
    with closing(Network.to_port(endpoints.writer.address, endpoints.port)) as network:
        yield network


class Caller:
    """An OrderClient of the application's, and what went wrong on its way."""

    def __init__(self, environment, *, attempt_seconds, prepare):
        self.errors = []
        self.sessions = []
        self._environment, self._prepare = environment, prepare
        self.client = OrderClient(self._connected, attempt_seconds=attempt_seconds, report=self.errors.append)

    def _connected(self, deadline):
        session = connecting.connect_application(self._environment, deadline=deadline)
        if self._prepare:
            session.rows(self._prepare)
        self.sessions.append(session)
        return session

    def place(self, *, token=None, seconds=15.0, code=A, quantity=1):
        return self.client.place(
            request_token=token or uuid.uuid4(),
            warehouse_id=2,
            country="France",
            lines=[WantedLine(code, quantity)],
            deadline=Deadline.after(seconds),
        )


@pytest.fixture
def caller(database, endpoints, network):
    """Make a caller behind the network."""
    made = []

    def caller(*, attempt_seconds=5.0, prepare=None):
        environment = endpoints.environment(database.name, DATABASE_PORT=str(network.port))
        made.append(Caller(environment, attempt_seconds=attempt_seconds, prepare=prepare))
        return made[-1]

    yield caller
    for each in made:
        each.client.close()


def placed_once(database, token):
    """Whether there is one order, whole, and nothing else has moved."""
    assert database.rows("SELECT * FROM shop.invariants WHERE violations > 0") == []
    tokens = [read for (read,) in database.rows("SELECT request_token FROM shop.orders")]
    return tokens in ([str(token)], [token.bytes])


def test_one_session_serves_many_orders(database, caller, network):
    caller = caller()
    placed = [caller.place() for _ in range(3)]
    assert [each.is_new for each in placed] == [True] * 3
    assert network.connections == 1
    order = caller.client.read(placed[0].order_id, deadline=Deadline.after(5))
    assert order == caller.client.read_by_token(order.request_token, deadline=Deadline.after(5))
    assert caller.client.cancel(order.order_id, deadline=Deadline.after(5))
    assert caller.errors == []


def test_an_idle_session_that_was_terminated_is_replaced(database, caller):
    caller, token = caller(), uuid.uuid4()
    caller.client.read(1, deadline=Deadline.after(5))
    ((own_id,),) = caller.sessions[0].rows(OWN_ID[database.engine])
    database.rows(TERMINATE[database.engine].format(own_id))
    assert caller.place(token=token)
    assert len(caller.sessions) == 2
    assert placed_once(database, token)


def test_a_session_that_was_ended_for_its_idleness_is_replaced(database, caller):
    """An order is one statement, so that its session never idles within a transaction; between, it may."""
    caller, token = caller(prepare=IDLE_TIMEOUT[database.engine]), uuid.uuid4()
    caller.client.read(1, deadline=Deadline.after(5))
    time.sleep(1.5)
    assert caller.place(token=token).is_new
    assert len(caller.sessions) == 2
    assert placed_once(database, token)


def test_a_session_terminated_in_the_middle_leaves_nothing_and_the_order_is_placed(database, caller):
    caller, token = caller(), uuid.uuid4()
    caller.client.read(1, deadline=Deadline.after(5))
    ((own_id,),) = caller.sessions[0].rows(OWN_ID[database.engine])
    holder = database.session("rdsadmin")
    holder.rows("START TRANSACTION")
    holder.rows("UPDATE shop.inventory SET stock = stock WHERE warehouse_id = 2")

    def terminate_and_release():
        database.rows(TERMINATE[database.engine].format(own_id))
        holder.rows("ROLLBACK")

    threading.Timer(0.5, terminate_and_release).start()
    assert caller.place(token=token).is_new
    assert placed_once(database, token)


def test_an_order_whose_answer_was_lost_is_not_placed_again(database, caller, network):
    """The network is cut after the request, which commits by itself, was sent."""
    caller, token = caller(), uuid.uuid4()
    caller.client.read(1, deadline=Deadline.after(5))
    network.swallow_answers()

    def committed_and_cut():
        give_up = time.monotonic() + 10
        while not database.value("SELECT count(*) FROM shop.orders"):
            assert time.monotonic() < give_up
            time.sleep(0.02)
        network.restore()
        network.cut()

    cutting = threading.Thread(target=committed_and_cut)
    cutting.start()
    assert not caller.place(token=token).is_new
    cutting.join()
    assert len(caller.errors) == 1
    assert placed_once(database, token)


def test_without_one_token_for_all_attempts_there_would_be_two_orders(database, caller, network):
    """The control of the test above: what protects is the token, not luck."""
    caller = caller()
    caller.client.read(1, deadline=Deadline.after(5))
    network.swallow_answers()
    with pytest.raises(OutcomeUnknown):
        caller.place(seconds=1)
    network.restore()
    network.cut()
    caller.place()
    assert database.value("SELECT count(*) FROM shop.orders") == 2


def test_a_black_hole_is_left_and_the_order_placed_once(database, caller, network):
    caller, token = caller(attempt_seconds=1), uuid.uuid4()
    caller.client.read(1, deadline=Deadline.after(5))
    network.swallow()
    threading.Timer(0.5, network.restore).start()
    began = time.monotonic()
    assert caller.place(token=token)
    assert 1 <= time.monotonic() - began < 4
    assert len(caller.sessions) == 2
    assert placed_once(database, token)


def test_a_black_hole_holds_nobody_past_the_deadline(database, caller, network):
    caller, token = caller(), uuid.uuid4()
    caller.client.read(1, deadline=Deadline.after(5))
    network.swallow()
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown, match="no answer before the deadline"):
        caller.place(token=token, seconds=1)
    assert time.monotonic() - began < 2
    network.restore()
    assert caller.place(token=token).is_new, "the request never arrived"
    assert placed_once(database, token)


def test_where_nobody_can_be_reached_it_is_certain_that_nothing_happened(caller, network):
    caller = caller()
    network.close()
    with pytest.raises(Unavailable):
        caller.place(seconds=1)


def test_a_lock_timeout_is_tried_again(database, caller):
    caller, token = caller(prepare=LOCK_TIMEOUT[database.engine]), uuid.uuid4()
    holder = database.session("rdsadmin")
    holder.rows("START TRANSACTION")
    holder.rows("UPDATE shop.inventory SET stock = stock WHERE warehouse_id = 2")
    threading.Timer(2.0, lambda: holder.rows("ROLLBACK")).start()
    assert caller.place(token=token).is_new
    assert {error.code for error in caller.errors} <= {"55P03", "1205"}
    assert len(caller.errors) >= 1
    assert len(caller.sessions) == 1
    assert placed_once(database, token)


def test_a_lock_that_stays_ends_with_the_deadline(database, caller):
    caller, token = caller(prepare=LOCK_TIMEOUT[database.engine]), uuid.uuid4()
    with closing(database.session("rdsadmin")) as holder:
        holder.rows("START TRANSACTION")
        holder.rows("UPDATE shop.inventory SET stock = stock WHERE warehouse_id = 2")
        began = time.monotonic()
        with pytest.raises((DatabaseError, OutcomeUnknown)):
            caller.place(token=token, seconds=1.8)
        assert time.monotonic() - began < 2.5
        holder.rows("ROLLBACK")
    assert caller.place(token=token)
    assert placed_once(database, token)


@pytest.mark.engine("postgresql")  # MySQL's procedure runs at READ COMMITTED, whatever the session's level
def test_a_serialisation_failure_is_tried_again(database, caller):
    caller, token = caller(prepare="SET default_transaction_isolation = 'repeatable read'"), uuid.uuid4()
    caller.client.read(1, deadline=Deadline.after(5))
    holder = database.session("rdsadmin")
    holder.rows("START TRANSACTION")
    holder.rows("UPDATE shop.inventory SET stock = stock WHERE warehouse_id = 2")
    threading.Timer(0.5, lambda: holder.rows("COMMIT")).start()
    assert caller.place(token=token).is_new
    assert [error.code for error in caller.errors] == ["40001"]
    assert placed_once(database, token)


def test_a_writer_that_was_demoted_is_left_for_the_new_one(database, caller, endpoints):
    """The session stays on the server that takes no writes any more; a new one leads to the writer."""
    demote, promote = {
        "postgresql": (
            "ALTER ROLE shop_application SET default_transaction_read_only = on",
            "ALTER ROLE shop_application RESET default_transaction_read_only",
        ),
        "mysql": ("SET GLOBAL super_read_only = ON", "SET GLOBAL read_only = OFF"),
    }[database.engine]
    caller, token = caller(), uuid.uuid4()
    database.rows(demote)
    threading.Timer(0.7, lambda: database.rows(promote)).start()
    assert caller.place(token=token).is_new
    assert {error.code for error in caller.errors} <= {"25006", "1290"}
    assert len(caller.sessions) == len(caller.errors) + 1
    assert placed_once(database, token)


def test_what_is_refused_is_refused_at_once(caller):
    caller = caller()
    with pytest.raises(orders.OutOfStock):
        caller.place(code=SCARCE, quantity=9)
    with pytest.raises(orders.UnknownOrder):
        caller.client.cancel(999, deadline=Deadline.after(5))
    assert caller.errors == []


def test_a_fault_of_the_statement_is_not_tried_again(database, caller):
    caller = caller()
    database.rows(
        "REVOKE EXECUTE ON {} shop.place_order FROM shop_application".format(
            {"postgresql": "FUNCTION", "mysql": "PROCEDURE"}[database.engine]
        )
    )
    with pytest.raises(DatabaseError, match=r"42501|1370"):
        caller.place()
    assert caller.errors == []
