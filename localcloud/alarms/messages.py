"""A change of an alarm's state, as topics and EventBridge hear of it.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html; what a topic
gets has no page of its own: it is as alarms send it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcloud.notifications.topics import Message

_REGIONS = {
    "ap-northeast-1": "Asia Pacific (Tokyo)",
    "ap-south-1": "Asia Pacific (Mumbai)",
    "ap-southeast-1": "Asia Pacific (Singapore)",
    "ap-southeast-2": "Asia Pacific (Sydney)",
    "ca-central-1": "Canada (Central)",
    "eu-central-1": "EU (Frankfurt)",
    "eu-north-1": "EU (Stockholm)",
    "eu-west-1": "EU (Ireland)",
    "eu-west-2": "EU (London)",
    "eu-west-3": "EU (Paris)",
    "sa-east-1": "South America (Sao Paulo)",
    "us-east-1": "US East (N. Virginia)",
    "us-east-2": "US East (Ohio)",
    "us-west-1": "US West (N. California)",
    "us-west-2": "US West (Oregon)",
}
_LONGEST_SUBJECT = 100


@dataclass(frozen=True)
class State:
    """An alarm's state, why, and since when."""

    value: str
    reason: str
    data: str
    since: datetime


def message(alarm: Any, former: State, present: State, account: str) -> Message:
    """Return what a topic gets."""
    region = _REGIONS.get(alarm.region_name, alarm.region_name)
    body = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": account,
        "AlarmConfigurationUpdatedTimestamp": _stamp(alarm.configuration_updated_timestamp),
        "NewStateValue": present.value,
        "NewStateReason": present.reason,
        "StateChangeTime": _stamp(present.since),
        "Region": region,
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": former.value,
        "OKActions": list(alarm.ok_actions),
        "AlarmActions": list(alarm.alarm_actions),
        "InsufficientDataActions": list(alarm.insufficient_data_actions),
        **({"AlarmRule": alarm.rule} if alarm.rule else {"Trigger": _trigger(alarm)}),
    }
    subject = f'{present.value}: "{alarm.name}" in {region}'
    return Message(json.dumps(body), subject[:_LONGEST_SUBJECT])


def detail(alarm: Any, former: State, present: State) -> dict[str, Any]:
    """Return what EventBridge gets, under "CloudWatch Alarm State Change"."""
    return {
        "alarmName": alarm.name,
        "state": _state(present),
        "previousState": _state(former),
        "configuration": {"description": alarm.description or ""},
    }


def queries(alarm: Any) -> list[dict[str, Any]]:
    """Return what an alarm reads, as GetMetricData has it; the last stands for a plain metric."""
    if alarm.metric_data_queries:
        return [_query(one) for one in alarm.metric_data_queries]
    metric = {
        "Namespace": alarm.namespace,
        "MetricName": alarm.metric_name,
        "Dimensions": [{"Name": one.name, "Value": one.value} for one in alarm.dimensions],
    }
    stat = {"Metric": metric, "Period": alarm.period, "Stat": alarm.statistic or alarm.extended_statistic}
    return [{"Id": "m1", "MetricStat": stat | ({"Unit": alarm.unit} if alarm.unit else {})}]


def _query(one: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Id": one.id,
        "ReturnData": str(one.return_data if one.return_data is not None else True).lower() == "true",
    }
    for key, value in (("Label", one.label), ("Period", one.period), ("Expression", one.expression)):
        if value is not None:
            found[key] = value
    if one.metric_stat:
        metric = one.metric_stat.metric
        found["MetricStat"] = {
            "Metric": {
                "Namespace": metric.namespace,
                "MetricName": metric.metric_name,
                "Dimensions": [{"Name": each.name, "Value": each.value} for each in metric.dimensions],
            },
            "Period": one.metric_stat.period,
            "Stat": one.metric_stat.stat,
            **({"Unit": one.metric_stat.unit} if one.metric_stat.unit else {}),
        }
    return found


def _trigger(alarm: Any) -> dict[str, Any]:
    common = {
        "EvaluationPeriods": alarm.evaluation_periods,
        "DatapointsToAlarm": alarm.datapoints_to_alarm or alarm.evaluation_periods,
        "ComparisonOperator": alarm.comparison_operator,
        "Threshold": alarm.threshold,
        "TreatMissingData": alarm.treat_missing_data or "missing",
        "EvaluateLowSampleCountPercentile": alarm.evaluate_low_sample_count_percentile or "",
    }
    if alarm.metric_data_queries:
        return {"Metrics": [_lowered(one) for one in queries(alarm)], **common}
    statistic = (
        {"StatisticType": "Statistic", "Statistic": alarm.statistic.upper()}
        if alarm.statistic
        else {"StatisticType": "ExtendedStatistic", "ExtendedStatistic": alarm.extended_statistic}
    )
    return {
        "MetricName": alarm.metric_name,
        "Namespace": alarm.namespace,
        **statistic,
        "Unit": alarm.unit,
        "Dimensions": [{"value": one.value, "name": one.name} for one in alarm.dimensions],
        "Period": alarm.period,
        **common,
    }


def _lowered(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return a query with its dimensions as messages have them."""
    found = json.loads(json.dumps(query))
    if "MetricStat" in found:
        metric = found["MetricStat"]["Metric"]
        metric["Dimensions"] = [{"value": one["Value"], "name": one["Name"]} for one in metric["Dimensions"]]
    return dict(found)


def _state(state: State) -> dict[str, str]:
    return {
        "value": state.value,
        "reason": state.reason,
        "reasonData": state.data,
        "timestamp": _stamp(state.since),
    }


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
