"""The network: isolated subnets without any route to the internet, and the two AWS services reached from them."""

from __future__ import annotations

import ipaddress
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.retention import log_retention
from stacks.settings import Deployment, NetworkSettings

S3_PREFIX_LISTS = {
    "ap-northeast-1": "pl-61a54008",
    "ap-southeast-1": "pl-6fa54006",
    "ap-southeast-2": "pl-6ca54005",
    "eu-central-1": "pl-6ea54007",
    "eu-north-1": "pl-c3aa4faa",
    "eu-west-1": "pl-6da54004",
    "eu-west-2": "pl-7ca54015",
    "us-east-1": "pl-63a5400a",
    "us-east-2": "pl-7ba54012",
    "us-west-2": "pl-68a54001",
}
ISOLATED = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)


class NetworkStack(cdk.Stack):
    """Three zones that nothing outside reaches and that reach nothing outside but Secrets Manager and S3."""

    def __init__(self, scope: Construct, construct_id: str, *, deployment: Deployment) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=deployment.stack_name("network"),
            description=f"Network of shop-{deployment.name}: isolated subnets, endpoints, flow logs",
            env=cdk.Environment(region=deployment.region),
            termination_protection=deployment.termination_protection,
        )
        self.vpc = _isolated_vpc(self, deployment.network)
        self.zones = [_zone_of(subnet) for subnet in self.vpc.isolated_subnets]
        """The zones that the subnets lie in, in their order."""
        _log_flows(self, self.vpc, deployment.network)
        self.secrets_manager_endpoint = _closed_secrets_manager_endpoint(self, self.vpc)


def _isolated_vpc(scope: Construct, settings: NetworkSettings) -> ec2.Vpc:
    # A sixteenth of the network for each subnet: three are used, the others are room for what may come.
    subnet_prefix = ipaddress.ip_network(settings.cidr).prefixlen + 4
    return ec2.Vpc(
        scope,
        "Vpc",
        availability_zones=list(settings.availability_zones),
        ip_addresses=ec2.IpAddresses.cidr(settings.cidr),
        subnet_configuration=[
            ec2.SubnetConfiguration(
                name="Isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=subnet_prefix
            )
        ],
        nat_gateways=0,
        gateway_endpoints={"S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)},
        restrict_default_security_group=True,
    )


def _zone_of(subnet: ec2.ISubnet) -> str:
    """Return the zone as the subnet itself tells it, so that what is placed by it stays beside the subnet."""
    resource = cast(ec2.CfnSubnet, subnet.node.default_child)
    return resource.attr_availability_zone


def _log_flows(scope: Construct, vpc: ec2.Vpc, settings: NetworkSettings) -> None:
    group = logs.LogGroup(
        scope,
        "FlowLogs",
        retention=log_retention(settings.flow_log_retention_days),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    vpc.add_flow_log("FlowLog", destination=ec2.FlowLogDestination.to_cloud_watch_logs(group))


def _closed_secrets_manager_endpoint(scope: Construct, vpc: ec2.Vpc) -> ec2.InterfaceVpcEndpoint:
    """Return an endpoint that admits nobody yet: whoever needs it is let in where it is defined."""
    group = ec2.SecurityGroup(
        scope,
        "SecretsManagerEndpointSecurityGroup",
        vpc=vpc,
        description="Secrets Manager endpoint: admits the client group of the database",
        allow_all_outbound=False,
    )
    return vpc.add_interface_endpoint(
        "SecretsManagerEndpoint",
        service=ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
        security_groups=[group],
        open=False,
    )
