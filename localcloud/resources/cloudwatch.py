"""Amazon CloudWatch: alarms and dashboards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar, cast

from moto.cloudwatch.models import (
    CloudWatchBackend,
    Dimension,
    Metric,
    MetricDataQuery,
    MetricStat,
    cloudwatch_backends,
)

from localcloud.resources.base import Handler, Properties, Provisioned, Request, ResourceFailed
from localcloud.resources.on_moto import OnMoto, found_tags, gone_is_deleted, removed_tags, tag_list

_ALARM = {
    "actions_enabled": "ActionsEnabled",
    "alarm_actions": "AlarmActions",
    "comparison_operator": "ComparisonOperator",
    "datapoints_to_alarm": "DatapointsToAlarm",
    "description": "AlarmDescription",
    "evaluate_low_sample_count_percentile": "EvaluateLowSampleCountPercentile",
    "evaluation_periods": "EvaluationPeriods",
    "extended_statistic": "ExtendedStatistic",
    "insufficient_data_actions": "InsufficientDataActions",
    "metric_name": "MetricName",
    "namespace": "Namespace",
    "ok_actions": "OKActions",
    "period": "Period",
    "rule": "AlarmRule",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "threshold_metric_id": "ThresholdMetricId",
    "treat_missing_data": "TreatMissingData",
    "unit": "Unit",
}
_COLUMNS = 24
_WIDGETS = {"alarm", "custom", "explorer", "log", "metric", "text"}
_NUMBERS = {"datapoints_to_alarm": int, "evaluation_periods": int, "period": int, "threshold": float}
_LISTS = ("alarm_actions", "insufficient_data_actions", "ok_actions")


class Alarm(OnMoto):
    """An alarm, which localcloud/alarms looks at every few seconds."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {*_ALARM.values(), "AlarmName", "Dimensions", "Metrics", "Tags"} - {"AlarmRule"}
    )

    def create(self, request: Request) -> Provisioned:
        """Create the alarm; Ref yields its name."""
        name = request.properties.get("AlarmName") or request.generated_name(longest=255)
        return self._put(request, name)

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Put the new alarm in the place of the old one."""
        if gone := removed_tags(previous, request.properties):
            _backend(request).untag_resource(cast(dict[str, str], current.attributes)["Arn"], gone)
        return self._put(request, current.physical_id)

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the alarm."""
        with gone_is_deleted():
            _backend(request).delete_alarms([current.physical_id])

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the alarm, not its state."""
        alarm = _backend(request).alarms.get(current.physical_id)
        if alarm is None:
            return None
        return {
            **{key: getattr(alarm, argument) for argument, key in _ALARM.items()},
            "AlarmName": alarm.name,
            "Dimensions": _found_dimensions(alarm.dimensions),
            "Metrics": [_found_query(one) for one in alarm.metric_data_queries],
            "Tags": found_tags(_backend(request).list_tags_for_resource(alarm.alarm_arn)),
        }

    def _put(self, request: Request, name: str) -> Provisioned:
        given = request.properties
        values = {argument: given.get(key) for argument, key in _ALARM.items()}
        values |= {
            name: number(values[name]) for name, number in _NUMBERS.items() if values[name] is not None
        }
        values |= {name: values[name] or [] for name in _LISTS}
        values["actions_enabled"] = str(given.get("ActionsEnabled", True)).lower() == "true"
        alarm = _backend(request).put_metric_alarm(
            name=name,
            dimensions=given.get("Dimensions", []),
            metric_data_queries=[_query(metric) for metric in given.get("Metrics", [])] or None,
            tags=tag_list(given),
            **values,
        )
        return Provisioned(name, {"Arn": alarm.alarm_arn})


class CompositeAlarm(Alarm):
    """An alarm over alarms."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {
            "ActionsEnabled",
            "AlarmActions",
            "AlarmDescription",
            "AlarmName",
            "AlarmRule",
            "InsufficientDataActions",
            "OKActions",
            "Tags",
        }
    )


class Dashboard(OnMoto):
    """A dashboard, kept and answered; nobody draws it here."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"DashboardBody", "DashboardName"})
    no_local_effect: ClassVar[frozenset[str]] = frozenset({"Tags"})

    def create(self, request: Request) -> Provisioned:
        """Create the dashboard; Ref yields its name."""
        name = request.properties.get("DashboardName") or request.generated_name(longest=255)
        _refuse_body(request.properties["DashboardBody"])
        _backend(request).put_dashboard(name, request.properties["DashboardBody"])
        return Provisioned(name)

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Put the new body."""
        _refuse_body(request.properties["DashboardBody"])
        _backend(request).put_dashboard(current.physical_id, request.properties["DashboardBody"])
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the dashboard."""
        with gone_is_deleted():
            _backend(request).delete_dashboards([current.physical_id])

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the body."""
        dashboard = _backend(request).dashboards.get(current.physical_id)
        return dashboard and {"DashboardBody": dashboard.body, "DashboardName": dashboard.name}


def _refuse_body(text: str) -> None:
    """Refuse what CloudWatch refuses: a body that is no JSON, or widgets that nobody could draw."""
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ResourceFailed("The field DashboardBody must be a valid JSON object")
    problems = [
        f"/widgets/{number}: {problem}"
        for number, widget in enumerate(body.get("widgets", []))
        for problem in _problems(widget)
    ]
    if problems:
        raise ResourceFailed(
            f"The dashboard body is invalid, there are {len(problems)} validation errors:"
            f" {'; '.join(problems)}"
        )


def _problems(widget: dict[str, Any]) -> Iterator[str]:
    if widget.get("type") not in _WIDGETS:
        yield f"type should be one of {', '.join(sorted(_WIDGETS))}"
    if not isinstance(widget.get("properties"), dict):
        yield "should have required property 'properties'"
    if not 1 <= int(widget.get("width", 6)) <= _COLUMNS:
        yield f"width should be from 1 to {_COLUMNS}"
    if int(widget.get("x", 0)) + int(widget.get("width", 6)) > _COLUMNS:
        yield f"x and width should end within {_COLUMNS} columns"


def _backend(request: Request) -> CloudWatchBackend:
    return cloudwatch_backends[request.account][request.region]


def _dimensions(given: dict[str, Any]) -> list[Dimension]:
    return [Dimension(one["Name"], one["Value"]) for one in given.get("Dimensions", [])]


def _query(metric: dict[str, Any]) -> MetricDataQuery:
    stat = metric.get("MetricStat")
    return MetricDataQuery(
        query_id=metric["Id"],
        label=metric.get("Label"),
        period=metric.get("Period"),
        return_data=str(metric.get("ReturnData", True)).lower(),
        expression=metric.get("Expression"),
        metric_stat=stat and _stat(stat),
    )


def _found_dimensions(dimensions: list[Dimension]) -> list[dict[str, str]]:
    return [{"Name": one.name, "Value": one.value} for one in dimensions]


def _found_query(query: MetricDataQuery) -> dict[str, Any]:
    """The same the other way round, as a template writes it."""
    found = {
        "Expression": query.expression,
        "Id": query.id,
        "Label": query.label,
        "Period": query.period,
        "ReturnData": query.return_data,
    }
    if query.metric_stat is None:
        return found
    stat = query.metric_stat
    metric = {
        "Dimensions": _found_dimensions(stat.metric.dimensions),
        "MetricName": stat.metric.metric_name,
        "Namespace": stat.metric.namespace,
    }
    return {
        **found,
        "MetricStat": {"Metric": metric, "Period": stat.period, "Stat": stat.stat, "Unit": stat.unit},
    }


def _stat(stat: dict[str, Any]) -> MetricStat:
    metric = stat["Metric"]
    return MetricStat(
        metric=Metric(metric.get("MetricName"), metric.get("Namespace"), _dimensions(metric)),
        period=stat["Period"],
        stat=stat["Stat"],
        unit=stat.get("Unit"),
    )


HANDLERS: dict[str, Handler] = {
    "AWS::CloudWatch::Alarm": Alarm(),
    "AWS::CloudWatch::CompositeAlarm": CompositeAlarm(),
    "AWS::CloudWatch::Dashboard": Dashboard(),
}
