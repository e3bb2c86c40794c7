"""Loading in bulk, in PostgreSQL's dialect: COPY, keys off and on again, turns, ids, time limits.

Everything here works inside the caller's transaction, so that a load that breaks off leaves keys and rows as
they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, cast

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - the driver's class, by a class's name
from psycopg2.extras import execute_values

SCHEMA = "shop"
COPY_CHUNK_BYTES = 256 * 1024
TURN = int.from_bytes(b"shopload")  # the advisory lock that all loads of one database share
ROWS_AT_ONCE = 1000
SMALL_TABLE_ROWS = 1_000_000  # whose keys are built in about a second
KEY_BUILDING_MEMORY = "256MB"  # maintenance_work_mem: a million keys are sorted in it without a file


def prepare(cursor: Cursor) -> None:
    """Set what a load relies on, until the end of its transaction. Must be its first statement."""
    # After waiting for another load, each statement must see what that load has committed.
    cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    # Files have no time zone: their moments are read as UTC, whatever the role or the client says.
    cursor.execute("SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'")
    cursor.execute("SET LOCAL maintenance_work_mem = %s", (KEY_BUILDING_MEMORY,))


def limit_statements(cursor: Cursor, seconds: float) -> None:
    """Have the server end each statement from now on that takes longer."""
    cursor.execute("SET LOCAL statement_timeout = %s", (max(1, int(seconds * 1000)),))


def is_time_out(error: Exception) -> bool:
    """Tell whether the server ended a statement because its time was over."""
    return isinstance(error, psycopg2.errors.QueryCanceled)


def take_turn(cursor: Cursor, on_wait: Callable[[], None]) -> None:
    """Wait until no other transaction loads into this database; `on_wait` is called before waiting."""
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", (TURN,))
    if not _value(cursor):
        on_wait()
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (TURN,))


def lock_out(cursor: Cursor, tables: Sequence[str]) -> None:
    """Wait for those who use the tables, and keep everybody out until the transaction ends.

    One after the other in the order given: it must be the order in which others take them, or both wait for
    each other.
    """
    cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(_names(tables)))


@dataclass(frozen=True)
class KeysOff:
    """What a table had and lacks during a load, as the statements that bring it back."""

    statements: tuple[sql.Composed, ...]

    def put_back(self, cursor: Cursor) -> None:
        """Bring everything back; the server checks all rows and raises where one violates a key."""
        for statement in self.statements:
            cursor.execute(statement)


def take_keys_off(cursor: Cursor, table: str) -> KeysOff:
    """Free the table of what costs time for each row: references, triggers and, in a small table, all keys.

    Checking all rows at the end beats a look-up per row. The keys of a large table stay: building them anew
    could cost more than the load itself.
    """
    owned = sql.Identifier(SCHEMA, table)
    references = _drop_constraints(cursor, table, "f")
    keys: list[sql.Composed] = []
    if _is_small(cursor, table):
        references += _drop_constraints(cursor, table, "f", from_others=True)
        keys += _drop_constraints(cursor, table, "pu")
        keys += _drop_indexes(cursor, table)
    cursor.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(owned))
    triggers = sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(owned)
    statistics = sql.SQL("ANALYZE {}").format(owned)
    return KeysOff((*keys, statistics, *references, triggers))


def copy_rows(cursor: Cursor, table: str, columns: Sequence[str], rows: Iterable[str]) -> None:
    """Stream rows (row_text.py) into the table; what the iterator raises comes out unchanged."""
    stream = _Stream(iter(rows))
    try:
        cursor.copy_expert(_copy(table, columns), cast(IO[bytes], stream))
    except psycopg2.Error:
        if stream.failure:
            raise stream.failure from None
        raise


def copy_file(
    cursor: Cursor, table: str, columns: Sequence[str], file: IO[bytes], *, schema: str = SCHEMA
) -> None:
    """Send a file of rows into the table."""
    cursor.copy_expert(_copy(table, columns, schema), file, size=COPY_CHUNK_BYTES)


def open_query(cursor: Cursor, statement: str, *, rows_at_once: int) -> Cursor:
    """Return a cursor that fetches some rows at once. What changes from now on, it does not see."""
    query: Cursor = cursor.connection.cursor("query")
    query.itersize = rows_at_once
    query.execute(statement)
    return query


def update_numbers(
    cursor: Cursor, table: str, *, key: str, column: str, rows: Iterable[Sequence[object]]
) -> None:
    """Set the column of each row, given as (key, number)."""
    statement = sql.SQL(
        "UPDATE {table} SET {column} = given.number FROM (VALUES %s) AS given (key, number)"
        " WHERE {table}.{key} = given.key"
    ).format(table=sql.Identifier(SCHEMA, table), column=sql.Identifier(column), key=sql.Identifier(key))
    execute_values(cursor, statement, list(rows), page_size=ROWS_AT_ONCE)


def next_id(cursor: Cursor, table: str, column: str) -> int:
    """Return the first id that the column's sequence has not given out."""
    cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, %s))", (f"{SCHEMA}.{table}", column))
    return int(_value(cursor))


def give_out_before(cursor: Cursor, table: str, column: str, next_id: int) -> None:
    """Have the column's sequence go on with this id."""
    cursor.execute(
        "SELECT setval(pg_get_serial_sequence(%s, %s), %s, false)", (f"{SCHEMA}.{table}", column, next_id)
    )


def _copy(table: str, columns: Sequence[str], schema: str = SCHEMA) -> sql.Composed:
    return sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(schema, table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )


class _Stream:
    """What COPY reads from: psycopg2 sends whatever a read returns, whatever size it asked for."""

    def __init__(self, rows: Iterator[str]) -> None:
        self._rows = rows
        self.failure: BaseException | None = None

    def read(self, _size: int) -> bytes:
        try:
            return next((text.encode() for text in self._rows if text), b"")
        except BaseException as failure:
            # psycopg2 turns this into a cancelled COPY and keeps the text alone
            self.failure = failure
            raise


def _is_small(cursor: Cursor, table: str) -> bool:
    counted = sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT %s) AS rows")
    cursor.execute(counted.format(sql.Identifier(SCHEMA, table)), (SMALL_TABLE_ROWS,))
    return _value(cursor) < SMALL_TABLE_ROWS


def _drop_constraints(
    cursor: Cursor, table: str, kinds: str, *, from_others: bool = False
) -> list[sql.Composed]:
    """Drop the table's constraints, or those of others that refer to it; kinds as in pg_constraint."""
    cursor.execute(
        """
        SELECT n.nspname, r.relname, c.conname, pg_get_constraintdef(c.oid)
        FROM pg_constraint AS c
        JOIN pg_class AS r ON r.oid = c.conrelid
        JOIN pg_namespace AS n ON n.oid = r.relnamespace
        WHERE contype = ANY(%s) AND %s::regclass = CASE WHEN %s THEN c.confrelid ELSE c.conrelid END
        ORDER BY c.conname
        """,
        (list(kinds), f"{SCHEMA}.{table}", from_others),
    )
    restore = []
    for schema, owner, name, definition in cursor.fetchall():
        place, constraint = sql.Identifier(schema, owner), sql.Identifier(name)
        cursor.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(place, constraint))
        restore.append(
            # the definition is the server's own text
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(place, constraint, sql.SQL(definition))
        )
    return restore


def _drop_indexes(cursor: Cursor, table: str) -> list[sql.Composed]:
    cursor.execute(
        "SELECT n.nspname, r.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i"
        " JOIN pg_class r ON r.oid = i.indexrelid JOIN pg_namespace n ON n.oid = r.relnamespace"
        " WHERE i.indrelid = %s::regclass ORDER BY r.relname",
        (f"{SCHEMA}.{table}",),
    )
    restore = []
    for schema, name, definition in cursor.fetchall():
        cursor.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(schema, name)))
        restore.append(sql.Composed([sql.SQL(definition)]))
    return restore


def _names(tables: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(SCHEMA, table) for table in tables)


def _value(cursor: Cursor) -> int:
    found = cursor.fetchone()
    assert found is not None  # noqa: S101 - these statements always return a row
    return int(found[0])
