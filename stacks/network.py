"""The network: isolated subnets without a route to the internet, and the two services reached from them."""

from __future__ import annotations

import ipaddress
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from stacks.acknowledgements import acknowledge, acknowledge_inline_policies
from stacks.keys import customer_key
from stacks.retention import log_group, may_encrypt_logs, may_write_to
from stacks.service_roles import boundary_of_roles, service_of_this_account
from stacks.settings import Deployment, NetworkSettings
from stacks.tagging import tag

ISOLATED = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
_LEADS_NOWHERE = {
    "CidrIp": "255.255.255.255/32",
    "Description": "Disallow all traffic",
    "IpProtocol": "icmp",
    "FromPort": 252,
    "ToPort": 86,
}
"""As the CDK writes it: an address that no host has, and a message that ICMP does not have."""


class NetworkStack(cdk.Stack):
    """Three zones that nothing outside reaches and that reach nothing outside but Secrets Manager and S3."""

    def __init__(self, scope: Construct, construct_id: str, *, deployment: Deployment) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=deployment.stack_name("network"),
            description=f"Network of shop-{deployment.name}: isolated subnets, endpoints, logs and their key",
            env=cdk.Environment(region=deployment.region),
            permissions_boundary=boundary_of_roles(deployment),
            termination_protection=deployment.termination_protection,
        )
        tag(self, deployment)
        self.log_key = _log_key(self, deployment)
        """Encrypts every log group of the deployment's stacks; it is here since all others come later."""
        self.vpc = _isolated_vpc(self, deployment.network, self.log_key)
        self.zones = [_zone_of(subnet) for subnet in self.vpc.isolated_subnets]
        """The zones that the subnets lie in, in their order."""
        self.secrets_manager_endpoint = _closed_secrets_manager_endpoint(self, self.vpc)
        _log_flows(self, self.vpc, deployment.network, self.log_key)


def closed_security_group(
    scope: Construct, construct_id: str, *, vpc: ec2.IVpc, description: str
) -> ec2.SecurityGroup:
    """Return a group that admits nobody and lets nobody out, until a rule says so.

    It says so itself. The CDK drops the rule that leads nowhere as soon as there is any other, and without
    both EC2 makes one that leads everywhere: the last rule's end would open the group.
    """
    group = ec2.SecurityGroup(scope, construct_id, vpc=vpc, description=description, allow_all_outbound=False)
    resource = cast(ec2.CfnSecurityGroup, group.node.default_child)
    resource.add_property_override("SecurityGroupEgress", [_LEADS_NOWHERE])
    return group


def _log_key(stack: cdk.Stack, deployment: Deployment) -> kms.Key:
    key = customer_key(
        stack,
        "LogKey",
        description=f"Logs of shop-{deployment.name}",
        alias=deployment.log_key_alias,
        removal_policy=cdk.RemovalPolicy.DESTROY,  # logs are not data: they go with what wrote them
    )
    key.add_to_resource_policy(may_encrypt_logs(stack, deployment))
    return key


def _isolated_vpc(scope: Construct, settings: NetworkSettings, log_key: kms.IKey) -> ec2.Vpc:
    # A sixteenth of the network for each subnet: three are used, the others are room for what may come.
    subnet_prefix = ipaddress.ip_network(settings.cidr).prefixlen + 4
    vpc = ec2.Vpc(
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
    _own_the_log_of_the_default_group_closer(vpc, settings, log_key)
    return vpc


def _own_the_log_of_the_default_group_closer(
    vpc: ec2.Vpc, settings: NetworkSettings, log_key: kms.IKey
) -> None:
    """Give the CDK's function that closes the default security group a log that goes when it goes.

    And leave for that log alone, where AWS's managed policy lets it write, and create, any.
    """
    stack = cdk.Stack.of(vpc)
    provider = cast(Construct, stack.node.find_child("Custom::VpcRestrictDefaultSGCustomResourceProvider"))
    group = log_group(provider, "Logs", key=log_key, retention_days=settings.flow_log_retention_days)
    handler = cast(cdk.CfnResource, provider.node.find_child("Handler"))
    handler.add_property_override("LoggingConfig.LogGroup", group.log_group_name)
    role = cast(cdk.CfnResource, provider.node.find_child("Role"))
    role.add_property_deletion_override("ManagedPolicyArns")
    write = iam.PolicyDocument(statements=[may_write_to(group)])
    role.add_property_override("Policies.1", {"PolicyName": "Log", "PolicyDocument": write})
    handler.add_deletion_override("DependsOn")  # its role is named by Role already (cfn-lint W3005)
    acknowledge(
        handler,
        rules=["CKV_AWS_115", "CKV_AWS_116", "CKV_AWS_117", "CT.LAMBDA.PR.3"],
        reason="The CDK's code runs when a network is made or goes, calls EC2 alone and answers "
        "CloudFormation, which it could not do from the isolated subnets",
    )


def _zone_of(subnet: ec2.ISubnet) -> str:
    """Return the zone as the subnet itself tells it, so that what is placed by it stays beside the subnet."""
    return cast(ec2.CfnSubnet, subnet.node.default_child).attr_availability_zone


def _closed_secrets_manager_endpoint(scope: Construct, vpc: ec2.Vpc) -> ec2.InterfaceVpcEndpoint:
    """Return an endpoint that admits nobody yet: whoever needs it is let in where it is defined."""
    group = closed_security_group(
        scope,
        "SecretsManagerEndpointSecurityGroup",
        vpc=vpc,
        description="Secrets Manager endpoint: admits the client group of the database",
    )
    return vpc.add_interface_endpoint(
        "SecretsManagerEndpoint",
        service=ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
        security_groups=[group],
        open=False,
    )


def _log_flows(scope: Construct, vpc: ec2.Vpc, settings: NetworkSettings, log_key: kms.IKey) -> None:
    group = log_group(scope, "FlowLogs", key=log_key, retention_days=settings.flow_log_retention_days)
    write = iam.PolicyStatement(
        actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
        resources=[group.log_group_arn],
    )
    role = iam.Role(
        scope,
        "FlowLogRole",
        assumed_by=service_of_this_account(cdk.Stack.of(vpc), "vpc-flow-logs"),
        inline_policies={"Own": iam.PolicyDocument(statements=[write])},
    )
    acknowledge_inline_policies(role)
    destination = ec2.FlowLogDestination.to_cloud_watch_logs(group, role.without_policy_updates())
    vpc.add_flow_log("FlowLog", destination=destination)
