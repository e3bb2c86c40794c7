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

from stacks.acknowledgements import (
    DEAD_LETTER_QUEUE,
    ENVIRONMENT_UNDER_OWN_KEY,
    RESERVED_CONCURRENCY,
    acknowledge,
    acknowledge_inline_policies,
)
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
            role=function_role(self, own_log, may=[_live_in_a_vpc(), _be_traced(), *may]),
            log_group=own_log,
            vpc=shared.vpc,
            vpc_subnets=ISOLATED,
            security_groups=[shared.client_security_group],
            environment={**shared.environment, **(environment or {}), **_trust(settings)},
            timeout=cdk.Duration.minutes(settings.timeout_minutes),
            memory_size=settings.memory_mib,
            reserved_concurrent_executions=settings.reserved_concurrency,
            tracing=lambda_.Tracing.ACTIVE,
        )
        needs_no_policy_of_its_own(self.function)
        _acknowledge(self.function, shared)


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
    acknowledge_inline_policies(role)
    if any("*" in statement.resources for statement in may):
        acknowledge(
            role,
            rules=["AwsSolutions-IAM5[Resource::*]", "Serverless-LambdaStarPermissions"],
            reason="Actions that know no ARN only: network interfaces that Lambda has yet to make, traces, "
            "and for the rotation a random password; a test holds the list",
        )
    # What the CDK would grant by itself is wider, and would be a policy that the function can exist without.
    return role.without_policy_updates()


def needs_no_policy_of_its_own(function: lambda_.Function) -> None:
    """Drop the CDK's DependsOn from function to role: with inline policies, Role says it all (W3005)."""
    cast(lambda_.CfnFunction, function.node.default_child).add_deletion_override("DependsOn")


def _acknowledge(function: lambda_.Function, shared: SharedByFunctions) -> None:
    acknowledge(
        function,
        rules=DEAD_LETTER_QUEUE,
        reason="Whoever calls it learns of a failure, and can try again: an event that is kept for later "
        "would be a migration, a load or a step of a rotation out of its time",
    )
    acknowledge(
        function,
        rules=ENVIRONMENT_UNDER_OWN_KEY,
        reason="It holds endpoints, names and an ARN, no secret, and Lambda encrypts it with AWS's own key",
    )
    acknowledge(
        function,
        rules=["CT.LAMBDA.PR.3"],
        reason="It is in the isolated subnets of the network's stack; the rule does not see through imports",
    )
    if shared.settings.reserved_concurrency is None:
        acknowledge(
            function, rules=RESERVED_CONCURRENCY, reason="The setting leaves it to the account's own pool"
        )
    if shared.platform.python_version != Platform.of_lambda().python_version:
        acknowledge(
            function,
            rules=["AwsSolutions-L1", "Serverless-LambdaLatestVersion"],
            reason="The local cloud runs functions with the Python of the machine that it is on",
        )


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
        # Lambda itself has no function's ARN. The code that runs with this role has, and needs no interface:
        # https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html
        conditions={"Null": {"lambda:SourceFunctionArn": "true"}},
    )


def _be_traced() -> iam.PolicyStatement:
    # A trace belongs to no resource: the actions have none.
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
    return iam.PolicyStatement(actions=["xray:PutTelemetryRecords", "xray:PutTraceSegments"], resources=["*"])


def _trust(settings: FunctionSettings) -> dict[str, str]:
    return {"CA_BUNDLE": "system"} if settings.certificate_authorities == "system" else {}
