"""Answers of more than a line: how migrations stand, and what an apply would run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from apply_schema.answers import Answer

if TYPE_CHECKING:
    from apply_schema.database import Planned
    from apply_schema.history import Comparison, Entry


def of_status(comparison: Comparison) -> Answer:
    """Return every migration with its state."""
    rows: list[tuple[str, ...]] = [("migration", "state", "applied at", "by", "ms")]
    rows += [_row(entry) for entry in comparison.entries]
    text = [_table(rows), "", _summary(comparison), *_said(comparison), *comparison.problems]
    return Answer(
        "\n".join(text),
        {
            "state": _state(comparison),
            "pending": [one.name for one in comparison.pending],
            "problems": list(comparison.problems),
            "migrations": [_as_data(entry) for entry in comparison.entries],
        },
    )


def of_plan(planned: Sequence[Planned]) -> Answer:
    """Return what an apply would run, statement by statement."""
    lines = [line for one in planned for line in _lines(one)]
    lines.append(f"{len(planned)} pending; nothing was run" if planned else "up to date")
    return Answer("\n".join(lines), _plan_as_data(planned))


def of_rehearsal(tried: Sequence[Planned], left: Sequence[Planned]) -> Answer:
    """Return what was run and rolled back, and what could not be tried."""
    lines = [line for one in [*tried, *left] for line in _lines(one)]
    if left:
        lines.append(f"not tried: {', '.join(one.migration.name for one in left)}")
        lines.append(f"{left[0].migration.name} runs without a transaction, and nothing could undo it")
    ran = f"{len(tried)} of {len(tried) + len(left)} pending were run and rolled back"
    lines.append(ran if tried or left else "up to date")
    data = _plan_as_data([*tried, *left])
    return Answer("\n".join(lines), data | {"rehearsed": [one.migration.name for one in tried]})


def _lines(planned: Planned) -> list[str]:
    migration, script = planned
    remark = f", {script.remark}" if script.remark else ""
    count = len(script.statements)
    lines = [f"{migration.name} ({count} statement{'' if count == 1 else 's'}{remark})"]
    return lines + [f"  {one.line:>4}  {_first_line(one.text)}" for one in script.statements]


def _plan_as_data(planned: Sequence[Planned]) -> dict[str, Any]:
    files = [
        {
            "name": migration.name,
            "checksum": migration.checksum,
            "transactional": script.transactional,
            "statements": [{"line": one.line, "text": one.text} for one in script.statements],
        }
        for migration, script in planned
    ]
    return {"state": "pending" if planned else "up-to-date", "pending": files}


def _row(entry: Entry) -> tuple[str, ...]:
    if entry.row is None:
        return (entry.name, entry.standing, "", "", "")
    milliseconds = f"{entry.row.duration_seconds * 1000:.0f}"
    applied_at = f"{entry.row.applied_at:%Y-%m-%d %H:%M:%S}"
    return (entry.name, entry.standing, applied_at, entry.row.applied_by, milliseconds)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _said(comparison: Comparison) -> list[str]:
    """Return why files that were begun did not come further."""
    progress = {entry.name: entry.row.progress for entry in comparison.entries if entry.row}
    return [f"{name}: {one.said}" for name, one in progress.items() if one and one.said]


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
        "progress": row.progress._asdict() if row and row.progress else None,
        "kind": row.kind if row else file.kind if file else None,
        "applied_at": row.applied_at.isoformat() if row else None,
        "applied_by": row.applied_by if row else None,
        "duration_seconds": row.duration_seconds if row else None,
    }


def _first_line(text: str) -> str:
    first, *rest = text.split("\n", 1)
    return first + (" …" if rest else "")
