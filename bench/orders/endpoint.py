"""The local cloud's endpoint in front of a writer: TLS and a token, as at RDS Proxy."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.orders.ways_in import Endpoint
from localcloud.aurora.certificates import CertificateAuthority
from localcloud.aurora.database_server import DatabaseServer
from localcloud.aurora.endpoint import Admission, Endpoints
from localcloud.aurora.engines import MYSQL, POSTGRESQL, Engine
from localcloud.aurora.login import Login
from localcloud.aurora.server_place import free_port

ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class _Gate:
    """Leads to one server whoever brings the token; nothing of AWS is asked (that costs once per login)."""

    server: DatabaseServer
    engine: Engine
    token: str

    def choose(self) -> DatabaseServer:
        return self.server

    def admit(self, login: Login, chosen: DatabaseServer | None = None) -> Admission:
        def check_token(token: str) -> None:
            if not secrets.compare_digest(token, self.token):
                raise self.engine.words.token_refused(login)

        return Admission(chosen or self.server, check_token=check_token)

    def servers(self) -> Sequence[DatabaseServer]:
        return [self.server]


@contextmanager
def in_front_of(server: DatabaseServer, engine: str) -> Iterator[Endpoint]:
    """Open an endpoint, served by a thread of this process."""
    kind, token = {"mysql": MYSQL, "postgresql": POSTGRESQL}[engine], secrets.token_urlsafe()
    endpoints, port = Endpoints(), free_port()
    try:
        with tempfile.TemporaryDirectory(prefix="endpoint-") as directory:
            authority = CertificateAuthority(Path(directory) / "authority.pem")
            endpoints.listen(
                ADDRESS,
                port,
                tls=authority.server_context(ADDRESS),
                gate=_Gate(server, kind, token),
                front=kind.front,
            )
            yield Endpoint(engine, ADDRESS, port, str(authority.bundle), token)
    finally:
        endpoints.close()
