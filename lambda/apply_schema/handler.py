"""CloudFormation's Custom::Migrations: Create and Update apply what is pending, Delete changes nothing.

An invocation by hand, with an event that is no CloudFormation request, runs one of the verbs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger

from apply_schema import on_demand
from apply_schema.limits import Limits
from apply_schema.migration_files import MigrationFiles, read_files
from apply_schema.migrations import apply_reconnecting
from apply_schema.opening import packaged_directory
from apply_schema.opening_in_aws import open_by_environment
from aurora.deadline import Deadline, LambdaContext
from aurora.metrics import written
from aurora.tracing import subsegment
from custom_resource import Request, RequestType, explained, respond

PHYSICAL_ID = "migrations"
RESERVE_SECONDS = 15.0
"""To roll back, and to tell CloudFormation how far it came, before Lambda ends the function."""

logger = Logger(service="apply_schema")


class DigestDiffers(Exception):
    """The template and the function's package were built from different files."""


@explained
def on_event(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request. The physical id never changes, so that no update ever ends in a Delete."""
    deadline = Deadline.of_lambda(context, reserve_seconds=RESERVE_SECONDS)
    if isinstance(event, Mapping) and "verb" in event:
        return on_demand.answered(event, deadline=deadline, report=logger.info)
    request = Request.from_event(event)
    if request.type is RequestType.DELETE:
        return respond(request.physical_resource_id or PHYSICAL_ID)
    request.properties.allow("Digest")
    files = packaged_files(
        request.properties.digest("Digest"),
        packaged_directory(os.environ.get("DATABASE_ENGINE", "postgresql")),
    )
    # Another run ends by its own deadline, a killed one's statement by the server: it is worth waiting.
    limits = Limits(wait_for_lock_seconds=deadline.remaining_seconds(), deadline=deadline)
    started = time.perf_counter()
    with subsegment("migrate"):
        outcome = apply_reconnecting(
            lambda: open_by_environment(os.environ, limits, deadline=deadline),
            files,
            report=logger.info,
            deadline=deadline,
        )
    with written(os.environ) as metrics:
        metrics.add("MigrationsApplied", len(outcome.applied))
        metrics.add("MigrationDuration", time.perf_counter() - started)
    data: dict[str, Any] = {
        "SchemaVersion": outcome.schema_version,
        "Applied": len(outcome.applied),
        "State": outcome.state,
    }
    logger.info("migrated", **data)
    return respond(PHYSICAL_ID, data)


def packaged_files(digest: str, directory: str | os.PathLike[str]) -> MigrationFiles:
    """Return the package's migrations, or raise DigestDiffers where they are not those of the template."""
    files = read_files(directory)
    if files.digest != digest:
        raise DigestDiffers(
            f"the template was synthesized from migrations with digest {digest}, but the function's package "
            f"has {files.digest}: deploy template and code from one checkout"
        )
    return files
