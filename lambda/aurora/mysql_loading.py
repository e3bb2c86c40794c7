"""Loading in bulk, in MySQL's dialect: LOAD DATA LOCAL, table locks, turns, ids, time limits.

Everything here works inside one transaction, so that a load that breaks off leaves nothing. What would commit
it by itself is not used: keys and triggers stay where they are (docs/adr/0064).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any

import pymysql
from pymysql.connections import Connection
from pymysql.constants import COMMAND
from pymysql.protocol import OKPacketWrapper

from aurora.failures import Cause, DatabaseError, Remedy
from aurora.loading import SCHEMA
from aurora.mysql import database_error
from aurora.session import Parameters, Row, Session

TURN = "shop.load"  # the user-level lock that all loads of one server share
ROWS_AT_ONCE = 1000
CHUNK_BYTES = 256 * 1024
LONGEST_PACKET_BYTES = 1024 * 1024  # far below max_allowed_packet, whatever a block of rows holds
COMMIT_SECONDS = 60.0  # the deadline must not leave open whether a load is there
UNDO_SECONDS = 5.0  # what takes longer to undo, the server undoes after the session has ended
LOCK_WAIT_TIMEOUT = "1205"
STATEMENT_TIMEOUT = "3024"
PARENT_MISSING = "1452"

# Its columns are those of seed_data.recorded.SetAside, in that order.
_SET_ASIDE_SORTED = """
    CREATE TEMPORARY TABLE shop.set_aside_sorted (
        position bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
        line_number bigint NOT NULL,
        line mediumtext NOT NULL,
        invoice_number varchar(255) NOT NULL,
        order_id bigint,
        load_id int,
        ordered_at datetime(6),
        customer_id bigint,
        country varchar(255),
        line_count int,
        total_amount decimal(14, 3)
    ) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin
"""
_SET_ASIDE = """
    CREATE TEMPORARY TABLE shop.set_aside (
        line_number bigint NOT NULL,
        invoice_number varchar(255) NOT NULL,
        line mediumtext NOT NULL
    ) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin
"""


class MysqlBulk:
    """A Bulk (see loading.py) over a session of MySQL's."""

    set_aside = "shop.set_aside"

    def __init__(self, session: Session) -> None:
        self._session = session
        self._limit_at = math.inf
        self._unchecked: Sequence[str] = ()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """From the first table lock to COMMIT; whatever is set here ends with it."""
        try:
            self._prepare()
            yield
            self._session.limit_statements(seconds=COMMIT_SECONDS)
            self.rows("COMMIT")
        except BaseException:
            self._undo()
            raise
        finally:
            with suppress(DatabaseError):
                self._tidy_up()

    def limit_statements(self, seconds: float) -> None:
        """The session's way; a load of rows ends where its iterator says so."""
        self._session.limit_statements(seconds=seconds)
        self._limit_at = time.monotonic() + seconds

    def is_time_out(self, error: Exception) -> bool:
        """By the code; or the session was given up, for the server ends nothing but look-ups and waits."""
        if not isinstance(error, DatabaseError):
            return False
        was_given_up = error.remedy is Remedy.RECONNECT and not error.code
        is_late = time.monotonic() >= self._limit_at
        return error.code in (LOCK_WAIT_TIMEOUT, STATEMENT_TIMEOUT) or (was_given_up and is_late)

    def take_turn(self, on_wait: Callable[[], None]) -> None:
        """By a user-level lock: it outlives a transaction's end, and ends with the session at the latest."""
        if self._has_turn(0):
            return
        on_wait()
        if not self._has_turn(max(1, math.ceil(self._limit_at - time.monotonic()))):
            raise DatabaseError("another load did not end in time", code=LOCK_WAIT_TIMEOUT)

    def lock_out(self, tables: Sequence[str], *, also_used: Sequence[str]) -> None:
        """All of them at once, as the server wants it; from here on there is something to commit.

        https://dev.mysql.com/doc/refman/8.0/en/lock-tables.html#lock-tables-and-transactions
        """
        self.rows("SET autocommit = 0")
        self.rows(f"LOCK TABLES {', '.join(f'{_table(name)} WRITE' for name in (*tables, *also_used))}")

    def take_keys_off(self, tables: Sequence[str]) -> None:
        """Look up no parents. Keys stay: taking them off would commit, and so does adding them."""
        self._unchecked = tables
        self.rows("SET foreign_key_checks = 0")

    def put_keys_back(self) -> None:
        """Look for rows without a parent; from here on, the server does."""
        for table in self._unchecked:
            for reference in self._references(table):
                reference.verify(self)
        self.rows("SET foreign_key_checks = 1")

    def rows(self, statement: str, parameters: Parameters = ()) -> list[Row]:
        """As the session does."""
        return self._session.rows(statement, parameters)

    def copy_rows(self, table: str, columns: Sequence[str], rows: Iterable[str]) -> None:
        """By LOAD DATA LOCAL."""
        self._load(_table(table), columns, (text.encode() for text in rows))

    def copy_file(self, table: str, columns: Sequence[str], file: IO[bytes]) -> None:
        """By LOAD DATA LOCAL."""
        self._load(_table(table), columns, iter(lambda: file.read(CHUNK_BYTES), b""))

    def insert(self, table: str, values: Mapping[str, object]) -> None:
        """With the id that is among the values."""
        self.rows(
            f"INSERT INTO {_table(table)} ({_names(values)}) VALUES ({_placeholders(values)})",  # noqa: S608
            list(values.values()),
        )

    def insert_missing(self, table: str, columns: Sequence[str], query: str, parameters: Parameters) -> None:
        """By ON DUPLICATE KEY: unlike IGNORE, it forgives nothing else."""
        key = f"{_table(table)}.{_name(columns[0])}"
        self.rows(
            f"INSERT INTO {_table(table)} ({_names(columns)}) {query} ON DUPLICATE KEY UPDATE {key} = {key}",
            parameters,
        )

    def update(self, table: str, values: Mapping[str, object], *, key: str, value: object) -> None:
        """By one UPDATE."""
        assignments = ", ".join(f"{_name(column)} = %s" for column in values)
        self.rows(
            f"UPDATE {_table(table)} SET {assignments} WHERE {_name(key)} = %s",  # noqa: S608
            [*values.values(), value],
        )

    def update_numbers(self, table: str, *, key: str, column: str, rows: Iterable[Sequence[object]]) -> None:
        """A thousand at a time."""
        all_rows = list(rows)
        place = _table(table)
        for first in range(0, len(all_rows), ROWS_AT_ONCE):
            some = all_rows[first : first + ROWS_AT_ONCE]
            values = ", ".join(["ROW (%s, %s)"] * len(some))
            self.rows(
                f"UPDATE {place} JOIN (VALUES {values}) AS given (id, number)"  # noqa: S608
                f" ON {place}.{_name(key)} = given.id SET {place}.{_name(column)} = given.number",
                [value for row in some for value in row],
            )

    def stage_set_aside(self, file: IO[bytes]) -> None:
        """Into a table that was created before, since not every server may create one in a transaction."""
        columns = ("line_number", "invoice_number", "line")
        self._load(self.set_aside, columns, iter(lambda: file.read(CHUNK_BYTES), b""))

    def read_set_aside(self, query: str, *, rows_at_once: int) -> Iterator[Row]:
        """By a second temporary table: MySQL's cursors let no other statement pass."""
        columns = (
            "line_number, line, invoice_number, order_id, load_id, ordered_at, customer_id, country,"
            " line_count, total_amount"
        )
        self.rows(f"INSERT INTO shop.set_aside_sorted ({columns}) {query}")
        page = (
            f"SELECT position, {columns} FROM shop.set_aside_sorted"  # noqa: S608 - names alone
            " WHERE position > %s ORDER BY position LIMIT %s"
        )
        last = 0
        while rows := self.rows(page, (last, rows_at_once)):
            yield from (row[1:] for row in rows)
            last = rows[-1][0]

    def next_id(self, table: str, column: str) -> int:
        """Of the table's only counter, which no one else moves while the table is locked."""
        ((found,),) = self.rows(
            "SELECT coalesce(auto_increment, 1) FROM information_schema.tables"
            " WHERE table_schema = %s AND table_name = %s",
            (SCHEMA, table),
        )
        return int(found)

    def give_out_before(self, table: str, column: str, next_id: int) -> None:
        """The counter is there already: rows move it that bring their ids along."""

    def _prepare(self) -> None:
        self._limit_at = math.inf
        with _errors_told():
            # a row's trigger costs twice as much in a session whose default database is another than its own
            self._session.connection.select_db(SCHEMA)
        self.rows(
            "SET SESSION transaction_isolation = 'READ-COMMITTED', sql_mode = 'TRADITIONAL',"
            # else a source that stalls for half a minute costs the session
            " net_read_timeout = 3600, net_write_timeout = 3600,"
            # else a table's next id is as old as its statistics
            " information_schema_stats_expiry = 0,"
            " @shop_totals_by_load = 1"
        )
        self._drop_temporary_tables()
        self.rows(_SET_ASIDE)
        self.rows(_SET_ASIDE_SORTED)

    def _undo(self) -> None:
        """Have the server undo everything: now if a few seconds suffice, else once the session has ended."""
        if self._session.closed:
            return
        try:
            self._session.limit_statements(seconds=UNDO_SECONDS)
            self.rows("ROLLBACK")
        except BaseException:
            self._session.close()  # whatever is sent in an open transaction, unlocking too, might commit it

    def _tidy_up(self) -> None:
        """Give back locks and turn, and leave the session as it was found."""
        if self._session.closed:
            return
        self.rows("UNLOCK TABLES")
        self.rows(
            "SET SESSION autocommit = 1, foreign_key_checks = 1, transaction_isolation = DEFAULT,"
            " sql_mode = DEFAULT, net_read_timeout = DEFAULT, net_write_timeout = DEFAULT,"
            " information_schema_stats_expiry = DEFAULT, max_execution_time = DEFAULT,"
            " innodb_lock_wait_timeout = DEFAULT, lock_wait_timeout = DEFAULT, @shop_totals_by_load = NULL"
        )
        self._drop_temporary_tables()
        self.rows("DO RELEASE_LOCK(%s)", (TURN,))

    def _drop_temporary_tables(self) -> None:
        self.rows("DROP TEMPORARY TABLE IF EXISTS shop.set_aside, shop.set_aside_sorted")

    def _has_turn(self, seconds: int) -> bool:
        ((taken,),) = self.rows("SELECT GET_LOCK(%s, %s)", (TURN, seconds))
        if taken is None:
            raise DatabaseError("the wait for another load was ended from outside")
        return bool(taken)

    def _references(self, table: str) -> list[_Reference]:
        found = self.rows(
            "SELECT constraint_name, referenced_table_name,"
            " group_concat(column_name ORDER BY ordinal_position),"
            " group_concat(referenced_column_name ORDER BY ordinal_position)"
            " FROM information_schema.key_column_usage"
            " WHERE table_schema = %s AND table_name = %s AND referenced_table_schema = %s"
            " GROUP BY constraint_name, referenced_table_name ORDER BY constraint_name",
            (SCHEMA, table, SCHEMA),
        )
        return [
            _Reference(name, table, of.split(","), parent, to.split(",")) for name, parent, of, to in found
        ]

    def _load(self, table: str, columns: Sequence[str], chunks: Iterator[bytes]) -> None:
        """Have the server take in every row as it stands, or raise.

        LOCAL makes it lenient whatever its mode: what does not fit is cut, what repeats a key or breaks a
        constraint is skipped, each with a warning.
        """
        sent, done = 0, None

        def counted() -> Iterator[bytes]:
            nonlocal sent
            for chunk in chunks:
                sent += chunk.count(b"\n")
                yield chunk

        statement = (
            f"LOAD DATA LOCAL INFILE 'rows' INTO TABLE {table} CHARACTER SET utf8mb4"
            rf" FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n' ({_names(columns)})"
        )
        with _errors_told():
            done = _stream(self._session.connection, statement, counted())
        if done.warning_count:
            ((_level, code, said),) = self.rows("SHOW WARNINGS LIMIT 1")
            raise database_error(pymysql.DataError(code, f"{said} (loading {table})"))
        if done.affected_rows != sent:
            raise DatabaseError(f"{sent} rows were sent to {table}, {done.affected_rows} arrived")


class _Reference:
    """A foreign key, to be verified over all rows at once."""

    def __init__(
        self, name: str, table: str, columns: Sequence[str], parent: str, parent_columns: Sequence[str]
    ) -> None:
        self._name = name
        self._table = table
        self._columns = columns
        self._parent = parent
        self._parent_columns = parent_columns

    def verify(self, bulk: MysqlBulk) -> None:
        """Raise where a value has no parent. Distinct values are read off the index that every key has."""
        parent = _table(self._parent)
        pairs = zip(self._columns, self._parent_columns, strict=True)
        given = " AND ".join(f"{_name(column)} IS NOT NULL" for column in self._columns)
        same = " AND ".join(f"{parent}.{_name(there)} = referring.{_name(here)}" for here, there in pairs)
        ((missing,),) = bulk.rows(
            f"SELECT count(*) FROM (SELECT DISTINCT {_names(self._columns)} FROM {_table(self._table)}"  # noqa: S608
            f" WHERE {given}) AS referring LEFT JOIN {parent} ON {same}"
            f" WHERE {parent}.{_name(self._parent_columns[0])} IS NULL"
        )
        if missing:
            raise DatabaseError(
                f"{missing} values of {self._table} ({', '.join(self._columns)}) are missing in"
                f" {self._parent} ({', '.join(self._parent_columns)})",
                sqlstate="23000",
                code=PARENT_MISSING,
                cause=Cause.MISSING_PARENT,
                constraint=self._name,
            )


def _stream(connection: Connection[Any], statement: str, chunks: Iterator[bytes]) -> OKPacketWrapper:
    """Send LOAD DATA LOCAL, then the chunks as its file, and return the server's answer.

    The driver itself could only read a file by its name, and would send any that a server asks for: it is not
    asked, and has that switched off. What the iterator raises comes out once the file was ended, for nothing
    else ends it: the caller has to roll back.
    """
    connection._execute_command(COMMAND.COM_QUERY, statement)  # type: ignore[attr-defined]
    asked = _answer(connection)
    if not asked.is_load_local_packet():
        raise DatabaseError("the server does not ask for the rows that it was offered")
    try:
        for chunk in chunks:
            for first in range(0, len(chunk), LONGEST_PACKET_BYTES):
                _send(connection, chunk[first : first + LONGEST_PACKET_BYTES])
    except BaseException:
        if connection.open:
            with suppress(pymysql.Error):
                _send(connection, b"")
                _answer(connection)
        raise
    _send(connection, b"")
    return OKPacketWrapper(_answer(connection))


def _send(connection: Connection[Any], payload: bytes) -> None:
    try:
        connection.write_packet(payload)
    except BaseException:
        connection._force_close()  # type: ignore[attr-defined]  # half a packet: nothing can follow it
        raise


def _answer(connection: Connection[Any]) -> Any:
    try:
        return connection._read_packet()  # type: ignore[no-untyped-call]
    except pymysql.Error:
        raise
    except BaseException:
        connection._force_close()  # type: ignore[attr-defined]  # the answer to come belongs to nobody
        raise


@contextmanager
def _errors_told() -> Iterator[None]:
    try:
        yield
    except pymysql.Error as error:
        raise database_error(error) from error


def _table(name: str) -> str:
    return f"{_name(SCHEMA)}.{_name(name)}"


def _names(names: Iterable[str]) -> str:
    return ", ".join(map(_name, names))


def _name(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def _placeholders(values: Iterable[object]) -> str:
    return ", ".join("%s" for _ in values)
