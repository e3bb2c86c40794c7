"""The verbs on what is deployed, or would be: synth, smoke test, password; and how its account is reached."""

import json
import os
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from operate import cdk
from operate.deployment import PROJECT, Deployment
from operate.local_cloud import LocalCloud
from operate.report import stack_outputs
from stacks import settings, validation

BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
BOUNDED = Config(connect_timeout=5, read_timeout=20, retries={"max_attempts": 2})


class Refused(Exception):
    """The verb cannot start; the message says why and what to do."""


def synth(console: Console, deployment: Deployment) -> int:
    """Write the templates to cdk.out; needs no account. Returns the CLI's exit code."""
    check_settings(deployment)
    code = cdk.attached(["synth", "--quiet", *deployment.context_arguments])
    if code == 0:
        console.print(f"Templates of {', '.join(deployment.stack_names)} are in {PROJECT / 'cdk.out'}")
    return code


def smoke(console: Console, deployment: Deployment) -> int:
    """Run the smoke test on what is deployed, on AWS or locally; returns 1 when a check fails."""
    session = session_of(console, deployment)
    function = stack_outputs(session, deployment)["SmokeTestFunction"]
    patient = Config(read_timeout=900, retries={"total_max_attempts": 1})
    answer = session.client("lambda", config=patient).invoke(FunctionName=function, Payload=b"{}")
    return _print_smoke_report(console, answer)


def _print_smoke_report(console: Console, answer: dict[str, Any]) -> int:
    report: dict[str, Any] = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        console.print(f"Smoke test failed: {report.get('errorMessage')}", style="red")
        return 1
    for check in report["checks"]:
        line = f"  {check['name']:<34} {check['milliseconds']:>6.0f} ms  {check['detail']}"
        console.print(line, soft_wrap=True)
    console.print(
        f"Smoke test {report['result']}: {len(report['checks'])} checks in {report['milliseconds']:.0f} ms"
    )
    return 0


def password(console: Console, deployment: Deployment) -> int:
    """Print the administrator's password, for a client's "$(...)". Refuses to print it on a terminal."""
    if console.is_terminal:
        raise Refused('the password is not shown on a terminal: give it to the client as "$(...)"')
    session = session_of(Console(stderr=True, quiet=True), deployment)
    secret = session.client("secretsmanager").get_secret_value(
        SecretId=stack_outputs(session, deployment)["AdminSecretArn"]
    )
    console.out(json.loads(secret["SecretString"])["password"], highlight=False)
    return 0


def check_settings(deployment: Deployment) -> settings.Deployment:
    """Return the deployment's settings; raises Refused with everything that is wrong with them."""
    try:
        return validation.choose(**deployment.context)
    except validation.SettingsError as error:
        raise Refused(str(error)) from error


def account_session(console: Console, deployment: Deployment) -> boto3.Session:
    """Return a session in the deployment's region; raises Refused without credentials or bootstrap."""
    session = boto3.Session(region_name=check_settings(deployment).region)
    try:
        identity = session.client("sts", config=BOUNDED).get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise Refused(
            f"AWS does not know who you are ({error}): set AWS_PROFILE, or run `aws configure` or "
            "`aws sso login`. Without an account, `make local` deploys the same onto this machine."
        ) from error
    account = identity["Account"]
    try:
        session.client("ssm", config=BOUNDED).get_parameter(Name=BOOTSTRAP_PARAMETER)
    except (BotoCoreError, ClientError) as error:
        raise Refused(
            f"account {account} is not bootstrapped for CDK in {session.region_name} ({error}): "
            f"run {cdk.CLI.relative_to(PROJECT)} bootstrap aws://{account}/{session.region_name}"
        ) from error
    console.print(f"Account {account}, region {session.region_name}: {', '.join(deployment.stack_names)}")
    return session


def session_of(console: Console, deployment: Deployment) -> boto3.Session:
    """Return a session that reaches the deployment, on AWS or on this machine."""
    return (
        LocalCloud(deployment.cloud).session()
        if deployment.is_local
        else account_session(console, deployment)
    )


def environment_of(deployment: Deployment) -> Mapping[str, str]:
    """Return the environment in which the CDK CLI reaches the deployment, on AWS or on this machine."""
    return LocalCloud(deployment.cloud).environment if deployment.is_local else os.environ
