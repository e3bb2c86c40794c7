"""A Lambda function that may talk to the database: isolated subnets, client group, a role and a log of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.assets import Platform
from stacks.network import ISOLATED
from stacks.retention import log_retention
from stacks.settings import FunctionSettings


@dataclass(frozen=True)
class SharedByFunctions:
    """What all functions of one stack have in common."""

    code: lambda_.Code
    platform: Platform
    vpc: ec2.IVpc
    client_security_group: ec2.ISecurityGroup
    environment: Mapping[str, str]
    settings: FunctionSettings


class DatabaseFunction(Construct):
    """A function whose role can write its own log and live in the VPC; everything else is granted by its user."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        handler: str,
        description: str,
        shared: SharedByFunctions,
    ) -> None:
        super().__init__(scope, construct_id)
        settings = shared.settings
        log_group = own_log_group(self, settings)
        self.role = lambda_role(self, log_group)
        self.role.add_to_policy(_live_in_a_vpc())
        self.function = lambda_.Function(
            self,
            "Function",
            description=description,
            code=shared.code,
            handler=handler,
            runtime=shared.platform.runtime,
            architecture=shared.platform.lambda_architecture,
            role=self.role,
            log_group=log_group,
            vpc=shared.vpc,
            vpc_subnets=ISOLATED,
            security_groups=[shared.client_security_group],
            environment={**shared.environment, **_trust(settings)},
            timeout=cdk.Duration.minutes(settings.timeout_minutes),
            memory_size=settings.memory_mib,
        )


def own_log_group(scope: Construct, settings: FunctionSettings) -> logs.LogGroup:
    """Return a log group that goes with its function."""
    return logs.LogGroup(
        scope,
        "Logs",
        retention=log_retention(settings.log_retention_days),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )


def lambda_role(scope: Construct, log_group: logs.LogGroup) -> iam.Role:
    """Return a role that can write to one log group.

    It cannot create one, so that a function ending after its log group was deleted does not bring it back
    (https://github.com/aws/aws-cdk/issues/31487); AWS's managed policies allow that.
    """
    role = iam.Role(scope, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    log_group.grant_write(role)
    return role


def _live_in_a_vpc() -> iam.PolicyStatement:
    # The network interfaces do not exist yet, and Lambda checks for these actions without a resource:
    # https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
    return iam.PolicyStatement(
        actions=[
            "ec2:AssignPrivateIpAddresses",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:UnassignPrivateIpAddresses",
        ],
        resources=["*"],
    )


def _trust(settings: FunctionSettings) -> dict[str, str]:
    return {"CA_BUNDLE": "system"} if settings.certificate_authorities == "system" else {}
