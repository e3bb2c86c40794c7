"""What RDS does when it is asked to make, restore and take away clusters, instances and snapshots.

Each operation does what the same resource of a template does; moto's own stays for what is no cluster of the
local cloud.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.core.responses import ActionResult
from moto.rds.exceptions import (
    DBClusterToBeDeletedHasActiveMembers,
    InvalidParameterCombination,
    RDSClientError,
)
from moto.rds.models import RDSBackend

from localcloud import resources
from localcloud.aurora.backups import Snapshots
from localcloud.aurora.managed import AuroraService, ManagedCluster
from localcloud.aurora.postgresql_programs import ProgramFailed
from localcloud.cloud import Cloud
from localcloud.notifications import rds_events
from localcloud.resources.base import Properties, Request, ResourceFailed
from localcloud.resources.rds_clusters import forget_automated_snapshots
from localcloud.resources.rds_restores import take_snapshot

Answer = Callable[[Any], ActionResult]
"""moto's own."""


def restore_db_cluster(response: Any, cloud: Cloud, _answer_of_moto: Answer) -> ActionResult:
    """A new cluster has the data of a snapshot, or of a cluster at a moment."""
    given = response.params.original_dict()
    if given["DBClusterIdentifier"].lower() in response.backend.clusters:
        raise RDSClientError("DBClusterAlreadyExistsFault", "DB Cluster already exists")
    with _refusals():
        made = resources.handler("AWS::RDS::DBCluster").create(
            _request(response, cloud, "AWS::RDS::DBCluster", given)
        )
    return ActionResult({"DBCluster": response.backend.clusters[made.physical_id]})


def create_db_cluster_snapshot(response: Any, cloud: Cloud, answer_of_moto: Answer) -> ActionResult:
    """The snapshot has the data of this moment."""
    given = response.params.original_dict()
    managed = _managed(response, cloud, given["DBClusterIdentifier"])
    if managed is None:
        return answer_of_moto(response)
    snapshot = take_snapshot(cloud, managed, given["DBClusterSnapshotIdentifier"], tags=given.get("Tags"))
    return ActionResult({"DBClusterSnapshot": snapshot})


def copy_db_cluster_snapshot(response: Any, cloud: Cloud, answer_of_moto: Answer) -> ActionResult:
    """The copy has its own data, which outlive the source."""
    given = response.params.original_dict()
    answer = answer_of_moto(response)
    rds, snapshots = response.backend, Snapshots.of(cloud)
    source, target = (
        rds.cluster_snapshots[given[f"{which}DBClusterSnapshotIdentifier"]] for which in ("Source", "Target")
    )
    snapshots.copy(source.db_cluster_snapshot_arn, target.db_cluster_snapshot_arn)
    return answer


def delete_db_cluster_snapshot(response: Any, cloud: Cloud, answer_of_moto: Answer) -> ActionResult:
    """The data go with the record."""
    found = response.backend.cluster_snapshots.get(response.params["DBClusterSnapshotIdentifier"])
    answer = answer_of_moto(response)
    Snapshots.of(cloud).forget(found.db_cluster_snapshot_arn)
    return answer


def create_db_instance(response: Any, cloud: Cloud, answer_of_moto: Answer) -> ActionResult:
    """The instance's server runs when this returns."""
    given = response.params.original_dict()
    if _managed(response, cloud, given.get("DBClusterIdentifier")) is None:
        return answer_of_moto(response)
    with _refusals():
        made = resources.handler("AWS::RDS::DBInstance").create(
            _request(response, cloud, "AWS::RDS::DBInstance", given)
        )
    return ActionResult({"DBInstance": response.backend.databases[made.physical_id]})


def delete_db_instance(response: Any, cloud: Cloud, answer_of_moto: Answer) -> ActionResult:
    """The server is gone; where it was the writer, a reader takes over."""
    name = response.params["DBInstanceIdentifier"].lower()
    record = response.backend.databases.get(name)
    managed = _managed(response, cloud, getattr(record, "db_cluster_identifier", None))
    answer = answer_of_moto(response)
    if managed is not None:
        managed.remove_instance(name)
        managed.tell_of_instance(rds_events.INSTANCE_DELETED, name)
    return answer


def delete_db_cluster(response: Any, cloud: Cloud, answer_of_moto: Answer) -> ActionResult:
    """The data are gone, but for a final snapshot that was asked for."""
    given = response.params.original_dict()
    managed = _managed(response, cloud, given["DBClusterIdentifier"])
    if managed is None:
        return answer_of_moto(response)
    rds: RDSBackend = response.backend
    final = given.get("FinalDBSnapshotIdentifier")
    if given.get("SkipFinalSnapshot") and final:
        raise InvalidParameterCombination(
            "FinalDBSnapshotIdentifier can not be specified when SkipFinalSnapshot is specified."
        )
    if not given.get("SkipFinalSnapshot") and not final:
        raise InvalidParameterCombination(
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
        )
    if rds.clusters[managed.identifier].members:
        raise DBClusterToBeDeletedHasActiveMembers
    if final and not rds.clusters[managed.identifier].deletion_protection:
        take_snapshot(cloud, managed, final)
    record = rds.delete_db_cluster(managed.identifier)
    forget_automated_snapshots(rds, managed.identifier)
    managed.close()
    managed.tell(rds_events.CLUSTER_DELETED)
    return ActionResult({"DBCluster": record})


def _managed(response: Any, cloud: Cloud, identifier: str | None) -> ManagedCluster | None:
    """The real cluster of this name; None for what is on record only, and for what is not there."""
    if identifier is None:
        return None
    managed = AuroraService.of(cloud).clusters.get(
        identifier.partition(":cluster:")[2].lower() or identifier.lower()
    )
    here = (response.current_account, response.region)
    if managed is None or (managed.identity.account, managed.identity.region) != here:
        return None
    return managed


def _request(response: Any, cloud: Cloud, resource_type: str, given: Properties) -> Request:
    return Request(
        resource_type=resource_type,
        logical_id="",
        properties=given,
        stack_id="",
        stack_name="",
        account=response.current_account,
        region=response.region,
        cloud=cloud,
    )


@contextmanager
def _refusals() -> Iterator[None]:
    """What a resource's handler refuses, RDS's API refuses in the same words."""
    try:
        yield
    except ResourceFailed as error:
        raise RDSClientError("InvalidParameterValue", str(error)) from error
    except ProgramFailed as error:
        raise RDSClientError("InvalidDBClusterStateFault", str(error)) from error
