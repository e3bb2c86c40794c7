"""The life of a stack: create, update, roll back, delete."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from localcloud.cloudformation import resolution
from localcloud.cloudformation.convergence import Convergence, failed
from localcloud.cloudformation.exports import ExportRefused
from localcloud.cloudformation.provisioning import Provisioner, reason_of
from localcloud.cloudformation.region import Region
from localcloud.cloudformation.stack import Journal, Stack, StackResource, Target
from localcloud.cloudformation.walk import reversed_graph, walk

_log = logging.getLogger(__name__)


@dataclass
class Engine:
    """Runs one operation on one stack, to its end: each leaves the stack in a status that says what is true.

    The caller sees to it that there is one at a time: it moves the stack to …_IN_PROGRESS, and the operation
    ends that.
    """

    region: Region
    stack: Stack

    def deploy(self, target: Target) -> None:
        """Make the stack the target: …_COMPLETE; or, when something fails, what it was before."""
        kind = "UPDATE" if self.stack.target else "CREATE"
        self._guarded(f"{kind}_FAILED", lambda: self._deploy(kind, target))

    def roll_back(self) -> None:
        """Undo the unfinished operation that left the stack failed; it is an error when there is none."""
        creating = self.stack.unfinished is not None and self.stack.unfinished.before is None
        failed_status = "ROLLBACK_FAILED" if creating else "UPDATE_ROLLBACK_FAILED"
        self._guarded(failed_status, lambda: self._roll_back("User Initiated"))

    def delete(self, retained: frozenset[str] = frozenset()) -> None:
        """Delete the stack, leaving `retained` resources where they are; DELETE_FAILED keeps what is left."""
        self._guarded("DELETE_FAILED", lambda: self._delete(retained))

    def _guarded(self, status: str, operation: Callable[[], None]) -> None:
        """No stack stays in progress for ever, not even for a fault of ours."""
        try:
            operation()
        except Exception as error:
            _log.exception("operation on %s", self.stack.name)
            self.stack.transition(status, reason_of(error))

    def _deploy(self, kind: str, target: Target) -> None:
        # a deployment that failed without a rollback is still to be undone together with this one
        journal = self.stack.unfinished or Journal(
            self.stack.target, dict(self.stack.resources), set(self.stack.imports)
        )
        self.stack.unfinished, self.stack.target = journal, target
        problem = Convergence(self.region, self.stack, target, journal).run()
        if problem and self.stack.disable_rollback:
            self.stack.transition(f"{kind}_FAILED", problem)
        elif problem:
            self._roll_back(f"{problem}Rollback requested by user.")
        elif kind == "CREATE":
            self.stack.unfinished = None
            self.stack.transition("CREATE_COMPLETE")
        else:
            self.stack.unfinished = None
            self._clean_up(target, journal)

    def _clean_up(self, target: Target, journal: Journal) -> None:
        """Delete what an update has replaced or removed. What cannot be deleted stays behind, as on AWS."""
        kept = resolution.wanted(target, resolution.resolver(self.region, self.stack, target))
        removed = {name: one for name, one in self.stack.resources.items() if name not in kept}
        replaced = {name: journal.resources[name] for name in journal.replaced}
        provisioner = Provisioner(self.region, self.stack)
        policies = {name: provisioner.deletion_policy(one) for name, one in removed.items()}
        policies |= {name: one.definition.replace_policy or "Delete" for name, one in replaced.items()}
        for name in removed:
            del self.stack.resources[name]
        for name in removed.keys() & replaced.keys():
            journal.superseded.append(removed.pop(name))
        self.stack.transition("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        failures = self._remove(removed | replaced, policies) | self._remove_superseded(journal)
        self.stack.transition(
            "UPDATE_COMPLETE",
            "Update successful. One or more resources could not be deleted." if failures else None,
        )

    def _roll_back(self, reason: str) -> None:
        journal = self.stack.unfinished
        if journal is None:
            raise ValueError(f"stack {self.stack.name} has nothing to roll back")
        if journal.before is None:
            self.stack.transition("ROLLBACK_IN_PROGRESS", reason)
            self._undo_creation(journal)
        else:
            self.stack.transition("UPDATE_ROLLBACK_IN_PROGRESS", reason)
            self._undo_update(journal)

    def _undo_creation(self, journal: Journal) -> None:
        failures = self._remove_new(self.stack.resources) | self._remove_superseded(journal)
        self._forget_removed()
        if failures:
            self.stack.transition("ROLLBACK_FAILED", failed("delete", failures))
            return
        self.stack.imports, self.stack.unfinished = set(), None
        self.stack.transition("ROLLBACK_COMPLETE")

    def _undo_update(self, journal: Journal) -> None:
        """Bring updated resources back, then delete new ones; old ones that were replaced still exist."""
        provisioner = Provisioner(self.region, self.stack, rolling_back=True)
        before = journal.resources

        def bring_back(name: str) -> None:
            if name not in journal.updated:
                return
            restored = replace(before[name])
            provisioner.update(journal.modified.get(name, self.stack.resources[name]), restored)
            before[name] = restored
            if name not in journal.modified:
                self.stack.resources[name] = restored
            journal.updated.discard(name)

        # of all resources: what was updated may wait for another such through one that was not
        graph = {name: resource.depends_on for name, resource in before.items()}
        if failures := walk(graph, bring_back):
            self.stack.transition("UPDATE_ROLLBACK_FAILED", failed("update", failures))
            return
        new = {name: self.stack.resources[name] for name in journal.created | journal.replaced}
        self.stack.resources, self.stack.target = dict(before), journal.before
        self.stack.imports, self.stack.unfinished = journal.imports, None
        self.stack.transition("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        self._remove_new(new)
        self._remove_superseded(journal)
        self.stack.transition("UPDATE_ROLLBACK_COMPLETE")

    def _delete(self, retained: frozenset[str]) -> None:
        try:
            self.region.exports.check_deletable(self.stack)
        except ExportRefused as refused:
            self.stack.transition("DELETE_FAILED", f"Delete canceled. {refused}")
            return
        provisioner, resources = Provisioner(self.region, self.stack), self.stack.resources
        policies = {name: provisioner.deletion_policy(one) for name, one in resources.items()}
        failures = self._remove(resources, policies | dict.fromkeys(retained, "Retain"))
        self._forget_removed()
        if failures:
            self.stack.transition("DELETE_FAILED", failed("delete", failures))
            return
        self.region.exports.publish(self.stack, [])
        self.stack.imports, self.stack.unfinished = set(), None
        self.stack.transition("DELETE_COMPLETE")

    def _remove_new(self, resources: Mapping[str, StackResource]) -> dict[str, Exception]:
        """Delete what a failed operation created: without snapshots, and only Retain keeps it."""
        policies = {
            name: "Retain" if one.definition.deletion_policy == "Retain" and one.provisioned else "Delete"
            for name, one in resources.items()
        }
        return self._remove(resources, policies)

    def _remove_superseded(self, journal: Journal) -> dict[str, Exception]:
        """Delete what one try created and the next replaced."""
        going = {f"{number}": one for number, one in enumerate(journal.superseded)}
        return self._remove(going, dict.fromkeys(going, "Delete"))

    def _remove(
        self, resources: Mapping[str, StackResource], policies: Mapping[str, str]
    ) -> dict[str, Exception]:
        """Delete resources, each after those that depend on it; return the failures."""
        provisioner, going = Provisioner(self.region, self.stack), dict(resources)
        graph = reversed_graph({name: one.depends_on for name, one in going.items()})
        return walk(graph, lambda name: provisioner.delete(going[name], policies[name]))

    def _forget_removed(self) -> None:
        gone = ("DELETE_COMPLETE", "DELETE_SKIPPED")
        self.stack.resources = {
            name: one for name, one in self.stack.resources.items() if one.status not in gone
        }
