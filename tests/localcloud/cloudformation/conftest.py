"""CloudFormation without AWS: the real operations and engine, over handlers that only remember."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from localcloud.cloud import Cloud
from localcloud.cloudformation.change_sets import ChangeSet, Operations, Submission
from localcloud.cloudformation.dynamic_references import DynamicReferences
from localcloud.cloudformation.region import Region
from localcloud.cloudformation.stack import Stack
from localcloud.resources import UnknownResourceType
from localcloud.resources.base import (
    Handler,
    Properties,
    Provisioned,
    ReplacementNeeded,
    Request,
    ResourceFailed,
)


class Remembering(Handler):
    """Does nothing but remember; fails, waits or replaces where a test says so.

    The type Test::Remembering needs a replacement when its property Fixed changes. Its physical ids are
    <logical id>-<number>, and GetAtt yields Arn and every property.
    """

    replaced_by = frozenset({"Fixed"})

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.requests: list[tuple[str, Request]] = []
        self.existing: set[str] = set()
        self.updated: list[str] = []
        self.failures: dict[tuple[str, str], Exception] = {}
        self.meanwhile: dict[tuple[str, str], Callable[[], Any]] = {}
        self.new_physical_id_on_update: set[str] = set()
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}

    def create(self, request: Request) -> Provisioned:
        self._remember("create", request)
        return self._provisioned(request)

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        self._remember("update", request)
        self.updated.append(current.physical_id)
        if "NotInPlace" in request.properties:
            raise ReplacementNeeded
        if request.logical_id in self.new_physical_id_on_update:
            return self._provisioned(request)
        return Provisioned(current.physical_id, self._attributes(request, current.physical_id))

    def delete(self, request: Request, current: Provisioned) -> None:
        self._remember("delete", request, current.physical_id)
        self.existing.discard(current.physical_id)

    def fail(self, verb: str, logical_id: str, reason: str = "broken", **arguments: Any) -> None:
        self.failures[verb, logical_id] = ResourceFailed(reason, **arguments)

    def mend(self) -> None:
        self.failures.clear()

    def order(self, verb: str) -> list[str]:
        return [name for done, name in self.calls if done == verb]

    def last(self, verb: str, logical_id: str) -> Request:
        return next(
            request
            for done, request in reversed(self.requests)
            if (done, request.logical_id) == (verb, logical_id)
        )

    def _remember(self, verb: str, request: Request, physical_id: str = "") -> None:
        with self._lock:
            self.calls.append((verb, physical_id or request.logical_id))
            self.requests.append((verb, request))
        if action := self.meanwhile.get((verb, request.logical_id)):
            action()
        if error := self.failures.get((verb, request.logical_id)):
            raise error

    def _provisioned(self, request: Request) -> Provisioned:
        with self._lock:
            number = self._numbers[request.logical_id] = self._numbers.get(request.logical_id, 0) + 1
            physical_id = f"{request.logical_id}-{number}"
            self.existing.add(physical_id)
        return Provisioned(physical_id, self._attributes(request, physical_id))

    def _attributes(self, request: Request, physical_id: str) -> dict[str, Any]:
        return {**request.properties, "Arn": f"arn:{physical_id}"}


class Snapshotting(Remembering):
    def __init__(self) -> None:
        super().__init__()
        self.snapshots: list[str] = []

    def snapshot(self, request: Request, current: Provisioned) -> str:
        self.snapshots.append(current.physical_id)
        return f"snapshot-{current.physical_id}"


@dataclass
class CloudFormation:
    """One region, and short ways to use it."""

    operations: Operations
    things: Remembering
    snapshotting: Snapshotting
    types: dict[str, Handler]
    secrets: dict[str, str]
    parameters: dict[str, str]
    number: int = field(default=0)

    def change_set(
        self,
        name: str,
        template: dict[str, Any] | str,
        parameters: dict[str, str] | None = None,
        **given: Any,
    ) -> ChangeSet:
        self.number += 1
        text = template if isinstance(template, str) else json.dumps(template)
        exists = (stack := self.stack(name)) is not None and stack.target is not None
        submission = Submission(
            text, parameters or {}, capabilities=["CAPABILITY_NAMED_IAM"], tags=given.get("tags", {})
        )
        kind = "UPDATE" if exists else "CREATE"
        return self.operations.create_change_set(name, f"change-{self.number}", kind, submission)

    def deploy(
        self,
        name: str,
        template: dict[str, Any] | str,
        parameters: dict[str, str] | None = None,
        *,
        disable_rollback: bool = False,
        **given: Any,
    ) -> Stack:
        change_set = self.change_set(name, template, parameters, **given)
        self.operations.execute_change_set(change_set, disable_rollback=disable_rollback)
        return change_set.stack

    def delete(self, name: str, *retained: str) -> Stack:
        stack = self.operations.existing(name)
        self.operations.delete_stack(name, frozenset(retained))
        return stack

    def stack(self, name: str) -> Stack | None:
        return self.operations.region.stack(name)


@pytest.fixture
def cloudformation(tmp_path: Path) -> CloudFormation:
    things, snapshotting = Remembering(), Snapshotting()
    types: dict[str, Handler] = {"Test::Remembering": things, "Test::Snapshotting": snapshotting}
    secrets: dict[str, str] = {}
    parameters: dict[str, str] = {}

    def handler(resource_type: str) -> Handler:
        if resource_type not in types:
            raise UnknownResourceType(resource_type)
        return types[resource_type]

    region = Region(
        cloud=Cloud(port=1, directory=tmp_path),
        account="123456789012",
        name="us-east-1",
        handlers=handler,
        dynamic_references=DynamicReferences(
            lambda secret_id, stage, version: secrets[secret_id], parameters.__getitem__
        ),
        availability_zones=lambda name: [f"{name}{zone}" for zone in "abc"],
    )
    # tests wait for the end, whatever it takes
    operations = Operations(region, parameters.__getitem__, answer_within_seconds=60)
    return CloudFormation(operations, things, snapshotting, types, secrets, parameters)


def thing(depends_on: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    """Return a resource of the remembering type."""
    return {"Type": "Test::Remembering", "Properties": properties, "DependsOn": depends_on or []}


@pytest.fixture(name="thing")
def thing_fixture() -> Callable[..., dict[str, Any]]:
    return thing


def statuses(stack: Stack, logical_id: str | None = None) -> list[str]:
    """Return the statuses that a stack, or one of its resources, went through."""
    return [event.status for event in stack.events if event.logical_id == (logical_id or stack.name)]


@pytest.fixture(name="statuses")
def statuses_fixture() -> Callable[..., list[str]]:
    return statuses
