"""Route tables, routes, and the gateways that they lead to."""

from __future__ import annotations

from typing import ClassVar

from localcloud.resources.base import Handler, Properties, Provisioned, Request
from localcloud.resources.ec2.backend import Fixed, Tagged, backend, tag, tags_of
from localcloud.resources.on_moto import OnMoto, gone_is_deleted, tag_map

_TARGETS = {
    "EgressOnlyInternetGatewayId": "egress_only_igw_id",
    "GatewayId": "gateway_id",
    "InstanceId": "instance_id",
    "NatGatewayId": "nat_gateway_id",
    "NetworkInterfaceId": "interface_id",
    "TransitGatewayId": "transit_gateway_id",
    "VpcPeeringConnectionId": "vpc_peering_connection_id",
}
_DESTINATIONS = {
    "DestinationCidrBlock": "destination_cidr_block",
    "DestinationIpv6CidrBlock": "destination_ipv6_cidr_block",
    "DestinationPrefixListId": "destination_prefix_list_id",
}


class RouteTable(Tagged):
    """A route table."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"Tags", "VpcId"})

    def create(self, request: Request) -> Provisioned:
        """Create the table; Ref yields its id."""
        table = backend(request).create_route_table(request.properties["VpcId"])
        tag(request, table.id, {})
        return Provisioned(table.id, {"RouteTableId": table.id})

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the table."""
        with gone_is_deleted():
            backend(request).delete_route_table(current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return VPC and tags; routes are resources of their own."""
        table = backend(request).route_tables.get(current.physical_id)
        return table and {"Tags": tags_of(request, table.id), "VpcId": table.vpc_id}


class Association(Fixed):
    """AWS::EC2::SubnetRouteTableAssociation: which table a subnet follows."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"RouteTableId", "SubnetId"})

    def create(self, request: Request) -> Provisioned:
        """Associate subnet and table; what the subnet followed before gives way."""
        ec2, given = backend(request), request.properties
        for table in list(ec2.route_tables.values()):
            for one in table.associations:
                if one.get("SubnetId") == given["SubnetId"] and table.id != given["RouteTableId"]:
                    ec2.disassociate_route_table(one["RouteTableAssociationId"])
        association = ec2.associate_route_table(given["RouteTableId"], subnet_id=given["SubnetId"])
        return Provisioned(association, {"Id": association})

    def delete(self, request: Request, current: Provisioned) -> None:
        """Disassociate subnet and table."""
        with gone_is_deleted():
            backend(request).disassociate_route_table(current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the table that the subnet follows by this association."""
        for table in backend(request).route_tables.values():
            for one in table.associations:
                if one.get("RouteTableAssociationId") == current.physical_id:
                    return {"RouteTableId": table.id, "SubnetId": one.get("SubnetId")}
        return None


class Route(OnMoto):
    """A route of a table."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"RouteTableId", *_TARGETS, *_DESTINATIONS})

    def create(self, request: Request) -> Provisioned:
        """Create the route; Ref yields table and destination."""
        given = request.properties
        values = _named(_DESTINATIONS, given)
        backend(request).create_route(
            given["RouteTableId"], **{"destination_cidr_block": None, **values, **_named(_TARGETS, given)}
        )
        destination = next(iter(values.values()))
        return Provisioned(f"{given['RouteTableId']}|{destination}", {"CidrBlock": destination})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Lead the route elsewhere."""
        given = request.properties
        values = {"destination_cidr_block": None, **_named(_DESTINATIONS, given), **_named(_TARGETS, given)}
        backend(request).replace_route(given["RouteTableId"], **values)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the route."""
        given = request.properties
        with gone_is_deleted():
            values = {"destination_cidr_block": None, **_named(_DESTINATIONS, given)}
            backend(request).delete_route(given["RouteTableId"], **values)


class InternetGateway(Tagged):
    """An internet gateway."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"Tags"})

    def create(self, request: Request) -> Provisioned:
        """Create the gateway; Ref yields its id."""
        gateway = backend(request).create_internet_gateway()
        tag(request, gateway.id, {})
        return Provisioned(gateway.id, {"InternetGatewayId": gateway.id})

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the gateway; one that is attached fails."""
        with gone_is_deleted():
            backend(request).delete_internet_gateway(current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the tags."""
        gateway = backend(request).internet_gateways.get(current.physical_id)
        return gateway and {"Tags": tags_of(request, gateway.id)}


class GatewayAttachment(OnMoto):
    """AWS::EC2::VPCGatewayAttachment: an internet gateway at a VPC."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"InternetGatewayId", "VpcId"})
    replaced_by: ClassVar[frozenset[str]] = frozenset({"InternetGatewayId"})

    def create(self, request: Request) -> Provisioned:
        """Attach the gateway."""
        given = request.properties
        backend(request).attach_internet_gateway(given["InternetGatewayId"], given["VpcId"])
        return Provisioned(f"IGW|{given['VpcId']}", {"AttachmentType": "IGW"})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Nothing of it changes in place."""
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Detach the gateway."""
        given = request.properties
        with gone_is_deleted():
            backend(request).detach_internet_gateway(given["InternetGatewayId"], given["VpcId"])


class EgressOnlyInternetGateway(Fixed):
    """A gateway for outgoing IPv6."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"Tags", "VpcId"})
    replaced_by: ClassVar[frozenset[str]] = frozenset({"Tags"})

    def create(self, request: Request) -> Provisioned:
        """Create the gateway; Ref yields its id."""
        gateway = backend(request).create_egress_only_internet_gateway(
            request.properties["VpcId"], tag_map(request.properties)
        )
        return Provisioned(gateway.id, {"Id": gateway.id})

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the gateway."""
        with gone_is_deleted():
            backend(request).delete_egress_only_internet_gateway(current.physical_id)


class ElasticIp(Tagged):
    """AWS::EC2::EIP: a public address. Nothing answers there."""

    supported: ClassVar[frozenset[str] | None] = frozenset({"Domain", "Tags"})
    replaced_by: ClassVar[frozenset[str]] = frozenset({"Domain"})

    def create(self, request: Request) -> Provisioned:
        """Allocate the address; Ref yields it."""
        address = backend(request).allocate_address(request.properties.get("Domain", "vpc"))
        tag(request, address.allocation_id, {})
        attributes = {"AllocationId": address.allocation_id, "PublicIp": address.public_ip}
        return Provisioned(address.public_ip, attributes, address.allocation_id)

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring the tags to what the template says."""
        tag(request, current.state, previous)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Release the address."""
        with gone_is_deleted():
            backend(request).release_address(allocation_id=current.state)


class NatGateway(Tagged):
    """A NAT gateway."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"AllocationId", "ConnectivityType", "SubnetId", "Tags"}
    )
    no_local_effect: ClassVar[frozenset[str]] = frozenset({"MaxDrainDurationSeconds"})

    def create(self, request: Request) -> Provisioned:
        """Create the gateway; Ref yields its id."""
        given = request.properties
        gateway = backend(request).create_nat_gateway(
            given["SubnetId"],
            given.get("AllocationId"),
            connectivity_type=given.get("ConnectivityType", "public"),
        )
        tag(request, gateway.id, {})
        interface = gateway.address_set[0]["networkInterfaceId"] if gateway.address_set else None
        return Provisioned(gateway.id, {"NatGatewayId": gateway.id}, interface)

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the gateway with its network interface, which moto would leave in the subnet."""
        ec2 = backend(request)
        if current.physical_id in ec2.nat_gateways:
            ec2.delete_nat_gateway(current.physical_id)
            del ec2.nat_gateways[current.physical_id]
            ec2.enis.pop(current.state, None)


def _named(names: dict[str, str], properties: Properties) -> dict[str, str]:
    return {argument: properties[name] for name, argument in names.items() if name in properties}


HANDLERS: dict[str, Handler] = {
    "AWS::EC2::EIP": ElasticIp(),
    "AWS::EC2::EgressOnlyInternetGateway": EgressOnlyInternetGateway(),
    "AWS::EC2::InternetGateway": InternetGateway(),
    "AWS::EC2::NatGateway": NatGateway(),
    "AWS::EC2::Route": Route(),
    "AWS::EC2::RouteTable": RouteTable(),
    "AWS::EC2::SubnetRouteTableAssociation": Association(),
    "AWS::EC2::VPCGatewayAttachment": GatewayAttachment(),
}
