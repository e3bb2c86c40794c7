"""What RDS does when it is asked to modify clusters and instances, and which versions it tells of."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.core.responses import ActionResult
from moto.rds.exceptions import RDSClientError

from localcloud.aurora import upgrades
from localcloud.aurora.engines import ENGINES, Engine
from localcloud.aurora.local_parameters import ParameterRefused
from localcloud.aurora.managed import AuroraService, ManagedCluster
from localcloud.aurora.postgresql_programs import ProgramFailed
from localcloud.aurora.upgrades import UpgradeRefused
from localcloud.cloud import Cloud
from localcloud.resources.base import ResourceFailed
from localcloud.resources.rds_records import cluster_parameters_of, instance_parameters_of
from localcloud.resources.rds_upgrades import ChangeOfVersion, Upgrade

_log = logging.getLogger(__name__)

_UNDER_WAY = {"modifying", "upgrading"}

Answer = Callable[[Any], ActionResult]
"""moto's own: it writes into its record what is left of the request."""


def modify_db_cluster(response: Any, cloud: Cloud, answer_of_moto: Answer) -> ActionResult:
    """Upgrade and set parameters; the call is answered when an upgrade begins."""
    managed = _managed(response, cloud, response.params.get("DBClusterIdentifier"))
    if managed is None:
        return answer_of_moto(response)
    record = response.backend.clusters[managed.identifier]
    _refuse_unavailable(record, "DB cluster", managed.identifier, "InvalidDBClusterStateFault")
    version, group = _take(response, "EngineVersion"), _take(response, "DBClusterParameterGroupName")
    change = ChangeOfVersion(
        str(version),
        allow_major=bool(_take(response, "AllowMajorVersionUpgrade")),
        cluster_group=group,
        instance_group=_take(response, "DBInstanceParameterGroupName"),
        with_password=bool(response.params.get("MasterUserPassword")),
    )
    with _in_words_of_rds():
        upgrade = Upgrade.accept(response.backend, managed, change) if version else None
        if group and not (upgrade and upgrade.is_major):
            _change_cluster_group(response.backend, managed, record, group)
    answer = answer_of_moto(response)
    if upgrade is not None and response.params.get("ApplyImmediately"):
        record.pending_modified_values = None
        upgrade.begin()
        _in_background(f"upgrade {managed.identifier}", upgrade.run)
    elif upgrade is not None:
        record.pending_modified_values = {"EngineVersion": version}
    return answer


def modify_db_instance(response: Any, cloud: Cloud, answer_of_moto: Answer) -> ActionResult:
    """Set parameters, and restart for another class; the call is answered when the restart begins."""
    name = str(response.params.get("DBInstanceIdentifier")).lower()
    record = response.backend.databases.get(name)
    managed = _managed(response, cloud, getattr(record, "db_cluster_identifier", None))
    if managed is None:
        return answer_of_moto(response)
    _refuse_unavailable(record, "DB instance", name, "InvalidDBInstanceState")
    if response.params.get("EngineVersion"):
        raise RDSClientError(
            "InvalidParameterCombination",
            "The specified DB Instance is a member of a cluster. Modify engine version for the DB Cluster"
            " using the ModifyDbCluster API",
        )
    group, instance_class = _take(response, "DBParameterGroupName"), _take(response, "DBInstanceClass")
    if group:
        with _in_words_of_rds():
            _change_instance_group(response.backend, managed, record, group)
    answer = answer_of_moto(response)
    if instance_class and instance_class != record.db_instance_class:
        if response.params.get("ApplyImmediately"):
            record.status, record.pending_modified_values = "modifying", None
            _in_background(f"class of {name}", lambda: _change_class(managed, record, instance_class))
        else:
            record.pending_modified_values = {"DBInstanceClass": instance_class}
    return answer


def describe_db_engine_versions(response: Any) -> ActionResult:
    """Tell the versions that are listed, each with what it can be upgraded to."""
    asked = response.params
    engines = [one for one in ENGINES.values() if asked.get("Engine") in (None, one.name)]
    found = [
        _description(engine, version)
        for engine in engines
        for version in upgrades.VERSIONS[engine.name]
        if f"{version}.".startswith(f"{asked.get('EngineVersion') or version}.")
        and (not asked.get("DefaultOnly") or version == engine.default_version)
    ]
    family = asked.get("DBParameterGroupFamily")
    return ActionResult(
        {"DBEngineVersions": [one for one in found if family in (None, one["DBParameterGroupFamily"])]}
    )


def _description(engine: Engine, version: str) -> dict[str, Any]:
    release = str(engine.release(version))
    return {
        "Engine": engine.name,
        "MajorEngineVersion": release,
        "EngineVersion": version,
        "DBParameterGroupFamily": engine.parameter_family(release),
        "DBEngineDescription": f"Aurora {engine.product}",
        "DBEngineVersionDescription": f"Aurora {engine.product} {version}",
        "ExportableLogTypes": sorted(engine.logs),
        "SupportedEngineModes": ["provisioned"],
        "SupportsLogExportsToCloudwatchLogs": True,
        "Status": "available",
        "ValidUpgradeTarget": [
            {
                "Engine": engine.name,
                "EngineVersion": target.version,
                "Description": f"Aurora {engine.product} {target.version}",
                "AutoUpgrade": False,
                "IsMajorVersionUpgrade": target.is_major,
                "SupportedEngineModes": ["provisioned"],
            }
            for target in upgrades.targets(engine, version)
        ],
    }


def _managed(response: Any, cloud: Cloud, identifier: str | None) -> ManagedCluster | None:
    """The real cluster of this name in the caller's account and region, if there is one."""
    managed = AuroraService.of(cloud).clusters.get(str(identifier).lower())
    caller = (response.current_account, response.region)
    return managed if managed and (managed.identity.account, managed.identity.region) == caller else None


def _take(response: Any, name: str) -> Any:
    """A parameter, which moto does not see any more."""
    value = response.params.get(name)
    response.params.pop(name, None)
    return value


def _refuse_unavailable(record: Any, kind: str, identifier: str, code: str) -> None:
    if (status := record.status) in _UNDER_WAY:
        raise RDSClientError(code, f"{kind} {identifier} is not in available state: {status}")


def _change_cluster_group(rds: Any, managed: ManagedCluster, record: Any, group: str) -> None:
    managed.cluster.change_parameters(cluster_parameters_of(rds, group, managed.parameter_family))
    record.parameter_group = group


def _change_instance_group(rds: Any, managed: ManagedCluster, record: Any, group: str) -> None:
    parameters = instance_parameters_of(rds, group, managed.parameter_family)
    managed.cluster.change_instance_parameters(record.db_instance_identifier, parameters)
    record.db_parameter_group_name = group


def _change_class(managed: ManagedCluster, record: Any, instance_class: str) -> None:
    try:
        managed.change_class(record.db_instance_identifier)
        record.db_instance_class = instance_class
    finally:
        record.status = "available"


@contextmanager
def _in_words_of_rds() -> Iterator[None]:
    try:
        yield
    except UpgradeRefused as error:
        raise RDSClientError(error.code, str(error)) from error
    except (ResourceFailed, ProgramFailed, ParameterRefused) as error:
        raise RDSClientError("InvalidParameterCombination", str(error)) from error


def _in_background(name: str, work: Callable[[], None]) -> None:
    """As RDS does: the call has been answered, the status tells how far it is."""

    def run() -> None:
        try:
            work()
        except Exception as error:  # nobody waits for it; RDS tells of it by an event
            _log.warning("%s: %s", name, error)

    threading.Thread(target=run, name=name, daemon=True).start()
