"""Metrics as callers meet them: from the API, from what functions write, from their invocations."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.server.deploying import TRUST, resource

PRINTS = """
import json, time

def handler(event, context):
    if event.get("fail"):
        raise ValueError("asked for")
    metrics = [{"Name": "OrderLatency", "Unit": "Milliseconds"}, {"Name": "Orders", "Unit": "Count"}]
    directive = {"Namespace": "Shop", "Dimensions": [["Deployment"]], "Metrics": metrics}
    metadata = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    print(json.dumps({"_aws": metadata, "Deployment": event["deployment"],
                      "OrderLatency": event["latencies"], "Orders": event["orders"]}))
"""


@pytest.fixture
def function(server, stack):
    rights = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    policy = {"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": [rights]}}
    ids = stack.deploy(
        Role=resource("AWS::IAM::Role", AssumeRolePolicyDocument=TRUST, Policies=[policy]),
        Function=resource(
            "AWS::Lambda::Function",
            Handler="index.handler",
            Role={"Fn::GetAtt": ["Role", "Arn"]},
            Runtime="python3.13",
            Code={"ZipFile": PRINTS},
        ),
    )

    def invoke(**event: Any) -> None:
        server.client("lambda").invoke(FunctionName=ids["Function"], Payload=json.dumps(event))

    yield ids["Function"], invoke
    stack.delete()


def window(minutes: int = 10) -> dict[str, datetime]:
    now = datetime.now(UTC)
    return {"StartTime": now - timedelta(minutes=minutes), "EndTime": now + timedelta(minutes=1)}


def of_deployment(name: str) -> list[dict[str, str]]:
    return [{"Name": "Deployment", "Value": name}]


def test_what_a_function_prints_in_the_embedded_format_is_measured(server, stack, function):
    _, invoke = function
    for order in (1, 2):
        invoke(deployment=stack.name, latencies=[10 * order, 20 * order], orders=order)
    cloudwatch = server.client("cloudwatch")
    query = {"Namespace": "Shop", "Dimensions": of_deployment(stack.name)}
    [listed] = cloudwatch.list_metrics(MetricName="Orders", **query)["Metrics"]
    assert listed["Dimensions"] == of_deployment(stack.name)
    points = cloudwatch.get_metric_statistics(
        MetricName="OrderLatency",
        Period=3600,
        Statistics=["Sum", "SampleCount", "Maximum"],
        ExtendedStatistics=["p50", "p99"],
        **query,
        **window(),
    )["Datapoints"]
    assert sum(point["Sum"] for point in points) == 90
    assert sum(point["SampleCount"] for point in points) == 4
    assert {point["Unit"] for point in points} == {"Milliseconds"}
    assert max(point["ExtendedStatistics"]["p99"] for point in points) == 40

    def stat(name: str, statistic: str) -> dict[str, Any]:
        metric = {"Namespace": "Shop", "MetricName": name, "Dimensions": of_deployment(stack.name)}
        return {"Metric": metric, "Period": 86_400, "Stat": statistic}

    answered = cloudwatch.get_metric_data(
        MetricDataQueries=[
            {"Id": "orders", "MetricStat": stat("Orders", "Sum"), "ReturnData": False},
            {"Id": "slow", "MetricStat": stat("OrderLatency", "p90"), "ReturnData": False},
            {"Id": "both", "Expression": "orders * 100 + slow", "Label": "together"},
        ],
        **window(),
    )["MetricDataResults"]
    assert [one["Id"] for one in answered] == ["both"] and answered[0]["Label"] == "together"
    assert sum(answered[0]["Values"]) == 340


def test_a_line_against_the_format_counts_as_an_error_of_its_group(server, stack, function):
    name, invoke = function
    invoke(deployment=stack.name, latencies="slow", orders=1)
    dimensions = [{"Name": "LogGroupName", "Value": f"/aws/lambda/{name}"}]
    cloudwatch = server.client("cloudwatch")
    [found] = cloudwatch.list_metrics(Namespace="AWS/Logs", Dimensions=dimensions)["Metrics"]
    assert found["MetricName"] == "EMFValidationErrors"
    assert cloudwatch.list_metrics(Namespace="Shop", Dimensions=of_deployment(stack.name))["Metrics"] == []


def test_invocations_errors_throttles_and_durations_of_a_function(server, stack, function):
    name, invoke = function
    client = server.client("lambda")
    invoke(deployment=stack.name, latencies=[1], orders=1)
    invoke(fail=True)
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError, match="Rate Exceeded"):
        invoke(fail=True)

    def total(metric: str, statistic: str = "Sum") -> float:
        points = server.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=metric,
            Dimensions=[{"Name": "FunctionName", "Value": name}],
            Period=60,
            Statistics=[statistic],
            **window(),
        )["Datapoints"]
        return sum(point[statistic] for point in points)

    assert (total("Invocations"), total("Errors"), total("Throttles")) == (2, 1, 1)
    assert total("Duration", "SampleCount") == 2 and 0 < total("Duration") < 10_000


def test_what_is_put_is_got(server, stack):
    cloudwatch, name = server.client("cloudwatch"), stack.name
    cloudwatch.put_metric_data(
        Namespace=name,
        MetricData=[
            {"MetricName": "m", "Value": 2, "Unit": "Count"},
            {"MetricName": "m", "Values": [1, 5], "Counts": [3, 1], "Unit": "Count"},
            {
                "MetricName": "s",
                "StatisticValues": {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 4},
            },
        ],
    )
    ask = {"Namespace": name, "Period": 86_400, **window()}
    [point] = cloudwatch.get_metric_statistics(MetricName="m", Statistics=["Average", "SampleCount"], **ask)[
        "Datapoints"
    ]
    assert (point["Average"], point["SampleCount"]) == (2, 5)
    [point] = cloudwatch.get_metric_statistics(MetricName="s", Statistics=["Average"], **ask)["Datapoints"]
    assert point["Average"] == 2.5
    with pytest.raises(ClientError, match="statistic tm99 is not known here"):
        cloudwatch.get_metric_statistics(MetricName="m", ExtendedStatistics=["tm99"], **ask)
    query = {"Id": "e", "Expression": "SEARCH('x', 'Sum')", "Period": 60}
    with pytest.raises(ClientError, match="does not know SEARCH"):
        cloudwatch.get_metric_data(MetricDataQueries=[query], **window())


def test_five_hundred_metrics_are_a_page(server, stack):
    cloudwatch = server.client("cloudwatch")
    for first in range(0, 600, 200):
        data = [{"MetricName": f"m{number}", "Value": 1} for number in range(first, first + 200)]
        cloudwatch.put_metric_data(Namespace=stack.name, MetricData=data)
    began = time.monotonic()
    pages = list(cloudwatch.get_paginator("list_metrics").paginate(Namespace=stack.name))
    assert [len(page["Metrics"]) for page in pages] == [500, 100]
    assert time.monotonic() - began < 30
