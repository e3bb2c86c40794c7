"""Where something stands in a VPC, as rules and routes see it; read from moto at the moment of asking."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from moto.ec2.models import EC2Backend, ec2_backends
from moto.rds.models import DBInstanceClustered, rds_backends

from localcloud.functions.configuration import FunctionConfiguration

_RESERVED_AT_START, _RESERVED = 4, 5
"""Of a subnet's addresses: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html"""


class Dropped(Exception):
    """Nothing passes, as when packets are dropped; the message names the rule or route that is missing."""


@dataclass(frozen=True)
class Interface:
    """An address in each of its subnets, and the security groups of them all.

    In which of its subnets a function runs or an instance stands is AWS's choice and changes: all have to do.
    """

    ec2: EC2Backend
    vpc_id: str
    addresses: Mapping[str, IPv4Address]
    """By subnet. They are made up, but always the same for one name."""
    security_groups: tuple[str, ...]
    public: bool = False
    """Whether it has a public address too."""


def of_function(function: FunctionConfiguration) -> Interface | None:
    """Return where a function stands; None outside of any VPC."""
    if not function.subnet_ids:
        return None
    ec2 = ec2_backends[function.account][function.region]
    return interface(ec2, function.name, function.subnet_ids, function.security_group_ids)


def of_cluster(account: str, region: str, identifier: str) -> Interface | None:
    """Return where a cluster stands; None when it is being deleted."""
    rds, ec2 = rds_backends[account][region], ec2_backends[account][region]
    record = rds.clusters.get(identifier)
    if record is None:
        return None
    group = rds.subnet_groups.get(record.db_subnet_group)
    subnets = [one["SubnetIdentifier"] for one in group.subnets] if group else _default_subnets(ec2)
    public = any(
        instance.publicly_accessible
        for instance in rds.databases.values()
        if isinstance(instance, DBInstanceClustered) and instance.db_cluster_identifier == identifier
    )
    return interface(ec2, identifier, subnets, record.vpc_security_group_ids, public=public)


def of_proxy(account: str, region: str, name: str, endpoint: Mapping[str, Any] | None) -> Interface | None:
    """Return where a proxy, or a further `endpoint` of it, stands; None when it is being deleted."""
    record = rds_backends[account][region].db_proxies.get(name)
    if record is None:
        return None
    ec2 = ec2_backends[account][region]
    if endpoint is None:
        return interface(ec2, name, record.vpc_subnet_ids, record.vpc_security_group_ids)
    return interface(ec2, name, endpoint["VpcSubnetIds"], endpoint["VpcSecurityGroupIds"])


def interface(
    ec2: EC2Backend, name: str, subnet_ids: Sequence[str], groups: Sequence[str], *, public: bool = False
) -> Interface:
    """Return an interface of this name. Without a group it has its VPC's default group, as on AWS."""
    subnets = [ec2.get_subnet(subnet_id) for subnet_id in subnet_ids]
    vpc_id = subnets[0].vpc_id
    addresses = {subnet.id: _address(subnet, name) for subnet in subnets}
    given = tuple(groups) or (ec2.get_default_security_group(vpc_id).id,)
    return Interface(ec2, vpc_id, addresses, given, public)


def _address(subnet: Any, name: str) -> IPv4Address:
    network = IPv4Network(subnet.cidr_block)
    return network[_RESERVED_AT_START + zlib.crc32(name.encode()) % (network.num_addresses - _RESERVED)]


def _default_subnets(ec2: EC2Backend) -> list[str]:
    return [subnet.id for subnet in ec2.describe_subnets(filters={"vpc-id": [ec2.default_vpc.id]})]
