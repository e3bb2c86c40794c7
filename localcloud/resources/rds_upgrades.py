"""A cluster's change of version: what RDS demands of it, its servers, and its records afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.rds.models import RDSBackend

from localcloud.aurora import upgrades
from localcloud.aurora.local_parameters import ParameterRefused
from localcloud.aurora.managed import ManagedCluster
from localcloud.aurora.postgresql_programs import ProgramFailed
from localcloud.aurora.upgrades import UpgradeRefused
from localcloud.resources.base import ResourceFailed
from localcloud.resources.rds_records import (
    cluster_parameters_of,
    instance_parameters_of,
    is_default_group,
    tell_what_has_no_effect,
)


@dataclass(frozen=True)
class ChangeOfVersion:
    """What ModifyDBCluster is asked for when it is given another EngineVersion."""

    version: str
    allow_major: bool = False
    cluster_group: str | None = None
    """DBClusterParameterGroupName; None where none is named."""
    instance_group: str | None = None
    """DBInstanceParameterGroupName, for all instances; None where none is named."""
    with_password: bool = False


@dataclass(frozen=True)
class Upgrade:
    """A change of version that RDS has accepted: nothing has happened yet."""

    backend: RDSBackend
    managed: ManagedCluster
    change: ChangeOfVersion
    is_major: bool
    parameters: Mapping[str, str]
    instance_parameters: Mapping[str, str]

    @classmethod
    def accept(cls, backend: RDSBackend, managed: ManagedCluster, change: ChangeOfVersion) -> Upgrade | None:
        """None where the version is the cluster's; UpgradeRefused or ResourceFailed in RDS's words."""
        record, engine = backend.clusters[managed.identifier], managed.cluster.engine
        if change.version == record.engine_version:
            return None
        upgrades.refuse(engine, record.engine_version, change.version, allow_major=change.allow_major)
        if managed.cluster.writer is None:
            raise UpgradeRefused(
                "Cannot modify engine version without a healthy primary instance in DB cluster:"
                f" {managed.identifier}",
                code="InvalidDBClusterStateFault",
            )
        if not upgrades.is_major(engine, record.engine_version, change.version):
            return cls(backend, managed, change, False, {}, {})
        if change.with_password:
            raise UpgradeRefused(
                "MasterUserPassword cannot be modified together with a major version upgrade."
            )
        family = engine.parameter_family(str(engine.release(change.version)))
        _refuse_custom("cluster", record.parameter_group, change.cluster_group)
        for instance in _instances(backend, managed):
            _refuse_custom("instance", instance.db_parameter_group_name, change.instance_group)
        return cls(
            backend,
            managed,
            change,
            True,
            cluster_parameters_of(backend, change.cluster_group, family),
            instance_parameters_of(backend, change.instance_group, family),
        )

    def begin(self) -> None:
        """The records say that it is under way."""
        self._show_status("upgrading")

    def run(self) -> None:
        """The cluster is of the new version; ResourceFailed, with the former one serving, where it is not."""
        record = self.backend.clusters[self.managed.identifier]
        self.begin()
        try:
            if self.is_major:
                self._upgrade()
                self._record_groups(record)
            else:
                self.managed.patch()
            record.engine_version = self.change.version
        except (ProgramFailed, ParameterRefused) as error:
            raise ResourceFailed(str(error)) from error
        finally:
            self._show_status("available")

    def _show_status(self, status: str) -> None:
        record = self.backend.clusters[self.managed.identifier]
        for one in (record, *_instances(self.backend, self.managed)):
            one.status = status

    def _upgrade(self) -> None:
        cluster, release = self.managed.cluster, self._release
        instances = [one.db_instance_identifier for one in _instances(self.backend, self.managed)]
        cluster_only = cluster.engine.localize({**self.parameters, **self.instance_parameters}, release)
        tell_what_has_no_effect(self.managed.identifier, cluster_only.without_effect)
        self.managed.upgrade(release, self.parameters, dict.fromkeys(instances, self.instance_parameters))

    @property
    def _release(self) -> str:
        return str(self.managed.cluster.engine.release(self.change.version))

    def _record_groups(self, record: Any) -> None:
        family = self.managed.parameter_family
        record.parameter_group = self.change.cluster_group or f"default.{family}"
        for instance in _instances(self.backend, self.managed):
            instance.db_parameter_group_name = self.change.instance_group


def _instances(backend: RDSBackend, managed: ManagedCluster) -> list[Any]:
    return [
        one for one in list(backend.databases.values()) if one.db_cluster_identifier == managed.identifier
    ]


def _refuse_custom(level: str, current: str | None, wanted: str | None) -> None:
    """A custom group is of the former family; RDS looks for no other one by itself."""
    if wanted is None and current is not None and not is_default_group(current):
        raise UpgradeRefused(
            f"The current DB {level} parameter group {current} is custom. You must explicitly specify a new"
            f" DB {level} parameter group, either default or custom, for the engine version upgrade."
        )
