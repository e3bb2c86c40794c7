"""Findings that stay: each is acknowledged beside its resource, with the reason (`make audit`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from constructs import IConstruct

SCANNERS: Mapping[str, str] = {
    "cfn-lint": r"[EWI]\d{4}",
    "checkov": r"CKV2?_AWS_\d+",
    "cfn-guard": r"CT\.[A-Z0-9]+\.PR\.\d+",
    "cdk-nag": r"(AwsSolutions|NIST\.800\.53\.R5|HIPAA\.Security|PCI\.DSS\.321|Serverless)-\w+(\[.+\])?",
}
"""What the rules of each scanner look like; a wildcard of cdk-nag's has its finding in brackets behind it."""

DEAD_LETTER_QUEUE = (
    "CKV_AWS_116",
    "HIPAA.Security-LambdaDLQ",
    "NIST.800.53.R5-LambdaDLQ",
    "Serverless-LambdaDLQ",
)
OUTSIDE_VPC = (
    "CKV_AWS_117",
    "CT.LAMBDA.PR.3",
    "HIPAA.Security-LambdaInsideVPC",
    "NIST.800.53.R5-LambdaInsideVPC",
    "PCI.DSS.321-LambdaInsideVPC",
)
RESERVED_CONCURRENCY = (
    "CKV_AWS_115",
    "HIPAA.Security-LambdaConcurrency",
    "NIST.800.53.R5-LambdaConcurrency",
)
ENVIRONMENT_UNDER_OWN_KEY = ("CKV_AWS_173",)
"""What the scanners call the same thing, where more than one function has a reason about it."""


def acknowledge(construct: IConstruct, *, rules: Sequence[str], reason: str) -> None:
    """Have the scanners accept what these rules find in one resource.

    Of one resource only, the construct's own: nothing beside it or below it is accepted with it, so that
    what comes there later is found. `rules` are named as the scanners name them; all of them share the
    reason. Where the finding depends on a setting, so does the call: an acknowledgement that no scanner
    needs is a finding itself.

    Raises ValueError for a rule that belongs to no scanner, and for a construct without a resource.
    """
    scanners = {rule: scanner_of(rule) for rule in rules}
    if unknown := [rule for rule, scanner in scanners.items() if not scanner]:
        raise ValueError(f"{unknown} belong to no scanner; their rules look like {list(SCANNERS.values())}")
    resource = _resource_of(construct)
    # Beside the template, where cdk-nag looks, and the audit for the rules of all scanners. As
    # Validations.acknowledge() does it, but without the JavaScript stack trace that it adds to each rule.
    resource.node.add_metadata(cdk.Validations.ACKNOWLEDGED_RULES_METADATA_KEY, dict.fromkeys(rules, reason))
    # These two see the template alone. cfn-guard's bundled rules have no word for it; the audit knows it.
    if of_checkov := [{"id": rule, "comment": reason} for rule in rules if scanners[rule] == "checkov"]:
        before = _metadata(resource, "checkov").get("skip", [])
        resource.add_metadata("checkov", {"skip": [*before, *of_checkov]})
    if of_cfn_lint := [rule for rule in rules if scanners[rule] == "cfn-lint"]:
        before = _metadata(resource, "cfn-lint").get("config", {}).get("ignore_checks", [])
        resource.add_metadata("cfn-lint", {"config": {"ignore_checks": [*before, *of_cfn_lint]}})


def acknowledge_inline_policies(role: IConstruct) -> None:
    """Have the scanners accept that a role has its policy inline, as all of ours have (docs/adr/0003)."""
    acknowledge(
        role,
        rules=[f"{pack}-IAMNoInlinePolicy" for pack in ("HIPAA.Security", "NIST.800.53.R5", "PCI.DSS.321")],
        reason="The policy is this role's alone and comes and goes with it, so that nobody runs with half of "
        "the rights, and nothing else can be given them by attaching it",
    )


def wildcard_on(arn: str) -> str:
    """Return what cdk-nag calls a right on many resources; it writes what only AWS knows in brackets."""
    for token, name in ((cdk.Aws.PARTITION, "AWS::Partition"), (cdk.Aws.ACCOUNT_ID, "AWS::AccountId")):
        arn = arn.replace(token, f"<{name}>")
    return f"AwsSolutions-IAM5[Resource::{arn}]"


def scanner_of(rule: str) -> str | None:
    """Return whose rule this is."""
    return next((scanner for scanner, pattern in SCANNERS.items() if re.fullmatch(pattern, rule)), None)


def _resource_of(construct: IConstruct) -> cdk.CfnResource:
    resource = construct if isinstance(construct, cdk.CfnResource) else construct.node.default_child
    if not isinstance(resource, cdk.CfnResource):
        raise ValueError(f"{construct.node.path} has no resource of its own: name the one that is meant")
    return resource


def _metadata(resource: cdk.CfnResource, key: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = resource.get_metadata(key) or {}
    return found
