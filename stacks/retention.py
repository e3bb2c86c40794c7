"""What stays after a deletion, and for how long logs are kept."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.acknowledgements import acknowledge
from stacks.settings import Deployment


def cluster_removal(deployment: Deployment) -> cdk.RemovalPolicy:
    """Return what becomes of the cluster: data that matter leave a final snapshot."""
    return cdk.RemovalPolicy.SNAPSHOT if deployment.retain_data else cdk.RemovalPolicy.DESTROY


def key_and_secret_removal(deployment: Deployment) -> cdk.RemovalPolicy:
    """Return what becomes of key and secret: without them a final snapshot is lost, so they stay with it.

    Not when the creation itself fails: they would hold nothing, and their names against the next attempt.
    """
    retained = cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
    return retained if deployment.retain_data else cdk.RemovalPolicy.DESTROY


def log_group(
    scope: Construct, construct_id: str, *, key: kms.IKey, retention_days: int, name: str | None = None
) -> logs.LogGroup:
    """Return an encrypted log group that goes with its stack; a name is for a service that insists on one.

    The key is NetworkStack.log_key, whose policy knows a group by its name: see `may_encrypt_logs`.
    """
    group = logs.LogGroup(
        scope,
        construct_id,
        log_group_name=name,
        encryption_key=key,
        retention=_RETENTION[retention_days],
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    if cdk.Stack.of(group) is not key.stack:
        acknowledge(
            group,
            rules=["CT.CLOUDWATCH.PR.3"],
            reason="Its key is that of the network's stack; the rule does not see through imports",
        )
    if retention_days < 365:
        acknowledge(
            group,
            rules=["CT.CLOUDWATCH.PR.2"],
            reason="The setting says so: what nobody keeps the data of has nothing to look up a year later",
        )
    return group


def may_encrypt_logs(stack: cdk.Stack, deployment: Deployment) -> iam.PolicyStatement:
    """Return leave for CloudWatch Logs to use a key for the log groups of this deployment, and for no other.

    The statement is a key policy's, as
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html has it.
    """
    groups = f"arn:{cdk.Aws.PARTITION}:logs:{stack.region}:{stack.account}:log-group:"
    return iam.PolicyStatement(
        principals=[iam.ServicePrincipal(f"logs.{stack.region}.amazonaws.com")],
        actions=["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
        resources=["*"],  # in a key's policy: this key
        conditions={
            "ArnLike": {
                "kms:EncryptionContext:aws:logs:arn": [groups + name for name in deployment.log_group_names]
            }
        },
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
