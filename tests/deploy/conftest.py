"""A local cloud of each module's own, and the unmodified CDK CLI on it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

ROOT = Path(__file__).resolve().parents[2]
CDK = ROOT / "node_modules" / ".bin" / "cdk"
PATIENCE_SECONDS = 240


def run(
    command: list[str], *, cwd: Path, env: dict[str, str], check: bool = True, timeout: int = PATIENCE_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; its whole output is in the failure when it fails unexpectedly."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert not check or done.returncode == 0, f"{shlex.join(command)}: exit {done.returncode}\n{done.stdout}"
    return done


@dataclass(frozen=True)
class LocalCloud:
    """A running cloud, as its users see it: `python -m localcloud` and the variables that it prints."""

    name: str
    variables: dict[str, str]

    @classmethod
    def start(cls, name: str) -> LocalCloud:
        """Start a cloud and wait until it answers."""
        command([*localcloud("start", name)])
        printed = command([*localcloud("env", name)]).stdout
        exports = [shlex.split(line)[1] for line in printed.splitlines() if line.startswith("export ")]
        return cls(name, dict(export.split("=", 1) for export in exports))

    @property
    def env(self) -> dict[str, str]:
        """The environment of a client: this process's, with what `env` printed."""
        quiet = {"CI": "true", "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1"}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**os.environ, **quiet, **self.variables, "PATH": path}

    def client(self, service: str) -> Any:
        """Return a boto3 client of the cloud."""
        return boto3.client(
            service,
            endpoint_url=self.variables["AWS_ENDPOINT_URL"],
            region_name=self.variables["AWS_REGION"],
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
        )

    def status(self) -> dict[str, Any]:
        """Return what `status --json` says."""
        return json.loads(command([*localcloud("status", self.name), "--json"]).stdout)

    def stop(self) -> str:
        """End the cloud; return what it said about that."""
        return command([*localcloud("stop", self.name)]).stdout


def localcloud(verb: str, name: str) -> list[str]:
    """Return the command line of a verb."""
    return [sys.executable, "-m", "localcloud", verb, "--name", name]


def command(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a verb of the local cloud."""
    return run(arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})


@dataclass(frozen=True)
class App:
    """A CDK application with the CLI on a cloud."""

    cloud: LocalCloud
    directory: Path

    def cdk(self, *arguments: str, check: bool = True, **context: str) -> subprocess.CompletedProcess[str]:
        """Run the CLI in the app's directory."""
        settings = [item for name, value in context.items() for item in ("--context", f"{name}={value}")]
        line = [str(CDK), "--no-notices", *settings, *arguments]
        return run(line, cwd=self.directory, env=self.cloud.env, check=check)

    def deploy(self, *stacks: str, check: bool = True, **context: str) -> subprocess.CompletedProcess[str]:
        """Deploy the stacks, all without names, and ask nobody."""
        chosen = list(stacks) or ["--all"]
        return self.cdk("deploy", "--require-approval", "never", *chosen, check=check, **context)

    def outputs(self, stack: str) -> dict[str, str]:
        """Return a deployed stack's outputs."""
        described = self.cloud.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}

    def status_of(self, stack: str) -> str:
        """Return a stack's status."""
        return self.cloud.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0][
            "StackStatus"
        ]

    def events(self, stack: str) -> list[tuple[str, str, str]]:
        """Return a stack's events, oldest first: logical id, status, reason."""
        pages = self.cloud.client("cloudformation").get_paginator("describe_stack_events")
        events = [event for page in pages.paginate(StackName=stack) for event in page["StackEvents"]]
        return [
            (event["LogicalResourceId"], event["ResourceStatus"], event.get("ResourceStatusReason", ""))
            for event in reversed(events)
        ]


def short_name(prefix: str) -> str:
    """Return a name that no other run on this machine has."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    """Return a cloud of the module's own, which ends with nothing left."""
    cloud = LocalCloud.start(short_name("test"))
    try:
        yield cloud
    finally:
        said = cloud.stop()
    assert "no process and no file is left" in said
    assert "killed" not in said, said


@pytest.fixture(scope="module")
def copy_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Return a function that copies an app to a directory of the module's own."""

    def copy(app: Path) -> Path:
        target = tmp_path_factory.mktemp("app") / app.name
        shutil.copytree(app, target, ignore=shutil.ignore_patterns("cdk.out", "build", "__pycache__"))
        return target

    return copy
