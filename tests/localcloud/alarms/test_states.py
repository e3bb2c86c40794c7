"""The tables of "Configuring how CloudWatch alarms treat missing data", and CloudWatch's words."""

from __future__ import annotations

import pytest

from localcloud.alarms.rules import BadRule, holds
from localcloud.alarms.states import ALARM, INSUFFICIENT_DATA, OK, Datapoint, Threshold, judge

TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
RETAIN = None

# datapoints, of which X breaches; then the state for each treatment
THREE_OF_THREE = [
    ("0 - X - X", (OK, OK, OK, OK)),
    ("- - - - 0", (OK, OK, OK, OK)),
    ("- - - - -", (INSUFFICIENT_DATA, RETAIN, ALARM, OK)),
    ("0 X X - X", (ALARM, ALARM, ALARM, ALARM)),
    ("- - X - -", (ALARM, RETAIN, ALARM, OK)),
]
TWO_OF_THREE = [
    ("0 - X - X", (ALARM, ALARM, ALARM, ALARM)),
    ("0 0 X 0 X", (ALARM, ALARM, ALARM, ALARM)),
    ("0 - X - -", (OK, OK, ALARM, OK)),
    ("- - - - 0", (OK, OK, ALARM, OK)),
    ("- - - X -", (ALARM, RETAIN, ALARM, OK)),
]
CASES = [
    (to_alarm, text, treatment, state)
    for to_alarm, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE))
    for text, row in table
    for treatment, state in zip(TREATMENTS, row, strict=True)
]


def points(text: str) -> list[Datapoint | None]:
    values = {"0": 0.0, "X": 9.0}
    return [
        Datapoint(60.0 * number, values[one]) if one in values else None
        for number, one in enumerate(text.split())
    ]


@pytest.mark.parametrize(("to_alarm", "text", "treatment", "state"), CASES)
def test_the_tables_of_the_documentation(to_alarm, text, treatment, state):
    threshold = Threshold("GreaterThanThreshold", 5.0, 3, to_alarm, treatment)
    assert judge(threshold, points(text)).state == state


@pytest.mark.parametrize(
    ("comparison", "value", "state"),
    [
        ("GreaterThanThreshold", 5.0, OK),
        ("GreaterThanOrEqualToThreshold", 5.0, ALARM),
        ("LessThanThreshold", 5.0, OK),
        ("LessThanOrEqualToThreshold", 5.0, ALARM),
        ("GreaterThanThreshold", 5.1, ALARM),
        ("LessThanThreshold", 4.9, ALARM),
    ],
)
def test_comparisons(comparison, value, state):
    assert judge(Threshold(comparison, 5.0, 1, 1), [Datapoint(0.0, value)]).state == state


def test_the_reason_is_in_cloudwatchs_words():
    one = Threshold("GreaterThanOrEqualToThreshold", 1.0, 1, 1, "notBreaching")
    assert judge(one, [Datapoint(1_799_999_940.0, 2.0)]).reason == (
        "Threshold Crossed: 1 out of the last 1 datapoints [2.0 (15/01/27 07:59:00)] was greater than or"
        " equal to the threshold (1.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )
    assert judge(one, [None]).reason == (
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as"
        " [NonBreaching]."
    )
    assert judge(Threshold("LessThanThreshold", 1.0, 2, 2), [None, None]).reason == (
        "Insufficient Data: 2 datapoints were unknown."
    )
    calm = judge(Threshold("GreaterThanThreshold", 5.0, 3, 2), points("0 0 X")).reason
    assert "were not greater than the threshold (5.0) (minimum 2 datapoints for ALARM -> OK" in calm


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ('ALARM("a")', True),
        ("ALARM(a)", True),
        ('OK("a") OR ALARM("a")', True),
        ('ALARM("a") AND ALARM("b")', False),
        ('ALARM("a") AND NOT ALARM("b")', True),
        ('NOT (ALARM("a") OR OK("b"))', False),
        ('ALARM("a") OR OK("b") AND FALSE', True),
        ('INSUFFICIENT_DATA("c c")', True),
        ('ALARM("arn:aws:cloudwatch:us-east-1:123456789012:alarm:a")', True),
        ('OK("absent")', False),
        ("TRUE", True),
    ],
)
def test_rules_of_composite_alarms(rule, expected):
    known = {"a": ALARM, "b": OK, "c c": INSUFFICIENT_DATA}
    assert holds(rule, lambda name: known.get(name, "")) is expected


@pytest.mark.parametrize("rule", ["ALARM(", 'ALARM("a") ALARM("b")', "RINGS(a)", 'ALARM("a', "", "NOT"])
def test_a_rule_that_cannot_be_read_is_refused(rule):
    with pytest.raises(BadRule):
        holds(rule, lambda _: "")
