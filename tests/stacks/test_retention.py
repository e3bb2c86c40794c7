"""What stays after a deployment is deleted, and what does not."""

from __future__ import annotations

from stacks.retention import _RETENTION
from stacks.validation import LOG_RETENTION_DAYS

VAULT = "AWS::Backup::BackupVault"
STATEFUL = ("AWS::RDS::DBCluster", "AWS::SecretsManager::Secret")


def policies(synthesized, resource_type):
    logical_id, _ = synthesized.the_one(resource_type)
    return policies_of(synthesized, logical_id)


def policies_of(synthesized, logical_id):
    resource = synthesized.resources[logical_id]
    return resource["DeletionPolicy"], resource["UpdateReplacePolicy"]


def test_nothing_stays_of_a_deployment_whose_data_are_not_retained(not_retained):
    for logical_id, resource in not_retained.resources.items():
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            assert resource.get(policy, "Delete") == "Delete", logical_id
    for resource_type in STATEFUL:  # left out, these would be kept by default
        assert policies(not_retained, resource_type) == ("Delete", "Delete")
    for key in not_retained.of_type("AWS::KMS::Key"):
        assert policies_of(not_retained, key) == ("Delete", "Delete")
    _, cluster = not_retained.the_one("AWS::RDS::DBCluster")
    assert cluster["DeletionProtection"] is False


def test_retained_data_leave_a_snapshot_with_the_key_and_the_secret_that_it_needs(retained):
    assert policies(retained, "AWS::RDS::DBCluster") == ("Snapshot", "Snapshot")
    for kept in (retained.key()[0], retained.the_one("AWS::SecretsManager::Secret")[0]):
        assert policies_of(retained, kept) == ("RetainExceptOnCreate", "Retain")


def test_what_is_retained_is_not_when_its_creation_fails(retained):
    """It would hold nothing, and its name against the next attempt."""
    policies = {resource.get("DeletionPolicy") for resource in retained.resources.values()}
    assert policies == {None, "Delete", "Snapshot", "RetainExceptOnCreate"}


def test_nothing_else_is_retained_that_could_block_a_deletion(retained):
    """A retained helper holds what it refers to: https://github.com/aws/aws-cdk/issues/5282."""
    kept = {i for i, r in retained.resources.items() if r.get("DeletionPolicy", "Delete") != "Delete"}
    keys = {retained.key(name)[0] for name in ("Key", "VaultKey")}
    assert kept == {retained.the_one(one)[0] for one in (*STATEFUL, VAULT)} | keys


def test_retained_data_are_protected_from_one_wrong_call(retained):
    _, cluster = retained.the_one("AWS::RDS::DBCluster")
    assert cluster["DeletionProtection"] is True
    assert cluster["BackupRetentionPeriod"] == 35
    protected = {
        name: artifact["properties"].get("terminationProtection", False)
        for name, artifact in retained.manifest["artifacts"].items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    assert protected == {"Network": True, "Database": True, "Schema": False, "Observability": False}


def test_every_log_retention_that_settings_may_name_is_one_of_cloudwatch():
    assert set(LOG_RETENTION_DAYS) == set(_RETENTION)
