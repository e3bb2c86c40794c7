"""Runs all checks and cleans up after them, whatever they find."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from functools import partial

from aurora.deadline import Deadline
from aurora.environment import DatabaseEnvironment
from aurora.metrics import Metrics
from aurora.redaction import redact
from aurora.tracing import subsegment
from orders.order_metrics import OrderMetrics
from smoke_test.checks import CHECKS, CheckFailed, business_data_are_as_before
from smoke_test.report import CheckResult, Report
from smoke_test.scene import READER_PATIENCE_SECONDS, Scene


def run_smoke_test(
    environment: DatabaseEnvironment,
    *,
    deadline: Deadline,
    cleanup_deadline: Deadline,
    reader_patience_seconds: float = READER_PATIENCE_SECONDS,
    metrics: Metrics | None = None,
) -> Report:
    """Return the report of all checks; one that fails hides none of the others.

    No check begins after `deadline`. The test's orders are purged also when the run is broken off: the time
    from `deadline` to `cleanup_deadline` is for that.
    """
    started = time.perf_counter()
    try:
        scene = Scene.open(environment, deadline=deadline)
    except Exception as error:  # without sessions there is nothing else to check, and nothing to clean up
        unopened = CheckResult("sessions_open", False, _milliseconds_since(started), _said(error))
        return Report(environment.database, "unknown", "unknown", unopened.milliseconds, (unopened,))
    scene.reader_patience_seconds = reader_patience_seconds
    if metrics is not None:
        scene.metrics = OrderMetrics(metrics, caller="smoke-test")
    results: list[CheckResult] = []
    with closing(scene):
        try:
            results += [_result_of(check.__name__, partial(_in_time, check, scene)) for check in CHECKS]
        finally:
            last = business_data_are_as_before
            results.append(_result_of(last.__name__, partial(last, scene, cleanup_deadline)))
    return Report(
        database=environment.database,
        writer_version=scene.writer_version,
        reader_version=scene.reader_version,
        milliseconds=_milliseconds_since(started),
        checks=tuple(results),
    )


def _in_time(check: Callable[[Scene], str], scene: Scene) -> str:
    if scene.deadline.passed():
        raise CheckFailed(expected="the check", seen="the deadline: there was no time left for it")
    scene.limit_statements()
    return check(scene)


def _result_of(name: str, check: Callable[[], str]) -> CheckResult:
    started = time.perf_counter()
    try:
        with subsegment(name):
            passed, detail = True, check()
    except Exception as error:  # whatever goes wrong in a check is what it found
        passed, detail = False, _said(error)
    return CheckResult(name, passed, _milliseconds_since(started), detail)


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    return redact(text if isinstance(error, CheckFailed) else f"unexpected {type(error).__name__}: {text}")


def _milliseconds_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
