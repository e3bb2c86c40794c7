"""What stacks of one account and region share, and what their operations need of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localcloud.cloud import Cloud
from localcloud.cloudformation.dynamic_references import DynamicReferences
from localcloud.cloudformation.exports import Exports
from localcloud.cloudformation.stack import Stack
from localcloud.resources.base import Handler

if TYPE_CHECKING:
    from localcloud.cloudformation.change_sets import ChangeSet


@dataclass
class Region:
    """The stacks of a region with the services around them; tests give their own services."""

    cloud: Cloud
    account: str
    name: str
    handlers: Callable[[str], Handler]
    dynamic_references: DynamicReferences
    availability_zones: Callable[[str], list[str]]
    stacks: dict[str, Stack] = field(default_factory=dict)
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    exports: Exports = field(init=False)
    alone: threading.Lock = field(default_factory=threading.Lock)
    """Held by handlers that do not bear company."""

    def __post_init__(self) -> None:
        self.exports = Exports(self.stacks)

    def stack(self, name_or_id: str) -> Stack | None:
        """Return a stack by its id, also when deleted, or an existing one by its name."""
        if name_or_id in self.stacks:
            return self.stacks[name_or_id]
        return next(
            (one for one in list(self.stacks.values()) if one.name == name_or_id and one.exists), None
        )
