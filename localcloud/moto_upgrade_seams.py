"""Where the local cloud reaches into moto's RDS for upgrades and changes of class, and why."""

from __future__ import annotations

import functools
from typing import Any

from moto.core.responses import ActionResult
from moto.rds.responses import RDSResponse

from localcloud.cloud import Cloud

_modify_db_cluster = RDSResponse.modify_db_cluster
_modify_db_instance = RDSResponse.modify_db_instance


def install(cloud: Cloud) -> None:
    """Upgrade, restart and set parameters where RDS is asked to, and tell what can be upgraded to what."""
    # moto writes into its records what it is asked for, whatever it is, and no server hears of it
    RDSResponse.modify_db_cluster = functools.partialmethod(_modify_cluster, cloud)
    RDSResponse.modify_db_instance = functools.partialmethod(_modify_instance, cloud)
    # moto knows no versions
    RDSResponse.describe_db_engine_versions = _describe_versions


# Behind these is all of Aurora, which nobody waits for who only starts a cloud.


def _modify_cluster(response: Any, cloud: Cloud) -> ActionResult:
    from localcloud.resources import rds_modifications  # noqa: PLC0415

    return rds_modifications.modify_db_cluster(response, cloud, _modify_db_cluster)


def _modify_instance(response: Any, cloud: Cloud) -> ActionResult:
    from localcloud.resources import rds_modifications  # noqa: PLC0415

    return rds_modifications.modify_db_instance(response, cloud, _modify_db_instance)


def _describe_versions(response: Any) -> ActionResult:
    from localcloud.resources import rds_modifications  # noqa: PLC0415

    return rds_modifications.describe_db_engine_versions(response)
