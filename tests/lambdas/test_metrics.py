"""Metrics as lines of the log: every value, under dimensions of few values; and what a trace says."""

from __future__ import annotations

import json
import os
import socket
import time
from decimal import Decimal
from itertools import pairwise
from uuid import uuid4

import pytest

import orders.client
from aurora.deadline import Deadline
from aurora.failures import DatabaseError, Remedy, Unavailable
from aurora.metrics import UNITS, EmbeddedMetrics, NoMetrics, written
from aurora.tracing import subsegment
from orders import OrderClient, OrderRefused, OutOfStock, PlacedOrder, WantedLine
from orders.order_metrics import OrderMetrics

PLACED = PlacedOrder(7, 3, Decimal("12.50"), None, True)  # type: ignore[arg-type]


def lines_of(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_is_what_cloudwatch_takes_for_metrics(capsys):
    with written({"DEPLOYMENT": "dev"}) as metrics:
        metrics.add("OrderLatency", 12.5, Caller="customers")
        metrics.add("OrderLatency", 13.5, Caller="customers")
        metrics.add("Orders", Caller="customers")
    (line,) = lines_of(capsys)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Shop"
    assert [set(names) for names in directive["Dimensions"]] == [{"Deployment", "Caller"}]
    assert (line["Deployment"], line["Caller"]) == ("dev", "customers")
    assert directive["Metrics"] == [
        {"Name": "OrderLatency", "Unit": "Milliseconds"},
        {"Name": "Orders", "Unit": "Count"},
    ]
    assert line["OrderLatency"] == [12.5, 13.5], "each value, or there are no percentiles"
    assert abs(line["_aws"]["Timestamp"] / 1000 - time.time()) < 60


def test_no_dimension_comes_from_the_environment(capsys, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "surprise")
    with written({"DEPLOYMENT": "dev"}) as metrics:
        metrics.add("SeedLines", 10)
    (line,) = lines_of(capsys)
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Deployment"]]


def test_every_combination_of_dimensions_is_a_line_and_none_mixes_with_another(capsys):
    with written({"DEPLOYMENT": "dev"}) as metrics:
        metrics.add("Refusals", Reason="OutOfStock", Caller="customers")
        metrics.add("Refusals", Caller="customers", Reason="UnknownProduct")
        metrics.add("Refusals", Caller="customers", Reason="OutOfStock")
    found = {line["Reason"]: line["Refusals"] for line in lines_of(capsys)}
    assert found == {"OutOfStock": [1.0, 1.0], "UnknownProduct": [1.0]}


@pytest.mark.parametrize("count", [99, 100, 101, 250])
def test_no_value_is_lost_and_no_line_holds_more_than_a_hundred(capsys, count):
    """More values of one metric than that are dropped: CloudWatch's specification of the format."""
    with written({"DEPLOYMENT": "dev"}) as metrics:
        for number in range(count):
            metrics.add("OrderLatency", number, Caller="customers")
    found = [line["OrderLatency"] for line in lines_of(capsys)]
    assert [value for values in found for value in values] == list(range(count))
    assert max(map(len, found)) <= 100


def test_what_fails_is_written_too(capsys):
    with pytest.raises(RuntimeError), written({"DEPLOYMENT": "dev"}) as metrics:
        metrics.add("SmokeTestFailed")
        raise RuntimeError
    assert lines_of(capsys)[0]["SmokeTestFailed"] == [1.0]


def test_nothing_is_written_without_a_value_or_without_a_deployment(capsys):
    with written({"DEPLOYMENT": "dev"}):
        pass
    with written({}) as metrics:
        metrics.add("Orders")
    assert lines_of(capsys) == []


def test_a_metric_that_is_not_listed_is_an_error():
    """Alarms and dashboard name metrics: one that is written under another name would never fire."""
    with pytest.raises(KeyError):
        EmbeddedMetrics("dev").add("Order")


class Session:
    """Stands for a session; what transactions do with it is replaced."""

    closed = False

    def __init__(self):
        self._ends = socket.socketpair()

    def fileno(self):
        return self._ends[0].fileno()

    def close(self):
        self.closed = True
        for end in self._ends:
            end.close()


def client(monkeypatch, outcomes, **options):
    """Return a client whose attempts end as `outcomes` say, one after the other."""
    left = list(outcomes)

    def place(session, **wanted):
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(orders.client.transactions, "place", place)
    return OrderClient(lambda deadline: Session(), **options)  # type: ignore[arg-type,return-value]


def place(client, seconds=2.0):
    return client.place(
        request_token=uuid4(),
        warehouse_id=1,
        country="France",
        lines=[WantedLine("85123A", 1)],
        deadline=Deadline.after(seconds),
    )


def said_by(capsys, monkeypatch, outcomes, refusal=None, seconds=2.0):
    sink = EmbeddedMetrics("dev")
    customer = client(monkeypatch, outcomes, metrics=OrderMetrics(sink))
    if refusal:
        with pytest.raises(refusal):
            place(customer, seconds)
    else:
        place(customer, seconds)
    sink.flush()
    found: dict[str, list[float]] = {}
    for line in lines_of(capsys):
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            found[metric["Name"]] = line[metric["Name"]]
    return found


def deadlock():
    return DatabaseError("deadlock", code="40P01", remedy=Remedy.RETRY)


def test_a_client_counts_an_order_with_its_lines_its_revenue_and_its_time(capsys, monkeypatch):
    found = said_by(capsys, monkeypatch, [PLACED])
    assert {name: found[name] for name in ("Orders", "OrderLines", "Revenue")} == {
        "Orders": [1.0],
        "OrderLines": [3.0],
        "Revenue": [12.5],
    }
    assert 0 <= found["OrderLatency"][0] < 1000
    assert "OrderFailures" not in found
    assert "Retries" not in found


def test_an_order_that_was_there_is_not_counted_again(capsys, monkeypatch):
    found = said_by(capsys, monkeypatch, [PlacedOrder(7, 3, Decimal(1), None, False)])  # type: ignore[arg-type]
    assert found.keys() == {"OrderLatency"}


def test_each_attempt_that_is_made_again_is_a_retry(capsys, monkeypatch):
    found = said_by(capsys, monkeypatch, [deadlock(), deadlock(), PLACED])
    assert found["Retries"] == [1.0, 1.0]
    assert found["Orders"] == [1.0]


def test_a_refusal_is_counted_under_its_reason_and_is_no_failure(capsys, monkeypatch):
    found = said_by(capsys, monkeypatch, [OutOfStock("short", ())], OutOfStock)
    assert found == {"Refusals": [1.0]}


def test_an_order_that_is_given_up_is_a_failure(capsys, monkeypatch):
    found = said_by(capsys, monkeypatch, [Unavailable("gone")] * 99, Unavailable, seconds=0.05)
    assert found["OrderFailures"] == [1.0]
    assert "Orders" not in found


def test_reasons_are_as_few_as_there_are_types_of_refusals():
    counted: list[dict[str, str]] = []

    class Sink:
        def add(self, name, value=1, **dimensions):
            counted.append(dimensions)

    metrics = OrderMetrics(Sink())
    for text in ("a", "b", "c"):
        metrics.refused(OutOfStock(text, ()))
    assert {one["Reason"] for one in counted} == {"OutOfStock"}
    assert len(OrderRefused.__subclasses__()) < 10


def test_what_metrics_cost_an_order_is_less_than_a_tenth_of_a_millisecond(capsys, monkeypatch):
    """An order takes about a millisecond of a server's time. Compared with the same client without them."""

    def seconds_each(**options):
        customer, count = client(monkeypatch, [PLACED] * 2000, **options), 2000
        started = time.perf_counter()
        for _ in range(count):
            place(customer)
        return (time.perf_counter() - started) / count

    without, with_none, with_all = (
        min(seconds_each(**options) for _ in range(3))
        for options in (
            {},
            {"metrics": OrderMetrics(NoMetrics())},
            {"metrics": OrderMetrics(EmbeddedMetrics("dev"))},
        )
    )
    capsys.readouterr()
    figures = f"{without * 1e6:.1f} us without, {with_none * 1e6:.1f} kept, {with_all * 1e6:.1f} written"
    assert with_all - without < 100e-6, figures


# Traces.

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


@pytest.fixture
def daemon(monkeypatch):
    """Return what X-Ray's daemon receives, as a function that gives the documents by their names."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.2)
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"127.0.0.1:{receiver.getsockname()[1]}")
        monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACE)

        def received():
            documents = {}
            while True:
                try:
                    header, _, body = receiver.recv(65536).partition(b"\n")
                except TimeoutError:
                    return documents
                assert json.loads(header) == {"format": "json", "version": 1}
                documents[json.loads(body)["name"]] = json.loads(body)

        yield received


def test_subsegments_hang_on_the_function_s_segment_and_on_each_other(daemon):
    with subsegment("outer", engine="mysql"), subsegment("inner"):
        time.sleep(0.01)
    with subsegment("next"):
        pass
    found = daemon()
    assert {one["trace_id"] for one in found.values()} == {"1-5759e988-bd862e3fe1be46a994272793"}
    assert found["outer"]["parent_id"] == found["next"]["parent_id"] == "53995c3f42cd8ad8"
    assert found["inner"]["parent_id"] == found["outer"]["id"]
    assert found["outer"]["annotations"] == {"engine": "mysql"}
    assert found["inner"]["end_time"] - found["inner"]["start_time"] >= 0.01
    for before, after in pairwise([found["inner"], found["outer"], found["next"]]):
        assert before["end_time"] <= after["end_time"]


def test_a_failure_is_told_by_its_type_and_nothing_that_it_says(daemon):
    with pytest.raises(ValueError, match="secret"), subsegment("connect"):
        raise ValueError("a secret")
    found = daemon()["connect"]
    assert found["fault"] is True
    assert found["annotations"] == {"error": "ValueError"}
    assert "secret" not in json.dumps(found)


def test_another_invocation_is_another_trace(daemon, monkeypatch):
    with subsegment("first"):
        monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-other;Parent=0123456789abcdef;Sampled=1")
        with subsegment("second"):
            pass
    assert daemon()["second"]["parent_id"] == "0123456789abcdef"


@pytest.mark.parametrize("header", [None, TRACE.replace("Sampled=1", "Sampled=0")])
def test_without_a_sampled_trace_nothing_is_sent(daemon, monkeypatch, header):
    if header:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
    else:
        monkeypatch.delenv("_X_AMZN_TRACE_ID")
    with subsegment("unseen"):
        pass
    assert daemon() == {}


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere", "127.0.0.1:none"])
def test_work_goes_on_without_a_daemon(monkeypatch, address):
    monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACE)
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", address)
    with subsegment("alone"):
        done = True
    assert done


def test_the_units_are_cloudwatch_s():
    assert {unit.value for unit in UNITS.values()} <= {"Count", "Milliseconds", "Seconds", "None"}
    assert "DEPLOYMENT" not in os.environ, "or the tests of handlers would write metrics"
