"""The operations of CloudFormation's API: change sets, and stacks begun, changed and ended by them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from localcloud.cloudformation.changes import Change, changes
from localcloud.cloudformation.engine import Engine
from localcloud.cloudformation.parameters import Parameter, evaluate
from localcloud.cloudformation.region import Region
from localcloud.cloudformation.stack import Stack, Target
from localcloud.cloudformation.template import Template, TemplateInvalid, parse
from localcloud.resources import UnknownResourceType

ANSWER_WITHIN_SECONDS = (
    20.0  # the CDK CLI asks every 5 s: an answer that comes with the result saves up to that
)
_UPDATABLE = {
    "CREATE_COMPLETE",
    "CREATE_FAILED",
    "UPDATE_COMPLETE",
    "UPDATE_FAILED",
    "UPDATE_ROLLBACK_COMPLETE",
}
_NO_CHANGES = (
    "The submitted information didn't contain changes. Submit different information to create a change set."
)


class Refused(Exception):
    """The API refuses a call, with AWS's error code."""

    def __init__(self, message: str, code: str = "ValidationError") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Submission:
    """What a caller submits for a stack. None for text or a parameter: as it is now."""

    text: str | None
    parameters: Mapping[str, str | None] = field(default_factory=dict)
    tags: Mapping[str, str] | None = None
    capabilities: list[str] = field(default_factory=list)
    role_arn: str | None = None
    notification_arns: list[str] = field(default_factory=list)
    description: str | None = None


@dataclass
class ChangeSet:
    """A stack's next target, and what it would change."""

    name: str
    change_set_id: str
    stack: Stack
    submission: Submission
    target: Target
    changes: list[Change]
    status: str
    status_reason: str | None
    execution_status: str
    created: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class Operations:
    """CloudFormation's operations in one region. Each raises Refused, and then has changed nothing."""

    region: Region
    parameter: Callable[[str], str]
    answer_within_seconds: float = ANSWER_WITHIN_SECONDS
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def create_change_set(self, stack_name: str, name: str, kind: str, submission: Submission) -> ChangeSet:
        """Prepare a change of a stack; of kind CREATE, begin the stack as well."""
        with self._lock:
            stack = self.region.stack(stack_name)
            if kind == "CREATE":
                if stack is not None and stack.status != "REVIEW_IN_PROGRESS":
                    raise Refused(f"Stack [{stack_name}] already exists", "AlreadyExistsException")
                target = self.target(None, submission)
                stack = stack or self._new_stack(stack_name)
            else:
                stack = self.existing(stack_name)
                self._check_updatable(stack)
                target = self.target(stack, submission)
            if any(one.name == name and one.stack is stack for one in self.region.change_sets.values()):
                raise Refused(f"ChangeSet [{name}] already exists", "AlreadyExistsException")
            return self._prepare(stack, name, submission, target)

    def execute_change_set(self, change_set: ChangeSet, *, disable_rollback: bool = False) -> None:
        """Begin the change, and wait a while for its end."""
        with self._lock:
            if change_set.execution_status != "AVAILABLE":
                raise Refused(
                    f"ChangeSet [{change_set.change_set_id}] cannot be executed in its current status of "
                    f"[{change_set.status}]",
                    "InvalidChangeSetStatus",
                )
            stack = change_set.stack
            if stack.busy:
                raise Refused(f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")
            change_set.execution_status = "EXECUTE_COMPLETE"
            self._forget_change_sets(stack)
            stack.change_set_id = change_set.change_set_id
            operation = self._begin_deployment(
                stack, change_set.submission, change_set.target, disable_rollback=disable_rollback
            )
        self._run(operation)

    def create_stack(self, name: str, submission: Submission, *, disable_rollback: bool = False) -> Stack:
        """Create a stack directly."""
        with self._lock:
            if self.region.stack(name) is not None:
                raise Refused(f"Stack [{name}] already exists", "AlreadyExistsException")
            target = self.target(None, submission)
            stack = self._new_stack(name, review=False)
            operation = self._begin_deployment(stack, submission, target, disable_rollback=disable_rollback)
        self._run(operation)
        return stack

    def update_stack(self, name: str, submission: Submission, *, disable_rollback: bool = False) -> Stack:
        """Update a stack directly."""
        with self._lock:
            stack = self.existing(name)
            self._check_updatable(stack)
            target = self.target(stack, submission)
            if _same(stack, target):
                raise Refused("No updates are to be performed.")
            operation = self._begin_deployment(stack, submission, target, disable_rollback=disable_rollback)
        self._run(operation)
        return stack

    def delete_stack(self, name: str, retained: frozenset[str]) -> None:
        """Delete a stack; one that does not exist is deleted already."""
        with self._lock:
            stack = self.region.stack(name)
            if stack is None or not stack.exists:
                return
            if stack.termination_protection:
                raise Refused(f"Stack [{name}] cannot be deleted while TerminationProtection is enabled")
            if stack.busy:
                raise Refused(f"Stack:{stack.stack_id} is in {stack.status} state and can not be deleted.")
            if retained and stack.status != "DELETE_FAILED":
                raise Refused(
                    "Invalid operation on stack. Specify ResourcesToRetain only when the stack is in the "
                    "DELETE_FAILED state."
                )
            self._forget_change_sets(stack)
            stack.transition("DELETE_IN_PROGRESS", "User Initiated")
        self._run(lambda: self._delete(stack, retained))

    def roll_back(self, name: str) -> Stack:
        """Undo a failed deployment that was left as it is, or go on with a rollback that failed."""
        with self._lock:
            stack = self.existing(name)
            if stack.unfinished is None or not stack.status.endswith("_FAILED"):
                raise Refused(
                    f"Stack:{stack.stack_id} is in {stack.status} state and can not be rolled back."
                )
            # so that nobody else begins: the engine says which rollback it is
            stack.status = "ROLLBACK_IN_PROGRESS"
        self._run(Engine(self.region, stack).roll_back)
        return stack

    def existing(self, name: str) -> Stack:
        """Return a stack that is there."""
        stack = self.region.stack(name)
        if stack is None:
            raise Refused(f"Stack with id {name} does not exist")
        return stack

    def change_set(self, name: str, stack_name: str | None) -> ChangeSet:
        """Return a change set by its ARN, or by its name and stack."""
        if name in self.region.change_sets:
            return self.region.change_sets[name]
        for one in reversed(list(self.region.change_sets.values())):
            if one.name == name and stack_name in (one.stack.name, one.stack.stack_id):
                return one
        raise Refused(f"ChangeSet [{name}] does not exist", "ChangeSetNotFound")

    def target(self, stack: Stack | None, submission: Submission) -> Target:
        """Return what the submission asks for; Refused when its template or parameters are not right."""
        current = stack.target if stack else None
        try:
            template = (
                current.template if submission.text is None and current else parse(submission.text or "")
            )
            self._check_types(template)
            previous = current.parameters if current else {}
            given = {
                name: previous[name].text if value is None and name in previous else value or ""
                for name, value in submission.parameters.items()
            }
            parameters = evaluate(template, given, self.parameter)
        except TemplateInvalid as error:
            raise Refused(str(error)) from None
        _check_capabilities(template, submission.capabilities)
        tags = current.tags if submission.tags is None and current else submission.tags or {}
        return Target(template, parameters, tags)

    def _check_types(self, template: Template) -> None:
        unknown = []
        for definition in template.resources.values():
            try:
                self.region.handlers(definition.type)
            except UnknownResourceType:
                unknown.append(definition.type)
        if unknown:
            raise TemplateInvalid(
                "Template format error: Unrecognized resource types: "
                f"[{', '.join(sorted(set(unknown)))}] (the local cloud does not have them)"
            )

    def _check_updatable(self, stack: Stack) -> None:
        if stack.status not in _UPDATABLE:
            raise Refused(f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")

    def _prepare(self, stack: Stack, name: str, submission: Submission, target: Target) -> ChangeSet:
        try:
            found = changes(self.region, stack, target)
        except TemplateInvalid as error:
            raise Refused(str(error)) from None
        same = _same(stack, target)
        change_set = ChangeSet(
            name=name,
            change_set_id=self._arn("changeSet", name),
            stack=stack,
            submission=submission,
            target=target,
            changes=found,
            status="FAILED" if same else "CREATE_COMPLETE",
            status_reason=_NO_CHANGES if same else None,
            execution_status="UNAVAILABLE" if same else "AVAILABLE",
        )
        self.region.change_sets[change_set.change_set_id] = change_set
        return change_set

    def _new_stack(self, name: str, *, review: bool = True) -> Stack:
        stack = Stack(name, self._arn("stack", name), self.region.account, self.region.name)
        self.region.stacks[stack.stack_id] = stack
        if review:
            stack.transition("REVIEW_IN_PROGRESS", "User Initiated")
        return stack

    def _begin_deployment(
        self, stack: Stack, submission: Submission, target: Target, *, disable_rollback: bool
    ) -> Callable[[], None]:
        stack.disable_rollback = disable_rollback
        stack.capabilities = submission.capabilities
        stack.role_arn = submission.role_arn or stack.role_arn
        stack.notification_arns = submission.notification_arns
        stack.updated = datetime.now(UTC) if stack.target else None
        stack.transition(f"{'UPDATE' if stack.target else 'CREATE'}_IN_PROGRESS", "User Initiated")
        return lambda: Engine(self.region, stack).deploy(target)

    def _delete(self, stack: Stack, retained: frozenset[str]) -> None:
        stack.deleted = datetime.now(UTC)
        Engine(self.region, stack).delete(retained)

    def _forget_change_sets(self, stack: Stack) -> None:
        """A stack that changes takes its change sets with it; they no longer fit."""
        for one in [one for one in self.region.change_sets.values() if one.stack is stack]:
            del self.region.change_sets[one.change_set_id]

    def _run(self, operation: Callable[[], None]) -> None:
        thread = threading.Thread(target=operation, name="stack operation", daemon=True)
        thread.start()
        thread.join(self.answer_within_seconds)

    def _arn(self, kind: str, name: str) -> str:
        region, account = self.region.name, self.region.account
        return f"arn:aws:cloudformation:{region}:{account}:{kind}/{name}/{uuid.uuid4()}"


def _same(stack: Stack, new: Target) -> bool:
    """Whether there is nothing to do; a stack that failed on its way has something to do."""
    old = stack.target
    return (
        old is not None
        and stack.unfinished is None
        and old.template.body == new.template.body
        and _values(old.parameters) == _values(new.parameters)
        and old.tags == new.tags
    )


def _values(parameters: Mapping[str, Parameter]) -> dict[str, object]:
    return {name: parameter.value for name, parameter in parameters.items()}


def _check_capabilities(template: Template, given: list[str]) -> None:
    """What makes identities has to be acknowledged."""
    iam = [one for one in template.resources.values() if one.type in _IDENTITIES]
    named = any(_IDENTITIES[one.type] in one.properties for one in iam)
    wanted = "CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM"
    if iam and wanted not in given and "CAPABILITY_NAMED_IAM" not in given:
        raise Refused(f"Requires capabilities : [{wanted}]", "InsufficientCapabilitiesException")


_IDENTITIES = {
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
}
