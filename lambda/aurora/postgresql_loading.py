"""Loading in bulk, in PostgreSQL's dialect: COPY, keys off and on again, turns, ids, time limits.

Everything here works inside one transaction, so that a load that breaks off leaves keys and rows as they
were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any, cast

import psycopg2
from psycopg2 import sql
from psycopg2.extras import execute_values

from aurora.failures import DatabaseError
from aurora.loading import SCHEMA
from aurora.postgresql import database_error
from aurora.session import Parameters, Row, Session

COPY_CHUNK_BYTES = 256 * 1024
TURN = int.from_bytes(b"shopload")  # the advisory lock that all loads of one database share
ROWS_AT_ONCE = 1000
SMALL_TABLE_ROWS = 1_000_000  # whose keys are built in about a second
KEY_BUILDING_MEMORY = "256MB"  # maintenance_work_mem: a million keys are sorted in it without a file
QUERY_CANCELED = "57014"


class PostgresqlBulk:
    """A Bulk (see loading.py) over a session of PostgreSQL's."""

    set_aside = "pg_temp.set_aside"

    def __init__(self, session: Session) -> None:
        self._session = session
        self._restore: list[sql.Composed] = []
        """Statements that bring back what was taken off."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """From BEGIN to COMMIT; whatever is set here ends with it."""
        self._restore.clear()
        with self._session.transaction():
            # After waiting for another load, each statement must see what that load has committed.
            self.rows("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            # Files have no time zone: their moments are read as UTC, whatever the role or the client says.
            self.rows("SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'")
            self.rows("SET LOCAL maintenance_work_mem = %s", (KEY_BUILDING_MEMORY,))
            yield

    def limit_statements(self, seconds: float) -> None:
        """The server ends them."""
        self.rows("SET LOCAL statement_timeout = %s", (max(1, int(seconds * 1000)),))

    def is_time_out(self, error: Exception) -> bool:
        """By the SQLSTATE."""
        return isinstance(error, DatabaseError) and error.sqlstate == QUERY_CANCELED

    def take_turn(self, on_wait: Callable[[], None]) -> None:
        """By an advisory lock, which the transaction's end gives back."""
        ((taken,),) = self.rows("SELECT pg_try_advisory_xact_lock(%s)", (TURN,))
        if not taken:
            on_wait()
            self.rows("SELECT pg_advisory_xact_lock(%s)", (TURN,))

    def lock_out(self, tables: Sequence[str], *, also_used: Sequence[str]) -> None:
        """One after the other in the order given.

        It must be the order in which others take them, or both wait for each other.
        """
        names = sql.SQL(", ").join(sql.Identifier(SCHEMA, table) for table in tables)
        self._run(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))

    def take_keys_off(self, tables: Sequence[str]) -> None:
        """Drop references and, in small tables, all keys; disable triggers.

        Checking all rows at the end beats a look-up per row. The keys of a large table stay: building them
        anew could cost more than the load itself.
        """
        restore = [self._take_keys_off(table) for table in tables]
        self._restore = [statement for of_table in reversed(restore) for statement in of_table]

    def put_keys_back(self) -> None:
        """Add them again: the server checks all rows."""
        for statement in self._restore:
            self._run(statement)
        self._restore.clear()

    def rows(self, statement: str, parameters: Parameters = ()) -> list[Row]:
        """As the session does."""
        return self._session.rows(statement, parameters)

    def copy_rows(self, table: str, columns: Sequence[str], rows: Iterable[str]) -> None:
        """By COPY."""
        stream = _Stream(iter(rows))
        try:
            self._copy_into(table, columns, cast(IO[bytes], stream))
        except DatabaseError:
            if stream.failure:
                raise stream.failure from None
            raise

    def copy_file(self, table: str, columns: Sequence[str], file: IO[bytes]) -> None:
        """By COPY."""
        self._copy_into(table, columns, file)

    def insert(self, table: str, values: Mapping[str, object]) -> None:
        """With the id that is among the values, even where the table would give one out."""
        statement = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
            sql.Identifier(SCHEMA, table), _identifiers(values), _placeholders(values)
        )
        self._run(statement, list(values.values()))

    def insert_missing(self, table: str, columns: Sequence[str], query: str, parameters: Parameters) -> None:
        """By ON CONFLICT."""
        statement = sql.SQL("INSERT INTO {} ({}) {} ON CONFLICT ({}) DO NOTHING").format(
            sql.Identifier(SCHEMA, table), _identifiers(columns), sql.SQL(query), sql.Identifier(columns[0])
        )
        self._run(statement, parameters)

    def update(self, table: str, values: Mapping[str, object], *, key: str, value: object) -> None:
        """By one UPDATE."""
        statement = sql.SQL("UPDATE {} SET ({}) = ROW ({}) WHERE {} = %s").format(
            sql.Identifier(SCHEMA, table), _identifiers(values), _placeholders(values), sql.Identifier(key)
        )
        self._run(statement, [*values.values(), value])

    def update_numbers(self, table: str, *, key: str, column: str, rows: Iterable[Sequence[object]]) -> None:
        """A thousand at a time."""
        statement = sql.SQL(
            "UPDATE {table} SET {column} = given.number FROM (VALUES %s) AS given (key, number)"
            " WHERE {table}.{key} = given.key"
        ).format(table=sql.Identifier(SCHEMA, table), column=sql.Identifier(column), key=sql.Identifier(key))
        with _errors_told(), self._session.connection.cursor() as cursor:
            execute_values(cursor, statement, list(rows), page_size=ROWS_AT_ONCE)

    def stage_set_aside(self, file: IO[bytes]) -> None:
        """Into a table that the transaction's end drops."""
        self.rows(
            "CREATE TEMPORARY TABLE set_aside"
            ' (line_number bigint, invoice_number text COLLATE "C", line text) ON COMMIT DROP'
        )
        columns = ("line_number", "invoice_number", "line")
        self._copy(_copy(sql.Identifier("pg_temp", "set_aside"), columns), file)

    def read_set_aside(self, query: str, *, rows_at_once: int) -> Iterator[Row]:
        """By a cursor of the server's."""
        self._run(sql.SQL("DECLARE set_aside NO SCROLL CURSOR FOR {}").format(sql.SQL(query)))
        while rows := self.rows("FETCH %s FROM set_aside", (rows_at_once,)):
            yield from rows
        self.rows("CLOSE set_aside")  # or the keys could not come back

    def next_id(self, table: str, column: str) -> int:
        """Of the column's sequence, which has then given it out."""
        sequence = "SELECT nextval(pg_get_serial_sequence(%s, %s))"
        ((found,),) = self.rows(sequence, (f"{SCHEMA}.{table}", column))
        return int(found)

    def give_out_before(self, table: str, column: str, next_id: int) -> None:
        """By its sequence."""
        sequence = "SELECT setval(pg_get_serial_sequence(%s, %s), %s, false)"
        self.rows(sequence, (f"{SCHEMA}.{table}", column, next_id))

    def _take_keys_off(self, table: str) -> list[sql.Composed]:
        """Return the statements that bring back what the table had."""
        owned = sql.Identifier(SCHEMA, table)
        references = self._drop_constraints(table, "f")
        keys: list[sql.Composed] = []
        if self._is_small(table):
            references += self._drop_constraints(table, "f", from_others=True)
            keys += self._drop_constraints(table, "pu")
            keys += self._drop_indexes(table)
        self._run(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(owned))
        triggers = sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(owned)
        statistics = sql.SQL("ANALYZE {}").format(owned)
        return [*keys, statistics, *references, triggers]

    def _is_small(self, table: str) -> bool:
        counted = sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT %s) AS rows")
        ((count,),) = self._run(counted.format(sql.Identifier(SCHEMA, table)), (SMALL_TABLE_ROWS,))
        return int(count) < SMALL_TABLE_ROWS

    def _drop_constraints(self, table: str, kinds: str, *, from_others: bool = False) -> list[sql.Composed]:
        """Drop the table's constraints, or those of others that refer to it; kinds as in pg_constraint."""
        found = self.rows(
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
        for schema, owner, name, definition in found:
            place, constraint = sql.Identifier(schema, owner), sql.Identifier(name)
            self._run(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(place, constraint))
            restore.append(
                # the definition is the server's own text
                sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(place, constraint, sql.SQL(definition))
            )
        return restore

    def _drop_indexes(self, table: str) -> list[sql.Composed]:
        found = self.rows(
            "SELECT n.nspname, r.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i"
            " JOIN pg_class r ON r.oid = i.indexrelid JOIN pg_namespace n ON n.oid = r.relnamespace"
            " WHERE i.indrelid = %s::regclass ORDER BY r.relname",
            (f"{SCHEMA}.{table}",),
        )
        restore = []
        for schema, name, definition in found:
            self._run(sql.SQL("DROP INDEX {}").format(sql.Identifier(schema, name)))
            restore.append(sql.Composed([sql.SQL(definition)]))
        return restore

    def _run(self, statement: sql.Composed, parameters: Parameters = ()) -> list[Row]:
        return self._session.rows(statement.as_string(self._session.connection), parameters)

    def _copy_into(self, table: str, columns: Sequence[str], file: IO[bytes]) -> None:
        """Copy straight in; where policies guard the rows, by way of a table of the session's own.

        COPY obeys no policy, so that the server refuses it there (0A000); an INSERT obeys them.
        """
        owned = sql.Identifier(SCHEMA, table)
        guarded = "SELECT row_security_active(%s::regclass)"
        ((is_guarded,),) = self.rows(guarded, (f"{SCHEMA}.{table}",))
        if not is_guarded:
            self._copy(_copy(owned, columns), file)
            return
        names, arriving = _identifiers(columns), sql.Identifier("pg_temp", "arriving")
        self._run(
            sql.SQL(
                "CREATE TEMPORARY TABLE arriving ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA"
            ).format(names, owned)
        )
        self._copy(_copy(arriving, columns), file)
        self._run(
            sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}").format(
                owned, names, names, arriving
            )
        )
        self._run(sql.SQL("DROP TABLE {}").format(arriving))

    def _copy(self, statement: sql.Composed, file: IO[bytes]) -> None:
        with _errors_told(), self._session.connection.cursor() as cursor:
            cursor.copy_expert(statement, file, size=COPY_CHUNK_BYTES)


def _copy(table: sql.Identifier, columns: Sequence[str]) -> sql.Composed:
    return sql.SQL("COPY {} ({}) FROM STDIN").format(table, _identifiers(columns))


def _identifiers(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _placeholders(values: Iterable[Any]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Placeholder() for _ in values)


@contextmanager
def _errors_told() -> Iterator[None]:
    try:
        yield
    except psycopg2.Error as error:
        raise database_error(error) from error


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
