"""CloudFormation's event to a load, its report to CloudFormation's answer."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from aurora import connecting
from aurora.deadline import Deadline, LambdaContext
from aurora.environment import DatabaseEnvironment
from aurora.metrics import written
from aurora.tracing import subsegment
from custom_resource import MalformedEvent, Properties, Request, RequestType, explained, respond
from seed_data.generated import Generated
from seed_data.loader import LoadReport, load
from seed_data.progress import Progress, at_most_every
from seed_data.sources import SAMPLE, PathSource, S3Object, Source

PHYSICAL_ID = "seed-data"
RESERVE_SECONDS = 10.0  # to roll back and to answer before Lambda ends the function
PROGRESS_EVERY_SECONDS = 2.0
S3_PATIENCE = Config(
    connect_timeout=3, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 4}
)

logger = Logger(service="seed_data")


@explained
def on_event(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Load the file that the event names, or the packaged sample; a Delete touches no data."""
    request = Request.from_event(event)
    if request.type is RequestType.DELETE:
        return respond(request.physical_resource_id or PHYSICAL_ID)
    environment = DatabaseEnvironment.from_environment(os.environ)
    source = _source(request.properties, region=environment.region)
    deadline = Deadline.of_lambda(context, reserve_seconds=RESERVE_SECONDS)
    with closing(connecting.connect_loader(environment, deadline=deadline)) as session, subsegment("load"):
        started = time.perf_counter()
        report = load(
            session,
            source,
            deadline=deadline,
            report=at_most_every(PROGRESS_EVERY_SECONDS, _log_progress),
        )
        seconds = time.perf_counter() - started
    _log_report(report)
    with written(os.environ) as metrics:
        metrics.add("SeedLines", report.load.lines if report.is_new else 0)
        metrics.add("SeedDuration", seconds)
    return respond(PHYSICAL_ID, _data(report))


def _source(properties: Properties, *, region: str) -> Source:
    """Return the file that the properties name; the digest is there so that a new file is an update."""
    properties.allow("Digest", "Bucket", "Key", "FileName", "GeneratedLines")
    properties.digest("Digest")
    if "GeneratedLines" in properties:
        return _generated(properties)
    given = [name for name in ("Bucket", "Key", "FileName") if name in properties]
    if not given:
        return PathSource(SAMPLE)
    if len(given) < 3:
        raise MalformedEvent(f"of Bucket, Key and FileName there is only {given}: expected all or none")
    return S3Object(
        boto3.client("s3", region_name=region, config=S3_PATIENCE),
        bucket=properties.text("Bucket", longest=63),
        key=properties.text("Key", longest=1024),
        name=properties.text("FileName", longest=255),
    )


def _generated(properties: Properties) -> Source:
    text = properties.text("GeneratedLines", longest=9)
    if not text.isdecimal():
        raise MalformedEvent(f"GeneratedLines is {text!r}: expected a whole number")
    return Generated(int(text))


def _log_progress(progress: Progress) -> None:
    logger.info(
        "seed progress",
        doing=progress.doing,
        lines=progress.lines,
        lines_per_second=progress.lines_per_second,
        seconds_left=progress.seconds_left,
    )


def _log_report(report: LoadReport) -> None:
    logger.info(
        "seed loaded" if report.is_new else "seed was loaded before",
        load_id=report.load.load_id,
        totals=_data(report),
        rejects_by_reason=dict(report.rejects_by_reason),
    )


def _data(report: LoadReport) -> dict[str, str]:
    """Return the control totals as text: a float would lose decimals."""
    load = report.load
    return {
        "Lines": str(load.lines),
        "OrderLines": str(load.order_lines),
        "Rejects": str(load.rejects),
        "Quantity": f"{load.quantity:f}",
        "Amount": f"{load.amount:f}",
        "Source": load.source,
    }
