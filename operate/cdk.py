"""Runs the unmodified CDK CLI."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from operate.deployment import PROJECT, Deployment

CLI = PROJECT / "node_modules" / ".bin" / "cdk"
QUIET = ("--no-notices", "--no-version-reporting")


class CdkFailed(Exception):
    """The CLI ended with an error; the message holds what it said."""


def command(*arguments: str) -> list[str]:
    """The CLI's command line for `arguments`."""
    return [str(CLI), *arguments, *QUIET]


def start(*arguments: str, environment: Mapping[str, str], output: Path) -> subprocess.Popen[bytes]:
    """Start the CLI in the background; what it says goes to the file `output`."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as sink:
        return subprocess.Popen(
            command(*arguments),
            cwd=PROJECT,
            env=_without_noise(environment),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )


def finish(process: subprocess.Popen[bytes], output: Path) -> None:
    """Wait for a CLI that `start` started; raises CdkFailed with the words it ended with."""
    if process.wait() != 0:
        raise CdkFailed(_last_words(output))


def run(*arguments: str, environment: Mapping[str, str], output: Path) -> None:
    """Run the CLI to its end; raises CdkFailed with the words it ended with."""
    finish(start(*arguments, environment=environment, output=output), output)


def attached(arguments: Sequence[str], *, environment: Mapping[str, str] | None = None) -> int:
    """Run the CLI on the user's own terminal, so that it can ask; returns its exit code."""
    sys.stdout.flush()
    return subprocess.run(
        command(*arguments), cwd=PROJECT, env=_without_noise(environment or os.environ), check=False
    ).returncode


def synthesize(
    deployment: Deployment, assembly: Path, *, output: Path, environment: Mapping[str, str] = os.environ
) -> subprocess.Popen[bytes]:
    """Start writing the deployment's cloud assembly to the folder `assembly`."""
    forget_the_killed(assembly)
    return start(
        "synth", "--quiet", "--output", str(assembly), *deployment.context_arguments,
        environment=environment, output=output,
    )  # fmt: skip


def forget_the_killed(assembly: Path) -> None:
    """Remove the locks of CLIs that were killed and that nobody has reaped: the CLI takes those for alive.

    In a container whose first process reaps nobody they would lock the folder for ever.
    """
    for lock in assembly.glob("*.lock"):
        with suppress(FileNotFoundError):
            if _is_zombie(lock.read_text()):
                lock.unlink()


def _is_zombie(process_id: str) -> bool:
    try:
        status = Path("/proc", process_id.strip(), "stat").read_text()
    except OSError:  # gone, which the CLI sees by itself; or a system without /proc
        return False
    return status.rpartition(")")[2].split()[0] == "Z"


def _without_noise(environment: Mapping[str, str]) -> dict[str, str]:
    """Warnings about the age of Node 20 would bury the CLI's words: the Makefile's set-up gives them once."""
    return {**environment, "NODE_NO_WARNINGS": "1", "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20"}


def _last_words(output: Path, *, lines: int = 25) -> str:
    said = output.read_text(errors="replace").strip().splitlines()
    return "\n".join(said[-lines:]) or f"the CDK CLI said nothing; its output is in {output}"
