"""A deployment's templates as one set of resources, for tests that hold a promise against them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from app import wire
from stacks.assets import LambdaAsset, Platform
from stacks.engines import ENGINES, Engine
from stacks.settings import Deployment

PROJECT = Path(__file__).parents[2]
FLAGS = json.loads((PROJECT / "cdk.json").read_text())["context"]


@dataclass(frozen=True)
class Synthesized:
    """The templates of one deployment by construct id, and all of their resources by logical id."""

    templates: dict[str, dict[str, Any]]
    manifest: dict[str, Any]

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        """Every resource of every stack, with references between stacks as if there were one stack."""
        exported = {
            output["Export"]["Name"]: output["Value"]
            for template in self.templates.values()
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }
        resources: dict[str, dict[str, Any]] = {}
        for template in self.templates.values():
            assert not resources.keys() & template["Resources"].keys()
            resources |= _with_imports_resolved(template["Resources"], exported)
        return resources

    @cached_property
    def engine(self) -> Engine:
        """The engine of the deployment's cluster."""
        _, cluster = self.the_one("AWS::RDS::DBCluster")
        return ENGINES[cluster["Engine"].removeprefix("aurora-")]

    def of_type(self, resource_type: str) -> dict[str, dict[str, Any]]:
        """Return the properties of all resources of a type by logical id; there has to be one."""
        found = {
            logical_id: resource.get("Properties", {})
            for logical_id, resource in self.resources.items()
            if resource["Type"] == resource_type
        }
        assert found, f"no {resource_type}"
        return found

    def has_type(self, resource_type: str) -> bool:
        return any(resource["Type"] == resource_type for resource in self.resources.values())

    def the_one(self, resource_type: str) -> tuple[str, dict[str, Any]]:
        """Return logical id and properties of the only resource of a type."""
        found = self.of_type(resource_type)
        assert len(found) == 1, list(found)
        return next(iter(found.items()))

    def key(self, name: str = "Key") -> tuple[str, dict[str, Any]]:
        """Return logical id and properties of the key with this construct id; "Key" encrypts the data."""
        (found,) = [i for i in self.of_type("AWS::KMS::Key") if re.fullmatch(f"{name}[0-9A-F]{{8}}", i)]
        return found, self.resources[found]["Properties"]

    def functions(self) -> dict[str, dict[str, Any]]:
        """Return our own functions (not the CDK's) by the package that they run."""
        return {
            function["Handler"].removesuffix(".handler.on_event"): function
            for function in self.of_type("AWS::Lambda::Function").values()
            if function["Handler"].endswith(".handler.on_event")
        }

    def statements_of(self, role: Any) -> list[dict[str, Any]]:
        """Return what a role may do, whichever way it was granted; `role` is a reference to it."""
        (role_id,) = referred(role)
        inline = self.resources[role_id]["Properties"].get("Policies", [])
        attached = [
            resource["Properties"]
            for resource in self.resources.values()
            if resource["Type"] == "AWS::IAM::Policy" and role_id in referred(resource["Properties"]["Roles"])
        ]
        return [s for policy in [*inline, *attached] for s in policy["PolicyDocument"]["Statement"]]

    def admitted(self, group_id: str) -> set[tuple[str, Any]]:
        """Return who is let into a security group, as (referred source or address range, from port)."""
        rules = list(self.resources[group_id]["Properties"].get("SecurityGroupIngress", []))
        rules += [
            resource["Properties"]
            for resource in self.resources.values()
            if resource["Type"] == "AWS::EC2::SecurityGroupIngress"
            and referred(resource["Properties"]["GroupId"]) == {group_id}
        ]
        return {(_other_side(rule), self.port(rule.get("FromPort"))) for rule in rules}

    def let_out(self, group_id: str) -> set[tuple[str, Any]]:
        """Return where members of a security group may go, as (referred target or prefix list, from port)."""
        rules = list(self.resources[group_id]["Properties"].get("SecurityGroupEgress", []))
        rules = [rule for rule in rules if rule.get("Description") != "Disallow all traffic"]
        rules += [
            resource["Properties"]
            for resource in self.resources.values()
            if resource["Type"] == "AWS::EC2::SecurityGroupEgress"
            and referred(resource["Properties"]["GroupId"]) == {group_id}
        ]
        return {(_other_side(rule), self.port(rule.get("FromPort"))) for rule in rules}

    def port(self, value: Any) -> Any:
        """Return a port as a number, also where a template asks the cluster for it; None is every port."""
        if isinstance(value, dict) and value.get("Fn::GetAtt", ["", ""])[1] == "Endpoint.Port":
            return self.the_one("AWS::RDS::DBCluster")[1]["Port"]
        return value

    def group_of(self, name: str) -> str:
        """Return the logical id of the security group with this construct id."""
        (found,) = [
            i for i in self.of_type("AWS::EC2::SecurityGroup") if i.startswith(f"{name}SecurityGroup")
        ]
        return found


def synthesize(deployment: Deployment, asset: LambdaAsset | None = None) -> Synthesized:
    """Synthesize in this process, without building assets."""
    app = cdk.App(
        # as the CLI does it, but for bundling
        context={**FLAGS, "aws:cdk:bundling-stacks": [], "aws:cdk:enable-path-metadata": True},
        builtin_cloud_formation_validation=False,  # test_synth.py does that, for all at once
    )
    wire(app, deployment, asset or LambdaAsset(Platform.named(deployment.functions.platform)))
    directory = Path(app.synth().directory)
    templates = {
        path.name.removesuffix(".template.json"): json.loads(path.read_text())
        for path in sorted(directory.glob("*.template.json"))
    }
    return Synthesized(templates, json.loads((directory / "manifest.json").read_text()))


def referred(value: Any) -> set[str]:
    """Return the logical ids that a value refers to."""
    if isinstance(value, list):
        return {found for item in value for found in referred(item)}
    if not isinstance(value, dict):
        return set()
    if "Ref" in value:
        return {value["Ref"]} - {"AWS::AccountId", "AWS::Region", "AWS::Partition", "AWS::StackName"}
    if "Fn::GetAtt" in value:
        return {value["Fn::GetAtt"][0]}
    return {found for item in value.values() for found in referred(item)}


def as_list(value: Any) -> list[Any]:
    """Return what IAM allows to be one thing or a list as a list."""
    return value if isinstance(value, list) else [value]


def _other_side(rule: dict[str, Any]) -> str:
    for key in ("SourceSecurityGroupId", "DestinationSecurityGroupId"):
        if key in rule:
            (group,) = referred(rule[key])
            return group
    return str(next(rule[key] for key in ("CidrIp", "CidrIpv6", "DestinationPrefixListId") if key in rule))


def _with_imports_resolved(value: Any, exported: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_with_imports_resolved(item, exported) for item in value]
    if not isinstance(value, dict):
        return value
    if "Fn::ImportValue" in value:
        return exported[value["Fn::ImportValue"]]
    return {key: _with_imports_resolved(item, exported) for key, item in value.items()}
