"""The migrator's two connections: the worker, which runs the files, and the journal's, which lasts all run.

A file can do what it likes with the worker's session. It is reset behind every file, which lets go of the
worker's lock too: nobody can come in between, for the run's lock is the other connection's (docs/adr/0062).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.constants import COMMAND, SERVER_STATUS

from apply_schema.failures import MigrationFailed
from apply_schema.limits import Limits
from aurora.mysql_migrations.errors import INTERRUPTED, code_of, failure, is_lost
from aurora.mysql_migrations.watch import Watch

WORKER_LOCK = "migrations: its statements"

_SET = "SET NAMES utf8mb4, lock_wait_timeout = %s, innodb_lock_wait_timeout = %s"
_RESET_CONNECTION = 0x1F
_MULTI_STATEMENTS_ON = b"\x00\x00"
_IN_TRANSACTION_OR_NOT = SERVER_STATUS.SERVER_STATUS_IN_TRANS | SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT
_USER_LOCKS = ("release_lock", "release_all_locks")


class Worker:
    """The connection that runs the files, statement by statement: it cannot be sent two at once."""

    def __init__(self, connection: Connection[Any], limits: Limits, watch: Watch) -> None:
        self._connection = connection
        self._database = connection.db
        self._limits = limits
        self._watch = watch

    @classmethod
    def beside(cls, connection: Connection[Any], limits: Limits) -> Worker:
        """Connect as that connection did. What statements return is of no interest: it is not converted."""
        own = copy.copy(connection)
        own._sock = own._rfile = own._result = None  # type: ignore[attr-defined]
        own.use_unicode, own.decoders = False, {}
        own._read_timeout = None  # type: ignore[attr-defined]  # a statement takes as long as it takes
        own.connect()
        return cls(own, limits, Watch(connection, _id_of(own), limits))

    @property
    def session(self) -> int:
        """The id of its session."""
        return _id_of(self._connection)

    @property
    def is_in_transaction(self) -> bool:
        """Whether something waits for a COMMIT, by what the server said last."""
        return bool(self._status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    @property
    def commits_by_itself(self) -> bool:
        """Whether the next statement would be a transaction of its own."""
        return self._status & _IN_TRANSACTION_OR_NOT == SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT

    @property
    def _status(self) -> int:
        return int(self._connection.server_status)  # type: ignore[attr-defined]

    def run(self, text: str, *, can_be_taken_back: bool = False) -> None:
        """Run one statement of a file, within the limits."""
        with self._watch.over_a_statement():
            self._run(text)
        if self._watch.fired and can_be_taken_back:  # SLEEP ends early without an error
            raise pymysql.OperationalError(INTERRUPTED, "Query execution was interrupted")
        if any(name in text.lower() for name in _USER_LOCKS):
            self.take_lock()

    def execute(self, sql: str, parameters: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement of the migrator's own; values come as bytes."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

    def begin_session(self) -> None:
        """Take the lock, and set what every file finds."""
        self.take_lock()
        seconds = max(1, math.ceil(self._limits.lock_timeout_seconds))
        self.execute(_SET, (seconds, seconds))

    def take_lock(self) -> None:
        """Take the worker's lock, which can be nobody else's while the run's lock is ours."""
        if self.execute("SELECT GET_LOCK(%s, 10)", (WORKER_LOCK,)) != [(b"1",)]:
            raise MigrationFailed("the lock of the migrator's statements cannot be had again")

    def reset(self, *, schema_changed: bool, role_changed: bool = False) -> None:
        """Have a session as a new one: no variables, transactions, temporary tables, locks, statements."""
        if role_changed or (schema_changed and not self._database):
            self._reconnect()  # no command gives back the roles of the login, or lets go of a schema
        else:
            self._connection._execute_command(_RESET_CONNECTION, b"")  # type: ignore[attr-defined]
            self._connection._read_ok_packet()  # type: ignore[attr-defined]
            if schema_changed:
                self._connection.select_db(self._database)
        self.begin_session()

    def roll_back(self) -> bool:
        """Take back all of an open transaction, of which an error may have left a part; False: it is lost."""
        try:
            self.execute("ROLLBACK")
        except pymysql.Error:
            return False
        return True

    @property
    def was_stopped(self) -> str:
        """Why the statement that was interrupted was so: `deadline`, `timeout`, or nothing of ours."""
        return self._watch.fired

    def close(self) -> None:
        """End the connection."""
        self._watch.end()
        if self._connection.open:
            try:
                self._connection.close()
            except pymysql.Error:
                self._connection._force_close()  # type: ignore[attr-defined]

    def _run(self, text: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(text)
            while cursor.nextset():
                pass

    def _reconnect(self) -> None:
        self._connection.close()
        self._connection.connect()
        self._watch.move_to(_id_of(self._connection))


class Journal:
    """The connection that holds the run's lock, and writes down what no file's session may touch."""

    def __init__(self, connection: Connection[Any]) -> None:
        self.connection = connection

    def execute(self, sql: str, parameters: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement, a transaction of its own."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            rows = list(cursor.fetchall())
            while cursor.nextset():
                pass
            return rows

    def write_together(self, *writes: tuple[str, Sequence[object]]) -> None:
        """Write all or nothing, in one message."""
        with self.connection.cursor() as cursor:
            message = "; ".join(cursor.mogrify(sql, parameters) for sql, parameters in writes)
        self.execute(f"START TRANSACTION; {message}; COMMIT")

    def allow_messages(self) -> None:
        """Let this connection send several statements in one message; they are the migrator's own."""
        self.connection._execute_command(COMMAND.COM_SET_OPTION, _MULTI_STATEMENTS_ON)  # type: ignore[attr-defined]
        self.connection._read_packet()  # type: ignore[no-untyped-call]

    @contextmanager
    def failing_as(self, what: str) -> Iterator[None]:
        """Turn the driver's errors into ours, with nothing left in a transaction."""
        try:
            yield
        except pymysql.Error as error:
            if not is_lost(error) and code_of(error):
                self._roll_back()
            raise failure(what, error) from error

    def _roll_back(self) -> None:
        try:
            self.execute("ROLLBACK")
        except pymysql.Error:
            self.connection.close()


def _id_of(connection: Connection[Any]) -> int:
    return int(connection.thread_id())  # type: ignore[no-untyped-call]
