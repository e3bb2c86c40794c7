"""PostgreSQL's part of the migrator: one transaction per file, a clean session for each, the history.

One connection does everything, the lock included.
"""

from __future__ import annotations

import io
import math
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg2
from psycopg2 import extensions

from apply_schema.database import (
    ConnectionLost,
    MigrationFailed,
    OutOfTime,
    Script,
    Statement,
)
from apply_schema.history import Applied
from apply_schema.migration_files import Migration
from aurora.postgresql_migration_errors import is_lost, statement_failed, words
from aurora.postgresql_migration_lock import (
    DROP_ALL_BUT_THIS,
    HOLD_IN_TRANSACTION,
    holders_of_tables,
    let_go,
    wait_for_lock,
)

if TYPE_CHECKING:
    from aurora.deadline import Deadline

DRIFT_SECONDS = 1.0
"""How far a statement's time limit may lie beyond the deadline before it is set anew: a round trip each."""

_IN_TRANSACTION = extensions.TRANSACTION_STATUS_INTRANS
_NO_TRANSACTION = extensions.TRANSACTION_STATUS_IDLE

_QUERY_CANCELED = "57014"
_LOCK_NOT_AVAILABLE = "55P03"
_UNDEFINED_TABLE = "42P01"
_READ_ONLY = "25006"

_BEGIN = f"BEGIN; {HOLD_IN_TRANSACTION}"

# What a file did to its session must reach neither the next file nor the history. These are DISCARD ALL's
# parts (which itself refuses to share a transaction), within the file's own transaction. Deferred constraints
# fire first, while the session is still as the file left it.
_RESET = f"""
    SET CONSTRAINTS ALL IMMEDIATE;
    CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *;
    DISCARD PLANS; DISCARD TEMP;
    {DROP_ALL_BUT_THIS}
"""

# The sequences last, because the history's own row draws from one. No commit waits for the disk: a crash of
# the server could take only the newest files, each with its row, and a run answers after _MAKE_DURABLE.
_COMMIT = "DISCARD SEQUENCES; SET LOCAL synchronous_commit = off; COMMIT"
# Whatever is written and committed synchronously waits for all that was written before.
_MAKE_DURABLE = """
    BEGIN; SET LOCAL synchronous_commit = on;
    SELECT pg_catalog.pg_logical_emit_message(true, 'migrations', ''); COMMIT;
"""

_SESSION = """
    SET client_encoding = 'UTF8'; SET standard_conforming_strings = on;
    SET application_name = %(application_name)s;
    SET lock_timeout = %(lock_timeout)s; SET statement_timeout = %(statement_timeout)s;
"""
# Work in a transaction is lost with its client: the server may stop. Outside of one it may still end well.
_NOTICE_A_LOST_CLIENT = "SET LOCAL client_connection_check_interval = '2s'; "

_HISTORY = """
    SELECT name, version, checksum, kind, applied_at, applied_by, duration_seconds
    FROM migrations.history ORDER BY installed_as
"""
_CREATE_HISTORY = """
    CREATE SCHEMA IF NOT EXISTS migrations;
    CREATE TABLE IF NOT EXISTS migrations.history (
        installed_as bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        version bigint UNIQUE,
        name text NOT NULL,
        kind text NOT NULL CHECK (kind IN ('versioned', 'repeatable', 'baseline')),
        checksum text NOT NULL CHECK (checksum ~ '^[0-9a-f]{64}$'),
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        applied_by text NOT NULL DEFAULT session_user,
        duration_seconds double precision NOT NULL,
        CHECK ((version IS NULL) = (kind = 'repeatable'))
    );
    COMMENT ON TABLE migrations.history IS
        'One row per migration that was applied; a repeatable one has a row per run, the last one counts';
"""
_RECORD = """
    INSERT INTO migrations.history (version, name, kind, checksum, duration_seconds)
    VALUES (%(version)s, %(name)s, %(kind)s, %(checksum)s, %(duration_seconds)s);
"""

_INVALID_INDEXES = """
    SELECT quote_ident(space.nspname) || '.' || quote_ident(index.relname)
    FROM pg_catalog.pg_index JOIN pg_catalog.pg_class AS index ON index.oid = indexrelid
    JOIN pg_catalog.pg_namespace AS space ON space.oid = index.relnamespace
    WHERE NOT indisvalid AND index.relkind = 'i' AND position(lower(index.relname) IN lower(%(text)s)) > 0
"""
# Keeps the limit that a file set for itself where it is the stricter one.
_SHORTEN_TIMEOUT = """
    SELECT pg_catalog.set_config('statement_timeout', %(milliseconds)s::text, false)
    FROM pg_catalog.pg_settings
    WHERE name = 'statement_timeout' AND setting::bigint NOT BETWEEN 1 AND %(milliseconds)s
"""


class Limits(NamedTuple):
    """How long this run waits, and for what. 0 for `statement_timeout_seconds` is for ever."""

    wait_for_lock_seconds: float = 60.0
    """For another migrator to finish."""
    lock_timeout_seconds: float = 10.0
    """For a table that a statement needs: longer, and the queue behind it stops the application."""
    statement_timeout_seconds: float = 0.0
    deadline: Deadline | None = None
    """After which nothing begins; a statement that reaches it is cancelled."""

    def remaining_seconds(self) -> float:
        """Return the seconds until the deadline."""
        return self.deadline.remaining_seconds() if self.deadline else math.inf


class PostgresqlMigrations:
    """A MigrationDatabase on one connection to the writer, which it owns from now on."""

    def __init__(self, connection: extensions.connection, limits: Limits) -> None:
        self._connection = connection
        self._limits = limits
        self._granted_seconds = math.inf
        connection.autocommit = True  # BEGIN and COMMIT travel with statements, a round trip less each
        connection.set_client_encoding("UTF8")
        self._cursor = connection.cursor()
        self._begin = _BEGIN
        with self._failing_as("the migrator's session"):
            self._execute(_SESSION, self._session_settings())

    def read_script(self, text: str) -> Script:
        """Cut a file as psql does."""
        # a run with nothing to do reads no script, and the patterns take long to compile
        from apply_schema.sql_script import read_script  # noqa: PLC0415

        return read_script(text)

    def history(self) -> list[Applied]:
        """Return what is applied: one query."""
        try:
            self._execute(_HISTORY)
        except psycopg2.Error as error:
            if error.pgcode != _UNDEFINED_TABLE:
                raise self._failure("migrations.history", error) from error
            return []
        return [Applied(*row) for row in self._cursor.fetchall()]

    @contextmanager
    def locked(self, waiting: Callable[[str], None]) -> Iterator[None]:
        """Hold the migrator's lock and have a history to write to."""
        patience = min(self._limits.wait_for_lock_seconds, self._limits.remaining_seconds())
        with self._failing_as("the migrator's lock"):
            wait_for_lock(self._cursor, patience_seconds=patience, waiting=waiting)
        try:
            self._create_history()
            self._begin = _BEGIN + self._noticing_a_lost_client()
            yield
        finally:
            self._make_durable_and_let_go()

    def apply(self, migration: Migration, script: Script) -> float:
        """Run one file and record it: one transaction, or statement by statement where the file says so."""
        began = time.monotonic()
        if script.transactional:
            self._run_in_transaction(migration.name, script.statements)
        else:
            self._run_alone(migration.name, script.statements)
        duration = time.monotonic() - began
        begin = "" if script.transactional else self._begin
        settings = self._session_settings()
        with self._failing_as(f"{migration.name}: at its end"):
            row = _row(migration.kind, migration, duration)
            self._execute(begin + _RESET + _SESSION + _RECORD + _COMMIT, settings | row)
        return duration

    def record(self, kind: str, migrations: Sequence[Migration]) -> None:
        """Add rows for migrations that are not to run."""
        with self._transaction():
            for one in migrations:
                self._execute(_RECORD, _row(kind, one, 0.0))

    def correct(self, edited: Sequence[Migration], removed: Sequence[Applied]) -> None:
        """Have the history agree with the files."""
        with self._transaction():
            for one in edited:
                self._execute(
                    "UPDATE migrations.history SET checksum = %s, name = %s WHERE version = %s",
                    (one.checksum, one.name, one.version),
                )
            for row in removed:
                self._execute("DELETE FROM migrations.history WHERE version = %s", (row.version,))

    def close(self) -> None:
        """End the session."""
        self._connection.close()

    # --- the lock and what it guards

    def _create_history(self) -> None:
        with self._transaction():
            if not self._value("SELECT to_regclass('migrations.history') IS NOT NULL"):
                self._execute(_CREATE_HISTORY)

    def _noticing_a_lost_client(self) -> str:
        """Return the setting where the server has it: not before version 14, and not on every system."""
        try:
            self._execute(f"BEGIN; {_NOTICE_A_LOST_CLIENT}; COMMIT")
        except psycopg2.Error:
            self._roll_back()
            return ""
        return _NOTICE_A_LOST_CLIENT

    def _make_durable_and_let_go(self) -> None:
        if self._connection.closed:
            return
        try:
            with self._failing_as("the end of the run"):
                self._execute(_MAKE_DURABLE)
                let_go(self._cursor)
        except MigrationFailed:
            self._connection.close()  # the lock ends with its session
            raise

    # --- a file

    def _run_in_transaction(self, name: str, statements: Sequence[Statement]) -> None:
        begin = self._begin
        if not statements or statements[0].copy_data is not None:
            with self._failing_as(name):
                self._execute(begin)
            begin = ""
        for statement in statements:
            self._run(name, statement, begin, _IN_TRANSACTION)
            begin = ""

    def _run_alone(self, name: str, statements: Sequence[Statement]) -> None:
        for number, statement in enumerate(statements):
            try:
                self._run(name, statement, "", _NO_TRANSACTION)
                self._refuse_invalid_indexes(name, statement)
            except MigrationFailed as failure:
                failure.remarks.append(
                    f"{name} runs without a transaction: {number} of its {len(statements)} statements stand, "
                    "and the next run begins it anew; write it so that it can be repeated "
                    "(DROP INDEX CONCURRENTLY IF EXISTS before CREATE INDEX CONCURRENTLY)"
                )
                raise

    def _run(self, name: str, statement: Statement, prefix: str, expected_status: int) -> None:
        try:
            self._keep_to_deadline(name)
            if statement.copy_data is None:
                self._execute(prefix + statement.text)
            else:
                self._cursor.copy_expert(statement.text, io.StringIO(statement.copy_data))
            self._refuse_leaving_the_rails(name, statement, expected_status)
        except psycopg2.Error as error:
            raise self._failure_of_statement(name, statement, error, len(prefix)) from error
        except MigrationFailed:
            self._roll_back()
            raise

    def _refuse_leaving_the_rails(self, name: str, statement: Statement, expected_status: int) -> None:
        """Notice, by what the driver knows anyway, a statement that gives those after it another meaning."""
        if self._connection.info.transaction_status != expected_status:
            said = "this statement began or ended a transaction, which is the migrator's part"
            raise statement_failed(name, statement, [said])
        if self._connection.info.parameter_status("client_encoding") != "UTF8":
            raise statement_failed(name, statement, ["this changes client_encoding, but files are UTF-8"])

    def _refuse_invalid_indexes(self, name: str, statement: Statement) -> None:
        """Say what CREATE INDEX CONCURRENTLY IF NOT EXISTS is silent about: what a broken-off one left."""
        if statement.text[:6].upper() != "CREATE":
            return
        self._execute(_INVALID_INDEXES, {"text": statement.text})
        invalid = [index for (index,) in self._cursor.fetchall()]
        if invalid:
            said = f"index {', '.join(invalid)} is invalid: drop it before it is created anew"
            raise statement_failed(name, statement, [said])

    # --- time

    def _session_settings(self) -> dict[str, str]:
        limits = self._limits
        remaining = max(1.0, limits.remaining_seconds())
        self._granted_seconds = min(limits.statement_timeout_seconds or math.inf, remaining)
        return {
            "application_name": f"apply_schema on {socket.gethostname()}",
            "lock_timeout": f"{limits.lock_timeout_seconds * 1000:.0f}ms",
            "statement_timeout": _milliseconds(self._granted_seconds),
        }

    def _keep_to_deadline(self, name: str) -> None:
        remaining = self._limits.remaining_seconds()
        if remaining == 0.0:
            raise OutOfTime(f"{name}: the deadline came before the file's end; the next run does all of it")
        if self._granted_seconds - remaining > DRIFT_SECONDS and remaining != math.inf:
            self._execute(_SHORTEN_TIMEOUT, {"milliseconds": math.ceil(remaining * 1000)})
            self._granted_seconds = remaining

    # --- errors

    def _failure_of_statement(
        self, name: str, statement: Statement, error: psycopg2.Error, prefix_length: int
    ) -> MigrationFailed:
        self._roll_back()
        failure = self._failure_of_session(name, error)
        if failure is not None:
            return failure
        said = words(error)
        if error.pgcode == _LOCK_NOT_AVAILABLE:
            said.append(f"sessions that hold tables here: {holders_of_tables(self._cursor)}")
        position = error.diag.statement_position
        place = max(1, int(position) - prefix_length) if position else None
        return statement_failed(name, statement, said, place)

    def _failure_of_session(self, name: str, error: psycopg2.Error) -> MigrationFailed | None:
        """Return the failure that is not the statement's own fault, if this is one."""
        if is_lost(error) or self._connection.closed:
            return ConnectionLost(f"{name}: {' '.join(words(error))}")
        if error.pgcode == _READ_ONLY and self._value("SELECT pg_is_in_recovery()"):
            return ConnectionLost(f"{name}: the writer became a reader")
        if error.pgcode == _QUERY_CANCELED and self._limits.remaining_seconds() < DRIFT_SECONDS:
            return OutOfTime(f"{name}: a statement reached the deadline; the next run does all of the file")
        return None

    @contextmanager
    def _failing_as(self, what: str) -> Iterator[None]:
        """Turn the driver's errors into ours, with nothing left in a transaction."""
        try:
            yield
        except psycopg2.Error as error:
            self._roll_back()
            raise self._failure(what, error) from error

    def _failure(self, what: str, error: psycopg2.Error) -> MigrationFailed:
        said = "\n".join(words(error))
        return self._failure_of_session(what, error) or MigrationFailed(f"{what}: {said}")

    # --- the driver

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._failing_as("migrations.history"):
            self._execute("BEGIN")
            yield
            self._execute("COMMIT")

    def _roll_back(self) -> None:
        if not self._connection.closed and self._connection.info.transaction_status != _NO_TRANSACTION:
            try:
                self._execute("ROLLBACK")
            except psycopg2.Error:
                self._connection.close()  # the server rolls back what lost its client

    def _execute(self, sql: str, parameters: object = None) -> None:
        self._cursor.execute(sql, parameters)  # type: ignore[arg-type]  # its stubs know no Mapping of Any

    def _value(self, sql: str, parameters: object = None) -> Any:
        self._execute(sql, parameters)
        row = self._cursor.fetchone()
        return row[0] if row else None


def _row(kind: str, migration: Migration, duration_seconds: float) -> dict[str, object]:
    return {
        "version": migration.version,
        "name": migration.name,
        "kind": kind,
        "checksum": migration.checksum,
        "duration_seconds": duration_seconds,
    }


def _milliseconds(seconds: float) -> str:
    return "0" if seconds == math.inf else f"{math.ceil(seconds * 1000)}ms"
