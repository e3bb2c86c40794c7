"""Problems of a network's settings."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from stacks.settings import NetworkSettings
from stacks.validation.logs import of_log_retention

_PRIVATE_NETWORKS = [ipaddress.IPv4Network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


def of_network(network: NetworkSettings) -> Iterator[str]:
    """Yield what is wrong with zones, addresses and flow logs."""
    zones = network.availability_zones
    if len(set(zones)) != len(zones):
        yield f"availability_zones={zones} names a zone twice; name three different ones"
    if not 3 <= len(set(zones)) <= 6:
        yield (
            f"availability_zones={zones}: {len(set(zones))} zones; a cluster that survives the loss of one "
            "needs three (six at most); name them"
        )
    yield from _of_cidr(network.cidr)
    yield from of_log_retention("flow_log_retention_days", network.flow_log_retention_days)


def _of_cidr(cidr: str) -> Iterator[str]:
    try:
        addresses = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        yield f"cidr={cidr!r}: {error}; write an IPv4 network such as 10.20.0.0/16"
        return
    if not 16 <= addresses.prefixlen <= 22:
        yield (
            f"cidr={cidr}: /{addresses.prefixlen} is outside /16 to /22: AWS has no larger networks, and the "
            "subnets of a smaller one have no room for instances, proxy and functions; choose for example /16"
        )
    if not any(addresses.subnet_of(private) for private in _PRIVATE_NETWORKS):
        yield f"cidr={cidr} is not private (RFC 1918); choose a part of 10.0.0.0/8"
