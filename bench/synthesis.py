"""Synth of a full deployment against synth of an empty app, by the same command."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bench.measuring import Ratio, command, in_turn, print_samples
from operate import cdk
from operate.deployment import PROJECT

EMPTY_APP = """import aws_cdk

app = aws_cdk.App()
stack = aws_cdk.Stack(app, "Empty")
aws_cdk.CfnWaitConditionHandle(stack, "Nothing")  # a template without resources is refused
app.synth()
"""
LIMIT = 1.5


def measure(console: Console, runs: int) -> list[Ratio]:
    """Return the ratio of `dev` to an empty app with the same cdk.json, both by `cdk synth`."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "app.py").write_text(EMPTY_APP)
        (directory / "cdk.json").write_text((PROJECT / "cdk.json").read_text())
        samples = in_turn(
            runs,
            {
                "empty app": synth_of(directory, directory / "empty"),
                "dev": synth_of(PROJECT, directory / "full", "dev"),
            },
            console,
        )
    print_samples(console, "Synth", samples)
    return [Ratio("synth of dev ÷ empty app", samples["dev"].median, samples["empty app"].median, LIMIT)]


def synth_of(app: Path, output: Path, deployment: str = "") -> Callable[[], None]:
    """Return what runs `cdk synth` in the folder `app`."""
    context = ["-c", f"deployment={deployment}"] if deployment else []
    words = cdk.command(
        "synth", "--quiet", "--app", f"{sys.executable} app.py", "--output", str(output), *context
    )
    return command(
        *words,
        cwd=str(app),
    )
