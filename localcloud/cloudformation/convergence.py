"""Brings resources, outputs and exports to a target; on failure the journal knows what to undo."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from localcloud.cloudformation import resolution
from localcloud.cloudformation.exports import ExportRefused
from localcloud.cloudformation.intrinsics import Resolver
from localcloud.cloudformation.provisioning import Provisioner, reason_of
from localcloud.cloudformation.references import dependencies
from localcloud.cloudformation.region import Region
from localcloud.cloudformation.stack import Journal, Stack, StackResource, Target
from localcloud.cloudformation.template import ResourceDefinition, TemplateInvalid
from localcloud.cloudformation.walk import walk
from localcloud.resources.base import ReplacementNeeded


@dataclass
class Convergence:
    """One attempt to bring a stack to a target. Old resources that it replaces go on existing."""

    region: Region
    stack: Stack
    target: Target
    journal: Journal
    provisioner: Provisioner = field(init=False)
    _lookup: resolution.StackLookup = field(init=False)
    _resolve: Resolver = field(init=False)

    def __post_init__(self) -> None:
        self.provisioner = Provisioner(self.region, self.stack)
        self._lookup = resolution.StackLookup(self.region, self.stack)
        self._resolve = resolution.resolver(self.region, self.stack, self.target, self._lookup)

    def run(self) -> str | None:
        """Return what went wrong, as a sentence and a space; None when the stack is the target."""
        try:
            definitions = resolution.wanted(self.target, self._resolve)
            graph = dependencies(definitions, self._resolve.condition)
        except TemplateInvalid as error:
            return f"{error} "
        failures = walk(
            graph, lambda name: self._bring(definitions[name], graph[name]), stop=self.provisioner.cancelled
        )
        return self._summary(failures) if failures else self._publish()

    def _publish(self) -> str | None:
        try:
            outputs = resolution.outputs(self.target, self._resolve)
            offered = [(one.export, one.value) for one in outputs.values() if one.export is not None]
            self.region.exports.publish(self.stack, offered)
        except (TemplateInvalid, ExportRefused) as error:
            return f"{error} "
        self.stack.outputs, self.stack.imports = outputs, self._lookup.imports
        return None

    def _bring(self, definition: ResourceDefinition, needed: set[str]) -> None:
        """Bring one resource to its definition, by the mildest way that does."""
        current = self.stack.resources.get(definition.logical_id)
        wanted = StackResource(definition, {}, needed)
        try:
            wanted.properties = resolution.properties(definition, self.target, self._resolve)
        except Exception as error:
            self._record_unresolved(wanted, current, error)
            raise
        if current is None or current.status == "CREATE_FAILED":
            self._create(wanted, current)
        elif self.provisioner.needs_replacement(current, wanted):
            self._replace(current, wanted)
        elif current.properties != wanted.properties or current.status == "UPDATE_FAILED":
            self._update(current, wanted)
        else:
            self.stack.resources[wanted.logical_id] = replace(
                current, definition=definition, depends_on=needed
            )

    def _record_unresolved(
        self, wanted: StackResource, current: StackResource | None, error: Exception
    ) -> None:
        """Show why a resource was not even begun: its properties cannot be resolved."""
        if current is not None:
            self.stack.record(replace(current), "UPDATE_FAILED", reason_of(error))
            return
        self.journal.created.add(wanted.logical_id)
        self.stack.resources[wanted.logical_id] = wanted
        self.stack.record(wanted, "CREATE_FAILED", reason_of(error))

    def _create(self, wanted: StackResource, failed_before: StackResource | None) -> None:
        if failed_before is not None:
            self.provisioner.delete(failed_before, "Delete")
        self.journal.created.add(wanted.logical_id)
        self.stack.resources[wanted.logical_id] = wanted
        self.provisioner.create(wanted)

    def _update(self, current: StackResource, wanted: StackResource) -> None:
        name = wanted.logical_id
        updated_before = name in self.journal.updated
        self.journal.updated.add(name)
        self.stack.resources[name] = wanted
        try:
            self.provisioner.update(current, wanted)
        except ReplacementNeeded:
            if not updated_before:
                self.journal.updated.discard(name)
            self._replace(current, wanted)
            return
        if wanted.physical_id != current.physical_id:  # so a custom resource says that it replaced itself
            if not updated_before:
                self.journal.updated.discard(name)
            self._retire(current)

    def _replace(self, current: StackResource, wanted: StackResource) -> None:
        self._retire(current)
        self.stack.resources[wanted.logical_id] = wanted
        self.provisioner.replace(current, wanted)

    def _retire(self, current: StackResource) -> None:
        """Note that `current` goes when all is well, and stays when all is undone."""
        name = current.logical_id
        if name in self.journal.created | self.journal.replaced:
            self.journal.superseded.append(current)
            return
        self.journal.replaced.add(name)
        if name in self.journal.updated:
            self.journal.modified[name] = current

    def _summary(self, failures: Iterable[str]) -> str:
        created = {name for name in failures if name in self.journal.created}
        parts = [("create", created), ("update", set(failures) - created)]
        return "".join(failed(verb, names) for verb, names in parts if names)


def failed(verb: str, names: Iterable[str]) -> str:
    """Return CloudFormation's sentence about resources that failed, and a space."""
    return f"The following resource(s) failed to {verb}: [{', '.join(sorted(names))}]. "
