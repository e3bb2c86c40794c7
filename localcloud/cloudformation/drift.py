"""Drift detection: what stands is compared with what the template sets, resource by resource.

What is compared is CloudFormation's own decision, read from its registry: types that it can read, properties
that the template sets and that are not write-only, each as the service transforms it. Values that are not to
be shown (dynamic references, NoEcho parameters) are never compared.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from localcloud.cloudformation.attachments import without_attachments
from localcloud.cloudformation.change_sets import Refused
from localcloud.cloudformation.differences import differences
from localcloud.cloudformation.drift_results import (
    DELETED,
    IN_SYNC,
    MODIFIED,
    UNKNOWN,
    Detection,
    ResourceDrift,
)
from localcloud.cloudformation.provisioning import Provisioner, reason_of
from localcloud.cloudformation.region import Region
from localcloud.cloudformation.schemas import Schema, schema
from localcloud.cloudformation.stack import Stack, StackResource
from localcloud.resources.base import Properties, Readable

LARGEST_PAGE = 100

# "Detecting unmanaged configuration changes to stacks and resources", CloudFormation user guide
_DETECTABLE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED"}
_log = logging.getLogger(__name__)


def detect(region: Region, stack: Stack, logical_ids: Iterable[str]) -> str:
    """Look at these resources, or at all, and return the detection's id; it is over then.

    A resource that cannot be read for a fault is UNKNOWN, and fails the detection, not the other resources.
    """
    _refuse_state(stack)
    resources = [_named(stack, name) for name in logical_ids] or list(stack.resources.values())
    if not stack.drift.one_at_a_time.acquire(blocking=False):
        raise Refused(f"Drift detection is already in progress for stack [{stack.stack_id}]")
    try:
        target, started = stack.target, datetime.now(UTC)
        found = [_drift(region, stack, one) for one in resources if is_checked(region, one)]
        stack.drift.put(target, found, started)
        detection = _detection(stack, found, started)
        stack.drift.detections[detection.detection_id] = detection
        return detection.detection_id
    finally:
        stack.drift.one_at_a_time.release()


def detect_resource(region: Region, stack: Stack, logical_id: str) -> ResourceDrift:
    """Look at one resource; Refused for a type whose drift CloudFormation does not detect."""
    _refuse_state(stack)
    resource = _named(stack, logical_id)
    if not is_checked(region, resource):
        raise Refused(f"Drift detection is not supported for resource type [{resource.definition.type}]")
    detect(region, stack, [logical_id])
    return stack.drift.of(stack.target)[logical_id]


def detection(region: Region, detection_id: str) -> tuple[Stack, Detection]:
    """Return a detection, and the stack that it was of."""
    for stack in list(region.stacks.values()):
        if detection_id in stack.drift.detections:
            return stack, stack.drift.detections[detection_id]
    raise Refused(f"Drift detection with id [{detection_id}] does not exist")


def page(
    stack: Stack, statuses: Iterable[str], largest: int | None, token: str | None
) -> tuple[list[ResourceDrift], str | None]:
    """Return the results from `token` on with one of these statuses, and the token of the next page."""
    wanted = set(statuses)
    found = [one for one in stack.drift.of(stack.target).values() if not wanted or one.status in wanted]
    start, size = _start(token), LARGEST_PAGE if largest is None else largest
    if not 1 <= size <= LARGEST_PAGE:
        raise Refused(f"1 validation error detected: MaxResults {size} must be from 1 to {LARGEST_PAGE}")
    end = start + size
    return found[start:end], str(end) if end < len(found) else None


def is_checked(region: Region, resource: StackResource) -> bool:
    """Whether CloudFormation detects the drift of such a resource, and the local cloud can tell it."""
    known = schema(resource.definition.type, region.name)
    readable = isinstance(region.handlers(resource.definition.type), Readable)
    return resource.provisioned is not None and known is not None and known.can_be_read and readable


def _refuse_state(stack: Stack) -> None:
    if stack.status not in _DETECTABLE:
        raise Refused(
            f"Drift detection cannot be performed on stack [{stack.stack_id}] while it is in"
            f" [{stack.status}] state"
        )


def _named(stack: Stack, logical_id: str) -> StackResource:
    if logical_id not in stack.resources:
        raise Refused(f"Resource {logical_id} does not exist for stack {stack.name}")
    return stack.resources[logical_id]


def _start(token: str | None) -> int:
    if token is None:
        return 0
    if not token.isdecimal():
        raise Refused(f"NextToken {token} is invalid")
    return int(token)


def _detection(stack: Stack, found: list[ResourceDrift], started: datetime) -> Detection:
    unknown = [one.logical_id for one in found if one.status == UNKNOWN]
    return Detection(
        detection_id=str(uuid.uuid4()),
        status="DETECTION_FAILED" if unknown else "DETECTION_COMPLETE",
        reason=f"Failed to detect drift on resource [{', '.join(unknown)}]" if unknown else None,
        stack_status=stack.drift.stack_status(stack.target),
        drifted=sum(one.has_drifted for one in found),
        timestamp=started,
    )


def _drift(region: Region, stack: Stack, resource: StackResource) -> ResourceDrift:
    def drift(status: str, **given: Any) -> ResourceDrift:
        return ResourceDrift(
            resource.logical_id,
            resource.physical_id,
            resource.definition.type,
            status,
            datetime.now(UTC),
            **given,
        )

    known = schema(resource.definition.type, region.name)
    if known is None:
        raise LookupError(resource.definition.type)
    try:
        actual = Provisioner(region, stack).read(resource)
    except Exception as error:
        _log.exception("drift of %s", resource.logical_id)
        return drift(UNKNOWN, reason=reason_of(error))
    if actual is None:
        return drift(DELETED)
    expected = _compared(stack, known, resource.properties)
    actual = without_attachments(stack, resource, known.readable(actual))
    found = tuple(differences(known, expected, actual))
    told = expected.keys() & actual.keys()
    return drift(
        MODIFIED if found else IN_SYNC,
        differences=found,
        expected={name: expected[name] for name in sorted(told)},
        actual={name: actual[name] for name in sorted(told) if actual[name] is not None},
    )


def _compared(stack: Stack, known: Schema, properties: Properties) -> Properties:
    """Return the properties that the template sets, without what cannot or must not be told."""
    parameters = stack.target.parameters.values() if stack.target else ()
    secrets = [json.dumps(str(one.value))[1:-1] for one in parameters if one.no_echo and one.value]
    hidden = ["{{resolve:", *secrets]
    return {
        name: value
        for name, value in known.readable(properties).items()
        if not any(one in json.dumps(value) for one in hidden)
    }
