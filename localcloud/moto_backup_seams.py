"""Where RDS's API makes, restores and takes away servers and data, of which moto keeps records only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.rds.responses import RDSResponse

from localcloud.cloud import Cloud

_OPERATIONS = {
    "copy_db_cluster_snapshot": "copy_db_cluster_snapshot",
    "create_db_cluster_snapshot": "create_db_cluster_snapshot",
    "create_db_instance": "create_db_instance",
    "delete_db_cluster": "delete_db_cluster",
    "delete_db_cluster_snapshot": "delete_db_cluster_snapshot",
    "delete_db_instance": "delete_db_instance",
    "restore_db_cluster_from_snapshot": "restore_db_cluster",
    "restore_db_cluster_to_point_in_time": "restore_db_cluster",
}
"""By moto's name, the function of rds_backup_operations that answers instead."""
_motos = {name: getattr(RDSResponse, name) for name in _OPERATIONS}


def install(cloud: Cloud) -> None:
    """Let these operations have the effects on servers and data that they have on AWS."""
    for name in _OPERATIONS:
        setattr(RDSResponse, name, _answered(name, cloud))


def _answered(name: str, cloud: Cloud) -> Callable[[Any], ActionResult]:
    def answer(response: Any) -> ActionResult:
        # all of Aurora is behind it, which nobody waits for who only starts a cloud
        from localcloud.resources import rds_backup_operations  # noqa: PLC0415

        operation = getattr(rds_backup_operations, _OPERATIONS[name])
        result: ActionResult = operation(response, cloud, _motos[name])
        return result

    return answer
