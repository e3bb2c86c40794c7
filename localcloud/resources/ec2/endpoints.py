"""VPC endpoints, flow logs and network interfaces."""

from __future__ import annotations

from typing import Any, ClassVar

from localcloud.authorization import services_acting
from localcloud.resources.base import Handler, Properties, Provisioned, Request, ResourceFailed
from localcloud.resources.ec2.backend import Tagged, backend, tag, tags_of
from localcloud.resources.on_moto import document, gone_is_deleted


class VpcEndpoint(Tagged):
    """A gateway or interface endpoint of an AWS service."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {
            "PolicyDocument",
            "PrivateDnsEnabled",
            "RouteTableIds",
            "SecurityGroupIds",
            "ServiceName",
            "SubnetIds",
            "Tags",
            "VpcEndpointType",
            "VpcId",
        }
    )
    no_local_effect: ClassVar[frozenset[str]] = frozenset({"DnsOptions", "IpAddressType"})

    def create(self, request: Request) -> Provisioned:
        """Create the endpoint; Ref yields its id."""
        given = request.properties
        endpoint = backend(request).create_vpc_endpoint(
            given["VpcId"],
            given["ServiceName"],
            given.get("VpcEndpointType", "Gateway"),
            document(given["PolicyDocument"]) if "PolicyDocument" in given else None,
            given.get("RouteTableIds", []),
            given.get("SubnetIds", []),
            security_group_ids=given.get("SecurityGroupIds", []),
            private_dns_enabled=str(given.get("PrivateDnsEnabled", "")).lower() == "true",
        )
        tag(request, endpoint.id, {})
        attributes = {
            "CreationTimestamp": str(endpoint.creation_timestamp),
            "DnsEntries": [
                f"{one['hosted_zone_id']}:{one['dns_name']}" for one in endpoint.dns_entries or []
            ],
            "Id": endpoint.id,
            "NetworkInterfaceIds": list(endpoint.network_interface_ids or []),
        }
        return Provisioned(endpoint.id, attributes)

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring policy, subnets, route tables and security groups to what the template says."""
        given = request.properties
        endpoint = backend(request).vpc_end_points[current.physical_id]
        endpoint.modify(
            document(given["PolicyDocument"]) if "PolicyDocument" in given else None,
            *_difference("SubnetIds", previous, given),
            *_difference("RouteTableIds", previous, given),
            *_difference("SecurityGroupIds", previous, given),
        )
        endpoint.private_dns_enabled = str(given.get("PrivateDnsEnabled", "")).lower() == "true"
        return super().update(request, current, previous)

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the endpoint with its network interfaces and routes. moto would go on listing it."""
        ec2 = backend(request)
        endpoint = ec2.vpc_end_points.pop(current.physical_id, None)
        if endpoint is None:
            return
        for interface in endpoint.network_interface_ids or []:
            ec2.enis.pop(interface, None)
        for table in endpoint.route_table_ids or []:
            with gone_is_deleted():
                ec2.delete_route(table, None, destination_prefix_list_id=endpoint.destination_prefix_list_id)

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return the endpoint's place, policy and tags."""
        endpoint = backend(request).vpc_end_points.get(current.physical_id)
        if endpoint is None:
            return None
        return {
            "PolicyDocument": endpoint.policy_document,
            "PrivateDnsEnabled": endpoint.private_dns_enabled,
            "RouteTableIds": list(endpoint.route_table_ids or []),
            "SecurityGroupIds": list(endpoint.security_group_ids or []),
            "ServiceName": endpoint.service_name,
            "SubnetIds": list(endpoint.subnet_ids or []),
            "Tags": tags_of(request, endpoint.id),
            "VpcEndpointType": endpoint.vpc_endpoint_type,
            "VpcId": endpoint.vpc_id,
        }


class FlowLog(Tagged):
    """A flow log. Nothing flows here: its log stays empty."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {
            "DeliverLogsPermissionArn",
            "LogDestination",
            "LogDestinationType",
            "LogFormat",
            "LogGroupName",
            "MaxAggregationInterval",
            "ResourceId",
            "ResourceType",
            "Tags",
            "TrafficType",
        }
    )
    no_local_effect: ClassVar[frozenset[str]] = frozenset({"DestinationOptions"})

    def create(self, request: Request) -> Provisioned:
        """Create the flow log; Ref yields its id."""
        given = request.properties
        created, refused = backend(request).create_flow_logs(
            given["ResourceType"],
            [given["ResourceId"]],
            given.get("TrafficType"),
            given.get("DeliverLogsPermissionArn"),
            given.get("LogDestinationType"),
            given.get("LogDestination"),
            given.get("LogGroupName"),
            given.get("LogFormat"),
            int(given.get("MaxAggregationInterval", 600)),
        )
        if refused:
            raise ResourceFailed(str(refused[0][2]))
        _tell_whether_it_arrives(request, created[0])
        tag(request, created[0].id, {})
        return Provisioned(created[0].id, {"Id": created[0].id})

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the flow log."""
        with gone_is_deleted():
            backend(request).delete_flow_logs([current.physical_id])

    def read(self, request: Request, current: Provisioned) -> Properties | None:
        """Return what is logged, and where."""
        found = backend(request).flow_logs.get(current.physical_id)
        if found is None:
            return None
        return {
            "DeliverLogsPermissionArn": found.deliver_logs_permission_arn,
            "LogDestinationType": found.log_destination_type,
            "LogGroupName": found.log_group_name,
            "MaxAggregationInterval": found.max_aggregation_interval,
            "ResourceId": found.resource_id,
            "Tags": tags_of(request, found.id),
            "TrafficType": found.traffic_type,
        }


def _tell_whether_it_arrives(request: Request, flow_log: Any) -> None:
    """A role that does not fit shows in the flow log's status only, as on AWS."""
    role, group = (request.properties.get(name) for name in ("DeliverLogsPermissionArn", "LogGroupName"))
    if (
        role
        and group
        and not services_acting.may_deliver_flow_logs(request.cloud, role, request.region, group)
    ):
        flow_log.deliver_logs_status, flow_log.deliver_logs_error_message = "FAILED", "Access error"


class NetworkInterface(Tagged):
    """A network interface."""

    supported: ClassVar[frozenset[str] | None] = frozenset(
        {"Description", "GroupSet", "PrivateIpAddress", "SourceDestCheck", "SubnetId", "Tags"}
    )

    def create(self, request: Request) -> Provisioned:
        """Create the interface; Ref yields its id."""
        ec2, given = backend(request), request.properties
        interface = ec2.create_network_interface(
            ec2.get_subnet(given["SubnetId"]),
            given.get("PrivateIpAddress"),
            group_ids=given.get("GroupSet"),
            description=given.get("Description"),
        )
        tag(request, interface.id, {})
        attributes = {
            "Id": interface.id,
            "PrimaryPrivateIpAddress": interface.private_ip_address,
            "VpcId": ec2.get_subnet(given["SubnetId"]).vpc_id,
        }
        return Provisioned(interface.id, attributes)

    def update(self, request: Request, current: Provisioned, previous: Properties) -> Provisioned:
        """Bring groups, description and tags to what the template says."""
        given: dict[str, Any] = request.properties
        backend(request).modify_network_interface_attribute(
            current.physical_id,
            given.get("GroupSet", []),
            str(given.get("SourceDestCheck", "true")).lower() == "true",
            given.get("Description"),
        )
        return super().update(request, current, previous)

    def delete(self, request: Request, current: Provisioned) -> None:
        """Delete the interface."""
        with gone_is_deleted():
            backend(request).delete_network_interface(current.physical_id)


def _difference(name: str, previous: Properties, properties: Properties) -> tuple[list[str], list[str]]:
    """Return what an update adds to a list, and what it takes away."""
    old, new = previous.get(name, []), properties.get(name, [])
    return [one for one in new if one not in old], [one for one in old if one not in new]


HANDLERS: dict[str, Handler] = {
    "AWS::EC2::FlowLog": FlowLog(),
    "AWS::EC2::NetworkInterface": NetworkInterface(),
    "AWS::EC2::VPCEndpoint": VpcEndpoint(),
}
