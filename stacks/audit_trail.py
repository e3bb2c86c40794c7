"""A trail of who called the functions that may reach the data: CloudTrail's data events.

Calls that manage resources are in every account's event history, and in its organization's trail. Invocations
are data events, which nobody records unless asked, and which are paid for by their number.
"""

from __future__ import annotations

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from stacks.keys import customer_key
from stacks.settings import Deployment

SERVICE = "cloudtrail.amazonaws.com"


def record_invocations(stack: cdk.Stack, deployment: Deployment, *, days: int) -> None:
    """Record each invocation of the deployment's functions for `days`, in files that prove their order."""
    arn = stack.format_arn(service="cloudtrail", resource="trail", resource_name=deployment.trail_name)
    from_trail = {"StringEquals": {"aws:SourceArn": arn}}
    key = _key(stack, deployment, from_trail)
    bucket = _bucket(stack, key, from_trail, days=days)
    trail = cloudtrail.CfnTrail(
        stack,
        "Trail",
        trail_name=deployment.trail_name,
        s3_bucket_name=bucket.bucket_name,
        kms_key_id=key.key_arn,
        is_logging=True,
        is_multi_region_trail=False,  # the functions are in this region
        include_global_service_events=False,
        enable_log_file_validation=True,
        advanced_event_selectors=[_invocations(stack, deployment)],
    )
    policy = cast(s3.BucketPolicy, bucket.policy).node.default_child
    trail.add_resource_dependency(cast(cdk.CfnResource, policy))  # CloudTrail tries the bucket at once


def _key(stack: cdk.Stack, deployment: Deployment, from_trail: dict[str, dict[str, str]]) -> kms.Key:
    key = customer_key(
        stack,
        "TrailKey",
        description=f"Trail of shop-{deployment.name}",
        alias=f"{deployment.key_alias}-trail",
        removal_policy=cdk.RemovalPolicy.RETAIN,  # with the files that it opens
    )
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal(SERVICE)],
            actions=["kms:DescribeKey", "kms:GenerateDataKey*"],
            resources=["*"],  # in a key's policy: this key
            conditions=from_trail,
        )
    )
    return key


def _bucket(
    stack: cdk.Stack, key: kms.IKey, from_trail: dict[str, dict[str, str]], *, days: int
) -> s3.Bucket:
    bucket = s3.Bucket(
        stack,
        "TrailBucket",
        encryption=s3.BucketEncryption.KMS,
        encryption_key=kms.Key.from_key_arn(stack, "KeyOfTrailBucket", key.key_arn),
        bucket_key_enabled=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        versioned=True,
        lifecycle_rules=[
            s3.LifecycleRule(
                expiration=cdk.Duration.days(days), noncurrent_version_expiration=cdk.Duration.days(days)
            )
        ],
        removal_policy=cdk.RemovalPolicy.RETAIN,
    )
    for action, resource, conditions in (
        ("s3:GetBucketAcl", bucket.bucket_arn, {}),
        (
            "s3:PutObject",
            bucket.arn_for_objects(f"AWSLogs/{stack.account}/*"),
            {"s3:x-amz-acl": "bucket-owner-full-control"},
        ),
    ):
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(SERVICE)],
                actions=[action],
                resources=[resource],
                conditions={"StringEquals": {**from_trail["StringEquals"], **conditions}},
            )
        )
    return bucket


def _invocations(
    stack: cdk.Stack, deployment: Deployment
) -> cloudtrail.CfnTrail.AdvancedEventSelectorProperty:
    functions = stack.format_arn(
        service="lambda",
        resource="function",
        resource_name=f"{deployment.stack_name('')}",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
    field = cloudtrail.CfnTrail.AdvancedFieldSelectorProperty
    return cloudtrail.CfnTrail.AdvancedEventSelectorProperty(
        name="Invocations of the functions",
        field_selectors=[
            field(field="eventCategory", equal_to=["Data"]),
            field(field="resources.type", equal_to=["AWS::Lambda::Function"]),
            field(field="resources.ARN", starts_with=[functions]),
        ],
    )
