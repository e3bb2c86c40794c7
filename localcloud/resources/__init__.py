"""The resource types that exist here. One module per service, imported when a template first needs it."""

from __future__ import annotations

import importlib

from localcloud.resources.base import Handler

_MODULES = {
    "AWS::Backup": "localcloud.resources.backup",
    "AWS::CDK": "localcloud.resources.cdk",
    "AWS::CloudTrail": "localcloud.resources.cloudtrail",
    "AWS::CloudWatch": "localcloud.resources.cloudwatch",
    "AWS::EC2": "localcloud.resources.ec2",
    "AWS::ECR": "localcloud.resources.ecr",
    "AWS::Events": "localcloud.resources.events",
    "AWS::IAM": "localcloud.resources.iam",
    "AWS::KMS": "localcloud.resources.kms",
    "AWS::Lambda": "localcloud.resources.lambda_functions",
    "AWS::Logs": "localcloud.resources.logs",
    "AWS::RDS": "localcloud.resources.rds",
    "AWS::S3": "localcloud.resources.s3",
    "AWS::SecretsManager": "localcloud.resources.secretsmanager",
    "AWS::SNS": "localcloud.resources.sns",
    "AWS::SQS": "localcloud.resources.sqs",
    "AWS::SSM": "localcloud.resources.ssm",
    "AWS::CloudFormation": "localcloud.cloudformation.custom_resources",
    "Custom": "localcloud.cloudformation.custom_resources",
}


class UnknownResourceType(LookupError):
    """No handler exists for the type."""


def handler(resource_type: str) -> Handler:
    """Return the handler of a type; UnknownResourceType when this cloud has none.

    A service's module maps its types to handlers in HANDLERS. "Custom::" (any name) stands for all of them.
    """
    service, _, _ = resource_type.rpartition("::")
    key = "Custom::" if service == "Custom" else resource_type
    if service not in _MODULES:
        raise UnknownResourceType(resource_type)
    handlers: dict[str, Handler] = importlib.import_module(_MODULES[service]).HANDLERS
    if key not in handlers:
        raise UnknownResourceType(resource_type)
    return handlers[key]


def implemented() -> dict[str, Handler]:
    """Return every type that exists here, with its handler; it imports all of them."""
    found: dict[str, Handler] = {}
    for module in sorted(set(_MODULES.values())):
        found.update(importlib.import_module(module).HANDLERS)
    return dict(sorted(found.items()))
