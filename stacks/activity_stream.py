"""An activity stream: every statement on its way to Kinesis, out of reach of the database's administrators.

CloudFormation has no property for it, so a custom resource of the CDK's makes the two calls that start and
stop it. It runs on AWS only: the local cloud has no stream (docs/adr/0080).
"""

from __future__ import annotations

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_rds as rds
from aws_cdk import custom_resources
from constructs import Construct

from stacks.database_function import SharedByFunctions, function_role, needs_no_policy_of_its_own
from stacks.retention import log_group


def stream_activity(
    stack: cdk.Stack, *, cluster: rds.DatabaseCluster, key: kms.IKey, mode: str, shared: SharedByFunctions
) -> None:
    """Start the stream once the instances run, and stop it before the cluster goes.

    No call changes the mode of a stream: RDS refuses it, and so does the deployment, until it was off once.
    """
    scope = Construct(stack, "ActivityStream")
    own_log = log_group(scope, "Logs", key=shared.log_key, retention_days=shared.settings.log_retention_days)
    started = custom_resources.AwsCustomResource(
        scope,
        "Stream",
        resource_type="Custom::ActivityStream",
        on_create=_start(cluster, key, mode),
        on_update=_start(cluster, key, mode),
        on_delete=_stop(cluster),
        role=function_role(scope, own_log, may=_may_stream(cluster, key)),
        log_group=own_log,
        install_latest_aws_sdk=False,
        timeout=cdk.Duration.minutes(2),
    )
    for child in cluster.node.find_all():
        if isinstance(child, rds.CfnDBInstance):
            started.node.add_dependency(child)
    needs_no_policy_of_its_own(cast(lambda_.Function, stack.node.find_child(_FUNCTION)))


_FUNCTION = "AWS679f53fac002430cb0da5b7982bd2287"
"""The id that the CDK gives the function of all AwsCustomResources of a stack."""


def _start(cluster: rds.DatabaseCluster, key: kms.IKey, mode: str) -> custom_resources.AwsSdkCall:
    return custom_resources.AwsSdkCall(
        service="RDS",
        action="startActivityStream",
        parameters={
            "ResourceArn": cluster.cluster_arn,
            "Mode": mode,
            "KmsKeyId": key.key_arn,
            "ApplyImmediately": True,
        },
        physical_resource_id=custom_resources.PhysicalResourceId.of("activity-stream"),
        output_paths=["KinesisStreamName"],
    )


def _stop(cluster: rds.DatabaseCluster) -> custom_resources.AwsSdkCall:
    return custom_resources.AwsSdkCall(
        service="RDS",
        action="stopActivityStream",
        parameters={"ResourceArn": cluster.cluster_arn, "ApplyImmediately": True},
        ignore_error_codes_matching="InvalidDBClusterStateFault|DBClusterNotFoundFault",
    )


def _may_stream(cluster: rds.DatabaseCluster, key: kms.IKey) -> list[iam.PolicyStatement]:
    """Return leave to start and stop the stream of this cluster, under this key, which RDS then uses."""
    return [
        iam.PolicyStatement(
            actions=["rds:StartActivityStream", "rds:StopActivityStream"], resources=[cluster.cluster_arn]
        ),
        iam.PolicyStatement(actions=["kms:DescribeKey"], resources=[key.key_arn]),
        iam.PolicyStatement(
            actions=["kms:CreateGrant"],
            resources=[key.key_arn],
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
    ]
