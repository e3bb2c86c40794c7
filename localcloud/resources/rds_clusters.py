"""AWS::RDS::DBCluster: a record in moto and a real cluster behind it."""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import string
from typing import Any, ClassVar

from moto.rds.models import RDSBackend
from moto.secretsmanager.models import secretsmanager_backends

from localcloud import moto_aurora_seams
from localcloud.aurora import cluster as aurora_cluster
from localcloud.aurora.engines import ENGINES, Engine
from localcloud.aurora.managed import AuroraService, Identity, ManagedCluster
from localcloud.aurora.postgresql_programs import ProgramFailed
from localcloud.aurora.upgrades import UpgradeRefused
from localcloud.notifications import rds_events
from localcloud.resources import rds_readings
from localcloud.resources.base import Handler, Properties, Provisioned, Request, ResourceFailed
from localcloud.resources.on_moto import flag, gone_is_deleted, tag_list
from localcloud.resources.rds_monitoring import refuse_monitoring, show_monitoring
from localcloud.resources.rds_records import (
    backend,
    cluster_parameters,
    moto_arguments,
    tell_what_has_no_effect,
)
from localcloud.resources.rds_restores import Source, take_snapshot
from localcloud.resources.rds_upgrades import ChangeOfVersion, Upgrade

_log = logging.getLogger(__name__)

# Recorded in moto, so that DescribeDBClusters shows them.
_RECORDED = (
    "AvailabilityZones", "BacktrackWindow", "BackupRetentionPeriod", "CopyTagsToSnapshot",
    "DBSubnetGroupName",
    "DeletionProtection", "EnableCloudwatchLogsExports", "KmsKeyId", "PreferredBackupWindow",
    "PreferredMaintenanceWindow", "ServerlessV2ScalingConfiguration", "StorageEncrypted", "StorageType",
    "VpcSecurityGroupIds", "AutoMinorVersionUpgrade",
)  # fmt: skip


class Cluster(Handler):
    """Data, master user and endpoints come with the cluster; it serves when it has an instance."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {
            "DatabaseName", "DBClusterIdentifier", "DBClusterParameterGroupName",
            "DBInstanceParameterGroupName", "DBSubnetGroupName", "DeletionProtection",
            "EnableIAMDatabaseAuthentication", "Engine", "EngineVersion", "ManageMasterUserPassword",
            "MasterUserPassword", "MasterUserSecret", "MasterUsername", "Port", "RestoreToTime",
            "RestoreType", "SnapshotIdentifier", "SourceDBClusterIdentifier", "SourceDbClusterResourceId",
            "Tags", "UseLatestRestorableTime", "VpcSecurityGroupIds",
        }
    )  # fmt: skip
    no_local_effect: ClassVar[frozenset[str]] = frozenset(
        {
            "AutoMinorVersionUpgrade", "AvailabilityZones", "BacktrackWindow", "BackupRetentionPeriod",
            "CopyTagsToSnapshot",
            "DatabaseInsightsMode", "DeleteAutomatedBackups",
            "EnableCloudwatchLogsExports", "EnableHttpEndpoint", "EnableLocalWriteForwarding",
            "EngineLifecycleSupport", "EngineMode", "KmsKeyId", "MonitoringInterval", "MonitoringRoleArn",
            "NetworkType", "PerformanceInsightsEnabled", "PerformanceInsightsKmsKeyId",
            "PerformanceInsightsRetentionPeriod", "PreferredBackupWindow", "PreferredMaintenanceWindow",
            "PubliclyAccessible", "ServerlessV2ScalingConfiguration", "StorageEncrypted", "StorageType",
        }
    )  # fmt: skip

    replaced_by: ClassVar[frozenset[str]] = frozenset({"Engine", "MasterUsername"})

    def create(self, request: Request) -> Provisioned:
        """Create the record, the data and the endpoints."""
        source = Source.of(request)
        request = source.complete(request) if source else request
        given = request.properties
        engine = _engine(given)
        identifier = (given.get("DBClusterIdentifier") or request.generated_name(longest=63)).lower()
        if identifier in backend(request).clusters:
            raise ResourceFailed(f"DB Cluster already exists: {identifier}")
        _refuse_what_the_engine_lacks(given, engine)
        refuse_monitoring(request)
        own_password = None if flag(given, "ManageMasterUserPassword") else given.get("MasterUserPassword")
        password = _new_password() if own_password is None else own_password
        record = _record(request, identifier, password)
        try:
            managed = _start(request, identifier, password, record.db_cluster_resource_id, source)
        except Exception:
            _forget(request, identifier)
            raise
        show_monitoring(record, given)
        record.status = "available"  # moto says "creating" to the first who asks, whenever that is
        moto_aurora_seams.show_cluster(
            record, managed.writer_address, managed.reader_address, managed.fail_over
        )
        moto_aurora_seams.show_restorable_time(record, lambda: managed.cluster.earliest_restorable_time)
        managed.inherited = source.inherited if source else {}
        managed.tell(rds_events.CLUSTER_CREATED)
        return Provisioned(identifier, _attributes(record, managed), managed)

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring password, parameters, port and record to what the template says."""
        managed = _managed(current)
        given = {**managed.inherited, **request.properties}
        record = backend(request).clusters[current.physical_id]
        upgrade = _accepted_upgrade(request, managed, previous)
        _refuse_what_the_engine_lacks(given, managed.cluster.engine)
        _refuse_late_backtrack(given, previous)
        refuse_monitoring(request)
        if upgrade is not None:
            upgrade.run()
        group = given.get("DBClusterParameterGroupName")
        if group != previous.get("DBClusterParameterGroupName"):
            parameters = cluster_parameters(request, group, managed.parameter_family)
            tell_what_has_no_effect(managed.identifier, managed.cluster.without_effect(parameters))
            managed.cluster.change_parameters(parameters)
        _change_password(request, record, managed, previous)
        if _port(given) != managed.port:
            managed.open(_port(given))
        managed.iam_enabled = flag(given, "EnableIAMDatabaseAuthentication")
        _modify(record, given)
        show_monitoring(record, given)
        return Provisioned(current.physical_id, _attributes(record, managed), managed)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return what RDS has on record; no password."""
        record = backend(request).clusters.get(current.physical_id)
        return record and rds_readings.cluster(record)

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the data with the cluster; a protected cluster, or one with instances, is left alone."""
        with gone_is_deleted():
            backend(request).delete_db_cluster(current.physical_id)
        forget_automated_snapshots(backend(request), current.physical_id)
        _managed(current).close()
        _managed(current).tell(rds_events.CLUSTER_DELETED)

    def snapshot(self, request: Request, current: Provisioned) -> str:
        """Keep a snapshot with the data of this moment; it outlives the cluster."""
        if backend(request).clusters[current.physical_id].deletion_protection:
            raise ResourceFailed(
                "Cannot delete protected Cluster, please disable deletion protection and try again."
            )
        name = request.generated_name(longest=255, lower=True)
        take_snapshot(request.cloud, _managed(current), name)
        return name


def _engine(given: Properties) -> Engine:
    engine = given.get("Engine", "")
    if engine not in ENGINES:
        raise ResourceFailed(
            f"Engine {engine}: no real engine stands behind it in the local cloud; there is one for"
            f" {', '.join(ENGINES)}"
        )
    return ENGINES[engine]


def _version(given: Properties) -> str:
    return str(given.get("EngineVersion") or _engine(given).default_version)


def _release(given: Properties) -> str:
    version = _version(given)
    release = _engine(given).release(version)
    if release is None:
        raise ResourceFailed(f"Cannot find version {version} for {given['Engine']}")
    return release


def _port(given: Properties) -> int:
    return int(given.get("Port") or _engine(given).default_port)


def _record(request: Request, identifier: str, password: str) -> Any:
    given = request.properties
    managed_password = flag(given, "ManageMasterUserPassword")
    record = backend(request).create_db_cluster(
        {
            **moto_arguments(given, _RECORDED),
            "db_cluster_identifier": identifier,
            "engine": given["Engine"],
            "engine_version": _version(given),
            "master_username": given.get("MasterUsername"),
            "master_user_password": None if managed_password else password,
            "manage_master_user_password": managed_password,
            "master_user_secret_kms_key_id": given.get("MasterUserSecret", {}).get("KmsKeyId"),
            "database_name": given.get("DatabaseName"),
            "db_cluster_parameter_group_name": given.get("DBClusterParameterGroupName"),
            "port": _port(given),
            "enable_iam_database_authentication": flag(given, "EnableIAMDatabaseAuthentication"),
            "tags": tag_list(given),
        }
    )
    if managed_password:
        _put_managed_password(request, record, password)
    return record


def _start(
    request: Request, identifier: str, password: str, resource_id: str, source: Source | None
) -> ManagedCluster:
    given, service = request.properties, AuroraService.of(request.cloud)
    engine = _engine(given)
    release = _release(given)
    family = engine.parameter_family(release)
    parameters = cluster_parameters(request, given.get("DBClusterParameterGroupName"), family)
    directory = service.next_directory()
    try:
        cluster = aurora_cluster.Cluster(
            directory,
            engine=engine,
            release=release,
            master_user=given["MasterUsername"],
            master_password=password,
            database=given.get("DatabaseName"),
            parameters=parameters,
            tell=lambda text: _tell(request, identifier, text),
            origin=source.begin if source else None,
        )
        if source and _gives_password(given):
            cluster.change_password(given["MasterUsername"], password)
    except BaseException as error:
        shutil.rmtree(directory, ignore_errors=True)
        if isinstance(error, ProgramFailed):
            raise ResourceFailed(str(error)) from error
        raise
    tell_what_has_no_effect(identifier, cluster.without_effect(parameters))
    return ManagedCluster(
        service,
        identifier,
        cluster,
        Identity(request.region, request.account, resource_id),
        port=_port(given),
        database=given.get("DatabaseName"),
        iam_enabled=flag(given, "EnableIAMDatabaseAuthentication"),
    )


def _gives_password(given: Properties) -> bool:
    return flag(given, "ManageMasterUserPassword") or "MasterUserPassword" in given


def _tell(request: Request, identifier: str, text: str) -> None:
    _log.info("%s: %s", identifier, text)
    request.tell(text)


def _forget(request: Request, identifier: str) -> None:
    record = backend(request).clusters[identifier]
    record.deletion_protection = False
    backend(request).delete_db_cluster(identifier)
    forget_automated_snapshots(backend(request), identifier)


def forget_automated_snapshots(rds: RDSBackend, identifier: str) -> None:
    """As on AWS, they go with the cluster. moto keeps them, and then takes no namesake in the same minute."""
    snapshots = rds.cluster_snapshots
    for name, snapshot in list(snapshots.items()):
        if snapshot.snapshot_type == "automated" and snapshot.db_cluster_identifier == identifier:
            del snapshots[name]


def _managed(current: Provisioned) -> ManagedCluster:
    managed: ManagedCluster = current.state
    return managed


def _attributes(record: Any, managed: ManagedCluster) -> dict[str, str]:
    attributes = {
        "DBClusterArn": record.db_cluster_arn,
        "DBClusterResourceId": record.db_cluster_resource_id,
        "Endpoint": managed.writer_address,
        "Endpoint.Address": managed.writer_address,
        "Endpoint.Port": str(managed.port),
        "ReadEndpoint": managed.reader_address,
        "ReadEndpoint.Address": managed.reader_address,
    }
    if record.manage_master_user_password:
        attributes["MasterUserSecret.SecretArn"] = record.master_user_secret.secret_arn
    return attributes


def _refuse_what_the_engine_lacks(given: Properties, engine: Engine) -> None:
    """In RDS's words."""
    if given.get("EngineMode", "provisioned") != "provisioned":
        raise ResourceFailed(f"The engine mode {given['EngineMode']} you requested is currently unavailable.")
    if _backtrack_seconds(given) and not engine.has_backtrack:
        raise ResourceFailed(f"Backtrack is not enabled for the {engine} engine.")
    unknown = set(given.get("EnableCloudwatchLogsExports", [])) - engine.logs
    if unknown:
        raise ResourceFailed(
            f"You cannot use the log types '{', '.join(sorted(unknown))}' with engine version {engine}"
            f" {_version(given)}. For supported log types, see the documentation."
        )
    if given.get("MasterUsername", "").lower() in engine.reserved_users:
        raise ResourceFailed(
            f"MasterUsername {given['MasterUsername']} cannot be used as it is a reserved word used by the"
            " engine"
        )
    if len(given.get("MasterUserPassword") or "") > engine.longest_password:
        raise ResourceFailed(
            "The parameter MasterUserPassword is not a valid password because it is longer than"
            f" {engine.longest_password} characters."
        )


def _refuse_late_backtrack(given: Properties, previous: Properties) -> None:
    if _backtrack_seconds(given) and not _backtrack_seconds(previous):
        raise ResourceFailed(
            "Backtrack is not enabled for this DB cluster: it can be enabled only when a cluster is created"
        )


def _backtrack_seconds(given: Properties) -> int:
    return int(given.get("BacktrackWindow") or 0)


def _accepted_upgrade(request: Request, managed: ManagedCluster, previous: Properties) -> Upgrade | None:
    """The change of version that CloudFormation's own handler asks RDS for.

    It names a version only where the template has another one, with AllowMajorVersionUpgrade, and none in a
    rollback: Aurora would refuse to go back.
    https://github.com/aws-cloudformation/aws-cloudformation-resource-providers-rds (aws-rds-dbcluster,
    Translator.modifyDbClusterRequest)
    """
    given = request.properties
    version = given.get("EngineVersion")
    if request.rolling_back or version is None or version == previous.get("EngineVersion"):
        return None
    instance_group = given.get("DBInstanceParameterGroupName")
    named = instance_group != previous.get("DBInstanceParameterGroupName")
    change = ChangeOfVersion(
        str(version),
        allow_major=True,
        cluster_group=given.get("DBClusterParameterGroupName"),
        instance_group=instance_group if named else None,
        with_password=given.get("MasterUserPassword") != previous.get("MasterUserPassword"),
    )
    try:
        return Upgrade.accept(backend(request), managed, change)
    except UpgradeRefused as error:
        raise ResourceFailed(str(error)) from error


def _change_password(request: Request, record: Any, managed: ManagedCluster, previous: Properties) -> None:
    given = request.properties
    was_managed, is_managed = (flag(p, "ManageMasterUserPassword") for p in (previous, given))
    if is_managed and was_managed:
        return
    own = given.get("MasterUserPassword")
    if not is_managed and (own is None or (not was_managed and own == previous.get("MasterUserPassword"))):
        return
    password = _new_password() if own is None or is_managed else own
    managed.cluster.change_password(record.master_username, password)
    if is_managed != was_managed:
        backend(request).modify_db_cluster(
            {
                "db_cluster_identifier": managed.identifier,
                "manage_master_user_password": is_managed,
                "master_user_secret_kms_key_id": given.get("MasterUserSecret", {}).get("KmsKeyId"),
            }
        )
    if is_managed:
        _put_managed_password(request, record, password)


def _put_managed_password(request: Request, record: Any, password: str) -> None:
    """moto writes a fixed user and password into the secret that it makes."""
    value = json.dumps({"username": record.master_username, "password": password})
    secretsmanager_backends[request.account][request.region].put_secret_value(
        record.master_user_secret.secret_arn, value, None, None, ["AWSCURRENT"]
    )


def _new_password() -> str:
    alphabet = string.ascii_letters + string.digits + "!#$%&*+-.:=?^_~"
    return "".join(secrets.choice(alphabet) for _ in range(28))


def _modify(record: Any, given: Properties) -> None:
    # not by modify_db_cluster: it takes the record out of its list and, when a value is refused, never
    # puts it back
    for name, value in moto_arguments(given, _RECORDED).items():
        setattr(record, name, value)
    record.deletion_protection = flag(given, "DeletionProtection")
    record.parameter_group = given.get("DBClusterParameterGroupName") or record.parameter_group
    record.port = _port(given)
    record.iam_auth = flag(given, "EnableIAMDatabaseAuthentication")
    record.enabled_cloudwatch_logs_exports = list(given.get("EnableCloudwatchLogsExports", []))
    record.tags = tag_list(given)
