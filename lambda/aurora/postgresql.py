"""PostgreSQL's dialect: how to connect, and what its errors mean. No other module knows either."""

from __future__ import annotations

import enum
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import extensions, sql
from psycopg2.extensions import encrypt_password

from aurora.credentials import Credential
from aurora.environment import DatabaseEnvironment
from aurora.failures import (
    CertificateRefused,
    ConnectionFailed,
    CredentialRefused,
    HostUnknown,
    Rejected,
    Unavailable,
)
from aurora.redaction import redact

SHORTEST_CONNECT_TIMEOUT_SECONDS = 2  # libpq takes 1 for 2, and 0 for ever
UNANSWERED_BYTES_TIMEOUT_MILLISECONDS = 10_000


def connect(
    environment: DatabaseEnvironment,
    host: str,
    credential: Credential,
    *,
    ca_file: str,
    timeout_seconds: float,
) -> extensions.connection:
    """Open one connection over TLS verified in full, or raise a type of failures.py. One attempt, no retry.

    Nothing is set on the session: through RDS Proxy, a SET pins it to one database connection.
    """
    try:
        return psycopg2.connect(
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
        raise _kind_of_failure(said)(f"{where}: {said}") from None  # the original might hold a secret


def change_password(connection: extensions.connection, credential: Credential) -> None:
    """Give the credential's user its password, within the caller's transaction.

    The server is sent a SCRAM verifier that is computed here: the password itself reaches no statement log,
    no pg_stat_activity and no audit trail.
    """
    verifier = encrypt_password(credential.password, credential.user, connection, "scram-sha-256")
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
        sql.Identifier(credential.user), sql.Literal(verifier)
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)


def server_version(connection: extensions.connection) -> str:
    """Return the server's version as it writes it, such as 16.8. Asked by SQL: a proxy greets for itself."""
    return str(_value(connection, "SELECT current_setting('server_version')"))


def is_reader(connection: extensions.connection) -> bool:
    """Tell whether the session is on a reader, which on Aurora too calls itself in recovery."""
    return _value(connection, "SELECT pg_is_in_recovery()") is True


def is_verified(connection: extensions.connection) -> bool:
    """Tell whether the session is encrypted and the server's certificate was verified in full."""
    info = connection.info
    return info.ssl_in_use and info.dsn_parameters.get("sslmode") == "verify-full"


def limit_statements(connection: extensions.connection, *, seconds: float) -> None:
    """Have the server end each statement of this session after so many seconds."""
    milliseconds = max(1, math.ceil(seconds * 1000))  # 0 would lift the limit
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = %s", (milliseconds,))


def _value(connection: extensions.connection, query: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()[0][0]


# A failed connect carries no SQLSTATE in libpq, so its text has to tell. First match wins.
_KINDS: tuple[tuple[type[ConnectionFailed], str], ...] = (
    (
        CertificateRefused,
        r"certificate verify failed|does not match host name|server does not support SSL"
        r"|root certificate file|could not read root cert|no encryption|TLS is required",
    ),
    (
        CredentialRefused,
        r"password authentication failed|PAM authentication failed|IAM authentication failed",
    ),
    (
        Unavailable,
        r"starting up|shutting down|recovery mode|not yet accepting|consistent recovery state"
        r"|too many clients|too many connections|connection slots are reserved"
        r"|terminating connection|[Tt]imed-out waiting to acquire|temporary failure in name resolution",
    ),
    (HostUnknown, r"could not translate host name"),
    # What a server says in a FATAL is final unless it stands above; what the network says may pass.
    (Rejected, r"FATAL:"),
)


def _kind_of_failure(said: str) -> type[ConnectionFailed]:
    return next((kind for kind, text in _KINDS if re.search(text, said, re.IGNORECASE)), Unavailable)


READ_ONLY = "25006"  # read_only_sql_transaction: a reader, or a writer that was demoted
NOT_PERMITTED = "42501"  # insufficient_privilege


class Remedy(enum.Enum):
    """What a caller may do after a statement failed, once the whole transaction is rolled back."""

    RETRY = "retry on the same connection"
    RECONNECT = "retry on a new connection"
    NONE = "give up: the statement itself is at fault"


_RETRY = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "55P03",  # lock_not_available
}
_RECONNECT = {
    READ_ONLY,
    "25P03",  # idle_in_transaction_session_timeout
    "53300",  # too_many_connections
    "57P01",  # admin_shutdown
    "57P02",  # crash_shutdown
    "57P03",  # cannot_connect_now
    "57P05",  # idle_session_timeout
}


def remedy_for(error: Exception) -> Remedy:
    """Tell what helps after this error of the driver. A lost connection leaves open whether it committed."""
    if isinstance(error, Unavailable):
        return Remedy.RECONNECT
    if not isinstance(error, psycopg2.Error):
        return Remedy.NONE
    if error.pgcode is None:  # the driver's own words: the connection is gone, or was misused
        lost = isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
        return Remedy.RECONNECT if lost else Remedy.NONE
    if error.pgcode in _RETRY:
        return Remedy.RETRY
    if error.pgcode in _RECONNECT or error.pgcode.startswith("08"):
        return Remedy.RECONNECT
    return Remedy.NONE


@dataclass(frozen=True)
class ServerError:
    """What the server said about an error, as far as a program can use it."""

    sqlstate: str
    message: str
    detail: Mapping[str, Any]
    """The DETAIL where it is a JSON object, as our own functions send it; else empty."""
    constraint: str | None

    @classmethod
    def of(cls, error: psycopg2.Error) -> ServerError:
        """Read the driver's error; one that did not come from the server has an empty SQLSTATE."""
        said = error.diag
        return cls(
            sqlstate=error.pgcode or "",
            message=said.message_primary or str(error),
            detail=_json_object(said.message_detail),
            constraint=said.constraint_name,
        )


def _json_object(text: str | None) -> Mapping[str, Any]:
    try:
        value = json.loads(text or "")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
