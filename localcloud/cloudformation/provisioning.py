"""One resource at a time: create, update, replace, delete, with CloudFormation's events around it."""

from __future__ import annotations

import logging
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from localcloud.cloudformation.region import Region
from localcloud.cloudformation.schemas import Schema, schema
from localcloud.cloudformation.stack import Stack, StackResource
from localcloud.resources.base import (
    Handler,
    Properties,
    Provisioned,
    Readable,
    ReplacementNeeded,
    Request,
    ResourceFailed,
    TakesSnapshots,
)

_SNAPSHOT_BY_DEFAULT = {"AWS::RDS::DBCluster"}
_log = logging.getLogger(__name__)


@dataclass
class Provisioner:
    """Carries out what is decided for single resources of a stack. Each failure is raised after its event."""

    region: Region
    stack: Stack
    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set when another resource has failed: what still runs then counts as cancelled, as on AWS."""
    rolling_back: bool = False

    def create(self, resource: StackResource) -> None:
        """Create it; whatever exists afterwards is in `resource.provisioned`, also after a failure."""
        self.stack.record(resource, "CREATE_IN_PROGRESS")
        try:
            self._create(resource)
        except Exception as error:
            raise self._failed(resource, "CREATE_FAILED", error) from error
        self._finish(resource, "CREATE", "Resource creation cancelled")

    def needs_replacement(self, current: StackResource, wanted: StackResource) -> bool:
        """Whether the change from `current` to `wanted` cannot happen in place."""
        if current.definition.type != wanted.definition.type:
            return True
        old, new = current.properties, wanted.properties
        handler, known = self._handler(wanted), self._schema(wanted)
        by_handler = any(old.get(name) != new.get(name) for name in handler.replaced_by)
        return by_handler or bool(known and known.create_only(old, new))

    def replace(self, current: StackResource, wanted: StackResource) -> None:
        """Create `wanted` beside `current`, which a later clean-up deletes."""
        self.stack.record(
            wanted,
            "UPDATE_IN_PROGRESS",
            "Requested update requires the creation of a new physical resource; hence creating one.",
        )
        try:
            known = self._schema(wanted)
            same_type = current.definition.type == wanted.definition.type
            if known and same_type and known.keeps_name(current.properties, wanted.properties):
                raise ResourceFailed(
                    "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
                    f"Rename {current.physical_id} and update the stack again."
                )
            self._create(wanted)
        except Exception as error:
            raise self._failed(wanted, "UPDATE_FAILED", error) from error
        self._finish(wanted, "UPDATE", "Resource update cancelled")

    def update(self, current: StackResource, wanted: StackResource) -> None:
        """Change `current` in place. ReplacementNeeded when its handler cannot; nothing has changed then."""
        existing = wanted.provisioned = _existing(current)
        self.stack.record(wanted, "UPDATE_IN_PROGRESS")
        try:
            self._check(wanted)
            handler = self._handler(wanted)
            request, previous = self._request(wanted), self._fetched_if_possible(current.properties)
            with self._company(handler):
                wanted.provisioned = handler.update(request, existing, previous)
        except ReplacementNeeded:
            wanted.provisioned = None
            raise
        except Exception as error:
            raise self._failed(wanted, "UPDATE_FAILED", error) from error
        self._finish(wanted, "UPDATE", "Resource update cancelled")

    def delete(self, resource: StackResource, policy: str) -> None:
        """Delete, keep, or keep a snapshot, as the policy (Delete, Retain, Snapshot) says."""
        if policy == "Retain":
            self.stack.record(resource, "DELETE_SKIPPED")
            return
        self.stack.record(resource, "DELETE_IN_PROGRESS")
        try:
            if resource.provisioned is not None:
                self._delete(resource, resource.provisioned, snapshot=policy == "Snapshot")
        except Exception as error:
            raise self._failed(resource, "DELETE_FAILED", error) from error
        self.stack.record(resource, "DELETE_COMPLETE")

    def read(self, resource: StackResource) -> Properties | None:
        """Return what stands of a resource, in the template's words; None when it is gone."""
        existing, handler = _existing(resource), self._handler(resource)
        if not isinstance(handler, Readable):
            raise ResourceFailed(f"{resource.definition.type}: the local cloud cannot tell what stands of it")
        request = self._request(resource, self._fetched_if_possible(resource.properties))
        with self._company(handler):
            return handler.read(request, existing)

    def deletion_policy(self, resource: StackResource) -> str:
        """Return the policy for when the resource goes for good."""
        policy = resource.definition.deletion_policy
        if policy is None:
            snapshots = resource.definition.type in _SNAPSHOT_BY_DEFAULT
            return (
                "Snapshot" if snapshots and isinstance(self._handler(resource), TakesSnapshots) else "Delete"
            )
        return "Retain" if policy == "RetainExceptOnCreate" else policy

    def _create(self, resource: StackResource) -> None:
        self._check(resource)
        handler = self._handler(resource)
        request = self._request(resource)
        try:
            with self._company(handler):
                resource.provisioned = handler.create(request)
        except ResourceFailed as error:
            resource.provisioned = error.left
            raise

    def _delete(self, resource: StackResource, provisioned: Provisioned, *, snapshot: bool) -> None:
        handler = self._handler(resource)
        request = self._request(resource, self._fetched_if_possible(resource.properties))
        with self._company(handler):
            if snapshot:
                if not isinstance(handler, TakesSnapshots):
                    raise ResourceFailed(
                        f"{resource.definition.type} does not support deletion policy Snapshot"
                    )
                handler.snapshot(request, provisioned)
            handler.delete(request, provisioned)

    def _finish(self, resource: StackResource, kind: str, cancelled: str) -> None:
        if self.cancelled.is_set():
            self.stack.record(resource, f"{kind}_FAILED", cancelled)
            raise ResourceFailed(cancelled)
        if kind == "CREATE":
            self.stack.record(resource, "CREATE_IN_PROGRESS", "Resource creation Initiated")
        self.stack.record(resource, f"{kind}_COMPLETE")

    def _failed(self, resource: StackResource, status: str, error: Exception) -> ResourceFailed:
        reason = reason_of(error)
        self.stack.record(resource, status, reason)
        return ResourceFailed(reason)

    def _check(self, resource: StackResource) -> None:
        """ResourceFailed when a property is unknown, missing, malformed, or has no effect here."""
        definition, given = resource.definition, resource.properties
        known = self._schema(resource)
        if known and (problems := known.problems(given)):
            raise ResourceFailed(
                f"Properties validation failed for resource {definition.logical_id} with message:\n"
                + "\n".join(problems)
            )
        handler = self._handler(resource)
        if handler.supported is None:
            return
        if beyond := sorted(set(given) - handler.supported - handler.no_local_effect):
            raise ResourceFailed(f"{definition.type}: the local cloud does not implement {', '.join(beyond)}")

    def _handler(self, resource: StackResource) -> Handler:
        return self.region.handlers(resource.definition.type)

    def _schema(self, resource: StackResource) -> Schema | None:
        return schema(resource.definition.type, self.region.name)

    def _company(self, handler: Handler) -> AbstractContextManager[Any]:
        return self.region.alone if handler.one_at_a_time else nullcontext()

    def _request(self, resource: StackResource, properties: Properties | None = None) -> Request:
        return Request(
            resource_type=resource.definition.type,
            logical_id=resource.logical_id,
            properties=properties or self.region.dynamic_references.resolve(resource.properties),
            stack_id=self.stack.stack_id,
            stack_name=self.stack.name,
            account=self.region.account,
            region=self.region.name,
            cloud=self.region.cloud,
            tell=lambda text: self.stack.record(resource, resource.status, text),
            rolling_back=self.rolling_back,
        )

    def _fetched_if_possible(self, properties: Properties) -> Properties:
        """Return old properties with their dynamic references; what they refer to may be gone."""
        try:
            resolved: Properties = self.region.dynamic_references.resolve(properties)
            return resolved
        except Exception:
            return properties


def _existing(resource: StackResource) -> Provisioned:
    if resource.provisioned is None:
        raise ResourceFailed(f"{resource.logical_id} does not exist and cannot be updated")
    return resource.provisioned


def reason_of(error: Exception) -> str:
    """Return what CloudFormation shows for a failure. An unexpected one is logged with its traceback."""
    if isinstance(error, ResourceFailed):
        return str(error)
    code, message = getattr(error, "code", None), getattr(error, "message", None)
    if isinstance(message, str):  # an error of moto's services
        return f"{message} (Error Code: {code})" if isinstance(code, str) else message
    if isinstance(error, ValueError) and str(error):  # a template's own
        return str(error)
    _log.error("unexpected failure", exc_info=error)
    return f"Internal failure of the local cloud: {type(error).__name__}: {error}"
