"""Where the local cloud reaches into moto's CloudWatch and its logs beyond its public server, and why."""

from __future__ import annotations

import functools
import time
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterCombination, InvalidParameterValue, ValidationError
from moto.cloudwatch.models import CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult
from moto.logs.models import LogsBackend

from localcloud.cloud import Cloud
from localcloud.metrics.embedded_format import NotMeasured, measured
from localcloud.metrics.expressions import BadExpression
from localcloud.metrics.queries import Answers, Window
from localcloud.metrics.samples import Metrics, Sample, SeriesName, Summary
from localcloud.metrics.statistics import UnknownStatistic, by_period

MOST_METRICS_LISTED = 500
"""https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html"""


def install(cloud: Cloud) -> None:
    """Keep and answer metrics by the parts of this package."""
    # moto compares every sample with every other, knows no percentiles and no metric math, mixes namespaces
    # of one dimension, and begins periods wherever the question does
    CloudWatchBackend.put_metric_data = functools.partialmethod(_put_metric_data, cloud)
    CloudWatchResponse.get_metric_data = functools.partialmethod(_get_metric_data, cloud)
    CloudWatchResponse.get_metric_statistics = functools.partialmethod(_get_metric_statistics, cloud)
    CloudWatchResponse.list_metrics = functools.partialmethod(_list_metrics, cloud)
    _measure_what_logs_say(cloud)


def _put_metric_data(backend: Any, cloud: Cloud, namespace: str, metric_data: list[dict[str, Any]]) -> None:
    for number, given in enumerate(metric_data, start=1):
        backend._validate_parameters_put_metric_data(given, number)
    for given in metric_data:
        dimensions = {one["Name"]: one["Value"] for one in given.get("Dimensions") or []}
        name = SeriesName.of(namespace, given["MetricName"], dimensions)
        Metrics.of(cloud).put(backend.region_name, name, _sample(given))


def _sample(given: dict[str, Any]) -> Sample | Summary:
    at = _seconds(given["Timestamp"]) if given.get("Timestamp") else time.time()
    unit = given.get("Unit") or "None"
    if given.get("StatisticValues"):
        known = {key: float(value) for key, value in given["StatisticValues"].items()}
        return Summary(at, known["SampleCount"], known["Sum"], known["Minimum"], known["Maximum"], unit)
    values = given.get("Values") or [given.get("Value", 0)]
    counts = given.get("Counts") or ()
    return Sample(at, tuple(map(float, values)), tuple(map(float, counts)), unit)


def _get_metric_data(response: Any, cloud: Cloud) -> ActionResult:
    given = response._get_params()
    window = _window(given["StartTime"], given["EndTime"])
    queries = given.get("MetricDataQueries", [])
    for number, query in enumerate(queries, start=1):
        if "MetricStat" not in query and "Expression" not in query:
            raise ValidationError(
                f"The parameter MetricDataQueries.member.{number}.MetricStat is required.\n"
            )
    answers = Answers(Metrics.of(cloud), response.region, queries, window)
    newest_first = (given.get("ScanBy") or "TimestampDescending") == "TimestampDescending"
    return ActionResult(
        {
            "MetricDataResults": [
                answer
                for query in queries
                if str(query.get("ReturnData", True)).lower() == "true"
                for answer in _answers(answers, query, newest_first=newest_first)
            ]
        }
    )


def _answers(answers: Answers, query: dict[str, Any], *, newest_first: bool) -> list[dict[str, Any]]:
    try:
        found = answers.series(query["Id"])
    except (BadExpression, UnknownStatistic) as error:
        raise ValidationError(str(error)) from error
    name = query["Id"] if "Expression" in query else query["MetricStat"]["Metric"]["MetricName"]
    shown = []
    for series in found:
        ordered = sorted(series.items(), reverse=newest_first)
        shown.append(
            {
                "Id": query["Id"],
                "Label": query.get("Label") or name,
                "Timestamps": [datetime.fromtimestamp(at, UTC) for at, _ in ordered],
                "Values": [value for _, value in ordered],
                "StatusCode": "Complete",
            }
        )
    return shown


def _get_metric_statistics(response: Any, cloud: Cloud) -> ActionResult:
    get = response._get_param
    plain, extended = get("Statistics", []), get("ExtendedStatistics", [])
    if not plain and not extended:
        raise InvalidParameterCombination("Must specify either Statistics or ExtendedStatistics")
    window, period = _window(get("StartTime"), get("EndTime")), float(get("Period"))
    dimensions = {one["Name"]: one["Value"] for one in get("Dimensions", [])}
    name = SeriesName.of(get("Namespace"), get("MetricName"), dimensions)
    start = window.beginning(period)
    samples = Metrics.of(cloud).between(response.region, name, start, window.end, get("Unit"))
    points: dict[float, dict[str, Any]] = {}
    for statistic in [*plain, *extended]:
        try:
            found = by_period(samples, statistic, start=start, period=period)
        except UnknownStatistic as error:
            raise InvalidParameterValue(str(error)) from error
        for at, value in found.items():
            point = points.setdefault(at, {"Timestamp": datetime.fromtimestamp(at, UTC)})
            point["Unit"] = samples[-1].unit
            if statistic in plain:
                point[statistic] = value
            else:
                point.setdefault("ExtendedStatistics", {})[statistic] = value
    return ActionResult({"Label": get("MetricName"), "Datapoints": [points[at] for at in sorted(points)]})


def _list_metrics(response: Any, cloud: Cloud) -> ActionResult:
    get = response._get_param
    namespace, metric = get("Namespace"), get("MetricName")
    wanted = {(one["Name"], one.get("Value")) for one in response._get_params().get("Dimensions", [])}
    found = [
        one
        for one in sorted(Metrics.of(cloud).names(response.region), key=repr)
        if namespace in (None, one.namespace)
        and metric in (None, one.metric)
        and all(
            any(name == key and value in (None, is_) for key, is_ in one.dimensions) for name, value in wanted
        )
    ]
    begins = int(get("NextToken") or 0)
    ends = begins + MOST_METRICS_LISTED
    listed = [
        {
            "Namespace": one.namespace,
            "MetricName": one.metric,
            "Dimensions": [{"Name": key, "Value": value} for key, value in one.dimensions],
        }
        for one in found[begins:ends]
    ]
    more = {"NextToken": str(ends)} if ends < len(found) else {}
    return ActionResult({"Metrics": listed, **more})


def _measure_what_logs_say(cloud: Cloud) -> None:
    """Take metrics from lines in the embedded format, whoever writes them; moto keeps lines and no more."""
    put = LogsBackend.put_log_events

    def put_log_events(
        backend: Any, log_group_name: str, log_stream_name: str, log_events: list[dict[str, Any]]
    ) -> Any:
        answer = put(backend, log_group_name, log_stream_name, log_events)
        for event in log_events:
            _measure(cloud, backend.region_name, log_group_name, event["message"])
        return answer

    LogsBackend.put_log_events = put_log_events


def _measure(cloud: Cloud, region: str, group: str, line: str) -> None:
    """A line that claims to be in the format and is not counts as an error of the group, as on AWS."""
    metrics, now = Metrics.of(cloud), time.time()
    try:
        for name, sample in measured(line, now=now):
            metrics.put(region, name, sample)
    except NotMeasured:
        errors = SeriesName.of("AWS/Logs", "EMFValidationErrors", {"LogGroupName": group})
        metrics.put(region, errors, Sample(now, (1.0,), unit="Count"))


def _window(start: Any, end: Any) -> Window:
    window = Window(_seconds(start), _seconds(end))
    if window.start > window.end:
        raise ValidationError("The parameter EndTime must be greater than StartTime.")
    if window.start == window.end:
        raise ValidationError("The parameter StartTime must not equal parameter EndTime.")
    return window


def _seconds(given: Any) -> float:
    """Return a time in seconds since 1970; moto's times have no zone and are UTC."""
    if isinstance(given, datetime):
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
    return float(given)
