"""Recovery points beside Aurora's own backups: a day's each, in a vault that nobody empties.

Aurora's backups end with their retention, and with the cluster. These do not, and may be copied to another
region, so that neither a wrong hand nor a lost region takes the last copy (Security Hub RDS.26).
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_backup as backup
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds

from stacks.acknowledgements import acknowledge, acknowledge_inline_policies, wildcard_on
from stacks.keys import customer_key
from stacks.retention import key_and_secret_removal
from stacks.service_roles import service_of_this_account
from stacks.settings import BackupSettings, Deployment

DAILY = events.Schedule.cron(hour="3", minute="0")  # UTC; Aurora's own window is another, of its choice


def back_up(
    stack: cdk.Stack,
    deployment: Deployment,
    settings: BackupSettings,
    *,
    cluster: rds.DatabaseCluster,
    key: kms.IKey,
) -> None:
    """Have AWS Backup make a recovery point of the cluster every day, and keep it."""
    vault = _vault(stack, deployment)
    plan = backup.BackupPlan(
        stack,
        "BackupPlan",
        backup_plan_name=f"shop-{deployment.name}",
        backup_plan_rules=[
            backup.BackupPlanRule(
                rule_name="Daily",
                backup_vault=vault,
                schedule_expression=DAILY,
                start_window=cdk.Duration.hours(1),
                completion_window=cdk.Duration.hours(8),
                delete_after=cdk.Duration.days(settings.retention_days),
                copy_actions=_copies(stack, settings) or None,
            )
        ],
    )
    plan.add_selection(
        "BackupSelection",
        backup_selection_name=f"shop-{deployment.name}",
        resources=[backup.BackupResource.from_arn(cluster.cluster_arn)],
        role=_role(stack, settings, cluster=cluster, vault=vault, key=key),
        disable_default_backup_policy=True,  # it is AWS's for all resources of all services
    )


def _vault(stack: cdk.Stack, deployment: Deployment) -> backup.BackupVault:
    removal = key_and_secret_removal(deployment)
    key = customer_key(
        stack,
        "VaultKey",
        description=f"Recovery points of shop-{deployment.name}",
        alias=deployment.vault_key_alias,
        removal_policy=removal,
    )
    return backup.BackupVault(
        stack,
        "Vault",
        backup_vault_name=deployment.vault_name,
        encryption_key=key,
        block_recovery_point_deletion=True,  # by hand: what is over its time, AWS Backup still deletes
        removal_policy=removal,
    )


def _copies(stack: cdk.Stack, settings: BackupSettings) -> list[backup.BackupPlanCopyActionProps]:
    if settings.copy_to_vault_arn is None:
        return []
    elsewhere = backup.BackupVault.from_backup_vault_arn(stack, "VaultElsewhere", settings.copy_to_vault_arn)
    return [
        backup.BackupPlanCopyActionProps(
            destination_backup_vault=elsewhere,
            delete_after=cdk.Duration.days(settings.copy_retention_days),
        )
    ]


def _role(
    stack: cdk.Stack,
    settings: BackupSettings,
    *,
    cluster: rds.DatabaseCluster,
    vault: backup.BackupVault,
    key: kms.IKey,
) -> iam.IRole:
    """Return a role that backs up this one cluster: of AWS's AWSBackupServiceRolePolicyForBackup, that part.

    Who restores brings a role of their own.
    """
    snapshots = [_snapshots(stack, stack.region)]
    vaults, keys = [vault.backup_vault_arn], [key.key_arn]
    if settings.copy_to_vault_arn:
        region = settings.copy_to_vault_arn.split(":")[3]
        snapshots.append(_snapshots(stack, region))
        vaults.append(settings.copy_to_vault_arn)
        keys.append(f"arn:{cdk.Aws.PARTITION}:kms:{region}:{stack.account}:key/*")  # the vault there knows it
    statements = [
        iam.PolicyStatement(
            actions=[
                "rds:AddTagsToResource",
                "rds:CreateDBClusterSnapshot",
                "rds:DescribeDBClusterSnapshots",
                "rds:DescribeDBClusters",
                "rds:ListTagsForResource",
            ],
            resources=[cluster.cluster_arn, *snapshots],
        ),
        iam.PolicyStatement(
            actions=["rds:CopyDBClusterSnapshot", "rds:DeleteDBClusterSnapshot"], resources=snapshots
        ),
        iam.PolicyStatement(
            actions=["backup:CopyIntoBackupVault", "backup:DescribeBackupVault"], resources=vaults
        ),
        iam.PolicyStatement(actions=["kms:DescribeKey"], resources=keys),
        iam.PolicyStatement(
            actions=["kms:CreateGrant"],
            resources=keys,
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
    ]
    role = iam.Role(
        stack,
        "BackupRole",
        assumed_by=service_of_this_account(stack, "backup"),
        inline_policies={"Own": iam.PolicyDocument(statements=statements)},
    )
    acknowledge_inline_policies(role)
    acknowledge(
        role,
        rules=[wildcard_on(arn) for arn in (*snapshots, *keys) if arn.endswith("*")],
        reason="AWS Backup names snapshots after recovery points that do not exist yet, and another region's "
        "vault alone knows its key: AWS's own policy for this role has * here",
    )
    return role.without_policy_updates()


def _snapshots(stack: cdk.Stack, region: str) -> str:
    """Return what AWS Backup names the snapshots of clusters that it makes or copies in a region."""
    return f"arn:{cdk.Aws.PARTITION}:rds:{region}:{stack.account}:cluster-snapshot:awsbackup:*"
