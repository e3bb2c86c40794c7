"""A place for clouds that no other test sees, and what its users can do there."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Machine:
    """A place for clouds that no other test sees: its own TMPDIR."""

    directory: Path
    environment: dict[str, str] = field(init=False)
    _variables: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environment = {**os.environ, "TMPDIR": str(self.directory), "PYTHONPATH": str(ROOT)}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "localcloud", *arguments]

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd=self.directory,
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
            **options,
        )

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a verb without waiting for its end."""
        return subprocess.Popen(
            # a shell's background job ignores SIGINT, and hands that down to all below it
            ["env", "--default-signal=INT", *self.command(*arguments)],
            env=self.environment,
            cwd=self.directory,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def status(self, name: str = "default") -> dict[str, Any]:
        answer = self.run("status", "--name", name, "--json")
        assert answer.returncode == 0, answer.stderr
        status: dict[str, Any] = json.loads(answer.stdout)
        return status

    def variables(self, name: str = "default") -> dict[str, str]:
        printed = self.run("env", "--name", name).stdout
        exports = [shlex.split(line)[1] for line in printed.splitlines() if line.startswith("export ")]
        return dict(export.split("=", 1) for export in exports)

    def client(self, service: str, name: str = "default", region: str | None = None) -> Any:
        if name not in self._variables:
            self._variables[name] = self.variables(name)
        variables = self._variables[name]
        return boto3.client(
            service,
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            region_name=region or variables["AWS_REGION"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
        )

    def processes(self) -> list[str]:
        """Return the command lines of the processes that belong to a cloud of this machine."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environment = (process / "environ").read_bytes()
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"TMPDIR={self.directory}".encode() in environment.split(b"\0") and command:
                found.append(command)
        return found

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.directory)) for path in self.directory.rglob("*"))


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> bool:
    """Return whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()
