"""Change sets, exports, parameters, tags and protection: what the CLI and other stacks rely on."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from localcloud.cloudformation.change_sets import Operations, Refused, Submission
from localcloud.cloudformation.descriptions import described_change_set, described_stack


def resources(**definitions: Any) -> dict[str, Any]:
    return {"Resources": definitions}


def test_no_change_is_told_in_the_words_that_the_cli_knows(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing()))
    change_set = cloudformation.change_set("one", resources(A=thing()))
    assert change_set.status == "FAILED"
    assert change_set.status_reason.startswith("The submitted information didn't contain changes.")
    with pytest.raises(Refused, match="cannot be executed in its current status"):
        cloudformation.operations.execute_change_set(change_set)


@pytest.mark.parametrize("difference", ["parameter", "tag", "output", "stored parameter"])
def test_what_is_a_change(cloudformation, thing, difference):
    cloudformation.parameters["name"] = "old"
    template = {
        **resources(A=thing(Size={"Ref": "Size"})),
        "Parameters": {
            "Size": {"Type": "String", "Default": "1"},
            "Stored": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "name"},
        },
    }
    cloudformation.deploy("one", template)
    if difference == "stored parameter":
        cloudformation.parameters["name"] = "new"
    if difference == "output":
        template = {**template, "Outputs": {"Size": {"Value": {"Ref": "Size"}}}}
    change_set = cloudformation.change_set(
        "one",
        template,
        {"Size": "2"} if difference == "parameter" else {},
        tags={"a": "b"} if difference == "tag" else {},
    )
    assert change_set.status == "CREATE_COMPLETE"
    cloudformation.operations.execute_change_set(change_set)
    assert change_set.stack.status == "UPDATE_COMPLETE"


def test_a_change_set_says_what_would_happen_and_does_nothing(cloudformation, thing):
    before = resources(
        Same=thing(),
        Changed=thing(Size=1),
        Replaced=thing(Fixed=1),
        Gone=thing(),
        User=thing(Of={"Ref": "Replaced"}),
    )
    cloudformation.deploy("one", before)
    cloudformation.things.calls.clear()
    after = resources(
        Same=thing(),
        Changed=thing(Size=2),
        Replaced=thing(Fixed=2),
        New=thing(),
        User=thing(Of={"Ref": "Replaced"}),
    )
    described = described_change_set(cloudformation.change_set("one", after))
    told = {
        one["ResourceChange"]["LogicalResourceId"]: (
            one["ResourceChange"]["Action"],
            one["ResourceChange"].get("Replacement"),
        )
        for one in described["Changes"]
    }
    assert told == {
        "Changed": ("Modify", "False"),
        "Replaced": ("Modify", "True"),
        "User": ("Modify", "False"),
        "New": ("Add", None),
        "Gone": ("Remove", None),
    }
    details = {
        one["ResourceChange"]["LogicalResourceId"]: [
            (detail["Target"]["Name"], detail["Target"]["RequiresRecreation"])
            for detail in one["ResourceChange"]["Details"]
        ]
        for one in described["Changes"]
    }
    assert details["Replaced"] == [("Fixed", "Always")] and details["Changed"] == [("Size", "Never")]
    assert cloudformation.things.calls == []


def test_a_change_set_of_a_new_stack_creates_nothing_but_the_stack(cloudformation, thing):
    change_set = cloudformation.change_set("one", resources(A=thing()))
    assert change_set.stack.status == "REVIEW_IN_PROGRESS"
    assert cloudformation.things.calls == []
    cloudformation.delete("one")
    assert cloudformation.stack("one") is None


def test_a_change_sets_name_is_taken_once(cloudformation, thing):
    submission = Submission('{"Resources": {"A": {"Type": "Test::Remembering"}}}')
    cloudformation.operations.create_change_set("one", "first", "CREATE", submission)
    with pytest.raises(Refused, match=r"ChangeSet \[first\] already exists") as refused:
        cloudformation.operations.create_change_set("one", "first", "CREATE", submission)
    assert refused.value.code == "AlreadyExistsException"


def test_an_executed_change_set_invalidates_the_others(cloudformation, thing):
    cloudformation.deploy("one", resources(A=thing(Size=1)))
    stale = cloudformation.change_set("one", resources(A=thing(Size=2)))
    cloudformation.deploy("one", resources(A=thing(Size=3)))
    with pytest.raises(Refused, match="does not exist"):
        cloudformation.operations.change_set(stale.name, "one")


def test_one_operation_at_a_time(cloudformation, thing):
    going, finish = threading.Event(), threading.Event()
    cloudformation.things.meanwhile["create", "A"] = lambda: (going.set(), finish.wait(20))
    operations: Operations = cloudformation.operations
    operations.answer_within_seconds = 0.0
    stack = cloudformation.deploy("one", resources(A=thing()))
    assert going.wait(20) and stack.status == "CREATE_IN_PROGRESS", "an answer comes before the end"
    with pytest.raises(Refused, match="CREATE_IN_PROGRESS state and can not be updated"):
        cloudformation.operations.update_stack("one", Submission("{}"))
    with pytest.raises(Refused, match="CREATE_IN_PROGRESS state and can not be deleted"):
        cloudformation.delete("one")
    finish.set()


def test_a_protected_stack_cannot_be_deleted(cloudformation, thing):
    stack = cloudformation.deploy("one", resources(A=thing()))
    stack.termination_protection = True
    with pytest.raises(
        Refused, match=r"Stack \[one\] cannot be deleted while TerminationProtection is enabled"
    ):
        cloudformation.delete("one")
    assert cloudformation.things.existing == {"A-1"}


def test_deleting_what_does_not_exist_succeeds(cloudformation):
    cloudformation.operations.delete_stack("never", frozenset())


def exporting(value: str) -> dict[str, Any]:
    return {
        "Resources": {"A": {"Type": "Test::Remembering"}},
        "Outputs": {"Out": {"Value": value, "Export": {"Name": {"Fn::Sub": "${AWS::StackName}-out"}}}},
    }


IMPORTING = {
    "Resources": {
        "B": {"Type": "Test::Remembering", "Properties": {"Of": {"Fn::ImportValue": "producer-out"}}}
    }
}


def test_an_export_in_use_holds_its_value_and_its_stack(cloudformation):
    cloudformation.deploy("producer", exporting("1"))
    cloudformation.deploy("consumer", IMPORTING)
    assert cloudformation.things.last("create", "B").properties == {"Of": "1"}

    changed = cloudformation.deploy("producer", exporting("2"))
    assert changed.status == "UPDATE_ROLLBACK_COMPLETE"
    assert any(
        "Export producer-out cannot be updated as it is in use by consumer" in (one.reason or "")
        for one in changed.events
    )
    without = cloudformation.deploy("producer", resources(A={"Type": "Test::Remembering"}))
    assert without.status == "UPDATE_ROLLBACK_COMPLETE"
    deleted = cloudformation.delete("producer")
    assert deleted.status == "DELETE_FAILED"
    assert deleted.status_reason == (
        "Delete canceled. Export producer-out cannot be deleted as it is in use by consumer"
    )
    assert cloudformation.things.existing == {"A-1", "B-1"}

    cloudformation.delete("consumer")
    assert cloudformation.deploy("producer2", exporting("3")).status == "CREATE_COMPLETE"
    assert cloudformation.delete("producer").status == "DELETE_COMPLETE"
    assert cloudformation.operations.region.exports.value("producer-out") is None


def test_an_import_that_an_update_drops_frees_the_export(cloudformation, thing):
    cloudformation.deploy("producer", exporting("1"))
    cloudformation.deploy("consumer", IMPORTING)
    cloudformation.deploy("consumer", resources(B=thing()))
    assert cloudformation.deploy("producer", exporting("2")).status == "UPDATE_COMPLETE"


def test_an_import_that_a_failed_update_dropped_still_holds_the_export(cloudformation, thing):
    cloudformation.deploy("producer", exporting("1"))
    cloudformation.deploy("consumer", IMPORTING)
    cloudformation.things.fail("create", "Bad")
    cloudformation.deploy("consumer", resources(B=thing(), Bad=thing(["B"])))
    cloudformation.things.mend()
    assert cloudformation.deploy("producer", exporting("2")).status == "UPDATE_ROLLBACK_COMPLETE"


def test_two_stacks_cannot_export_one_name(cloudformation):
    cloudformation.deploy("producer", exporting("1"))
    twin = exporting("1")
    twin["Outputs"]["Out"]["Export"]["Name"] = "producer-out"
    stack = cloudformation.deploy("other", twin)
    assert stack.status == "ROLLBACK_COMPLETE"
    assert any(
        "Export with name producer-out is already exported by stack producer" in (one.reason or "")
        for one in stack.events
    )


def test_an_export_that_does_not_exist_is_refused_before_anything_begins(cloudformation):
    with pytest.raises(Refused, match="No export named producer-out found"):
        cloudformation.deploy("consumer", IMPORTING)
    assert cloudformation.things.calls == []


def test_secrets_reach_the_handler_and_are_kept_nowhere(cloudformation):
    cloudformation.secrets["arn:aws:secretsmanager:us-east-1:1:secret:s"] = '{"password": "canary-7"}'
    reference = (
        "{{resolve:secretsmanager:arn:aws:secretsmanager:us-east-1:1:secret:s:SecretString:password::}}"
    )
    template = resources(A={"Type": "Test::Remembering", "Properties": {"Password": reference}})
    stack = cloudformation.deploy("one", template)
    assert cloudformation.things.last("create", "A").properties == {"Password": "canary-7"}
    kept = repr((stack.resources["A"].properties, stack.events, described_stack(stack), stack.target))
    assert "canary-7" not in kept
    assert cloudformation.change_set("one", template).status == "FAILED", "a rotated secret is no change"


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("{{resolve:secretsmanager:s}}", '{"a": 1}'),
        ("x{{resolve:secretsmanager:s:SecretString:a}}y", "x1y"),
        ("{{resolve:ssm:name:3}}", "stored"),
        ("{{resolve:ssm-secure:name:3}}", "stored"),
    ],
)
def test_dynamic_references(cloudformation, reference, value):
    cloudformation.secrets["s"], cloudformation.parameters["name:3"] = '{"a": 1}', "stored"
    cloudformation.deploy("one", resources(A={"Type": "Test::Remembering", "Properties": {"P": reference}}))
    assert cloudformation.things.last("create", "A").properties == {"P": value}


def test_a_dynamic_reference_to_nowhere_fails_its_resource(cloudformation):
    cloudformation.secrets["s"] = '{"a": 1}'
    reference = "{{resolve:secretsmanager:s:SecretString:b}}"
    stack = cloudformation.deploy(
        "one", resources(A={"Type": "Test::Remembering", "Properties": {"P": reference}})
    )
    assert stack.status == "ROLLBACK_COMPLETE"
    assert any(
        "Could not find a value associated with JSONKey b" in (one.reason or "") for one in stack.events
    )


def test_stack_tags_reach_what_can_be_tagged_and_its_own_tags_win(cloudformation):
    for name in ("AWS::S3::Bucket", "AWS::SSM::Parameter", "AWS::S3::BucketPolicy"):
        cloudformation.types[name] = cloudformation.things
    template = resources(
        Bucket={"Type": "AWS::S3::Bucket", "Properties": {"Tags": [{"Key": "a", "Value": "own"}]}},
        Parameter={"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "v"}},
        Policy={"Type": "AWS::S3::BucketPolicy", "Properties": {"Bucket": "b", "PolicyDocument": {}}},
    )
    cloudformation.deploy("one", template, tags={"a": "stack", "b": "stack"})
    last = cloudformation.things.last
    assert last("create", "Bucket").properties["Tags"] == [
        {"Key": "a", "Value": "own"},
        {"Key": "b", "Value": "stack"},
    ]
    assert last("create", "Parameter").properties["Tags"] == {"a": "stack", "b": "stack"}
    assert "Tags" not in last("create", "Policy").properties

    cloudformation.deploy("one", template, tags={"a": "stack", "b": "new"})
    assert sorted(cloudformation.things.order("update")) == ["Bucket", "Parameter"]


def test_parameters_default_given_previous_and_hidden(cloudformation, thing):
    template = {
        **resources(A=thing(Size={"Ref": "Size"}, Names={"Ref": "Names"}, Key={"Ref": "Key"})),
        "Parameters": {
            "Size": {"Type": "Number", "Default": 3},
            "Names": {"Type": "CommaDelimitedList", "Default": "a, b"},
            "Key": {"Type": "String", "NoEcho": True},
        },
    }
    stack = cloudformation.deploy("one", template, {"Key": "canary-8"})
    assert cloudformation.things.last("create", "A").properties == {
        "Size": "3",
        "Names": ["a", "b"],
        "Key": "canary-8",
    }
    shown = {one["ParameterKey"]: one["ParameterValue"] for one in described_stack(stack)["Parameters"]}
    assert shown == {"Size": "3", "Names": "a, b", "Key": "****"}
    cloudformation.deploy("one", template, {"Size": "4", "Key": None})
    assert cloudformation.things.last("update", "A").properties["Key"] == "canary-8", "the previous value"


PARAMETERS = {
    "missing": ({"Type": "String"}, {}, r"Parameters: \[P\] must have values"),
    "unknown": (
        {"Type": "String", "Default": "x"},
        {"Q": "1"},
        r"Parameters: \[Q\] do not exist in the template",
    ),
    "allowed values": ({"Type": "String", "AllowedValues": ["a"]}, {"P": "b"}, "be one of AllowedValues"),
    "pattern": ({"Type": "String", "AllowedPattern": "[a-z]+"}, {"P": "B"}, "match pattern"),
    "own words": (
        {"Type": "String", "AllowedPattern": "[a-z]+", "ConstraintDescription": "lower case please"},
        {"P": "B"},
        "lower case please",
    ),
    "too short": ({"Type": "String", "MinLength": 3}, {"P": "ab"}, "at least 3 characters"),
    "too long": ({"Type": "String", "MaxLength": 3}, {"P": "abcd"}, "at most 3 characters"),
    "no number": ({"Type": "Number"}, {"P": "many"}, "be a number"),
    "too small": ({"Type": "Number", "MinValue": 3}, {"P": "2"}, "not less than 3"),
    "too large": ({"Type": "Number", "MaxValue": 3}, {"P": "4"}, "not greater than 3"),
    "not stored": (
        {"Type": "AWS::SSM::Parameter::Value<String>"},
        {"P": "nowhere"},
        r"fetch parameters \[nowhere\]",
    ),
}


@pytest.mark.parametrize("case", PARAMETERS)
def test_parameters_that_are_refused(cloudformation, thing, case):
    declared, given, message = PARAMETERS[case]
    with pytest.raises(Refused, match=message):
        cloudformation.deploy("one", {**resources(A=thing()), "Parameters": {"P": declared}}, given)
    assert cloudformation.stack("one") is None, "nothing has begun"


def test_identities_have_to_be_acknowledged(cloudformation):
    cloudformation.types["AWS::IAM::Role"] = cloudformation.things
    role = '{"Resources": {"A": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}}}'
    with pytest.raises(Refused, match=r"Requires capabilities : \[CAPABILITY_IAM\]"):
        cloudformation.operations.create_stack("one", Submission(role))
    assert (
        cloudformation.operations.create_stack(
            "one", Submission(role, capabilities=["CAPABILITY_IAM"])
        ).status
        == "CREATE_COMPLETE"
    )


def test_an_import_that_a_failed_update_added_does_not_hold_the_export(cloudformation, thing):
    cloudformation.deploy("producer", exporting("1"))
    cloudformation.deploy("consumer", resources(C=thing()))
    cloudformation.things.fail("create", "Bad")
    added = {**IMPORTING["Resources"], "C": thing(), "Bad": thing(["B"])}
    assert cloudformation.deploy("consumer", {"Resources": added}).status == "UPDATE_ROLLBACK_COMPLETE"
    assert cloudformation.deploy("producer", exporting("2")).status == "UPDATE_COMPLETE"


def test_an_export_is_held_while_its_importer_is_still_being_created(cloudformation, thing):
    cloudformation.deploy("producer", exporting("1"))
    going, finish = threading.Event(), threading.Event()
    cloudformation.things.meanwhile["create", "B"] = lambda: (going.set(), finish.wait(20))
    consumer = threading.Thread(target=cloudformation.deploy, args=("consumer", IMPORTING))
    consumer.start()
    assert going.wait(20)
    assert cloudformation.deploy("producer", exporting("2")).status == "UPDATE_ROLLBACK_COMPLETE"
    finish.set()
    consumer.join()
    assert cloudformation.stack("consumer").status == "CREATE_COMPLETE"
