"""A local cloud of each module's own, and the unmodified CDK CLI on it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
    """A CDK application, and the CLI with it on a cloud.

    Synthesizing takes several times as long as most commands: each set of context values is synthesized once,
    all at the same time, and the commands then take the assembly by its name.
    """

    cloud: LocalCloud
    directory: Path

    def synthesize_all(self, **assemblies: dict[str, str]) -> None:
        """Synthesize one assembly for each name, with its context values."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda item: self._synthesize(*item), assemblies.items()))

    def cdk(
        self, *arguments: str, assembly: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the CLI in the app's directory, on an assembly, or on what cdk.json says."""
        app = ["--app", f"cdk.out.{assembly}"] if assembly else []
        return run(
            [str(CDK), "--no-notices", *app, *arguments], cwd=self.directory, env=self.cloud.env, check=check
        )

    def deploy(self, assembly: str, *stacks: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Deploy the stacks of an assembly, all without names, and ask nobody."""
        chosen = list(stacks) or ["--all"]
        return self.cdk("deploy", "--require-approval", "never", *chosen, assembly=assembly, check=check)

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

    def physical_id(self, stack: str, logical_id: str) -> str:
        """Return the physical id of a resource by its logical id, without CDK's hash if it has one."""
        pages = self.cloud.client("cloudformation").get_paginator("list_stack_resources")
        found = [
            resource["PhysicalResourceId"]
            for page in pages.paginate(StackName=stack)
            for resource in page["StackResourceSummaries"]
            if re.fullmatch(f"{logical_id}([0-9A-F]{{8}})?", resource["LogicalResourceId"])
        ]
        assert found, f"{stack} has no {logical_id}"
        return found[0]

    def log_of(self, stack: str, logical_id: str) -> list[str]:
        """Return the lines of a function's log."""
        group = f"/aws/lambda/{self.physical_id(stack, logical_id)}"
        pages = self.cloud.client("logs").get_paginator("filter_log_events")
        return [event["message"] for page in pages.paginate(logGroupName=group) for event in page["events"]]

    def _synthesize(self, name: str, context: dict[str, str]) -> None:
        settings = [item for key, value in context.items() for item in ("--context", f"{key}={value}")]
        self.cdk("synth", "--quiet", "--output", f"cdk.out.{name}", *settings)


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
def foreign_app(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> App:
    """Return the foreign app, in a directory of the module's own."""
    directory = tmp_path_factory.mktemp("foreign") / "app"
    shutil.copytree(Path(__file__).parent / "foreign_app", directory)
    return App(cloud, directory)
