"""The Aurora cluster: a writer and its readers in different zones, parameter groups and logs of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from constructs import Construct

from stacks.acknowledgements import acknowledge, acknowledge_inline_policies, wildcard_on
from stacks.engines import ENGINES
from stacks.network import ISOLATED, NetworkStack, closed_security_group
from stacks.retention import cluster_removal, log_group
from stacks.service_roles import service_of_this_account
from stacks.settings import DatabaseSettings, Deployment, Instances, ServerlessV2


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
    instance_parameters = rds.ParameterGroup(
        scope,
        f"InstanceParameters{family}",
        engine=cluster_engine,
        description=f"Instances of shop-{deployment.name}",
        parameters=_instance_parameters(settings),
    )
    writer, *readers = _instances(
        settings,
        zones=network.zones,
        parameters=instance_parameters,
        insights=_insights(settings, key),
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
            parameters={**engine.cluster_parameters(settings.engine_version), **settings.parameters},
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
        **_monitoring(scope, settings),
        **_insights(settings, key),
        database_insights_mode=_INSIGHTS[settings.insights][0],
        deletion_protection=settings.deletion_protection,
        removal_policy=cluster_removal(deployment),
    )
    _take_along_in_an_upgrade(cluster, instance_parameters)
    for kind in engine.log_exports:
        group = log_group(
            scope,
            f"{kind.capitalize()}Logs",
            key=network.log_key,
            retention_days=settings.log_retention_days,
            name=f"/aws/rds/cluster/{deployment.cluster_name}/{kind}",
        )
        make_log_before(cluster, group)
    _acknowledge(cluster, settings)
    return cluster


def _take_along_in_an_upgrade(cluster: rds.DatabaseCluster, group: rds.ParameterGroup) -> None:
    """Have a major upgrade move the instances to `group`: RDS refuses it while theirs is of the old family.

    Only the cluster's own change can say that, and the CDK does not: https://github.com/aws/aws-cdk/issues/26072.
    CloudFormation passes it on when both it and the version change (AWS::RDS::DBCluster's Translator.java in
    https://github.com/aws-cloudformation/aws-cloudformation-resource-providers-rds), and never else.
    """
    resource = cast(rds.CfnDBCluster, cluster.node.default_child)
    resource.db_instance_parameter_group_name = group.bind_to_instance().parameter_group_name


def make_log_before(writer: Construct, group: logs.LogGroup) -> None:
    """Make the log group that RDS writes to before RDS would make one that is never deleted."""
    # between the two resources only: a dependency of the constructs would reach every part of the cluster
    resource = cast(cdk.CfnResource, writer.node.default_child)
    resource.add_resource_dependency(cast(cdk.CfnResource, group.node.default_child))


def _acknowledge(cluster: rds.DatabaseCluster, settings: DatabaseSettings) -> None:
    if not settings.deletion_protection:
        acknowledge(
            cluster,
            rules=[
                "AwsSolutions-RDS10",
                "CT.RDS.PR.3",
                "HIPAA.Security-RDSInstanceDeletionProtectionEnabled",
                "NIST.800.53.R5-RDSInstanceDeletionProtectionEnabled",
            ],
            reason="Nobody keeps its data: who destroys such a deployment means it, and retain_data=True "
            "refuses to go without the protection",
        )
    if settings.engine == "mysql":
        packs = ("HIPAA.Security", "NIST.800.53.R5", "PCI.DSS.321")
        acknowledge(
            cluster,
            rules=["CT.RDS.PR.25", *(f"{pack}-RDSLoggingEnabled[LogExport::general]" for pack in packs)],
            reason="The general log has every statement with its values, which are the customers'; audit, "
            "error and slow-query logs are exported",
        )
    for number in range(1 + settings.reader_count):
        acknowledge(
            cluster.node.find_child("Writer" if number == 0 else f"Reader{number}"),
            rules=["HIPAA.Security-RDSInBackupPlan", "NIST.800.53.R5-RDSInBackupPlan"],
            reason="Aurora is backed up by cluster, not by instance: the plan selects the cluster"
            if settings.backup_plan
            else "Nobody keeps its data: Aurora's own backups, to any second of their days, are enough",
        )


def _monitoring(scope: Construct, settings: DatabaseSettings) -> dict[str, Any]:
    """Return what lets Enhanced Monitoring look at the instances' operating systems."""
    if settings.monitoring_interval_seconds == 0:
        return {}
    stack = cdk.Stack.of(scope)
    # RDS's own group, one for all databases of an account in a region, which RDS makes when it is missing.
    group = f"arn:{cdk.Aws.PARTITION}:logs:{stack.region}:{stack.account}:log-group:RDSOSMetrics"
    write = iam.PolicyStatement(
        actions=[
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:DescribeLogStreams",
            "logs:GetLogEvents",
            "logs:PutLogEvents",
            "logs:PutRetentionPolicy",
        ],
        resources=[group, f"{group}:*"],
    )
    role = iam.Role(
        scope,
        "MonitoringRole",
        assumed_by=service_of_this_account(stack, "monitoring.rds"),
        inline_policies={"Own": iam.PolicyDocument(statements=[write])},
    )
    acknowledge_inline_policies(role)
    acknowledge(
        role,
        rules=[wildcard_on(f"{group}:*")],
        reason="The streams of RDS's own group: RDS names them after instances that do not exist yet",
    )
    return {
        "monitoring_interval": cdk.Duration.seconds(settings.monitoring_interval_seconds),
        "monitoring_role": role.without_policy_updates(),
    }


def _insights(settings: DatabaseSettings, key: kms.IKey) -> dict[str, Any]:
    """Return what cluster and instances both say of Database Insights."""
    return {
        "enable_performance_insights": True,
        "performance_insight_encryption_key": key,
        "performance_insight_retention": _INSIGHTS[settings.insights][1],
    }


_INSIGHTS = {
    "standard": (rds.DatabaseInsightsMode.STANDARD, rds.PerformanceInsightRetention.DEFAULT),  # a week
    "advanced": (rds.DatabaseInsightsMode.ADVANCED, rds.PerformanceInsightRetention.MONTHS_15),
}
"""Each mode of Database Insights with the only retention that AWS still has for it."""


def _instance_parameters(settings: DatabaseSettings) -> dict[str, str]:
    """Return the instances' parameters; one of the settings' own is not undone by them, which would win."""
    own = ENGINES[settings.engine].instance_parameters(settings.engine_version)
    return {name: settings.parameters.get(name, value) for name, value in own.items()}


def _instances(
    settings: DatabaseSettings,
    *,
    zones: list[str],
    parameters: rds.ParameterGroup,
    insights: Mapping[str, Any],
) -> list[rds.IClusterInstance]:
    """Return the writer and the readers, each in the zone after the one before."""
    return [
        _instance(
            settings,
            settings.capacity_of_readers if number else settings.capacity,
            "Writer" if number == 0 else f"Reader{number}",
            zone=zones[number % len(zones)],
            parameters=parameters,
            promotion_tier=min(number, 1),
            insights=insights,
        )
        for number in range(1 + settings.reader_count)
    ]


def _instance(
    settings: DatabaseSettings,
    capacity: ServerlessV2 | Instances,
    construct_id: str,
    *,
    zone: str,
    parameters: rds.ParameterGroup,
    promotion_tier: int,
    insights: Mapping[str, Any],
) -> rds.IClusterInstance:
    if isinstance(capacity, ServerlessV2):
        return rds.ClusterInstance.serverless_v2(
            construct_id,
            scale_with_writer=promotion_tier == 1,  # a reader as large as the writer can take its place
            availability_zone=zone,
            parameter_group=parameters,
            auto_minor_version_upgrade=settings.auto_minor_version_upgrade,
            publicly_accessible=False,
            **insights,
        )
    return rds.ClusterInstance.provisioned(
        construct_id,
        instance_type=ec2.InstanceType(capacity.instance_class),
        promotion_tier=promotion_tier,
        availability_zone=zone,
        parameter_group=parameters,
        auto_minor_version_upgrade=settings.auto_minor_version_upgrade,
        publicly_accessible=False,
        **insights,
    )
