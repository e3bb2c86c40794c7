"""Who may assume the roles that are given to AWS's services."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam


def service_of_this_account(stack: cdk.Stack, service: str) -> iam.IPrincipal:
    """Return a service that acts for this account, so that nobody else has it act with our role.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    principal = iam.ServicePrincipal(f"{service}.amazonaws.com")
    return principal.with_conditions({"StringEquals": {"aws:SourceAccount": stack.account}})
