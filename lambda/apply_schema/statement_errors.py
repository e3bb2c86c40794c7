"""How an error of a statement is told, whatever the engine: as compilers do, with the statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apply_schema.database import Statement
from apply_schema.failures import StatementFailed
from aurora.redaction import redact

LONGEST_EXCERPT = 600


def described(
    name: str,
    statement: Statement,
    said: Sequence[str],
    position: int | None = None,
    place: tuple[int, int] | None = None,
) -> StatementFailed:
    """Return the error: file:line:column first, the statement last. Without secrets.

    `position` is counted in the statement from 1, unless `place` names line and column themselves.
    """
    line, column = place or statement.place_of(position or 1)
    shown = "\n".join(excerpt(statement.text, position or 1))
    return StatementFailed(redact("\n".join([f"{name}:{line}:{column}: {said[0]}", *said[1:], shown])))


def excerpt(text: str, position: int = 1) -> Iterator[str]:
    """Yield the statement, of a long one its beginning and the lines around the position."""
    if len(text) <= LONGEST_EXCERPT:
        yield f"statement: {text}"
        return
    beginning = text[: LONGEST_EXCERPT // 2]
    yield f"statement: {beginning}…"
    if position > len(beginning):
        yield f"  at: …{text[position - 1 - LONGEST_EXCERPT // 4 : position - 1 + LONGEST_EXCERPT // 4]}…"
