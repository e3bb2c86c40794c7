"""What PostgreSQL says when a migration fails, with its place in the file."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg2

from apply_schema.database import Statement
from apply_schema.failures import StatementFailed
from aurora.redaction import redact

LONGEST_EXCERPT = 600

_COPY_LINE = re.compile(r"^COPY \S+, line (\d+)", re.MULTILINE)


def is_lost(error: psycopg2.Error) -> bool:
    """Whether the connection is gone, and with it whatever was not committed."""
    if error.pgcode is None:
        return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
    return error.pgcode.startswith(("08", "57P"))


def words(error: psycopg2.Error) -> list[str]:
    """Return what the server said, a line for each part of it."""
    diagnosis = error.diag
    if not diagnosis.message_primary:
        return [" ".join(str(error).split()) or type(error).__name__]
    parts = {
        "DETAIL": diagnosis.message_detail,
        "HINT": diagnosis.message_hint,
        "CONTEXT": diagnosis.context,
    }
    said = [f"ERROR {diagnosis.sqlstate}: {diagnosis.message_primary}"]
    return said + [f"{part}: {text}" for part, text in parts.items() if text]


def statement_failed(
    name: str, statement: Statement, said: list[str], position: int | None = None
) -> StatementFailed:
    """Return the error as compilers write it, file:line:column first, the statement last. Without secrets."""
    line, column = _place(statement, said, position)
    excerpt = "\n".join(_excerpt(statement.text, position or 1))
    return StatementFailed(redact("\n".join([f"{name}:{line}:{column}: {said[0]}", *said[1:], excerpt])))


def _place(statement: Statement, said: list[str], position: int | None) -> tuple[int, int]:
    copied = _COPY_LINE.search("\n".join(part.removeprefix("CONTEXT: ") for part in said))
    if statement.copy_data is not None and copied:
        return statement.line + statement.text.count("\n") + int(copied[1]), 1
    return statement.place_of(position or 1)


def _excerpt(text: str, position: int) -> Iterator[str]:
    """Yield the statement, of a long one its beginning and the lines around the position."""
    if len(text) <= LONGEST_EXCERPT:
        yield f"statement: {text}"
        return
    beginning = text[: LONGEST_EXCERPT // 2]
    yield f"statement: {beginning}…"
    if position > len(beginning):
        yield f"  at: …{text[position - 1 - LONGEST_EXCERPT // 4 : position - 1 + LONGEST_EXCERPT // 4]}…"
