"""Which deployment a verb is about, and the names that follow from it."""

from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PRODUCT = "shop"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One deployment of the three stacks.

    `kind` is an entry of the settings' DEPLOYMENTS; `name` distinguishes the ephemeral ones (`pr-42`) and
    is empty for the others; `seed_file` is the path of a CSV or CSV.gz file, or None for the small sample.
    """

    kind: str
    name: str = ""
    seed_file: Path | None = None

    @property
    def title(self) -> str:
        """The name that all of the deployment's own names carry."""
        return self.name or self.kind

    @property
    def stack_names(self) -> tuple[str, str, str]:
        """Network, database and schema stack, in the order of their creation."""
        return (
            f"{PRODUCT}-{self.title}-network",
            f"{PRODUCT}-{self.title}-database",
            f"{PRODUCT}-{self.title}-schema",
        )

    @property
    def context(self) -> list[str]:
        """The CDK CLI's arguments that select this deployment."""
        values = {"deployment": self.kind, "name": self.name}
        if self.seed_file is not None:
            values["seed_file"] = str(self.seed_file.resolve())
        return [word for key, value in values.items() if value for word in ("-c", f"{key}={value}")]
