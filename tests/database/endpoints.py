"""Aurora's endpoints for tests: TLS by an authority of the test's own, in front of real servers."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aurora.environment import DatabaseEnvironment
from localcloud.aurora.certificates import CertificateAuthority
from localcloud.aurora.database_server import DatabaseServer
from localcloud.aurora.endpoint import Admission, Endpoints
from localcloud.aurora.engines import MYSQL, POSTGRESQL, Engine
from localcloud.aurora.login import Login
from localcloud.aurora.mysql_server import MysqlServer
from localcloud.cloud import Cloud

IAM_USERS = {"shop_application", "shop_read_only", "shop_loader"}


@dataclass
class Door:
    """Leads to one server, over TLS only; who logs in by IAM has to bring a token made for this door."""

    server: DatabaseServer
    engine: Engine
    address: str

    def choose(self) -> DatabaseServer:
        return self.server

    def admit(self, login: Login, chosen: DatabaseServer | None = None) -> Admission:
        server, words = chosen or self.server, self.engine.words
        if not login.encrypted:
            raise words.needs_tls(login)
        if login.user not in IAM_USERS:
            return Admission(server)

        def check_token(token: str) -> None:
            if not (token.startswith(f"{self.address}:") and f"DBUser={login.user}&" in token):
                raise words.token_refused(login)

        return Admission(server, check_token=check_token)

    def servers(self) -> Sequence[DatabaseServer]:
        return [self.server]


@dataclass(frozen=True)
class Context:
    """What Lambda tells a function about its invocation."""

    seconds: float = 30

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


class AuroraEndpoints:
    """Endpoints that can be pointed at other servers while they are open. Close it."""

    def __init__(self, directory: Path, *, writer: DatabaseServer, reader: DatabaseServer) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.engine = MYSQL if isinstance(writer, MysqlServer) else POSTGRESQL
        self._cloud = Cloud(port=self.port, directory=directory)
        self._authority = CertificateAuthority.of(self._cloud)
        self.writer, self.reader = self._open(writer), self._open(reader)

    @property
    def ca_bundle(self) -> Path:
        """The certificate authority that vouches for the endpoints."""
        return self._authority.bundle

    def variables(self, database: str) -> dict[str, str]:
        """What a function's environment says about a database behind these endpoints."""
        return {
            "DATABASE_ENGINE": self.engine.family.lower(),
            "DATABASE_NAME": database,
            "DATABASE_PORT": str(self.port),
            "CLUSTER_ENDPOINT": self.writer.address,
            "CLUSTER_READER_ENDPOINT": self.reader.address,
            "PROXY_ENDPOINT": self.writer.address,
            "PROXY_READ_ONLY_ENDPOINT": self.reader.address,
            "AWS_REGION": "eu-west-1",
            "CA_BUNDLE": str(self.ca_bundle),
        }

    def environment(self, database: str, **overridden: str) -> DatabaseEnvironment:
        """Return the same, as the functions read it."""
        variables: Mapping[str, str] = self.variables(database) | overridden
        return DatabaseEnvironment.from_environment(variables)

    def close(self) -> None:
        self._cloud.shut_down()

    def _open(self, server: DatabaseServer) -> Door:
        door = Door(server, self.engine, self._cloud.addresses.allocate())
        Endpoints.of(self._cloud).listen(
            door.address,
            self.port,
            tls=self._authority.server_context(door.address),
            gate=door,
            front=self.engine.front,
        )
        return door
