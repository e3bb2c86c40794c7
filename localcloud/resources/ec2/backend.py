"""What the EC2 handlers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.ec2.models import EC2Backend, ec2_backends

from localcloud.resources.base import Properties, Provisioned, Request
from localcloud.resources.on_moto import OnMoto, found_tags, removed_tags, tag_map


def backend(request: Request) -> EC2Backend:
    """Return EC2 of the request's account and region."""
    return ec2_backends[request.account][request.region]


def tag(request: Request, resource_id: str, previous: Properties) -> None:
    """Bring a resource's tags to what the template says."""
    if gone := removed_tags(previous, request.properties):
        backend(request).delete_tag_keys([resource_id], gone)
    if tags := tag_map(request.properties):
        backend(request).create_tags([resource_id], tags)


def tags_of(request: Request, resource_id: str) -> list[dict[str, str]]:
    """Return the tags that a resource has."""
    return found_tags(backend(request).tags.get(resource_id, {}))


def truth(properties: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """Return a property that is true or false, or written so."""
    return str(properties.get(name, default)).lower() == "true"


class Tagged(OnMoto):
    """A resource of which only the tags change in place."""

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring the tags to what the template says."""
        tag(request, current.physical_id, previous)
        return current


class Fixed(OnMoto):
    """A resource of which nothing changes in place: the engine replaces it."""

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Leave it as it is."""
        return current
