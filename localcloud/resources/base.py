"""What the CloudFormation engine and the handler of a resource type agree on: the two meet only here."""

from __future__ import annotations

import secrets
import string
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from localcloud.cloud import Cloud

Properties = dict[str, Any]
Attributes = Mapping[str, Any] | Callable[[str], Any]


@dataclass(frozen=True)
class Request:
    """One resource as the template describes it, with every intrinsic and dynamic reference resolved."""

    resource_type: str
    logical_id: str
    properties: Properties
    stack_id: str
    stack_name: str
    account: str
    region: str
    cloud: Cloud
    tell: Callable[[str], None] = field(default=lambda _: None, compare=False)
    """Shows among the stack's events what takes long."""
    rolling_back: bool = False
    """Whether an update brings back what stood before a failure: some handlers then ask for less."""

    def generated_name(self, *, longest: int, lower: bool = False) -> str:
        """Return a new name as CloudFormation makes it: <stack>-<logical id>-<12 random characters>.

        Stack and logical id give way to stay within `longest`; the random end never does.
        """
        alphabet = (string.ascii_lowercase if lower else string.ascii_uppercase) + string.digits
        end = "-" + "".join(secrets.choice(alphabet) for _ in range(12))
        room = longest - len(end)
        logical_id = self.logical_id[: max(room // 2, room - len(self.stack_name) - 1)]
        name = f"{self.stack_name[: room - len(logical_id) - 1]}-{logical_id}{end}"
        return name.lower() if lower else name


@dataclass
class Provisioned:
    """What exists for a resource. The engine keeps it and hands it back to the handler that returned it.

    `physical_id` is also what Ref yields. `attributes` answers Fn::GetAtt: a mapping, or a function of the
    attribute's name (which raises KeyError for one that does not exist) where values are known later only.
    `state` is the handler's own.
    """

    physical_id: str
    attributes: Attributes = field(default_factory=dict)
    state: Any = None


class ResourceFailed(Exception):
    """The operation failed; the message is the reason that CloudFormation shows.

    `left` is what exists in spite of the failure of a creation: a rollback deletes it.
    """

    def __init__(self, reason: str, *, left: Provisioned | None = None) -> None:
        super().__init__(reason)
        self.left = left


class ReplacementNeeded(Exception):
    """Raised by update: this change needs a new resource. Nothing has been changed yet."""


class Handler(ABC):
    """Creates, updates and deletes the resources of one type. One object serves all of them, in parallel.

    Which changes need a replacement is the engine's decision, from the type's createOnlyProperties.
    """

    replaced_by: ClassVar[frozenset[str]] = frozenset()
    """Properties whose change needs a replacement beyond what the type's schema says."""

    one_at_a_time: ClassVar[bool] = False
    """It only touches moto's backends, for milliseconds: run without company, as they are not thread-safe."""

    supported: ClassVar[frozenset[str] | None] = None
    """Properties that have their effect. With it given, others than these and `no_local_effect` fail."""

    no_local_effect: ClassVar[frozenset[str]] = frozenset()
    """Properties that are accepted and do nothing here. README's list is made of these."""

    @abstractmethod
    def create(self, request: Request) -> Provisioned:
        """Return what was created; whatever exists after a failure is in ResourceFailed.left."""

    @abstractmethod
    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Change `current` in place from `previous` to `request.properties`. Also called to roll back.

        A changed physical id means that a new resource took over: the engine deletes `current` afterwards.
        """

    @abstractmethod
    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete `current`, whose properties are `request.properties`; success when it is gone already."""


@runtime_checkable
class TakesSnapshots(Protocol):
    """A handler whose type allows the policy Snapshot."""

    def snapshot(self, request: Request, current: Provisioned) -> str:
        """Keep a snapshot of `current`, which is deleted afterwards; return the snapshot's identifier."""


@runtime_checkable
class Readable(Protocol):
    """A handler that tells what stands, so that drift detection can compare it with the template."""

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the resource's properties as they are now, in the template's words; None when it is gone.

        What cannot be told here is left out and never compared; None stands for what is not set.
        """
