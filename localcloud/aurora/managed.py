"""Clusters and proxies as RDS manages them: each with addresses of its own, open endpoints and an end."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud import operator_key
from localcloud.aurora.certificates import CertificateAuthority
from localcloud.aurora.cluster import Cluster, Instance, Recovery
from localcloud.aurora.endpoint import Endpoint, Endpoints, Gate
from localcloud.aurora.engines import Engine
from localcloud.aurora.gates import ClusterGate, TokenCheck
from localcloud.aurora.iam_tokens import KeyLookup, SigningKey
from localcloud.aurora.postgresql_programs import ProgramFailed
from localcloud.aurora.proxy import Proxy, ProxyGate
from localcloud.authorization import services_acting
from localcloud.enforcements import Enforcement
from localcloud.functions import credentials
from localcloud.iam.evaluation import Decision
from localcloud.metrics.of_databases import DatabaseMetrics
from localcloud.network import interfaces
from localcloud.network.admission import Locate, Network
from localcloud.network.interfaces import Interface
from localcloud.notifications import rds_events
from localcloud.refusals import Refusals

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.cloud import Cloud


WATCH_SECONDS = 0.1
LIMIT_LOG_EVERY = 100
"""Of these looks."""

_log = logging.getLogger(__name__)


class AuroraService:
    """All clusters and proxies of one cloud; nothing of them is left when the cloud ends."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._authority = CertificateAuthority.of(cloud)
        self._endpoints = Endpoints.of(cloud)
        self._numbers = itertools.count(1)
        self.clusters: dict[str, ManagedCluster] = {}
        self.proxies: dict[str, ManagedProxy] = {}
        cloud.on_shutdown(self.close)
        self.metrics = DatabaseMetrics(cloud, self.clusters)

    @classmethod
    def of(cls, cloud: Cloud) -> AuroraService:
        """The service of a cloud."""
        return cloud.part(cls, cls)

    @property
    def key_of(self) -> KeyLookup:
        """Whose keys the endpoints take tokens of: sessions of the local STS, and who runs the cloud."""
        operator = OperatorKey()

        def key_of(access_key_id: str) -> SigningKey | None:
            own = access_key_id == operator_key.ACCESS_KEY_ID
            return operator if own else credentials.secret_of(access_key_id)

        return key_of

    def key_may_connect(self, access_key_id: str, database_user_arn: str) -> Decision:
        """Whether the holder of a key may log in as a database user."""
        decision = services_acting.key_may_connect(self._cloud, access_key_id, database_user_arn)
        return self._noted(f"access key {access_key_id}", database_user_arn, decision)

    def role_may_connect(self, role_arn: str, database_user_arn: str) -> Decision:
        """Whether a proxy with this role may log in as a database user."""
        decision = services_acting.may_connect(self._cloud, role_arn, database_user_arn)
        return self._noted(role_arn, database_user_arn, decision)

    def _noted(self, who: str, database_user_arn: str, decision: Decision) -> Decision:
        if not decision.allowed:
            what = f"rds-db:connect on {database_user_arn} {decision.reason}"
            Refusals.of(self._cloud).record(Enforcement.DATABASE_IAM, who, what)
        return decision

    def next_directory(self) -> Path:
        """A directory for a cluster that is not there yet; short, for the sockets in it."""
        return self._cloud.directory / f"db{next(self._numbers)}"

    def show(self, identifier: str, engine: str | None) -> None:
        """Let `status` say what runs as this cluster; None takes it away."""
        if engine is None:
            self._cloud.databases.pop(identifier, None)
        else:
            self._cloud.databases[identifier] = engine

    def tell(self, region: str, kind: rds_events.Kind, source_id: str, **words: str) -> None:
        """Who subscribed to RDS's events hears of this one."""
        rds_events.tell(self._cloud, region, kind, source_id, **words)

    @property
    def network(self) -> Network:
        """What decides who reaches the endpoints."""
        return Network.of(self._cloud)

    def place(self, title: str, locate: Locate) -> Place:
        """An address for an endpoint, not open yet; `title` is what `status` calls it.

        `locate` tells where it stands in a VPC.
        """
        address = self._cloud.addresses.allocate()
        return Place(title, address, locate, self._cloud, self._authority, self._endpoints)

    def close(self) -> None:
        """End every proxy and every cluster."""
        for proxy in list(self.proxies.values()):
            proxy.close()
        for cluster in list(self.clusters.values()):
            cluster.close()


@dataclass(frozen=True)
class OperatorKey:
    """The key pair that `localcloud env` prints."""

    secret_access_key: str = operator_key.SECRET_ACCESS_KEY
    session_token: str | None = None


class EndpointFailed(RuntimeError):
    """An address or port that an endpoint needs cannot be had."""


@dataclass
class Place:
    """An address that an endpoint has from its creation on, open or not."""

    title: str
    address: str
    _locate: Locate
    _cloud: Cloud
    _authority: CertificateAuthority
    _endpoints: Endpoints
    _endpoint: Endpoint | None = None

    def open(self, port: int, gate: Gate, engine: Engine) -> None:
        """Clients reach it."""
        self.shut()
        tls = self._authority.server_context(self.address)
        door = Network.of(self._cloud).door(self.title, self._locate, port)
        try:
            self._endpoint = self._endpoints.listen(
                self.address, port, tls=tls, gate=gate, front=engine.front, door=door
            )
        except OSError as error:
            raise EndpointFailed(f"{self.title}: cannot listen at {self.address}:{port}: {error}") from error
        self._cloud.endpoints[self.title] = f"{self.address}:{port}"

    def shut(self) -> None:
        """Clients do not reach it; the address stays."""
        if self._endpoint is not None:
            self._endpoint.close()
            self._endpoint = None
            self._cloud.endpoints.pop(self.title, None)

    def give_up(self) -> None:
        """Neither endpoint nor address is ours any more."""
        self.shut()
        self._cloud.addresses.release(self.address)


@dataclass(frozen=True)
class Identity:
    """Where a resource of RDS belongs and what policies call it."""

    region: str
    account: str
    resource_id: str

    def tokens(self, host: str, port: int, service: AuroraService) -> TokenCheck:
        """What tokens for one of its endpoints have to say."""
        return TokenCheck(
            host, port, self.region, self.database_user_arn, service.key_of, service.key_may_connect
        )

    def database_user_arn(self, user: str) -> str:
        """A database user, as policies for rds-db:connect name it."""
        return f"arn:aws:rds-db:{self.region}:{self.account}:dbuser:{self.resource_id}/{user}"


class ManagedCluster:
    """A cluster with its writer's, its readers' and its instances' endpoints."""

    def __init__(
        self,
        service: AuroraService,
        identifier: str,
        cluster: Cluster,
        identity: Identity,
        *,
        port: int,
        database: str | None,
        iam_enabled: bool,
    ) -> None:
        self._service = service
        self.identifier = identifier
        self.cluster = cluster
        self.identity = identity
        self.port = port
        self.database = database
        self.iam_enabled = iam_enabled
        self.inherited: Mapping[str, Any] = {}
        """Of a restored cluster: what its template's properties leave to the cluster it was restored from."""
        self._lock = threading.Lock()
        self._writer = service.place(f"cluster {identifier}, writer", self.locate)
        self._readers = service.place(f"cluster {identifier}, readers", self.locate)
        self._instances: dict[str, Place] = {}
        service.clusters[identifier] = self
        service.show(identifier, str(cluster))
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name=f"watch {identifier}", daemon=True).start()
        try:
            self.open(port)
        except EndpointFailed:
            self.close()
            raise

    def locate(self) -> Interface | None:
        """Where the cluster stands in its VPC."""
        return interfaces.of_cluster(self.identity.account, self.identity.region, self.identifier)

    @property
    def parameter_family(self) -> str:
        """The family that its parameter groups are of."""
        return self.cluster.engine.parameter_family(self.cluster.release)

    @property
    def writer_address(self) -> str:
        """The cluster endpoint's host."""
        return self._writer.address

    @property
    def reader_address(self) -> str:
        """The reader endpoint's host."""
        return self._readers.address

    def is_writer(self, name: str) -> bool:
        """Whether this instance takes writes now."""
        writer = self.cluster.writer
        return writer is not None and writer.name == name

    def instance_address(self, name: str) -> str:
        """The instance endpoint's host."""
        return self._instances[name].address

    def open(self, port: int) -> None:
        """All endpoints listen on this port."""
        self.port = port
        self._open(self._writer, lambda: self.cluster.writer)
        # without a reader the readers' endpoint leads to the writer, as on Aurora
        self._open(self._readers, lambda: self.cluster.next_reader() or self.cluster.writer)
        for name in list(self._instances):
            self._open_instance(name)

    def add_instance(self, name: str, parameters: Mapping[str, str], *, promotion_tier: int) -> None:
        """A new instance serves at an endpoint of its own."""
        self.cluster.add_instance(name, parameters, promotion_tier=promotion_tier)
        try:
            with self._lock:
                self._instances[name] = self._service.place(f"instance {name}", self.locate)
                self._open_instance(name)
        except EndpointFailed:
            self.remove_instance(name)
            raise

    def remove_instance(self, name: str) -> None:
        """The instance and its endpoint are gone; the data stay."""
        self.cluster.remove_instance(name)
        with self._lock:
            place = self._instances.pop(name, None)
        if place:
            place.give_up()

    def fail_over(self, name: str | None = None) -> None:
        """A reader is the writer now, this one if it is named; RDS tells of it. Raises ProgramFailed."""
        former, successor = self.cluster.writer, self.cluster.successor(name)
        if successor is not None:
            self.tell(rds_events.FAILOVER_STARTED, name=successor.name)
        try:
            self.cluster.fail_over(name)
        except ProgramFailed:
            self.tell(rds_events.FAILOVER_FAILED)
            raise
        writer = self.cluster.writer
        self.tell(rds_events.FAILOVER_COMPLETED, name=writer.name if writer else "")
        if former is not None:
            self.tell_of_instance(rds_events.INSTANCE_RESTARTED, former.name)

    def upgrade(
        self,
        release: str,
        parameters: Mapping[str, str],
        instance_parameters: Mapping[str, Mapping[str, str]],
    ) -> None:
        """Another major version serves the same data; RDS tells of it. ProgramFailed leaves the former."""
        self.tell(rds_events.UPGRADE_PREPARED, name=self.identifier)
        self.tell(rds_events.UPGRADE_STARTED)
        try:
            self.cluster.upgrade(release, parameters, instance_parameters)
        except ProgramFailed:
            self.tell(rds_events.NOT_UPGRADABLE)
            raise
        self._service.show(self.identifier, str(self.cluster))
        self.tell(rds_events.MAJOR_UPGRADED)

    def patch(self) -> None:
        """Another minor version serves: all instances restart, readers first; RDS tells of it."""
        self.tell(rds_events.UPGRADE_STARTED)
        names = [one.name for one in self.cluster.instances]
        self.cluster.restart(*names)
        for name in names:
            self.tell_of_instance(rds_events.INSTANCE_RESTARTED, name)
        self.tell(rds_events.UPGRADED)

    def change_class(self, name: str) -> None:
        """An instance restarts, as one of another class; RDS tells of it."""
        self.tell_of_instance(rds_events.CLASS_CHANGING, name)
        self.cluster.restart(name)
        self.tell_of_instance(rds_events.CLASS_CHANGED, name)

    def tell(self, kind: rds_events.Kind, **words: str) -> None:
        """Who subscribed hears of something that happened to the cluster."""
        self._service.tell(self.identity.region, kind, self.identifier, **words)

    def tell_of_instance(self, kind: rds_events.Kind, name: str) -> None:
        """Who subscribed hears of something that happened to one of its instances."""
        self._service.tell(self.identity.region, kind, name)

    def close(self) -> None:
        """Endpoints, instances and data are gone; to close it again does no harm, nor to a namesake."""
        if self._ended.is_set():
            return
        self._ended.set()
        for place in (self._writer, self._readers, *self._instances.values()):
            place.give_up()
        self._instances.clear()
        self.cluster.close()
        self._service.clusters.pop(self.identifier, None)
        self._service.show(self.identifier, None)

    def _watch(self) -> None:
        """Put back what dies, until the cluster ends: a reader takes a dead writer's place."""
        for look in itertools.count(1):
            if self._ended.wait(WATCH_SECONDS):
                return
            try:
                if look % LIMIT_LOG_EVERY == 0:
                    self.cluster.limit_log()
                if not self.cluster.is_whole:
                    self._tell_of(self.cluster.recover())
            except Exception:  # whatever it was: nobody else would try again
                _log.exception("cluster %s: not recovered, trying again", self.identifier)

    def _tell_of(self, recovery: Recovery) -> None:
        if recovery.new_writer is not None:
            self.tell(rds_events.FAILOVER_STARTED, name=recovery.new_writer)
            self.tell(rds_events.FAILOVER_COMPLETED, name=recovery.new_writer)
        for name in recovery.restarted:
            _log.warning("cluster %s: instance %s died and was started again", self.identifier, name)
            self.tell_of_instance(rds_events.INSTANCE_RESTARTED, name)

    def _open_instance(self, name: str) -> None:
        self._open(self._instances[name], lambda: self.cluster.instance(name))

    def _open(self, place: Place, choose: Callable[[], Instance | None]) -> None:
        tokens = self.identity.tokens(place.address, self.port, self._service)
        gate = ClusterGate(self.cluster, choose, tokens, lambda: self.iam_enabled)
        place.open(self.port, gate, self.cluster.engine)


@dataclass
class ProxyEndpoint:
    """One endpoint of a proxy, by name; the default one has the name "default"."""

    name: str
    place: Place
    read_only: bool


class ManagedProxy:
    """A proxy with its endpoints; they open once a target group names the cluster."""

    def __init__(self, service: AuroraService, proxy: Proxy, identity: Identity) -> None:
        self._service = service
        self.proxy = proxy
        self.identity = identity
        self._target: ManagedCluster | None = None
        self._endpoints: dict[str, ProxyEndpoint] = {}
        self.further: dict[str, dict[str, Any]] = {}
        """What DescribeDBProxyEndpoints says of the endpoints beside the default one."""
        self._lock = threading.Lock()
        service.proxies[proxy.name] = self
        self.default_address = self.add_endpoint("default", read_only=False)

    def locate(self, endpoint: Mapping[str, Any] | None = None) -> Interface | None:
        """Where the proxy stands, or a further endpoint of it that DescribeDBProxyEndpoints describes so."""
        identity = self.identity
        return interfaces.of_proxy(identity.account, identity.region, self.proxy.name, endpoint)

    def add_endpoint(self, name: str, *, read_only: bool) -> str:
        """The new endpoint's host."""
        kind = "read-only" if read_only else "read-write"
        place = self._service.place(
            f"proxy {self.proxy.name}, {name}, {kind}", lambda: self.locate(self.further.get(name))
        )
        with self._lock:
            self._endpoints[name] = endpoint = ProxyEndpoint(name, place, read_only)
            self._open(endpoint)
        return place.address

    def remove_endpoint(self, name: str) -> None:
        """The endpoint is gone."""
        with self._lock:
            endpoint = self._endpoints.pop(name, None)
            self.further.pop(name, None)
        if endpoint:
            endpoint.place.give_up()

    def lead_to(self, target: ManagedCluster | None) -> None:
        """All endpoints lead to this cluster, on its port; to None they are shut."""
        with self._lock:
            self._target = target
            self.proxy.cluster = target.cluster if target else None
            if target:
                self.proxy.cluster_resource_arn = target.identity.database_user_arn
                self.proxy.why_unreachable = self._way_to(target)
                self.proxy.role_may_connect = self._service.role_may_connect
            for endpoint in self._endpoints.values():
                self._open(endpoint)

    def close(self) -> None:
        """All endpoints are gone."""
        for name in list(self._endpoints):
            self.remove_endpoint(name)
        self._service.proxies.pop(self.proxy.name, None)

    def _way_to(self, target: ManagedCluster) -> Callable[[], str | None]:
        return lambda: self._service.network.between(self.locate, target.locate, target.port)

    def _open(self, endpoint: ProxyEndpoint) -> None:
        place = endpoint.place
        if self._target is None:
            place.shut()
            return
        port = self._target.port
        tokens = self.identity.tokens(place.address, port, self._service)
        gate = ProxyGate(self.proxy, tokens, read_only=endpoint.read_only)
        place.open(port, gate, self.proxy.engine)
