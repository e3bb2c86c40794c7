"""How many bad inputs are tried, by what they are: collected from the tests that try them.

`.venv/bin/python -m tests.lambdas.test_bad_inputs` prints the figures.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = {
    "events": (
        "tests/lambdas/test_custom_resource.py::test_a_malformed_event_is_refused_with_what_was_expected",
        "tests/lambdas/test_custom_resource.py::test_a_wrong_property_is_refused_with_what_was_expected",
        "tests/lambdas/test_environment.py::test_a_malformed_value_is_named_with_what_was_expected",
        "tests/lambdas/test_rotate_secret.py::test_a_malformed_secret_is_refused_without_quoting_it",
        "tests/lambdas/test_rotate_secret.py::test_a_wrong_event_is_refused_naming_all_that_is_wrong",
        "tests/lambdas/test_smoke_test_events.py::test_a_malformed_event_is_refused_before_any_connection",
        "tests/database/test_loader_handler.py::test_wrong_properties_are_refused_before_anything_is_loaded",
        "tests/database/test_loader_handler.py::test_a_wrong_number_of_generated_lines_is_refused",
        "tests/database/test_migrations_on_demand.py::test_wrong_usage_is_told_apart_and_asks_no_database",
        "tests/database/test_migrations_on_demand.py::test_an_event_that_is_no_order_is_an_error_of_the_function",
        "tests/database/connecting/test_credentials.py::test_a_malformed_secret_is_named_and_not_shown",
        "tests/database/connecting/test_opening_by_url.py::"
        "test_a_malformed_url_says_what_is_expected_and_not_what_was_given",
    ),
    "settings": (
        "tests/stacks/test_settings.py::test_a_bad_setting_is_refused",
        "tests/stacks/test_settings.py::test_a_bad_choice_is_refused",
        "tests/stacks/test_settings.py::"
        "test_other_numbers_of_lines_are_refused_with_the_limit_and_the_way_to_more",
    ),
    "data files": (
        "tests/lambdas/test_online_retail.py::test_each_bad_line_has_its_reason",
        "tests/lambdas/test_online_retail.py::test_other_beginnings_are_refused",
        "tests/lambdas/test_seed_data_file.py::test_what_is_refused_names_line_and_reason",
        "tests/database/test_loader_faults.py::test_a_bad_file_is_refused_whole",
        "tests/lambdas/test_apply_schema_files.py::test_a_malformed_name_is_refused_with_the_rule",
        "tests/database/test_tenants.py::test_a_set_that_is_none_is_refused",
    ),
    "values": (
        "tests/database/test_hostile.py::test_a_hostile_database_or_host_is_refused_before_anything_is_opened",
        "tests/database/test_hostile.py::test_a_hostile_name_of_a_file_or_a_set_is_refused",
        "tests/database/test_hostile.py::test_a_hostile_stock_code_is_unknown_and_named_as_it_is",
        "tests/database/test_hostile.py::test_what_no_text_can_hold_is_refused_on_mysql",
    ),
}
PROMISED = 120
"""Over events, settings and data files."""
ENGINE_OR_SIZE = re.compile(r"\b(postgresql|mysql|4097|1048576)\b-?")
"""The same input on another engine, or read in other portions, is no other input."""


def counted() -> Counter[str]:
    """Count each test's inputs, and fail where a test is not there any more."""
    every = [test for tests in TESTS.values() for test in tests]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *every],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    inputs = {ENGINE_OR_SIZE.sub("", line) for line in done.stdout.splitlines() if "::" in line}
    return Counter(line.partition("[")[0] for line in inputs)


def by_kind(counts: Counter[str]) -> dict[str, int]:
    """Return the number of inputs of each kind."""
    return {kind: sum(counts[test] for test in tests) for kind, tests in TESTS.items()}


@pytest.fixture(scope="module")
def counts() -> Counter[str]:
    return counted()


def test_there_are_more_than_were_promised(counts: Counter[str]) -> None:
    kinds = by_kind(counts)
    assert kinds["events"] + kinds["settings"] + kinds["data files"] >= PROMISED
    assert min(kinds.values()) >= 20, kinds


def test_each_test_that_is_counted_has_inputs(counts: Counter[str]) -> None:
    assert [test for tests in TESTS.values() for test in tests if counts[test] < 2] == []


if __name__ == "__main__":
    found = by_kind(counted())
    print(*(f"{number:5} {kind}" for kind, number in found.items()), sep="\n")  # noqa: T201
    print(f"{sum(found.values()):5} in all")  # noqa: T201
