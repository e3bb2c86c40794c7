"""A function that makes the calls it is told to, with the rights that a test gives its role."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.localcloud.server.conftest import server  # noqa: F401 - a fixture
from tests.localcloud.server.deploying import TRUST, Deployed, resource
from tests.localcloud.server.machine import Machine

CALLER = """
import boto3
def handler(calls, context):
    answers = []
    session = boto3.Session()
    for call in calls:
        try:
            if call["service"] == "session":
                sts, role = boto3.client("sts"), call["parameters"]
                given = sts.assume_role(RoleSessionName="other", **role)["Credentials"]
                session = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
                answers.append("ok")
                continue
            client = session.client(call["service"])
            getattr(client, call["operation"])(**call["parameters"])
            answers.append("ok")
        except Exception as error:
            answers.append(f"{getattr(error, 'response', {}).get('Error', {}).get('Code', '')}: {error}")
    return answers
"""

Ask = Callable[..., list[str]]


def call(service: str, operation: str, **parameters: Any) -> dict[str, Any]:
    return {"service": service, "operation": operation, "parameters": parameters}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: str | list[str], on: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": on, **more}


def deny(action: str, on: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": on, **more}


@pytest.fixture
def ask(server: Machine) -> Ask:  # noqa: F811
    """Deploy the caller with these rights and return what its calls were answered."""

    def answers(
        rights: list[dict[str, Any]], *calls: dict[str, Any], role: dict[str, Any] | None = None
    ) -> list[str]:
        stack = Deployed(server, f"ask-{uuid.uuid4().hex[:8]}")
        policies = [{"PolicyName": "rights", "PolicyDocument": policy(*rights)}] if rights else []
        ids = stack.deploy(
            Role=resource(
                "AWS::IAM::Role", AssumeRolePolicyDocument=TRUST, Policies=policies, **(role or {})
            ),
            Function=resource(
                "AWS::Lambda::Function",
                Runtime="python3.13",
                Handler="index.handler",
                Role={"Fn::GetAtt": ["Role", "Arn"]},
                Code={"ZipFile": CALLER},
                Timeout=30,
            ),
        )
        invoked = server.client("lambda").invoke(FunctionName=ids["Function"], Payload=json.dumps(calls))
        said: list[str] = json.load(invoked["Payload"])
        assert "FunctionError" not in invoked, said
        return said

    return answers
