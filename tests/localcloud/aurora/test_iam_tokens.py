"""A token admits exactly what it was signed for, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from localcloud.aurora.iam_tokens import Expected, TokenRefused, verify

from .conftest import KEY, REGION, key_of

EXPECTED = Expected("127.1.2.3", 5432, "shop_application", REGION)


def token(key=KEY, **changes) -> str:
    expected = replace(EXPECTED, **changes)
    return key.sign(expected.host, expected.port, expected.user, region=expected.region)


def test_a_token_made_by_boto3_admits_and_tells_the_principal():
    assert verify(token(), EXPECTED, key_of) == KEY.access_key_id


def test_a_key_without_a_session_signs_too():
    key = replace(KEY, session_token=None)
    assert verify(token(key), EXPECTED, lambda _: key) == KEY.access_key_id


def test_names_that_need_encoding_are_signed_and_read_alike():
    odd = "röle with/odd=name+&~"
    assert verify(token(user=odd), replace(EXPECTED, user=odd), key_of) == KEY.access_key_id


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"host": "127.1.2.4"}, "it is for 127.1.2.4:5432"),
        ({"port": 5433}, "it is for 127.1.2.3:5433"),
        ({"user": "shop_admin"}, "it is for user shop_admin"),
        ({"region": "us-east-1"}, "it is for the region us-east-1"),
    ],
)
def test_a_token_for_something_else_is_refused(changes, reason):
    with pytest.raises(TokenRefused, match=reason):
        verify(token(**changes), EXPECTED, key_of)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Action=connect", "Action=drop", "Action is not connect"),
        ("rds-db", "s3", "signed for the service s3"),
        ("AWS4-HMAC-SHA256", "AWS4-NONE", "algorithm"),
        ("SignedHeaders=host", "SignedHeaders=", "headers"),
        ("X-Amz-Signature=", "X-Amz-Signature=0", "its signature is wrong"),
        ("X-Amz-Signature=", "X-Amz-Nothing=", "not signed"),
        ("X-Amz-Security-Token=", "X-Amz-Security-Token=x", "its session token is wrong"),
        ("Action=connect", "Action=connect&Action=connect", "a field comes twice"),
        ("X-Amz-Expires=900", "X-Amz-Expires=90000", "its signature is wrong"),
        ("X-Amz-Expires=900", "X-Amz-Expires=forever", "no IAM token"),
        ("X-Amz-Date=2", "X-Amz-Date=3", "scope does not fit its date"),
    ],
)
def test_a_changed_token_is_refused(old, new, reason):
    good = token()
    assert old in good
    with pytest.raises(TokenRefused, match=reason):
        verify(good.replace(old, new), EXPECTED, key_of)


def test_a_token_signed_with_another_secret_is_refused():
    with pytest.raises(TokenRefused, match="its signature is wrong"):
        verify(token(replace(KEY, secret_access_key="another")), EXPECTED, key_of)


def test_an_unknown_key_is_refused():
    with pytest.raises(TokenRefused, match="is unknown"):
        verify(token(replace(KEY, access_key_id="ASIAUNKNOWN")), EXPECTED, key_of)


def test_without_the_session_token_a_session_does_not_admit():
    with pytest.raises(TokenRefused, match="its session token is wrong"):
        verify(token(replace(KEY, session_token=None)), EXPECTED, key_of)


@pytest.mark.parametrize(("age_seconds", "holds"), [(-600, False), (-200, True), (890, True), (910, False)])
def test_a_token_holds_for_fifteen_minutes(age_seconds, holds):
    now = datetime.now(UTC) + timedelta(seconds=age_seconds)
    good = token()
    if holds:
        assert verify(good, EXPECTED, key_of, now=now) == KEY.access_key_id
    else:
        with pytest.raises(TokenRefused, match=r"expired|ahead"):
            verify(good, EXPECTED, key_of, now=now)


@pytest.mark.parametrize(
    "text",
    ["", "a password", "?", "host:5432/?Action=connect", "[::1/?X-Amz-Credential=a", quote("\0\xff" * 50)],
)
def test_what_is_no_token_is_refused(text):
    with pytest.raises(TokenRefused, match="no IAM token"):
        verify(text, EXPECTED, key_of)
