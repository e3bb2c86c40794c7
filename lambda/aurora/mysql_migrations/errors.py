"""What MySQL says when a migration fails, with its place in the file."""

from __future__ import annotations

import re
from typing import Any

import pymysql
from pymysql.constants import ER

from apply_schema.database import Statement
from apply_schema.failures import ConnectionLost, MigrationFailed, StatementFailed
from apply_schema.statement_errors import described
from aurora.redaction import redact

LOCK_WAIT_TIMEOUT = 1205
INTERRUPTED = 1317
_OPTION_PREVENTS_STATEMENT = 1290
_READ_ONLY_MODE = 1836
_LOST = {
    ER.SERVER_SHUTDOWN,  # 1053
    1927,  # the connection was killed
    2003,
    2006,
    2013,
    2055,
    3169,  # the session was killed
    4031,  # the client was inactive for too long
}
# What the server quotes of a statement, where that has it once.
_NAMED = re.compile(
    r"(?:Unknown (?:column|table)|Table|Duplicate column name|Key column|Duplicate key name) "
    r"'(?:[^'.]+\.)*([^'.]+)'"
)
_NEAR = re.compile(r"near '(.*)' at line (\d+)\Z", re.DOTALL)


def code_of(error: pymysql.Error) -> int:
    """Return the server's or the driver's number, 0 where there is none."""
    code = error.args[0] if error.args else 0
    return code if isinstance(code, int) else 0


def is_lost(error: pymysql.Error) -> bool:
    """Whether the connection is gone, and what became of the statement is not known."""
    return code_of(error) in _LOST or (isinstance(error, pymysql.InterfaceError) and code_of(error) == 0)


def is_read_only(error: pymysql.Error) -> bool:
    """Whether the server takes no writes: a reader, or a writer that was demoted."""
    code = code_of(error)
    return code == _READ_ONLY_MODE or (code == _OPTION_PREVENTS_STATEMENT and "read-only" in _said(error))


def words(error: pymysql.Error) -> str:
    """Return what the server said, with its number, in a line."""
    code = code_of(error)
    said = " ".join(_said(error).split()) or type(error).__name__
    return f"ERROR {code}: {said}" if code else said


def failure(what: str, error: pymysql.Error) -> MigrationFailed:
    """Return what an error of the migrator's own statements means."""
    return failure_of_session(what, error) or MigrationFailed(redact(f"{what}: {words(error)}"))


def failure_of_session(what: str, error: pymysql.Error) -> MigrationFailed | None:
    """Return the failure that is not the statement's own fault, if this is one."""
    if is_lost(error):
        return ConnectionLost(redact(f"{what}: {words(error)}"))
    if is_read_only(error):
        return ConnectionLost(f"{what}: the writer became a reader ({words(error)})")
    return None


def statement_failed(name: str, statement: Statement, error: pymysql.Error, *remarks: str) -> StatementFailed:
    """Return the error with the place that it means: the server counts lines from the statement's first."""
    return described(name, statement, [words(error), *remarks], _position(statement.text, _said(error)))


def _position(text: str, said: str) -> int | None:
    """Return where the text begins that a syntax error quotes, counted from 1."""
    near = _NEAR.search(said)
    if near is None:
        named = _NAMED.match(said)
        found = list(re.finditer(rf"(?<![\w$]){re.escape(named[1])}(?![\w$])", text)) if named else []
        return found[0].start() + 1 if len(found) == 1 else None
    lines = text.split("\n")
    number = min(int(near[2]), len(lines))
    line_begins = sum(len(line) + 1 for line in lines[: number - 1])
    if not near[1]:
        return len(text)
    at = text.find(near[1], line_begins)
    return (at if at >= 0 else line_begins) + 1


def _said(error: pymysql.Error) -> str:
    parts: tuple[Any, ...] = error.args[1:] if code_of(error) else error.args
    return " ".join(map(str, parts))
