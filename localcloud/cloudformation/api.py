"""CloudFormation's HTTP API: moto parses requests and writes answers, Operations does the work."""

# ruff: noqa: D102 - each public method is AWS's operation of that name

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from moto.cloudformation.exceptions import CloudFormationError
from moto.cloudformation.utils import get_stack_from_s3_url
from moto.core.responses import ActionResult, BaseResponse, EmptyResult

from localcloud.cloudformation import drift
from localcloud.cloudformation.change_sets import ChangeSet, Operations, Refused, Submission
from localcloud.cloudformation.descriptions import (
    described_change_set,
    described_detection,
    described_drift,
    described_event,
    described_resource,
    described_stack,
    described_template,
)
from localcloud.cloudformation.stack import Stack
from localcloud.cloudformation.template import Template, TemplateInvalid, parse

Answer = TypeVar("Answer")
_log = logging.getLogger(__name__)


class CloudFormationApi(BaseResponse):  # type: ignore[misc]  # moto has no types
    """One request. `operations` finds the operations of an account's region."""

    operations: ClassVar[Callable[[str, str], Operations]]

    def __init__(self) -> None:
        super().__init__(service_name="cloudformation")
        self.automated_parameter_parsing = True

    def call_action(self) -> Any:
        """Answer, and turn refusals and unknown operations into AWS's errors."""
        try:
            return super().call_action()
        except NotImplementedError as error:
            return self._answer(CloudFormationError("UnsupportedOperation", f"The local cloud: {error}"))
        except Exception as error:
            # as a client's error: SDKs repeat a call for minutes when the service says that it failed
            _log.exception("%s", self._get_action())
            return self._answer(CloudFormationError("InternalFailure", f"The local cloud: {error!r}"))

    def create_change_set(self) -> ActionResult:
        if self._get_param("ChangeSetType", "UPDATE") not in ("CREATE", "UPDATE"):
            raise _error(Refused("The local cloud does not import resources"))
        change_set = self._do(
            lambda: self._operations.create_change_set(
                self._get_param("StackName"),
                self._get_param("ChangeSetName"),
                self._get_param("ChangeSetType", "UPDATE"),
                self._submission(),
            )
        )
        return ActionResult({"Id": change_set.change_set_id, "StackId": change_set.stack.stack_id})

    def describe_change_set(self) -> ActionResult:
        return ActionResult(described_change_set(self._change_set()))

    def list_change_sets(self) -> ActionResult:
        stack = self._stack()
        found = [one for one in self._operations.region.change_sets.values() if one.stack is stack]
        return ActionResult({"Summaries": [described_change_set(one) for one in found]})

    def execute_change_set(self) -> ActionResult:
        change_set = self._change_set()
        disable_rollback = bool(self._get_param("DisableRollback", False))
        self._do(lambda: self._operations.execute_change_set(change_set, disable_rollback=disable_rollback))
        return EmptyResult()

    def delete_change_set(self) -> ActionResult:
        try:
            change_set = self._operations.change_set(
                self._get_param("ChangeSetName"), self._get_param("StackName")
            )
        except Refused:
            return EmptyResult()  # the CLI deletes before it creates
        self._operations.region.change_sets.pop(change_set.change_set_id, None)
        return EmptyResult()

    def create_stack(self) -> ActionResult:
        if self._get_param("TimeoutInMinutes") or self._get_param("OnFailure", "ROLLBACK") == "DELETE":
            raise _error(Refused("The local cloud has neither TimeoutInMinutes nor OnFailure=DELETE"))
        disable_rollback = (
            self._get_param("DisableRollback", False) or self._get_param("OnFailure") == "DO_NOTHING"
        )
        stack = self._do(
            lambda: self._operations.create_stack(
                self._get_param("StackName"), self._submission(), disable_rollback=bool(disable_rollback)
            )
        )
        stack.termination_protection = bool(self._get_param("EnableTerminationProtection", False))
        return ActionResult({"StackId": stack.stack_id})

    def update_stack(self) -> ActionResult:
        stack = self._do(
            lambda: self._operations.update_stack(
                self._get_param("StackName"),
                self._submission(),
                disable_rollback=bool(self._get_param("DisableRollback", False)),
            )
        )
        return ActionResult({"StackId": stack.stack_id})

    def delete_stack(self) -> ActionResult:
        retained = frozenset(self._get_param("RetainResources", []))
        self._do(lambda: self._operations.delete_stack(self._get_param("StackName"), retained))
        return EmptyResult()

    def rollback_stack(self) -> ActionResult:
        stack = self._do(lambda: self._operations.roll_back(self._get_param("StackName")))
        return ActionResult({"StackId": stack.stack_id})

    def continue_update_rollback(self) -> ActionResult:
        if self._get_param("ResourcesToSkip"):
            raise _error(Refused("The local cloud skips no resources of a rollback"))
        self._do(lambda: self._operations.roll_back(self._get_param("StackName")))
        return EmptyResult()

    def update_termination_protection(self) -> ActionResult:
        stack = self._stack()
        stack.termination_protection = bool(self._get_param("EnableTerminationProtection"))
        return ActionResult({"StackId": stack.stack_id})

    def describe_stacks(self) -> ActionResult:
        if self._get_param("StackName"):
            return ActionResult({"Stacks": [described_stack(self._stack())]})
        return ActionResult({"Stacks": [described_stack(one) for one in self._stacks() if one.exists]})

    def list_stacks(self) -> ActionResult:
        wanted = self._get_param("StackStatusFilter", [])
        found = [one for one in self._stacks() if not wanted or one.status in wanted]
        return ActionResult({"StackSummaries": [described_stack(one) for one in found]})

    def describe_stack_events(self) -> ActionResult:
        stack = self._stack()
        return ActionResult(
            {"StackEvents": [described_event(stack, one) for one in reversed(list(stack.events))]}
        )

    def describe_stack_resource(self) -> ActionResult:
        stack, name = self._stack(), self._get_param("LogicalResourceId")
        if name not in stack.resources:
            raise _error(Refused(f"Resource {name} does not exist for stack {stack.name}"))
        return ActionResult({"StackResourceDetail": described_resource(stack, stack.resources[name])})

    def describe_stack_resources(self) -> ActionResult:
        name = self._get_param("LogicalResourceId")
        found = self._resources(self._stack())
        return ActionResult(
            {"StackResources": [one for one in found if name in (None, one["LogicalResourceId"])]}
        )

    def list_stack_resources(self) -> ActionResult:
        return ActionResult({"StackResourceSummaries": self._resources(self._stack())})

    def get_template(self) -> ActionResult:
        target = self._stack().target
        text = target.template.text if target else ""
        return ActionResult({"TemplateBody": text, "StagesAvailable": ["Original", "Processed"]})

    def get_template_summary(self) -> ActionResult:
        target = self._stack().target if self._get_param("StackName") else None
        return ActionResult(described_template(target.template if target else self._template()))

    def validate_template(self) -> ActionResult:
        described = described_template(self._template())
        return ActionResult({name: described[name] for name in ("Description", "Parameters")})

    def detect_stack_drift(self) -> ActionResult:
        stack, names = self._stack(), self._get_param("LogicalResourceIds", [])
        detected = self._do(lambda: drift.detect(self._operations.region, stack, names))
        return ActionResult({"StackDriftDetectionId": detected})

    def detect_stack_resource_drift(self) -> ActionResult:
        stack, name = self._stack(), self._get_param("LogicalResourceId")
        found = self._do(lambda: drift.detect_resource(self._operations.region, stack, name))
        return ActionResult({"StackResourceDrift": described_drift(stack, found)})

    def describe_stack_drift_detection_status(self) -> ActionResult:
        detection_id = self._get_param("StackDriftDetectionId")
        found = self._do(lambda: drift.detection(self._operations.region, detection_id))
        return ActionResult(described_detection(*found))

    def describe_stack_resource_drifts(self) -> ActionResult:
        stack, statuses = self._stack(), self._get_param("StackResourceDriftStatusFilters", [])
        largest, token = self._get_param("MaxResults"), self._get_param("NextToken")
        found, following = self._do(lambda: drift.page(stack, statuses, largest, token))
        described = [described_drift(stack, one) for one in found]
        return ActionResult({"StackResourceDrifts": described, "NextToken": following})

    def list_exports(self) -> ActionResult:
        return ActionResult(
            {
                "Exports": [
                    {"ExportingStackId": one.stack_id, "Name": one.name, "Value": one.value}
                    for one in self._operations.region.exports.all()
                ]
            }
        )

    def list_imports(self) -> ActionResult:
        name = self._get_param("ExportName")
        users = self._operations.region.exports.importers(name)
        if not users:
            raise _error(Refused(f"Export '{name}' is not imported by any stack."))
        return ActionResult({"Imports": users})

    def _answer(self, error: CloudFormationError) -> Any:
        status, headers, body = self.serialized(ActionResult(error))
        return status, {**headers, "status": status}, body

    @property
    def _operations(self) -> Operations:
        return type(self).operations(self.current_account, self.region)

    def _stacks(self) -> list[Stack]:
        return list(self._operations.region.stacks.values())

    def _stack(self) -> Stack:
        return self._do(lambda: self._operations.existing(self._get_param("StackName")))

    def _resources(self, stack: Stack) -> list[dict[str, Any]]:
        return [described_resource(stack, one) for one in list(stack.resources.values())]

    def _change_set(self) -> ChangeSet:
        return self._do(
            lambda: self._operations.change_set(
                self._get_param("ChangeSetName"), self._get_param("StackName")
            )
        )

    def _submission(self) -> Submission:
        tags = self._get_param("Tags")
        return Submission(
            text=None if self._get_param("UsePreviousTemplate", False) else self._text(),
            parameters={
                one["ParameterKey"]: None if one.get("UsePreviousValue") else one.get("ParameterValue", "")
                for one in self._get_param("Parameters", [])
            },
            tags=None if tags is None else {one["Key"]: one["Value"] for one in tags},
            capabilities=list(self._get_param("Capabilities", [])),
            role_arn=self._get_param("RoleARN"),
            notification_arns=list(self._get_param("NotificationARNs", [])),
            description=self._get_param("Description"),
        )

    def _template(self) -> Template:
        return self._do(lambda: parse(self._text() or ""))

    def _text(self) -> str | None:
        """Return the template given with the request, or at an S3 address."""
        url = self._get_param("TemplateURL")
        if not url:
            text: str | None = self._get_param("TemplateBody")
            return text
        body: str = get_stack_from_s3_url(url, account_id=self.current_account, partition=self.partition)
        return body

    def _do(self, operation: Callable[[], Answer]) -> Answer:
        try:
            return operation()
        except TemplateInvalid as error:
            raise CloudFormationError("ValidationError", str(error)) from None
        except Refused as refused:
            raise _error(refused) from None


def _error(refused: Refused) -> CloudFormationError:
    return CloudFormationError(refused.code, str(refused))
