"""What drift detection has found, as a stack keeps it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from localcloud.cloudformation.differences import Difference

if TYPE_CHECKING:
    from localcloud.cloudformation.stack import Target

IN_SYNC, MODIFIED, DELETED, NOT_CHECKED, UNKNOWN = "IN_SYNC", "MODIFIED", "DELETED", "NOT_CHECKED", "UNKNOWN"
DRIFTED = "DRIFTED"


@dataclass(frozen=True)
class ResourceDrift:
    """How one resource stands to its template. `expected` and `actual` have the compared properties."""

    logical_id: str
    physical_id: str
    resource_type: str
    status: str
    timestamp: datetime
    expected: dict[str, Any] = field(default_factory=dict)
    actual: dict[str, Any] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    reason: str | None = None

    @property
    def has_drifted(self) -> bool:
        """Whether it is otherwise than its template says, or gone."""
        return self.status in (MODIFIED, DELETED)


@dataclass(frozen=True)
class Detection:
    """One run of DetectStackDrift, from its answer on to be asked for by its id."""

    detection_id: str
    status: str
    reason: str | None
    stack_status: str
    drifted: int
    timestamp: datetime


@dataclass
class DriftResults:
    """The latest results for each resource of a stack, which hold until the stack has another target."""

    detections: dict[str, Detection] = field(default_factory=dict)
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _target: Target | None = None
    _checked: datetime | None = None
    _resources: dict[str, ResourceDrift] = field(default_factory=dict)

    def put(self, target: Target | None, found: list[ResourceDrift], checked: datetime) -> None:
        """Keep what was found, in the place of what was known of these resources."""
        former = self._resources if self._target is target else {}
        self._resources = {**former, **{one.logical_id: one for one in found}}
        self._target, self._checked = target, checked

    def of(self, target: Target | None) -> dict[str, ResourceDrift]:
        """Return the resources that were checked, by logical id."""
        return dict(self._resources) if self._target is target else {}

    def stack_status(self, target: Target | None) -> str:
        """Return the stack's own status, as its checked resources decide it."""
        if self._target is not target or self._checked is None:
            return NOT_CHECKED
        found = [one.status for one in self._resources.values()]
        if any(one in (MODIFIED, DELETED) for one in found):
            return DRIFTED
        return UNKNOWN if UNKNOWN in found else IN_SYNC

    def checked(self, target: Target | None) -> datetime | None:
        """Return when drift was last looked for; None when it was not."""
        return self._checked if self._target is target else None
