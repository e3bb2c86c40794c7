"""Templates and intrinsic functions: what is understood gives AWS's value, what is not fails by name."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from localcloud.cloudformation.change_sets import Refused
from localcloud.cloudformation.schemas import schema
from localcloud.cloudformation.template import TemplateInvalid, parse


def template(value: Any, **sections: Any) -> dict[str, Any]:
    return {
        "Resources": {
            "Base": {"Type": "Test::Remembering", "Properties": {"Name": "base", "List": ["x", "y"]}},
            "A": {"Type": "Test::Remembering", "Properties": {"Value": value}},
        },
        "Parameters": {
            "P": {"Type": "String", "Default": "p"},
            "L": {"Type": "CommaDelimitedList", "Default": "a,b"},
        },
        "Mappings": {"Map": {"us-east-1": {"size": 7, "list": ["m"]}}},
        "Conditions": {
            "Yes": {"Fn::Equals": [{"Ref": "P"}, "p"]},
            "No": {"Fn::Not": [{"Condition": "Yes"}]},
            "Both": {"Fn::And": [{"Condition": "Yes"}, {"Condition": "No"}]},
            "Either": {"Fn::Or": [{"Condition": "Yes"}, {"Condition": "No"}]},
            "Region": {"Fn::Equals": [{"Ref": "AWS::Region"}, "us-east-1"]},
        },
        **sections,
    }


VALUES: dict[str, tuple[Any, Any]] = {
    "plain": ({"a": [1, True, None, "x"]}, {"a": [1, True, None, "x"]}),
    "a key named Condition": (
        {"Condition": {"StringEquals": {"a": "b"}}},
        {"Condition": {"StringEquals": {"a": "b"}}},
    ),
    "a key named Ref among others": ({"Ref": "x", "Other": 1}, {"Ref": "x", "Other": 1}),
    "Ref of a resource": ({"Ref": "Base"}, "Base-1"),
    "Ref of a parameter": ({"Ref": "L"}, ["a", "b"]),
    "pseudo parameters": (
        {"Fn::Sub": "${AWS::AccountId} ${AWS::Region} ${AWS::Partition} ${AWS::URLSuffix} ${AWS::StackName}"},
        "123456789012 us-east-1 aws amazonaws.com one",
    ),
    "NoValue in a map": ({"a": {"Ref": "AWS::NoValue"}, "b": 1}, {"b": 1}),
    "NoValue in a list": ([{"Ref": "AWS::NoValue"}, 1], [1]),
    "GetAtt": ({"Fn::GetAtt": ["Base", "Arn"]}, "arn:Base-1"),
    "GetAtt with a dot": ({"Fn::GetAtt": "Base.Arn"}, "arn:Base-1"),
    "Join": ({"Fn::Join": ["-", ["a", {"Ref": "Base"}, 1, True]]}, "a-Base-1-1-true"),
    "Join of a list": ({"Fn::Join": ["+", {"Ref": "L"}]}, "a+b"),
    "Split": ({"Fn::Split": ["-", {"Ref": "Base"}]}, ["Base", "1"]),
    "Select": ({"Fn::Select": ["1", {"Ref": "L"}]}, "b"),
    "Select of Split": ({"Fn::Select": [0, {"Fn::Split": [":", {"Fn::GetAtt": ["Base", "Arn"]}]}]}, "arn"),
    "Sub with values": ({"Fn::Sub": ["${x}-${P}-${Base.Arn}", {"x": {"Ref": "P"}}]}, "p-p-arn:Base-1"),
    "Sub with a literal": ({"Fn::Sub": "${!Literal} $ {P} ${P}"}, "${Literal} $ {P} p"),
    "GetAZs": ({"Fn::GetAZs": ""}, ["us-east-1a", "us-east-1b", "us-east-1c"]),
    "GetAZs of another region": ({"Fn::GetAZs": "eu-west-1"}, ["eu-west-1a", "eu-west-1b", "eu-west-1c"]),
    "Base64": ({"Fn::Base64": {"Ref": "P"}}, "cA=="),
    "FindInMap": ({"Fn::FindInMap": ["Map", {"Ref": "AWS::Region"}, "size"]}, 7),
    "FindInMap with a default": ({"Fn::FindInMap": ["Map", "nowhere", "size", {"DefaultValue": 9}]}, 9),
    "If yes": ({"Fn::If": ["Yes", "then", {"Ref": "Base"}]}, "then"),
    "If no": ({"Fn::If": ["No", "then", {"Ref": "P"}]}, "p"),
    "If and": ({"Fn::If": ["Both", 1, 2]}, 2),
    "If or": ({"Fn::If": ["Either", 1, 2]}, 1),
    "Cidr": ({"Fn::Cidr": ["10.0.0.0/16", 3, 8]}, ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]),
    "Cidr of small blocks": (
        {"Fn::Cidr": ["192.168.0.0/24", "2", "5"]},
        ["192.168.0.0/27", "192.168.0.32/27"],
    ),
    "Cidr of IPv6": ({"Fn::Select": [1, {"Fn::Cidr": ["2001:db8::/56", 2, 64]}]}, "2001:db8:0:1::/64"),
    "Length": ({"Fn::Length": {"Ref": "L"}}, 2),
    "ToJsonString": ({"Fn::ToJsonString": {"a": {"Ref": "P"}}}, '{"a":"p"}'),
}


@pytest.mark.parametrize("case", VALUES)
def test_values(cloudformation, case):
    raw, expected = VALUES[case]
    stack = cloudformation.deploy("one", template(raw))
    assert stack.status == "CREATE_COMPLETE", [event.reason for event in stack.events]
    assert cloudformation.things.last("create", "A").properties == {"Value": expected}


REFUSED: dict[str, tuple[Any, str]] = {
    "unknown function": (
        {"Fn::Magic": 1},
        "Encountered unsupported function: Fn::Magic Supported functions are",
    ),
    "macro": ({"Fn::Transform": {"Name": "AWS::Include"}}, "unsupported function: Fn::Transform"),
    "loop": ({"Fn::ForEach::x": []}, "unsupported function: Fn::ForEach::x"),
    "function beside others": ({"Fn::Join": ["", []], "x": 1}, "Fn::Join does not stand alone"),
    "Ref of nothing": (
        {"Ref": "Nobody"},
        r"Unresolved resource dependencies \[Nobody\] in the Resources block",
    ),
    "GetAtt of nothing": ({"Fn::GetAtt": ["Nobody", "Arn"]}, r"\[Nobody\]"),
    "Sub of nothing": ({"Fn::Sub": "${Nobody}"}, r"\[Nobody\]"),
    "GetAtt without attribute": ({"Fn::GetAtt": "Base"}, "requires two non-empty parameters"),
    "Select beyond": ({"Fn::Select": [2, {"Ref": "L"}]}, "nonexistent value at index 2"),
    "Select below": ({"Fn::Select": [-1, {"Ref": "L"}]}, "nonexistent value at index -1"),
    "Select of a string": ({"Fn::Select": [0, "abc"]}, "requires a list"),
    "Join of a map": ({"Fn::Join": ["", [{"a": 1}]]}, "needs a string"),
    "Sub of a list": ({"Fn::Sub": "${L}"}, "needs a string"),
    "FindInMap of nothing": (
        {"Fn::FindInMap": ["Map", "nowhere", "size"]},
        "Unable to get mapping for Map::nowhere::size",
    ),
    "unknown condition": ({"Fn::If": ["Perhaps", 1, 2]}, "condition dependency Perhaps"),
    "If with two": ({"Fn::If": ["Yes", 1]}, "three elements"),
    "Cidr too many": ({"Fn::Cidr": ["10.0.0.0/24", 3, 7]}, "has no 3 subnets of 7 bits"),
    "Join with one": ({"Fn::Join": ["x"]}, "list of two elements"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_values_that_are_refused_before_anything_begins(cloudformation, case):
    raw, message = REFUSED[case]
    with pytest.raises(Refused, match=message):
        cloudformation.deploy("one", template(raw))
    assert cloudformation.things.calls == []


def test_conditions_leave_resources_and_outputs_out(cloudformation):
    given = template("x")
    given["Resources"]["Out"] = {"Type": "Test::Remembering", "Condition": "No"}
    given["Resources"]["In"] = {"Type": "Test::Remembering", "Condition": "Region", "DependsOn": "Out"}
    given["Outputs"] = {
        "Gone": {"Value": {"Ref": "Out"}, "Condition": "No"},
        "There": {"Value": {"Ref": "In"}},
    }
    stack = cloudformation.deploy("one", given)
    assert set(stack.resources) == {"Base", "A", "In"}
    assert set(stack.outputs) == {"There"}


def test_a_branch_that_is_not_taken_is_no_dependency(cloudformation):
    given = template("x")
    given["Resources"]["A"]["Properties"] = {"Value": {"Fn::If": ["No", {"Ref": "B"}, 1]}}
    given["Resources"]["B"] = {"Type": "Test::Remembering", "Properties": {"Of": {"Ref": "A"}}}
    assert cloudformation.deploy("one", given).status == "CREATE_COMPLETE"


def test_a_circle_is_refused_by_its_members(cloudformation, thing):
    given = {
        "Resources": {
            "A": thing(Of={"Ref": "B"}),
            "B": thing(["C"]),
            "C": thing(Of={"Fn::Sub": "${A}"}),
            "Waits": thing(["A"]),
            "Needed": thing(),
        }
    }
    given["Resources"]["A"]["DependsOn"] = "Needed"
    with pytest.raises(Refused, match=r"Circular dependency between resources: \[A, B, C\]"):
        cloudformation.deploy("one", given)


def test_a_resource_that_refers_to_itself_is_a_circle(cloudformation, thing):
    with pytest.raises(Refused, match=r"Circular dependency between resources: \[A\]"):
        cloudformation.deploy("one", {"Resources": {"A": thing(Of={"Ref": "A"})}})


TEMPLATES: dict[str, tuple[Any, str]] = {
    "no resources": ({"Resources": {}}, "At least one Resources member"),
    "not an object": ([1], "unsupported structure"),
    "unknown section": (
        {"Resources": {"A": {"Type": "T"}}, "Resource": {}},
        r"property or properties \[Resource\]",
    ),
    "no type": ({"Resources": {"A": {}}}, "must contain a Type member"),
    "odd name": ({"Resources": {"A-b": {"Type": "T"}}}, "A-b is non alphanumeric"),
    "unknown member": ({"Resources": {"A": {"Type": "T", "Property": {}}}}, "'Property' of A"),
    "creation policy": ({"Resources": {"A": {"Type": "T", "CreationPolicy": {}}}}, "'CreationPolicy' of A"),
    "unknown policy": ({"Resources": {"A": {"Type": "T", "DeletionPolicy": "Keep"}}}, "'Keep'"),
    "macro": (
        {"Resources": {"A": {"Type": "T"}}, "Transform": "AWS::Serverless-2016-10-31"},
        "AWS::Serverless-2016",
    ),
    "unknown condition": ({"Resources": {"A": {"Type": "T", "Condition": "C"}}}, "condition dependency C"),
}


@pytest.mark.parametrize("case", TEMPLATES)
def test_templates_that_are_refused(case):
    body, message = TEMPLATES[case]
    with pytest.raises(TemplateInvalid, match=message):
        parse(json.dumps(body))


def test_text_that_is_no_template():
    with pytest.raises(TemplateInvalid, match="YAML not well-formed"):
        parse("a: [")


def test_yaml_with_short_forms_means_the_same_as_json():
    text = """
AWSTemplateFormatVersion: 2010-09-09
Conditions:
  IsA: !Equals [a, !Ref P]
Parameters:
  P: {Type: String, Default: 2020-01-01}
Resources:
  A:
    Type: Test::Remembering
    Properties:
      Arn: !GetAtt B.Arn
      Text: !Sub "${B}-x"
      Joined: !Join ["-", [!Ref B, x]]
      Maybe: !If [IsA, 1, 2]
      Condition: {Is: data}
"""
    body = parse(text).body
    assert body["AWSTemplateFormatVersion"] == "2010-09-09"
    assert body["Parameters"]["P"]["Default"] == "2020-01-01"
    assert body["Conditions"] == {"IsA": {"Fn::Equals": ["a", {"Ref": "P"}]}}
    assert body["Resources"]["A"]["Properties"] == {
        "Arn": {"Fn::GetAtt": "B.Arn"},
        "Text": {"Fn::Sub": "${B}-x"},
        "Joined": {"Fn::Join": ["-", [{"Ref": "B"}, "x"]]},
        "Maybe": {"Fn::If": ["IsA", 1, 2]},
        "Condition": {"Is": "data"},
    }


def test_an_unknown_resource_type_is_refused_by_name(cloudformation, thing):
    with pytest.raises(
        Refused, match=r"Unrecognized resource types: \[AWS::Braket::QuantumTask, Test::Nothing\]"
    ):
        cloudformation.deploy(
            "one",
            {
                "Resources": {
                    "A": thing(),
                    "B": {"Type": "Test::Nothing"},
                    "C": {"Type": "AWS::Braket::QuantumTask"},
                }
            },
        )


def test_a_rule_of_the_template_is_asserted(cloudformation, thing):
    rule = {
        "Assertions": [
            {
                "Assert": {"Fn::Not": [{"Fn::Contains": [["1", "2"], {"Ref": "Version"}]}]},
                "AssertDescription": "bootstrap again",
            }
        ]
    }
    given = {
        "Resources": {"A": thing()},
        "Parameters": {"Version": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/version"}},
        "Rules": {"CheckVersion": rule},
    }
    cloudformation.parameters["/version"] = "2"
    with pytest.raises(Refused, match="bootstrap again"):
        cloudformation.deploy("one", given)
    cloudformation.parameters["/version"] = "30"
    cloudformation.delete("one")
    assert cloudformation.deploy("one", given).status == "CREATE_COMPLETE"


BUCKETS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"Nope": 1}, r"#: extraneous key \[Nope\] is not permitted"),
    "unknown inside": (
        {"VersioningConfiguration": {"Status": "Enabled", "State": 1}},
        r"#/VersioningConfiguration: extraneous key \[State\] is not permitted",
    ),
    "missing inside": (
        {"VersioningConfiguration": {}},
        r"#/VersioningConfiguration: required key \[Status\] not found",
    ),
    "in a list": ({"Tags": [{"Key": "a"}]}, r"#/Tags/0: required key \[Value\] not found"),
    "enumeration": ({"VersioningConfiguration": {"Status": "On"}}, "On is not a valid enum value"),
    "a list for a map": ({"VersioningConfiguration": []}, "expected type: JSONObject, found: JSONArray"),
    "a map for a string": (
        {"BucketName": {"a": 1}},
        "#/BucketName: expected type: String, found: JSONObject",
    ),
    "read-only": ({"Arn": "x"}, r"extraneous key \[Arn\] is not permitted"),
}


@pytest.mark.parametrize("case", BUCKETS)
def test_properties_are_held_to_the_registrys_schema(cloudformation, case):
    cloudformation.types["AWS::S3::Bucket"] = cloudformation.things
    properties, message = BUCKETS[case]
    stack = cloudformation.deploy(
        "one", {"Resources": {"A": {"Type": "AWS::S3::Bucket", "Properties": properties}}}
    )
    assert stack.status == "ROLLBACK_COMPLETE"
    reason = next(one.reason for one in stack.events if one.status == "CREATE_FAILED")
    assert reason.startswith("Properties validation failed for resource A with message:\n")
    assert re.search(message, reason), reason
    assert cloudformation.things.calls == []


def test_numbers_and_truths_may_be_written_as_strings():
    assert (
        schema("AWS::KMS::Key").problems(
            {"KeyPolicy": {}, "EnableKeyRotation": "true", "PendingWindowInDays": "7"}
        )
        == []
    )


def test_properties_that_a_handler_does_not_know_fail(cloudformation, thing, monkeypatch):
    monkeypatch.setattr(type(cloudformation.things), "supported", frozenset({"Good"}))
    monkeypatch.setattr(type(cloudformation.things), "no_local_effect", frozenset({"Idle"}))
    assert (
        cloudformation.deploy("one", {"Resources": {"A": thing(Good=1, Idle=2)}}).status == "CREATE_COMPLETE"
    )
    stack = cloudformation.deploy("two", {"Resources": {"A": thing(Good=1, Other=2)}})
    reason = next(one.reason for one in stack.events if one.status == "CREATE_FAILED")
    assert reason == "Test::Remembering: the local cloud does not implement Other"
