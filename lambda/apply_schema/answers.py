"""What a run did: as text for people, as data for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apply_schema.migration_files import Migration
    from apply_schema.migrations import Outcome


class Answer(NamedTuple):
    """The same answer twice."""

    text: str
    data: dict[str, Any]


def of_outcome(outcome: Outcome) -> Answer:
    """Return what an apply did."""
    version = outcome.schema_version or "none"
    text = {
        "applied": f"applied {len(outcome.applied)}; schema version {version}",
        "up-to-date": f"up to date; schema version {version}",
        "database-ahead": f"left alone: the database is ahead of these files, at schema version {version}",
    }[outcome.state]
    data = {
        "state": outcome.state,
        "applied": list(outcome.applied),
        "schema_version": outcome.schema_version,
    }
    return Answer(text, data)


def of_names(verb: str, names: Sequence[str]) -> Answer:
    """Return which migrations' history a verb changed."""
    return Answer("\n".join(f"{verb} {name}" for name in names) or "nothing to do", {verb: list(names)})


def of_settled(name: str, done: int | None, statements: int) -> Answer:
    """Return where a file goes on that was applied in part."""
    if done is None:
        return Answer(f"{name} begins anew", {"settled": name, "goes_on_at": 1})
    text = "is recorded by the next apply: all of it stands"
    if done < statements:
        text = f"goes on at statement {done + 1} of {statements}"
    return Answer(f"{name} {text}", {"settled": name, "goes_on_at": done + 1})


def of_files(migrations: Sequence[Migration]) -> Answer:
    """Return that files alone were looked at, and found well formed."""
    return Answer(
        f"{len(migrations)} files are well formed", {"state": "well-formed", "files": len(migrations)}
    )


def of_error(kind: str, error: Exception) -> Answer:
    """Return why a run ended early; `kind` is `failed`, `refused` or `usage`."""
    return Answer(f"{kind}: {error}", {"state": kind, "error": type(error).__name__, "message": str(error)})
