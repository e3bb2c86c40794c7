"""What is left of an environment after its stacks: removed, going by itself, kept on purpose, or left.

Kept is what the settings retain: the final snapshot, and the key and the secret without which it is lost
(docs/adr/0102). Of everything else that bears the environment's name nothing is to be left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from operate.cost.prices import NoPrices, prices_of
from operate.inventory import COPY, TAGGED, Found, inventory
from stacks.settings import Deployment

if TYPE_CHECKING:
    import boto3

NOTHING_LEFT, LEFT = 0, 1
Fate = Literal["removed", "going", "kept", "left"]
SHORTEST_WAIT_DAYS = 7
"""Nobody deletes a key sooner: KMS waits that long, for whoever finds that it was needed."""


@dataclass(frozen=True)
class Leftover:
    """One thing that was found, and what became of it."""

    found: Found
    fate: Fate
    reason: str


@dataclass(frozen=True)
class Leftovers:
    """All that was found of one environment after its end."""

    all: tuple[Leftover, ...]
    not_looked_at: tuple[str, ...]

    def of(self, fate: Fate) -> list[Leftover]:
        """Return those of one fate."""
        return [one for one in self.all if one.fate == fate]

    @property
    def exit_code(self) -> int:
        """Tell whether nothing is left but what is kept on purpose, and somebody looked everywhere."""
        return LEFT if self.of("left") or self.not_looked_at else NOTHING_LEFT


def take_away(session: boto3.Session, settings: Deployment, *, local: bool = False) -> Leftovers:
    """Look for what is left of an environment, and remove what may go.

    While one of its stacks is there, nothing is removed: what belongs to it goes with it.
    """
    seen = inventory(session, settings, local=local)
    standing = [one for one in seen.found if one.kind == "stack"]
    if standing:
        copies = [Leftover(one, "left", _why_left(one)) for one in seen.found if one.kind == COPY]
        return Leftovers((*(_of_stack(session, one) for one in standing), *copies), seen.not_looked_at)
    return Leftovers(tuple(_taken_away(session, one, settings) for one in seen.found), seen.not_looked_at)


def print_leftovers(console: Console, leftovers: Leftovers, settings: Deployment) -> int:
    """Say "0 left" or what is, what is kept and what that costs; returns NOTHING_LEFT or LEFT."""
    for line in _lines(leftovers, settings):
        console.print(line, soft_wrap=True, markup=False)
    for where in leftovers.not_looked_at:
        console.print(f"Nobody could look at {where}", style="yellow", soft_wrap=True, markup=False)
    counts = {fate: len(leftovers.of(fate)) for fate in ("left", "kept", "going", "removed")}
    told = [f"{number} {fate}" for fate, number in counts.items() if number or fate == "left"]
    console.print(f"Of {settings.name}: {', '.join(told)}")
    return leftovers.exit_code


def _taken_away(session: boto3.Session, found: Found, settings: Deployment) -> Leftover:
    if found.state == "PendingDeletion" and found.gone_by:
        return Leftover(found, "going", f"KMS deletes it on {found.gone_by:%Y-%m-%d}, and charges nothing")
    kept = _why_kept(found) if settings.retain_data else None
    if kept:
        return Leftover(found, "kept", kept)
    remove = REMOVERS.get(found.kind)
    if remove is None or (found.kind == "network interface" and found.state != "available"):
        return Leftover(found, "left", _why_left(found))
    try:
        return remove(session, found)
    except (ClientError, BotoCoreError) as error:
        return Leftover(found, "left", f"it could not be removed: {error}")


def _why_kept(found: Found) -> str | None:
    """Return why a deployment that retains its data keeps this."""
    return {
        "cluster snapshot": "the data as they were at the end",
        "automated backup": "the data up to the end, to any second, until its retention ends",
        "secret": "the administrator's password that the snapshot was made with",
        "key": "without it no snapshot and no recovery point can be restored",
        "backup vault": "it holds recovery points",
        "recovery point": "the data of that day, until its retention ends",
    }.get(found.kind)


def _why_left(found: Found) -> str:
    if found.kind == TAGGED:
        return "it bears the environment's tags; the index of tags may lag behind a deletion: look again"
    if found.kind == COPY:
        return "a rehearsal has left it, or is at work on it: the next one takes it away, or make leftovers"
    if found.kind == "network interface":
        return f"it is {found.state}: what uses it lets go of it, Lambda within 20 minutes; then look again"
    return "no stack owns it any more, and it is not known to be without worth: delete it by hand"


def _of_stack(session: boto3.Session, found: Found) -> Leftover:
    events = session.client("cloudformation").describe_stack_events(StackName=found.identifier)["StackEvents"]
    failures = [
        f"{one['LogicalResourceId']}: {one.get('ResourceStatusReason', '')}"
        for one in events
        if one["ResourceStatus"] == "DELETE_FAILED" and one["LogicalResourceId"] != found.name
    ]
    why = f" ({failures[0]})" if failures and found.state == "DELETE_FAILED" else ""
    return Leftover(found, "left", f"{found.state}{why}: destroy it, then all that it owns goes with it")


def _remove_log_group(session: boto3.Session, found: Found) -> Leftover:
    session.client("logs").delete_log_group(logGroupName=found.identifier)
    return Leftover(found, "removed", "a service wrote to it after its stack had deleted it")


def _remove_parameter(session: boto3.Session, found: Found) -> Leftover:
    session.client("ssm").delete_parameter(Name=found.identifier)
    return Leftover(found, "removed", "nobody is to read an endpoint that is gone")


def _remove_secret(session: boto3.Session, found: Found) -> Leftover:
    session.client("secretsmanager").delete_secret(SecretId=found.identifier, ForceDeleteWithoutRecovery=True)
    return Leftover(found, "removed", "in recovery it would hold its name for up to 30 days")


def _remove_snapshot(session: boto3.Session, found: Found) -> Leftover:
    session.client("rds").delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=found.identifier)
    return Leftover(found, "removed", "nothing of this environment is retained")


def _remove_interface(session: boto3.Session, found: Found) -> Leftover:
    session.client("ec2").delete_network_interface(NetworkInterfaceId=found.identifier)
    return Leftover(found, "removed", "nothing uses it")


def _remove_key(session: boto3.Session, found: Found) -> Leftover:
    answer = session.client("kms").schedule_key_deletion(
        KeyId=found.identifier, PendingWindowInDays=SHORTEST_WAIT_DAYS
    )
    gone_by: datetime = answer["DeletionDate"]
    return Leftover(found, "going", f"KMS deletes it on {gone_by.astimezone(UTC):%Y-%m-%d}")


REMOVERS: Mapping[str, Callable[[boto3.Session, Found], Leftover]] = {
    "log group": _remove_log_group,
    "parameter": _remove_parameter,
    "secret": _remove_secret,
    "cluster snapshot": _remove_snapshot,
    "network interface": _remove_interface,
    "key": _remove_key,
}
"""What may go where nothing is retained; all else is reported."""


def _lines(leftovers: Leftovers, settings: Deployment) -> Iterator[str]:
    for one in sorted(leftovers.all, key=lambda one: (one.fate, one.found.kind, one.found.name)):
        gone = one.fate in {"removed", "going"}
        cost = "0.00" if gone else monthly_cost(one.found, settings.region)
        yield f"  {one.fate:<8} {one.found.kind:<17} {cost:>6} USD a month  {one.found.name}: {one.reason}"


def monthly_cost(found: Found, region: str) -> str:
    """Return what keeping it costs in USD a month, from operate/cost's table; "?" without a price."""
    if found.kind in FREE:
        return "0.00"
    if found.kind not in PRICES:
        return "?"
    price, quantity = PRICES[found.kind]
    try:
        prices = prices_of(region)
    except NoPrices:
        return "?"
    if price not in prices:
        return "?"
    usd = prices[price].usd * (quantity if quantity is not None else Decimal(str(found.gibibytes)))
    return f"{usd:.2f}"


PRICES: Mapping[str, tuple[str, Decimal | None]] = {
    "key": ("key_month", Decimal(1)),
    "secret": ("secret_month", Decimal(1)),
    "dashboard": ("dashboard_month", Decimal(1)),
    "cluster snapshot": ("backup_gb_month", None),
    "automated backup": ("backup_gb_month", None),
    "recovery point": ("backup_gb_month", None),
    "log group": ("log_stored_gb_month", None),
}
"""By kind, the price's key, and how many units; None: as many as it has GiB."""
FREE = frozenset({"stack", "backup vault", "parameter", "role", "function", "network interface", "VPC"})
"""Kinds that cost nothing while they lie there; what a stack still owns costs what `make cost` says."""
