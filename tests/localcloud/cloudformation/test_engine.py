"""The walk over a stack's resources: order, update, replacement, deletion."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any

import pytest

from localcloud.cloudformation.change_sets import Refused
from localcloud.resources.base import Handler, Provisioned


def resources(**definitions: Any) -> dict[str, Any]:
    return {"Resources": definitions}


def test_creates_what_is_referred_to_first_and_deletes_it_last(cloudformation, thing):
    template = resources(
        ByRef=thing(Uses={"Ref": "Base"}),
        ByGetAtt=thing(Uses={"Fn::GetAtt": ["ByRef", "Arn"]}),
        BySub=thing(Uses={"Fn::Sub": "x-${ByGetAtt.Arn}"}),
        ByDependsOn=thing(["BySub"]),
        Base=thing(),
    )
    stack = cloudformation.deploy("one", template)
    assert stack.status == "CREATE_COMPLETE"
    expected = ["Base", "ByRef", "ByGetAtt", "BySub", "ByDependsOn"]
    assert cloudformation.things.order("create") == expected

    cloudformation.delete("one")
    assert cloudformation.things.order("delete") == [f"{name}-1" for name in reversed(expected)]
    assert stack.status == "DELETE_COMPLETE" and cloudformation.stack("one") is None


def test_independent_resources_are_created_and_deleted_at_the_same_time(cloudformation, thing):
    for verb in ("create", "delete"):
        barrier = threading.Barrier(3)  # passes only when all three are inside at once
        for name in "ABC":
            cloudformation.things.meanwhile[verb, name] = lambda barrier=barrier: barrier.wait(20)
    assert (
        cloudformation.deploy("one", resources(A=thing(), B=thing(), C=thing())).status == "CREATE_COMPLETE"
    )
    assert cloudformation.delete("one").status == "DELETE_COMPLETE"


def test_handlers_that_ask_for_it_are_alone(cloudformation, thing):
    inside, most = 0, 0

    class Alone(Handler):
        one_at_a_time = True

        def create(self, request):
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            threading.Event().wait(0.02)
            inside -= 1
            return Provisioned(request.logical_id)

        def update(self, request, current, previous):
            return current

        def delete(self, request, current):
            pass

    cloudformation.types["Test::Alone"] = Alone()
    cloudformation.deploy("one", resources(**{name: {"Type": "Test::Alone"} for name in "ABCD"}))
    assert most == 1


def test_two_stacks_are_deployed_at_the_same_time(cloudformation, thing):
    barrier = threading.Barrier(2)
    cloudformation.things.meanwhile["create", "A"] = lambda: barrier.wait(20)
    other = threading.Thread(target=cloudformation.deploy, args=("one", resources(A=thing())))
    other.start()
    assert cloudformation.deploy("two", resources(A=thing())).status == "CREATE_COMPLETE"
    other.join()
    assert cloudformation.stack("one").status == "CREATE_COMPLETE"


def test_values_flow_from_resource_to_resource_and_to_outputs(cloudformation, thing):
    template = {
        **resources(A=thing(Size=3), B=thing(Arn={"Fn::GetAtt": "A.Arn"}, Id={"Ref": "A"})),
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["B", "Arn"]}, "Description": "where"}},
    }
    stack = cloudformation.deploy("one", template)
    assert cloudformation.things.last("create", "B").properties == {"Arn": "arn:A-1", "Id": "A-1"}
    assert stack.outputs["Arn"].value == "arn:B-1"


def test_an_unknown_attribute_fails_the_resource_that_wants_it(cloudformation, thing):
    stack = cloudformation.deploy("one", resources(A=thing(), B=thing(X={"Fn::GetAtt": ["A", "Nope"]})))
    assert stack.status == "ROLLBACK_COMPLETE"
    reason = next(event.reason for event in stack.events if event.status == "CREATE_FAILED")
    assert reason == "Template error: resource A does not support attribute type Nope in Fn::GetAtt"


def test_an_update_touches_only_what_differs(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing(Size=1), B=thing(Size=1), C=thing(Of={"Ref": "A"})))
    stack = cloudformation.deploy(
        "one", resources(A=thing(Size=2), B=thing(Size=1), C=thing(Of={"Ref": "A"}))
    )
    assert stack.status == "UPDATE_COMPLETE"
    assert cloudformation.things.order("update") == ["A"]
    assert cloudformation.things.order("delete") == []


def test_an_update_adds_and_removes(cloudformation, thing, statuses):
    cloudformation.deploy("one", resources(Keep=thing(), Go=thing()))
    stack = cloudformation.deploy("one", resources(Keep=thing(), New=thing()))
    assert cloudformation.things.existing == {"Keep-1", "New-1"}
    assert set(stack.resources) == {"Keep", "New"}
    assert statuses(stack)[-3:] == [
        "UPDATE_IN_PROGRESS",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_COMPLETE",
    ]


def test_a_replacement_is_created_before_the_old_one_goes_and_dependents_follow(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing(Fixed=1), B=thing(Of={"Ref": "A"})))
    cloudformation.things.calls.clear()
    stack = cloudformation.deploy("one", resources(A=thing(Fixed=2), B=thing(Of={"Ref": "A"})))
    assert cloudformation.things.calls == [("create", "A"), ("update", "B"), ("delete", "A-1")]
    assert cloudformation.things.last("update", "B").properties == {"Of": "A-2"}
    assert cloudformation.things.existing == {"A-2", "B-1"}
    assert cloudformation.things.last("delete", "A").properties == {"Fixed": 1}
    assert stack.resources["A"].physical_id == "A-2"


def test_a_handler_can_ask_for_a_replacement(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing(Size=1)))
    cloudformation.deploy("one", resources(A=thing(Size=1, NotInPlace=True)))
    assert cloudformation.things.existing == {"A-2"}


def test_a_changed_type_is_a_replacement(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing()))
    stack = cloudformation.deploy("one", resources(A={"Type": "Test::Snapshotting"}))
    assert cloudformation.things.existing == set()
    assert cloudformation.snapshotting.existing == {"A-1"}
    assert stack.status == "UPDATE_COMPLETE"


def test_a_new_physical_id_from_an_update_has_the_old_resource_deleted(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing(Size=1)))
    cloudformation.things.new_physical_id_on_update.add("A")
    cloudformation.deploy("one", resources(A=thing(Size=2)))
    assert cloudformation.things.existing == {"A-2"}
    assert cloudformation.things.calls[-1] == ("delete", "A-1")
    assert cloudformation.things.last("delete", "A").properties == {"Size": 1}


def test_a_named_resource_that_needs_a_replacement_is_refused(cloudformation):
    cloudformation.types["AWS::IAM::Role"] = cloudformation.things
    properties = {"RoleName": "mine", "AssumeRolePolicyDocument": {}, "Path": "/"}
    cloudformation.deploy("one", resources(A={"Type": "AWS::IAM::Role", "Properties": properties}))
    changed = {"Type": "AWS::IAM::Role", "Properties": {**properties, "Path": "/other/"}}
    stack = cloudformation.deploy("one", resources(A=changed))
    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert cloudformation.things.existing == {"A-1"}
    assert any("custom-named resource requires replacing" in (event.reason or "") for event in stack.events)


def test_properties_that_cannot_change_in_place_are_the_registrys(cloudformation):
    cloudformation.types["AWS::IAM::Role"] = cloudformation.things
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}, "Path": "/"}}
    cloudformation.deploy("one", resources(A=role))
    moved = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}, "Path": "/moved/"}}
    cloudformation.deploy("one", resources(A=moved))
    assert cloudformation.things.existing == {"A-2"}


def test_events_tell_a_creation_as_aws_does(cloudformation, thing):
    stack = cloudformation.deploy("one", resources(A=thing()))
    told = [(event.logical_id, event.status, event.physical_id, event.reason) for event in stack.events]
    assert told == [
        ("one", "REVIEW_IN_PROGRESS", stack.stack_id, "User Initiated"),
        ("one", "CREATE_IN_PROGRESS", stack.stack_id, "User Initiated"),
        ("A", "CREATE_IN_PROGRESS", "", None),
        ("A", "CREATE_IN_PROGRESS", "A-1", "Resource creation Initiated"),
        ("A", "CREATE_COMPLETE", "A-1", None),
        ("one", "CREATE_COMPLETE", stack.stack_id, None),
    ]
    times = [event.timestamp for event in stack.events]
    assert all((after - before).total_seconds() >= 0.001 for before, after in pairwise(times))


def test_a_resource_that_cannot_be_deleted_keeps_what_it_needs(cloudformation, thing):
    template = resources(Base=thing(), User=thing(["Base"]), Other=thing())
    cloudformation.deploy("one", template)
    cloudformation.things.fail("delete", "User", "still in use")
    stack = cloudformation.delete("one")
    assert stack.status == "DELETE_FAILED"
    assert stack.status_reason == "The following resource(s) failed to delete: [User]. "
    assert cloudformation.things.existing == {"Base-1", "User-1"}
    assert set(stack.resources) == {"Base", "User"}

    cloudformation.things.mend()
    assert cloudformation.delete("one").status == "DELETE_COMPLETE"
    assert cloudformation.things.existing == set()


def test_what_cannot_be_deleted_can_be_left_behind(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing(), B=thing()))
    with pytest.raises(Refused, match="only when the stack is in the DELETE_FAILED state"):
        cloudformation.delete("one", "A")
    cloudformation.things.fail("delete", "A")
    cloudformation.delete("one")
    assert cloudformation.delete("one", "A").status == "DELETE_COMPLETE"
    assert cloudformation.things.existing == {"A-1"}


def test_a_cleanup_that_fails_does_not_fail_the_update(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing(), Go=thing()))
    cloudformation.things.fail("delete", "Go")
    stack = cloudformation.deploy("one", resources(A=thing()))
    assert stack.status == "UPDATE_COMPLETE"
    assert stack.status_reason == "Update successful. One or more resources could not be deleted."


def test_a_fault_of_the_engines_own_ends_in_a_failed_status(cloudformation, thing, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("our own fault")

    monkeypatch.setattr("localcloud.cloudformation.engine.Convergence", broken)
    stack = cloudformation.deploy("one", resources(A=thing()))
    assert stack.status == "CREATE_FAILED"
    assert "our own fault" in stack.status_reason
