"""Clusters that begin with the data of others: from a snapshot, or from another cluster as it was."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.rds.exceptions import (
    DBClusterNotFoundError,
    DBClusterSnapshotNotFoundError,
    InvalidParameterCombination,
    RDSClientError,
)
from moto.rds.models import rds_backends

from localcloud.aurora.backups import Snapshots
from localcloud.aurora.cluster import Origin
from localcloud.aurora.continuous_backup import Recovered
from localcloud.aurora.database_server import DatabaseServer
from localcloud.aurora.engines import ENGINES
from localcloud.aurora.managed import AuroraService, ManagedCluster
from localcloud.aurora.postgresql_programs import ProgramFailed
from localcloud.cloud import Cloud
from localcloud.resources.base import Properties, Request
from localcloud.resources.on_moto import flag
from localcloud.resources.rds_records import backend


@dataclass(frozen=True)
class Source:
    """Where a cluster has its data from, and what else it has from there where it is not told otherwise."""

    inherited: Properties
    begin: Origin

    @classmethod
    def of(cls, request: Request) -> Source | None:
        """The source that a cluster's properties name; None for a cluster of its own.

        Raises, in RDS's words, for one that is not there or does not fit.
        """
        given = request.properties
        if identifier := given.get("SnapshotIdentifier"):
            return _snapshot(request, str(identifier))
        if given.get("SourceDBClusterIdentifier") or given.get("SourceDbClusterResourceId"):
            return _point_in_time(request)
        return None

    def complete(self, request: Request) -> Request:
        """The request as a whole; the master user is the source's, whatever is asked for."""
        given = {name: value for name, value in request.properties.items() if name != "MasterUsername"}
        return replace(request, properties={**self.inherited, **given})


def take_snapshot(
    cloud: Cloud, managed: ManagedCluster, name: str, *, tags: list[dict[str, str]] | None = None
) -> Any:
    """The record of a new manual snapshot with the cluster's data of this moment; refused in RDS's words."""
    rds = rds_backends[managed.identity.account][managed.identity.region]
    snapshot = rds.create_db_cluster_snapshot(managed.identifier, name, tags=tags)
    try:
        Snapshots.of(cloud).take(snapshot.db_cluster_snapshot_arn, managed.cluster)
    except ProgramFailed as error:
        rds.delete_db_cluster_snapshot(name)
        raise RDSClientError("InvalidDBClusterStateFault", str(error)) from error
    return snapshot


def _snapshot(request: Request, identifier: str) -> Source:
    rds = backend(request)
    record = rds.cluster_snapshots.get(identifier.partition(":cluster-snapshot:")[2] or identifier)
    if record is None:
        raise DBClusterSnapshotNotFoundError(identifier)
    found = Snapshots.of(request.cloud).find(record.db_cluster_snapshot_arn)
    if found is None:
        raise RDSClientError(
            "InvalidDBClusterSnapshotStateFault",
            f"DBClusterSnapshot {identifier} is a record of the local cloud and holds no data: restore one"
            " that was taken by hand or at a deletion",
        )
    _refuse_another_engine(request.properties, record, of="DB cluster snapshot")
    return Source(_inherited(record.cluster), found.begin)


def _point_in_time(request: Request) -> Source:
    given = request.properties
    managed = _source_cluster(request)
    record = backend(request).clusters[managed.identifier]
    _refuse_another_engine(given, record, of="source DB cluster")
    until = _moment(given, managed)

    def begin(directory: Path, settings: Mapping[str, str]) -> DatabaseServer:
        moment = until or datetime.now(UTC)  # before the log is taken: it has to go further than that
        moments = managed.cluster.moments()
        try:
            return moments.begin(moment, directory, Recovered(managed.cluster.release, settings))
        finally:
            moments.remove()

    return Source(_inherited(record), begin)


def _source_cluster(request: Request) -> ManagedCluster:
    given = request.properties
    identifier = str(given.get("SourceDBClusterIdentifier") or given.get("SourceDbClusterResourceId"))
    name = (identifier.partition(":cluster:")[2] or identifier).lower()
    for managed in AuroraService.of(request.cloud).clusters.values():
        here = (managed.identity.account, managed.identity.region) == (request.account, request.region)
        if here and name in (managed.identifier, managed.identity.resource_id.lower()):
            return managed
    raise DBClusterNotFoundError(identifier)


def _moment(given: Properties, managed: ManagedCluster) -> datetime | None:
    """The moment that is asked for; None for the latest."""
    asked, latest = given.get("RestoreToTime"), flag(given, "UseLatestRestorableTime")
    copy_on_write = given.get("RestoreType", "full-copy") == "copy-on-write"
    if asked and latest:
        raise InvalidParameterCombination("Cannot specify both RestoreToTime and UseLatestRestorableTime")
    if asked and copy_on_write:
        raise InvalidParameterCombination(
            "RestoreToTime cannot be specified when RestoreType is copy-on-write"
        )
    if not asked and not latest and not copy_on_write:
        raise InvalidParameterCombination(
            "Either RestoreToTime or UseLatestRestorableTime must be specified."
        )
    if not asked:
        return None
    moment = asked if isinstance(asked, datetime) else datetime.fromisoformat(str(asked))
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    earliest, now = managed.cluster.earliest_restorable_time, datetime.now(UTC)
    if not earliest <= moment <= now:
        raise RDSClientError(
            "InvalidParameterValue",
            f"RestoreToTime {moment.isoformat()} is not within the restorable time of DB cluster"
            f" {managed.identifier}: {earliest.isoformat()} to {now.isoformat()}.",
        )
    return moment


def _inherited(record: Any) -> Properties:
    """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBClusterFromSnapshot.html.

    Network, parameter groups, tags, protection and logins by IAM are the new cluster's own.
    """
    encrypted = {"StorageEncrypted": True, "KmsKeyId": record.kms_key_id} if record.storage_encrypted else {}
    return {
        "BackupRetentionPeriod": record.backup_retention_period,
        "DatabaseName": record.database_name,
        "Engine": record.engine,
        "EngineVersion": record.engine_version,
        "MasterUsername": record.master_username,
        "Port": record.port,
        **encrypted,
    }


def _refuse_another_engine(given: Properties, record: Any, *, of: str) -> None:
    engine, version = given.get("Engine") or record.engine, given.get("EngineVersion")
    if engine != record.engine:
        raise RDSClientError(
            "InvalidParameterValue",
            f"The engine name requested for your restored DB cluster ({engine}) doesn't match the engine name"
            f" of the {of} ({record.engine}).",
        )
    if version is None or version == record.engine_version:
        return
    if _numbers(version) < _numbers(record.engine_version):
        raise RDSClientError(
            "InvalidParameterValue",
            f"The engine version you requested for your restored DB cluster ({version}) is earlier than the"
            f" engine version of the {of} ({record.engine_version}).",
        )
    release = ENGINES[engine].release
    if release(version) != release(record.engine_version):
        raise RDSClientError(
            "InvalidParameterCombination",
            f"EngineVersion {version}: the local cloud restores to the major version of the {of}"
            f" ({record.engine_version}); restore to that, then modify the cluster",
        )


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
