"""Which deployment a verb is about, and the names that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stacks.engines import ENGINES
from stacks.settings import STACKS, kind_on

PROJECT = Path(__file__).resolve().parent.parent
PRODUCT = "shop"
DEFAULT_CLOUD = "shop"
LOCAL = tuple(kind_on("local", engine) for engine in ENGINES)
"""The deployments on this machine, one per engine, which may stand in one local cloud."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One deployment of the four stacks.

    `kind` is an entry of the settings' DEPLOYMENTS; `engine` is empty where the settings decide; `name`
    distinguishes the ephemeral ones (`pr-42`) and is empty for the others; `seed_file` is the path of a CSV
    or CSV.gz file, `seed_lines` how many lines are generated instead; without either the small sample is
    loaded.
    `cloud` is the name of the local cloud that the local ones are deployed on.
    """

    kind: str
    engine: str = ""
    name: str = ""
    seed_file: Path | None = None
    seed_lines: str | None = None
    cloud: str = DEFAULT_CLOUD
    on_local_cloud: bool = False
    """Whether one that is for AWS stands on the local cloud instead."""
    owner: str = ""
    """Empty where the settings decide, or what is deployed already."""
    expires: str = ""
    """A moment in UTC, as 2026-12-24T18:00:00Z; empty: never."""

    @classmethod
    def on_engine(cls, kind: str, engine: str, **given: Any) -> Deployment:
        """Return what is meant by a kind and an engine: `local` on MySQL is `local-mysql`."""
        return cls(kind=kind_on(kind, engine), engine=engine, **given)

    @property
    def is_local(self) -> bool:
        """Whether it is deployed on this machine."""
        return self.on_local_cloud or self.kind in LOCAL

    @property
    def title(self) -> str:
        """The name that all of the deployment's own names carry."""
        return self.name or self.kind

    @property
    def stack_names(self) -> tuple[str, ...]:
        """All of its stacks, in the order of their creation."""
        return tuple(f"{PRODUCT}-{self.title}-{part}" for part in STACKS)

    @property
    def context(self) -> dict[str, str]:
        """The CDK context that selects this deployment."""
        values = {"deployment": self.kind, "engine": self.engine, "name": self.name}
        values |= {"owner": self.owner, "expires": self.expires}
        values["target"] = "local" if self.on_local_cloud else ""
        if self.seed_file is not None:
            values["seed_file"] = str(self.seed_file.resolve())
        if self.seed_lines is not None:
            values["seed_lines"] = self.seed_lines
        return {key: value for key, value in values.items() if value}

    @property
    def context_arguments(self) -> list[str]:
        """The same as arguments of the CDK CLI."""
        return [word for key, value in self.context.items() for word in ("-c", f"{key}={value}")]

    @property
    def variables(self) -> str:
        """The same as variables of make, for a command to paste."""
        values = {"DEPLOYMENT": self.kind, "ENGINE": self.engine, "NAME": self.name}
        if self.kind in LOCAL:
            values["ENGINE"] = ""  # its kind says it
        elif self.on_local_cloud:
            values["LOCAL"] = "1"
        if self.is_local and self.cloud != DEFAULT_CLOUD:
            values["CLOUD"] = self.cloud
        return " ".join(f"{key}={value}" for key, value in values.items() if value)

    @property
    def options(self) -> str:
        """The same as options of these verbs, for a command to paste."""
        values = {"deployment": self.kind, "name": self.name}
        if self.cloud != DEFAULT_CLOUD:
            values["cloud"] = self.cloud
        words = [f"--{key} {value}" for key, value in values.items() if value]
        return " ".join([*words, "--local"] if self.on_local_cloud else words)
