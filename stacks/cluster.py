"""The Aurora cluster: a writer and its readers in different zones, parameter groups and logs of its own."""

from __future__ import annotations

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from constructs import Construct

from stacks.engines import ENGINES
from stacks.network import ISOLATED, NetworkStack, closed_security_group
from stacks.retention import cluster_removal, log_group
from stacks.settings import DatabaseSettings, Deployment, ServerlessV2


def aurora_cluster(
    scope: Construct,
    *,
    deployment: Deployment,
    network: NetworkStack,
    admin_secret: rds.DatabaseSecret,
    key: kms.IKey,
) -> rds.DatabaseCluster:
    """Return an encrypted cluster that nobody reaches yet."""
    settings = deployment.database
    engine = ENGINES[settings.engine]
    cluster_engine = engine.cluster_engine(settings.engine_version)
    family = engine.family(settings.engine_version)
    limits = settings.capacity if isinstance(settings.capacity, ServerlessV2) else None
    writer, *readers = _instances(
        settings,
        zones=network.zones,
        parameters=rds.ParameterGroup(
            scope,
            f"InstanceParameters{family}",
            engine=cluster_engine,
            description=f"Instances of shop-{deployment.name}",
            parameters=engine.instance_parameters,
        ),
    )
    cluster = rds.DatabaseCluster(
        scope,
        "Cluster",
        cluster_identifier=deployment.cluster_name,
        engine=cluster_engine,
        auto_minor_version_upgrade=settings.auto_minor_version_upgrade,
        parameter_group=rds.ParameterGroup(
            scope,
            f"ClusterParameters{family}",
            engine=cluster_engine,
            description=f"Cluster of shop-{deployment.name}",
            parameters=engine.cluster_parameters(settings.engine_version),
        ),
        credentials=rds.Credentials.from_secret(admin_secret),
        default_database_name=settings.database_name,
        port=settings.port,
        iam_authentication=True,
        storage_encrypted=True,
        storage_encryption_key=key,
        serverless_v2_min_capacity=limits.min_capacity_acu if limits else None,
        serverless_v2_max_capacity=limits.max_capacity_acu if limits else None,
        writer=writer,
        readers=readers,
        vpc=network.vpc,
        vpc_subnets=ISOLATED,
        security_groups=[
            closed_security_group(
                scope,
                "ClusterSecurityGroup",
                vpc=network.vpc,
                description=f"Cluster of shop-{deployment.name}",
            )
        ],
        backtrack_window=cdk.Duration.hours(settings.backtrack_hours) if settings.backtrack_hours else None,
        backup=rds.BackupProps(retention=cdk.Duration.days(settings.backup_retention_days)),
        copy_tags_to_snapshot=True,
        cloudwatch_logs_exports=list(engine.log_exports),
        deletion_protection=settings.deletion_protection,
        removal_policy=cluster_removal(deployment),
    )
    for kind in engine.log_exports:
        _make_log_before(cluster, kind, scope=scope, deployment=deployment, log_key=network.log_key)
    return cluster


def _instances(
    settings: DatabaseSettings, *, zones: list[str], parameters: rds.ParameterGroup
) -> list[rds.IClusterInstance]:
    """Return the writer and the readers, each in the zone after the one before."""
    return [
        _instance(
            settings,
            "Writer" if number == 0 else f"Reader{number}",
            zone=zones[number % len(zones)],
            parameters=parameters,
            promotion_tier=min(number, 1),
        )
        for number in range(1 + settings.reader_count)
    ]


def _instance(
    settings: DatabaseSettings,
    construct_id: str,
    *,
    zone: str,
    parameters: rds.ParameterGroup,
    promotion_tier: int,
) -> rds.IClusterInstance:
    if isinstance(settings.capacity, ServerlessV2):
        return rds.ClusterInstance.serverless_v2(
            construct_id,
            scale_with_writer=promotion_tier == 1,  # a reader as large as the writer can take its place
            availability_zone=zone,
            parameter_group=parameters,
            auto_minor_version_upgrade=settings.auto_minor_version_upgrade,
            publicly_accessible=False,
        )
    return rds.ClusterInstance.provisioned(
        construct_id,
        instance_type=ec2.InstanceType(settings.capacity.instance_class),
        promotion_tier=promotion_tier,
        availability_zone=zone,
        parameter_group=parameters,
        auto_minor_version_upgrade=settings.auto_minor_version_upgrade,
        publicly_accessible=False,
    )


def _make_log_before(
    cluster: rds.DatabaseCluster, kind: str, *, scope: Construct, deployment: Deployment, log_key: kms.IKey
) -> None:
    """Make the log group that RDS writes to before RDS would make one that is never deleted."""
    group = log_group(
        scope,
        f"{kind.capitalize()}Logs",
        key=log_key,
        retention_days=deployment.database.log_retention_days,
        name=f"/aws/rds/cluster/{deployment.cluster_name}/{kind}",
    )
    # between the two resources only: a dependency of the constructs would reach every part of the cluster
    resource = cast(cdk.CfnResource, cluster.node.default_child)
    resource.add_resource_dependency(cast(cdk.CfnResource, group.node.default_child))
