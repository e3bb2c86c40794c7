"""Recovery points: of what is to be retained, in a vault of its own that nobody empties."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from stacks.settings import BackupSettings
from tests.stacks.conftest import chosen
from tests.stacks.synthesized import as_list, referred, synthesize

ELSEWHERE = "arn:aws:backup:eu-west-1:123456789012:backup-vault:shop-production"


@pytest.fixture
def copied(engine):
    """Production with copies in another region."""
    production = chosen("production", engine)
    plan = BackupSettings(retention_days=60, copy_to_vault_arn=ELSEWHERE, copy_retention_days=400)
    return synthesize(replace(production, database=replace(production.database, backup_plan=plan)))


def rule_of(synthesized):
    _, plan = synthesized.the_one("AWS::Backup::BackupPlan")
    (rule,) = plan["BackupPlan"]["BackupPlanRule"]
    return rule


def test_the_cluster_has_a_recovery_point_a_day_where_data_are_retained(retained):
    """Security Hub RDS.26."""
    cluster_id, _ = retained.the_one("AWS::RDS::DBCluster")
    vault_id, _ = retained.the_one("AWS::Backup::BackupVault")
    _, selection = retained.the_one("AWS::Backup::BackupSelection")
    rule = rule_of(retained)
    assert referred(selection["BackupSelection"]["Resources"]) == {cluster_id}
    assert rule["ScheduleExpression"] == "cron(0 3 * * ? *)"
    assert rule["Lifecycle"] == {"DeleteAfterDays": 90}
    assert referred(rule["TargetBackupVault"]) == {vault_id}
    assert "CopyActions" not in rule


def test_nothing_that_could_not_be_deleted_is_made_elsewhere(not_retained):
    for resource_type in ("BackupPlan", "BackupSelection", "BackupVault"):
        assert not not_retained.has_type(f"AWS::Backup::{resource_type}")


def test_the_vault_has_a_key_of_its_own_and_both_outlive_the_stack(retained):
    vault_id, vault = retained.the_one("AWS::Backup::BackupVault")
    key_id, key = retained.key("VaultKey")
    assert referred(vault["EncryptionKeyArn"]) == {key_id}
    assert key_id != retained.key()[0]
    assert key["EnableKeyRotation"] is True
    for kept in (vault_id, key_id):
        assert retained.resources[kept]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert retained.resources[kept]["UpdateReplacePolicy"] == "Retain"


def test_nobody_deletes_a_recovery_point_or_shortens_its_life(retained):
    _, vault = retained.the_one("AWS::Backup::BackupVault")
    (denied,) = vault["AccessPolicy"]["Statement"]
    assert (denied["Effect"], denied["Principal"]) == ("Deny", {"AWS": "*"})
    assert set(denied["Action"]) == {"backup:DeleteRecoveryPoint", "backup:UpdateRecoveryPointLifecycle"}


def test_a_copy_goes_to_the_vault_of_another_region_that_settings_name(copied):
    rule = rule_of(copied)
    (copy,) = rule["CopyActions"]
    assert copy["DestinationBackupVaultArn"] == ELSEWHERE
    assert copy["Lifecycle"] == {"DeleteAfterDays": 400}
    assert rule["Lifecycle"] == {"DeleteAfterDays": 60}


def test_the_role_backs_up_this_cluster_and_no_other(retained):
    cluster_id, _ = retained.the_one("AWS::RDS::DBCluster")
    vault_id, _ = retained.the_one("AWS::Backup::BackupVault")
    key_id, _ = retained.key()
    _, selection = retained.the_one("AWS::Backup::BackupSelection")
    for statement in retained.statements_of(selection["BackupSelection"]["IamRoleArn"]):
        services = {action.partition(":")[0] for action in as_list(statement["Action"])}
        expected = {"rds": {cluster_id}, "backup": {vault_id}, "kms": {key_id}}
        (service,) = services
        assert referred(statement["Resource"]) <= expected[service]
        assert "*" not in as_list(statement["Resource"])
        if "kms:CreateGrant" in as_list(statement["Action"]):
            assert statement["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def test_the_role_reaches_the_other_region_only_where_a_copy_goes_there(copied, engine):
    def said(synthesized):
        _, selection = synthesized.the_one("AWS::Backup::BackupSelection")
        return json.dumps(synthesized.statements_of(selection["BackupSelection"]["IamRoleArn"]))

    assert ELSEWHERE in said(copied)
    assert ":rds:eu-west-1:" in said(copied)
    assert "eu-west-1" not in said(synthesize(chosen("production", engine)))
