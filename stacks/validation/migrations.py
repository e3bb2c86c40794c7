"""Problems of the migrations that a deployment brings along."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

SCHEMA = Path(__file__).resolve().parents[2] / "schema"


def of_migrations(engine: str) -> Iterator[str]:
    """Yield each version that two migrations claim; the migrator would refuse them later."""
    claimed: dict[int, list[str]] = {}
    for path in sorted((SCHEMA / engine).glob("V*__*.sql")):
        version = path.name[1:].partition("__")[0]
        if version.isdecimal():
            claimed.setdefault(int(version), []).append(path.name)
    for number, names in claimed.items():
        if len(names) > 1:
            yield f"version {number} is claimed by {' and '.join(names)} in {engine}: one each; renumber one"
