"""What somebody changed past the templates, as far as CloudFormation can tell."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from rich.console import Console

from operate.aws import Refused
from operate.deployment import Deployment

if TYPE_CHECKING:
    import boto3

NONE, DRIFTED = 0, 3
PATIENCE_SECONDS = 900


def show(console: Console, session: boto3.Session, deployment: Deployment) -> int:
    """Print each resource that is not as its template says, with both values; returns NONE or DRIFTED.

    The local cloud compares nothing: it says so, and what is compared instead is whether each resource of a
    stack is still there, for the types that one call can ask for.
    """
    if deployment.is_local:
        return _show_missing(console, session, deployment)
    found = [line for name in deployment.stack_names for line in _of_stack(session, name)]
    for line in found:
        console.print(line, style="red", soft_wrap=True, markup=False)
    console.print(f"{len(found)} resources of {deployment.title} have drifted")
    return DRIFTED if found else NONE


def _of_stack(session: boto3.Session, name: str) -> Iterator[str]:
    cloudformation = session.client("cloudformation")
    detection = cloudformation.detect_stack_drift(StackName=name)["StackDriftDetectionId"]
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        status = cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        if status["DetectionStatus"] != "DETECTION_IN_PROGRESS":
            break
        if time.monotonic() > until:
            raise Refused(f"{name}: drift is still being detected after {PATIENCE_SECONDS} s; run it again")
        time.sleep(3)
    drifts: list[Any] = []
    arguments: dict[str, Any] = {
        "StackName": name,
        "StackResourceDriftStatusFilters": ["MODIFIED", "DELETED"],
    }
    while True:
        page = cloudformation.describe_stack_resource_drifts(**arguments)
        drifts += page["StackResourceDrifts"]
        if not page.get("NextToken"):
            break
        arguments["NextToken"] = page["NextToken"]
    for one in drifts:
        where = f"{name}: {one['LogicalResourceId']} ({one['ResourceType']}, {one['PhysicalResourceId']})"
        if one["StackResourceDriftStatus"] == "DELETED":
            yield f"{where} is gone"
        for change in one.get("PropertyDifferences", []):
            yield (
                f"{where} {change['PropertyPath']}: {change.get('ExpectedValue')} in the template, "
                f"{change.get('ActualValue')} in the account"
            )


def _show_missing(console: Console, session: boto3.Session, deployment: Deployment) -> int:
    cloudformation, missing, asked = session.client("cloudformation"), [], 0
    for name in deployment.stack_names:
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=name):
            for one in page["StackResourceSummaries"]:
                there = _is_there(session, one["ResourceType"], one.get("PhysicalResourceId", ""))
                asked += there is not None
                if there is False:
                    missing.append(f"{name}: {one['LogicalResourceId']} ({one['ResourceType']}) is gone")
    for line in missing:
        console.print(line, style="red", soft_wrap=True, markup=False)
    console.print(
        "The local cloud has no drift detection: no property was compared. "
        f"{asked} clusters, instances, keys, secrets, functions and log groups were asked for; "
        f"{len(missing)} are gone. `make guard` compares what is deployed with the sources.",
        soft_wrap=True,
    )
    return DRIFTED if missing else NONE


def _is_there(session: boto3.Session, resource_type: str, physical_id: str) -> bool | None:
    """Return whether it is there; None for a type that is not asked for."""
    try:
        match resource_type:
            case "AWS::RDS::DBCluster":
                session.client("rds").describe_db_clusters(DBClusterIdentifier=physical_id)
            case "AWS::RDS::DBInstance":
                session.client("rds").describe_db_instances(DBInstanceIdentifier=physical_id)
            case "AWS::KMS::Key":
                key = session.client("kms").describe_key(KeyId=physical_id)["KeyMetadata"]
                return bool(key["KeyState"] != "PendingDeletion")
            case "AWS::SecretsManager::Secret":
                return "DeletedDate" not in session.client("secretsmanager").describe_secret(
                    SecretId=physical_id
                )
            case "AWS::Lambda::Function":
                session.client("lambda").get_function(FunctionName=physical_id)
            case "AWS::Logs::LogGroup":
                groups = session.client("logs").describe_log_groups(logGroupNamePrefix=physical_id)[
                    "logGroups"
                ]
                return physical_id in {one["logGroupName"] for one in groups}
            case _:
                return None
    except ClientError as error:
        if "NotFound" in error.response["Error"]["Code"]:
            return False
        raise
    return True
