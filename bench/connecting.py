"""A connection to MySQL over TLS: ours, verified in full, against the driver's default, which is not."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
from rich.console import Console

from aurora import mysql
from aurora.credentials import Credential
from aurora.environment import DatabaseEnvironment
from bench.measuring import Ratio, Samples, print_samples
from localcloud.aurora.certificates import CertificateAuthority
from localcloud.aurora.mysql_server import MysqlServer
from localcloud.aurora.server_place import give_away

LIMIT = 0.10
ADDRESS = "127.0.0.1"
CONNECTIONS_PER_RUN = 30
USER, PASSWORD = "shop_admin", "of a bench that lives for seconds"


def measure(console: Console, runs: int) -> list[Ratio]:
    """Return the ratio of ours to PyMySQL's default, each the mean of a run's connections."""
    with _server() as environment:
        ways = {
            "PyMySQL, default": lambda: pymysql.connect(
                host=environment.cluster_endpoint, port=environment.port, user=USER, password=PASSWORD
            ).close(),
            "ours, verified": lambda: mysql.connect(
                environment,
                environment.cluster_endpoint,
                Credential(USER, PASSWORD),
                ca_file=str(environment.ca_bundle),
                timeout_seconds=10,
            ).close(),
        }
        samples = {name: Samples(name) for name in ways}
        for number in range(runs + 1):
            for name, connect in ways.items():
                seconds = _mean_seconds(connect)
                if number:  # the first run warms up
                    samples[name].seconds.append(seconds)
    print_samples(console, f"One connection, mean of {CONNECTIONS_PER_RUN}", samples)
    floor, ours = samples["PyMySQL, default"].median, samples["ours, verified"].median
    return [Ratio("connecting to MySQL ÷ PyMySQL's default TLS", ours, floor, LIMIT)]


def _mean_seconds(connect: Callable[[], None]) -> float:
    began = time.perf_counter()
    for _ in range(CONNECTIONS_PER_RUN):
        connect()
    return (time.perf_counter() - began) / CONNECTIONS_PER_RUN


@contextmanager
def _server() -> Iterator[DatabaseEnvironment]:
    """A server with a certificate that can be verified, as a function's environment names it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        directory.chmod(0o711)  # the server runs as nobody where the bench runs as root
        authority, pem = CertificateAuthority(directory / "authority.pem"), directory / "server.pem"
        pem.write_bytes(authority.server_pem(ADDRESS))
        give_away(pem)
        server = MysqlServer.initialize(
            directory / "server",
            master_user=USER,
            master_password=PASSWORD,
            database="shop",
            parameters={"ssl_cert": str(pem), "ssl_key": str(pem)},
        )
        try:
            yield DatabaseEnvironment(
                engine="mysql",
                database="shop",
                port=server.port,
                cluster_endpoint=ADDRESS,
                cluster_reader_endpoint=ADDRESS,
                proxy_endpoint=ADDRESS,
                proxy_read_only_endpoint=ADDRESS,
                region="us-east-1",
                ca_bundle=str(authority.bundle),
            )
        finally:
            server.kill()
