"""The verbs' command line; the Makefile calls it after setting up what it needs."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from operate import aws, difference, lifecycle, local, migrations
from operate.cdk import CdkFailed
from operate.cost import command as cost
from operate.deployment import DEFAULT_CLOUD, Deployment
from operate.local_cloud import LocalCloud, LocalCloudFailed
from operate.rehearsals import command as rehearsals
from stacks.engines import ENGINES
from stacks.settings import DEPLOYMENTS

REPAIRS = {
    "statement_done": "the statement that a file stands at was done",
    "statement_undone": "it was not",
    "start_over": "you undid what the file has left",
}


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
    deployment = Deployment.on_engine(
        options.deployment,
        options.engine,
        name=options.name,
        seed_file=getattr(options, "seed_file", None),
        seed_lines=getattr(options, "seed_lines", None),
        cloud=options.cloud,
        on_local_cloud=options.local,
        owner=getattr(options, "owner", ""),
    )
    if options.verb in LIFE:
        return LIFE[options.verb](console, deployment, options)
    if options.verb == "cost":
        return cost.run(console, deployment, compare=options.compare)
    if options.verb == "rehearse":
        return rehearsals.run(console, deployment, _wanted(options))
    if options.verb == "migrations":
        return migrations.run(console, deployment, _order(options), as_json=options.json)
    verbs = {
        "synth": aws.synth,
        "smoke": aws.smoke,
        "password": aws.password,
    }
    return verbs[options.verb](console, deployment)


LIFE: Mapping[str, Callable[[Console, Deployment, argparse.Namespace], int]] = {
    "deploy": lambda console, one, given: lifecycle.deploy(
        console, one, hours=given.expires_hours, allow=given.allow
    ),
    "diff": lambda console, one, _: difference.show(console, one),
    "guard": lambda console, one, given: lifecycle.check(console, one, allow=given.allow),
    "destroy": lambda console, one, given: lifecycle.destroy(console, one, unprotect=given.unprotect),
    "drift": lambda console, one, _: lifecycle.show_drift(console, one),
    "leftovers": lambda console, one, _: lifecycle.look_for_leftovers(console, one),
    "list": lambda console, one, _: lifecycle.show_all(console, cloud=one.cloud),
    "sweep": lambda console, one, given: lifecycle.sweep(console, one, dry=given.dry),
}
"""The verbs of an environment's life, each with what it is given beside which environment."""


def _run_local(options: argparse.Namespace, console: Console) -> int:
    cloud = LocalCloud(options.cloud)
    if options.action == "up":
        return local.up(
            console,
            cloud,
            engine=options.engine,
            seed_file=options.seed_file,
            seed_lines=options.seed_lines,
            without=options.without,
        )
    verb = local.status if options.action == "status" else local.down
    return verb(console, cloud, engine=options.engine)


def _order(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the migrator's function is sent: the verb, and what was given beside it."""
    given = {name: getattr(options, name) for name in ("allow_late", "rehearse", "version", *REPAIRS)}
    return {"verb": options.action} | {
        name: value for name, value in given.items() if value not in (None, False)
    }


def _wanted(options: argparse.Namespace) -> rehearsals.Wanted:
    return rehearsals.Wanted(
        options.rehearsal,
        seconds=options.order_seconds,
        customers=options.customers,
        moment=options.moment,
        to=options.to,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m operate", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    on_this_machine = verbs.add_parser("local", help="the deployments on this machine's embedded cloud")
    on_this_machine.add_argument("action", choices=["up", "status", "down"])
    _add_engine(on_this_machine, "up: postgresql unless said; status and down: all that are there")
    _add_seed(on_this_machine)
    on_this_machine.add_argument(
        "--without", default="", metavar="NAMES", help="what the cloud shall not enforce, as iam,network"
    )
    migrator = verbs.add_parser("migrations", help="run a verb of the migrator where the database is")
    migrator.add_argument("action", choices=migrations.VERBS)
    migrator.add_argument("--json", action="store_true", help="answer in JSON")
    migrator.add_argument("--allow-late", action="store_true", help="take files inserted before applied ones")
    migrator.add_argument("--rehearse", action="store_true", help="dry-run: run it, and roll it back")
    migrator.add_argument("--version", type=int, help="baseline: the last version that is there")
    for name, text in REPAIRS.items():
        migrator.add_argument(
            f"--{name.replace('_', '-')}", action="store_true", help=f"repair, MySQL: {text}"
        )
    _add_deployment(migrator)
    costs = verbs.add_parser("cost", help="estimate what a deployment costs; needs no account")
    _add_deployment(costs)
    costs.add_argument("--compare", default="", help="a deployment or a cloud assembly: show the difference")
    for verb, text in {
        "synth": "write the templates; needs no account",
        "deploy": "deploy to AWS, unless that would take away what holds state (exit code 3)",
        "smoke": "run the smoke test on what is deployed, on AWS or locally",
        "password": "print the administrator's password into a pipe",
    }.items():
        on_aws = verbs.add_parser(verb, help=text)
        _add_deployment(on_aws)
        _add_seed(on_aws)
    _add_life(verbs)
    _add_rehearsals(verbs)
    for each in verbs.choices.values():
        each.add_argument(
            "--cloud", default=DEFAULT_CLOUD, help="which local cloud, where several run side by side"
        )
        each.add_argument("--local", action="store_true", help="on the local cloud in the place of AWS")
    return parser


def _add_life(verbs: Any) -> None:
    """Add the verbs of an environment's life, and what `deploy` takes beside."""
    deploy = verbs.choices["deploy"]
    deploy.add_argument("--owner", default="", help="whom to ask about it; else as deployed, or settings.py")
    deploy.add_argument("--expires-hours", type=float, help="from now, after which a sweep may destroy it")
    guard = verbs.add_parser("guard", help="say what deploying would take away: 0 nothing, 3 something")
    diff = verbs.add_parser("diff", help="say what deploying would change")
    destroy = verbs.add_parser("destroy", help="take a deployment away, with all that it leaves")
    destroy.add_argument("--unprotect", default="", metavar="NAME", help="of a protected one, to confirm")
    drift = verbs.add_parser("drift", help="say what was changed past the templates: 0 nothing, 3 something")
    leftovers = verbs.add_parser("leftovers", help="look again for what a destroyed deployment has left")
    for each in (diff, guard, destroy, drift, leftovers):
        _add_deployment(each)
    for each in (deploy, guard):
        each.add_argument(
            "--allow",
            type=_names,
            default=(),
            metavar="IDS",
            help="logical ids that may be replaced or deleted; LogicalId:version confirms a major upgrade",
        )
    listing = verbs.add_parser("list", help="list the environments, on AWS and on this machine")
    sweep = verbs.add_parser("sweep", help="destroy the ephemeral environments that have expired")
    sweep.add_argument("--dry", action="store_true", help="only say which")
    for each in (listing, sweep):
        each.set_defaults(deployment="dev", engine="", name="")  # of which only the region counts


def _add_rehearsals(verbs: Any) -> None:
    rehearse = verbs.add_parser(
        "rehearse", help="fail over, restore or upgrade, measure it, compare the data"
    )
    rehearse.add_argument("rehearsal", choices=rehearsals.REHEARSALS)
    _add_deployment(rehearse)
    rehearse.add_argument("--order-seconds", type=int, help="failover: for how long customers order")
    rehearse.add_argument("--customers", type=int, default=4, help="failover: how many")
    rehearse.add_argument("--moment", default="", help="point-in-time: as 2026-12-24T18:00:00Z; default: now")
    rehearse.add_argument(
        "--to", default="", metavar="VERSION", help="upgrade: default: the settings' version"
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _add_seed(parser: argparse.ArgumentParser) -> None:
    seed = parser.add_mutually_exclusive_group()
    seed.add_argument(
        "--seed-file", type=Path, help="CSV or CSV.gz of invoice lines; default: a small sample"
    )
    seed.add_argument("--seed-lines", metavar="LINES", help="how many invoice lines to generate instead")


def _add_engine(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--engine", default="", choices=["", *ENGINES], metavar="ENGINE", help=text)


def _add_deployment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--deployment", required=True, help=", ".join(DEPLOYMENTS))
    _add_engine(parser, f"{' or '.join(ENGINES)}, in the place of what the settings say")
    parser.add_argument("--name", default="", help="of an ephemeral deployment, for example pr-42")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
