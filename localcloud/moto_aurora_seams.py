"""Where the local cloud reaches into moto's RDS and Secrets Manager beyond its public server, and why."""

from __future__ import annotations

import functools
from typing import Any

from moto.core.responses import ActionResult
from moto.rds.models import DBCluster, DBInstanceClustered
from moto.rds.responses import RDSResponse
from moto.secretsmanager.models import SecretsManagerBackend

from localcloud.cloud import Cloud
from localcloud.resources.secret_rotation import rotate_secret


def install(cloud: Cloud) -> None:
    """Answer DescribeDBProxyEndpoints and RotateSecret as AWS does."""
    # moto knows no proxy endpoints
    RDSResponse.describe_db_proxy_endpoints = functools.partialmethod(_describe_db_proxy_endpoints, cloud)
    # moto's makes the new version current even if the function failed, forgets the function when it is not
    # named again, and takes a finished rotation for one that is under way
    SecretsManagerBackend.rotate_secret = functools.partialmethod(_rotate_secret, cloud)


def show_cluster_endpoints(record: Any, writer: str, reader: str) -> None:
    """Let DescribeDBClusters show these endpoints; moto makes up names."""
    record.__class__ = _Cluster
    record.local_writer, record.local_reader = writer, reader


def show_instance_endpoint(record: Any, address: str) -> None:
    """Let DescribeDBInstances show this endpoint; moto makes up a name."""
    record.__class__ = _Instance
    record.local_address = address


class _Cluster(DBCluster):  # type: ignore[misc] # moto tells no types
    local_writer: str
    local_reader: str

    @property
    def endpoint(self) -> str:
        return self.local_writer

    @property
    def reader_endpoint(self) -> str:
        return self.local_reader


class _Instance(DBInstanceClustered):  # type: ignore[misc]
    local_address: str

    @property
    def address(self) -> str:
        return self.local_address


def _describe_db_proxy_endpoints(response: Any, cloud: Cloud) -> ActionResult:
    from localcloud.aurora.managed import AuroraService  # noqa: PLC0415 - not before somebody asks

    wanted = [(name, response.params.get(name)) for name in ("DBProxyName", "DBProxyEndpointName")]
    found = [
        description
        for proxy in AuroraService.of(cloud).proxies.values()
        if (proxy.identity.account, proxy.identity.region) == (response.current_account, response.region)
        for description in proxy.further.values()
        if all(value in (None, description[name]) for name, value in wanted)
    ]
    return ActionResult({"DBProxyEndpoints": found})


def _rotate_secret(backend: SecretsManagerBackend, cloud: Cloud, **arguments: Any) -> str:
    return rotate_secret(cloud, backend, **arguments)
