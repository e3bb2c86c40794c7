"""One connection to the database, whatever its engine: what postgresql.py and mysql.py both give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

Parameters = Sequence[object] | Mapping[str, object]
Row = tuple[Any, ...]


class Session(Protocol):
    """Each statement is a transaction of its own, except inside `transaction`. Errors are DatabaseError.

    Parameters are written as %s or %(name)s on both engines; UUIDs and aware datetimes may be among them.
    """

    @property
    def engine(self) -> str:
        """`postgresql` or `mysql`."""

    @property
    def connection(self) -> Any:
        """The driver's own connection, for the modules that know the engine."""

    @property
    def host(self) -> str:
        """The endpoint, or the directory of a socket."""

    @property
    def closed(self) -> bool:
        """Whether this side has ended the session, or knows that it is lost."""

    def fileno(self) -> int:
        """Return the descriptor of the connection's socket."""

    def rows(self, statement: str, parameters: Parameters = ()) -> list[Row]:
        """Run one statement and return its rows, none where it has no result."""

    def call(self, routine: str, arguments: Sequence[object] = ()) -> list[Row]:
        """Call a routine, a transaction of its own, in one round trip; return what it answers."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commit what runs inside, or roll all of it back where it raises. Refuses to nest."""

    def limit_statements(self, *, seconds: float) -> None:
        """Have each statement from here on end after so many seconds."""

    def now(self) -> datetime:
        """Return the server's time, which is what it stamps rows with."""

    def server_version(self) -> str:
        """Return the server's version as it writes it. Asked by SQL: a proxy greets for itself."""

    def is_reader(self) -> bool:
        """Tell whether the session is on a reader."""

    def is_verified(self) -> bool:
        """Tell whether the session is encrypted and the server's certificate was verified in full."""

    def change_password(self, password: str) -> None:
        """Give the session's own user a new password."""

    def close(self) -> None:
        """End the session; an open transaction is rolled back."""
