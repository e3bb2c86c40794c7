"""CloudFormation's event, or a bare invocation, to a smoke test."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger

from aurora.deadline import Deadline, LambdaContext
from aurora.environment import DatabaseEnvironment
from aurora.metrics import written
from custom_resource import Request, RequestType, explained, respond
from smoke_test.customers import Demand, order_for_a_while
from smoke_test.report import Report, SmokeTestFailed
from smoke_test.running import run_smoke_test

PHYSICAL_ID = "smoke-test"
CLEANUP_SECONDS = 10.0  # from the last check's end to the purge's
RESERVE_SECONDS = 3.0  # for the answer
LOAD_CLEANUP_SECONDS = 90.0  # from the last order's beginning to its end, and for the purge of all of them

logger = Logger(service="smoke_test")


@explained
def on_event(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Test, and answer CloudFormation with the report's data, or a bare invocation with the whole report.

    A check that fails is raised by name: CloudFormation rolls back, an invocation is a function error. Delete
    does nothing: the test left nothing. An invocation with a verb has customers order for a while, for a
    rehearsal.
    """
    if "verb" in event:
        return _ordered(Demand.from_event(event), context)
    if "RequestType" not in event:
        return _tested(context).as_json()
    request = Request.from_event(event)
    if request.type is RequestType.DELETE:
        return respond(request.physical_resource_id or PHYSICAL_ID)
    request.properties.allow("Digest")
    request.properties.digest(
        "Digest"
    )  # over all that could change the answer; it is there to cause this event
    return respond(PHYSICAL_ID, _tested(context).as_resource_data())


def _ordered(demand: Demand, context: LambdaContext) -> dict[str, Any]:
    """Return what became of a load of orders; it writes no metrics, as its orders are no business."""
    answer = order_for_a_while(
        DatabaseEnvironment.from_environment(os.environ),
        demand,
        deadline=Deadline.of_lambda(context, reserve_seconds=RESERVE_SECONDS + LOAD_CLEANUP_SECONDS),
        cleanup_deadline=Deadline.of_lambda(context, reserve_seconds=RESERVE_SECONDS),
        began=lambda: logger.info("customers order", run=demand.run),
    )
    logger.info("load of orders", run=demand.run, report=answer)
    return answer


def _tested(context: LambdaContext) -> Report:
    """Return the report of a test that passed; log every report."""
    with written(os.environ) as metrics:
        report = run_smoke_test(
            DatabaseEnvironment.from_environment(os.environ),
            deadline=Deadline.of_lambda(context, reserve_seconds=RESERVE_SECONDS + CLEANUP_SECONDS),
            cleanup_deadline=Deadline.of_lambda(context, reserve_seconds=RESERVE_SECONDS),
            metrics=metrics,
        )
        metrics.add("SmokeTestPassed", float(not report.failures))
        metrics.add("SmokeTestFailed", float(bool(report.failures)))
        metrics.add("SmokeTestDuration", report.milliseconds)
    logger.info("smoke test report", report=report.as_json())
    if report.failures:
        raise SmokeTestFailed(report)
    return report
