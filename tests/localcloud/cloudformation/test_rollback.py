"""What a failure leaves: what was there before, and nothing else."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from localcloud.cloudformation.change_sets import Refused
from localcloud.cloudformation.provisioning import Provisioner
from localcloud.resources.base import Provisioned


def resources(**definitions: Any) -> dict[str, Any]:
    return {"Resources": definitions}


def test_a_failed_creation_deletes_what_it_created_in_reverse(cloudformation, thing, statuses):
    cloudformation.things.fail("create", "C", "no more of these")
    stack = cloudformation.deploy("one", resources(A=thing(), B=thing(["A"]), C=thing(["B"]), D=thing(["C"])))
    assert stack.status == "ROLLBACK_COMPLETE"
    assert cloudformation.things.order("create") == ["A", "B", "C"], "nothing begins after a failure"
    assert cloudformation.things.order("delete") == ["B-1", "A-1"]
    assert stack.resources == {}
    assert statuses(stack)[-3:] == ["CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"]
    reasons = {(event.logical_id, event.status): event.reason for event in stack.events}
    assert reasons["C", "CREATE_FAILED"] == "no more of these"
    assert reasons["one", "ROLLBACK_IN_PROGRESS"] == (
        "The following resource(s) failed to create: [C]. Rollback requested by user."
    )


def test_what_a_failed_creation_left_is_deleted(cloudformation, thing):
    cloudformation.things.existing.add("half")
    cloudformation.things.fail("create", "A", left=Provisioned("half"))
    cloudformation.deploy("one", resources(A=thing()))
    assert cloudformation.things.existing == set()


def test_what_still_runs_when_another_fails_is_cancelled_and_taken_back(
    cloudformation, thing, statuses, monkeypatch
):
    created, finish = threading.Event(), Provisioner._finish

    def finish_when_the_failure_is_known(provisioner, resource, *words):
        created.set()
        assert provisioner.cancelled.wait(60)
        finish(provisioner, resource, *words)

    monkeypatch.setattr(Provisioner, "_finish", finish_when_the_failure_is_known)
    cloudformation.things.meanwhile["create", "Bad"] = lambda: created.wait(60)
    cloudformation.things.fail("create", "Bad")
    stack = cloudformation.deploy("one", resources(Slow=thing(), Bad=thing()))
    assert cloudformation.things.existing == set()
    assert statuses(stack, "Slow") == [
        "CREATE_IN_PROGRESS",
        "CREATE_FAILED",
        "DELETE_IN_PROGRESS",
        "DELETE_COMPLETE",
    ]
    assert ("Slow", "Resource creation cancelled") in {(one.logical_id, one.reason) for one in stack.events}


def test_a_creation_whose_rollback_fails_says_so_and_can_be_deleted_later(cloudformation, thing):
    cloudformation.things.fail("create", "B")
    cloudformation.things.fail("delete", "A", "held by somebody")
    stack = cloudformation.deploy("one", resources(A=thing(), B=thing(["A"])))
    assert stack.status == "ROLLBACK_FAILED"
    assert stack.status_reason == "The following resource(s) failed to delete: [A]. "
    assert set(stack.resources) == {"A"}
    cloudformation.things.mend()
    assert cloudformation.delete("one").status == "DELETE_COMPLETE"
    assert cloudformation.things.existing == set()


def test_a_stack_that_rolled_back_its_creation_can_only_be_deleted(cloudformation, thing):
    cloudformation.things.fail("create", "A")
    cloudformation.deploy("one", resources(A=thing()))
    with pytest.raises(Refused, match="is in ROLLBACK_COMPLETE state and can not be updated"):
        cloudformation.deploy("one", resources(A=thing()))
    cloudformation.delete("one")
    cloudformation.things.mend()
    assert cloudformation.deploy("one", resources(A=thing())).status == "CREATE_COMPLETE"


def test_a_failed_update_brings_everything_back(cloudformation, thing, statuses):
    before = resources(Changed=thing(Size=1), Replaced=thing(Fixed=1), Removed=thing(), Same=thing())
    cloudformation.deploy("one", {**before, "Outputs": {"Size": {"Value": "1"}}})
    cloudformation.things.calls.clear()
    cloudformation.things.fail("create", "Bad", "never")
    after = resources(
        Changed=thing(Size=2),
        Replaced=thing(Fixed=2),
        Same=thing(),
        New=thing(),
        Bad=thing(["Changed", "Replaced", "New"]),
    )
    stack = cloudformation.deploy("one", {**after, "Outputs": {"Size": {"Value": "2"}}})
    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert cloudformation.things.existing == {"Changed-1", "Replaced-1", "Removed-1", "Same-1"}
    assert cloudformation.things.last("update", "Changed").properties == {"Size": 1}
    assert stack.outputs["Size"].value == "1"
    assert {name: one.physical_id for name, one in stack.resources.items()} == {
        "Changed": "Changed-1",
        "Replaced": "Replaced-1",
        "Removed": "Removed-1",
        "Same": "Same-1",
    }
    assert statuses(stack)[-4:] == [
        "UPDATE_IN_PROGRESS",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE",
    ]
    cloudformation.things.mend()
    assert cloudformation.deploy("one", after).status == "UPDATE_COMPLETE", "a stack goes on after a rollback"
    assert cloudformation.things.existing == {"Changed-1", "Replaced-3", "Same-1", "New-2", "Bad-1"}


def test_a_failed_update_itself_is_brought_back_too(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing(Size=1)))

    def once() -> None:
        if len(cloudformation.things.order("update")) > 1:
            cloudformation.things.mend()

    cloudformation.things.fail("update", "A", "half way")
    cloudformation.things.meanwhile["update", "A"] = once
    stack = cloudformation.deploy("one", resources(A=thing(Size=2)))
    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert [
        request.properties["Size"] for verb, request in cloudformation.things.requests if verb == "update"
    ] == [
        2,
        1,
    ]


def test_an_update_that_replaced_itself_is_rolled_back_by_deleting_the_new_one(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing(Size=1)))
    cloudformation.things.new_physical_id_on_update.add("A")
    cloudformation.things.fail("create", "Bad")
    cloudformation.deploy("one", resources(A=thing(Size=2), Bad=thing(["A"])))
    assert cloudformation.things.existing == {"A-1"}


def test_a_rollback_that_fails_is_honest_and_can_be_continued(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing(Size=1), B=thing(Size=1)))
    cloudformation.things.fail("create", "Bad")
    both = threading.Barrier(2)
    for name in "AB":
        cloudformation.things.meanwhile["update", name] = lambda: both.wait(20)

    def break_a_later() -> None:
        cloudformation.things.meanwhile.clear()
        cloudformation.things.fail("update", "A", "stuck")

    cloudformation.things.meanwhile["create", "Bad"] = break_a_later
    changed = resources(A=thing(Size=2), B=thing(Size=2), Bad=thing(["A", "B"]))
    stack = cloudformation.deploy("one", changed)
    assert stack.status == "UPDATE_ROLLBACK_FAILED"
    assert stack.status_reason == "The following resource(s) failed to update: [A]. "
    with pytest.raises(Refused, match="UPDATE_ROLLBACK_FAILED state and can not be updated"):
        cloudformation.deploy("one", changed)

    cloudformation.things.mend()
    cloudformation.things.calls.clear()
    cloudformation.operations.roll_back("one")
    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert cloudformation.things.order("update") == ["A"], "B is back already"
    assert {name: one.properties for name, one in stack.resources.items()} == {
        "A": {"Size": 1},
        "B": {"Size": 1},
    }


def test_without_rollback_a_failure_stays_and_the_next_deployment_goes_on(cloudformation, thing):
    cloudformation.things.fail("create", "B")
    stack = cloudformation.deploy("one", resources(A=thing(), B=thing(["A"])), disable_rollback=True)
    assert stack.status == "CREATE_FAILED"
    assert cloudformation.things.existing == {"A-1"}
    cloudformation.things.mend()
    stack = cloudformation.deploy("one", resources(A=thing(), B=thing(["A"])))
    assert stack.status == "UPDATE_COMPLETE"
    assert cloudformation.things.existing == {"A-1", "B-1"}
    assert cloudformation.things.order("create") == ["A", "B", "B"]


def test_what_a_failed_creation_left_is_deleted_before_the_next_try(cloudformation, thing):
    cloudformation.things.existing.add("half")
    cloudformation.things.fail("create", "A", left=Provisioned("half"))
    cloudformation.deploy("one", resources(A=thing()), disable_rollback=True)
    assert cloudformation.things.existing == {"half"}
    cloudformation.things.mend()
    cloudformation.deploy("one", resources(A=thing()))
    assert cloudformation.things.existing == {"A-1"}


def test_without_rollback_a_failed_update_can_be_rolled_back_later(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing(Size=1)))
    cloudformation.things.fail("create", "Bad")
    stack = cloudformation.deploy(
        "one", resources(A=thing(Size=2), New=thing(), Bad=thing(["A", "New"])), disable_rollback=True
    )
    assert stack.status == "UPDATE_FAILED"
    cloudformation.operations.roll_back("one")
    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.resources["A"].properties == {"Size": 1}
    assert cloudformation.things.existing == {"A-1"}


def test_nothing_to_roll_back_is_an_error(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing()))
    with pytest.raises(Refused, match="can not be rolled back"):
        cloudformation.operations.roll_back("one")


def kept(policy: str, **more: Any) -> dict[str, Any]:
    return {"Type": "Test::Remembering", "DeletionPolicy": policy, **more}


@pytest.mark.parametrize("policy", ["Retain", "RetainExceptOnCreate"])
def test_retained_resources_outlive_their_stack(cloudformation, thing, statuses, policy):
    cloudformation.deploy("one", resources(A=kept(policy), B=thing()))
    stack = cloudformation.delete("one")
    assert stack.status == "DELETE_COMPLETE"
    assert cloudformation.things.existing == {"A-1"}
    assert statuses(stack, "A")[-1] == "DELETE_SKIPPED"


def test_retained_resources_outlive_their_removal_from_the_template(cloudformation, thing):
    cloudformation.deploy("one", resources(A=kept("Retain"), B=thing()))
    stack = cloudformation.deploy("one", resources(B=thing()))
    assert "A" not in stack.resources
    assert cloudformation.things.existing == {"A-1", "B-1"}


@pytest.mark.parametrize(
    ("policy", "left"), [("Delete", set()), ("Retain", {"A-1"}), ("RetainExceptOnCreate", set())]
)
def test_policies_when_the_creation_itself_is_rolled_back(cloudformation, thing, policy, left):
    cloudformation.things.fail("create", "Bad")
    stack = cloudformation.deploy("one", resources(A=kept(policy), Bad=thing(["A"])))
    assert stack.status == "ROLLBACK_COMPLETE"
    assert cloudformation.things.existing == left


def test_the_policy_for_replacements_is_another_one(cloudformation, thing):
    policies = {"UpdateReplacePolicy": "Retain", "DeletionPolicy": "Delete"}
    cloudformation.deploy("one", resources(A={**thing(Fixed=1), **policies}))
    cloudformation.deploy("one", resources(A={**thing(Fixed=2), **policies}))
    assert cloudformation.things.existing == {"A-1", "A-2"}
    cloudformation.delete("one")
    assert cloudformation.things.existing == {"A-1"}


def test_a_snapshot_is_taken_before_the_deletion(cloudformation):
    cloudformation.deploy("one", resources(A={"Type": "Test::Snapshotting", "DeletionPolicy": "Snapshot"}))
    cloudformation.delete("one")
    assert cloudformation.snapshotting.snapshots == ["A-1"]
    assert cloudformation.snapshotting.existing == set()


def test_no_snapshot_is_taken_of_what_a_failed_creation_takes_back(cloudformation, thing):
    cloudformation.things.fail("create", "Bad")
    snapshot = {"Type": "Test::Snapshotting", "DeletionPolicy": "Snapshot"}
    cloudformation.deploy("one", resources(A=snapshot, Bad=thing(["A"])))
    assert cloudformation.snapshotting.snapshots == []
    assert cloudformation.snapshotting.existing == set()


def test_a_cluster_is_kept_by_snapshot_unless_the_template_says_otherwise(cloudformation):
    cloudformation.types["AWS::RDS::DBCluster"] = cloudformation.snapshotting
    cluster = {"Type": "AWS::RDS::DBCluster", "Properties": {"Engine": "aurora-postgresql"}}
    cloudformation.deploy("one", resources(A=cluster, B={**cluster, "DeletionPolicy": "Delete"}))
    cloudformation.delete("one")
    assert cloudformation.snapshotting.snapshots == ["A-1"]


def test_a_type_without_snapshots_refuses_the_policy(cloudformation):
    cloudformation.deploy("one", resources(A=kept("Snapshot")))
    stack = cloudformation.delete("one")
    assert stack.status == "DELETE_FAILED"
    assert cloudformation.things.existing == {"A-1"}


def test_two_failures_without_rollback_are_rolled_back_together(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing(Size=1)))
    cloudformation.things.fail("create", "Bad")
    for size in (2, 3):
        stack = cloudformation.deploy(
            "one", resources(A=thing(Size=size), Bad=thing(["A"], Try=size)), disable_rollback=True
        )
        assert stack.status == "UPDATE_FAILED"
    cloudformation.operations.roll_back("one")
    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.resources["A"].properties == {"Size": 1}


def test_without_rollback_a_failed_update_is_tried_again(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing(Size=1)))
    cloudformation.things.fail("update", "A")
    changed = resources(A=thing(Size=2))
    assert cloudformation.deploy("one", changed, disable_rollback=True).status == "UPDATE_FAILED"
    cloudformation.things.mend()
    assert cloudformation.deploy("one", changed).status == "UPDATE_COMPLETE"
    assert cloudformation.things.order("update") == ["A", "A"]


@pytest.mark.parametrize("end", ["success", "rollback"])
@pytest.mark.parametrize("first", ["replaced", "created"])
def test_what_two_tries_without_rollback_made_is_accounted_for(cloudformation, thing, first, end):
    before = {"A": thing(Fixed=1)} if first == "replaced" else {"Other": thing()}
    cloudformation.deploy("one", {"Resources": before})
    cloudformation.things.fail("create", "Bad")
    cloudformation.deploy(
        "one", resources(A=thing(Fixed=2), Bad=thing(["A"]), Other=thing()), disable_rollback=True
    )
    old = {"A-1"} if first == "replaced" else {"Other-1"}
    if end == "success":
        cloudformation.things.mend()
    stack = cloudformation.deploy("one", resources(A=thing(Fixed=3), Bad=thing(["A"]), Other=thing()))
    if end == "success":
        assert stack.status == "UPDATE_COMPLETE"
        assert {one for one in cloudformation.things.existing if one[0] == "A"} == {
            stack.resources["A"].physical_id
        }
        assert {one[0] for one in cloudformation.things.existing} == {"A", "B", "O"}
    else:
        assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
        assert cloudformation.things.existing == old


def test_what_was_changed_in_one_try_and_replaced_in_the_next_comes_back_as_it_was(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing(Size=1, Fixed=1)))
    cloudformation.things.fail("create", "Bad")
    cloudformation.deploy("one", resources(A=thing(Size=2, Fixed=1), Bad=thing(["A"])), disable_rollback=True)
    stack = cloudformation.deploy("one", resources(A=thing(Size=2, Fixed=2), Bad=thing(["A"])))
    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert cloudformation.things.existing == {"A-1"}
    assert cloudformation.things.updated == ["A-1", "A-1"], "there and back, not the one that replaced it"
    assert cloudformation.things.last("update", "A").properties == {"Size": 1, "Fixed": 1}
    assert stack.resources["A"].properties == {"Size": 1, "Fixed": 1}


def test_what_was_replaced_in_one_try_and_removed_in_the_next_is_gone_twice(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing(Fixed=1), B=thing()))
    cloudformation.things.fail("create", "Bad")
    replaced = resources(A=thing(Fixed=2), B=thing(), Bad=thing(["A"]))
    cloudformation.deploy("one", replaced, disable_rollback=True)
    assert cloudformation.deploy("one", resources(B=thing())).status == "UPDATE_COMPLETE"
    assert cloudformation.things.existing == {"B-1"}


def test_what_comes_back_waits_for_what_it_needs_through_what_never_changed(cloudformation, thing):
    """A custom resource behind CDK's Provider: its function must be the old one again when it is asked."""
    first = resources(
        Function=thing(Code=1), Framework=thing(["Function"]), Custom=thing(["Framework"], Digest=1)
    )
    second = resources(
        Function=thing(Code=2), Framework=thing(["Function"]), Custom=thing(["Framework"], Digest=2)
    )
    cloudformation.deploy("one", first)
    cloudformation.things.calls.clear()
    finished = []

    def take_long_to_come_back():
        threading.Event().wait(0.3)
        finished.append("Function")

    def fail_once():
        finished.append("Custom")
        cloudformation.things.mend()
        cloudformation.things.meanwhile["update", "Function"] = take_long_to_come_back
        cloudformation.things.meanwhile["update", "Custom"] = lambda: finished.append("Custom")
        raise ValueError("broken")

    cloudformation.things.meanwhile["update", "Custom"] = fail_once
    stack = cloudformation.deploy("one", second)
    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert finished == ["Custom", "Function", "Custom"]


def test_handlers_know_an_update_that_takes_back_from_one_that_goes_on(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing(Size=1), B=thing(["A"], Size=1)))
    cloudformation.things.fail("update", "B")
    cloudformation.deploy("one", resources(A=thing(Size=2), B=thing(["A"], Size=2)))
    asked = [
        (request.properties["Size"], request.rolling_back)
        for verb, request in cloudformation.things.requests
        if (verb, request.logical_id) == ("update", "A")
    ]
    assert asked == [(2, False), (1, True)]
