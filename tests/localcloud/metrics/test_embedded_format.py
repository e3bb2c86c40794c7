"""Lines in the embedded metric format: what they measure, and what makes them no such lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from localcloud.metrics.embedded_format import NotMeasured, measured
from localcloud.metrics.samples import Sample, SeriesName

NOW = 1_800_000_000.0


def line(**changed: Any) -> str:
    directive = {
        "Namespace": "Shop",
        "Dimensions": [["Deployment"], ["Deployment", "Engine"]],
        "Metrics": [{"Name": "OrderLatency", "Unit": "Milliseconds"}, {"Name": "Orders", "Unit": "Count"}],
    }
    directive |= changed.pop("directive", {})
    root = {
        "_aws": {"Timestamp": int(NOW * 1000), "CloudWatchMetrics": [directive]},
        "Deployment": "local",
        "Engine": "mysql",
        "OrderLatency": [3.5, 4],
        "Orders": 2,
        "request": "r-1",
    }
    root |= changed
    return json.dumps({name: value for name, value in root.items() if value is not ...})


def test_each_metric_is_measured_for_each_set_of_dimensions():
    found = measured(line(), now=NOW)
    one, both = {"Deployment": "local"}, {"Deployment": "local", "Engine": "mysql"}
    assert found == [
        (SeriesName.of("Shop", "OrderLatency", one), Sample(NOW, (3.5, 4.0), unit="Milliseconds")),
        (SeriesName.of("Shop", "OrderLatency", both), Sample(NOW, (3.5, 4.0), unit="Milliseconds")),
        (SeriesName.of("Shop", "Orders", one), Sample(NOW, (2.0,), unit="Count")),
        (SeriesName.of("Shop", "Orders", both), Sample(NOW, (2.0,), unit="Count")),
    ]


def test_what_powertools_writes_is_measured(capsys):
    with single_metric("Revenue", MetricUnit.Count, 12.5, namespace="Shop") as metric:
        metric.add_dimension("Deployment", "local")
    import time

    found = dict(measured(capsys.readouterr().out.strip(), now=time.time()))
    assert any(name.metric == "Revenue" and name.namespace == "Shop" for name in found)
    assert [sample.values for sample in found.values()] == [(12.5,)]


@pytest.mark.parametrize(
    "text",
    [
        "plain text",
        '{"level": "INFO"}',
        'it says "_aws" and is no JSON',
        '["_aws"]',
        '{"_aws": {}}',
        '"_aws"',
    ],
)
def test_other_lines_measure_nothing(text):
    assert measured(text, now=NOW) == []


def test_a_metric_without_a_value_is_left_out():
    assert {name.metric for name, _ in measured(line(Orders=...), now=NOW)} == {"OrderLatency"}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"directive": {"Namespace": ""}}, "Namespace has to be a text"),
        ({"directive": {"Dimensions": None}}, "Dimensions has to be an array"),
        ({"directive": {"Dimensions": ["Deployment"]}}, "a set of dimensions has to be an array"),
        ({"directive": {"Dimensions": [["Absent"]]}}, "the dimension 'Absent' needs a text"),
        ({"directive": {"Dimensions": [["Orders"]]}}, "the dimension 'Orders' needs a text"),
        ({"directive": {"Dimensions": [[str(n) for n in range(31)]]}}, "31 dimensions: 30 are allowed"),
        ({"directive": {"Metrics": [{"Name": "Orders", "Unit": "Orders"}]}}, "'Orders' is no unit"),
        ({"directive": {"Metrics": [{"Unit": "Count"}]}}, "Name has to be a text"),
        ({"directive": {"Metrics": [{"Name": "Orders"}] * 101}}, "101 members: 100 are allowed"),
        ({"directive": {"Metrics": [{"Name": "Orders", "StorageResolution": 5}]}}, "is 1 or 60"),
        ({"Orders": "2"}, "Orders: '2' is no number"),
        ({"Orders": True}, "Orders: True is no number"),
        ({"Orders": []}, "Orders has 0 values"),
        ({"Orders": list(range(101))}, "101 values: 1 to 100"),
        ({"_aws": {"CloudWatchMetrics": []}}, "Timestamp has to be a number"),
        ({"_aws": {"CloudWatchMetrics": [], "Timestamp": int((NOW - 15 * 86_400) * 1000)}}, "14 days ago"),
        ({"_aws": {"CloudWatchMetrics": [], "Timestamp": int((NOW + 3 * 3600) * 1000)}}, "2 hours ahead"),
        ({"_aws": {"CloudWatchMetrics": {}, "Timestamp": int(NOW * 1000)}}, "has to be an array"),
    ],
)
def test_a_line_against_the_specification_measures_nothing(changed, reason):
    with pytest.raises(NotMeasured, match=reason):
        measured(line(**changed), now=NOW)
