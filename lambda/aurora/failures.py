"""Why a connection could not be had, one type per remedy, and what the server says about a statement.

No message ever holds a secret.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any


class ConnectionFailed(Exception):
    """No connection; the message names endpoint, database, user and what the other side said."""


class Unavailable(ConnectionFailed):
    """Nobody answers, or the database is starting, failing over or full: trying again later helps."""


class CredentialRefused(ConnectionFailed):
    """The password or token was refused: only another credential helps."""


class CertificateRefused(ConnectionFailed):
    """TLS is missing, or the certificate is not trusted or names another host: trying again never helps."""


class HostUnknown(ConnectionFailed):
    """The endpoint's name does not exist."""


class Rejected(ConnectionFailed):
    """The server answered and refuses for good: no such database, no such role, no permission."""


class SecretUnavailable(Exception):
    """The admin secret cannot be read, or does not hold a user name and a password."""


class Remedy(enum.Enum):
    """What a caller may do after a statement failed, once the whole transaction is rolled back."""

    RETRY = "retry on the same connection"
    RECONNECT = "retry on a new connection"
    NONE = "give up: the statement itself is at fault"


class Cause(enum.Enum):
    """Why a statement was refused, where callers tell it apart whatever the engine."""

    READ_ONLY = "the server takes no writes"
    NOT_PERMITTED = "the role may not"
    MISSING_PARENT = "a foreign key's row is missing"
    DATA_EXCEPTION = "a value that its type cannot hold"
    OTHER = "see the code"


class DatabaseError(Exception):
    """What the server said about a statement, or that the session is lost, whatever the engine."""

    def __init__(
        self,
        message: str,
        *,
        sqlstate: str = "",
        code: str = "",
        cause: Cause = Cause.OTHER,
        remedy: Remedy = Remedy.NONE,
        constraint: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.message = message
        self.sqlstate = sqlstate
        """Empty where the error did not come from the server: the session is gone, or was misused."""
        self.code = code
        """The engine's own: PostgreSQL's SQLSTATE, MySQL's number; empty as the SQLSTATE is."""
        self.cause = cause
        self.remedy = remedy
        self.constraint = constraint
        self.detail = detail or {}
        """The JSON object that our own routines send with their refusals; else empty."""


def remedy_for(error: Exception) -> Remedy:
    """Tell what helps after this error. A lost connection leaves open whether its statement committed."""
    if isinstance(error, Unavailable):
        return Remedy.RECONNECT
    return error.remedy if isinstance(error, DatabaseError) else Remedy.NONE
