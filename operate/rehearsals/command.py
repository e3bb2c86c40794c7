"""`make rehearse`: which rehearsal, what it will cost, and its report."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.console import Console

from operate.aws import Refused, check_settings, session_of
from operate.cost.prices import NoPrices, prices_of
from operate.deployment import Deployment
from operate.rehearsals import failover, restore
from operate.rehearsals.copies import Copies
from operate.rehearsals.functions import Functions
from operate.rehearsals.steps import Steps
from operate.report import stack_outputs
from stacks import settings

if TYPE_CHECKING:
    import boto3

REHEARSALS = ("failover", "snapshot", "point-in-time", "upgrade")
HOURS_OF_A_COPY = Decimal("0.5")
MOST_SECONDS, MOST_CUSTOMERS = 600, 16


@dataclass(frozen=True)
class Wanted:
    """What is to be rehearsed."""

    rehearsal: str
    seconds: int | None = None
    """For how long customers order."""
    customers: int = 4
    moment: str = ""
    """As 2026-12-24T18:00:00Z; empty: now."""
    to: str = ""
    """The engine version of an upgrade."""


def run(console: Console, deployment: Deployment, wanted: Wanted) -> int:
    """Rehearse, and report; returns 0 when it worked, 1 when it did not."""
    chosen = check_settings(deployment)
    moment = _moment(wanted)
    _check_load(wanted)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a pipeline that is cancelled leaves no copy
    session = session_of(console, deployment)
    outputs = stack_outputs(session, deployment)
    steps = Steps(console, poll_seconds=0.2 if deployment.is_local else 5)
    if wanted.rehearsal == "failover":
        return _fail_over(
            console, deployment, steps, session, cluster=outputs["ClusterIdentifier"], wanted=wanted
        )
    cluster = outputs["ClusterIdentifier"]
    copies = Copies(session, steps, cluster=cluster, tags=chosen.tags)
    functions = Functions(session, outputs)
    copies.check()
    if not deployment.is_local:
        console.print(_cost(copies.instance_class(), chosen), soft_wrap=True)
    if wanted.rehearsal == "snapshot":
        found, what = restore.rehearse_snapshot(copies, functions), "Restore of a snapshot"
    elif wanted.rehearsal == "point-in-time":
        found, what = restore.rehearse_moment(copies, functions, moment), "Restore of a moment"
    else:
        version = wanted.to or _version_of_the_settings(copies, chosen)
        found, what = restore.rehearse_upgrade(copies, functions, version), f"Upgrade to {version}"
    return restore.print_report(steps, deployment, found, cluster=cluster, what=what, again=wanted.rehearsal)


def _fail_over(
    console: Console,
    deployment: Deployment,
    steps: Steps,
    session: boto3.Session,
    *,
    cluster: str,
    wanted: Wanted,
) -> int:
    failover.check(steps, session, cluster)
    if not deployment.is_local:
        console.print(
            f"{cluster} fails over: whoever writes waits, for half a minute at most as a rule, and a client "
            "that does not try again sees an error. It costs a few cents of Lambda at most.",
            soft_wrap=True,
        )
    seconds = wanted.seconds or failover.SECONDS[deployment.is_local]
    found = failover.rehearse(steps, session, deployment, seconds=seconds, customers=wanted.customers)
    return failover.print_report(console, deployment, found, cluster=cluster)


def _check_load(wanted: Wanted) -> None:
    """Refuse what the function would refuse, before anything begins."""
    if wanted.seconds is not None and not 1 <= wanted.seconds <= MOST_SECONDS:
        raise Refused(
            f"ORDER_SECONDS={wanted.seconds} is outside 1 to {MOST_SECONDS}: 120 covers most failovers"
        )
    if not 1 <= wanted.customers <= MOST_CUSTOMERS:
        raise Refused(f"CUSTOMERS={wanted.customers} is outside 1 to {MOST_CUSTOMERS}")


def _moment(wanted: Wanted) -> datetime | None:
    """Return the moment that is meant; raises Refused for what is none, or lies ahead."""
    if not wanted.moment:
        return None
    if wanted.rehearsal != "point-in-time":
        raise Refused(f"MOMENT={wanted.moment} belongs to REHEARSAL=point-in-time")
    try:
        moment = datetime.fromisoformat(wanted.moment)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Refused(f"MOMENT={wanted.moment} is no moment with a zone: expected as 2026-12-24T18:00:00Z")
    if moment > datetime.now(UTC):
        raise Refused(f"MOMENT={wanted.moment} lies ahead: only what has been can be restored")
    return moment.astimezone(UTC)


def _version_of_the_settings(copies: Copies, chosen: settings.Deployment) -> str:
    """Return what the settings would upgrade to; raises Refused where that is what is deployed."""
    _, deployed = copies.engine_and_version()
    if chosen.database.engine_version == deployed:
        targets: dict[str, Any] = copies.upgrade_targets(*copies.engine_and_version())
        raise Refused(
            f"{copies.cluster} has {deployed} already, as its settings say: name another version by TO=…, of "
            f"{', '.join(targets) or 'none: RDS has no target'}"
        )
    return chosen.database.engine_version


def _cost(instance_class: str, chosen: settings.Deployment) -> str:
    """Say what a copy costs while it lives, before it is made."""
    told = "It takes about 15 to 30 minutes"
    storage = "and its storage and snapshot by GB and hour"
    key, quantity = f"{instance_class}_hour", Decimal(1)
    capacity = chosen.database.capacity
    if isinstance(capacity, settings.ServerlessV2):
        key, quantity = "acu_hour", Decimal(str(capacity.max_capacity_acu))
    try:
        price = prices_of(chosen.region)[key].usd * quantity * HOURS_OF_A_COPY
    except (NoPrices, KeyError):
        return f"{told}; no price of {key} in {chosen.region} is known here: one instance, {storage}"
    return f"{told} and about {price:.2f} USD: one instance ({instance_class}) for half an hour, {storage}"
