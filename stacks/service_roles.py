"""What holds for all roles that are given to AWS's services: who may assume them, and their boundary."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from stacks.settings import Deployment


def service_of_this_account(stack: cdk.Stack, service: str) -> iam.IPrincipal:
    """Return a service that acts for this account, so that nobody else has it act with our role.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    principal = iam.ServicePrincipal(f"{service}.amazonaws.com")
    return principal.with_conditions({"StringEquals": {"aws:SourceAccount": stack.account}})


def boundary_of_roles(deployment: Deployment) -> cdk.PermissionsBoundary | None:
    """Return what every role of a stack carries, also those that the CDK makes; None for nothing."""
    name = deployment.permissions_boundary
    return cdk.PermissionsBoundary.from_name(name) if name else None
