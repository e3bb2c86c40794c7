"""Where the local cloud reaches into moto's EC2 beyond its public server, and why."""

from __future__ import annotations

from typing import Any

from moto.ec2.models.managed_prefixes import ManagedPrefixListBackend

from localcloud.network.prefix_lists import IDS

_create = ManagedPrefixListBackend._create_aws_managed_prefix_list


def install() -> None:
    """Let AWS's prefix lists have AWS's ids: a rule that names one by its id would name nothing."""
    ManagedPrefixListBackend._create_aws_managed_prefix_list = _create_with_its_id


def _create_with_its_id(backend: Any, name: str, **more: Any) -> None:
    _create(backend, name, **more)
    lists = backend.managed_prefix_lists
    made = next(one for one in lists.values() if one.prefix_list_name == name)
    del lists[made.id]
    made.id = IDS.get(name, made.id)
    made.prefix_list_arn = made.arn(backend.region_name, made.owner_id)
    lists[made.id] = made
