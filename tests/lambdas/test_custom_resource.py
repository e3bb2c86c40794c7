"""CloudFormation's events are typed or refused with a reason; answers fit and hold no secret."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora import redaction
from custom_resource import CustomResourceFailed, MalformedEvent, Request, RequestType, explained, respond
from custom_resource.properties import Properties

CREATE = {
    "RequestType": "Create",
    "ResponseURL": "https://cloudformation-custom-resource-response.example/",
    "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop-dev-schema/51af3dc0-da77-11e4",
    "RequestId": "5478764b-5f1c-4f5e-8c5b-8d2b9d4e0a11",
    "ResourceType": "Custom::Migrations",
    "LogicalResourceId": "Migrations",
    "ResourceProperties": {"ServiceToken": "arn:aws:lambda:…", "Digest": "a" * 64},
}
UPDATE = {
    **CREATE,
    "RequestType": "Update",
    "PhysicalResourceId": "migrations",
    "OldResourceProperties": {"ServiceToken": "arn:aws:lambda:…", "Digest": "b" * 64},
}
DELETE = {**CREATE, "RequestType": "Delete", "PhysicalResourceId": "migrations"}


def test_a_create_has_no_physical_id_yet():
    request = Request.from_event(CREATE)
    assert request.type is RequestType.CREATE
    assert request.physical_resource_id is None
    assert dict(request.properties) == {"Digest": "a" * 64}
    assert dict(request.old_properties) == {}


def test_an_update_knows_both_sides():
    request = Request.from_event(UPDATE)
    assert (request.type, request.physical_resource_id) == (RequestType.UPDATE, "migrations")
    assert request.properties.digest("Digest") != request.old_properties.digest("Digest")


def test_a_delete_needs_no_sound_properties():
    """A resource whose Create failed over its properties is deleted with the same ones."""
    request = Request.from_event({**DELETE, "ResourceProperties": {"Digest": ["not", "text"]}})
    assert request.type is RequestType.DELETE


MALFORMED = {
    "not an object": ("", "the event is ''"),
    "a list": ([CREATE], "expected an object"),
    "nothing": (None, "the event is missing"),
    "no request type": ({**CREATE, "RequestType": None}, "RequestType is missing"),
    "unknown request type": (
        {**CREATE, "RequestType": "Destroy"},
        "RequestType is 'Destroy': expected Create,",
    ),
    "request type in lower case": ({**CREATE, "RequestType": "create"}, "RequestType is 'create'"),
    "request type as list": ({**CREATE, "RequestType": ["Create"]}, r"RequestType is \['Create'\]"),
    "request type as number": ({**CREATE, "RequestType": 1}, "RequestType is 1"),
    "no logical id": ({**CREATE, "LogicalResourceId": None}, "LogicalResourceId is missing"),
    "empty logical id": ({**CREATE, "LogicalResourceId": ""}, "LogicalResourceId is ''"),
    "NUL in an id": ({**CREATE, "LogicalResourceId": "a\0b"}, r"LogicalResourceId is 'a\\x00b'"),
    "line break in an id": ({**CREATE, "RequestId": "a\nb"}, "RequestId is"),
    "bidirectional override in an id": ({**CREATE, "RequestId": "a\u202eb"}, "RequestId is"),
    "half a surrogate pair in an id": ({**CREATE, "RequestId": "\ud800"}, "RequestId is"),
    "over-long id": ({**DELETE, "PhysicalResourceId": "x" * 1025}, "PhysicalResourceId is 'xxx"),
    "no physical id on delete": ({**DELETE, "PhysicalResourceId": None}, "PhysicalResourceId is missing"),
    "no physical id on update": ({**UPDATE, "PhysicalResourceId": ""}, "PhysicalResourceId is ''"),
    "physical id as number": ({**UPDATE, "PhysicalResourceId": 7}, "PhysicalResourceId is 7"),
    "stack id that is no ARN": ({**CREATE, "StackId": "shop"}, "StackId is 'shop': expected the ARN"),
    "ARN of something else": ({**CREATE, "StackId": "arn:aws:s3:::bucket"}, "expected the ARN of a stack"),
    "ARN with a path in it": ({**CREATE, "StackId": CREATE["StackId"] + "/../x"}, "expected the ARN"),
    "properties as text": ({**CREATE, "ResourceProperties": "Digest"}, "ResourceProperties is 'Digest'"),
    "properties as list": ({**CREATE, "ResourceProperties": []}, "ResourceProperties is"),
    "properties with a number as name": ({**CREATE, "ResourceProperties": {1: "x"}}, "ResourceProperties is"),
    "old properties as text": ({**UPDATE, "OldResourceProperties": "x"}, "OldResourceProperties is 'x'"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_event_is_refused_with_what_was_expected(case):
    event, message = MALFORMED[case]
    with pytest.raises(MalformedEvent, match=message) as refused:
        Request.from_event(event)
    assert len(str(refused.value)) < 1000


def test_all_that_is_wrong_is_named_at_once():
    with pytest.raises(MalformedEvent) as refused:
        Request.from_event({})
    for name in ("RequestType", "LogicalResourceId", "StackId", "RequestId"):
        assert name in str(refused.value)


WRONG_PROPERTIES = {
    "missing digest": ({}, lambda p: p.digest("Digest"), "property Digest is missing"),
    "short digest": ({"Digest": "abc"}, lambda p: p.digest("Digest"), "Digest is 'abc': expected a SHA-256"),
    "digest in upper case": ({"Digest": "A" * 64}, lambda p: p.digest("Digest"), "expected a SHA-256"),
    "digest with a line break": ({"Digest": "a" * 64 + "\n"}, lambda p: p.digest("Digest"), "expected a SHA"),
    "digest as number": ({"Digest": 5}, lambda p: p.digest("Digest"), "Digest is 5"),
    "empty text": ({"Key": ""}, lambda p: p.text("Key"), "Key is ''"),
    "text with NUL": ({"Key": "a\0"}, lambda p: p.text("Key"), "printable"),
    "over-long text": ({"Key": "x" * 2000}, lambda p: p.text("Key", longest=1024), "1 to 1024"),
    "text as list": ({"Key": ["x"]}, lambda p: p.text("Key"), r"Key is \['x'\]"),
    "optional text that is empty": ({"Key": ""}, lambda p: p.optional_text("Key"), "Key is ''"),
    "optional text as null": ({"Key": None}, lambda p: p.optional_text("Key"), "Key is None"),
    "yes for true": ({"Force": "yes"}, lambda p: p.boolean("Force"), "expected true or false"),
    "True for true": ({"Force": "True"}, lambda p: p.boolean("Force"), "expected true or false"),
    "1 for true": ({"Force": 1}, lambda p: p.boolean("Force"), "expected true or false"),
    "number in words": ({"N": "ten"}, lambda p: p.whole_number("N", smallest=0, largest=9), "0 to 9"),
    "fraction": ({"N": "1.0"}, lambda p: p.whole_number("N", smallest=0, largest=9), "N is '1.0'"),
    "number out of range": ({"N": "10"}, lambda p: p.whole_number("N", smallest=0, largest=9), "0 to 9"),
    "boolean for a number": ({"N": True}, lambda p: p.whole_number("N", smallest=0, largest=9), "N is True"),
    "other digits": ({"N": "٣"}, lambda p: p.whole_number("N", smallest=0, largest=9), "expected a whole"),
    "endless number": ({"N": "9" * 9999}, lambda p: p.whole_number("N", smallest=0, largest=9), "0 to 9"),
    "unknown property": ({"Digset": "x"}, lambda p: p.allow("Digest"), "unknown properties 'Digset'"),
}


@pytest.mark.parametrize("case", WRONG_PROPERTIES)
def test_a_wrong_property_is_refused_with_what_was_expected(case):
    values, read, message = WRONG_PROPERTIES[case]
    with pytest.raises(MalformedEvent, match=message) as refused:
        read(Properties(values))
    assert len(str(refused.value)) < 300


def test_properties_are_read_by_their_type():
    properties = Properties({"Force": "true", "Off": "false", "Native": True, "N": "42", "Key": "a/b.csv.gz"})
    assert [properties.boolean(name) for name in ("Force", "Off", "Native")] == [True, False, True]
    assert properties.whole_number("N", smallest=0, largest=100) == 42
    assert (properties.text("Key"), properties.optional_text("Missing")) == ("a/b.csv.gz", None)
    properties.allow("Force", "Off", "Native", "N", "Key", "AndMore")


LIMIT_BYTES = 4096
ENVELOPE = {key: CREATE[key] for key in ("StackId", "RequestId", "LogicalResourceId")}


def response_bytes(answer):
    return len(json.dumps({"Status": "SUCCESS", **ENVELOPE, **answer}).encode())


def test_a_small_answer_stays_as_it_is():
    assert respond("migrations", {"SchemaVersion": "0003", "Applied": 3}) == {
        "PhysicalResourceId": "migrations",
        "Data": {"SchemaVersion": "0003", "Applied": "3"},
    }


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=9000), max_size=6))
def test_every_answer_fits(data):
    answer = respond("x" * 100, data)
    assert response_bytes(answer) <= LIMIT_BYTES
    assert answer["Data"].keys() == data.keys()


def test_only_what_is_too_long_is_cut_and_the_cut_is_visible():
    data = respond("smoke-test", {"Result": "passed", "Report": "ä" * 9000})["Data"]
    assert data["Result"] == "passed"
    assert data["Report"].endswith("ä…")


def failing(error):
    @explained
    def on_event(event, context):
        raise error

    return on_event


def test_a_failure_s_reason_is_the_error_s_type_and_text():
    with pytest.raises(CustomResourceFailed, match=r"^ValueError: V0004__x\.sql:12: syntax error$"):
        failing(ValueError("V0004__x.sql:12: syntax error"))({}, None)


def test_a_long_reason_is_cut():
    with pytest.raises(CustomResourceFailed) as failed:
        failing(ValueError("\u202e" * 5000))({}, None)
    assert len(json.dumps(str(failed.value))) <= 1500


SECRETS = {
    "a value that the process read": "canary-S3cret!",
    "a password in JSON": '{"username": "shop_admin", "password": "canary-in-json"}',
    "a password in a connection string": "connection to host=db user=x password=canary-in-dsn failed",
    "a password in a URL": "postgresql://shop_admin:canary-in-url@db/shop",
    "a password in SQL": "syntax error at: ALTER ROLE x PASSWORD 'canary''in-sql' VALID",
    "a signed token": "db:5432/?Action=connect&X-Amz-Security-Token=canary-token&X-Amz-Signature=canary",
}


@pytest.mark.parametrize("case", SECRETS)
def test_secrets_reach_neither_the_reason_nor_the_log_nor_the_cause(case, caplog):
    redaction.remember("canary-S3cret!")
    try:
        with caplog.at_level(logging.ERROR), pytest.raises(CustomResourceFailed) as failed:
            failing(ValueError(SECRETS[case]))({}, None)
    finally:
        redaction._known.clear()
    assert "canary" not in str(failed.value) + caplog.text
    assert "***" in str(failed.value)
    assert failed.value.__suppress_context__ and failed.value.__cause__ is None
    assert "Traceback" in caplog.text


def test_ordinary_words_are_not_redacted():
    text = 'password authentication failed for user "shop_admin"; relation "passwords" does not exist'
    assert redaction.redact(text) == text
