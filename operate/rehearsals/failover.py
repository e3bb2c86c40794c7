"""Failover: customers order while a reader becomes the writer, and what they were promised is compared."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from operate.aws import Refused
from operate.rehearsals.functions import Functions
from operate.rehearsals.steps import LONGEST_SETTLING_SECONDS, RehearsalFailed, Steps
from operate.report import stack_outputs
from stacks.settings import STACKS

if TYPE_CHECKING:
    import boto3
    from rich.console import Console

    from operate.deployment import Deployment

SECONDS = {True: 20, False: 120}
"""For how long customers order, on the local cloud and on AWS, where a failover takes half a minute."""
LONGEST_START_SECONDS = 120.0
LONGEST_FAILOVER_SECONDS = 300.0
TOLD = "customers order"
"""What the function logs once every customer was served: lambda/smoke_test/handler.py."""


@dataclass(frozen=True)
class FailedOver:
    """One failover under load."""

    former: str
    writer: str
    seconds: float
    """From the call to the moment at which RDS names another writer."""
    orders: dict[str, Any]

    @property
    def worked(self) -> bool:
        """Whether every promise was kept, and all customers were served again."""
        return self.orders["result"] == "kept" and not self.orders["left"]


def rehearse(
    steps: Steps, session: boto3.Session, deployment: Deployment, *, seconds: int, customers: int
) -> FailedOver:
    """Fail over while customers order in the test's warehouse; raises Refused, or RehearsalFailed."""
    rds: Any = session.client("rds")
    outputs = stack_outputs(session, deployment)
    cluster = outputs["ClusterIdentifier"]
    former = _writer(rds, cluster)
    run = uuid.uuid4().hex
    orders = Functions(session, outputs).order(seconds=seconds, customers=customers, run=run)
    with steps.step("customers order"):
        log = _SmokeTestLog(session, deployment.stack_names[STACKS.index("schema")], run)
        steps.until(
            "the first orders",
            lambda: _goes_on(orders) and log.tells(),
            longest_seconds=LONGEST_START_SECONDS,
        )
    with steps.step("another instance is the writer"):
        asked_at = time.monotonic()
        rds.failover_db_cluster(DBClusterIdentifier=cluster)
        steps.until(
            "another writer",
            lambda: _writer(rds, cluster, default=former) != former,
            longest_seconds=LONGEST_FAILOVER_SECONDS,
        )
        took_seconds = time.monotonic() - asked_at
        if orders.done():
            orders.result()  # its own error first
            raise RehearsalFailed(
                f"the failover took {took_seconds:.0f} s, and customers ordered for {seconds} s only, so "
                f"that its pause is not known: again with ORDER_SECONDS={3 * seconds}"
            )
    with steps.step("customers order on, and their orders are compared and taken away"):
        answer = orders.result()
    return FailedOver(former, _writer(rds, cluster), took_seconds, answer)


def print_report(console: Console, deployment: Deployment, found: FailedOver, *, cluster: str) -> int:
    """Say whether it worked, and what next; returns the exit code."""
    console.print()
    for label, text in _lines(found):
        console.print(f"  {label:<12}  {text}", soft_wrap=True, markup=False)
    console.print(f"Failover of {cluster}: {'worked' if found.worked else 'DID NOT WORK'}", soft_wrap=True)
    again = f"make rehearse REHEARSAL=failover {deployment.variables}"
    if found.worked:
        console.print(
            f"The former writer is a reader now; to make it the writer again: {again}", soft_wrap=True
        )
        return 0
    console.print(f"Look at the writer's log, then prove the rest: make smoke {deployment.variables}")
    return 1


def _lines(found: FailedOver) -> Iterator[tuple[str, str]]:
    orders = found.orders
    yield "writer", f"{found.writer}, {found.seconds:.1f} s after it was asked for; before {found.former}"
    yield (
        "pause",
        (
            f"{orders['pause_milliseconds']:,.0f} ms in which nobody was acknowledged an order; usually "
            f"{orders['usual_milliseconds']:,.1f} ms between two"
        ),
    )
    yield (
        "orders",
        (
            f"{orders['acknowledged']:,} acknowledged by {orders['customers']} customers in "
            f"{orders['seconds']:.0f} s; {orders['tried_again']:,} tried again, {orders['refused']} refused, "
            f"{orders['unknown']} without an answer"
        ),
    )
    yield "of them", f"{orders['lost']} lost, {orders['altered']} altered, {orders['twice']} twice"
    if orders["named"]:
        yield "tokens", ", ".join(orders["named"])
    violations = [f"{count} times not: {name}" for name, count in orders["violations"].items()]
    yield "invariants", "; ".join(violations) or "hold"
    yield "taken away", f"{orders['purged']:,} orders, {orders['left']} left"
    for error in orders["gave_up"]:
        yield "went away", error


def check(steps: Steps, session: boto3.Session, cluster: str) -> None:
    """Refuse where there is nothing to fail over to; wait for what the cluster is at."""
    rds: Any = session.client("rds")
    steps.wait_for(
        cluster,
        lambda: str(_described(rds, cluster)["Status"]),
        "available",
        longest_seconds=LONGEST_SETTLING_SECONDS,
    )
    if len(_described(rds, cluster)["DBClusterMembers"]) < 2:
        raise Refused(
            f"{cluster} has no reader to fail over to (reader_count=0): Aurora would make a new writer, "
            "which takes ten minutes; set reader_count>=1 in stacks/settings.py, deploy, then rehearse"
        )


class _SmokeTestLog:
    """The log of the function that orders: it says when every customer was served."""

    def __init__(self, session: boto3.Session, schema_stack: str, run: str) -> None:
        self._logs: Any = session.client("logs")
        resources = session.client("cloudformation").describe_stack_resources(StackName=schema_stack)
        self._group = next(
            one["PhysicalResourceId"]
            for one in resources["StackResources"]
            if one["ResourceType"] == "AWS::Logs::LogGroup"
            and one["LogicalResourceId"].startswith("SmokeTestLogs")
        )
        self._run = run
        self._since = int((time.time() - 60) * 1000)

    def tells(self) -> bool:
        """Whether the load of this run has begun."""
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=self._group, startTime=self._since, filterPattern=f'"{self._run}"'
        )
        return any(TOLD in event["message"] for page in pages for event in page["events"])


def _goes_on(orders: Future[dict[str, Any]]) -> bool:
    """Raise where the load has ended already, with its own error if it has one."""
    if orders.done():
        orders.result()
        raise RehearsalFailed(
            "customers ordered, but their log came too late: again with more ORDER_SECONDS="
        )
    return True


def _writer(rds: Any, cluster: str, default: str = "") -> str:
    """Return the name of the instance that is the writer now; for a moment there may be none."""
    members = _described(rds, cluster)["DBClusterMembers"]
    return str(next((one["DBInstanceIdentifier"] for one in members if one["IsClusterWriter"]), default))


def _described(rds: Any, cluster: str) -> dict[str, Any]:
    (described,) = rds.describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"]
    return dict(described)
