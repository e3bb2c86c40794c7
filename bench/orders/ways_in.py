"""Ways to a server: by its socket, by a socket in front of it, or by an endpoint over TLS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg2

from acid.stage import APPLICATION, DATABASE, SUPERUSER
from aurora import mysql, postgresql
from aurora.credentials import Credential
from aurora.deadline import Deadline
from aurora.environment import DatabaseEnvironment
from aurora.mysql import MysqlSession, open_connection
from aurora.postgresql import PostgresqlSession
from aurora.session import Session

TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Socket:
    """A Unix socket of a server's, or of what stands in front of it."""

    engine: str
    path: str

    def connect(self, user: str) -> Session:
        """Return a session by the door that trusts."""
        path = Path(self.path)
        if self.engine == "mysql":
            return MysqlSession(
                open_connection(
                    unix_socket=str(path), user=user, password="", timeout_seconds=TIMEOUT_SECONDS
                )
            )
        return PostgresqlSession(
            psycopg2.connect(
                host=str(path.parent),
                port=path.suffix.lstrip("."),
                user=user,
                dbname=DATABASE,
                connect_timeout=int(TIMEOUT_SECONDS),
            )
        )


@dataclass(frozen=True)
class Endpoint:
    """An endpoint of the local cloud's, in front of a server."""

    engine: str
    address: str
    port: int
    ca_bundle: str
    token: str

    def connect(self, user: str) -> Session:
        """Return a session as functions get it: TLS verified in full, and a token."""
        environment = DatabaseEnvironment(
            engine=self.engine,
            database=DATABASE,
            port=self.port,
            cluster_endpoint=self.address,
            cluster_reader_endpoint=self.address,
            proxy_endpoint=self.address,
            proxy_read_only_endpoint=self.address,
            region="us-east-1",
            ca_bundle=self.ca_bundle,
        )
        dialect = mysql if self.engine == "mysql" else postgresql
        session: Session = dialect.connect(
            environment,
            self.address,
            Credential(user, self.token),
            ca_file=self.ca_bundle,
            timeout_seconds=TIMEOUT_SECONDS,
        )
        return session


WayIn = Socket | Endpoint


def as_application(way_in: WayIn, _deadline: Deadline | None = None) -> Session:
    """Return a session of those who order."""
    return way_in.connect(APPLICATION)


def as_superuser(way_in: WayIn) -> Session:
    """Return a session that may write the tables themselves."""
    return way_in.connect(SUPERUSER)
