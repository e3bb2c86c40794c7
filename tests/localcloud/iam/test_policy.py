"""What AWS would not have stored as a policy is refused, with what is wrong with it."""

import json

import pytest

from localcloud.iam.policy import MalformedPolicy, Policy

ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
SYNTAX = "Syntax errors in policy. "


def without(name):
    return {key: value for key, value in ALLOW.items() if key != name}


MALFORMED = [
    ("not-json", "{", SYNTAX + "(it is not JSON: "),
    ("no-object", "[]", SYNTAX + "(a policy has to be an object, and is [])"),
    ("no-statement", {"Version": "2012-10-17"}, SYNTAX + "(the policy has no Statement)"),
    ("empty-statements", {"Statement": []}, SYNTAX + "(the policy has no Statement)"),
    ("unknown-element", {"Statement": ALLOW, "Name": "x"}, SYNTAX + "(the policy has Name)"),
    (
        "unknown-version",
        {"Version": "2012-10-18", "Statement": ALLOW},
        "Policy document must be version 2012-10-17 or greater. It is '2012-10-18'.",
    ),
    ("text-statement", {"Statement": "Allow"}, SYNTAX + "(a statement has to be an object, and is 'Allow')"),
    ("no-effect", {"Statement": without("Effect")}, SYNTAX + "(Effect is None, and has to be Allow or Deny)"),
    (
        "effect-in-lower-case",
        {"Statement": {**ALLOW, "Effect": "allow"}},
        SYNTAX + "(Effect is 'allow', and has to be Allow or Deny)",
    ),
    ("no-action", {"Statement": without("Action")}, "Policy statement must contain actions."),
    ("no-resource", {"Statement": without("Resource")}, "Policy statement must contain resources."),
    (
        "action-without-service",
        {"Statement": {**ALLOW, "Action": ["s3:*", "GetObject"]}},
        "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc. (GetObject)",
    ),
    (
        "resource-without-arn",
        {"Statement": {**ALLOW, "Resource": "bucket"}},
        'Resource bucket must be in ARN format or "*".',
    ),
    (
        "resource-object",
        {"Statement": {**ALLOW, "Resource": {"a": 1}}},
        SYNTAX + "(Resource is {'a': 1}, and has",
    ),
    (
        "both-actions",
        {"Statement": {**ALLOW, "NotAction": "s3:*"}},
        SYNTAX + "(a statement has Action and NotAction)",
    ),
    (
        "both-principals",
        {"Statement": {**ALLOW, "Principal": "*", "NotPrincipal": "*"}},
        SYNTAX + "(a statement has Principal and NotPrincipal)",
    ),
    (
        "unknown-statement-element",
        {"Statement": {**ALLOW, "Effects": 1}},
        SYNTAX + "(a statement has Effects)",
    ),
    (
        "principal-text",
        {"Statement": {**ALLOW, "Principal": "me"}},
        SYNTAX + "(Principal has to be an object",
    ),
    ("principal-type", {"Statement": {**ALLOW, "Principal": {"User": "x"}}}, SYNTAX + "(Principal has User)"),
    (
        "unknown-operator",
        {"Statement": {**ALLOW, "Condition": {"StringEqual": {"aws:a": "b"}}}},
        SYNTAX + "(Invalid Condition type : StringEqual)",
    ),
    (
        "unknown-set-operator",
        {"Statement": {**ALLOW, "Condition": {"ForEach:StringEquals": {"aws:a": "b"}}}},
        SYNTAX + "(Invalid Condition type : ForEach:StringEquals)",
    ),
    (
        "null-if-exists",
        {"Statement": {**ALLOW, "Condition": {"NullIfExists": {"aws:a": "true"}}}},
        SYNTAX + "(Invalid Condition type : NullIfExists)",
    ),
    (
        "condition-without-key",
        {"Statement": {**ALLOW, "Condition": {"StringEquals": "aws:a"}}},
        SYNTAX + "(StringEquals has to be an object, and is 'aws:a')",
    ),
]


@pytest.mark.parametrize(
    ("document", "error"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED]
)
def test_refuses_what_is_no_policy(document, error):
    with pytest.raises(MalformedPolicy) as refused:
        Policy.parse(document)
    assert str(refused.value).startswith(error)


def test_takes_one_statement_for_a_list_and_text_for_an_object():
    policies = [{"Statement": ALLOW}, json.dumps({"Id": "x", "Statement": [{**ALLOW, "Sid": "One"}]})]
    assert [len(Policy.parse(document).statements) for document in policies] == [1, 1]


def test_a_policy_of_the_resource_itself_needs_no_resource_element():
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": ["lambda.amazonaws.com"]},
    }
    assert Policy.parse({"Statement": trust}).statements[0].resources is None
