"""What a smoke test's report says, and that it fits where it has to go."""

import json

import pytest

from custom_resource import respond
from smoke_test.report import CheckResult, Report, SmokeTestFailed

PASSED = CheckResult("writer_takes_writes", True, 1.5, "rolled back")
FAILED = CheckResult("reader_refuses_writes", False, 2.5, "expected SQLSTATE 25006, saw no error")


def report(*checks):
    return Report("shop", "16.14", "16.14", 4.0, checks)


def test_a_report_passes_only_when_every_check_did():
    assert report(PASSED).result == "passed"
    assert report(PASSED, FAILED).result == "failed"
    assert report(PASSED, FAILED).failures == (FAILED,)


def test_a_report_without_checks_has_not_passed():
    assert report().result == "failed"


def test_the_whole_report_is_json():
    shown = json.loads(json.dumps(report(PASSED, FAILED).as_json()))
    assert shown["result"] == "failed"
    assert shown["database"] == "shop"
    assert shown["writer_version"] == shown["reader_version"] == "16.14"
    assert shown["checks"][1] == {
        "name": "reader_refuses_writes",
        "passed": False,
        "milliseconds": 2.5,
        "detail": "expected SQLSTATE 25006, saw no error",
    }


def test_resource_data_say_what_was_checked_and_how_long_it_took():
    data = report(PASSED).as_resource_data()
    assert data["Result"] == "passed"
    assert data["Checks"] == 1
    assert data["ServerVersion"] == "16.14"
    assert json.loads(str(data["Report"])) == {"writer_takes_writes": 1.5}


def test_resource_data_of_forty_checks_fit_into_a_response_uncut():
    many = report(*(CheckResult(f"{'x' * 40}{n}", True, 12345.678, "y" * 500) for n in range(40)))
    answer = respond("smoke-test", many.as_resource_data())
    assert answer["Data"]["Report"] == many.as_resource_data()["Report"]
    assert len(json.dumps(answer)) < 3500


def test_a_failure_names_each_failed_check_with_expected_and_seen():
    with pytest.raises(
        SmokeTestFailed,
        match="1 of 2 checks failed: reader_refuses_writes: expected SQLSTATE 25006, saw no error",
    ):
        raise SmokeTestFailed(report(PASSED, FAILED))
