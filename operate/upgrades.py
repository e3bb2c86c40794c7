"""Refuses a change of engine version that Aurora would not make, and says what one means that it would.

CloudFormation asks Aurora only in the middle of a deployment. Here Aurora is asked before it begins, about
the version that runs: AWS may have upgraded the minor one past its template (docs/upgrades.md).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import ClientError

from operate.template_changes import Template

if TYPE_CHECKING:
    import boto3

CLUSTER = "AWS::RDS::DBCluster"
RETAINING = frozenset({"Retain", "Snapshot", "RetainExceptOnCreate"})
Kind = Literal["none", "minor", "major", "backwards", "nowhere"]


@dataclass(frozen=True)
class Upgrade:
    """A cluster whose template names another version than the deployed one does."""

    stack: str
    logical_id: str
    engine: str
    """RDS's name of it."""
    running: str
    wanted: str
    is_retained: bool
    targets: Mapping[str, bool]
    """Where Aurora goes in one step from what runs, and whether that is a major version."""

    @property
    def kind(self) -> Kind:
        """What Aurora makes of it; of `backwards` and `nowhere`, an error in the middle of the deployment."""
        if self.wanted == self.running:
            return "none"
        if self.wanted in self.targets:
            return "major" if self.targets[self.wanted] else "minor"
        return "backwards" if _order(self.wanted) < _order(self.running) else "nowhere"

    @property
    def name(self) -> str:
        """What ALLOW takes: this major upgrade, no other one, and no replacement of the cluster."""
        return f"{self.logical_id}:{self.wanted}"

    def is_refused(self, allow: Collection[str]) -> bool:
        """Whether it may not begin: Aurora would refuse it, or retained data need a word that nobody said."""
        if self.kind == "major":
            return self.is_retained and self.name not in allow
        return self.kind in ("backwards", "nowhere")

    def sentence(self, allow: Collection[str]) -> str:
        """Return what becomes of the cluster, and what to do before, or in its place."""
        meaning = _MEANING[self.kind] if self.targets or self.kind != "nowhere" else _UNKNOWN
        said = meaning.format(engine=self.engine, running=self.running, targets=", ".join(self.targets))
        confirm = f". When that is done, name it: ALLOW={self.name}" if self.kind == "major" else ""
        head = f"{self.stack}: {self.logical_id} from {self.running} to {self.wanted}"
        return f"{head}: {said}{confirm if self.is_refused(allow) else ''}"


_MEANING: Mapping[Kind, str] = {
    "none": "it runs that already, past its template, and nothing is upgraded. If RDS objects to the same "
    "version, leave engine_version as it was deployed",
    "minor": "a minor upgrade in place: each instance restarts, which callers notice as they do a failover. "
    "There is no way back but a snapshot",
    "major": "a MAJOR upgrade in place: the database is away until it is done, for minutes or more, and "
    "there is no way back but a snapshot. Before it, rehearse it on a copy, which measures it "
    "(make rehearse REHEARSAL=upgrade), and take a snapshot (aws rds create-db-cluster-snapshot); the steps "
    "stand in docs/upgrades.md",
    "backwards": "Aurora never goes back to an older version. Set engine_version='{running}' or a later "
    "one; to have the older one back, restore a snapshot from before the upgrade (docs/upgrades.md)",
    "nowhere": "no upgrade leads there in one step. Set engine_version to one of {targets}, and go on from "
    "there",
}
_UNKNOWN = (
    "RDS knows no upgrade from there in this region. Keep engine_version='{running}', or look again: aws rds "
    "describe-db-engine-versions --engine {engine} --engine-version {running}"
)


def upgrades(
    session: boto3.Session, deployed: Mapping[str, Template], wanted: Mapping[str, Template]
) -> list[Upgrade]:
    """Return the changes of version between two sets of templates, by stack name; RDS is asked about each.

    A cluster that changes its engine is none of them: it is replaced.
    """
    return [_asked(session, *change) for change in _changed(deployed, wanted)]


def _changed(
    deployed: Mapping[str, Template], wanted: Mapping[str, Template]
) -> Iterator[tuple[str, str, Template, str]]:
    """Yield stack, logical id, deployed resource and wanted version."""
    for stack, template in deployed.items():
        for logical_id, old in template["Resources"].items():
            new = wanted.get(stack, {}).get("Resources", {}).get(logical_id)
            if old["Type"] != CLUSTER or new is None or new["Type"] != CLUSTER:
                continue
            before, after = old["Properties"], new["Properties"]
            named = after.get("EngineVersion")
            if named and named != before.get("EngineVersion") and after["Engine"] == before["Engine"]:
                yield stack, logical_id, old, named


def _asked(session: boto3.Session, stack: str, logical_id: str, resource: Template, wanted: str) -> Upgrade:
    given = resource["Properties"]
    running = _running(session, given)
    return Upgrade(
        stack=stack,
        logical_id=logical_id,
        engine=given["Engine"],
        running=running,
        wanted=wanted,
        is_retained=resource.get("DeletionPolicy", "Snapshot") in RETAINING,
        targets=_targets(session, given["Engine"], running),
    )


def _running(session: boto3.Session, given: Template) -> str:
    """Return the version that the cluster has; where somebody deleted it, the one that it had."""
    rds = session.client("rds")
    try:
        (cluster,) = rds.describe_db_clusters(DBClusterIdentifier=given["DBClusterIdentifier"])["DBClusters"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "DBClusterNotFoundFault":
            raise
        return str(given["EngineVersion"])
    return str(cluster["EngineVersion"])


def _targets(session: boto3.Session, engine: str, version: str) -> dict[str, bool]:
    # IncludeAll: also of a version with which no new cluster can be made any more
    found = session.client("rds").describe_db_engine_versions(
        Engine=engine, EngineVersion=version, IncludeAll=True
    )
    return {
        target["EngineVersion"]: target["IsMajorVersionUpgrade"]
        for one in found["DBEngineVersions"]
        for target in one["ValidUpgradeTarget"]
    }


def _order(version: str) -> tuple[int, ...]:
    """Return what versions of one engine are ordered by: 16.13, 8.0.mysql_aurora.3.12.0."""
    return tuple(int(number) for number in re.findall(r"\d+", version))
