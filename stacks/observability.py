"""Whether the shop is well: what is watched, who is told, and a dashboard that answers in one look."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from stacks.database import DatabaseStack
from stacks.keys import customer_key
from stacks.schema import SchemaStack
from stacks.settings import Deployment
from stacks.tagging import tag


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
        )
        tag(self, deployment)
        self.topic = _alarm_topic(self, deployment)
        self.add_stack_dependency(database)
        self.add_stack_dependency(schema)


def _alarm_topic(stack: cdk.Stack, deployment: Deployment) -> sns.Topic:
    """Return the topic of all alarms and events, encrypted with a key that their services may use."""
    key = customer_key(
        stack,
        "TopicKey",
        description=f"Alarms of shop-{deployment.name}",
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[
                iam.ServicePrincipal(f"{service}.amazonaws.com") for service in ("cloudwatch", "events.rds")
            ],
            actions=["kms:Decrypt", "kms:GenerateDataKey*"],
            resources=["*"],  # in a key's policy: this key
            conditions={"StringEquals": {"aws:SourceAccount": stack.account}},
        )
    )
    return sns.Topic(stack, "Topic", display_name=f"Alarms of shop-{deployment.name}", master_key=key)
