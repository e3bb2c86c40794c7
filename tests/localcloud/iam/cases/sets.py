"""ForAllValues and ForAnyValue: what multivalued keys have to hold."""

from tests.localcloud.iam.cases.conditions import FAILS, HOLDS, MISSING, both_ways

SETS = "reference_policies_condition-single-vs-multi-valued-context-keys.html"
EXAMPLES = "reference_policies_condition_examples-multi-valued-context-keys.html"

_KEY = "aws:TagKeys"
_WANTED = ["PostDateTime", "Message", "Tags"]

# page, id, operator, wanted by the policy, in the request, whether the condition holds
ROWS = [
    (SETS, "all-in-the-set", "ForAllValues:StringEquals", _WANTED, ["Message", "Tags"], HOLDS),
    (SETS, "some-in-the-set", "ForAllValues:StringEquals", _WANTED, ["PostDateTime", "UserName"], FAILS),
    (SETS, "none-in-the-set", "ForAllValues:StringEquals", _WANTED, ["UserName"], FAILS),
    (SETS, "missing", "ForAllValues:StringEquals", _WANTED, MISSING, HOLDS),
    (SETS, "empty-list", "ForAllValues:StringEquals", _WANTED, [], HOLDS),
    (SETS, "empty-text", "ForAllValues:StringEquals", _WANTED, [""], HOLDS),
    (SETS, "of-a-single-value", "ForAllValues:StringEquals", _WANTED, "Tags", HOLDS),
    (SETS, "case-counts", "ForAllValues:StringEquals", _WANTED, ["tags"], FAILS),
    (EXAMPLES, "all-like", "ForAllValues:StringLike", "key1*", ["key1:hr", "key1:personnel"], HOLDS),
    (EXAMPLES, "some-like", "ForAllValues:StringLike", "key1*", ["key1:hr", "key2:audit"], FAILS),
    (EXAMPLES, "one-not-like", "ForAllValues:StringNotLike", "key1*", ["key2:audit"], HOLDS),
    (EXAMPLES, "one-but-like", "ForAllValues:StringNotLike", "key1*", ["key1:legal"], FAILS),
    (EXAMPLES, "all-but-like", "ForAllValues:StringNotLike", "key1*", ["key1:hr", "key1:personnel"], FAILS),
    (EXAMPLES, "not-like-missing", "ForAllValues:StringNotLike", "key1*", MISSING, HOLDS),
    (
        EXAMPLES,
        "not-like-any-of-several",
        "ForAllValues:StringNotLike",
        ["key1*", "key2*"],
        ["key3:a"],
        HOLDS,
    ),
    (EXAMPLES, "like-one-of-several", "ForAllValues:StringNotLike", ["key1*", "key2*"], ["key2:a"], FAILS),
    (SETS, "any-case", "ForAllValues:StringEqualsIgnoreCase", "tags", ["TAGS"], HOLDS),
    (SETS, "if-exists-missing", "ForAllValues:StringEqualsIfExists", "a", MISSING, HOLDS),
    (SETS, "arns", "ForAllValues:ArnLike", "arn:aws:iam::*:role/*", ["arn:aws:iam::1:role/a"], HOLDS),
    (
        SETS,
        "one-in-the-set",
        "ForAnyValue:StringEquals",
        ["ID", "Message"],
        ["PostDateTime", "Message"],
        HOLDS,
    ),
    (SETS, "none-of-them", "ForAnyValue:StringEquals", ["ID", "PostDateTime"], ["UserName"], FAILS),
    (SETS, "any-missing", "ForAnyValue:StringEquals", ["ID"], MISSING, FAILS),
    (SETS, "any-of-an-empty-list", "ForAnyValue:StringEquals", ["ID"], [], FAILS),
    (SETS, "any-of-an-empty-text", "ForAnyValue:StringLike", ["*"], [""], FAILS),
    (SETS, "any-like", "ForAnyValue:StringLike", "key*", ["a", "key1"], HOLDS),
    (SETS, "any-not-equal", "ForAnyValue:StringNotEquals", ["a", "b"], ["a", "c"], HOLDS),
    (SETS, "all-equal", "ForAnyValue:StringNotEquals", ["a", "b"], ["a", "b"], FAILS),
    (SETS, "any-not-equal-missing", "ForAnyValue:StringNotEquals", ["a"], MISSING, FAILS),
    (SETS, "any-if-exists-missing", "ForAnyValue:StringEqualsIfExists", ["a"], MISSING, HOLDS),
]

CASES = [
    one
    for page, name, operator, wanted, value, holds in ROWS
    for one in both_ways(
        page,
        f"{operator}-{name}",
        {operator: {_KEY: wanted}},
        {} if value is MISSING else {_KEY: value},
        holds,
    )
]
