"""What a database holds, without reading it out: how many rows each table has, and a digest of them.

The server computes the digest. It is a sum of hashes of rows: the same for the same rows in whatever order
they lie, on the cluster and on a copy of it, before and after an upgrade (docs/adr/0115: what it can miss).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, cast

from aurora.deadline import Deadline
from aurora.session import Session
from aurora.stored_table import StoredTable

BEFORE_THE_FIRST = -(2**63)
"""The key up to which an empty table was looked at."""
_PARTS = 2**64

DERIVED = frozenset({("shop", "inventory", "stock")})
"""Columns that orders change all the time, and that the rows of other tables say already: an invariant of the
schema compares the two, in the copy as well."""


class OutOfTime(Exception):
    """The deadline came before the last table."""


class NotHashed(Exception):
    """Rows that the server could not hash: their text is longer than it may be."""


@dataclass(frozen=True)
class TableContents:
    """What one table held."""

    rows: int
    digest: str
    up_to: int | None
    """The largest key that was looked at; None where the table has none, and all of it was."""


@dataclass(frozen=True)
class Contents:
    """What a database held at one moment."""

    engine: str
    server_version: str
    at: str
    """The moment by the server's clock."""
    newest_order: str | None
    """When the newest order was placed."""
    tables: Mapping[str, TableContents]
    violations: Mapping[str, int]
    """Every invariant of the schema, with the number of its violations."""
    milliseconds: float


def read_contents(
    session: Session, *, deadline: Deadline, up_to: Mapping[str, int] | None = None
) -> Contents:
    """Return what the session's database holds at one moment, of each table up to a key where one is given.

    Reads every row once, on the server; writes nothing, and locks nothing that orders need. Raises
    DatabaseError, where the server refuses, or OutOfTime.
    """
    started = time.perf_counter()
    dialect, limits = _dialect(session), up_to or {}
    if deadline.passed():
        raise OutOfTime("the deadline came before the first table")
    session.limit_statements(seconds=max(1.0, deadline.remaining_seconds()))
    with dialect.one_moment(session):
        at, version = session.now().isoformat(), session.server_version()
        tables: dict[str, TableContents] = {}
        for table in dialect.tables(session):
            if deadline.passed():
                raise OutOfTime(f"the deadline came before {table.full_name}: {len(tables)} tables were read")
            tables[table.full_name] = _read_table(session, dialect, table, limits.get(table.full_name))
        violations, newest = _invariants(session, tables), _newest_order(session, tables)
    milliseconds = round((time.perf_counter() - started) * 1000, 1)
    return Contents(session.engine, version, at, newest, tables, violations, milliseconds)


def _read_table(session: Session, dialect: _Dialect, table: StoredTable, up_to: int | None) -> TableContents:
    columns = [name for name in table.columns if (table.schema, table.name, name) not in DERIVED]
    limit = 2**63 - 1 if up_to is None else up_to
    statement = dialect.digest_statement(session, table, columns)
    ((rows, hashed, first, second, largest),) = session.rows(statement, (limit,))
    if rows != hashed:
        raise NotHashed(f"{table.full_name}: {rows - hashed} rows are too long to be hashed")
    digest = f"{int(first) % _PARTS:016x}{int(second) % _PARTS:016x}"
    if table.key is None:
        return TableContents(rows, digest, None)
    if up_to is None:
        up_to = BEFORE_THE_FIRST if largest is None else int(largest)
    return TableContents(rows, digest, up_to)


def _invariants(session: Session, tables: Mapping[str, TableContents]) -> dict[str, int]:
    if "shop.orders" not in tables:
        return {}  # a database that was not migrated yet
    found = session.rows("SELECT invariant, violations FROM shop.invariants")
    return {str(name): int(count) for name, count in found}


def _newest_order(session: Session, tables: Mapping[str, TableContents]) -> str | None:
    if "shop.orders" not in tables:
        return None
    ((newest,),) = session.rows(
        "SELECT max(ordered_at) FROM shop.orders WHERE status IN ('placed', 'cancelled')"
    )
    return None if newest is None else str(newest.isoformat())


class _Dialect(Protocol):
    """What an engine's module gives."""

    def one_moment(self, session: Session) -> AbstractContextManager[None]:
        """Read everything inside as one moment saw it, and write nothing."""

    def tables(self, session: Session) -> list[StoredTable]:
        """Return every table that holds rows."""

    def digest_statement(self, session: Session, table: StoredTable, columns: Sequence[str]) -> str:
        """Return the statement that digests a table; its parameter is the largest key."""


def _dialect(session: Session) -> _Dialect:
    """Return the engine's module, so that a function loads the one driver that it needs."""
    if session.engine == "mysql":
        from aurora import mysql_contents  # noqa: PLC0415

        return cast(_Dialect, mysql_contents)
    from aurora import postgresql_contents  # noqa: PLC0415

    return cast(_Dialect, postgresql_contents)
