"""Rotation of the admin secret by a function of our own (docs/adr/0040)."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager

from stacks.acknowledgements import acknowledge
from stacks.database_function import DatabaseFunction, SharedByFunctions


def rotate(
    stack: cdk.Stack,
    *,
    secret: secretsmanager.ISecret,
    attached_secret: secretsmanager.ISecret,
    key: kms.IKey,
    every_days: int,
    shared: SharedByFunctions,
) -> None:
    """Rotate a secret on schedule, once it is attached to its cluster, and never during a deployment."""
    function = DatabaseFunction(
        stack,
        "RotateSecret",
        handler="rotate_secret.handler.on_event",
        description="Rotates the master user's password",
        shared=shared,
        may=[*_four_steps(secret), use_key_for_secrets(stack, key, "kms:Decrypt", "kms:GenerateDataKey")],
        environment={"ADMIN_SECRET_ARN": secret.secret_arn},
    ).function
    # L1, since L2 lets the key's policy name the role whose policy names the key: a cycle
    schedule = secretsmanager.CfnRotationSchedule(
        stack,
        "Rotation",
        secret_id=attached_secret.secret_arn,
        rotation_lambda_arn=function.function_arn,
        rotation_rules=secretsmanager.CfnRotationSchedule.RotationRulesProperty(
            automatically_after_days=every_days
        ),
        rotate_immediately_on_update=False,  # a deployment under way holds the present password
    )
    leave = lambda_.CfnPermission(
        stack,
        "RotationPermission",
        action="lambda:InvokeFunction",
        function_name=function.function_arn,
        principal="secretsmanager.amazonaws.com",
        source_account=stack.account,
    )
    acknowledge(
        leave,
        rules=["CT.LAMBDA.PR.2"],
        reason="SourceAccount says this account, by reference; the rule takes a literal number only",
    )
    schedule.add_resource_dependency(leave)


def use_key_for_secrets(stack: cdk.Stack, key: kms.IKey, *actions: str) -> iam.PolicyStatement:
    """Return leave to use the key through Secrets Manager only."""
    return iam.PolicyStatement(
        actions=list(actions),
        resources=[key.key_arn],
        conditions={"StringEquals": {"kms:ViaService": f"secretsmanager.{stack.region}.amazonaws.com"}},
    )


def _four_steps(secret: secretsmanager.ISecret) -> list[iam.PolicyStatement]:
    """Return leave for the four steps of a rotation, for this secret alone."""
    steps = iam.PolicyStatement(
        actions=[
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
            "secretsmanager:UpdateSecretVersionStage",
        ],
        resources=[secret.secret_arn],
    )
    # A random password belongs to no secret yet, so the action has no resource.
    password = iam.PolicyStatement(actions=["secretsmanager:GetRandomPassword"], resources=["*"])
    return [steps, password]
