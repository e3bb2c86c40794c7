"""A region's exports: who offers a value, and who uses it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from localcloud.cloudformation.stack import Stack


class ExportRefused(Exception):
    """An export is taken by another stack, or another stack uses what would change."""


@dataclass(frozen=True)
class Export:
    """A value that other stacks of the region can import."""

    name: str
    value: str
    stack_id: str


@dataclass
class Exports:
    """All exports of a region. Whatever a stack imports stays as it is until no stack imports it."""

    stacks: Mapping[str, Stack]
    _exports: dict[str, Export] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def all(self) -> list[Export]:
        """Return the exports, by name."""
        return sorted(self._exports.values(), key=lambda export: export.name)

    def value(self, name: str) -> str | None:
        """Return an export's value; None when there is no such export."""
        export = self._exports.get(name)
        return export.value if export else None

    def importers(self, name: str) -> list[str]:
        """Return the names of the stacks that import an export."""
        return sorted(
            stack.name for stack in list(self.stacks.values()) if stack.exists and name in stack.imports
        )

    def publish(self, stack: Stack, offered: Iterable[tuple[str, str]]) -> None:
        """Make `offered` (name, value) the stack's exports; ExportRefused changes nothing."""
        new = {name: Export(name, value, stack.stack_id) for name, value in offered}
        with self._lock:
            old = {name: one for name, one in self._exports.items() if one.stack_id == stack.stack_id}
            for name in new:
                if name in self._exports and name not in old:
                    owner = self.stacks[self._exports[name].stack_id].name
                    raise ExportRefused(f"Export with name {name} is already exported by stack {owner}")
            for name, export in old.items():
                self._check_unused(name, export, new.get(name))
            for name in old:
                del self._exports[name]
            self._exports.update(new)

    def check_deletable(self, stack: Stack) -> None:
        """ExportRefused when another stack uses an export of this one."""
        for name, export in list(self._exports.items()):
            if export.stack_id == stack.stack_id:
                self._check_unused(name, export, None)

    def _check_unused(self, name: str, old: Export, new: Export | None) -> None:
        if new is not None and new.value == old.value:
            return
        if users := self.importers(name):
            verb = "deleted" if new is None else "updated"
            raise ExportRefused(f"Export {name} cannot be {verb} as it is in use by {', '.join(users)}")
