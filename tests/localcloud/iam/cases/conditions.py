"""Condition operators: a row is an operator, what the policy wants, what the request has, whether it holds.

Each row makes two cases: an Allow with the condition, and a Deny with it beside an Allow without.
"""

from tests.localcloud.iam.case import ALLOWED, DENY_IN_IDENTITY, NO_IDENTITY, allow, case, deny

OPERATORS = "reference_policies_elements_condition_operators.html"
STRING = f"{OPERATORS}#Conditions_String"
NUMERIC = f"{OPERATORS}#Conditions_Numeric"
DATE = f"{OPERATORS}#Conditions_Date"
BOOLEAN = f"{OPERATORS}#Conditions_Boolean"
BINARY = f"{OPERATORS}#Conditions_BinaryEquals"
ADDRESS = f"{OPERATORS}#Conditions_IPAddress"
ARN = f"{OPERATORS}#Conditions_ARN"
IF_EXISTS = f"{OPERATORS}#Conditions_IfExists"
NULL = f"{OPERATORS}#Conditions_Null"
KEYS = "reference_policies_elements_condition.html"
SEVERAL = "reference_policies_condition-logic-multiple-context-keys-or-values.html"

MISSING = None
HOLDS, FAILS = True, False

_KEY = "aws:PrincipalTag/x"
_TOPIC = "arn:aws:sns:us-east-1:111122223333:topic"
_FINANCE = "arn:aws:someservice:*:111122223333:finance/*"
_STORE = "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"

# page, id, operator, wanted by the policy, in the request, whether the condition holds
ROWS = [
    (STRING, "equal", "StringEquals", "a", "a", HOLDS),
    (STRING, "other", "StringEquals", "a", "b", FAILS),
    (STRING, "case-counts", "StringEquals", "a", "A", FAILS),
    (STRING, "a-star-is-a-star", "StringEquals", "a*", "ab", FAILS),
    (STRING, "a-star-equals-itself", "StringEquals", "a*", "a*", HOLDS),
    (STRING, "missing", "StringEquals", "a", MISSING, FAILS),
    (STRING, "one-of-several", "StringEquals", ["a", "b"], "b", HOLDS),
    (STRING, "none-of-several", "StringEquals", ["a", "b"], "c", FAILS),
    (STRING, "empty", "StringEquals", "", "", HOLDS),
    (STRING, "different", "StringNotEquals", "a", "b", HOLDS),
    (STRING, "not-different", "StringNotEquals", "a", "a", FAILS),
    (STRING, "missing-is-different", "StringNotEquals", "a", MISSING, HOLDS),
    (STRING, "any-case", "StringEqualsIgnoreCase", "Yellow", "yELLOW", HOLDS),
    (STRING, "any-case-other", "StringEqualsIgnoreCase", "Yellow", "red", FAILS),
    (STRING, "any-case-missing", "StringEqualsIgnoreCase", "a", MISSING, FAILS),
    (STRING, "different-in-any-case", "StringNotEqualsIgnoreCase", "a", "b", HOLDS),
    (STRING, "not-different-in-any-case", "StringNotEqualsIgnoreCase", "a", "A", FAILS),
    (STRING, "star", "StringLike", "home/*", "home/bob/x", HOLDS),
    (STRING, "star-in-the-middle", "StringLike", "a*c", "abbc", HOLDS),
    (STRING, "mark", "StringLike", "t?.*", "t2.micro", HOLDS),
    (STRING, "mark-is-one-character", "StringLike", "t?", "t", FAILS),
    (STRING, "like-without-wildcard-is-whole", "StringLike", "home", "home/x", FAILS),
    (STRING, "like-counts-case", "StringLike", "Home/*", "home/x", FAILS),
    (STRING, "like-empty", "StringLike", ["", "home/"], "", HOLDS),
    (STRING, "like-spans-lines", "StringLike", "a*z", "a\nz", HOLDS),
    (STRING, "not-like", "StringNotLike", "a*", "b", HOLDS),
    (STRING, "not-like-but-like", "StringNotLike", "a*", "ab", FAILS),
    (STRING, "not-like-missing", "StringNotLike", "a*", MISSING, HOLDS),
    (SEVERAL, "different-from-all", "StringNotEquals", ["a", "b"], "c", HOLDS),
    (SEVERAL, "different-from-some-only", "StringNotEquals", ["a", "b"], "b", FAILS),
    (SEVERAL, "not-like-some-only", "StringNotLike", ["a*", "b*"], "bb", FAILS),
    (NUMERIC, "equal", "NumericEquals", "10", "10", HOLDS),
    (NUMERIC, "equal-in-value", "NumericEquals", "10", "10.0", HOLDS),
    (NUMERIC, "equal-without-quotes", "NumericEquals", 10, "10", HOLDS),
    (NUMERIC, "other", "NumericEquals", "10", "11", FAILS),
    (NUMERIC, "missing", "NumericEquals", "10", MISSING, FAILS),
    (NUMERIC, "no-number", "NumericEquals", "10", "ten", FAILS),
    (NUMERIC, "different", "NumericNotEquals", "10", "11", HOLDS),
    (NUMERIC, "not-different", "NumericNotEquals", "10", "10", FAILS),
    (NUMERIC, "different-missing", "NumericNotEquals", "10", MISSING, HOLDS),
    (NUMERIC, "less", "NumericLessThan", "10", "9", HOLDS),
    (NUMERIC, "less-is-not-by-digits", "NumericLessThan", "10", "9.5", HOLDS),
    (NUMERIC, "not-less", "NumericLessThan", "10", "10", FAILS),
    (NUMERIC, "at-most", "NumericLessThanEquals", "10", "10", HOLDS),
    (NUMERIC, "above", "NumericLessThanEquals", "10", "10.01", FAILS),
    (NUMERIC, "at-most-missing", "NumericLessThanEquals", "10", MISSING, FAILS),
    (NUMERIC, "greater", "NumericGreaterThan", "10", "11", HOLDS),
    (NUMERIC, "not-greater", "NumericGreaterThan", "10", "10", FAILS),
    (NUMERIC, "at-least", "NumericGreaterThanEquals", "10", "10", HOLDS),
    (NUMERIC, "below", "NumericGreaterThanEquals", "10", "-11", FAILS),
    (DATE, "equal", "DateEquals", "2020-01-01T00:00:01Z", "2020-01-01T00:00:01Z", HOLDS),
    (DATE, "equal-in-another-zone", "DateEquals", "2020-01-01T00:00:00Z", "2020-01-01T01:00:00+01:00", HOLDS),
    (DATE, "equal-as-a-day", "DateEquals", "2020-01-01", "2020-01-01T00:00:00Z", HOLDS),
    (DATE, "equal-as-a-month", "DateEquals", "2020-02", "2020-02-01T00:00Z", HOLDS),
    (DATE, "equal-as-a-year", "DateEquals", "2020", "2020-01-01", HOLDS),
    (DATE, "equal-as-epoch", "DateEquals", "1577836800", "2020-01-01T00:00:00Z", HOLDS),
    (DATE, "equal-with-fraction", "DateEquals", "2020-01-01T00:00:00.500Z", "1577836800.5", HOLDS),
    (DATE, "other", "DateEquals", "2020-01-01", "2020-01-02", FAILS),
    (DATE, "different", "DateNotEquals", "2020-01-01", "2020-01-02", HOLDS),
    (DATE, "not-different", "DateNotEquals", "2020-01-01", "2020-01-01", FAILS),
    (DATE, "before", "DateLessThan", "2020-01-01T00:00:00Z", "2019-12-31T23:59:59Z", HOLDS),
    (DATE, "not-before", "DateLessThan", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z", FAILS),
    (DATE, "until", "DateLessThanEquals", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z", HOLDS),
    (DATE, "after-until", "DateLessThanEquals", "2020-01-01T00:00:00Z", "2020-01-01T00:00:01Z", FAILS),
    (DATE, "after", "DateGreaterThan", "2020-01-01T00:00:01Z", "2026-11-21T04:00:00Z", HOLDS),
    (DATE, "not-after", "DateGreaterThan", "2020-01-01T00:00:01Z", "2020-01-01T00:00:01Z", FAILS),
    (DATE, "after-missing", "DateGreaterThan", "2020-01-01T00:00:01Z", MISSING, FAILS),
    (DATE, "since", "DateGreaterThanEquals", "2020-01-01T00:00:01Z", "2020-01-01T00:00:01Z", HOLDS),
    (DATE, "no-wildcards", "DateEquals", "2020-*", "2020-01-01", FAILS),
    (BOOLEAN, "true", "Bool", "true", "true", HOLDS),
    (BOOLEAN, "true-in-any-case", "Bool", "True", "true", HOLDS),
    (BOOLEAN, "true-without-quotes", "Bool", True, "true", HOLDS),
    (BOOLEAN, "other", "Bool", "false", "true", FAILS),
    (BOOLEAN, "missing", "Bool", "false", MISSING, FAILS),
    (BINARY, "equal", "BinaryEquals", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", HOLDS),
    (BINARY, "other", "BinaryEquals", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", "AAAA", FAILS),
    (BINARY, "missing", "BinaryEquals", "AAAA", MISSING, FAILS),
    (ADDRESS, "in-range", "IpAddress", "203.0.113.0/24", "203.0.113.255", HOLDS),
    (ADDRESS, "out-of-range", "IpAddress", "203.0.113.0/24", "203.0.114.0", FAILS),
    (ADDRESS, "single", "IpAddress", "203.0.113.7", "203.0.113.7", HOLDS),
    (ADDRESS, "single-other", "IpAddress", "203.0.113.7", "203.0.113.8", FAILS),
    (
        ADDRESS,
        "one-of-several",
        "IpAddress",
        ["203.0.113.0/24", "2001:DB8:1234:5678::/64"],
        "203.0.113.1",
        HOLDS,
    ),
    (ADDRESS, "version-6", "IpAddress", "2001:DB8:1234:5678::/64", "2001:db8:1234:5678::1", HOLDS),
    (
        ADDRESS,
        "version-6-out-of-range",
        "IpAddress",
        "2001:DB8:1234:5678::/64",
        "2001:db8:1234:5679::1",
        FAILS,
    ),
    (ADDRESS, "version-4-is-not-6", "IpAddress", "::/0", "203.0.113.1", FAILS),
    (ADDRESS, "missing-through-an-endpoint", "IpAddress", "0.0.0.0/0", MISSING, FAILS),
    (ADDRESS, "not-in-range", "NotIpAddress", "203.0.113.0/24", "198.51.100.1", HOLDS),
    (ADDRESS, "not-out-of-range", "NotIpAddress", "203.0.113.0/24", "203.0.113.1", FAILS),
    (ADDRESS, "not-missing", "NotIpAddress", "203.0.113.0/24", MISSING, HOLDS),
    (ARN, "equal", "ArnEquals", _TOPIC, _TOPIC, HOLDS),
    (ARN, "other", "ArnEquals", _TOPIC, _TOPIC + "2", FAILS),
    (ARN, "equals-has-wildcards", "ArnEquals", "arn:aws:sns:*:*:top?c", _TOPIC, HOLDS),
    (ARN, "like", "ArnLike", "arn:aws:sns:*:111122223333:*", _TOPIC, HOLDS),
    (ARN, "like-counts-case", "ArnLike", _TOPIC.upper(), _TOPIC, FAILS),
    (ARN, "parts-are-matched-apart", "ArnLike", _FINANCE, _STORE, FAILS),
    (ARN, "a-string-is-not", "StringLike", _FINANCE, _STORE, HOLDS),
    (
        ARN,
        "the-name-may-have-colons",
        "ArnLike",
        "arn:aws:lambda:*:*:function:*",
        "arn:aws:lambda:a:1:function:f:2",
        HOLDS,
    ),
    (ARN, "missing", "ArnLike", _TOPIC, MISSING, FAILS),
    (ARN, "not-equal", "ArnNotEquals", _TOPIC, _TOPIC + "2", HOLDS),
    (ARN, "not-unequal", "ArnNotEquals", _TOPIC, _TOPIC, FAILS),
    (ARN, "not-like", "ArnNotLike", "arn:aws:sns:*:*:*", _TOPIC, FAILS),
    (ARN, "not-like-missing", "ArnNotLike", _TOPIC, MISSING, HOLDS),
    (IF_EXISTS, "missing", "StringEqualsIfExists", "a", MISSING, HOLDS),
    (IF_EXISTS, "there", "StringEqualsIfExists", "a", "a", HOLDS),
    (IF_EXISTS, "there-but-other", "StringEqualsIfExists", "a", "b", FAILS),
    (IF_EXISTS, "like", "StringLikeIfExists", ["t1.*", "t2.*"], "t2.micro", HOLDS),
    (IF_EXISTS, "like-other", "StringLikeIfExists", ["t1.*", "t2.*"], "m3.large", FAILS),
    (IF_EXISTS, "negated-missing", "StringNotEqualsIfExists", "a", MISSING, HOLDS),
    (IF_EXISTS, "negated-there", "StringNotEqualsIfExists", "a", "a", FAILS),
    (IF_EXISTS, "numeric-missing", "NumericLessThanIfExists", "10", MISSING, HOLDS),
    (IF_EXISTS, "date-missing", "DateLessThanIfExists", "2020-01-01", MISSING, HOLDS),
    (IF_EXISTS, "bool-missing", "BoolIfExists", "false", MISSING, HOLDS),
    (IF_EXISTS, "bool-other", "BoolIfExists", "false", "true", FAILS),
    (IF_EXISTS, "address-missing", "IpAddressIfExists", "10.0.0.0/8", MISSING, HOLDS),
    (IF_EXISTS, "arn-missing", "ArnLikeIfExists", _TOPIC, MISSING, HOLDS),
    (NULL, "true-missing", "Null", "true", MISSING, HOLDS),
    (NULL, "true-there", "Null", "true", "a", FAILS),
    (NULL, "false-missing", "Null", "false", MISSING, FAILS),
    (NULL, "false-there", "Null", "false", "a", HOLDS),
    (NULL, "without-quotes", "Null", True, MISSING, HOLDS),
    (KEYS, "an-empty-value-is-null", "Null", "true", "", HOLDS),
    (NULL, "an-empty-list-is-null", "Null", "false", [], FAILS),
]

# page, id, condition, context, whether it holds
WHOLE = [
    (KEYS, "key-in-any-case", {"StringEquals": {"AWS:principalTAG/X": "a"}}, {_KEY: "a"}, HOLDS),
    (KEYS, "empty", {}, {}, HOLDS),
    (
        SEVERAL,
        "all-keys-of-an-operator",
        {"StringEquals": {"aws:a": ["1", "2"], "aws:b": "3"}},
        {"aws:a": "2", "aws:b": "3"},
        HOLDS,
    ),
    (
        SEVERAL,
        "some-keys-of-an-operator-only",
        {"StringEquals": {"aws:a": ["1", "2"], "aws:b": "3"}},
        {"aws:a": "2", "aws:b": "4"},
        FAILS,
    ),
    (
        SEVERAL,
        "all-operators",
        {"StringEquals": {"aws:a": "1"}, "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}},
        {"aws:a": "1", "aws:PrincipalArn": "arn:aws:iam::1:role/r"},
        HOLDS,
    ),
    (
        SEVERAL,
        "some-operators-only",
        {"StringEquals": {"aws:a": "1"}, "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/*"}},
        {"aws:a": "1", "aws:PrincipalArn": "arn:aws:iam::1:role/r"},
        FAILS,
    ),
    (
        SEVERAL,
        "negated-with-another-operator",
        {"StringEquals": {"aws:a": "1"}, "StringNotEquals": {"aws:b": ["2", "3"]}},
        {"aws:a": "1", "aws:b": "4"},
        HOLDS,
    ),
]


def both_ways(page, name, condition, context, holds):
    """Return the case of an Allow and the case of a Deny with the condition."""
    return (
        case(
            f"{name}-allows",
            page,
            ALLOWED if holds else NO_IDENTITY,
            context=context,
            identity=[allow(Condition=condition)],
        ),
        case(
            f"{name}-denies",
            page,
            DENY_IN_IDENTITY if holds else ALLOWED,
            context=context,
            identity=[allow(), deny(Condition=condition)],
        ),
    )


def _row(page, name, operator, wanted, value, holds):
    context = {} if value is MISSING else {_KEY: value}
    return both_ways(page, f"{operator}-{name}", {operator: {_KEY: wanted}}, context, holds)


CASES = [
    *(one for row in ROWS for one in _row(*row)),
    *(one for row in WHOLE for one in both_ways(row[0], f"condition-{row[1]}", *row[2:])),
]
