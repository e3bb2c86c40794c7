"""Where the local cloud reaches into moto's RDS and Secrets Manager beyond its public server, and why."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.rds.exceptions import InvalidDBClusterStateFault
from moto.rds.models import DBCluster, DBInstanceClustered
from moto.rds.responses import RDSResponse
from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend

from localcloud.aurora.postgresql_programs import ProgramFailed
from localcloud.cloud import Cloud
from localcloud.resources.secret_rotation import rotate_secret

_describe_secret = FakeSecret.to_dict


def install(cloud: Cloud) -> None:
    """Answer DescribeDBProxyEndpoints and RotateSecret as AWS does."""
    # moto knows no proxy endpoints
    RDSResponse.describe_db_proxy_endpoints = functools.partialmethod(_describe_db_proxy_endpoints, cloud)
    # moto knows rules in days alone
    FakeSecret.to_dict = _with_rotation_rules
    # moto's makes the new version current even if the function failed, forgets the function when it is not
    # named again, and takes a finished rotation for one that is under way
    SecretsManagerBackend.rotate_secret = functools.partialmethod(_rotate_secret, cloud)


def show_cluster(record: Any, writer: str, reader: str, fail_over: Callable[[str], None]) -> None:
    """Let DescribeDBClusters show these endpoints, and FailoverDBCluster do it; moto makes up names."""
    record.__class__ = _Cluster
    record.local_writer, record.local_reader, record.local_fail_over = writer, reader, fail_over


def show_restorable_time(record: Any, earliest: Callable[[], datetime]) -> None:
    """Let DescribeDBClusters show from when on the cluster can be restored; moto shows its birth."""
    record.local_earliest = earliest


def show_instance(record: Any, address: str, is_writer: Callable[[], bool]) -> None:
    """Let DescribeDBInstances show this endpoint, and DescribeDBClusters this role as it is now."""
    record.__class__ = _Instance
    record.local_address, record.local_is_writer = address, is_writer


class _Cluster(DBCluster):  # type: ignore[misc] # moto tells no types
    local_writer: str
    local_reader: str
    local_fail_over: Callable[[str], None]
    local_earliest: Callable[[], datetime]

    @property
    def earliest_restorable_time(self) -> datetime:
        return self.local_earliest()

    @property
    def endpoint(self) -> str:
        return self.local_writer

    @property
    def reader_endpoint(self) -> str:
        return self.local_reader

    def failover(self, target_instance: DBInstanceClustered) -> None:
        try:
            self.local_fail_over(target_instance.db_instance_identifier)
        except ProgramFailed as error:
            raise InvalidDBClusterStateFault(str(error)) from error


class _Instance(DBInstanceClustered):  # type: ignore[misc]
    local_address: str
    local_is_writer: Callable[[], bool]

    @property
    def address(self) -> str:
        return self.local_address

    @property
    def is_cluster_writer(self) -> bool:
        return self.local_is_writer()

    @is_cluster_writer.setter
    def is_cluster_writer(self, _recorded: bool) -> None:
        """moto takes the writer for the first one that it recorded; the servers know better."""

    def default_db_parameter_group_details(self) -> tuple[str, str]:
        """moto makes a family of everything before the last dot: aurora-mysql8.0.mysql_aurora.3.12."""
        from localcloud.aurora.engines import ENGINES  # noqa: PLC0415 - not before somebody asks

        engine = ENGINES[self.engine]
        family = engine.parameter_family(str(engine.release(self.engine_version)))
        return family, f"default.{family}"


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


def _with_rotation_rules(secret: Any) -> dict[str, Any]:
    described: dict[str, Any] = _describe_secret(secret)
    rules = getattr(secret, "rotation_rules", None)
    return {**described, "RotationRules": rules} if rules and "RotationRules" in described else described


def _rotate_secret(backend: SecretsManagerBackend, cloud: Cloud, **arguments: Any) -> str:
    return rotate_secret(cloud, backend, **arguments)
