"""What a stack tells the outside: each value as an output for people and as an SSM parameter for programs."""

from __future__ import annotations

import re
from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_ssm as ssm

from stacks.settings import Deployment


def publish(stack: cdk.Stack, deployment: Deployment, folder: str, values: Mapping[str, str]) -> None:
    """Publish `values` as outputs of these names, and as parameters /shop/<deployment>/<folder>/<name>."""
    for name, value in values.items():
        cdk.CfnOutput(stack, name, value=value)
        ssm.CfnParameter(
            stack,
            f"{name}Parameter",
            name=deployment.parameter_name(f"{folder}/{_kebab(name)}"),
            type="String",
            value=value,
        )


def _kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
