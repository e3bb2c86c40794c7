"""VPCs, their address blocks, and subnets."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from localcloud.resources.base import Handler, Properties, Provisioned, Request, ResourceFailed
from localcloud.resources.ec2.backend import Fixed, Tagged, backend, tag, tags_of, truth
from localcloud.resources.on_moto import gone_is_deleted


class Vpc(Tagged):
    """A VPC, with its default security group and network ACL."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"CidrBlock", "EnableDnsHostnames", "EnableDnsSupport", "InstanceTenancy", "Tags"}
    )

    def create(self, request: Request) -> Provisioned:
        """Create the VPC; Ref yields its id."""
        given = request.properties
        vpc = backend(request).create_vpc(given["CidrBlock"], given.get("InstanceTenancy", "default"))
        created = Provisioned(vpc.id, lambda name: self._attribute(request, vpc.id, name))
        return self.update(request, created, {})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring tags and DNS settings to what the template says."""
        ec2, given = backend(request), request.properties
        support, names = truth(given, "EnableDnsSupport", default=True), truth(given, "EnableDnsHostnames")
        ec2.modify_vpc_attribute(current.physical_id, "enable_dns_support", support)
        ec2.modify_vpc_attribute(current.physical_id, "enable_dns_hostnames", names)
        if previous and previous.get("InstanceTenancy") != given.get("InstanceTenancy"):
            ec2.modify_vpc_tenancy(current.physical_id, given.get("InstanceTenancy", "default"))
        return super().update(request, current, previous)

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the VPC; one with subnets fails."""
        with gone_is_deleted():
            backend(request).delete_vpc(current.physical_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return block, tenancy, DNS settings and tags."""
        vpc = backend(request).vpcs.get(current.physical_id)
        if vpc is None:
            return None
        return {
            "CidrBlock": vpc.cidr_block,
            "EnableDnsHostnames": vpc.enable_dns_hostnames,
            "EnableDnsSupport": vpc.enable_dns_support,
            "InstanceTenancy": vpc.instance_tenancy,
            "Tags": tags_of(request, vpc.id),
        }

    def _attribute(self, request: Request, vpc_id: str, name: str) -> object:
        ec2 = backend(request)
        found: dict[str, Callable[[], object]] = {
            "VpcId": lambda: vpc_id,
            "CidrBlock": lambda: ec2.get_vpc(vpc_id).cidr_block,
            "CidrBlockAssociations": lambda: list(ec2.get_vpc(vpc_id).cidr_block_association_set),
            "DefaultNetworkAcl": lambda: (
                ec2.describe_network_acls(filters={"vpc-id": [vpc_id], "default": ["true"]})[0].id
            ),
            "DefaultSecurityGroup": lambda: ec2.get_security_group_from_name("default", vpc_id).id,
            "Ipv6CidrBlocks": lambda: [
                one["cidr_block"] for one in ec2.get_vpc(vpc_id).get_cidr_block_association_set(ipv6=True)
            ],
        }
        return found[name]()


class VpcCidrBlock(Fixed):
    """One more block of addresses of a VPC."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"AmazonProvidedIpv6CidrBlock", "CidrBlock", "VpcId"}
    )

    def create(self, request: Request) -> Provisioned:
        """Associate the block."""
        given = request.properties
        association = backend(request).associate_vpc_cidr_block(
            given["VpcId"], given.get("CidrBlock"), truth(given, "AmazonProvidedIpv6CidrBlock")
        )
        return Provisioned(association["association_id"], {"Id": association["association_id"]})

    def delete(self, request: Request, current: Provisioned) -> None:
        """Disassociate the block."""
        with gone_is_deleted():
            backend(request).disassociate_vpc_cidr_block(current.physical_id)


class Subnet(Tagged):
    """A subnet of a zone."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {
            "AssignIpv6AddressOnCreation",
            "AvailabilityZone",
            "AvailabilityZoneId",
            "CidrBlock",
            "Ipv6CidrBlock",
            "MapPublicIpOnLaunch",
            "Tags",
            "VpcId",
        }
    )
    no_local_effect: ClassVar[frozenset[str]] = frozenset({"EnableDns64", "PrivateDnsNameOptionsOnLaunch"})

    def create(self, request: Request) -> Provisioned:
        """Create the subnet; Ref yields its id."""
        ec2, given = backend(request), request.properties
        if "CidrBlock" not in given:
            raise ResourceFailed("The local cloud makes subnets with CidrBlock only")
        zone = given.get("AvailabilityZone")
        subnet = ec2.create_subnet(
            given["VpcId"],
            given["CidrBlock"],
            given.get("Ipv6CidrBlock"),
            zone if zone or "AvailabilityZoneId" in given else f"{request.region}a",
            given.get("AvailabilityZoneId"),
        )
        acl = ec2.describe_network_acls(filters={"association.subnet-id": [subnet.id]})[0]
        association = next(one.id for one in acl.associations if one.subnet_id == subnet.id)
        attributes = {
            "AvailabilityZone": subnet.availability_zone,
            "CidrBlock": subnet.cidr_block,
            "NetworkAclAssociationId": association,
            "SubnetId": subnet.id,
            "VpcId": given["VpcId"],
        }
        return self.update(request, Provisioned(subnet.id, attributes), {})

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring tags and public addresses to what the template says."""
        ec2, subnet_id, given = backend(request), current.physical_id, request.properties
        ec2.modify_subnet_attribute(subnet_id, "map_public_ip_on_launch", truth(given, "MapPublicIpOnLaunch"))
        ec2.modify_subnet_attribute(
            subnet_id, "assign_ipv6_address_on_creation", truth(given, "AssignIpv6AddressOnCreation")
        )
        tag(request, subnet_id, previous)
        return current

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the subnet; AWS refuses while network interfaces are in it, and so does this."""
        ec2, subnet_id = backend(request), current.physical_id
        # an endpoint's interface has its subnet's id where others have the subnet
        inside = [one.id for one in ec2.enis.values() if getattr(one.subnet, "id", one.subnet) == subnet_id]
        if inside:
            raise ResourceFailed(
                f"The subnet '{subnet_id}' has dependencies ({', '.join(inside)}) and cannot be deleted. "
                "(Error Code: DependencyViolation)"
            )
        with gone_is_deleted():
            ec2.delete_subnet(subnet_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return zone, block, addresses and tags."""
        zones = backend(request).subnets.values()
        subnet = next((zone[current.physical_id] for zone in zones if current.physical_id in zone), None)
        if subnet is None:
            return None
        return {
            "AssignIpv6AddressOnCreation": subnet.assign_ipv6_address_on_creation,
            "AvailabilityZone": subnet.availability_zone,
            "CidrBlock": subnet.cidr_block,
            "MapPublicIpOnLaunch": subnet.map_public_ip_on_launch,
            "Tags": tags_of(request, subnet.id),
            "VpcId": subnet.vpc_id,
        }


HANDLERS: dict[str, Handler] = {
    "AWS::EC2::Subnet": Subnet(),
    "AWS::EC2::VPC": Vpc(),
    "AWS::EC2::VPCCidrBlock": VpcCidrBlock(),
}
