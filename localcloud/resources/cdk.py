"""AWS::CDK::Metadata: what the CDK reports to its makers. Here it reports to nobody."""

from __future__ import annotations

from typing import ClassVar

from localcloud.resources.base import Handler, Properties, Provisioned, Request


class Metadata(Handler):
    """Exists in the stack's list only, as on AWS."""

    no_local_effect: ClassVar[frozenset[str]] = frozenset({"Analytics", "Modules"})
    supported: ClassVar[frozenset[str] | None] = frozenset()

    def create(self, request: Request) -> Provisioned:
        """Give it a name."""
        return Provisioned(request.generated_name(longest=128))

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Leave it as it is."""
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Nothing is there to delete."""


HANDLERS: dict[str, Handler] = {"AWS::CDK::Metadata": Metadata()}
