"""A deployment of the templates under a name of its own, made anew from the stack whose right is missing."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from tests.deploy.clients import LocalCloud
from tests.deploy.least_privilege.rights import STACKS, Template, Templates

PATIENCE_SECONDS = 120
IMPATIENT_SECONDS = 20
"""What a function waits for in vain ends so soon. Less would leave the migrator no time but its reserve."""
LESS_IMPATIENT_SECONDS = 25
"""For functions outside the VPC: who waits for another function outlasts it, to tell how it ended."""


class StackFailed(Exception):
    """A stack was not created; the message is the first reason of a resource."""


@dataclass
class Deployment:
    """The four stacks under another name. Several stand in one cloud, each with a database of its own."""

    cloud: LocalCloud
    name: str
    templates: Templates
    synthesized_as: str = "local"
    """The deployment that the templates are of."""
    _standing: dict[str, str] = field(default_factory=dict)
    """The text of each stack's template, in the order of their creation."""

    def stack_name(self, stack: str) -> str:
        """Return a stack's name by its construct id."""
        return f"shop-{self.name}-{stack.lower()}"

    def deploy(self, changed: dict[str, Template]) -> None:
        """Bring the stacks to what the templates say, some of them changed; raise StackFailed.

        A stack that differs is made anew with all that stand upon it: so it is on an empty account.
        """
        texts = {one: self._text(changed.get(one, self.templates[one])) for one in STACKS}
        differs = [one for one in STACKS if self._standing.get(one) != texts[one]]
        if differs:
            first = STACKS.index(differs[0])
            self.take_down(STACKS[first])
            for stack in STACKS[first:]:
                self._create(stack, texts[stack])

    def take_down(self, lowest: str = STACKS[0]) -> list[str]:
        """Delete a stack and all that stand upon it; return what could not be deleted, and why.

        That stays behind without its stack, and ends with the cloud.
        """
        return [
            reason
            for stack in reversed(STACKS[STACKS.index(lowest) :])
            if self._standing.pop(stack, None) is not None
            for reason in self._delete(self.stack_name(stack))
        ]

    def resources(self, stack: str) -> dict[str, str]:
        """Return the physical ids of a stack's resources."""
        listed = self.cloud.items(
            "cloudformation",
            "list_stack_resources",
            "StackResourceSummaries",
            StackName=self.stack_name(stack),
        )
        return {one["LogicalResourceId"]: str(one.get("PhysicalResourceId")) for one in listed}

    def _text(self, template: Template) -> str:
        text = json.dumps(_with_impatient_functions(template), separators=(",", ":"))
        for pattern in ("shop-{}", "shop/{}/"):
            text = text.replace(pattern.format(self.synthesized_as), pattern.format(self.name))
        return text

    def _create(self, stack: str, text: str) -> None:
        name = self.stack_name(stack)
        self._standing[stack] = text
        self.cloud.client("cloudformation").create_stack(
            StackName=name, TemplateBody=text, Capabilities=["CAPABILITY_IAM"], OnFailure="DO_NOTHING"
        )
        if self._settled(name) != "CREATE_COMPLETE":
            raise StackFailed(self._first_failure(name))

    def _delete(self, name: str) -> list[str]:
        cloudformation = self.cloud.client("cloudformation")
        cloudformation.delete_stack(StackName=name)
        if self._settled(name) == "DELETE_COMPLETE":
            return []
        listed = self.cloud.items(
            "cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=name
        )
        stuck = [one for one in listed if one["ResourceStatus"] == "DELETE_FAILED"]
        cloudformation.delete_stack(
            StackName=name, RetainResources=[one["LogicalResourceId"] for one in stuck]
        )
        assert self._settled(name) == "DELETE_COMPLETE", name
        return [f"{one['LogicalResourceId']}: {one.get('ResourceStatusReason', '')}" for one in stuck]

    def _settled(self, name: str) -> str:
        """Return a stack's status once nothing is in progress."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        cloudformation = self.cloud.client("cloudformation")
        while time.monotonic() < deadline:
            try:
                status: str = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
            except cloudformation.exceptions.ClientError:
                return "DELETE_COMPLETE"  # a deleted stack is found by its id only
            if not status.endswith("_IN_PROGRESS"):
                return status
            time.sleep(0.05)
        raise TimeoutError(f"{name}: {status} for {PATIENCE_SECONDS} s")

    def _first_failure(self, name: str) -> str:
        events: list[dict[str, Any]] = self.cloud.items(
            "cloudformation", "describe_stack_events", "StackEvents", StackName=name
        )
        failed = [one for one in reversed(events) if one["ResourceStatus"].endswith("_FAILED")]
        first = failed[0]
        return f"{first['LogicalResourceId']}: {first.get('ResourceStatusReason', '')}"


def _with_impatient_functions(template: Template) -> Template:
    resources = {
        logical_id: _impatient(one) if one["Type"] == "AWS::Lambda::Function" else one
        for logical_id, one in template["Resources"].items()
    }
    return {**template, "Resources": resources}


def _impatient(function: dict[str, Any]) -> dict[str, Any]:
    properties = function["Properties"]
    timeout = IMPATIENT_SECONDS if "VpcConfig" in properties else LESS_IMPATIENT_SECONDS
    return {**function, "Properties": {**properties, "Timeout": timeout}}
