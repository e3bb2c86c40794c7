"""The verb: what a deployment costs, and what another one would cost in its place."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from operate.aws import Refused, check_settings
from operate.cost.estimate import Estimate, estimate
from operate.cost.markdown import comparison, page
from operate.cost.prices import NoPrices
from operate.cost.templates import NotAnAssembly, read_assembly
from operate.deployment import PROJECT, Deployment
from stacks.settings import DEPLOYMENTS


def run(console: Console, deployment: Deployment, *, compare: str) -> int:
    """Print the estimate as Markdown; with `compare`, a deployment or a cloud assembly, the difference to it.

    Raises Refused where there are no prices or no such thing to compare with. Needs no account.
    """
    try:
        own = _of_deployment(deployment)
        if compare:
            text = comparison(_title(deployment, compare), _other(deployment, compare), deployment.title, own)
        else:
            text = page(deployment.title, own)
    except (NoPrices, NotAnAssembly) as error:
        raise Refused(str(error)) from error
    console.out(text, highlight=False)
    return 0


def _title(deployment: Deployment, compare: str) -> str:
    return compare if compare in DEPLOYMENTS else f"{deployment.title} of {compare}"


def _other(deployment: Deployment, compare: str) -> Estimate:
    """Return the estimate of what `compare` names: a deployment on the same engine, or a folder."""
    if compare not in DEPLOYMENTS:
        if not Path(compare).is_dir():
            raise Refused(
                f"compare={compare} is neither a deployment ({', '.join(DEPLOYMENTS)}) nor the folder of a "
                "cloud assembly, such as cdk.out"
            )
        return estimate(read_assembly(Path(compare)))
    name = deployment.name or "pr-1"
    return _of_deployment(replace(deployment, kind=compare, name=name if compare == "ephemeral" else ""))


def _of_deployment(deployment: Deployment) -> Estimate:
    """Synthesize in this process, without building what runs in Lambda: its size costs nothing."""
    os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")  # the set-up warns once
    # the CDK takes a second to import, which no other verb has to wait for
    import aws_cdk as cdk  # noqa: PLC0415

    from app import wire  # noqa: PLC0415
    from stacks.assets import LambdaAsset, Platform  # noqa: PLC0415

    settings = check_settings(deployment)
    flags = json.loads((PROJECT / "cdk.json").read_text())["context"]
    with tempfile.TemporaryDirectory() as directory:
        app = cdk.App(
            outdir=directory,
            stack_traces=False,
            context={**flags, "aws:cdk:bundling-stacks": [], "aws:cdk:enable-path-metadata": True},
            builtin_cloud_formation_validation=False,
        )
        wire(app, settings, LambdaAsset(Platform.named(settings.functions.platform)))
        return estimate(read_assembly(Path(app.synth().directory)))
