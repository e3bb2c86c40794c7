"""The migrator's connection: its settings and limits, its statements, and what its errors mean."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2 import extensions

from apply_schema.failures import ConnectionLost, MigrationFailed, OutOfTime
from apply_schema.limits import Limits
from aurora.postgresql_migrations.errors import is_lost, words
from aurora.postgresql_migrations.lock import DROP_ALL_BUT_THIS, HOLD_IN_TRANSACTION

DRIFT_SECONDS = 1.0
"""How far a statement's time limit may lie beyond the deadline before it is set anew: a round trip each."""

IN_TRANSACTION = extensions.TRANSACTION_STATUS_INTRANS
NO_TRANSACTION = extensions.TRANSACTION_STATUS_IDLE

_QUERY_CANCELED = "57014"
_READ_ONLY = "25006"

SETTINGS = """
    SET client_encoding = 'UTF8'; SET standard_conforming_strings = on;
    SET application_name = %(application_name)s;
    SET lock_timeout = %(lock_timeout)s; SET statement_timeout = %(statement_timeout)s;
"""
# What a file did to its session must reach neither the next file nor the history. These are DISCARD ALL's
# parts (which itself refuses to share a transaction), within the file's own transaction. Deferred constraints
# fire first, while the session is still as the file left it.
RESET = f"""
    SET CONSTRAINTS ALL IMMEDIATE;
    CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *;
    DISCARD PLANS; DISCARD TEMP;
    {DROP_ALL_BUT_THIS}
"""
# The sequences last, because the history's own row draws from one. No commit waits for the disk: a crash of
# the server could take only the newest files, each with its row, and a run answers after MAKE_DURABLE.
COMMIT = "DISCARD SEQUENCES; SET LOCAL synchronous_commit = off; COMMIT;"
# Whatever is written and committed synchronously waits for all that was written before.
MAKE_DURABLE = """
    BEGIN; SET LOCAL synchronous_commit = on;
    SELECT pg_catalog.pg_logical_emit_message(true, 'migrations', ''); COMMIT;
"""
_BEGIN = f"BEGIN; {HOLD_IN_TRANSACTION}"
# Work in a transaction is lost with its client: the server may stop. Outside of one it may still end well.
_NOTICE_A_LOST_CLIENT = "SET LOCAL client_connection_check_interval = '2s'; "
# Keeps the limit that a file set for itself where it is the stricter one.
_SHORTEN_TIMEOUT = """
    SELECT pg_catalog.set_config('statement_timeout', %(milliseconds)s::text, false)
    FROM pg_catalog.pg_settings
    WHERE name = 'statement_timeout' AND setting::bigint NOT BETWEEN 1 AND %(milliseconds)s
"""


class Session:
    """One connection that a run works on."""

    def __init__(self, connection: extensions.connection, limits: Limits) -> None:
        self.connection = connection
        self.limits = limits
        self.cursor = connection.cursor()
        self.begin = _BEGIN
        """What every file's transaction begins with."""
        self._granted_seconds = math.inf

    def execute(self, sql: str, parameters: object = None) -> None:
        """Send one message and wait for its end."""
        self.cursor.execute(sql, parameters)  # type: ignore[arg-type]  # its stubs know no Mapping of Any

    def value(self, sql: str, parameters: object = None) -> Any:
        """Return the first column of the first row."""
        self.execute(sql, parameters)
        row = self.cursor.fetchone()
        return row[0] if row else None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Change the history, wholly or not at all."""
        with self.failing_as("migrations.history"):
            self.execute("BEGIN")
            yield
            self.execute("COMMIT")

    def roll_back(self) -> None:
        """Leave no transaction open; where even that fails, no connection."""
        if not self.connection.closed and self.connection.info.transaction_status != NO_TRANSACTION:
            try:
                self.execute("ROLLBACK")
            except psycopg2.Error:
                self.connection.close()  # the server rolls back what lost its client

    def notice_a_lost_client(self) -> None:
        """Have the server do so where it can: not before version 14, and not on every system."""
        try:
            self.execute(f"BEGIN; {_NOTICE_A_LOST_CLIENT}; COMMIT")
        except psycopg2.Error:
            self.roll_back()
        else:
            self.begin = _BEGIN + _NOTICE_A_LOST_CLIENT

    # --- time

    def settings(self) -> dict[str, object]:
        """Return the parameters of SETTINGS, as they are right now."""
        limits = self.limits
        remaining = max(1.0, limits.remaining_seconds())
        self._granted_seconds = min(limits.statement_timeout_seconds or math.inf, remaining)
        return {
            "application_name": f"apply_schema on {socket.gethostname()}",
            "lock_timeout": f"{limits.lock_timeout_seconds * 1000:.0f}ms",
            "statement_timeout": milliseconds(self._granted_seconds),
        }

    def keep_to_deadline(self, name: str) -> None:
        """Let the next statement run up to the deadline, or raise OutOfTime where that is past."""
        remaining = self.limits.remaining_seconds()
        if remaining == 0.0:
            raise OutOfTime(f"{name}: the deadline came before the file's end; the next run does all of it")
        if self._granted_seconds - remaining > DRIFT_SECONDS and remaining != math.inf:
            self.execute(_SHORTEN_TIMEOUT, {"milliseconds": math.ceil(remaining * 1000)})
            self._granted_seconds = remaining

    # --- errors

    @contextmanager
    def failing_as(self, what: str) -> Iterator[None]:
        """Turn the driver's errors into ours, with nothing left in a transaction."""
        try:
            yield
        except psycopg2.Error as error:
            self.roll_back()
            raise self.failure(what, error) from error

    def failure(self, what: str, error: psycopg2.Error) -> MigrationFailed:
        """Return what an error of the migrator's own statements means."""
        return self.failure_of_session(what, error) or MigrationFailed(f"{what}: " + "\n".join(words(error)))

    def failure_of_session(self, name: str, error: psycopg2.Error) -> MigrationFailed | None:
        """Return the failure that is not the statement's own fault, if this is one."""
        if is_lost(error) or self.connection.closed:
            return ConnectionLost(f"{name}: {' '.join(words(error))}")
        if error.pgcode == _READ_ONLY and self.value("SELECT pg_is_in_recovery()"):
            return ConnectionLost(f"{name}: the writer became a reader")
        if error.pgcode == _QUERY_CANCELED and self.limits.remaining_seconds() < DRIFT_SECONDS:
            return OutOfTime(f"{name}: a statement reached the deadline; the next run does all of the file")
        return None


def milliseconds(seconds: float) -> str:
    """Return a time limit as SET takes it; infinite is none."""
    return "0" if seconds == math.inf else f"{math.ceil(seconds * 1000)}ms"
