"""A Lambda function that may talk to the database: isolated subnets, client group, own role and own log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.assets import Platform
from stacks.network import ISOLATED
from stacks.retention import log_group, may_write_to
from stacks.settings import FunctionSettings


@dataclass(frozen=True)
class SharedByFunctions:
    """What all functions of one stack have in common."""

    code: lambda_.Code
    platform: Platform
    vpc: ec2.IVpc
    client_security_group: ec2.ISecurityGroup
    environment: Mapping[str, str]
    log_key: kms.IKey
    settings: FunctionSettings


class DatabaseFunction(Construct):
    """A function that can write its own log, live in the VPC, and do what `may` states; nothing else."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        handler: str,
        description: str,
        shared: SharedByFunctions,
        may: Sequence[iam.PolicyStatement],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        settings = shared.settings
        own_log = log_group(self, "Logs", key=shared.log_key, retention_days=settings.log_retention_days)
        self.function = lambda_.Function(
            self,
            "Function",
            description=description,
            code=shared.code,
            handler=handler,
            runtime=shared.platform.runtime,
            architecture=shared.platform.lambda_architecture,
            role=function_role(self, own_log, may=[_live_in_a_vpc(), *may]),
            log_group=own_log,
            vpc=shared.vpc,
            vpc_subnets=ISOLATED,
            security_groups=[shared.client_security_group],
            environment={**shared.environment, **(environment or {}), **_trust(settings)},
            timeout=cdk.Duration.minutes(settings.timeout_minutes),
            memory_size=settings.memory_mib,
        )
        needs_no_policy_of_its_own(self.function)


def function_role(
    scope: Construct, own_log: logs.LogGroup, *, may: Sequence[iam.PolicyStatement]
) -> iam.IRole:
    """Return a role that can write to its log and do what `may` states, complete from its first moment."""
    role = iam.Role(
        scope,
        "Role",
        assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        inline_policies={"Own": iam.PolicyDocument(statements=[may_write_to(own_log), *may])},
    )
    # What the CDK would grant by itself is wider, and would be a policy that the function can exist without.
    return role.without_policy_updates()


def needs_no_policy_of_its_own(function: lambda_.Function) -> None:
    """Drop the CDK's DependsOn from function to role: with inline policies, Role says it all (W3005)."""
    cast(lambda_.CfnFunction, function.node.default_child).add_deletion_override("DependsOn")


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
