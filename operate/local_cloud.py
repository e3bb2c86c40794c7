"""The embedded cloud as the verbs use it: by its own command line, like any other app would."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from rich.console import Console

from operate.deployment import DEFAULT_CLOUD, PROJECT, Deployment


class LocalCloudFailed(Exception):
    """The local cloud's command failed; the message is what it said."""


class LocalCloud:
    """The local cloud of one name: started, asked and stopped."""

    def __init__(self, name: str = DEFAULT_CLOUD) -> None:
        self.name = name

    def assembly(self, deployment: Deployment) -> Path:
        """Where the cloud assembly of a deployment on it stands."""
        return PROJECT / "build" / "assemblies" / self.name / deployment.title

    def is_running(self) -> bool:
        """Whether it answers."""
        return self._call("env", check=False).returncode == 0

    def prepare(self, engine: str, *, tell: Callable[[str], None]) -> None:
        """Have the engine's server on this machine; `tell` hears of what takes long.

        Raises LocalCloudFailed, saying how to get one, where it cannot be had.
        """
        command = [sys.executable, "-m", "localcloud", "prepare", "--engine", engine]
        said: list[str] = []
        with subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            for line in process.stdout or ():
                said.append(line.rstrip())
                tell(said[-1])
        if process.returncode != 0:
            raise LocalCloudFailed("\n".join(said))

    def start(self, *, without: str = "") -> None:
        """Start it and wait until it is ready; `without` names what it shall not enforce."""
        self._call("start", *(["--without", without] if without else []))

    def unenforced(self) -> list[str]:
        """Return what it lets through that AWS might refuse, and why."""
        shown = json.loads(self._call("status", "--json").stdout)
        switched_off = [f"{name}: switched off" for name in shown["switched_off"]]
        return switched_off + [f"{name}: {reason}" for name, reason in shown["not_enforceable"].items()]

    def stop(self) -> str:
        """End it with all that belongs to it; returns its report of what is left."""
        return self._call("stop").stdout.strip()

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment with the cloud's settings in it, for the CLI and other children."""
        exports, unset = self._settings()
        own = ("AWS_ENDPOINT_URL_", *unset)
        return {name: value for name, value in os.environ.items() if not name.startswith(own)} | exports

    @property
    def ca_bundle(self) -> str:
        """Path of the certificates that a client of its endpoints trusts."""
        return self._settings()[0]["LOCALCLOUD_CA_BUNDLE"]

    def session(self) -> boto3.Session:
        """Return an administrator's session on it, whatever account the process's environment names."""
        exports, _ = self._settings()
        return boto3.Session(
            botocore_session=_SessionAt(exports["AWS_ENDPOINT_URL"]),
            region_name=exports["AWS_REGION"],
            aws_access_key_id=exports["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=exports["AWS_SECRET_ACCESS_KEY"],
        )

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Have this whole process stand in it while the block runs: for functions' code that runs here.

        Their clients know no endpoint but the environment's. Clients made before stay what they are.
        """
        before = dict(os.environ)
        os.environ.clear()
        os.environ.update(self.environment)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    @contextmanager
    def taken_away_unless_finished(self, console: Console) -> Iterator[None]:
        """Stop the cloud when the block fails or is interrupted, unless it ran before the block."""
        was_running = self.is_running()
        try:
            yield
        except BaseException:
            if not was_running:
                console.print("Taking the local cloud away again")
                console.print(self.stop(), highlight=False)
            raise

    def _settings(self) -> tuple[dict[str, str], list[str]]:
        """What a shell is told to export, and to unset because it would lead to another account."""
        exports: dict[str, str] = {}
        unset: list[str] = []
        for line in self._call("env").stdout.splitlines():
            verb, *words = shlex.split(line)
            if verb == "export":
                exports |= {name: value for name, _, value in (word.partition("=") for word in words)}
            elif verb == "unset":
                unset += words
        return exports, unset

    def _call(self, verb: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "localcloud", verb, "--name", self.name, *options],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and done.returncode != 0:
            raise LocalCloudFailed((done.stderr or done.stdout).strip())
        return done


_NEVER = (None, None, None, None)
_NO_FILE = (None, None, os.devnull, None)


class _SessionAt(botocore.session.Session):
    """Makes clients of one endpoint; reads no profile, no certificate and no file of whoever runs it.

    boto3 has an endpoint for each client, for the process's environment and for a profile, and none for a
    session.
    """

    def __init__(self, endpoint_url: str) -> None:
        super().__init__(
            session_vars={
                "profile": _NEVER,
                "ca_bundle": _NEVER,
                "config_file": _NO_FILE,
                "credentials_file": _NO_FILE,
            }
        )
        self._endpoint_url = endpoint_url

    def create_client(self, *arguments: Any, **given: Any) -> Any:
        """Return a client, of this endpoint unless another one is named."""
        given["endpoint_url"] = given.get("endpoint_url") or self._endpoint_url
        return super().create_client(*arguments, **given)
