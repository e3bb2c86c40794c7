"""What stays after a deletion, and for how long logs are kept: settings in the CDK's words."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_logs as logs

from stacks.settings import Deployment


def log_retention(days: int) -> logs.RetentionDays:
    """Return CloudWatch's constant for a number of days that settings.validate has accepted."""
    return _RETENTION[days]


def cluster_removal(deployment: Deployment) -> cdk.RemovalPolicy:
    """Return what becomes of the cluster: data that matter leave a final snapshot."""
    return cdk.RemovalPolicy.SNAPSHOT if deployment.retain_data else cdk.RemovalPolicy.DESTROY


def key_and_secret_removal(deployment: Deployment) -> cdk.RemovalPolicy:
    """Return what becomes of key and secret: a final snapshot can be restored with them only, so they stay with it."""
    return cdk.RemovalPolicy.RETAIN if deployment.retain_data else cdk.RemovalPolicy.DESTROY


_RETENTION = {
    1: logs.RetentionDays.ONE_DAY,
    3: logs.RetentionDays.THREE_DAYS,
    5: logs.RetentionDays.FIVE_DAYS,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    60: logs.RetentionDays.TWO_MONTHS,
    90: logs.RetentionDays.THREE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
    731: logs.RetentionDays.TWO_YEARS,
    1827: logs.RetentionDays.FIVE_YEARS,
    3653: logs.RetentionDays.TEN_YEARS,
}
