"""What differs between the engines in tests that are the same for both: drivers, SQL, words of refusal."""

from __future__ import annotations

import random
import re
import socket
import ssl
import struct
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pymysql
import pytest

from localcloud.aurora.engines import MYSQL, POSTGRESQL, Engine

DATABASE = "shop"
CAPABILITIES, SSL, UTF8 = 0x000AAE8D, 0x800, 45  # a client of MySQL's with database, TLS, plugins


def mysql_packet(number: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body


TLS_REQUEST = mysql_packet(1, struct.pack("<IIB", CAPABILITIES, 1 << 24, UTF8) + bytes(23))


@dataclass(frozen=True)
class Dialect:
    """One engine, as the tests speak to it."""

    engine: Engine
    version: str
    release: str
    error: type[Exception]
    """The driver's, for a connection that was refused."""
    create_token_user: tuple[str, ...]
    """SQL with {user}."""
    create_password_user: tuple[str, ...]
    """SQL with {user} and {password}."""
    change_password: str
    give_password: str
    """A password for a token user, which is then of no use."""
    make_token_user: str
    """What the master user does so that {user} logs in by token."""
    wants_tls: dict[str, str]
    """Parameters with which the cluster admits nobody without TLS."""
    wants_no_tls: dict[str, str]
    sessions: str
    """A query for how many there are."""
    is_reader: str
    """A query that tells 1 on a reader."""
    current_user: str
    create_table: str
    """A table {table} with one column n and one row, {value}."""
    table_exists: str
    words: dict[str, str]
    """Patterns of what the driver's error says, with {user}."""
    parameters: dict[str, str]
    """Some that are in force here, with values that are not the default…"""
    shown: dict[str, str]
    """…and how the server shows them."""
    bad_parameter: dict[str, str]
    login: bytes
    """A client's first packet, of a user who does not exist."""

    @property
    def port(self) -> int:
        return self.engine.default_port

    @property
    def family(self) -> str:
        return self.engine.parameter_family(self.release)

    def said(self, what: str, user: str = "") -> str:
        return self.words[what].format(user=re.escape(user))

    def count_sessions(self, server: Any) -> int:
        return int(server.execute(self.sessions))

    def refuses(self, what: str, user: str = "") -> Any:
        """Inside, a connection is refused in these words."""
        return pytest.raises(self.error, match=self.said(what, user))

    def connect(
        self,
        host: str,
        port: int,
        user: str,
        password: str,
        *,
        bundle: Path | None,
        database: str | None = DATABASE,
        **options: Any,
    ) -> Any:
        """Connect in autocommit mode; without a bundle, without TLS."""
        raise NotImplementedError

    def show(self, name: str) -> str:
        """A query for a parameter's value."""
        raise NotImplementedError

    def session_id(self, connection: Any) -> int:
        """What the client takes for its session's number."""
        raise NotImplementedError

    def ask_for_tls(self, plain: socket.socket) -> None:
        """Up to where the TLS handshake begins."""
        raise NotImplementedError

    def damaged_login(self, dice: random.Random) -> bytes:
        """What a client might send, with some of it wrong."""
        packet = bytearray(self.login)
        for _ in range(dice.randrange(1, 6)):
            packet[dice.randrange(len(packet))] = dice.randrange(256)
        return bytes(packet[: dice.randrange(len(packet) + 1)]) + dice.randbytes(dice.randrange(40))

    def create_users(self, server: Any) -> None:
        """`token_user` logs in by token, `password_user` by "the right one"."""
        self.run(server, *self.create_token_user, user="token_user")
        self.run(server, *self.create_password_user, user="password_user", password="the right one")

    def run(self, server: Any, *statements: str, **names: str) -> None:
        """As superuser."""
        for statement in statements:
            server.execute(statement.format(**names))


class PostgresqlDialect(Dialect):
    def connect(self, host, port, user, password, *, bundle, database=DATABASE, **options):  # type: ignore[no-untyped-def]
        tls = {"sslmode": "verify-full", "sslrootcert": str(bundle)} if bundle else {"sslmode": "disable"}
        connection = psycopg2.connect(
            host=host,
            port=port,
            user=user,
            password=password,
            dbname=database,
            **{"connect_timeout": 20, **tls, **options},
        )
        connection.autocommit = True
        return connection

    def show(self, name: str) -> str:
        return f"SHOW {name}"

    def session_id(self, connection: Any) -> int:
        return int(connection.get_backend_pid())

    def ask_for_tls(self, plain: socket.socket) -> None:
        plain.sendall(struct.pack("!II", 8, 80877103))
        assert plain.recv(1) == b"S"


class MysqlDialect(Dialect):
    def connect(self, host, port, user, password, *, bundle, database=DATABASE, **options):  # type: ignore[no-untyped-def]
        tls = {"ssl": ssl.create_default_context(cafile=str(bundle))} if bundle else {"ssl_disabled": True}
        return pymysql.connect(
            host=host,
            port=port,
            user=user,
            password=password.encode(),  # which the driver would write as Latin-1
            database=database,
            autocommit=True,
            **{"connect_timeout": 20, "read_timeout": 60, **tls, **options},
        )

    def show(self, name: str) -> str:
        return f"SELECT @@GLOBAL.{name}"

    def session_id(self, connection: Any) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT connection_id()")
            assert cursor.fetchone() == (connection.thread_id(),)  # which a client would name in KILL
        return int(connection.thread_id())

    def ask_for_tls(self, plain: socket.socket) -> None:
        assert plain.recv(1000)[4] == 10  # the greeting's version
        plain.sendall(TLS_REQUEST)


def answer(connection: Any, statement: str) -> Any:
    """The first value of a statement's result, on a connection that is closed then."""
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


_DENIED = r"1045, .Access denied for user '{user}'@'[^']+' \(using password: YES\)"

DIALECTS: dict[str, Dialect] = {
    "postgresql": PostgresqlDialect(
        engine=POSTGRESQL,
        version="16.13",
        release="16",
        error=psycopg2.OperationalError,
        create_token_user=("CREATE ROLE {user} LOGIN", "GRANT rds_iam TO {user}"),
        create_password_user=("CREATE ROLE {user} LOGIN PASSWORD '{password}'",),
        change_password="ALTER ROLE {user} PASSWORD '{password}'",
        give_password="ALTER ROLE {user} PASSWORD '{password}'",
        make_token_user="GRANT rds_iam TO {user}",
        wants_tls={"rds.force_ssl": "1"},
        wants_no_tls={"rds.force_ssl": "0"},
        sessions="SELECT count(*) FROM pg_stat_activity",
        is_reader="SELECT pg_is_in_recovery()::int",
        current_user="SELECT current_user",
        create_table="CREATE TABLE {table} AS SELECT {value} AS n",
        table_exists="SELECT (to_regclass('{table}') IS NOT NULL)::int",
        words={
            "plaintext": 'no pg_hba.conf entry for host "127.0.0.1", user "{user}".*no encryption',
            "token in plaintext": "no pg_hba",
            "password": 'password authentication failed for user "{user}"',
            "token": 'PAM authentication failed for user "{user}"',
            "private": "rejects connection",
            "nothing runs": "not accepting connections",
            "closed": "Connection refused",
            "unknown authority": "certificate verify failed",
            "other address": "does not match host name",
            "proxy: plaintext": "This RDS Proxy requires TLS connections",
            "proxy: no credentials": "This RDS proxy has no credentials for the role {user}",
            "proxy: token": "The IAM authentication failed for the role {user}",
            "proxy: database refuses token": "PAM authentication failed",
            "proxy: database refuses password": "password authentication failed",
            "proxy: no target": "Timed-out waiting",
        },
        parameters={"work_mem": "8192", "log_min_duration_statement": "1000", "max_connections": "150"},
        shown={"work_mem": "8MB", "log_min_duration_statement": "1s", "max_connections": "150"},
        bad_parameter={"work_mem": "a lot"},
        login=struct.pack("!II", 42, 3 << 16) + b"user\0nobody_at_all\0database\0shop\0\0",
    ),
    "mysql": MysqlDialect(
        engine=MYSQL,
        version="8.0.mysql_aurora.3.12.0",
        release="8.0",
        error=pymysql.err.OperationalError,
        create_token_user=(
            "CREATE USER {user}@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'",
            "GRANT ALL ON shop.* TO {user}@'%'",
        ),
        create_password_user=(
            "CREATE USER {user}@'%' IDENTIFIED BY '{password}'",
            "GRANT ALL ON shop.* TO {user}@'%'",
        ),
        change_password="ALTER USER {user}@'%' IDENTIFIED BY '{password}'",
        give_password="ALTER USER {user}@'%' ACCOUNT UNLOCK",
        make_token_user="ALTER USER {user}@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'",
        wants_tls={"require_secure_transport": "ON"},
        wants_no_tls={"require_secure_transport": "OFF"},
        sessions="SELECT count(*) FROM performance_schema.threads WHERE processlist_id IS NOT NULL",
        is_reader="SELECT @@super_read_only",
        current_user="SELECT substring_index(current_user(), '@', 1)",
        create_table="CREATE TABLE shop.{table} SELECT {value} AS n",
        table_exists="SELECT count(*) FROM information_schema.tables WHERE table_name = '{table}'",
        words={
            "plaintext": "3159, .Connections using insecure transport are prohibited",
            "token in plaintext": _DENIED,
            "password": _DENIED,
            "token": _DENIED,
            "private": "1045, .Access denied for user '{user}'",
            "nothing runs": "1053, .Server shutdown in progress",
            "closed": "2003, .*Connection refused",
            "unknown authority": "certificate verify failed",
            "other address": "certificate is not valid for",
            "proxy: plaintext": "3159, .This RDS Proxy requires TLS connections",
            "proxy: no credentials": _DENIED,
            "proxy: token": _DENIED,
            "proxy: database refuses token": "1045, .Access denied",
            "proxy: database refuses password": "1045, .Access denied",
            "proxy: no target": "9501, .Timed-out waiting",
        },
        parameters={"sort_buffer_size": "300000", "long_query_time": "1", "max_connections": "150"},
        shown={"sort_buffer_size": "300000", "long_query_time": "1.0", "max_connections": "150"},
        bad_parameter={"sql_mode": "NO_SUCH_MODE"},
        login=mysql_packet(
            1,
            struct.pack("<IIB", CAPABILITIES & ~SSL, 1 << 24, UTF8)
            + bytes(23)
            + b"nobody_at_all\0\x08password"
            + b"shop\0caching_sha2_password\0",
        ),
    ),
}
