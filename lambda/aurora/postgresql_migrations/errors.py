"""What PostgreSQL says when a migration fails, with its place in the file."""

from __future__ import annotations

import re

import psycopg2

from apply_schema.database import Statement
from apply_schema.failures import StatementFailed
from apply_schema.statement_errors import described

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
    """Return the error with its place: that of the position, or of the line of data that COPY names."""
    return described(name, statement, said, position, _place(statement, said))


def _place(statement: Statement, said: list[str]) -> tuple[int, int] | None:
    copied = _COPY_LINE.search("\n".join(part.removeprefix("CONTEXT: ") for part in said))
    if statement.copy_data is not None and copied:
        return statement.line + statement.text.count("\n") + int(copied[1]), 1
    return None
