"""RDS's records in moto: reading template values, and parameter groups."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from botocore import xform_name
from moto.rds.models import RDSBackend, rds_backends

from localcloud.resources.base import Properties, Request, ResourceFailed

_log = logging.getLogger(__name__)
_DEFAULT_GROUP_PREFIX = "default."


def backend(request: Request) -> RDSBackend:
    """moto's RDS of the stack's account and region."""
    return rds_backends[request.account][request.region]


def moto_arguments(properties: Properties, names: Iterable[str]) -> dict[str, Any]:
    """These properties, as far as given, under the names and of the kinds that moto's RDS takes."""
    return {xform_name(name): _typed(properties[name]) for name in names if name in properties}


def cluster_parameters(request: Request, group: str | None, family: str) -> dict[str, str]:
    """What a cluster parameter group of this family sets; nothing for a default group."""
    return cluster_parameters_of(backend(request), group, family)


def cluster_parameters_of(rds: RDSBackend, group: str | None, family: str) -> dict[str, str]:
    """The same, for who has no request of CloudFormation's."""
    groups = rds.db_cluster_parameter_groups
    families = {name: one.db_parameter_group_family for name, one in groups.items()}
    return _parameters(groups, families, group, family, "cluster parameter group")


def instance_parameters(request: Request, group: str | None, family: str) -> dict[str, str]:
    """What an instance's parameter group of this family sets; nothing for a default group."""
    return instance_parameters_of(backend(request), group, family)


def instance_parameters_of(rds: RDSBackend, group: str | None, family: str) -> dict[str, str]:
    """The same, for who has no request of CloudFormation's."""
    groups = rds.db_parameter_groups
    families = {name: one.family for name, one in groups.items()}
    return _parameters(groups, families, group, family, "parameter group")


def is_default_group(group: str) -> bool:
    """Whether RDS itself keeps this parameter group."""
    return group.startswith(_DEFAULT_GROUP_PREFIX)


def tell_what_has_no_effect(owner: str, without_effect: Mapping[str, str]) -> None:
    """Log the parameters that are accepted and do nothing here."""
    for name, reason in sorted(without_effect.items()):
        _log.warning("%s: parameter %s has no effect here: %s", owner, name, reason)


def _parameters(
    groups: Mapping[str, Any], families: Mapping[str, str], group: str | None, family: str, kind: str
) -> dict[str, str]:
    if group is None:
        return {}
    is_default = is_default_group(group)
    if not is_default and group not in groups:
        raise ResourceFailed(f"{kind} {group} does not exist")
    own = group.removeprefix(_DEFAULT_GROUP_PREFIX) if is_default else families[group]
    if own != family:
        raise ResourceFailed(
            f"The Parameter Group {group} with DBParameterGroupFamily {own} cannot be used for this instance."
            f" Please use a Parameter Group with DBParameterGroupFamily {family}"
        )
    if is_default:
        return {}
    return {name: str(entry["ParameterValue"]) for name, entry in groups[group].parameters.items()}


def _typed(value: Any) -> Any:
    """Numbers and booleans that a template wrote as text, as what they are."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, str) and value.isdecimal() and not value.startswith("0"):
        return int(value)
    return value
