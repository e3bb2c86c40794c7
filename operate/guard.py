"""Refuses what would replace or delete what holds data, or upgrade it past return, unless it is named."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from rich.console import Console

from operate.assembly import templates
from operate.deployment import Deployment
from operate.template_changes import Loss, Resource, Template, losses
from operate.upgrades import Upgrade, upgrades

if TYPE_CHECKING:
    import boto3

SAFE, REFUSED = 0, 3
"""Exit codes; 1 is an error, as with every verb."""
STATEFUL: Mapping[str, str] = {
    "AWS::RDS::DBCluster": "all data",
    "AWS::KMS::Key": "whatever is encrypted with it",
    "AWS::SecretsManager::Secret": "the administrator's password",
    "AWS::EC2::VPC": "the network that all else stands in",
    "AWS::EC2::Subnet": "the network that all else stands in",
    "AWS::Backup::BackupVault": "the recovery points",
}
"""Types whose loss is one of state, with what is lost."""
KEPT_LOG_DAYS = 365
"""A log kept for a year is evidence (Security Hub CloudWatch.16); a shorter one is for finding faults."""
NOTHING_DEPLOYED = frozenset({"REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "DELETE_COMPLETE"})
"""Statuses of a stack that holds nothing: the CDK CLI creates it anew."""


@dataclass(frozen=True)
class Verdict:
    """What a change would take away that holds state: refused, or let through by name."""

    refused: tuple[tuple[Loss, str], ...]
    allowed: tuple[tuple[Loss, str], ...]

    @property
    def exit_code(self) -> int:
        """Tell a safe change from a refused one."""
        return REFUSED if self.refused else SAFE


def check(
    console: Console,
    session: boto3.Session,
    deployment: Deployment,
    assembly: Path,
    *,
    allow: Collection[str] = (),
) -> int:
    """Print what the assembly would take away of what is deployed, or upgrade; returns SAFE or REFUSED.

    `allow` holds logical ids, and major upgrades as `logical id:version`. Nothing is written, in the account
    or here.
    """
    deployed = deployed_templates(session, deployment.stack_names)
    if not deployed:
        console.print(f"{deployment.title} is not deployed yet: there is nothing to lose")
        return SAFE
    wanted = templates(assembly)
    codes = (
        _print_losses(console, judge(deployed, wanted, allow=allow)),
        _print_upgrades(console, upgrades(session, deployed, wanted), allow),
    )
    if codes == (SAFE, SAFE):
        console.print(f"Safe: nothing that holds state is replaced or deleted in {', '.join(deployed)}")
    return max(codes)


def _print_losses(console: Console, verdict: Verdict) -> int:
    for loss, holds in verdict.allowed:
        console.print(f"Allowed by name: {_sentence(loss, holds)}", soft_wrap=True, markup=False)
    for loss, holds in verdict.refused:
        console.print(f"Refused: {_sentence(loss, holds)}", style="red", soft_wrap=True, markup=False)
    if verdict.refused:
        names = ",".join(loss.resource.logical_id for loss, _ in verdict.refused)
        console.print(
            "Undo the change, or, when it is meant and there is a copy of what it takes away, name it: "
            f"ALLOW={names}",
            soft_wrap=True,
        )
    return verdict.exit_code


def _print_upgrades(console: Console, found: Sequence[Upgrade], allow: Collection[str]) -> int:
    for one in found:
        refused = one.is_refused(allow)
        said = f"{'Refused' if refused else 'Upgrade'}: {one.sentence(allow)}"
        console.print(said, style="red" if refused else None, soft_wrap=True, markup=False)
    return REFUSED if any(one.is_refused(allow) for one in found) else SAFE


def judge(
    deployed: Mapping[str, Template], wanted: Mapping[str, Template], *, allow: Collection[str] = ()
) -> Verdict:
    """Return which losses of state there are between two sets of templates, by stack name."""
    found = list(_of_state(losses(deployed, wanted), deployed))
    return Verdict(
        refused=tuple(one for one in found if one[0].resource.logical_id not in allow),
        allowed=tuple(one for one in found if one[0].resource.logical_id in allow),
    )


def deployed_templates(session: boto3.Session, stack_names: Sequence[str]) -> dict[str, Template]:
    """Return the templates of the stacks that are there; of none whose creation failed."""
    cloudformation = session.client("cloudformation")
    found: dict[str, Template] = {}
    for name in stack_names:
        try:
            status = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
            continue
        if status not in NOTHING_DEPLOYED:
            body: Any = cloudformation.get_template(StackName=name)["TemplateBody"]
            found[name] = json.loads(body) if isinstance(body, str) else body
    return found


def _of_state(found: Sequence[Loss], deployed: Mapping[str, Template]) -> Iterator[tuple[Loss, str]]:
    lost = {(loss.resource.stack, loss.resource.logical_id) for loss in found}
    for loss in found:
        holds = _holds(loss.resource, deployed, lost)
        if holds:
            yield loss, holds


def _holds(
    resource: Resource, deployed: Mapping[str, Template], lost: Collection[tuple[str, str]]
) -> str | None:
    """Return what is lost with a resource; None where that is no state."""
    if resource.type == "AWS::Logs::LogGroup":
        days = resource.properties.get("RetentionInDays", KEPT_LOG_DAYS)  # without it: for ever
        kept = resource.body.get("DeletionPolicy") == "Retain" or int(days) >= KEPT_LOG_DAYS
        return f"a log that is kept for {days} days" if kept else None
    if resource.type == "AWS::RDS::DBInstance":
        instances = {
            (resource.stack, name)
            for name, body in deployed[resource.stack]["Resources"].items()
            if body["Type"] == resource.type
        }
        # with another one that stays, Aurora fails over: a pause, and no loss
        return None if instances - set(lost) else "the cluster's last instance: none stays meanwhile"
    return STATEFUL.get(resource.type)


def _sentence(loss: Loss, holds: str) -> str:
    one = loss.resource
    head = f"{one.stack}: {one.logical_id} ({one.type}) would be {loss.kind} and with it {holds}"
    reasons = "; ".join(map(str, loss.differences)) or "it is not in the template any more"
    return f"{head}: {reasons}; {loss.what_becomes_of_it()}"
