"""What a PostgreSQL database holds, computed by its server: rows and a digest of each table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from psycopg2 import sql

from aurora.stored_table import StoredTable

if TYPE_CHECKING:
    from aurora.session import Session

# Leaves of partitioned tables, not their parents; nothing that a restore leaves empty on purpose (unlogged).
TABLES = """
SELECT namespace.nspname, stored.relname, of_table.columns, (
    SELECT key_column.attname
    FROM pg_index AS key
    JOIN pg_attribute AS key_column
        ON key_column.attrelid = key.indrelid AND key_column.attnum = key.indkey[0]
    WHERE key.indrelid = stored.oid AND key.indisprimary
        AND key_column.atttypid IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype)
)
FROM pg_class AS stored
JOIN pg_namespace AS namespace ON namespace.oid = stored.relnamespace
JOIN LATERAL (
    SELECT array_agg(attname::text ORDER BY attnum) AS columns
    FROM pg_attribute
    WHERE attrelid = stored.oid AND attnum > 0 AND NOT attisdropped
) AS of_table ON of_table.columns IS NOT NULL
WHERE stored.relkind = 'r' AND stored.relpersistence = 'p'
    AND namespace.nspname !~ '^pg_' AND namespace.nspname <> 'information_schema'
ORDER BY 1, 2
"""

# A row's text tells NULL from an empty text, and one column from the next. OFFSET 0: hashed once, not for
# each sum. Sums do not care about the order, and count rows that stand twice.
DIGEST = """
SELECT count(*), count(hash),
    coalesce(sum(('x' || substr(hash, 1, 15))::bit(60)::bigint), 0),
    coalesce(sum(('x' || substr(hash, 16, 15))::bit(60)::bigint), 0),
    max(key)
FROM (
    SELECT encode(sha256(convert_to(ROW({columns})::text, 'UTF8')), 'hex') AS hash, {key} AS key
    FROM {table}
    WHERE {condition}
    OFFSET 0
) AS hashed
"""


@contextmanager
def one_moment(session: Session) -> Iterator[None]:
    """Read everything inside as one moment saw it, and write nothing.

    Values are written in one way wherever the session comes from, and a policy that would hide rows is an
    error (row_security).
    """
    session.rows("START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    try:
        session.rows("SET LOCAL TimeZone = 'UTC'")
        session.rows("SET LOCAL DateStyle = 'ISO, YMD'")
        session.rows("SET LOCAL IntervalStyle = 'postgres'")
        session.rows("SET LOCAL extra_float_digits = 1")
        session.rows("SET LOCAL bytea_output = 'hex'")
        session.rows("SET LOCAL row_security = off")
        yield
    finally:
        if not session.closed:
            session.rows("ROLLBACK")


def tables(session: Session) -> list[StoredTable]:
    """Return every table that holds rows, of whatever schema that is not the server's own."""
    return [StoredTable(*row) for row in session.rows(TABLES)]


def digest_statement(session: Session, table: StoredTable, columns: Sequence[str]) -> str:
    """Return the statement that digests a table, up to a value of its key: a parameter."""
    key = _identifier(table.key) if table.key else None
    composed = sql.SQL(DIGEST).format(
        columns=sql.SQL(", ").join(_identifier(column) for column in columns),
        key=key or sql.SQL("NULL::bigint"),
        table=sql.SQL(".").join([_identifier(table.schema), _identifier(table.name)]),
        condition=sql.SQL("{} <= %s").format(key) if key else sql.SQL("%s IS NOT NULL"),
    )
    text: str = composed.as_string(session.connection)
    return text


def _identifier(name: str) -> sql.Identifier:
    return sql.Identifier(name.replace("%", "%%"))  # the statement has parameters
