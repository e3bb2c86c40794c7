"""The verbs' command line; the Makefile calls it after setting up what it needs."""

import argparse
import sys
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from operate import aws, local
from operate.cdk import CdkFailed
from operate.deployment import DEFAULT_CLOUD, Deployment
from operate.local_cloud import LocalCloud, LocalCloudFailed


def main(arguments: list[str]) -> int:
    """Run one verb; returns 0 only when it did all it should. An error says what to do next."""
    options = _parser().parse_args(arguments)
    console = Console(emoji=False, highlight=False)
    try:
        return _run(options, console)
    except (aws.Refused, LocalCloudFailed, CdkFailed, BotoCoreError, ClientError) as error:
        Console(stderr=True).print(str(error), style="red", soft_wrap=True, markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted.")
        return 130


def _run(options: argparse.Namespace, console: Console) -> int:
    if options.verb == "local":
        return _run_local(options, console)
    deployment = Deployment(
        kind=options.deployment, name=options.name, seed_file=options.seed_file, cloud=options.cloud
    )
    verbs = {
        "synth": aws.synth,
        "deploy": aws.deploy,
        "destroy": aws.destroy,
        "smoke": aws.smoke,
        "password": aws.password,
    }
    return verbs[options.verb](console, deployment)


def _run_local(options: argparse.Namespace, console: Console) -> int:
    cloud = LocalCloud(options.cloud)
    if options.action == "up":
        return local.up(console, cloud, seed_file=options.seed_file)
    return local.status(console, cloud) if options.action == "status" else local.down(console, cloud)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m operate", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    on_this_machine = verbs.add_parser("local", help="the deployment on this machine's embedded cloud")
    on_this_machine.add_argument("action", choices=["up", "status", "down"])
    on_this_machine.add_argument(
        "--seed-file", type=Path, help="CSV or CSV.gz of invoice lines; default: a small sample"
    )
    for verb, text in {
        "synth": "write the templates; needs no account",
        "deploy": "deploy to AWS",
        "destroy": "take a deployment away from AWS",
        "smoke": "run the smoke test on what is deployed, on AWS or locally",
        "password": "print the administrator's password into a pipe",
    }.items():
        on_aws = verbs.add_parser(verb, help=text)
        on_aws.add_argument("--deployment", required=True, help="local, dev, ephemeral or production")
        on_aws.add_argument("--name", default="", help="of an ephemeral deployment, for example pr-42")
        on_aws.add_argument("--seed-file", type=Path, help="CSV or CSV.gz of invoice lines to load")
    for each in verbs.choices.values():
        each.add_argument(
            "--cloud", default=DEFAULT_CLOUD, help="which local cloud, where several run side by side"
        )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
