"""A request to an AWS API, as IAM sees it: the action and the resources that it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.iam.policy import Policy
from localcloud.network.routes import ServicePath


@dataclass(frozen=True)
class ApiCall:
    """An operation of a service with its parameters, as the service's model names them."""

    service: str
    """As boto3 names it."""
    operation: str
    parameters: Mapping[str, Any]
    account: str
    region: str
    path: ServicePath | None = None
    """How the call left a VPC."""

    @property
    def prefix(self) -> str:
        """The service's name in actions."""
        return _PREFIXES.get(self.service, self.service)

    def arn(self, resource: str, *, service: str | None = None) -> str:
        """Return the ARN of a resource of the caller's account in this region."""
        return f"arn:aws:{service or self.prefix}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True)
class Target:
    """What one action of a call is about, and what the resource itself says."""

    action: str
    arn: str
    context: Mapping[str, str | list[str]] = field(default_factory=dict)
    policy: Policy | None = None
    policy_decides: bool = False
    account: str | None = None


class Unmapped(Exception):
    """The local cloud does not know what the call is about: its gap, not AWS's."""


# Where the name in actions is not boto3's: the service prefixes of the Service Authorization Reference.
_PREFIXES = {
    "apigatewayv2": "apigateway",
    "cloudwatch": "cloudwatch",
    "cognito-idp": "cognito-idp",
    "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing",
    "logs": "logs",
    "s3control": "s3",
    "ses": "ses",
    "sesv2": "ses",
    "stepfunctions": "states",
}
