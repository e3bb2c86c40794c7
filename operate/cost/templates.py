"""The templates of a cloud assembly as one list of resources, with what refers to what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class NotAnAssembly(Exception):
    """A folder that `cdk synth` did not write; the message names it."""


@dataclass(frozen=True)
class Resource:
    """One resource of a template."""

    stack: str
    """The construct id of its stack, the same in every deployment."""
    logical_id: str
    type: str
    properties: dict[str, Any]
    path: str
    """Its construct path below the stack, the same in every deployment; else the logical id."""


@dataclass(frozen=True)
class Templates:
    """All stacks of one deployment in one region."""

    region: str
    resources: tuple[Resource, ...]

    def of_type(self, resource_type: str) -> Iterator[Resource]:
        """Yield the resources of a type."""
        return (one for one in self.resources if one.type == resource_type)

    def referred(self, origin: Resource, value: Any) -> Resource | None:
        """Return the resource that a value of `origin` refers to in its own stack, by Ref or Fn::GetAtt."""
        if not isinstance(value, dict):
            return None
        logical_id = value.get("Ref") or (value.get("Fn::GetAtt") or [None])[0]
        return next(
            (one for one in self.resources if (one.stack, one.logical_id) == (origin.stack, logical_id)), None
        )


def read_assembly(directory: Path) -> Templates:
    """Return the templates that `cdk synth` wrote; raises NotAnAssembly."""
    try:
        manifest = json.loads((directory / "manifest.json").read_text())
        stacks = [
            (name, artifact)
            for name, artifact in manifest["artifacts"].items()
            if artifact["type"] == "aws:cloudformation:stack"
        ]
        regions = {artifact["environment"].rsplit("/", 1)[1] for _, artifact in stacks}
        resources = [one for name, artifact in stacks for one in _resources(directory, name, artifact)]
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise NotAnAssembly(
            f"{directory} is no cloud assembly ({error!r}): name a folder that `make synth` has written"
        ) from error
    if len(regions) != 1:
        raise NotAnAssembly(f"{directory} has stacks in {len(regions)} regions; an estimate is of one")
    return Templates(regions.pop(), tuple(resources))


def _resources(directory: Path, stack: str, artifact: dict[str, Any]) -> Iterator[Resource]:
    template = json.loads((directory / artifact["properties"]["templateFile"]).read_text())
    for logical_id, resource in template["Resources"].items():
        path = resource.get("Metadata", {}).get("aws:cdk:path", "")
        yield Resource(
            stack=stack,
            logical_id=logical_id,
            type=resource["Type"],
            properties=resource.get("Properties", {}),
            path=path.removeprefix(f"{stack}/").removesuffix("/Resource") or logical_id,
        )
