"""What a run found or did: as text for people, as data for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from apply_schema.history import Comparison, Entry
    from apply_schema.migration_files import Migration
    from apply_schema.migrations import Outcome, Planned


class Answer(NamedTuple):
    """The same answer twice."""

    text: str
    data: dict[str, Any]


def of_status(comparison: Comparison) -> Answer:
    """Return every migration with its state."""
    rows: list[tuple[str, ...]] = [("migration", "state", "applied at", "by", "ms")]
    rows += [_row(entry) for entry in comparison.entries]
    text = [_table(rows), "", _summary(comparison), *comparison.problems]
    return Answer(
        "\n".join(text),
        {
            "state": _state(comparison),
            "pending": [one.name for one in comparison.pending],
            "problems": list(comparison.problems),
            "migrations": [_as_data(entry) for entry in comparison.entries],
        },
    )


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


def of_plan(planned: Sequence[Planned]) -> Answer:
    """Return what an apply would run, statement by statement."""
    lines, files = [], []
    for migration, script in planned:
        alone = "" if script.transactional else ", without a transaction"
        lines.append(f"{migration.name} ({len(script.statements)} statements{alone})")
        lines += [f"  {one.line:>4}  {_first_line(one.text)}" for one in script.statements]
        files.append(
            {
                "name": migration.name,
                "checksum": migration.checksum,
                "transactional": script.transactional,
                "statements": [{"line": one.line, "text": one.text} for one in script.statements],
            }
        )
    lines.append(f"{len(planned)} pending; nothing was run" if planned else "up to date")
    return Answer("\n".join(lines), {"state": "pending" if planned else "up-to-date", "pending": files})


def of_names(verb: str, names: Sequence[str]) -> Answer:
    """Return which migrations' history a verb changed."""
    return Answer("\n".join(f"{verb} {name}" for name in names) or "nothing to do", {verb: list(names)})


def of_files(migrations: Sequence[Migration]) -> Answer:
    """Return that files alone were looked at, and found well formed."""
    return Answer(
        f"{len(migrations)} files are well formed", {"state": "well-formed", "files": len(migrations)}
    )


def of_error(kind: str, error: Exception) -> Answer:
    """Return why a run ended early; `kind` is `failed`, `refused` or `usage`."""
    return Answer(f"{kind}: {error}", {"state": kind, "error": type(error).__name__, "message": str(error)})


def _row(entry: Entry) -> tuple[str, ...]:
    if entry.row is None:
        return (entry.name, entry.state.value, "", "", "")
    milliseconds = f"{entry.row.duration_seconds * 1000:.0f}"
    applied_at = f"{entry.row.applied_at:%Y-%m-%d %H:%M:%S}"
    return (entry.name, entry.state.value, applied_at, entry.row.applied_by, milliseconds)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _state(comparison: Comparison) -> str:
    if comparison.problems:
        return "refused"
    if comparison.is_ahead:
        return "database-ahead"
    return "pending" if comparison.pending else "up-to-date"


def _summary(comparison: Comparison) -> str:
    counts: dict[str, int] = {}
    for entry in comparison.entries:
        counts[entry.state.value] = counts.get(entry.state.value, 0) + 1
    return f"{_state(comparison)}: " + ", ".join(f"{count} {state}" for state, count in counts.items())


def _as_data(entry: Entry) -> dict[str, Any]:
    file, row = entry.file, entry.row
    return {
        "name": entry.name,
        "state": entry.state.value,
        "file_checksum": file.checksum if file else None,
        "applied_checksum": row.checksum if row else None,
        "kind": row.kind if row else file.kind if file else None,
        "applied_at": row.applied_at.isoformat() if row else None,
        "applied_by": row.applied_by if row else None,
        "duration_seconds": row.duration_seconds if row else None,
    }


def _first_line(text: str) -> str:
    first, *rest = text.split("\n", 1)
    return first + (" …" if rest else "")
