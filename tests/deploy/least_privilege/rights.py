"""Every right that a deployment's templates give, one by one, and the templates without one of them.

A right is what lets somebody do or reach something: a statement of a role's, a key's or a trust policy, an
attached policy, a function's permission, a rule of a security group, a VPC endpoint. They are found in the
templates, so that a new one is tried from its first day.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Template = dict[str, Any]
Templates = Mapping[str, Template]

STACKS = ("Network", "Database", "Schema", "Observability")
"""By construct id, in the order in which they are deployed."""

WHOLE_RESOURCES = {
    "AWS::EC2::SecurityGroupEgress": "rule",
    "AWS::EC2::SecurityGroupIngress": "rule",
    "AWS::EC2::VPCEndpoint": "endpoint",
    "AWS::IAM::ManagedPolicy": "policy",
    "AWS::IAM::Policy": "policy",
    "AWS::Lambda::Permission": "permission",
}
"""Resources that are a right and nothing else."""

STATED = {
    "trust": "AssumeRolePolicyDocument",
    "key policy": "KeyPolicy",
    "resource policy": "PolicyDocument",
}
"""By kind of right, the property of other resources whose statements are rights, one by one."""

LETS_NOBODY_OUT = "255.255.255.255/32"
"""The CDK's way to say "no egress": without any rule, EC2 would make one that allows everything."""

NEEDED_ON_AWS = {
    "ec2:AssignPrivateIpAddresses": "lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions",
    "ec2:DescribeSubnets": "lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions",
    "ec2:UnassignPrivateIpAddresses": "lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions",
    "logs:GetLogEvents": "AmazonRDS/latest/AuroraUserGuide/USER_Monitoring.OS.Enabling.html",
    "lambda:GetFunction": "lambda/latest/dg/functions-states.html",  # framework waits for a pending function
    "logs:DescribeLogStreams": "vpc/latest/userguide/flow-logs-iam-role.html",
}
"""Actions that nothing local asks for, and the page of docs.aws.amazon.com by which AWS does."""


@dataclass(frozen=True)
class Right:
    """One right, by where it stands in a template. An empty `place` is the whole resource."""

    stack: str
    resource: str
    kind: str
    place: tuple[str | int, ...]
    content: Any

    @property
    def name(self) -> str:
        """The same for every run, and only for this right."""
        place = (*self.place[:-1], self.content) if self.kind == "action" else self.place
        return "/".join([self.stack, self.resource, *map(str, place)])

    @property
    def holder(self) -> str:
        """Whose right it is: the resource's logical id without the CDK's hash."""
        return re.sub(r"(Role)?[0-9A-F]{8}$", "", self.resource)

    @property
    def aws_asks_for_it(self) -> bool:
        """Whether it is an action that stays although nothing local notices that it is gone."""
        return self.kind == "action" and self.content in NEEDED_ON_AWS


def rights_of(templates: Templates) -> list[Right]:
    """Return every right of the stacks."""
    return [
        Right(stack, logical_id, *found)
        for stack in STACKS
        for logical_id, resource in templates[stack]["Resources"].items()
        for found in _rights_of(resource)
    ]


def actions_of(rights: Sequence[Right]) -> list[Right]:
    """Return the single actions of those rights that are statements with several of them."""
    return [
        Right(one.stack, one.resource, "action", (*one.place, "Action", number), action)
        for one in rights
        if one.kind == "policy" and isinstance(one.content.get("Action"), list)
        for number, action in enumerate(one.content["Action"])
    ]


def without(template: Template, right: Right) -> Template:
    """Return the template as if nobody had thought of the right."""
    changed = copy.deepcopy(template)
    resources = changed["Resources"]
    if not right.place:
        del resources[right.resource]
        for resource in resources.values():
            _depend_no_more(resource, right.resource)
        return changed
    *path, last = right.place
    holder = resources[right.resource]["Properties"]
    for step in path:
        holder = holder[step]
    if right.kind in STATED and len(holder) == 1:
        # such a policy has to say something; and KMS would write its own instead of one that is missing
        holder[last] = {**holder[last], "Effect": "Deny"}
        return changed
    del holder[last]
    _drop_policies_that_say_nothing(resources[right.resource]["Properties"])
    return changed


_Found = tuple[str, tuple[str | int, ...], Any]


def _rights_of(resource: dict[str, Any]) -> Iterator[_Found]:
    properties = resource.get("Properties", {})
    kind = WHOLE_RESOURCES.get(resource["Type"])
    if kind:
        yield kind, (), properties
        return
    for number, policy in enumerate(properties.get("Policies", ())):
        place = ("Policies", number, "PolicyDocument", "Statement")
        yield from _each("policy", place, policy["PolicyDocument"]["Statement"])
    yield from _each("managed policy", ("ManagedPolicyArns",), properties.get("ManagedPolicyArns", ()))
    for kind, name in STATED.items():
        for found in _each(kind, (name, "Statement"), properties.get(name, {}).get("Statement", ())):
            if found[2]["Effect"] == "Allow":
                yield found
    for name in ("SecurityGroupIngress", "SecurityGroupEgress"):
        for found in _each("rule", (name,), properties.get(name, ())):
            if found[2].get("CidrIp") != LETS_NOBODY_OUT:
                yield found


def _each(kind: str, place: tuple[str | int, ...], items: Sequence[Any]) -> Iterator[_Found]:
    for number, item in enumerate(items):
        yield kind, (*place, number), item


def _depend_no_more(resource: dict[str, Any], gone: str) -> None:
    needed = resource.get("DependsOn", [])
    left = [name for name in ([needed] if isinstance(needed, str) else needed) if name != gone]
    resource.pop("DependsOn", None)
    if left:
        resource["DependsOn"] = left


def _drop_policies_that_say_nothing(properties: dict[str, Any]) -> None:
    if "Policies" in properties:
        properties["Policies"] = [one for one in properties["Policies"] if one["PolicyDocument"]["Statement"]]
