"""Keys of our own: they rotate, this account decides about them, and only services give them on."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct


def customer_key(
    scope: Construct,
    construct_id: str,
    *,
    description: str,
    removal_policy: cdk.RemovalPolicy,
    alias: str | None = None,
) -> kms.Key:
    """Return a key that rotates every year, and that nobody but an AWS service passes on by a grant.

    A grant outlives the policy that allowed it. Services need them, as RDS does for storage and backups; a
    person or a function does not (Control Tower CT.KMS.PR.3).
    """
    key = kms.Key(
        scope,
        construct_id,
        description=description,
        alias=alias,
        enable_key_rotation=True,
        removal_policy=removal_policy,
    )
    key.add_to_resource_policy(
        iam.PolicyStatement(
            effect=iam.Effect.DENY,
            principals=[iam.AnyPrincipal()],
            actions=["kms:CreateGrant"],
            resources=["*"],  # in a key's policy: this key
            conditions={
                "BoolIfExists": {"kms:GrantIsForAWSResource": "false", "aws:PrincipalIsAWSService": "false"}
            },
        )
    )
    return key
