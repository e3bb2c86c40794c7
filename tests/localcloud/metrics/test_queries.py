"""Statistics of periods, and metric math over them, against values computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.cloud import Cloud
from localcloud.metrics.expressions import BadExpression
from localcloud.metrics.queries import Answers, Window
from localcloud.metrics.samples import MOST_SAMPLES, Metrics, Sample, SeriesName, Summary
from localcloud.metrics.statistics import UnknownStatistic, by_period

REGION, BEGIN = "eu-west-1", 1_799_999_940.0  # a whole minute
A, B = SeriesName.of("N", "a"), SeriesName.of("N", "b", {"D": "1"})


@pytest.fixture
def metrics(tmp_path) -> Metrics:
    """Return a: 1, 2, then nothing, then 10; b: 4 and 6 in the first, 3 in the last of four minutes."""
    metrics = Metrics.of(Cloud(port=4999, directory=tmp_path))
    for minute, value in ((0, 1.0), (1, 2.0), (3, 10.0)):
        metrics.put(REGION, A, Sample(BEGIN + 60 * minute + 30, (value,), unit="Count"))
    metrics.put(REGION, B, Sample(BEGIN + 1, (4.0, 6.0), (1.0, 3.0)))
    metrics.put(REGION, B, Sample(BEGIN + 190, (3.0,)))
    return metrics


def asked(metrics: Metrics, expression: str, **more: Any) -> list[list[tuple[int, float]]]:
    queries = [
        {"Id": "m1", "MetricStat": stat("a", more.get("stat", "Sum"))},
        {"Id": "m2", "MetricStat": stat("b", "Sum", D="1")},
        {"Id": "other", "Expression": "m1 * 2"},
        {"Id": "e", "Expression": expression},
    ]
    answers = Answers(metrics, REGION, queries, Window(BEGIN + 5, BEGIN + 240))
    return [
        sorted((int(at - BEGIN) // 60, value) for at, value in series.items())
        for series in answers.series("e")
    ]


def stat(name: str, statistic: str, **dimensions: str) -> dict[str, Any]:
    named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    return {
        "Metric": {"Namespace": "N", "MetricName": name, "Dimensions": named},
        "Period": 60,
        "Stat": statistic,
    }


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m1", [[(0, 1), (1, 2), (3, 10)]]),
        ("m1 + m2", [[(0, 23), (3, 13)]]),
        ("m1 / m2 * 100", [[(0, 100 / 22), (3, 1000 / 3)]]),
        ("2 + 3 * 2 ^ 2", [[(0, 14), (1, 14), (2, 14), (3, 14)]]),
        ("-m1", [[(0, -1), (1, -2), (3, -10)]]),
        ("(m1 - 1) / (m1 - 1)", [[(1, 1), (3, 1)]]),
        ("FILL(m1, 0)", [[(0, 1), (1, 2), (2, 0), (3, 10)]]),
        ("FILL(m1, REPEAT)", [[(0, 1), (1, 2), (2, 2), (3, 10)]]),
        ("FILL(m2, m1)", [[(0, 22), (1, 2), (3, 3)]]),
        ("IF(m1 > 1, m1, 0)", [[(0, 0), (1, 2), (3, 10)]]),
        ("IF(m1 > 1 AND m1 < 5, 1, 0)", [[(0, 0), (1, 1), (3, 0)]]),
        ("IF(m1 >= 10 || m1 == 1, 7)", [[(0, 7), (3, 7)]]),
        ("SUM([m1, m2])", [[(0, 23), (1, 2), (3, 13)]]),
        ("MAX(METRICS())", [[(0, 22), (1, 2), (3, 10)]]),
        ("AVG(METRICS('m1'))", [[(0, 1), (1, 2), (3, 10)]]),
        ("SUM(m1)", [[(0, 13), (1, 13), (2, 13), (3, 13)]]),
        ("m1 / PERIOD(m1)", [[(0, 1 / 60), (1, 2 / 60), (3, 10 / 60)]]),
        ("RATE(m1)", [[(1, 1 / 60), (3, 8 / 120)]]),
        ("DIFF(m1)", [[(1, 1), (3, 8)]]),
        ("DIFF_TIME(m1)", [[(1, 60), (3, 120)]]),
        ("RUNNING_SUM(m1)", [[(0, 1), (1, 3), (3, 13)]]),
        ("CEIL(m1 / 4)", [[(0, 1), (1, 1), (3, 3)]]),
        ("FLOOR(m1 / 4) + ABS(0 - m1)", [[(0, 1), (1, 2), (3, 12)]]),
        ("other + 1", [[(0, 3), (1, 5), (3, 21)]]),
        ("METRICS() * 2", [[(0, 2), (1, 4), (3, 20)], [(0, 44), (3, 6)]]),
        ("m2 / 0", [[]]),
    ],
)
def test_metric_math(metrics, expression, expected):
    found = asked(metrics, expression)
    assert [[at for at, _ in one] for one in found] == [[at for at, _ in one] for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert [value for _, value in one] == pytest.approx([value for _, value in other])


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("m1 +", "ends too early"),
        ("m1 m2", "'m2' is not expected"),
        ("(m1", "ends too early"),
        ("m9", "m9 is neither a query's id nor a number"),
        ("ANOMALY_DETECTION_BAND(m1)", "does not know ANOMALY_DETECTION_BAND"),
        ("SEARCH('x', 'Sum', 60)", "does not know SEARCH"),
        ("m1 % 2", "cannot be read"),
        ("e + 1", "it needs itself"),
        ("RATE([m1, m2])", "take one series"),
        ("IF([m1], 1, 2)", "not arrays"),
    ],
)
def test_an_expression_that_cannot_be_is_refused(metrics, expression, reason):
    with pytest.raises(BadExpression, match=reason):
        asked(metrics, expression)


def test_statistics_of_a_period():
    samples = [
        Sample(0.0, (1.0, 2.0), (1.0, 7.0)),
        Sample(59.9, (100.0,)),
        Summary(30.0, 2, 10.0, 5.0, 5.0),
        Sample(60.0, (9.0,)),
    ]
    expected = {"Sum": 125, "SampleCount": 11, "Average": 125 / 11, "Minimum": 1, "Maximum": 100, "p50": 2}
    for name, value in {**expected, "p90": 5, "p99": 100, "p0": 1, "p100": 100, "p99.9": 100}.items():
        assert by_period(samples, name, start=0.0, period=60)[0.0] == pytest.approx(value), name
        assert by_period(samples, name, start=0.0, period=60)[60.0] == (1 if name == "SampleCount" else 9)


def test_a_summary_with_different_values_has_no_percentile():
    assert by_period([Summary(0.0, 2, 3.0, 1.0, 2.0)], "p50", start=0.0, period=60) == {}


def test_a_statistic_that_is_not_computed_is_refused():
    for name in ("Median", "tm90", "p101", "p"):
        with pytest.raises(UnknownStatistic, match=name):
            by_period([], name, start=0.0, period=60)


def test_a_series_keeps_its_latest_samples(metrics):
    for second in range(MOST_SAMPLES + 5):
        metrics.put(REGION, B, Sample(float(second), (1.0,)))
    assert len(metrics.between(REGION, B, 0.0, 1e12)) == MOST_SAMPLES
    assert metrics.between("us-east-1", B, 0.0, 1e12) == []
