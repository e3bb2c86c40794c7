"""What is enforced is said, can be switched off by name, and what was refused is remembered."""

from __future__ import annotations

import json
from typing import Any

import botocore.exceptions
import pytest

from localcloud.enforcements import EVERY, Enforcement, named
from tests.localcloud.server.deploying import OTHER_TRUST, TRUST, Deployed, DeploymentFailed, resource
from tests.localcloud.server.machine import Machine

NO_RIGHTS = """
import boto3
def handler(event, context):
    return boto3.client("ssm").get_parameter(Name="/nobody/may")["Parameter"]["Value"]
"""


def test_everything_is_enforced_and_said(server: Machine) -> None:
    page = server.status("default")
    assert set(page["enforced"]) == {"iam", "kms", "network", "database-iam"}
    assert page["switched_off"] == [] and page["not_enforceable"] == {}
    assert "enforced: iam, kms, network, database-iam" in server.run("status").stdout


def test_a_refusal_is_in_the_status_with_who_and_why(server: Machine, stack: Deployed) -> None:
    ids = stack.deploy(Role=role(TRUST), Function=function())
    answer = server.client("lambda").invoke(FunctionName=ids["Function"])
    error = json.load(answer["Payload"])
    assert error["errorType"] == "AccessDeniedException"
    assert (
        "(AccessDeniedException) when calling the GetParameter operation: User:"
        " arn:aws:sts::123456789012:assumed-role/"
    ) in error["errorMessage"]
    assert (
        "is not authorized to perform: ssm:GetParameter on resource:"
        " arn:aws:ssm:us-east-1:123456789012:parameter/nobody/may"
        " because no identity-based policy allows the ssm:GetParameter action"
    ) in error["errorMessage"]
    [refusal] = [one for one in server.status("default")["refusals"] if "ssm:GetParameter" in one["reason"]]
    assert refusal["enforcement"] == "iam" and ":assumed-role/" in refusal["who"]
    assert "ssm:GetParameter on arn:aws:ssm" in server.run("status").stdout


def test_a_role_that_lambda_may_not_assume_is_refused(stack: Deployed) -> None:
    with pytest.raises(DeploymentFailed, match="The role defined for the function cannot be assumed by Lamb"):
        stack.deploy(Role=role(OTHER_TRUST), Function=function())


def test_what_is_switched_off_lets_through_and_is_said(machine: Machine) -> None:
    started = machine.run("start", "--without", "iam,network", "--without", "database-iam")
    assert started.returncode == 0, started.stderr
    assert "not enforced, as asked: iam, network, database-iam" in started.stdout
    page = machine.status("default")
    assert page["enforced"] == ["kms"] and page["switched_off"] == ["iam", "network", "database-iam"]
    stack = Deployed(machine, "off")
    ids = stack.deploy(Role=role(OTHER_TRUST), Function=function())
    answer = machine.client("lambda").invoke(FunctionName=ids["Function"])
    assert json.load(answer["Payload"])["errorType"] == "ParameterNotFound"
    assert machine.status("default")["refusals"] == []


def test_a_running_cloud_does_not_change_what_it_enforces(server: Machine) -> None:
    again = server.run("start", "--without", "iam")
    assert again.returncode == 1
    assert "--without iam: what is enforced is decided at the start; stop it first" in again.stderr
    assert server.run("start").returncode == 0


def test_an_unknown_name_is_refused_with_the_known_ones(machine: Machine) -> None:
    refused = machine.run("start", "--without", "gravity")
    assert refused.returncode == 1
    assert "unknown enforcement gravity: there are iam, kms, network, database-iam" in refused.stderr
    assert machine.files() == []


def test_help_says_what_each_one_refuses(machine: Machine) -> None:
    shown = " ".join(machine.run("start", "--help").stdout.split())
    assert all(f"{one}: {one.what}." in shown for one in Enforcement)


def test_names_may_stand_together_or_apart() -> None:
    assert named(["iam,kms", " network "]) == {Enforcement.IAM, Enforcement.KMS, Enforcement.NETWORK}
    assert named([""]) == frozenset() and named(Enforcement) == EVERY


def test_the_operators_calls_are_not_judged(server: Machine) -> None:
    with pytest.raises(botocore.exceptions.ClientError, match="ParameterNotFound"):
        server.client("ssm").get_parameter(Name="/nobody/may")


def role(trust: dict[str, Any]) -> dict[str, Any]:
    return resource("AWS::IAM::Role", AssumeRolePolicyDocument=trust)


def function() -> dict[str, Any]:
    return resource(
        "AWS::Lambda::Function",
        Runtime="python3.13",
        Handler="index.handler",
        Role={"Fn::GetAtt": ["Role", "Arn"]},
        Code={"ZipFile": NO_RIGHTS},
        Timeout=20,
    )
