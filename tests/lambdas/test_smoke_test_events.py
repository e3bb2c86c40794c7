"""Events that a smoke test answers without a database, or refuses."""

import pytest

from custom_resource import CustomResourceFailed, MalformedEvent
from smoke_test.customers import Demand
from smoke_test.handler import on_event

REQUEST = {
    "RequestType": "Create",
    "RequestId": "5f1b",
    "LogicalResourceId": "SmokeTest",
    "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop-test-schema/5f1b",
    "ResourceProperties": {"ServiceToken": "arn", "Digest": "ab" * 32},
}


class Context:
    def get_remaining_time_in_millis(self):
        return 60_000


@pytest.fixture(autouse=True)
def no_database(monkeypatch):
    """Fail where an environment is read at all."""
    for name in ("DATABASE_NAME", "PROXY_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("physical_id", ["smoke-test", "of somebody else"])
def test_delete_succeeds_without_a_database(physical_id):
    answer = on_event(REQUEST | {"RequestType": "Delete", "PhysicalResourceId": physical_id}, Context())
    assert answer == {"PhysicalResourceId": physical_id, "Data": {}}


def test_delete_succeeds_whatever_the_properties_are():
    broken = {
        "RequestType": "Delete",
        "PhysicalResourceId": "smoke-test",
        "ResourceProperties": {"Digest": ["?"]},
    }
    assert on_event(REQUEST | broken, Context())["PhysicalResourceId"] == "smoke-test"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"RequestType": "create"}, "RequestType is 'create': expected Create, Update or Delete"),
        ({"RequestType": None}, "RequestType is missing"),
        ({"RequestType": "Update"}, "PhysicalResourceId is missing"),
        ({"StackId": "somewhere"}, "StackId is 'somewhere': expected the ARN of a stack"),
        ({"ResourceProperties": {}}, "property Digest is missing: expected a SHA-256"),
        ({"ResourceProperties": {"Digest": True}}, "property Digest is True: expected a SHA-256"),
        ({"ResourceProperties": {"Digest": "AB" * 32}}, "expected a SHA-256"),
        ({"ResourceProperties": {"Digest": "ab" * 32, "Digset": "1"}}, "unknown properties 'Digset'"),
        ({"ResourceProperties": "Digest"}, "ResourceProperties is 'Digest': expected an object"),
    ],
)
def test_a_malformed_event_is_refused_before_any_connection(change, said):
    with pytest.raises(CustomResourceFailed, match="MalformedEvent") as failure:
        on_event(REQUEST | change, Context())
    assert said in str(failure.value)


def test_an_incomplete_environment_names_what_is_missing():
    with pytest.raises(CustomResourceFailed, match=r"EnvironmentIncomplete: .*DATABASE_NAME is not set"):
        on_event({}, Context())


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"seconds": 0}, "seconds is 0: expected a whole number, 1 to 600"),
        ({"seconds": 601}, "seconds is 601"),
        ({"seconds": True}, "seconds is True"),
        ({"seconds": "60"}, "seconds is '60'"),
        ({}, "seconds is None"),
        ({"seconds": 5, "customers": 17}, "customers is 17: expected a whole number, 1 to 16"),
        ({"seconds": 5, "warehouse_id": 1}, "'warehouse_id' is unknown: expected seconds, customers, run"),
        ({"seconds": 5, "verb": "cancel"}, "verb is 'cancel': expected 'order'"),
        ({"seconds": 5, "run": 7}, "run is 7: expected a text"),
    ],
)
def test_an_event_that_is_no_order_is_refused_naming_what_is_wrong(event, said):
    with pytest.raises(MalformedEvent) as refusal:
        Demand.from_event({"verb": "order", **event})
    assert said in str(refusal.value)
