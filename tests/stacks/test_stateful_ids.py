"""The logical ids of what holds state: another id is another resource, and the old one goes with its data."""

from __future__ import annotations

import pytest

from operate.guard import KEPT_LOG_DAYS, STATEFUL
from tests.stacks.conftest import EVERYWHERE, of_kind

EVERYWHERE_IDS = {
    "AWS::EC2::VPC": {"Vpc8378EB38"},
    "AWS::EC2::Subnet": {
        "VpcIsolatedSubnet1SubnetE48C5737",
        "VpcIsolatedSubnet2Subnet16364B91",
        "VpcIsolatedSubnet3Subnet6840A2D4",
    },
    "AWS::KMS::Key": {"Key961B73FD", "LogKeyE83D0C1B", "TopicKeyB2E0C9CB"},
    "AWS::RDS::DBCluster": {"ClusterEB0386A7"},
    "AWS::RDS::DBInstance": {"ClusterWriterA91BB273", "ClusterReader16376AFD4"},
    "AWS::SecretsManager::Secret": {"AdminSecretB9452750"},
}
"""In every deployment, on both engines."""
PRODUCTION_IDS = {
    "AWS::Backup::BackupVault": {"Vault23237E5B"},
    "AWS::KMS::Key": {"VaultKey6B75F33E"},
    "AWS::RDS::DBInstance": {"ClusterReader2BED140F8"},
}
"""In production beside."""
PRODUCTION_LOGS = {
    "ApplySchemaFrameworkLogs8AA2D015",
    "ApplySchemaLogs66D4DFAC",
    "CustomVpcRestrictDefaultSGCustomResourceProviderLogs41F6175A",
    "FlowLogs16C1943A",
    "ProxyLogs3C0DA2B0",
    "RotateSecretLogs9C737D5D",
    "SeedDataFrameworkLogsD5EB5335",
    "SeedDataLogs29EA8D0B",
    "SmokeTestFrameworkLogs80DE5199",
    "SmokeTestLogs1BA97686",
}
"""Logs that are kept for a year; those that the cluster writes are the engine's."""
ENGINE_LOGS = {
    "postgresql": {"PostgresqlLogs1C00FC5C"},
    "mysql": {"AuditLogsB945E340", "ErrorLogs5D1E8A01", "SlowqueryLogsE3EC26E4"},
}


@pytest.mark.parametrize(("kind", "engine"), EVERYWHERE)
def test_what_holds_state_has_the_logical_ids_of_this_list_and_no_others(kind: str, engine: str):
    expected = {
        resource_type: EVERYWHERE_IDS.get(resource_type, set())
        | (PRODUCTION_IDS.get(resource_type, set()) if kind == "production" else set())
        for resource_type in {*STATEFUL, "AWS::RDS::DBInstance"}
    }
    resources = of_kind(kind, engine).resources
    for resource_type, ids in expected.items():
        assert {i for i, one in resources.items() if one["Type"] == resource_type} == ids


@pytest.mark.parametrize("engine", ENGINE_LOGS)
def test_logs_that_are_evidence_have_the_logical_ids_of_this_list(engine: str):
    logs = of_kind("production", engine).of_type("AWS::Logs::LogGroup")
    evidence = {i for i, one in logs.items() if one["RetentionInDays"] >= KEPT_LOG_DAYS}
    assert evidence == PRODUCTION_LOGS | ENGINE_LOGS[engine]
