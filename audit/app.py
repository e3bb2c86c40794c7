"""Synthesize one target under cdk-nag: python -m audit.app KIND ENGINE DIRECTORY [--without-packs].

A program of its own, so that a synth for deployment costs what it did, and so that several run at once.
"""

import json
import sys
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import cloudformation_include

from app import wire
from audit.findings import CONTROL
from stacks.assets import PROJECT, LambdaAsset, Platform
from stacks.settings import Deployment
from stacks.validation import choose


def main(kind: str, engine: str, directory: str, without_packs: str = "") -> None:
    """Write the cloud assembly to `directory`, with the packs' validation-report.json."""
    app = cdk.App(
        outdir=directory,
        stack_traces=False,
        context={
            **json.loads((PROJECT / "cdk.json").read_text())["context"],
            "aws:cdk:bundling-stacks": [],  # templates are looked at, assets are not built
            "aws:cdk:disable-creation-stack-traces": True,
            "aws:cdk:enable-path-metadata": True,
            "@aws-cdk/core:failSynthOnValidationErrors": False,  # the report says it, and is read
        },
        builtin_cloud_formation_validation=False,  # each synth for deployment does that
    )
    if kind == CONTROL:
        stack = cdk.Stack(app, "Control", stack_name="control")
        template = str(Path(__file__).with_name("control.template.json"))
        cloudformation_include.CfnInclude(stack, "Wrong", template_file=template)
    else:
        deployment = choose(kind, name="audit" if kind == "ephemeral" else None, engine=engine)
        wire(app, deployment, LambdaAsset(_platform(deployment)))
    if not without_packs:
        _add_packs(app)
    app.synth()


def _platform(deployment: Deployment) -> Platform:
    """Return whose binaries an asset would carry; for the local cloud, a machine that is nobody's own.

    The audit says the same on every machine: the oldest Python that this project runs with stands for it.
    """
    if deployment.functions.platform == "lambda":
        return Platform.of_lambda()
    return Platform(python_version="3.11", architecture="x86_64")


def _add_packs(app: cdk.App) -> None:
    import cdk_nag  # noqa: PLC0415 -- only `make audit` installs it

    packs = (
        cdk_nag.AwsSolutionsChecks,
        cdk_nag.NIST80053R5Checks,
        cdk_nag.HIPAASecurityChecks,
        cdk_nag.PCIDSS321Checks,
        cdk_nag.ServerlessChecks,
    )
    cdk.Validations.of(app).add_plugins(*(pack(app) for pack in packs))


if __name__ == "__main__":
    main(*sys.argv[1:])
