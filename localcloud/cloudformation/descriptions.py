"""Stacks and what belongs to them, in the shapes of CloudFormation's API."""

from __future__ import annotations

import json
from typing import Any

from localcloud.cloudformation.change_sets import ChangeSet
from localcloud.cloudformation.differences import text
from localcloud.cloudformation.drift_results import IN_SYNC, MODIFIED, NOT_CHECKED, Detection, ResourceDrift
from localcloud.cloudformation.parameters import Parameter
from localcloud.cloudformation.stack import Event, Stack, StackResource
from localcloud.cloudformation.template import Template

Described = dict[str, Any]


def described_stack(stack: Stack) -> Described:
    """Return a stack for DescribeStacks and ListStacks."""
    target = stack.target
    return {
        "StackId": stack.stack_id,
        "StackName": stack.name,
        "ChangeSetId": stack.change_set_id,
        "Description": target.template.description if target else None,
        "TemplateDescription": target.template.description if target else None,
        "Parameters": [described_parameter(*one) for one in (target.parameters if target else {}).items()],
        "CreationTime": stack.created,
        "LastUpdatedTime": stack.updated,
        "DeletionTime": stack.deleted,
        "RollbackConfiguration": {},
        "StackStatus": stack.status,
        "StackStatusReason": stack.status_reason,
        "DisableRollback": stack.disable_rollback,
        "NotificationARNs": stack.notification_arns,
        "Capabilities": stack.capabilities,
        "Outputs": [
            {
                "OutputKey": one.key,
                "OutputValue": one.value,
                "Description": one.description,
                "ExportName": one.export,
            }
            for one in list(stack.outputs.values())
        ],
        "RoleARN": stack.role_arn,
        "Tags": [{"Key": key, "Value": value} for key, value in stack.tags.items()],
        "EnableTerminationProtection": stack.termination_protection,
        "DriftInformation": {
            "StackDriftStatus": stack.drift.stack_status(target),
            "LastCheckTimestamp": stack.drift.checked(target),
        },
    }


def described_parameter(name: str, parameter: Parameter) -> Described:
    """Return a parameter as a stack and a change set show it."""
    described: Described = {"ParameterKey": name, "ParameterValue": parameter.shown}
    if parameter.from_store:
        described["ResolvedValue"] = ",".join(map(str, _as_list(parameter.value)))
    return described


def described_event(stack: Stack, event: Event) -> Described:
    """Return one line of a stack's history."""
    return {
        "StackId": stack.stack_id,
        "EventId": event.event_id,
        "StackName": stack.name,
        "LogicalResourceId": event.logical_id,
        "PhysicalResourceId": event.physical_id,
        "ResourceType": event.resource_type,
        "Timestamp": event.timestamp,
        "ResourceStatus": event.status,
        "ResourceStatusReason": event.reason,
    }


def described_resource(stack: Stack, resource: StackResource) -> Described:
    """Return a resource for the calls that describe one, several, or list them."""
    drift = stack.drift.of(stack.target).get(resource.logical_id)
    return {
        "StackId": stack.stack_id,
        "StackName": stack.name,
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id or None,
        "ResourceType": resource.definition.type,
        "Timestamp": resource.timestamp,
        "LastUpdatedTimestamp": resource.timestamp,
        "ResourceStatus": resource.status,
        "ResourceStatusReason": resource.reason,
        "Metadata": json.dumps(resource.definition.metadata) if resource.definition.metadata else None,
        "DriftInformation": {
            "StackResourceDriftStatus": drift.status if drift else NOT_CHECKED,
            "LastCheckTimestamp": drift.timestamp if drift else None,
        },
    }


def described_detection(stack: Stack, detection: Detection) -> Described:
    """Return one run of drift detection."""
    return {
        "StackId": stack.stack_id,
        "StackDriftDetectionId": detection.detection_id,
        "StackDriftStatus": detection.stack_status,
        "DetectionStatus": detection.status,
        "DetectionStatusReason": detection.reason,
        "DriftedStackResourceCount": detection.drifted,
        "Timestamp": detection.timestamp,
    }


def described_drift(stack: Stack, drift: ResourceDrift) -> Described:
    """Return how a resource stands to its template; of one that is gone there are no properties."""
    described: Described = {
        "StackId": stack.stack_id,
        "LogicalResourceId": drift.logical_id,
        "PhysicalResourceId": drift.physical_id,
        "ResourceType": drift.resource_type,
        "StackResourceDriftStatus": drift.status,
        "DriftStatusReason": drift.reason,
        "PropertyDifferences": [one.described() for one in drift.differences],
        "Timestamp": drift.timestamp,
    }
    if drift.status in (IN_SYNC, MODIFIED):
        described["ExpectedProperties"] = text(drift.expected)
        described["ActualProperties"] = text(drift.actual)
    return described


def described_change_set(change_set: ChangeSet) -> Described:
    """Return a change set."""
    submission, target = change_set.submission, change_set.target
    return {
        "ChangeSetName": change_set.name,
        "ChangeSetId": change_set.change_set_id,
        "StackId": change_set.stack.stack_id,
        "StackName": change_set.stack.name,
        "Description": submission.description,
        "Parameters": [described_parameter(*one) for one in target.parameters.items()],
        "CreationTime": change_set.created,
        "ExecutionStatus": change_set.execution_status,
        "Status": change_set.status,
        "StatusReason": change_set.status_reason,
        "NotificationARNs": submission.notification_arns,
        "Capabilities": submission.capabilities,
        "Tags": [{"Key": key, "Value": value} for key, value in target.tags.items()],
        "Changes": [one.described() for one in change_set.changes],
        "IncludeNestedStacks": False,
    }


def described_template(template: Template) -> Described:
    """Return what a template declares."""
    metadata = template.body.get("Metadata")
    return {
        "Description": template.description,
        "Metadata": json.dumps(metadata) if metadata else None,
        "Parameters": [
            {
                "ParameterKey": name,
                "DefaultValue": None if "Default" not in raw else str(raw["Default"]),
                "ParameterType": raw.get("Type", "String"),
                "NoEcho": str(raw.get("NoEcho", "")).lower() == "true",
                "Description": raw.get("Description"),
            }
            for name, raw in template.section("Parameters").items()
        ],
        "ResourceTypes": sorted({one.type for one in template.resources.values()}),
    }


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
