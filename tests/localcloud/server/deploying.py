"""Deploying a few resources on a running cloud, and looking at them through their services."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.localcloud.server.machine import Machine, wait_until

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
OTHER_TRUST = json.loads(json.dumps(TRUST).replace("lambda", "rds"))
ALLOW = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
}
DENY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}


class DeploymentFailed(Exception):
    """The stack did not become what it should; the message has the reasons."""


@dataclass
class Deployed:
    """A stack of a name of its own."""

    server: Machine
    name: str

    def deploy(self, **resources: dict[str, Any]) -> dict[str, str]:
        """Bring the stack to these resources; return their physical ids."""
        client = self.server.client("cloudformation")
        given = {
            "StackName": self.name,
            "TemplateBody": json.dumps({"Resources": resources}),
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
        }
        exists = any(one["StackName"] == self.name for one in client.describe_stacks()["Stacks"])
        (client.update_stack if exists else client.create_stack)(**given)
        stack = self._at_its_end(self.name)
        wanted = "UPDATE_COMPLETE" if exists else "CREATE_COMPLETE"
        if stack["StackStatus"] != wanted or "StackStatusReason" in stack:
            raise DeploymentFailed("\n".join(self.reasons()))
        assert self.drift() == [], "what was deployed is what the template says"
        return self.ids()

    def drift(self) -> list[str]:
        """Detect the stack's drift, and return each difference as its resource, kind and path."""
        client = self.server.client("cloudformation")
        detection = client.detect_stack_drift(StackName=self.name)["StackDriftDetectionId"]
        status = client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        assert status["DetectionStatus"] == "DETECTION_COMPLETE", status
        found = client.describe_stack_resource_drifts(StackName=self.name)["StackResourceDrifts"]
        return [
            f"{one['LogicalResourceId']} {difference}"
            for one in found
            if one["StackResourceDriftStatus"] != "IN_SYNC"
            for difference in [
                f"{change['DifferenceType']} {change['PropertyPath']}"
                for change in one.get("PropertyDifferences", [])
            ]
            or [one["StackResourceDriftStatus"]]
        ]

    def ids(self) -> dict[str, str]:
        listed = self.server.client("cloudformation").list_stack_resources(StackName=self.name)
        return {
            one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed["StackResourceSummaries"]
        }

    def delete(self) -> None:
        client = self.server.client("cloudformation")
        stack_id = client.describe_stacks(StackName=self.name)["Stacks"][0]["StackId"]
        client.delete_stack(StackName=self.name)
        assert self._at_its_end(stack_id)["StackStatus"] == "DELETE_COMPLETE", self.reasons()

    def _at_its_end(self, name: str) -> dict[str, Any]:
        """Return the stack when its operation is over, for which the call itself waits only so long."""
        client, found = self.server.client("cloudformation"), []

        def over() -> bool:
            found[:] = client.describe_stacks(StackName=name)["Stacks"]
            return not found[0]["StackStatus"].endswith("_IN_PROGRESS")

        assert wait_until(over, 120), found
        ended: dict[str, Any] = found[0]
        return ended

    def reasons(self) -> list[str]:
        events = self.server.client("cloudformation").describe_stack_events(StackName=self.name)[
            "StackEvents"
        ]
        return [
            f"{one['LogicalResourceId']} {one['ResourceStatus']}: {one['ResourceStatusReason']}"
            for one in reversed(events)
            if one.get("ResourceStatusReason")
        ]


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": kind, "Properties": properties}


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def tags_of(described: dict[str, Any]) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in described.get("Tags", [])}


def gone(operation: Any, **arguments: Any) -> bool:
    """Whether the service no longer knows it."""
    try:
        operation(**arguments)
    except Exception as error:
        return "NotFound" in repr(error) or "NoSuch" in repr(error) or "404" in repr(error)
    return False


def key_for(server: Machine, service: str, **condition: Any) -> str:
    """Return the ARN of a key that a service may use, under a condition."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
        "Resource": "*",
        **({"Condition": condition} if condition else {}),
    }
    owner = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    policy = {"Version": "2012-10-17", "Statement": [owner, statement]}
    arn: str = server.client("kms").create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"]
    return arn


def network(**more: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        "Vpc": resource(
            "AWS::EC2::VPC", CidrBlock="10.9.0.0/16", EnableDnsHostnames=True, Tags=tags(Name="net")
        ),
        "Subnet": resource(
            "AWS::EC2::Subnet",
            VpcId=ref("Vpc"),
            CidrBlock="10.9.1.0/24",
            AvailabilityZone="us-east-1b",
            MapPublicIpOnLaunch=True,
            Tags=tags(Name="public"),
        ),
        **more,
    }
