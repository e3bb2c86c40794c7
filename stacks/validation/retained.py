"""What a deployment that retains data may not do without: protection, a trail, backups of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stacks.engines import ENGINES
from stacks.settings import Deployment
from stacks.validation.parameters import of_values

SHORTEST_TRAIL_DAYS = 365
LONGEST_ROTATION_DAYS = 90
LONGEST_BACKUP_DAYS = 36_500  # AWS Backup's
_VAULT_ARN = r"arn:aws:backup:(?P<region>[a-z]{2}(-[a-z]+)+-[0-9]):[0-9]{12}:backup-vault:[a-zA-Z0-9_-]{2,50}"


def of_protection(deployment: Deployment) -> Iterator[str]:
    """Yield what would let data be lost that are to be kept."""
    database = deployment.database
    if deployment.name == "production" and not deployment.retain_data:
        yield "retain_data=False in production: destroying it would destroy its data; set retain_data=True"
    if not deployment.retain_data:
        return
    if not database.deletion_protection:
        yield "deletion_protection=False with retain_data=True: a single call could delete it; set it True"
    if not deployment.termination_protection:
        yield (
            "termination_protection=False with retain_data=True: one command could delete the stacks; "
            "set it True"
        )
    if database.backup_retention_days < 7:
        yield (
            f"backup_retention_days={database.backup_retention_days} with retain_data=True: fewer than "
            "seven days (Security Hub RDS.50); set 7 or more"
        )
    if database.reader_count == 0:
        yield "reader_count=0 with retain_data=True: losing a zone would stop the database; set 1 or more"
    if not database.auto_minor_version_upgrade:
        yield (
            "auto_minor_version_upgrade=False with retain_data=True: known holes would stay open (Security "
            "Hub RDS.13); set it True"
        )
    if database.rotation_days > LONGEST_ROTATION_DAYS:
        yield (
            f"rotation_days={database.rotation_days} with retain_data=True: more than "
            f"{LONGEST_ROTATION_DAYS} days with one password (Security Hub SecretsManager.4); set 90 or less"
        )


def of_trail(deployment: Deployment) -> Iterator[str]:
    """Yield what would leave no trace of what happened to retained data, or too much of a trace."""
    database = deployment.database
    if not deployment.retain_data:
        return
    for name, days in (
        ("log_retention_days of the database", database.log_retention_days),
        ("log_retention_days of the functions", deployment.functions.log_retention_days),
        ("flow_log_retention_days", deployment.network.flow_log_retention_days),
    ):
        if days < SHORTEST_TRAIL_DAYS:
            yield (
                f"{name}={days} with retain_data=True: less than a year (Security Hub CloudWatch.16); "
                f"set {SHORTEST_TRAIL_DAYS} or more"
            )
    if database.monitoring_interval_seconds == 0:
        yield (
            "monitoring_interval_seconds=0 with retain_data=True: nobody would see what the instances do "
            "(Security Hub RDS.6); set for example 60"
        )
    if database.insights != "advanced":
        yield (
            f"insights={database.insights!r} with retain_data=True: what sessions waited for would be "
            "forgotten after a week; set insights='advanced'"
        )
    if database.proxy_debug_logging:
        yield (
            "proxy_debug_logging=True with retain_data=True: the customers' values would stand in the "
            "proxy's log; set it False"
        )
    engine = ENGINES.get(database.engine)
    if engine and database.engine_version in engine.major_versions:
        yield from of_values(
            database,
            engine.audited_values(database.engine_version),
            "with retain_data=True the trail would have a hole or a secret",
        )


def of_invocation_trail(deployment: Deployment) -> Iterator[str]:
    """Yield days that are too few or too many, and a trail that would stay where nothing else does."""
    days = deployment.invocation_trail_days
    if days is None:
        return
    if not SHORTEST_TRAIL_DAYS <= days <= LONGEST_BACKUP_DAYS:
        yield (
            f"invocation_trail_days={days} is outside {SHORTEST_TRAIL_DAYS} (a year, as for logs) to "
            f"{LONGEST_BACKUP_DAYS}; choose for example 400, or None"
        )
    if not deployment.retain_data:
        yield (
            f"invocation_trail_days={days} with retain_data=False: its bucket would stay, where nothing "
            "else does; set retain_data=True or invocation_trail_days=None"
        )


def of_backup_plan(deployment: Deployment) -> Iterator[str]:
    """Yield a plan that is missing, that could not go, or whose backups would be none."""
    plan, database = deployment.database.backup_plan, deployment.database
    if plan is None:
        if deployment.retain_data:
            yield (
                "backup_plan=None with retain_data=True: backups would go with the cluster (Security Hub "
                "RDS.26); set BackupSettings()"
            )
        return
    if not deployment.retain_data:
        yield (
            "backup_plan with retain_data=False: a vault that has recovery points cannot be deleted, so that "
            "the stack could not go; set retain_data=True or backup_plan=None"
        )
    for name, days in (
        ("retention_days", plan.retention_days),
        ("copy_retention_days", plan.copy_retention_days),
    ):
        if not database.backup_retention_days < days <= LONGEST_BACKUP_DAYS:
            yield (
                f"{name}={days} of backup_plan is outside {database.backup_retention_days + 1} (Aurora's own "
                f"last {database.backup_retention_days}) to {LONGEST_BACKUP_DAYS}; choose for example 90"
            )
    if plan.copy_to_vault_arn is not None:
        yield from _of_copy(plan.copy_to_vault_arn, deployment.region)


def _of_copy(arn: str, region: str) -> Iterator[str]:
    found = re.fullmatch(_VAULT_ARN, arn)
    if not found:
        yield (
            f"copy_to_vault_arn={arn!r} is not the ARN of a vault, such as "
            "arn:aws:backup:eu-west-1:123456789012:backup-vault:shop-production; correct it"
        )
    elif found["region"] == region:
        yield (
            f"copy_to_vault_arn={arn} lies in region={region}, as the cluster does: whoever loses one loses "
            "both; name a vault of another region"
        )
