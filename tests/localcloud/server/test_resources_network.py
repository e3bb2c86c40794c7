"""Networks as EC2 shows them: what a template says arrives, changes and goes."""

from __future__ import annotations

import json
from typing import Any

from tests.localcloud.server.deploying import (
    TRUST,
    gone,
    network,
    ref,
    resource,
    tags,
    tags_of,
)


def test_a_public_network(server, stack):
    parts = {
        "Gateway": resource("AWS::EC2::InternetGateway", Tags=tags(Name="out")),
        "Attachment": resource(
            "AWS::EC2::VPCGatewayAttachment", VpcId=ref("Vpc"), InternetGatewayId=ref("Gateway")
        ),
        "Table": resource("AWS::EC2::RouteTable", VpcId=ref("Vpc"), Tags=tags(Name="public")),
        "Association": resource(
            "AWS::EC2::SubnetRouteTableAssociation", SubnetId=ref("Subnet"), RouteTableId=ref("Table")
        ),
        "Route": {
            **resource(
                "AWS::EC2::Route",
                RouteTableId=ref("Table"),
                DestinationCidrBlock="0.0.0.0/0",
                GatewayId=ref("Gateway"),
            ),
            "DependsOn": "Attachment",
        },
        "Address": resource("AWS::EC2::EIP", Domain="vpc", Tags=tags(Name="nat")),
        "Nat": resource(
            "AWS::EC2::NatGateway",
            SubnetId=ref("Subnet"),
            AllocationId={"Fn::GetAtt": ["Address", "AllocationId"]},
            Tags=tags(Name="nat"),
        ),
        "Interface": resource(
            "AWS::EC2::NetworkInterface",
            SubnetId=ref("Subnet"),
            Description="mine",
            GroupSet=[{"Fn::GetAtt": ["Vpc", "DefaultSecurityGroup"]}],
        ),
    }
    ids, ec2 = stack.deploy(**network(**parts)), server.client("ec2")
    [vpc] = ec2.describe_vpcs(VpcIds=[ids["Vpc"]])["Vpcs"]
    assert vpc["CidrBlock"] == "10.9.0.0/16" and tags_of(vpc)["Name"] == "net"
    names = ec2.describe_vpc_attribute(VpcId=ids["Vpc"], Attribute="enableDnsHostnames")
    assert names["EnableDnsHostnames"]["Value"] is True
    [subnet] = ec2.describe_subnets(SubnetIds=[ids["Subnet"]])["Subnets"]
    assert subnet["MapPublicIpOnLaunch"] is True and subnet["AvailabilityZone"] == "us-east-1b"
    [table] = ec2.describe_route_tables(RouteTableIds=[ids["Table"]])["RouteTables"]
    assert [one["SubnetId"] for one in table["Associations"]] == [ids["Subnet"]]
    assert {one["DestinationCidrBlock"]: one.get("GatewayId") for one in table["Routes"]}["0.0.0.0/0"] == (
        ids["Gateway"]
    )
    [gateway] = ec2.describe_internet_gateways(InternetGatewayIds=[ids["Gateway"]])["InternetGateways"]
    assert gateway["Attachments"][0]["VpcId"] == ids["Vpc"]
    [nat] = ec2.describe_nat_gateways(NatGatewayIds=[ids["Nat"]])["NatGateways"]
    assert nat["SubnetId"] == ids["Subnet"] and nat["NatGatewayAddresses"][0]["PublicIp"] == ids["Address"]

    parts["Route"]["Properties"] = {
        "RouteTableId": ref("Table"),
        "DestinationCidrBlock": "0.0.0.0/0",
        "NatGatewayId": ref("Nat"),
    }
    changed = network(**parts)
    changed["Subnet"]["Properties"].update(MapPublicIpOnLaunch=False, Tags=tags(Other="x"))
    assert stack.deploy(**changed) == ids, "all of that happens in place"
    [subnet] = ec2.describe_subnets(SubnetIds=[ids["Subnet"]])["Subnets"]
    assert subnet["MapPublicIpOnLaunch"] is False and tags_of(subnet) == {"Other": "x"}
    [table] = ec2.describe_route_tables(RouteTableIds=[ids["Table"]])["RouteTables"]
    assert ids["Nat"] in [one.get("NatGatewayId") for one in table["Routes"]]

    stack.delete()
    assert gone(ec2.describe_vpcs, VpcIds=[ids["Vpc"]])
    assert gone(ec2.describe_subnets, SubnetIds=[ids["Subnet"]])
    assert ec2.describe_addresses(PublicIps=[])["Addresses"] == []
    assert gone(ec2.describe_network_interfaces, NetworkInterfaceIds=[ids["Interface"]])


def test_endpoints_and_flow_logs(server, stack):
    def parts(**changed: Any) -> dict[str, Any]:
        secrets = {
            "VpcId": ref("Vpc"),
            "ServiceName": "com.amazonaws.us-east-1.secretsmanager",
            "VpcEndpointType": "Interface",
            "PrivateDnsEnabled": True,
            "SubnetIds": [ref("Subnet")],
            "SecurityGroupIds": [ref("Group")],
        }
        return network(
            Table=resource("AWS::EC2::RouteTable", VpcId=ref("Vpc")),
            Group=resource("AWS::EC2::SecurityGroup", GroupDescription="endpoint", VpcId=ref("Vpc")),
            S3=resource(
                "AWS::EC2::VPCEndpoint",
                VpcId=ref("Vpc"),
                ServiceName="com.amazonaws.us-east-1.s3",
                VpcEndpointType="Gateway",
                RouteTableIds=[ref("Table")],
            ),
            Secrets=resource("AWS::EC2::VPCEndpoint", **{**secrets, **changed}),
            Logs=resource("AWS::Logs::LogGroup"),
            Role=resource("AWS::IAM::Role", AssumeRolePolicyDocument=TRUST),
            Flow=resource(
                "AWS::EC2::FlowLog",
                ResourceId=ref("Vpc"),
                ResourceType="VPC",
                TrafficType="ALL",
                LogGroupName=ref("Logs"),
                DeliverLogsPermissionArn={"Fn::GetAtt": ["Role", "Arn"]},
            ),
        )

    ids, ec2 = stack.deploy(**parts()), server.client("ec2")
    [s3] = ec2.describe_vpc_endpoints(VpcEndpointIds=[ids["S3"]])["VpcEndpoints"]
    assert s3["RouteTableIds"] == [ids["Table"]] and s3["VpcEndpointType"] == "Gateway"
    [table] = ec2.describe_route_tables(RouteTableIds=[ids["Table"]])["RouteTables"]
    assert ids["S3"] in [one.get("GatewayId") for one in table["Routes"]]
    [secrets] = ec2.describe_vpc_endpoints(VpcEndpointIds=[ids["Secrets"]])["VpcEndpoints"]
    assert secrets["SubnetIds"] == [ids["Subnet"]] and secrets["Groups"][0]["GroupId"] == ids["Group"]
    assert secrets["PrivateDnsEnabled"] is True and len(secrets["NetworkInterfaceIds"]) == 1
    [flow] = ec2.describe_flow_logs(FlowLogIds=[ids["Flow"]])["FlowLogs"]
    assert flow["LogGroupName"] == ids["Logs"] and flow["TrafficType"] == "ALL"

    policy = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}
    assert stack.deploy(**parts(PrivateDnsEnabled=False, PolicyDocument=policy)) == ids
    [secrets] = ec2.describe_vpc_endpoints(VpcEndpointIds=[ids["Secrets"]])["VpcEndpoints"]
    assert secrets["PrivateDnsEnabled"] is False and json.loads(secrets["PolicyDocument"]) == policy

    stack.delete()
    assert gone(ec2.describe_vpc_endpoints, VpcEndpointIds=[ids["S3"]])
    assert ec2.describe_flow_logs(FlowLogIds=[ids["Flow"]])["FlowLogs"] == []


def rules(ec2: Any, group: str) -> set[tuple[bool, str, int | None, str]]:
    found = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
    return {
        (
            one["IsEgress"],
            one["IpProtocol"],
            one.get("FromPort"),
            one.get("CidrIpv4") or one.get("ReferencedGroupInfo", {}).get("GroupId", ""),
        )
        for one in found["SecurityGroupRules"]
    }


def test_security_groups(server, stack):
    def parts(port: int, *, closed: bool = True) -> dict[str, Any]:
        nowhere = {"IpProtocol": "icmp", "FromPort": 252, "ToPort": 86, "CidrIp": "255.255.255.255/32"}
        egress = {"SecurityGroupEgress": [nowhere]} if closed else {}
        return network(
            Client=resource(
                "AWS::EC2::SecurityGroup", GroupDescription="c", VpcId=ref("Vpc"), Tags=tags(a="b"), **egress
            ),
            Database=resource(
                "AWS::EC2::SecurityGroup",
                GroupDescription="d",
                VpcId=ref("Vpc"),
                SecurityGroupIngress=[
                    {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": "10.0.0.0/8"}
                ],
            ),
            In=resource(
                "AWS::EC2::SecurityGroupIngress",
                GroupId=ref("Database"),
                IpProtocol="tcp",
                FromPort=5432,
                ToPort=5432,
                SourceSecurityGroupId=ref("Client"),
                Description="from clients",
            ),
            Out=resource(
                "AWS::EC2::SecurityGroupEgress",
                GroupId=ref("Client"),
                IpProtocol="tcp",
                FromPort=5432,
                ToPort=5432,
                DestinationSecurityGroupId=ref("Database"),
            ),
        )

    ids, ec2 = stack.deploy(**parts(80)), server.client("ec2")
    out = (True, "tcp", 5432, ids["Database"])
    into = (False, "tcp", 5432, ids["Client"])
    anywhere = (True, "-1", None, "0.0.0.0/0")
    assert rules(ec2, ids["Client"]) == {(True, "icmp", 252, "255.255.255.255/32"), out}
    assert {
        (*rule[:2], rule[2] if rule[1] != "-1" else None, rule[3]) for rule in rules(ec2, ids["Database"])
    } == {
        anywhere,
        (False, "tcp", 80, "10.0.0.0/8"),
        into,
    }
    assert stack.deploy(**parts(81, closed=False)) == ids
    assert {rule for rule in rules(ec2, ids["Database"]) if not rule[0]} == {
        (False, "tcp", 81, "10.0.0.0/8"),
        into,
    }
    assert {rule[3] for rule in rules(ec2, ids["Client"])} == {ids["Database"]}
    stack.delete()
    assert gone(ec2.describe_security_groups, GroupIds=[ids["Client"]])


def test_the_first_egress_rule_of_a_group_takes_the_place_of_the_default(server, stack):
    def group(**rules: Any) -> dict[str, Any]:
        return network(
            Group=resource("AWS::EC2::SecurityGroup", GroupDescription="g", VpcId=ref("Vpc")), **rules
        )

    out = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "10.0.0.0/8"}
    ids, ec2 = stack.deploy(**group()), server.client("ec2")
    assert {rule[3] for rule in rules(ec2, ids["Group"])} == {"0.0.0.0/0"}
    stack.deploy(**group(Out=resource("AWS::EC2::SecurityGroupEgress", GroupId=ref("Group"), **out)))
    assert {rule[3] for rule in rules(ec2, ids["Group"])} == {"10.0.0.0/8"}
    stack.deploy(**group())
    assert rules(ec2, ids["Group"]) == set()


def test_a_subnet_with_an_interface_in_it_cannot_be_deleted(server, stack):
    ids, ec2 = stack.deploy(**network()), server.client("ec2")
    interface = ec2.create_network_interface(SubnetId=ids["Subnet"])["NetworkInterface"]["NetworkInterfaceId"]
    server.client("cloudformation").delete_stack(StackName=stack.name)
    assert any("has dependencies" in reason and interface in reason for reason in stack.reasons())
    ec2.delete_network_interface(NetworkInterfaceId=interface)
    stack.delete()
