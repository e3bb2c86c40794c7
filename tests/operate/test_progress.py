"""Progress tells which stack is at work, how far it is, and what failed first."""

from datetime import UTC, datetime
from typing import Any

from operate.progress import StackProgress


def event(logical_id: str, status: str, reason: str = "", *, second: int = 0) -> dict[str, Any]:
    return {
        "LogicalResourceId": logical_id,
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
        "Timestamp": datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC),
    }


def observed(*events: dict[str, Any]) -> StackProgress:
    stack = StackProgress("shop-local-database", resource_count=3)
    for each in events:
        stack.observe(each)
    return stack


def test_says_nothing_before_the_first_event():
    assert observed().summary() == ""


def test_counts_what_is_done_and_names_what_has_run_longest_first():
    stack = observed(
        event("Key", "CREATE_IN_PROGRESS", second=0),
        event("Cluster", "CREATE_IN_PROGRESS", second=2),
        event("AdminSecret", "CREATE_IN_PROGRESS", second=1),
        event("Key", "CREATE_COMPLETE", second=3),
    )
    assert stack.summary() == "1 of 3 resources, on AdminSecret, Cluster"


def test_a_resource_that_is_deleted_after_its_creation_is_at_work_again():
    stack = observed(event("Key", "CREATE_COMPLETE"), event("Key", "DELETE_IN_PROGRESS"))
    assert stack.summary() == "0 of 3 resources, on Key"


def test_the_stack_s_own_events_are_its_status_and_count_as_no_resource():
    stack = observed(event("shop-local-database", "UPDATE_ROLLBACK_IN_PROGRESS"))
    assert (stack.status, stack.summary()) == ("update rollback in progress", "")


def test_the_first_failure_is_kept_and_the_ones_that_follow_from_it_are_not():
    stack = observed(
        event(
            "Migrations", "CREATE_FAILED", "V0002__tables.sql:3: syntax error\n    at invoke (framework.js:2)"
        ),
        event("SeedData", "CREATE_FAILED", "Resource creation cancelled"),
    )
    assert stack.failure == "Migrations: V0002__tables.sql:3: syntax error"
