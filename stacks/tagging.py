"""Tags on everything that can carry them: whose it is, and of which deployment."""

from __future__ import annotations

import aws_cdk as cdk

from stacks.settings import Deployment


def tag(stack: cdk.Stack, deployment: Deployment) -> None:
    """Mark a stack and all of its resources with the deployment's tags (Security Hub RDS.28, RDS.30, RDS.33).

    The stack too, which the CDK leaves out: by its tags an environment is found, and whether it has expired.
    """
    for key, value in deployment.tags.items():
        cdk.Tags.of(stack).add(key, value, exclude_resource_types=_TAKE_NO_TAGS)
        stack.tags.set_tag(key, value)


_TAKE_NO_TAGS = ["AWS::RDS::DBProxyTargetGroup"]
"""What has tags by its schema, and is refused with them by its service (cfn-lint F3002)."""
