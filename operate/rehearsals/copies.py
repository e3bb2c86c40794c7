"""A copy of a cluster for the time of a rehearsal: restored beside it, looked into, and taken away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from operate.aws import Refused
from operate.rehearsals.steps import LONGEST_SETTLING_SECONDS, RehearsalFailed, Steps

if TYPE_CHECKING:
    import boto3

SUFFIX = "-rehearsal"
"""What the copy is called after its cluster: functions look into nothing else (apply_schema/contents.py)."""
TAG = "rehearsal-of"
"""Without this tag, whose value is the cluster, nothing is ever taken away: somebody may have that name."""
LONGEST_SECONDS = 3 * 3600.0
"""A snapshot, or a restore, of many terabytes."""
LONGEST_INSTANCE_SECONDS = 3600.0
LOOKS_FOR_A_BEGINNING = 120
SHORTEST_BEGINNING_SECONDS = 30.0
"""For an upgrade that was asked for, to begin: ten minutes on AWS, where nothing tells that it will not."""
BUSY = ("InvalidDBClusterStateFault", "InvalidDBInstanceState", "InvalidDBClusterSnapshotStateFault")
GONE = ("DBClusterNotFoundFault", "DBInstanceNotFound", "DBClusterSnapshotNotFoundFault")


@dataclass(frozen=True)
class Copy:
    """A restored cluster that serves."""

    identifier: str
    endpoint: str
    engine_version: str


class Copies:
    """Makes a copy of one cluster, and takes it away."""

    def __init__(
        self, session: boto3.Session, steps: Steps, *, cluster: str, tags: Mapping[str, str]
    ) -> None:
        self.rds: Any = session.client("rds")
        self.steps = steps
        self.cluster = cluster
        self.name = f"{cluster}{SUFFIX}"
        self.instance = f"{cluster}-copy"  # as long as the longest name of a deployment lets it be
        self._tags = [{"Key": key, "Value": value} for key, value in {**tags, TAG: cluster}.items()]

    @contextmanager
    def taken_away(self) -> Iterator[None]:
        """Take away what an earlier rehearsal has left, and in the end, however it comes, this one's."""
        if self.left():
            with self.steps.step("what an earlier rehearsal has left is taken away"):
                self.take_away()
        self._refuse_taken_names()
        failure: BaseException | None = None
        try:
            yield
        except BaseException as error:
            failure = error
            raise
        finally:
            self._end(failure)

    def snapshot(self) -> None:
        """Make a snapshot of the cluster, and wait for it."""
        self.rds.create_db_cluster_snapshot(
            DBClusterSnapshotIdentifier=self.name, DBClusterIdentifier=self.cluster, Tags=self._tags
        )
        self._wait("the snapshot", lambda: _status(self._snapshot()))

    def from_snapshot(self) -> Copy:
        """Restore the snapshot as a cluster of one instance that serves."""
        source = self._source()
        with self.steps.step("the snapshot is restored"):
            self.rds.restore_db_cluster_from_snapshot(
                DBClusterIdentifier=self.name,
                SnapshotIdentifier=self.name,
                Engine=source["Engine"],
                EngineVersion=source["EngineVersion"],
                **self._like(source),
            )
            self._wait("the copy", lambda: _status(self._copy()))
        return self._with_instance(source)

    def to_moment(self, moment: datetime) -> Copy:
        """Restore the cluster as it was at a moment; waits until its backups reach that far."""
        source = self._source()
        with self.steps.step("backups reach the moment"):
            self._wait_until_restorable(moment)
        with self.steps.step("the moment is restored"):
            self.rds.restore_db_cluster_to_point_in_time(
                DBClusterIdentifier=self.name,
                SourceDBClusterIdentifier=self.cluster,
                RestoreToTime=moment,
                **self._like(source),
            )
            self._wait("the copy", lambda: _status(self._copy()))
        return self._with_instance(source)

    def upgrade(self, version: str, *, family: str | None) -> Copy:
        """Upgrade the copy; a major upgrade takes the default parameters of its new `family`."""
        new_family = {
            "AllowMajorVersionUpgrade": True,
            "DBClusterParameterGroupName": f"default.{family}",
            "DBInstanceParameterGroupName": f"default.{family}",
        }
        self.rds.modify_db_cluster(
            DBClusterIdentifier=self.name,
            EngineVersion=version,
            ApplyImmediately=True,
            **(new_family if family else {}),
        )
        self._wait_for_version(version)
        self._wait("its instance", lambda: _status(self._instance()))
        return self._copied()

    def check(self) -> None:
        """Refuse where the cluster is not there; wait for what it is at."""
        self.steps.wait_for(
            self.cluster,
            lambda: _status(self._source()),
            "available",
            longest_seconds=LONGEST_SETTLING_SECONDS,
        )

    def engine_and_version(self) -> tuple[str, str]:
        """Return RDS's name of the engine, and the deployed version."""
        source = self._source()
        return source["Engine"], source["EngineVersion"]

    def instance_class(self) -> str:
        """Return the class of the writer, which the copy's instance gets as well."""
        return str(self._writer_of(self._source())["DBInstanceClass"])

    def upgrade_targets(self, engine: str, version: str) -> dict[str, bool]:
        """Return what a version can be upgraded to in place, each with whether that is a major upgrade."""
        found = self.rds.describe_db_engine_versions(Engine=engine, EngineVersion=version)["DBEngineVersions"]
        targets = [target for one in found for target in one.get("ValidUpgradeTarget", [])]
        return {one["EngineVersion"]: bool(one["IsMajorVersionUpgrade"]) for one in targets}

    def family(self, engine: str, version: str) -> str:
        """Return the parameter group family of a version."""
        found = self.rds.describe_db_engine_versions(Engine=engine, EngineVersion=version)["DBEngineVersions"]
        return str(found[0]["DBParameterGroupFamily"])

    def left(self) -> list[str]:
        """Return the identifiers of what a rehearsal of this cluster has left, or is at work on."""
        parts = (self._instance(), self._copy(), self._snapshot())
        return [_identifier(one) for one in parts if one and self._is_ours(one)]

    def take_away(self) -> None:
        """Delete instance, cluster and snapshot, in whatever state they are; waits until they are gone."""
        self.steps.wait_for("the copy", self._delete, "gone", longest_seconds=LONGEST_INSTANCE_SECONDS)

    def _end(self, failure: BaseException | None) -> None:
        """Take all away; where that fails, say what may be left, and what had failed before."""
        try:
            with self.steps.step("the copy is taken away"):
                self.take_away()
        except BaseException:
            said = f". Before that: {failure or 'interrupted'}" if failure is not None else ""
            self.steps.console.print(
                f"{self.name} and {self.instance} may be left: the next rehearsal takes them away, and so "
                f"does make leftovers{said}",
                soft_wrap=True,
                markup=False,
            )
            raise

    def _delete(self) -> str:
        """Ask for what can be deleted now; return what there is still to wait for."""
        for find, delete in self._deletions():
            found = find()
            if found and self._is_ours(found) and _status(found) != "deleting":
                _unless_busy(delete)
        return ", ".join(self.left()) or "gone"

    def _deletions(self) -> list[tuple[Callable[[], dict[str, Any] | None], Callable[[], object]]]:
        rds = self.rds
        return [
            (
                self._instance,
                lambda: rds.delete_db_instance(DBInstanceIdentifier=self.instance, SkipFinalSnapshot=True),
            ),
            (
                self._copy,
                lambda: rds.delete_db_cluster(DBClusterIdentifier=self.name, SkipFinalSnapshot=True),
            ),
            (
                self._snapshot,
                lambda: rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=self.name),
            ),
        ]

    def _refuse_taken_names(self) -> None:
        for one in (self._instance(), self._copy(), self._snapshot()):
            if one:
                raise Refused(
                    f"{_identifier(one)} is there and is no copy of {self.cluster} (it has no tag "
                    f"{TAG}={self.cluster}): a rehearsal would need that name"
                )

    def _like(self, source: Mapping[str, Any]) -> dict[str, Any]:
        """Return what makes the copy a neighbour of its source: same network, rules, parameters and logins.

        Without protection, without logs of its own, and without the source's backtrack: it lives for minutes.
        """
        scaling = source.get("ServerlessV2ScalingConfiguration")
        limits = {key: scaling[key] for key in ("MinCapacity", "MaxCapacity")} if scaling else None
        optional = {"ServerlessV2ScalingConfiguration": limits, "StorageType": _storage(source)}
        return {
            "DBSubnetGroupName": source["DBSubnetGroup"],
            "VpcSecurityGroupIds": [one["VpcSecurityGroupId"] for one in source["VpcSecurityGroups"]],
            "DBClusterParameterGroupName": source["DBClusterParameterGroup"],
            "Port": source["Port"],
            "EnableIAMDatabaseAuthentication": bool(source.get("IAMDatabaseAuthenticationEnabled")),
            "DeletionProtection": False,
            "CopyTagsToSnapshot": False,
            "Tags": self._tags,
        } | {key: value for key, value in optional.items() if value}

    def _with_instance(self, source: Mapping[str, Any]) -> Copy:
        writer = self._writer_of(source)
        with self.steps.step("its instance serves"):
            self.rds.create_db_instance(
                DBInstanceIdentifier=self.instance,
                DBClusterIdentifier=self.name,
                Engine=source["Engine"],
                DBInstanceClass=writer["DBInstanceClass"],
                DBParameterGroupName=writer["DBParameterGroups"][0]["DBParameterGroupName"],
                PubliclyAccessible=False,
                AutoMinorVersionUpgrade=False,
                Tags=self._tags,
            )
            self._wait("its instance", lambda: _status(self._instance()))
        return self._copied()

    def _copied(self) -> Copy:
        copy = self._copied_or_raise()
        return Copy(self.name, copy["Endpoint"], copy["EngineVersion"])

    def _copied_or_raise(self) -> dict[str, Any]:
        copy = self._copy()
        if copy is None:
            raise RehearsalFailed(f"{self.name} is gone: somebody has deleted it")
        return copy

    def _wait_for_version(self, version: str) -> None:
        """Wait for an upgrade; one that fails leaves the copy available, with its former version.

        So it is for a moment before an upgrade begins, too.
        """
        states: set[str] = set()
        patience_seconds = max(SHORTEST_BEGINNING_SECONDS, LOOKS_FOR_A_BEGINNING * self.steps.poll_seconds)
        until = time.monotonic() + patience_seconds

        def look() -> str:
            copy = self._copied_or_raise()
            state, running = _status(copy), copy["EngineVersion"]
            states.add(state)
            if state != "available" or running == version:
                return state
            begun = len(states) > 1 or time.monotonic() > until
            return f"failed to leave version {running}" if begun else f"of version {running}"

        self._wait("the copy", look)

    def _wait_until_restorable(self, moment: datetime) -> None:
        def look() -> str:
            latest: datetime | None = self._source().get("LatestRestorableTime")
            if latest is not None and latest.astimezone(UTC) >= moment:
                return "so"
            return f"to {latest.astimezone(UTC):%H:%M:%S}" if latest else "to no moment yet"

        self.steps.wait_for(
            f"backups to {moment:%H:%M:%S}", look, "so", longest_seconds=LONGEST_INSTANCE_SECONDS
        )

    def _wait(self, what: str, look: Callable[[], str]) -> None:
        self.steps.wait_for(what, look, "available", longest_seconds=LONGEST_SECONDS)

    def _is_ours(self, found: Mapping[str, Any]) -> bool:
        tags = {one["Key"]: one["Value"] for one in found.get("TagList", [])}
        return tags.get(TAG) == self.cluster

    def _source(self) -> dict[str, Any]:
        source = self._found("describe_db_clusters", "DBClusters", "DBClusterIdentifier", self.cluster)
        if source is None:
            raise Refused(f"{self.cluster} is not there: deploy it, then rehearse")
        return source

    def _writer_of(self, source: Mapping[str, Any]) -> dict[str, Any]:
        name = next(
            one["DBInstanceIdentifier"] for one in source["DBClusterMembers"] if one["IsClusterWriter"]
        )
        writer = self._found("describe_db_instances", "DBInstances", "DBInstanceIdentifier", name)
        if writer is None:
            raise RehearsalFailed(f"{name} is gone: {self.cluster} has lost its writer meanwhile")
        return writer

    def _copy(self) -> dict[str, Any] | None:
        return self._found("describe_db_clusters", "DBClusters", "DBClusterIdentifier", self.name)

    def _instance(self) -> dict[str, Any] | None:
        return self._found("describe_db_instances", "DBInstances", "DBInstanceIdentifier", self.instance)

    def _snapshot(self) -> dict[str, Any] | None:
        key = "DBClusterSnapshotIdentifier"
        return self._found("describe_db_cluster_snapshots", "DBClusterSnapshots", key, self.name)

    def _found(self, operation: str, key: str, identifier: str, wanted: str) -> dict[str, Any] | None:
        """Return what has that identifier, looked for among all: what is missing is no error then."""
        pages = self.rds.get_paginator(operation).paginate()
        return next((one for page in pages for one in page[key] if one[identifier] == wanted), None)


def _status(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    return str(found.get("Status") or found.get("DBInstanceStatus") or "")


def _identifier(found: Mapping[str, Any]) -> str:
    """Return a snapshot's own identifier, not its cluster's, and an instance's."""
    keys = ("DBClusterSnapshotIdentifier", "DBInstanceIdentifier", "DBClusterIdentifier")
    return next(str(found[key]) for key in keys if key in found)


def _storage(source: Mapping[str, Any]) -> str | None:
    """Return the kind of storage where it is not Aurora's standard one, which the API takes only so."""
    kind = source.get("StorageType")
    return str(kind) if kind and kind != "aurora" else None


def _unless_busy(delete: Callable[[], object]) -> None:
    """Ask for a deletion; what is still being made, or gone by now, is looked at again later."""
    try:
        delete()
    except ClientError as error:
        if error.response["Error"]["Code"] not in (*BUSY, *GONE):
            raise
