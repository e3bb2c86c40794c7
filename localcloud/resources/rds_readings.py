"""What RDS has on record of clusters and instances, in the words of templates."""

from __future__ import annotations

from typing import Any

from localcloud.resources.base import Properties
from localcloud.resources.rds_monitoring import found_monitoring

_OF_CLUSTERS = {
    "AutoMinorVersionUpgrade": "auto_minor_version_upgrade",
    "AvailabilityZones": "availability_zones",
    "BacktrackWindow": "backtrack_window",
    "BackupRetentionPeriod": "backup_retention_period",
    "CopyTagsToSnapshot": "copy_tags_to_snapshot",
    "DatabaseName": "database_name",
    "DBClusterIdentifier": "db_cluster_identifier",
    "DBClusterParameterGroupName": "parameter_group",
    "DBSubnetGroupName": "db_subnet_group_name",
    "DeletionProtection": "deletion_protection",
    "EnableCloudwatchLogsExports": "enabled_cloudwatch_logs_exports",
    "EnableIAMDatabaseAuthentication": "iam_auth",
    "Engine": "engine",
    "EngineVersion": "engine_version",
    "KmsKeyId": "kms_key_id",
    "ManageMasterUserPassword": "manage_master_user_password",
    "MasterUsername": "master_username",
    "Port": "port",
    "PreferredBackupWindow": "preferred_backup_window",
    "PreferredMaintenanceWindow": "preferred_maintenance_window",
    "StorageEncrypted": "storage_encrypted",
    "StorageType": "storage_type",
    "Tags": "tags",
    "VpcSecurityGroupIds": "vpc_security_group_ids",
}
_OF_INSTANCES = {
    "AutoMinorVersionUpgrade": "auto_minor_version_upgrade",
    "AvailabilityZone": "availability_zone",
    "CopyTagsToSnapshot": "copy_tags_to_snapshot",
    "DBClusterIdentifier": "db_cluster_identifier",
    "DBInstanceClass": "db_instance_class",
    "DBInstanceIdentifier": "db_instance_identifier",
    "DBParameterGroupName": "db_parameter_group_name",
    "Engine": "engine",
    "PromotionTier": "promotion_tier",
    "PubliclyAccessible": "publicly_accessible",
    "Tags": "tags",
}


def cluster(record: Any) -> Properties:
    """Return a cluster as a template writes it, without the password."""
    found = {name: getattr(record, attribute, None) for name, attribute in _OF_CLUSTERS.items()}
    capacity = getattr(record, "serverless_v2_scaling_configuration", None)
    return {
        **found,
        **found_monitoring(record, of_cluster=True),
        "ServerlessV2ScalingConfiguration": capacity and {_pascal(name): capacity[name] for name in capacity},
    }


def instance(record: Any) -> Properties:
    """Return an instance as a template writes it."""
    found = {name: getattr(record, attribute, None) for name, attribute in _OF_INSTANCES.items()}
    return {**found, **found_monitoring(record, of_cluster=False)}


def _pascal(name: str) -> str:
    """Return MinCapacity for min_capacity: moto keeps what came by RDS's API under Python's names."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))
