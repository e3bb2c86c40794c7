"""MySQL's dialect: how to connect, how a session speaks, what errors mean. Nothing else knows these."""

from __future__ import annotations

import json
import math
import re
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CLIENT, CR, ER, FIELD_TYPE, SERVER_STATUS
from pymysql.converters import conversions, convert_datetime, escape_bytes

from aurora.failures import (
    Cause,
    CertificateRefused,
    ConnectionFailed,
    CredentialRefused,
    DatabaseError,
    HostUnknown,
    Rejected,
    Remedy,
    Unavailable,
)
from aurora.redaction import redact
from aurora.trust import tls_context

if TYPE_CHECKING:
    from aurora.credentials import Credential
    from aurora.environment import DatabaseEnvironment
    from aurora.session import Parameters, Row

LONGEST_STATEMENT_SECONDS = 3600.0
"""After which an unanswered statement counts as lost, unless `limit_statements` says less."""


def connect(
    environment: DatabaseEnvironment,
    host: str,
    credential: Credential,
    *,
    ca_file: str,
    timeout_seconds: float,
) -> MysqlSession:
    """Open one session over TLS verified in full, or raise a type of failures.py. One attempt, no retry.

    Nothing is set on the session but its character set, which RDS Proxy keeps without pinning.
    """
    where = f"{credential.user}@{host}:{environment.port}/{environment.database}"
    try:
        connection = open_connection(
            host=host,
            port=environment.port,
            database=environment.database,
            user=credential.user,
            password=credential.password,
            program_name=environment.application_name,
            ssl=tls_context(ca_file),
            timeout_seconds=timeout_seconds,
        )
    except pymysql.Error as error:
        kind, said = kind_of_failure(error)
        raise kind(f"{where}: {said}") from None  # the original might hold a secret
    return MysqlSession(connection)


def open_connection(*, timeout_seconds: float, **options: Any) -> Connection[Any]:
    """Return the driver's connection: autocommit, UTF-8, times in UTC; it ends if the login takes longer."""
    connection: Connection[Any] = pymysql.connect(
        **options,
        charset="utf8mb4",
        autocommit=True,
        conv=_CONVERSIONS,
        client_flag=CLIENT.LOCAL_FILES,  # for mysql_loading alone: the driver itself sends no file
        connect_timeout=max(0.001, timeout_seconds),
        read_timeout=max(0.001, timeout_seconds),
        write_timeout=max(0.001, timeout_seconds),
    )
    _limit_answers(connection, LONGEST_STATEMENT_SECONDS)
    return connection


class MysqlSession:
    """A Session (see session.py) over one connection of PyMySQL's, which is in autocommit mode.

    All of our DATETIMEs are UTC: they are read and written as aware datetimes.
    """

    engine = "mysql"

    def __init__(self, connection: Connection[Any]) -> None:
        self.connection = connection

    @property
    def host(self) -> str:
        """The endpoint, or a socket."""
        return str(self.connection.unix_socket or self.connection.host)

    @property
    def closed(self) -> bool:
        """Whether the driver has given the connection up."""
        return not self.connection.open

    def fileno(self) -> int:
        """As the driver has it; DatabaseError where there is none any more."""
        used = getattr(self.connection, "_sock", None)
        if used is None:
            raise DatabaseError("the connection is closed", remedy=Remedy.RECONNECT)
        return int(used.fileno())

    def rows(self, statement: str, parameters: Parameters = ()) -> list[Row]:
        """Send one statement, with its parameters as literals."""
        with _errors_told(), self.connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return list(cursor.fetchall())

    def call(self, routine: str, arguments: Sequence[object] = ()) -> list[Row]:
        """Call a procedure, which begins and ends its own transaction."""
        self._refuse_open_transaction()
        name = ".".join(f"`{part.replace('`', '``')}`" for part in routine.split("."))
        placeholders = ", ".join(["%s"] * len(arguments))
        rows: list[Row] = []
        try:
            with _errors_told(), self.connection.cursor() as cursor:
                cursor.execute(f"CALL {name}({placeholders})", tuple(arguments))
                rows = list(cursor.fetchall())
                while cursor.nextset():
                    pass
        except DatabaseError as error:
            error.detail = _detail(rows)  # an error of MySQL's has no room for it: it comes as a row before
            if not error.detail:
                self._roll_back()
            raise
        return rows

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """From START TRANSACTION to COMMIT; a ROLLBACK also takes back what a 1205 has left standing."""
        self._refuse_open_transaction()
        self.rows("START TRANSACTION")
        try:
            yield
        except BaseException:
            if not self.closed:
                self.rows("ROLLBACK")
            raise
        self.rows("COMMIT")

    def limit_statements(self, *, seconds: float) -> None:
        """Have each statement from here on end after so many seconds.

        The server itself ends only what reads and what waits for a lock; anything else loses its session.
        """
        whole_seconds = max(1, math.ceil(seconds))
        self.rows(
            "SET max_execution_time = %s, innodb_lock_wait_timeout = %s, lock_wait_timeout = %s",
            (max(1, math.ceil(seconds * 1000)), whole_seconds, whole_seconds),
        )
        _limit_answers(self.connection, whole_seconds + 1.0)

    def now(self) -> datetime:
        """In UTC, as the columns' defaults take it."""
        return self._value("SELECT utc_timestamp(6)")  # type: ignore[no-any-return]

    def server_version(self) -> str:
        """Such as 8.0.42."""
        return str(self._value("SELECT version()"))

    def is_reader(self) -> bool:
        """By what Aurora's readers say, and by what replicas say."""
        return bool(self._value("SELECT @@innodb_read_only OR @@read_only"))

    def is_verified(self) -> bool:
        """By the context of the socket itself."""
        encrypted = getattr(self.connection, "_sock", None)
        if not isinstance(encrypted, ssl.SSLSocket):
            return False
        return encrypted.context.verify_mode is ssl.CERT_REQUIRED and encrypted.context.check_hostname

    def change_password(self, password: str) -> None:
        """Give the session's own user a new password, which the server keeps out of all its logs.

        https://dev.mysql.com/doc/refman/8.0/en/password-logging.html
        """
        self.rows("ALTER USER USER() IDENTIFIED BY %s", (password,))

    def close(self) -> None:
        """Tell the server, if it is there."""
        with suppress(pymysql.Error):  # closed already, or the goodbye cannot be sent
            self.connection.close()

    def _value(self, statement: str) -> Any:
        return self.rows(statement)[0][0]

    def _roll_back(self) -> None:
        """End what a procedure left: KILL QUERY, and a lack of memory, pass its handlers by."""
        with suppress(DatabaseError):  # the session may be lost, and its transaction with it
            self.rows("ROLLBACK")

    def _refuse_open_transaction(self) -> None:
        status: int = getattr(self.connection, "server_status", 0)  # what the server said last
        if status & SERVER_STATUS.SERVER_STATUS_IN_TRANS and not self.closed:
            raise RuntimeError("the session has an open transaction: end it first, it is not ours to commit")


def _in_utc(text: str | bytes) -> datetime:
    read = convert_datetime(text)
    if not isinstance(read, datetime):
        raise ValueError(f"{read!r} is no time")  # 0000-00-00, which our columns cannot hold
    return read.replace(tzinfo=UTC)


def _escaped_in_utc(value: datetime, _mapping: object = None) -> str:
    if value.tzinfo is None:
        raise ValueError(f"{value}: a time without a zone; say which one is meant")
    return f"'{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'"


_CONVERSIONS: dict[Any, Any] = {
    **conversions,
    FIELD_TYPE.DATETIME: _in_utc,
    FIELD_TYPE.TIMESTAMP: _in_utc,
    datetime: _escaped_in_utc,
    UUID: lambda value, _mapping=None: escape_bytes(value.bytes),
}


def _limit_answers(connection: Connection[Any], seconds: float) -> None:
    """Have the driver take the session for lost when an answer takes longer.

    It offers this only for the whole life of a connection, login included.
    """
    connection._read_timeout = connection._write_timeout = seconds  # type: ignore[attr-defined]


# --- what errors mean

_NOBODY_THERE = {
    ER.CON_COUNT_ERROR,  # 1040: too many connections
    ER.SERVER_SHUTDOWN,  # 1053
    1203,  # ER_TOO_MANY_USER_CONNECTIONS
    1226,  # ER_USER_LIMIT_REACHED: the user's own
    3032,  # ER_SERVER_OFFLINE_MODE
    9501,  # RDS Proxy: timed out waiting to acquire a database connection
    9502,  # RDS Proxy: the same, since none could be opened
}
_CREDENTIAL = {ER.ACCESS_DENIED_ERROR}  # 1045
_CLIENT_ERRORS = range(2000, 3000)


def kind_of_failure(error: pymysql.Error) -> tuple[type[ConnectionFailed], str]:
    """Return why a connection could not be had, and what the other side said, without secrets."""
    code, said = _code_and_words(error)
    original = getattr(error, "original_exception", None)
    if isinstance(original, ssl.SSLCertVerificationError) or code == CR.CR_SSL_CONNECTION_ERROR:
        return CertificateRefused, said
    if isinstance(original, socket.gaierror) and original.errno != socket.EAI_AGAIN:
        return HostUnknown, said
    if code in _CREDENTIAL:
        return CredentialRefused, said
    if code in _NOBODY_THERE or code in _CLIENT_ERRORS or code == 0:
        return Unavailable, said
    return Rejected, said


_RETRY = {
    ER.LOCK_DEADLOCK,  # 1213
    ER.LOCK_WAIT_TIMEOUT,  # 1205: rolls back the statement alone, the caller the rest
    3572,  # ER_LOCK_NOWAIT
}
_RECONNECT = {
    *_NOBODY_THERE,
    1836,  # ER_READ_ONLY_MODE: a reader of Aurora's, or a writer that was demoted
    1927,  # the connection was killed
    3169,  # ER_SESSION_WAS_KILLED
    4031,  # ER_CLIENT_INTERACTION_TIMEOUT
}
_OPTION_PREVENTS_STATEMENT = 1290  # --super-read-only, --read-only, and others that say nothing of a reader
_CAUSES = {
    1836: Cause.READ_ONLY,
    1792: Cause.READ_ONLY,  # a transaction that was begun as read-only
    1044: Cause.NOT_PERMITTED,  # on a schema
    1142: Cause.NOT_PERMITTED,  # on a table
    1143: Cause.NOT_PERMITTED,  # on a column
    1227: Cause.NOT_PERMITTED,  # without a global privilege
    1370: Cause.NOT_PERMITTED,  # on a routine
    1216: Cause.MISSING_PARENT,
    1452: Cause.MISSING_PARENT,
    1048: Cause.DATA_EXCEPTION,  # NULL
}
_CONSTRAINT = re.compile(
    r"CONSTRAINT `([^`]+)`|[Cc]heck constraint '([^']+)'|for key '(?:[^'.]+\.)?([^'.]+)'"
)


@contextmanager
def _errors_told() -> Iterator[None]:
    try:
        yield
    except pymysql.Error as error:
        raise database_error(error) from error
    except UnicodeEncodeError as error:  # half a surrogate pair
        raise DatabaseError(str(error), cause=Cause.DATA_EXCEPTION) from error


def database_error(error: pymysql.Error) -> DatabaseError:
    """Return what an error of the driver means."""
    code, said = _code_and_words(error)
    from_server = code and code not in _CLIENT_ERRORS
    sqlstate = (getattr(error, "sqlstate", None) or "HY000") if from_server else ""
    named = _CONSTRAINT.search(said)
    return DatabaseError(
        said,
        sqlstate=sqlstate,
        code=str(code) if from_server else "",
        cause=_cause(code, said, sqlstate),
        remedy=_remedy(error, code, said),
        constraint=next(filter(None, named.groups())) if named else None,
    )


def _code_and_words(error: pymysql.Error) -> tuple[int, str]:
    code, *words = error.args or (0,)
    if not isinstance(code, int):
        code, words = 0, list(error.args)
    return code, redact(" ".join(" ".join(map(str, words)).split()))


def _cause(code: int, said: str, sqlstate: str) -> Cause:
    if code == _OPTION_PREVENTS_STATEMENT and "read-only" in said:
        return Cause.READ_ONLY
    if code in _CAUSES:
        return _CAUSES[code]
    return Cause.DATA_EXCEPTION if sqlstate.startswith("22") else Cause.OTHER


def _remedy(error: pymysql.Error, code: int, said: str) -> Remedy:
    if code in _RETRY:
        return Remedy.RETRY
    if code in _RECONNECT or _cause(code, said, "") is Cause.READ_ONLY:
        return Remedy.RECONNECT
    lost = code in _CLIENT_ERRORS or isinstance(error, pymysql.InterfaceError | pymysql.InternalError)
    return Remedy.RECONNECT if lost else Remedy.NONE


def _detail(rows: list[Row]) -> Mapping[str, Any]:
    try:
        value = json.loads(rows[0][0])
    except (IndexError, TypeError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
