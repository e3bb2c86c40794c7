"""Real servers, a certificate authority and endpoints, without a cloud around them."""

import random
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.ec2.models import ec2_backends
from moto.server import ThreadedMotoServer

from localcloud import moto_aurora_seams, moto_backup_seams, moto_upgrade_seams
from localcloud.aurora.certificates import CertificateAuthority
from localcloud.aurora.cluster import Cluster
from localcloud.aurora.endpoint import Endpoint, Endpoints, Gate
from localcloud.aurora.gates import ClusterGate, TokenCheck
from localcloud.cloud import Cloud
from localcloud.enforcements import EVERY, Enforcement
from localcloud.iam.evaluation import Decision
from localcloud.network.admission import Door
from localcloud.resources import handler
from localcloud.resources.base import Provisioned, Request

from .dialects import DIALECTS, Dialect

MASTER, PASSWORD = "shop_admin", "it's a 'secret' \\ with 100% ümläuts"
REGION, ACCOUNT = "eu-west-1", "123456789012"


@pytest.fixture(scope="session")
def passable_directory() -> Iterator[Path]:
    """pytest's own directories are closed to nobody, whom PostgreSQL runs as when we are root."""
    directory = Path(tempfile.mkdtemp(prefix="lc-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session", params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Every test that asks for it, or for a cluster or a stack, runs on every engine."""
    return DIALECTS[request.param]


@pytest.fixture(scope="session")
def cluster(dialect: Dialect, passable_directory: Path) -> Iterator[Cluster]:
    """A writer and a reader that admit nobody without TLS, and the users of `create_users`."""
    cluster = Cluster(
        passable_directory / f"shared-{dialect.engine}",
        engine=dialect.engine,
        release=dialect.release,
        master_user=MASTER,
        master_password=PASSWORD,
        database="shop",
        parameters=dialect.wants_tls,
    )
    try:
        writer = cluster.add_instance("writer").server
        reader = cluster.add_instance("reader").server
        dialect.create_users(writer)
        reader.catch_up(writer, timeout_seconds=60)
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="session")
def authority(passable_directory: Path) -> CertificateAuthority:
    return CertificateAuthority(passable_directory / "ca.pem")


@pytest.fixture(scope="session")
def endpoints() -> Iterator[Endpoints]:
    endpoints = Endpoints()
    yield endpoints
    endpoints.close()


@dataclass(frozen=True)
class Key:
    """A key pair of a session, as the local STS mints them."""

    access_key_id: str = "ASIALOCALCLOUDTEST00"
    secret_access_key: str = "secret/of+a=session"
    session_token: str | None = "token/of+a=session=="

    def sign(self, host: str, port: int, user: str, *, region: str = REGION) -> str:
        client = boto3.Session(
            self.access_key_id, self.secret_access_key, self.session_token, region_name=region
        ).client("rds")
        return str(client.generate_db_auth_token(host, port, user))


KEY = Key()


def key_of(access_key_id: str) -> Key | None:
    return KEY if access_key_id == KEY.access_key_id else None


@dataclass(frozen=True)
class Place:
    """An open endpoint and how to get there."""

    endpoint: Endpoint
    host: str
    port: int
    authority: CertificateAuthority
    dialect: Dialect

    def connect(self, user: str, password: str, **options: Any) -> Any:
        given = {"host": self.host, "bundle": self.authority.bundle, **options}
        return self.dialect.connect(port=self.port, user=user, password=password, **given)

    def token(self, user: str, **options: str) -> str:
        return KEY.sign(self.host, self.port, user, **options)


@pytest.fixture
def opened(endpoints: Endpoints, authority: CertificateAuthority, dialect: Dialect) -> Iterator["Opener"]:
    opener = Opener(endpoints, authority, dialect)
    yield opener
    opener.close()


class Opener:
    """Opens endpoints on loopback addresses of their own and closes them after the test."""

    def __init__(self, endpoints: Endpoints, authority: CertificateAuthority, dialect: Dialect) -> None:
        self._endpoints = endpoints
        self._dialect = dialect
        self._authority = authority
        self._open: list[Endpoint] = []

    def cluster(
        self, cluster: Cluster, *, readers: bool = False, iam: bool = True, door: Door | None = None
    ) -> Place:
        choose = (lambda: cluster.next_reader() or cluster.writer) if readers else (lambda: cluster.writer)
        return self.gate(lambda tokens: ClusterGate(cluster, choose, tokens, lambda: iam), door)

    def gate(self, make_gate, door: Door | None = None) -> Place:
        host, port = (
            f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}.{random.randrange(2, 255)}",
            0,
        )
        with socket.create_server((host, 0)) as probe:
            port = probe.getsockname()[1]
        gate: Gate = make_gate(
            TokenCheck(host, port, REGION, lambda user: user, key_of, lambda *_: Decision(allowed=True))
        )
        tls, front = self._authority.server_context(host), self._dialect.engine.front
        endpoint = self._endpoints.listen(host, port, tls=tls, gate=gate, front=front, door=door)
        self._open.append(endpoint)
        return Place(endpoint, host, port, self._authority, self._dialect)

    def close(self) -> None:
        for endpoint in self._open:
            endpoint.close()


@pytest.fixture
def cloud(passable_directory: Path) -> Iterator[Cloud]:
    directory = Path(tempfile.mkdtemp(dir=passable_directory))
    directory.chmod(0o711)
    with socket.create_server(("127.0.0.1", 0)) as claimed:  # held: no other test's cloud has its addresses
        cloud = Cloud(
            port=claimed.getsockname()[1],
            directory=directory,
            region=REGION,
            enforcements=EVERY - {Enforcement.NETWORK},  # clusters here stand in no network of their own
        )
        moto_aurora_seams.install(cloud)
        moto_backup_seams.install(cloud)
        moto_upgrade_seams.install(cloud)
        try:
            yield cloud
        finally:
            cloud.shut_down()


class Stack:
    """Creates, updates and deletes single resources as the engine does, without a template."""

    def __init__(self, cloud: Cloud, dialect: Dialect) -> None:
        self.cloud = cloud
        self.dialect = dialect
        self.tell = list[str]().append
        self.rolling_back = False
        self._existing: dict[str, tuple[str, dict[str, Any], Provisioned]] = {}

    def create(self, resource_type: str, logical_id: str, **properties: Any) -> Provisioned:
        provisioned = handler(resource_type).create(self._request(resource_type, logical_id, properties))
        self._existing[logical_id] = (resource_type, properties, provisioned)
        return provisioned

    def update(self, logical_id: str, **changes: Any) -> Provisioned:
        resource_type, previous, current = self._existing[logical_id]
        properties = {**previous, **changes}
        request = self._request(resource_type, logical_id, properties)
        provisioned = handler(resource_type).update(request, current, previous)
        self._existing[logical_id] = (resource_type, properties, provisioned)
        return provisioned

    def delete(self, logical_id: str) -> None:
        resource_type, properties, provisioned = self._existing[logical_id]
        handler(resource_type).delete(self._request(resource_type, logical_id, properties), provisioned)
        del self._existing[logical_id]

    def snapshot(self, logical_id: str) -> str:
        resource_type, properties, provisioned = self._existing[logical_id]
        return handler(resource_type).snapshot(
            self._request(resource_type, logical_id, properties), provisioned
        )

    def delete_all(self) -> None:
        for logical_id in reversed(list(self._existing)):
            if self._existing[logical_id][0] == "AWS::RDS::DBCluster":
                self.update(logical_id, DeletionProtection=False)
            self.delete(logical_id)

    def _request(self, resource_type: str, logical_id: str, properties: dict[str, Any]) -> Request:
        return Request(
            resource_type,
            logical_id,
            properties,
            "arn:stack",
            "shop-test",
            ACCOUNT,
            REGION,
            self.cloud,
            self.tell,
            self.rolling_back,
        )


@pytest.fixture
def stack(cloud: Cloud, dialect: Dialect) -> Iterator[Stack]:
    stack = Stack(cloud, dialect)
    yield stack
    stack.delete_all()


@pytest.fixture
def subnets() -> Iterator[list[str]]:
    ec2 = ec2_backends[ACCOUNT][REGION]
    vpc = ec2.create_vpc("10.9.0.0/16")
    made = [
        ec2.create_subnet(vpc.id, f"10.9.{n}.0/24", availability_zone=f"{REGION}{zone}").id
        for n, zone in enumerate("ab")
    ]
    yield made
    for subnet in made:
        ec2.delete_subnet(subnet)


@pytest.fixture
def api() -> Iterator[Any]:
    """RDS's API over moto's own server, as the CLI meets it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield boto3.client(
        "rds",
        endpoint_url=f"http://{host}:{port}",
        region_name=REGION,
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    server.stop()
