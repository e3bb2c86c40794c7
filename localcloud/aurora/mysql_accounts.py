"""Who logs in to MySQL, and how: the server itself says so, at every login."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pymysql
from pymysql.connections import Connection

from localcloud.aurora import mysql_aws_plugin
from localcloud.aurora.database_server import Account

# Clients come in by the private socket, so that to the server they are at localhost.
_QUERY = (
    "SELECT plugin, ssl_type, host FROM mysql.user WHERE user = %s AND 'localhost' LIKE host"
    " ORDER BY host = 'localhost' DESC, host = '%%' LIMIT 1"
)
_NOBODY = Account()


class MysqlAccounts:
    """Asks one server, over one connection that is kept."""

    def __init__(self, connect: Callable[[], Connection[Any]]) -> None:
        self._connect = connect
        self._connection: Connection[Any] | None = None
        self._lock = threading.Lock()

    def find(self, user: str) -> Account:
        """The account that a client of this name gets; ConnectionError when no server answers."""
        with self._lock:
            try:
                return self._ask(user)
            except pymysql.Error:
                self._disconnect()  # the server was restarted since
            try:
                return self._ask(user)
            except pymysql.Error as error:
                self._disconnect()
                raise ConnectionError(str(error)) from error

    def close(self) -> None:
        """Holds no connection any more."""
        with self._lock:
            self._disconnect()

    def _ask(self, user: str) -> Account:
        if self._connection is None:
            self._connection = self._connect()
        with self._connection.cursor() as cursor:
            cursor.execute(_QUERY, [user])
            row = cursor.fetchone()
        if row is None:
            return _NOBODY
        plugin, ssl_type, host = row
        return Account(
            by_token=plugin.encode() == mysql_aws_plugin.NAME,
            requires_tls=bool(ssl_type),
            is_private=host == "localhost",
        )

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(pymysql.Error):  # the server may have been killed
                self._connection.close()
            self._connection = None
