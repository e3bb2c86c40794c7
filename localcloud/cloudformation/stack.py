"""A stack's state: what exists, what happened, and what it tells others."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from localcloud.cloudformation.drift_results import DriftResults
from localcloud.cloudformation.parameters import Parameter
from localcloud.cloudformation.template import ResourceDefinition, Template
from localcloud.resources.base import Provisioned

STACK_TYPE = "AWS::CloudFormation::Stack"


@dataclass(frozen=True)
class Event:
    """One line of a stack's history."""

    logical_id: str
    physical_id: str
    resource_type: str
    status: str
    reason: str | None
    event_id: str
    timestamp: datetime


@dataclass(frozen=True)
class Target:
    """What a stack is to become."""

    template: Template
    parameters: Mapping[str, Parameter]
    tags: Mapping[str, str]


@dataclass
class StackResource:
    """A resource of a stack. `provisioned` is None as long as nothing exists.

    `properties` are resolved, but for dynamic references: secrets are not kept.
    """

    definition: ResourceDefinition
    properties: dict[str, Any]
    depends_on: set[str]
    provisioned: Provisioned | None = None
    status: str = ""
    reason: str | None = None
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def logical_id(self) -> str:
        """The template's name for it."""
        return self.definition.logical_id

    @property
    def physical_id(self) -> str:
        """The service's name for it, or "" when there is none yet."""
        return self.provisioned.physical_id if self.provisioned else ""


@dataclass
class Output:
    """A resolved output."""

    key: str
    value: str
    description: str | None
    export: str | None


@dataclass
class Journal:
    """What an operation has done so far, as far as a rollback needs it; `before` is None for a creation."""

    before: Target | None
    resources: dict[str, StackResource]  # as they were: an operation puts new objects in their place
    imports: set[str]
    created: set[str] = field(default_factory=set)
    updated: set[str] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)
    # only of deployments that failed without a rollback and were tried again:
    modified: dict[str, StackResource] = field(default_factory=dict)  # replaced after an update in place
    superseded: list[StackResource] = field(default_factory=list)  # new ones that were replaced themselves


@dataclass
class Stack:
    """A stack of one region."""

    name: str
    stack_id: str
    account: str
    region: str
    target: Target | None = None
    role_arn: str | None = None
    notification_arns: list[str] = field(default_factory=list)
    capabilities: list[str] = field(default_factory=list)
    change_set_id: str | None = None
    termination_protection: bool = False
    disable_rollback: bool = False
    status: str = ""
    status_reason: str | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated: datetime | None = None
    deleted: datetime | None = None
    resources: dict[str, StackResource] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    unfinished: Journal | None = None
    drift: DriftResults = field(default_factory=DriftResults)
    _history: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def busy(self) -> bool:
        """Whether an operation is going on."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    @property
    def exists(self) -> bool:
        """Whether it can be found by name."""
        return self.status != "DELETE_COMPLETE"

    @property
    def tags(self) -> Mapping[str, str]:
        """The stack's tags, which its resources inherit."""
        return self.target.tags if self.target else {}

    def transition(self, status: str, reason: str | None = None) -> None:
        """Move to a status, with its event."""
        self._add(self.name, self.stack_id, STACK_TYPE, status, reason)
        # the status last: who sees it finds its event
        self.status_reason, self.status = reason, status

    def record(self, resource: StackResource, status: str, reason: str | None = None) -> None:
        """Set a resource's status, with its event."""
        resource.status, resource.reason, resource.timestamp = status, reason, datetime.now(UTC)
        self._add(resource.logical_id, resource.physical_id, resource.definition.type, status, reason)

    def _add(
        self, logical_id: str, physical_id: str, resource_type: str, status: str, reason: str | None
    ) -> None:
        with self._history:
            now = datetime.now(UTC)
            # clients sort by time, which they see in milliseconds
            after_last = self.events[-1].timestamp + timedelta(milliseconds=1) if self.events else now
            event_id = str(uuid.uuid4())
            self.events.append(
                Event(logical_id, physical_id, resource_type, status, reason, event_id, max(now, after_last))
            )
