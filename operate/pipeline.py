"""The pull request's pipeline on this machine: the workflows' own steps, against the local cloud.

python -m operate.pipeline [JOB ...]: of check, test, audit, synth, ephemeral; by default all, in this order.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from operate.deployment import PROJECT
from operate.local_cloud import LocalCloud

WORKFLOWS = PROJECT / ".github" / "workflows"
JOBS = {
    "check": "verify",
    "test": "verify",
    "audit": "verify",
    "synth": "verify",
    "ephemeral": "pull-request",
}
"""By job, its workflow. What compares with another branch, or writes a comment, has nothing to do here."""
NUMBER = "local"
"""In the place of a pull request's number: its environments are pr-local and pr-local-my."""


@dataclass(frozen=True)
class Step:
    """One verb with its variables."""

    job: str
    command: str
    variables: Mapping[str, str]
    always: bool
    """Whether it runs also after a step that failed."""


@dataclass(frozen=True)
class Ran:
    """How a step went."""

    step: Step
    outcome: str
    """passed, failed, or skipped."""
    seconds: float


def runs_of(job: str) -> list[list[Step]]:
    """Return the steps of a job, once for each row of its matrix, as the workflow has them."""
    found = yaml.safe_load((WORKFLOWS / f"{JOBS[job]}.yml").read_text())["jobs"][job]
    return [
        [
            Step(job, step["run"], _variables(found, row), always=step.get("if") == "always()")
            for step in found["steps"]
            if "run" in step
        ]
        for row in _rows(found)
    ]


def run(steps: Sequence[Step], environment: Mapping[str, str]) -> Iterator[Ran]:
    """Run one job: after a failure only what runs always. An interruption ends the step, not the clean-up."""
    failed = False
    for step in steps:
        began = time.monotonic()
        if failed and not step.always:
            yield Ran(step, "skipped", 0)
            continue
        try:
            done = subprocess.run(
                step.command.split(), cwd=PROJECT, env={**environment, **step.variables}, check=False
            ).returncode
        except KeyboardInterrupt:
            done = 130
        failed = failed or done != 0
        yield Ran(step, "passed" if done == 0 else "failed", time.monotonic() - began)


def main(arguments: Sequence[str]) -> int:
    """Run jobs and say how each step went and how long it took; returns 1 when one did not pass."""
    parser = argparse.ArgumentParser(prog="python -m operate.pipeline", description=__doc__)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=", ".join(JOBS))
    parser.add_argument("--engine", default="", help="of the jobs that run on each, that one alone")
    parser.add_argument("--cloud", default="pipeline", help="the local cloud's name; it is taken away after")
    given = parser.parse_args(arguments)
    unknown = [job for job in given.jobs if job not in JOBS]
    if unknown:
        parser.error(f"{', '.join(unknown)}: no such job; there are {', '.join(JOBS)}")
    environment = {**os.environ, "CI": "true", "LOCAL": "1", "CLOUD": given.cloud}
    ran = [
        one
        for job in given.jobs or JOBS
        for steps in runs_of(job)
        if not given.engine or steps[0].variables.get("ENGINE", given.engine) == given.engine
        for one in run(steps, environment)
    ]
    _end(given.cloud)
    Console(highlight=False).print(_table(ran))
    return 1 if not ran or any(one.outcome != "passed" for one in ran) else 0


def _end(cloud: str) -> None:
    if LocalCloud(cloud).is_running():
        command = [sys.executable, "-m", "operate", "local", "down", "--cloud", cloud]
        subprocess.run(command, cwd=PROJECT, check=False)


def _rows(job: Mapping[str, Any]) -> list[Mapping[str, str]]:
    matrix = job.get("strategy", {}).get("matrix", {})
    if "include" in matrix:
        return list(matrix["include"])
    return [dict(zip(matrix, values, strict=True)) for values in itertools.product(*matrix.values())]


def _variables(job: Mapping[str, Any], row: Mapping[str, str]) -> dict[str, str]:
    known = {"github.event.number": NUMBER, **{f"matrix.{name}": value for name, value in row.items()}}
    return {
        name: re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda found: known[found[1]], value)
        for name, value in job.get("env", {}).items()
    }


def _table(ran: Sequence[Ran]) -> Table:
    table = Table(title="Pipeline", title_justify="left", box=None, padding=(0, 2))
    for column in ("job", "step", "of", "outcome", "seconds"):
        table.add_column(column, justify="right" if column == "seconds" else "left", overflow="fold")
    for one in ran:
        of = " ".join(one.step.variables.values())
        table.add_row(one.step.job, one.step.command, of, one.outcome, f"{one.seconds:.1f}")
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
