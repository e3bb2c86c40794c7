"""Looks at every alarm every few seconds, moves its state, and lets those know who are to."""

from __future__ import annotations

import functools
import json
import logging
import threading
import time
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from localcloud.alarms import states
from localcloud.alarms.messages import State, detail, message, queries
from localcloud.alarms.rules import BadRule, holds
from localcloud.alarms.states import Datapoint, Threshold, Verdict, judge
from localcloud.authorization.service_calls import ServiceCall
from localcloud.cloud import Cloud
from localcloud.metrics.expressions import BadExpression
from localcloud.metrics.queries import Answers, Window
from localcloud.metrics.samples import Metrics
from localcloud.metrics.statistics import UnknownStatistic
from localcloud.notifications import event_bus, topics
from localcloud.notifications.outbox import Outbox

EVERY_SECONDS = 2.0
"""AWS looks once a minute, and every 10 s for periods of less."""

_log = logging.getLogger(__name__)


class AlarmEvaluator:
    """The alarms of a cloud. A part of it; its thread begins with the first alarm."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._ended = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, name="alarms", daemon=True).start()
        cloud.on_shutdown(self._ended.set)

    @classmethod
    def of(cls, cloud: Cloud) -> AlarmEvaluator:
        """Return the evaluator of a cloud."""
        return cloud.part(cls, cls)

    def evaluate(self) -> None:
        """Look at every alarm now; composite ones last, as they look at the others."""
        for backend in list(cloudwatch_backends[self._cloud.account].values()):
            for alarm in sorted([*backend.alarms.values()], key=lambda one: one.rule is not None):
                verdict = self._composite(backend, alarm) if alarm.rule else self._of_metrics(alarm)
                if verdict.state is not None and alarm.name in backend.alarms:
                    self.move(alarm, verdict.state, verdict.reason, _data(alarm, verdict))

    def move(self, alarm: Any, state: str, reason: str, data: str) -> None:
        """Bring the alarm to a state; its actions for that state are taken if it was in another."""
        with self._lock:
            former = _state(alarm)
            if former.value == state:
                return
            alarm.update_state(reason, data, state)
            present = _state(alarm)
        _log.info("alarm %s: %s -> %s: %s", alarm.name, former.value, state, reason)
        self._tell(alarm, former, present)

    def _tell(self, alarm: Any, former: State, present: State) -> None:
        cloud = self._cloud
        event_bus.put_event(
            cloud,
            alarm.region_name,
            source="aws.cloudwatch",
            detail_type="CloudWatch Alarm State Change",
            detail=detail(alarm, former, present),
            resources=[alarm.alarm_arn],
        )
        if not alarm.actions_enabled:
            return
        said = message(alarm, former, present, cloud.account)
        call = ServiceCall(cloud, topics.CLOUDWATCH, alarm.alarm_arn)
        actions = {
            states.OK: alarm.ok_actions,
            states.ALARM: alarm.alarm_actions,
            states.INSUFFICIENT_DATA: alarm.insufficient_data_actions,
        }
        for arn in actions[present.value]:
            if arn.split(":")[2] == "sns":
                Outbox.of(cloud).put(functools.partial(topics.publish, call, arn, said))
            else:
                _log.warning("alarm %s: only topics hear of alarms here, not %s", alarm.name, arn)

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            try:
                self.evaluate()
            except Exception:
                _log.exception("alarms could not be evaluated")

    def _of_metrics(self, alarm: Any) -> Verdict:
        threshold = _threshold(alarm)
        if not threshold.is_known:
            return Verdict(None)
        asked = queries(alarm)
        reads = next((one["Id"] for one in asked if one.get("ReturnData", True)), asked[-1]["Id"])
        now, length = time.time(), float(alarm.period or _period(asked))
        looked_at = threshold.periods + states.FURTHER_BACK
        # periods end now, so that a datapoint counts from the moment when it arrives
        window = Window(now - looked_at * length, now, is_aligned=False)
        answers = Answers(Metrics.of(self._cloud), alarm.region_name, asked, window)
        try:
            [series] = answers.series(reads)
        except (BadExpression, UnknownStatistic, ValueError) as error:
            return Verdict(states.INSUFFICIENT_DATA, f"The alarm cannot be evaluated here: {error}")
        points = [
            Datapoint(at, series[at]) if at in series else None for at in window.times(length)[:looked_at]
        ]
        return judge(threshold, points)

    def _composite(self, backend: Any, alarm: Any) -> Verdict:
        def state_of(name: str) -> str:
            found = backend.alarms.get(name)
            return found.state_value if found else ""

        try:
            rings = holds(alarm.rule, state_of)
        except BadRule as error:
            return Verdict(states.INSUFFICIENT_DATA, str(error))
        state = states.ALARM if rings else states.OK
        return Verdict(state, f"{alarm.alarm_arn} transitioned to {state}: {alarm.rule}")


def _threshold(alarm: Any) -> Threshold:
    periods = int(alarm.evaluation_periods)
    return Threshold(
        alarm.comparison_operator or "",
        float(alarm.threshold if alarm.threshold is not None else 0.0),
        periods,
        int(alarm.datapoints_to_alarm or periods),
        alarm.treat_missing_data or "missing",
    )


def _period(asked: list[dict[str, Any]]) -> int:
    own = [one.get("Period") or one.get("MetricStat", {}).get("Period") for one in asked]
    return min((int(one) for one in own if one), default=60)


def _state(alarm: Any) -> State:
    since = alarm.state_updated_timestamp
    return State(alarm.state_value, alarm.state_reason, alarm.state_reason_data, since)


def _data(alarm: Any, verdict: Verdict) -> str:
    """Return StateReasonData."""
    points = [
        {"timestamp": datetime.fromtimestamp(one.at, UTC).isoformat(), "value": one.value}
        for one in reversed(verdict.datapoints)
    ]
    told = {
        "version": "1.0",
        "queryDate": datetime.now(UTC).isoformat(),
        "period": alarm.period,
        "recentDatapoints": [one["value"] for one in points],
        "threshold": alarm.threshold,
        "evaluatedDatapoints": points,
    }
    if alarm.statistic:
        told["statistic"] = alarm.statistic
    return json.dumps(told)
