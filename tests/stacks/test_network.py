"""What the network promises."""

from __future__ import annotations

from tests.stacks.synthesized import referred


def test_no_subnet_has_a_way_to_the_internet_or_back(synthesized):
    for resource_type in (
        "InternetGateway",
        "NatGateway",
        "EgressOnlyInternetGateway",
        "VPNGateway",
        "Route",
    ):
        assert not synthesized.has_type(f"AWS::EC2::{resource_type}")
    for subnet in synthesized.of_type("AWS::EC2::Subnet").values():
        assert subnet["MapPublicIpOnLaunch"] is False


def test_three_subnets_lie_in_three_zones(synthesized):
    subnets = synthesized.of_type("AWS::EC2::Subnet").values()
    assert len(subnets) == 3
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 3


def test_the_default_security_group_is_closed(synthesized):
    vpc_id, _ = synthesized.the_one("AWS::EC2::VPC")
    _, closing = synthesized.the_one("Custom::VpcRestrictDefaultSG")
    assert closing["DefaultSecurityGroupId"] == {"Fn::GetAtt": [vpc_id, "DefaultSecurityGroup"]}


def test_all_traffic_is_logged_to_a_group_that_forgets(synthesized):
    vpc_id, _ = synthesized.the_one("AWS::EC2::VPC")
    _, flow_log = synthesized.the_one("AWS::EC2::FlowLog")
    assert flow_log["TrafficType"] == "ALL"
    assert flow_log["ResourceType"] == "VPC"
    assert referred(flow_log["ResourceId"]) == {vpc_id}
    (group,) = referred(flow_log["LogGroupName"])
    assert synthesized.resources[group]["Properties"]["RetentionInDays"] >= 1


def test_flow_logs_may_be_written_by_their_service_to_their_group_only(synthesized):
    _, flow_log = synthesized.the_one("AWS::EC2::FlowLog")
    (role,) = referred(flow_log["DeliverLogsPermissionArn"])
    trust = synthesized.resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert [statement["Principal"] for statement in trust] == [{"Service": "vpc-flow-logs.amazonaws.com"}]
    (statement,) = synthesized.statements_of(flow_log["DeliverLogsPermissionArn"])
    assert referred(statement["Resource"]) == referred(flow_log["LogGroupName"])


def test_every_subnet_reaches_s3_by_the_gateway_endpoint(synthesized):
    endpoints = synthesized.of_type("AWS::EC2::VPCEndpoint").values()
    (s3,) = [endpoint for endpoint in endpoints if endpoint["VpcEndpointType"] == "Gateway"]
    assert "s3" in str(s3["ServiceName"])
    associations = synthesized.of_type("AWS::EC2::SubnetRouteTableAssociation").values()
    assert {table for a in associations for table in referred(a["RouteTableId"])} == referred(
        s3["RouteTableIds"]
    )
    assert len(associations) == 3


def test_only_the_client_group_reaches_secrets_manager(synthesized):
    endpoints = synthesized.of_type("AWS::EC2::VPCEndpoint").values()
    (secrets_manager,) = [endpoint for endpoint in endpoints if endpoint["VpcEndpointType"] == "Interface"]
    assert secrets_manager["ServiceName"].endswith(".secretsmanager")
    assert secrets_manager["PrivateDnsEnabled"] is True
    (group,) = referred(secrets_manager["SecurityGroupIds"])
    assert synthesized.admitted(group) == {(synthesized.group_of("Client"), 443)}
    assert synthesized.let_out(group) == set()


def test_no_security_group_admits_an_address_or_lets_anybody_out_to_one(synthesized):
    for group in synthesized.of_type("AWS::EC2::SecurityGroup"):
        for other, _port in synthesized.admitted(group) | synthesized.let_out(group):
            assert "/" not in other, f"{group} and {other}"
