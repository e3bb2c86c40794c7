"""How an API call leaves a VPC: through an endpoint of the service, or a NAT gateway; else not at all.

Names come first, as on AWS: where an interface endpoint has private DNS, the service's name leads to it, and
no route elsewhere helps when its security groups are closed.
https://docs.aws.amazon.com/vpc/latest/privatelink/privatelink-access-aws-services.html
https://docs.aws.amazon.com/vpc/latest/privatelink/gateway-endpoints.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from localcloud.network import security_groups
from localcloud.network.interfaces import Dropped, Interface, interface
from localcloud.network.security_groups import ANYWHERE, Peer

HTTPS = 443

_ENDPOINT_NAMES = {
    "ecr": "ecr.api",
    "email": "email-smtp",
    "firehose": "kinesis-firehose",
    "kinesis": "kinesis-streams",
    "sagemaker": "sagemaker.api",
}
"""Where an endpoint's name is not the one that requests are signed with:
https://docs.aws.amazon.com/vpc/latest/privatelink/aws-services-privatelink-support.html"""


@dataclass(frozen=True)
class ServicePath:
    """The way that an API call took out of a VPC."""

    vpc_id: str
    source_address: str
    endpoint_id: str | None = None
    """None: through a NAT gateway, as anybody on the internet."""
    endpoint_policy: str | None = None
    """The policy document of the endpoint, which has to allow the call too."""

    @property
    def context(self) -> Mapping[str, str]:
        """Return what policies may ask for; AWS tells it of calls through an endpoint only."""
        if self.endpoint_id is None:
            return {}
        return {
            "aws:SourceVpc": self.vpc_id,
            "aws:SourceVpce": self.endpoint_id,
            "aws:VpcSourceIp": self.source_address,
        }


def path_to_service(source: Interface, service: str, region: str) -> ServicePath:
    """Return how the source reaches a service, by its signing name, in a region; Dropped when it does not."""
    if not _is_on(source.ec2.get_vpc(source.vpc_id).enable_dns_support):
        raise Dropped(f"EnableDnsSupport of {source.vpc_id} is off: no name is resolved in it")
    wanted = _wanted(source, f"com.amazonaws.{region}.{_ENDPOINT_NAMES.get(service, service)}")
    private = next((one for one in wanted.endpoints if _takes_the_name(source, one)), None)
    if private is not None:
        _enter_endpoint(source, private)
        return _through(source, private)
    hops = [_first_hop(source, subnet_id, wanted) for subnet_id in source.addresses]
    security_groups.leave(source, wanted.public, HTTPS)
    return _through(source, hops[0])


@dataclass(frozen=True)
class _Service:
    name: str
    endpoints: Sequence[Any]
    """All of it that the VPC has, of either kind."""
    public: Peer
    """Its addresses on the internet; anywhere, unless AWS says so by a prefix list."""


def _wanted(source: Interface, name: str) -> _Service:
    ec2 = source.ec2
    endpoints = [
        one
        for one in ec2.vpc_end_points.values()
        if (one.vpc_id, one.service_name, one.state) == (source.vpc_id, name, "available")
    ]
    for listed in ec2.managed_prefix_lists.values():
        if listed.prefix_list_name == name:
            networks = security_groups.prefix_list_networks(listed)
            return _Service(name, endpoints, Peer(networks, prefix_list=listed.id))
    return _Service(name, endpoints, Peer((ANYWHERE,)))


def _through(source: Interface, endpoint: Any | None) -> ServicePath:
    address = str(next(iter(source.addresses.values())))
    if endpoint is None:
        return ServicePath(source.vpc_id, address)
    return ServicePath(source.vpc_id, address, endpoint.id, endpoint.policy_document)


def require_open_subnets(target: Interface) -> None:
    """Let the internet in where every subnet has a route to an internet gateway; else Dropped."""
    for subnet_id in target.addresses:
        if not _is_public(target, subnet_id):
            raise Dropped(f"{subnet_id} has no route to an internet gateway")


def _takes_the_name(source: Interface, endpoint: Any) -> bool:
    """Whether the service's name leads to this endpoint inside of the VPC."""
    hostnames = _is_on(source.ec2.get_vpc(source.vpc_id).enable_dns_hostnames)
    return _is_interface(endpoint) and _is_on(endpoint.private_dns_enabled) and hostnames


def _enter_endpoint(source: Interface, endpoint: Any) -> None:
    name = f"{endpoint.id} ({endpoint.service_name})"
    if not endpoint.subnet_ids:
        raise Dropped(f"{name} is in no subnet")
    target = interface(source.ec2, endpoint.id, endpoint.subnet_ids, endpoint.security_group_ids)
    try:
        security_groups.check(source, target, HTTPS)
    except Dropped as reason:
        raise Dropped(f"{name}: {reason}") from None


def _first_hop(source: Interface, subnet_id: str, wanted: _Service) -> Any | None:
    """Return the gateway endpoint that a subnet's route table leads to; None for the internet."""
    table = _route_table(source, subnet_id)
    for endpoint in wanted.endpoints:
        if not _is_interface(endpoint) and table.id in endpoint.route_table_ids:
            return endpoint
    try:
        _require_internet(source, table, subnet_id, wanted.public)
    except Dropped as reason:
        without = [_why_not_through(one, table) for one in wanted.endpoints]
        nothing = f"{source.vpc_id} has no endpoint of {wanted.name}"
        raise Dropped(f"{', '.join(without) or nothing}, and {reason}") from None
    return None


def _why_not_through(endpoint: Any, table: Any) -> str:
    name = f"{endpoint.id} ({endpoint.service_name})"
    if not _is_interface(endpoint):
        return f"{name} is not on {table.id}"
    if not _is_on(endpoint.private_dns_enabled):
        return f"{name} has no private DNS"
    return f"private DNS of {name} has no effect while EnableDnsHostnames of {endpoint.vpc_id} is off"


def _require_internet(source: Interface, table: Any, subnet_id: str, public: Peer) -> None:
    """Let pass what a NAT gateway takes to the internet, and what leads where this cannot follow."""
    here = f"{table.id} of {subnet_id}"
    route = _route(table, public)
    if route is None:
        raise Dropped(f"{here} has no route to the internet")
    if _is_internet_gateway(route):
        raise Dropped(
            f"{here} leads to {route.gateway_id}: a function has no public address to go there with"
        )
    if route.nat_gateway is not None:
        _require_way_out(source, route.nat_gateway)


def _require_way_out(source: Interface, nat: Any) -> None:
    if nat.id not in source.ec2.nat_gateways or nat.connectivity_type != "public":
        raise Dropped(f"{nat.id} is no public NAT gateway")
    if not _is_public(source, nat.subnet_id):
        raise Dropped(f"{nat.id} stands in {nat.subnet_id}, which has no route to an internet gateway")


def _is_public(of_vpc: Interface, subnet_id: str) -> bool:
    route = _route(_route_table(of_vpc, subnet_id), Peer((ANYWHERE,)))
    return route is not None and _is_internet_gateway(route)


def _is_internet_gateway(route: Any) -> bool:
    return (route.gateway_id or "").startswith("igw-")


def _route(table: Any, peer: Peer) -> Any | None:
    """Return the narrowest route that takes all of the peer's addresses."""
    found = [
        (network.prefixlen, index)
        for index, route in enumerate(table.routes)
        if route.destination_cidr_block and not route.local
        for network in [IPv4Network(route.destination_cidr_block)]
        if all(one.subnet_of(network) for one in peer.networks)
    ]
    return table.routes[max(found)[1]] if found else None


def _route_table(source: Interface, subnet_id: str) -> Any:
    """Return the table that the subnet is associated with, else its VPC's main one."""
    tables = [one for one in source.ec2.route_tables.values() if one.vpc_id == source.vpc_id]
    for table in tables:
        if any(association.get("SubnetId") == subnet_id for association in table.associations):
            return table
    return next(table for table in tables if table.main_association_id)


def _is_interface(endpoint: Any) -> bool:
    return bool((endpoint.vpc_endpoint_type or "Gateway").lower() == "interface")


def _is_on(attribute: Any) -> bool:
    """Whether an attribute is true, or written so."""
    return str(attribute).lower() == "true"
