"""AWS::RDS::DBInstance: an instance of an Aurora cluster, a real server of it."""

from __future__ import annotations

import secrets
import string
from typing import Any, ClassVar

from localcloud import moto_aurora_seams
from localcloud.aurora.managed import AuroraService, ManagedCluster
from localcloud.aurora.postgresql_programs import ProgramFailed
from localcloud.notifications import rds_events
from localcloud.resources import rds_readings
from localcloud.resources.base import Handler, Properties, Provisioned, Request, ResourceFailed
from localcloud.resources.on_moto import gone_is_deleted, tag_list
from localcloud.resources.rds_monitoring import refuse_monitoring, show_monitoring
from localcloud.resources.rds_records import (
    backend,
    instance_parameters,
    moto_arguments,
    tell_what_has_no_effect,
)

_RECORDED = (
    "AutoMinorVersionUpgrade", "AvailabilityZone", "CopyTagsToSnapshot", "DBInstanceClass",
    "DBParameterGroupName", "DBSubnetGroupName", "Engine", "PromotionTier", "PubliclyAccessible",
)  # fmt: skip


class Instance(Handler):
    """The first instance of a cluster is its writer, further ones are readers."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {
            "AvailabilityZone", "DBClusterIdentifier", "DBInstanceClass", "DBInstanceIdentifier",
            "DBParameterGroupName", "Engine", "PromotionTier", "PubliclyAccessible", "Tags",
        }
    )  # fmt: skip
    no_local_effect: ClassVar[frozenset[str]] = frozenset(
        {
            "AllowMajorVersionUpgrade", "ApplyImmediately", "AutoMinorVersionUpgrade",
            "CACertificateIdentifier",
            "CopyTagsToSnapshot", "DatabaseInsightsMode", "DBSubnetGroupName", "DeleteAutomatedBackups",
            "EnableCloudwatchLogsExports", "EnablePerformanceInsights", "EngineVersion", "LicenseModel",
            "MonitoringInterval", "MonitoringRoleArn", "NetworkType", "PerformanceInsightsKMSKeyId",
            "PerformanceInsightsRetentionPeriod", "PreferredMaintenanceWindow",
            "StorageEncrypted", "StorageType",
        }
    )  # fmt: skip

    replaced_by: ClassVar[frozenset[str]] = frozenset({"AvailabilityZone", "Engine"})

    def create(self, request: Request) -> Provisioned:
        """Create the record and start the server."""
        given, managed = request.properties, _cluster(request)
        _refuse_other_engine(given, managed)
        refuse_monitoring(request)
        identifier = (given.get("DBInstanceIdentifier") or request.generated_name(longest=63)).lower()
        record = backend(request).create_db_instance(
            {
                **moto_arguments(given, _RECORDED),
                "db_instance_identifier": identifier,
                "db_cluster_identifier": managed.identifier,
                "port": managed.port,
                "tags": tag_list(given),
            }
        )
        record.dbi_resource_id = _resource_id()
        try:
            _start(request, managed, identifier)
        except Exception:
            backend(request).delete_db_instance(identifier)
            raise
        show_monitoring(record, given)
        moto_aurora_seams.show_instance(
            record, managed.instance_address(identifier), lambda: managed.is_writer(identifier)
        )
        managed.tell_of_instance(rds_events.INSTANCE_CREATED, identifier)
        return Provisioned(identifier, _attributes(record, managed), managed)

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Change the class, parameters and what else is only recorded."""
        given = request.properties
        refuse_monitoring(request)
        managed: ManagedCluster = current.state
        record = backend(request).databases[current.physical_id]
        group = given.get("DBParameterGroupName")
        if group != previous.get("DBParameterGroupName"):
            parameters = instance_parameters(request, group, managed.parameter_family)
            tell_what_has_no_effect(current.physical_id, managed.cluster.without_effect(parameters))
            managed.cluster.change_instance_parameters(current.physical_id, parameters)
        if given.get("DBInstanceClass") != record.db_instance_class:
            _change_class(managed, current.physical_id)
        for name, value in moto_arguments(given, _RECORDED).items():
            setattr(record, name, value)
        show_monitoring(record, given)
        record.tags = tag_list(given)
        return Provisioned(current.physical_id, _attributes(record, managed), managed)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return what RDS has on record."""
        record = backend(request).databases.get(current.physical_id)
        return record and rds_readings.instance(record)

    def delete(self, request: Request, current: Provisioned) -> None:
        """Stop the server; where it is the writer, a reader takes over."""
        managed: ManagedCluster = current.state
        managed.remove_instance(current.physical_id)
        with gone_is_deleted():
            backend(request).delete_db_instance(current.physical_id)
        managed.tell_of_instance(rds_events.INSTANCE_DELETED, current.physical_id)


def _cluster(request: Request) -> ManagedCluster:
    identifier = request.properties.get("DBClusterIdentifier")
    if not identifier:
        raise ResourceFailed(
            "DBInstance without DBClusterIdentifier: in the local cloud only instances of an Aurora cluster"
            " have a real engine"
        )
    clusters = AuroraService.of(request.cloud).clusters
    if identifier.lower() not in clusters:
        raise ResourceFailed(f"DBCluster {identifier} not found.")
    return clusters[identifier.lower()]


def _refuse_other_engine(given: Properties, managed: ManagedCluster) -> None:
    engine, cluster_engine = given.get("Engine"), managed.cluster.engine.name
    if engine != cluster_engine:
        raise ResourceFailed(
            f"The engine name requested for your DB instance ({engine}) doesn't match the engine name of your"
            f" DB cluster ({cluster_engine})."
        )


def _start(request: Request, managed: ManagedCluster, identifier: str) -> None:
    given = request.properties
    group = given.get("DBParameterGroupName")
    parameters = instance_parameters(request, group, managed.parameter_family)
    tell_what_has_no_effect(identifier, managed.cluster.without_effect(parameters))
    try:
        managed.add_instance(identifier, parameters, promotion_tier=int(given.get("PromotionTier", 1)))
    except ProgramFailed as error:
        raise ResourceFailed(str(error)) from error


def _change_class(managed: ManagedCluster, identifier: str) -> None:
    try:
        managed.change_class(identifier)
    except ProgramFailed as error:
        raise ResourceFailed(str(error)) from error


def _attributes(record: Any, managed: ManagedCluster) -> dict[str, str]:
    return {
        "DBInstanceArn": record.db_instance_arn,
        "DbiResourceId": record.dbi_resource_id,
        "DBInstanceStatus": "available",
        "Endpoint": managed.instance_address(record.db_instance_identifier),
        "Endpoint.Address": managed.instance_address(record.db_instance_identifier),
        "Endpoint.Port": str(managed.port),
    }


def _resource_id() -> str:
    return "db-" + "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(26))
