"""What a MySQL server holds, computed by it: rows and a digest of each table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aurora.stored_table import StoredTable

if TYPE_CHECKING:
    from aurora.session import Session

TABLES = """
SELECT there.table_schema, there.table_name,
    (
        SELECT json_arrayagg(json_array(of_table.ordinal_position, of_table.column_name))
        FROM information_schema.columns AS of_table
        WHERE of_table.table_schema = there.table_schema AND of_table.table_name = there.table_name
    ),
    (
        SELECT key_column.column_name
        FROM information_schema.statistics AS key_part
        JOIN information_schema.columns AS key_column
            ON key_column.table_schema = key_part.table_schema AND key_column.table_name = key_part.table_name
                AND key_column.column_name = key_part.column_name
        WHERE key_part.table_schema = there.table_schema AND key_part.table_name = there.table_name
            AND key_part.index_name = 'PRIMARY' AND key_part.seq_in_index = 1
            AND key_column.data_type IN ('tinyint', 'smallint', 'mediumint', 'int', 'bigint')
    )
FROM information_schema.tables AS there
WHERE there.table_type = 'BASE TABLE'
    AND there.table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
ORDER BY 1, 2
"""

# In digits of bytes nothing depends on a character set, and NULL is not the text of that name. Sums do not
# care about the order, and count rows that stand twice. A derived table that is merged stores nothing on the
# way. sha2(): newer servers have no md5().
DIGEST = """
SELECT count(*), count(hash),
    coalesce(sum(CAST(conv(substr(hash, 1, 15), 16, 10) AS unsigned)), 0),
    coalesce(sum(CAST(conv(substr(hash, 16, 15), 16, 10) AS unsigned)), 0),
    max(counted)
FROM (
    SELECT sha2(concat_ws(',', {columns}), 256) AS hash, {key} AS counted FROM {table} WHERE {condition}
) AS hashed
"""


@contextmanager
def one_moment(session: Session) -> Iterator[None]:
    """Read everything inside as one moment saw it, and write nothing."""
    session.rows("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    session.rows("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    try:
        yield
    finally:
        if not session.closed:
            session.rows("ROLLBACK")


def tables(session: Session) -> list[StoredTable]:
    """Return every table that holds rows, of whatever database that is not the server's own."""
    return [
        StoredTable(schema, name, [column for _, column in sorted(json.loads(columns))], key)
        for schema, name, columns, key in session.rows(TABLES)
    ]


def digest_statement(_session: Session, table: StoredTable, columns: Sequence[str]) -> str:
    """Return the statement that digests a table, up to a value of its key: a parameter."""
    key = _identifier(table.key) if table.key else None
    return DIGEST.format(
        columns=", ".join(f"coalesce(hex(CAST({_identifier(column)} AS binary)), '-')" for column in columns),
        key=key or "NULL",
        table=f"{_identifier(table.schema)}.{_identifier(table.name)}",
        condition=f"{key} <= %s" if key else "%s IS NOT NULL",
    )


def _identifier(name: str) -> str:
    """Quote it, in a statement that has parameters."""
    quoted = name.replace("`", "``").replace("%", "%%")
    return f"`{quoted}`"
