"""What stays after a deletion, and for how long logs are kept."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.settings import Deployment


def cluster_removal(deployment: Deployment) -> cdk.RemovalPolicy:
    """Return what becomes of the cluster: data that matter leave a final snapshot."""
    return cdk.RemovalPolicy.SNAPSHOT if deployment.retain_data else cdk.RemovalPolicy.DESTROY


def key_and_secret_removal(deployment: Deployment) -> cdk.RemovalPolicy:
    """Return what becomes of key and secret: without them a final snapshot is lost, so they stay with it."""
    return cdk.RemovalPolicy.RETAIN if deployment.retain_data else cdk.RemovalPolicy.DESTROY


def log_group(
    scope: Construct, construct_id: str, *, retention_days: int, name: str | None = None
) -> logs.LogGroup:
    """Return a log group that goes with its stack; a name is for a service that insists on one."""
    return logs.LogGroup(
        scope,
        construct_id,
        log_group_name=name,
        retention=_RETENTION[retention_days],
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )


def may_write_to(log: logs.LogGroup) -> iam.PolicyStatement:
    """Return leave to write to a log that exists.

    Not to create it, so that a function that ends after its group does not bring it back
    (https://github.com/aws/aws-cdk/issues/31487); AWS's managed policies allow that.
    """
    return iam.PolicyStatement(
        actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[log.log_group_arn]
    )


_RETENTION = {
    1: logs.RetentionDays.ONE_DAY,
    3: logs.RetentionDays.THREE_DAYS,
    5: logs.RetentionDays.FIVE_DAYS,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    60: logs.RetentionDays.TWO_MONTHS,
    90: logs.RetentionDays.THREE_MONTHS,
    120: logs.RetentionDays.FOUR_MONTHS,
    150: logs.RetentionDays.FIVE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
    400: logs.RetentionDays.THIRTEEN_MONTHS,
    545: logs.RetentionDays.EIGHTEEN_MONTHS,
    731: logs.RetentionDays.TWO_YEARS,
    1827: logs.RetentionDays.FIVE_YEARS,
    3653: logs.RetentionDays.TEN_YEARS,
}
"""CloudWatch's own steps; validation.LOG_RETENTION_DAYS repeats them for those who import no CDK."""
