"""Whether the shop is well: what is watched, who is told, and a dashboard that answers in one look."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from aws_cdk import aws_sns as sns
from constructs import Construct

from stacks.acknowledgements import acknowledge
from stacks.alarms import Alarm, alarms
from stacks.dashboard import Watched, dashboard_body
from stacks.database import DatabaseStack
from stacks.database_function import DatabaseFunction
from stacks.keys import customer_key
from stacks.publishing import publish
from stacks.schema import SchemaStack
from stacks.service_roles import boundary_of_roles
from stacks.settings import Deployment
from stacks.tagging import tag

SAYS_FOR_WHOM = ("cloudwatch", "events.rds")
"""Services that publish to the topic, and say for which account."""
SAYS_NOTHING = ("events",)
"""EventBridge publishes without any context: "You can't use Condition blocks in Amazon SNS topic policies for
EventBridge" (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html)."""


@dataclass(frozen=True)
class EventKind:
    """What RDS tells about one kind of thing."""

    source_type: str
    categories: Sequence[str]
    source_ids: Sequence[str] | None = None
    """None: all of this kind in the account: to name them here would tie down what names them."""


def rds_events(deployment: Deployment) -> Mapping[str, EventKind]:
    """Return what RDS is asked to tell (Security Hub RDS.19 to RDS.22), by construct id."""
    kinds = {
        "ClusterEvents": EventKind(
            "db-cluster", ["failover", "failure", "maintenance", "notification"], [deployment.cluster_name]
        ),
        "InstanceEvents": EventKind(
            "db-instance",
            ["availability", "configuration change", "failover", "failure", "low storage", "maintenance"],
        ),
        "ParameterGroupEvents": EventKind("db-parameter-group", ["configuration change"]),
        "SecurityGroupEvents": EventKind("db-security-group", ["configuration change", "failure"]),
    }
    if deployment.database.proxy:
        kinds["ProxyEvents"] = EventKind(
            "db-proxy", ["configuration change", "deletion", "failure"], [deployment.proxy_name]
        )
    return kinds


class ObservabilityStack(cdk.Stack):
    """Watches the other stacks and holds nothing: it can change or go without touching what it watches."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        deployment: Deployment,
        database: DatabaseStack,
        schema: SchemaStack,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=deployment.stack_name("observability"),
            description=f"What watches shop-{deployment.name}: alarms, events, dashboard",
            env=cdk.Environment(region=deployment.region),
            permissions_boundary=boundary_of_roles(deployment),
        )
        tag(self, deployment)
        self._deployment = deployment
        self.topic = _alarm_topic(self, deployment)
        self._policy = cast(sns.TopicPolicy, self.topic.node.find_child("Policy"))
        functions = _functions_of(database, schema)
        rows = alarms(deployment, functions)
        arns = [self._alarm(row).attr_arn for row in rows]
        for construct_id_, kind in rds_events(deployment).items():
            self._subscribe_to_rds(construct_id_, kind)
        self._tell_failed_rotation(database.secret.secret_arn)
        if deployment.database.backup_plan:
            self._tell_failed_backup()
        dashboard = self._dashboard(Watched(rows, arns, functions))
        publish(self, deployment, "observability", self._outputs(dashboard))
        self.add_stack_dependency(database)
        self.add_stack_dependency(schema)

    def _alarm(self, row: Alarm) -> cloudwatch.CfnAlarm:
        alarm = cloudwatch.CfnAlarm(
            self,
            f"Alarm{_camel(row.name)}",
            alarm_name=f"shop-{self._deployment.name}-{row.name}",
            alarm_description=row.description,
            comparison_operator=_COMPARISONS[row.comparison],
            threshold=row.threshold,
            evaluation_periods=row.periods,
            datapoints_to_alarm=row.breaches or row.periods,
            treat_missing_data=row.missing,
            alarm_actions=[self.topic.topic_arn],
            ok_actions=[self.topic.topic_arn],
            **_what_it_watches(row),
        )
        alarm.node.add_dependency(self._policy)
        return alarm

    def _subscribe_to_rds(self, construct_id: str, kind: EventKind) -> None:
        subscription = rds.CfnEventSubscription(
            self,
            construct_id,
            sns_topic_arn=self.topic.topic_arn,
            source_type=kind.source_type,
            source_ids=list(kind.source_ids) if kind.source_ids else None,
            event_categories=list(kind.categories),
            enabled=True,
        )
        subscription.node.add_dependency(self._policy)  # RDS tries the topic when it subscribes

    def _tell_failed_rotation(self, secret_arn: str) -> None:
        self._tell(
            "RotationFailed",
            f"Rotation of the admin secret of shop-{self._deployment.name} failed",
            {
                "source": ["aws.secretsmanager"],
                "detail-type": ["AWS Service Event via CloudTrail"],
                "detail": {
                    "eventName": ["RotationFailed", "RotationAbandoned"],
                    "additionalEventData": {"SecretId": [secret_arn]},
                },
            },
        )

    def _tell_failed_backup(self) -> None:
        cluster = self.format_arn(
            service="rds",
            resource="cluster",
            resource_name=self._deployment.cluster_name,
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        self._tell(
            "BackupFailed",
            f"A recovery point of shop-{self._deployment.name} was not made",
            {
                "source": ["aws.backup"],
                "detail-type": ["Backup Job State Change"],
                "detail": {"state": ["ABORTED", "EXPIRED", "FAILED"], "resourceArn": [cluster]},
            },
        )

    def _tell(self, construct_id: str, description: str, pattern: dict[str, Any]) -> None:
        rule = events.CfnRule(
            self,
            construct_id,
            description=description,
            event_pattern=pattern,
            state="ENABLED",
            targets=[events.CfnRule.TargetProperty(arn=self.topic.topic_arn, id="Topic")],
        )
        rule.node.add_dependency(self._policy)
        acknowledge(
            rule,
            rules=["Serverless-EventBusDLQ"],
            reason="EventBridge offers an event to the topic for a day, and counts what it could not "
            "deliver; in a queue that nobody reads it would tell nobody",
        )

    def _dashboard(self, watched: Watched) -> cloudwatch.CfnDashboard:
        return cloudwatch.CfnDashboard(
            self,
            "Dashboard",
            dashboard_name=f"shop-{self._deployment.name}",
            dashboard_body=self.to_json_string(dashboard_body(self._deployment, watched)),
        )

    def _outputs(self, dashboard: cloudwatch.CfnDashboard) -> dict[str, str]:
        # the console's address, which is the same in every region but for its name
        console = f"https://{self.region}.console.aws.amazon.com/cloudwatch/home?region={self.region}"
        return {
            "AlarmTopicArn": self.topic.topic_arn,
            "DashboardName": dashboard.ref,
            "DashboardUrl": f"{console}#dashboards/dashboard/shop-{self._deployment.name}",
        }


def _alarm_topic(stack: cdk.Stack, deployment: Deployment) -> sns.Topic:
    """Return the topic of alarms and events: encrypted, over TLS only, open to three services."""
    key = customer_key(
        stack,
        "TopicKey",
        description=f"Alarms of shop-{deployment.name}",
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    topic = sns.Topic(
        stack,
        "Topic",
        display_name=f"Alarms of shop-{deployment.name}",
        master_key=key,
        enforce_ssl=True,
    )
    of_this_account = {"StringEquals": {"aws:SourceAccount": stack.account}}
    for services, conditions in ((SAYS_FOR_WHOM, of_this_account), (SAYS_NOTHING, None)):
        principals: list[iam.IPrincipal] = [iam.ServicePrincipal(f"{one}.amazonaws.com") for one in services]
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=principals,
                actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                resources=["*"],  # in a key's policy: this key
                conditions=conditions,
            )
        )
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=principals,
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions=conditions,
            )
        )
    if deployment.observability.alarm_email:
        sns.Subscription(
            stack,
            "Email",
            topic=topic,
            protocol=sns.SubscriptionProtocol.EMAIL,
            endpoint=deployment.observability.alarm_email,
        )
    return topic


def _functions_of(*stacks: cdk.Stack) -> dict[str, str]:
    """Return the names of all functions that work in the database, by what they do: `smoke-test`."""
    found = [one for stack in stacks for one in stack.node.find_all() if isinstance(one, DatabaseFunction)]
    return {_kebab(one.node.id): one.function.function_name for one in found}


def _what_it_watches(row: Alarm) -> dict[str, Any]:
    metric = row.metric
    dimensions = [
        cloudwatch.CfnAlarm.DimensionProperty(name=name, value=value)
        for name, value in metric.dimensions.items()
    ]
    if row.expression is None:
        statistic = "extended_statistic" if metric.statistic.startswith("p") else "statistic"
        return {
            "namespace": metric.namespace,
            "metric_name": metric.name,
            "dimensions": dimensions,
            "period": row.period_seconds,
            statistic: metric.statistic,
        }
    watched = cloudwatch.CfnAlarm.MetricProperty(
        namespace=metric.namespace, metric_name=metric.name, dimensions=dimensions
    )
    return {
        "metrics": [
            cloudwatch.CfnAlarm.MetricDataQueryProperty(
                id="m",
                metric_stat=cloudwatch.CfnAlarm.MetricStatProperty(
                    metric=watched, period=row.period_seconds, stat=metric.statistic
                ),
                return_data=False,
            ),
            cloudwatch.CfnAlarm.MetricDataQueryProperty(
                id="e", expression=row.expression, label=row.name, return_data=True
            ),
        ]
    }


_COMPARISONS = {
    ">": "GreaterThanThreshold",
    ">=": "GreaterThanOrEqualToThreshold",
    "<": "LessThanThreshold",
}


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("-"))


def _kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
