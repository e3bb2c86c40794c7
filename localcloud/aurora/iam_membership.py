"""Who has to log in by IAM token: the database itself says so, at every login."""

from __future__ import annotations

import threading

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - the driver's class, by a class's name

from localcloud.aurora.postgresql_configuration import SUPERUSER
from localcloud.aurora.postgresql_server import PostgresqlServer

# Who may only grant rds_iam to others (the master user, from version 16) is no member in this sense, nor is
# a superuser, who "has" every role.
_QUERY = "SELECT pg_has_role(oid, 'rds_iam', %s) AND NOT rolsuper FROM pg_roles WHERE rolname = %s"


class IamMembership:
    """Asks one server, over one connection that is kept: 0.2 ms per login instead of 4."""

    def __init__(self, server: PostgresqlServer) -> None:
        self._server = server
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def includes(self, user: str) -> bool:
        """Whether this role is granted rds_iam now; psycopg2.OperationalError when no server answers."""
        with self._lock:
            try:
                return self._ask(user)
            except psycopg2.OperationalError:
                self._disconnect()  # the server was restarted since
                return self._ask(user)

    def close(self) -> None:
        """Holds no connection any more."""
        with self._lock:
            self._disconnect()

    def _ask(self, user: str) -> bool:
        if self._connection is None:
            self._connection = self._server.connect(SUPERUSER)
        with self._connection.cursor() as cursor:
            cursor.execute(_QUERY, ("SET" if self._server.programs.major >= 16 else "USAGE", user))
            row = cursor.fetchone()
        return bool(row and row[0])

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
