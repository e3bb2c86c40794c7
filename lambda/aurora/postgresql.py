"""PostgreSQL's dialect: how to connect, how a session speaks, what errors mean. Nothing else knows these."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg2
from psycopg2 import extensions, sql
from psycopg2.extensions import encrypt_password

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

if TYPE_CHECKING:
    from aurora.credentials import Credential
    from aurora.environment import DatabaseEnvironment
    from aurora.session import Parameters, Row

SHORTEST_CONNECT_TIMEOUT_SECONDS = 2  # libpq takes 1 for 2, and 0 for ever
UNANSWERED_BYTES_TIMEOUT_MILLISECONDS = 10_000

extensions.register_adapter(UUID, lambda value: extensions.AsIs(f"'{value}'::uuid"))  # digits and hyphens


def connect(
    environment: DatabaseEnvironment,
    host: str,
    credential: Credential,
    *,
    ca_file: str,
    timeout_seconds: float,
) -> PostgresqlSession:
    """Open one session over TLS verified in full, or raise a type of failures.py. One attempt, no retry.

    Nothing is set on the session: through RDS Proxy, a SET pins it to one database connection.
    """
    try:
        connection = psycopg2.connect(
            host=host,
            port=environment.port,
            dbname=environment.database,
            user=credential.user,
            password=credential.password,
            # `prefer` falls back to plain text and `require` takes any certificate
            sslmode="verify-full",
            sslrootcert=ca_file,
            application_name=environment.application_name,
            connect_timeout=max(SHORTEST_CONNECT_TIMEOUT_SECONDS, math.ceil(timeout_seconds)),
            # A writer that vanished sends no reset; without these a client waits for hours.
            keepalives=1,
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            tcp_user_timeout=UNANSWERED_BYTES_TIMEOUT_MILLISECONDS,
        )
    except psycopg2.OperationalError as error:
        where = f"{credential.user}@{host}:{environment.port}/{environment.database}"
        said = redact(" ".join(str(error).split()))
        raise kind_of_failure(said)(f"{where}: {said}") from None  # the original might hold a secret
    return PostgresqlSession(connection)


class PostgresqlSession:
    """A Session (see session.py) over one connection of psycopg2's, which it puts into autocommit mode."""

    engine = "postgresql"

    def __init__(self, connection: extensions.connection) -> None:
        self.connection = connection
        connection.autocommit = True
        self._calls: dict[tuple[str, int], str] = {}

    @property
    def host(self) -> str:
        """The endpoint, or the directory of a socket."""
        return str(self.connection.info.host)

    @property
    def closed(self) -> bool:
        """Whether libpq has given the connection up."""
        return bool(self.connection.closed)

    def fileno(self) -> int:
        """As libpq has it; DatabaseError where there is none any more."""
        with _errors_told():
            return self.connection.fileno()

    def rows(self, statement: str, parameters: Parameters = ()) -> list[Row]:
        """Send one statement, with its parameters as literals."""
        with _errors_told(), self.connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def call(self, routine: str, arguments: Sequence[object] = ()) -> list[Row]:
        """Select from a function; it runs in the transaction of its statement."""
        self._refuse_open_transaction()
        statement = self._calls.get((routine, len(arguments))) or self._compose(routine, len(arguments))
        # as literals without a type, which the routine's parameters give them, or say that it does not fit
        texts = [argument if argument is None else str(argument) for argument in arguments]
        with _errors_told(), self.connection.cursor() as cursor:
            cursor.execute(statement, texts)
            return cursor.fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """From BEGIN to COMMIT."""
        self._refuse_open_transaction()
        self.rows("BEGIN")
        try:
            yield
        except BaseException:
            if not self.closed:
                self.rows("ROLLBACK")
            raise
        self.rows("COMMIT")

    def limit_statements(self, *, seconds: float) -> None:
        """By statement_timeout, which ends whatever a session does."""
        milliseconds = max(1, math.ceil(seconds * 1000))  # 0 would lift the limit
        self.rows("SET statement_timeout = %s", (milliseconds,))

    def now(self) -> datetime:
        """The transaction's, as the columns' defaults take it."""
        return self._value("SELECT now()")  # type: ignore[no-any-return]

    def server_version(self) -> str:
        """Such as 16.8."""
        return str(self._value("SELECT current_setting('server_version')"))

    def is_reader(self) -> bool:
        """Whether it is in recovery, as readers of Aurora call it too."""
        return self._value("SELECT pg_is_in_recovery()") is True

    def is_verified(self) -> bool:
        """As libpq was told, since it refuses what does not fit."""
        info = self.connection.info
        return info.ssl_in_use and info.dsn_parameters.get("sslmode") == "verify-full"

    def change_password(self, password: str) -> None:
        """Give the session's own user a new password.

        The server is sent a SCRAM verifier that is computed here: the password itself reaches no statement
        log, no pg_stat_activity and no audit trail.
        """
        user = self.connection.info.user
        verifier = encrypt_password(password, user, self.connection, "scram-sha-256")
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), sql.Literal(verifier))
        with _errors_told(), self.connection.cursor() as cursor:
            cursor.execute(statement)

    def close(self) -> None:
        """Tell the server, if it is there."""
        self.connection.close()

    def _compose(self, routine: str, arguments: int) -> str:
        """Compose the call, once per session."""
        schema, name = routine.split(".")
        placeholders = sql.SQL(", ").join(sql.Placeholder() for _ in range(arguments))
        call = sql.SQL("SELECT * FROM {}({})").format(sql.Identifier(schema, name), placeholders)
        statement = self._calls[routine, arguments] = call.as_string(self.connection)
        return statement

    def _value(self, statement: str) -> Any:
        return self.rows(statement)[0][0]

    def _refuse_open_transaction(self) -> None:
        if self.connection.info.transaction_status not in _NO_TRANSACTION and not self.closed:
            raise RuntimeError("the session has an open transaction: end it first, it is not ours to commit")


_NO_TRANSACTION = (extensions.TRANSACTION_STATUS_IDLE, extensions.TRANSACTION_STATUS_UNKNOWN)


# A failed connect carries no SQLSTATE in libpq, so its text has to tell. First match wins.
_KINDS: tuple[tuple[type[ConnectionFailed], str], ...] = (
    (
        CertificateRefused,
        r"certificate verify failed|does not match host name|server does not support SSL"
        r"|root certificate file|could not read root cert|no encryption|TLS is required",
    ),
    (
        CredentialRefused,
        r"password authentication failed|PAM authentication failed|IAM authentication failed"
        r"|no password supplied",
    ),
    (
        Unavailable,
        r"starting up|shutting down|recovery mode|not (yet )?accepting|consistent recovery state"
        r"|too many clients|too many connections|connection slots are reserved"
        r"|terminating connection|[Tt]imed-out waiting to acquire|temporary failure in name resolution",
    ),
    (HostUnknown, r"could not translate host name"),
    # What a server says in a FATAL is final unless it stands above; what the network says may pass.
    (Rejected, r"FATAL:"),
)


def kind_of_failure(said: str) -> type[ConnectionFailed]:
    """Return why a connection could not be had, by what libpq or the server said."""
    return next((kind for kind, text in _KINDS if re.search(text, said, re.IGNORECASE)), Unavailable)


_RETRY = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "55P03",  # lock_not_available
}
_RECONNECT = {
    "25006",  # read_only_sql_transaction: a reader, or a writer that was demoted
    "25P03",  # idle_in_transaction_session_timeout
    "53300",  # too_many_connections
    "57P01",  # admin_shutdown
    "57P02",  # crash_shutdown
    "57P03",  # cannot_connect_now
    "57P05",  # idle_session_timeout
}
_CAUSES = {
    "25006": Cause.READ_ONLY,
    "42501": Cause.NOT_PERMITTED,  # insufficient_privilege
    "23503": Cause.MISSING_PARENT,  # foreign_key_violation
}
_DATA_EXCEPTION = "22"  # a class: out of range, NUL, half a surrogate pair


@contextmanager
def _errors_told() -> Iterator[None]:
    try:
        yield
    except psycopg2.Error as error:
        raise database_error(error) from error
    except ValueError as error:  # the driver's word for NUL and for half a surrogate pair
        raise DatabaseError(str(error), cause=Cause.DATA_EXCEPTION) from error


def database_error(error: psycopg2.Error) -> DatabaseError:
    """Return what an error of the driver means."""
    said, sqlstate = error.diag, error.pgcode or ""
    cause = Cause.DATA_EXCEPTION if sqlstate.startswith(_DATA_EXCEPTION) else Cause.OTHER
    return DatabaseError(
        redact(said.message_primary or str(error)),
        sqlstate=sqlstate,
        code=sqlstate,
        cause=_CAUSES.get(sqlstate, cause),
        remedy=_remedy(error),
        constraint=said.constraint_name,
        detail=_json_object(said.message_detail),
    )


def _remedy(error: psycopg2.Error) -> Remedy:
    if error.pgcode is None:  # the driver's own words: the connection is gone, or was misused
        lost = isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
        return Remedy.RECONNECT if lost else Remedy.NONE
    if error.pgcode in _RETRY:
        return Remedy.RETRY
    if error.pgcode in _RECONNECT or error.pgcode.startswith("08"):
        return Remedy.RECONNECT
    return Remedy.NONE


def _json_object(text: str | None) -> Mapping[str, Any]:
    try:
        value = json.loads(text or "")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
