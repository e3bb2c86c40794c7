"""What CloudFormation and a person get from the smoke test's function, on real servers."""

from __future__ import annotations

import io
import json

import pytest

from custom_resource import CustomResourceFailed
from smoke_test.checks import CHECKS
from smoke_test.handler import logger, on_event
from tests.database.endpoints import Context

CREATE = {
    "RequestType": "Create",
    "RequestId": "5f1b",
    "LogicalResourceId": "SmokeTest1a2b3c4d",
    "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop-test-schema/5f1b",
    "ResourceType": "Custom::SmokeTest",
    "ResourceProperties": {"ServiceToken": "arn:aws:lambda:eu-west-1:1:function:f", "Digest": "ab" * 32},
}
UPDATE = CREATE | {"RequestType": "Update", "PhysicalResourceId": "smoke-test", "OldResourceProperties": {}}


@pytest.fixture
def log(monkeypatch):
    """The records that the function logs."""
    written = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", written)
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]


@pytest.fixture(autouse=True)
def function(shop, endpoints, monkeypatch):
    """The function's environment."""
    for name, value in endpoints.variables(shop.name).items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("event", [CREATE, UPDATE])
def test_cloudformation_gets_a_small_report(event, shop):
    answer = on_event(event, Context())
    assert answer["PhysicalResourceId"] == "smoke-test"
    data = answer["Data"]
    assert data["Result"] == "passed"
    assert data["Checks"] == str(len(CHECKS) + 1)
    assert float(data["Milliseconds"]) > 0
    assert data["ServerVersion"] == shop.session("rdsadmin").server_version()
    assert len(json.loads(data["Report"])) == len(CHECKS) + 1
    assert len(json.dumps(answer)) < 1500


def test_the_same_create_twice_gives_the_same_resource_and_leaves_no_trace(shop):
    ids = {on_event(CREATE, Context())["PhysicalResourceId"] for _ in range(2)}
    assert ids == {"smoke-test"}
    assert shop.value("SELECT count(*) FROM shop.orders WHERE warehouse_id = 2") == 0


def test_on_demand_the_whole_report_is_returned_and_logged(log, shop):
    report = on_event({}, Context())
    assert report["result"] == "passed"
    assert report["database"] == shop.name
    assert json.loads(json.dumps(report)) == report
    (record,) = [record for record in log() if record["message"] == "smoke test report"]
    assert record["report"] == report
    assert record["service"] == "smoke_test"


@pytest.mark.parametrize("event", [CREATE, UPDATE, {}])
def test_a_failure_names_the_check_what_was_expected_and_what_was_seen(event, shop, log):
    shop.rows("UPDATE shop.inventory SET stock = stock + 1 WHERE product_id = 7")
    with pytest.raises(CustomResourceFailed) as failure:
        on_event(event, Context())
    assert str(failure.value) == (
        f"SmokeTestFailed: 1 of {len(CHECKS) + 1} checks failed: invariants_hold: expected violations: {{}},"
        " saw {'stock is the sum of its movements': 1}"
    )
    (record,) = [record for record in log() if record["message"] == "smoke test report"]
    assert record["report"]["result"] == "failed"


def test_no_log_record_and_no_answer_holds_a_token(log, monkeypatch):
    from aurora import credentials

    tokens = []
    signed = credentials.token_credential

    def remembered(*args, **kwargs):
        tokens.append(signed(*args, **kwargs))
        return tokens[-1]

    for module in ("smoke_test.scene", "smoke_test.checks"):
        monkeypatch.setattr(f"{module}.token_credential", remembered)
    monkeypatch.setenv("PROXY_READ_ONLY_ENDPOINT", "127.0.0.1")  # nobody is there
    with pytest.raises(CustomResourceFailed) as failure:
        on_event({}, Context(14))
    assert tokens
    said = str(failure.value) + json.dumps(log())
    assert "sessions_open" in said
    assert not [token for token in tokens if token.password in said or "X-Amz-Signature" in said]
