"""Names that a deployment is about to give, and that something outside its stacks has already.

What a deployment retained outlives it under its names, and CloudFormation finds that out half-way through the
next one's creation (docs/adr/0118).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from operate.aws import Refused
from operate.guard import deployed_templates
from operate.inventory import Found, inventory
from operate.template_changes import Template

if TYPE_CHECKING:
    import boto3

    from operate.deployment import Deployment
    from stacks import settings

NAMED: Mapping[str, tuple[str, str]] = {
    "AWS::Backup::BackupVault": ("backup vault", "BackupVaultName"),
    "AWS::CloudWatch::Dashboard": ("dashboard", "DashboardName"),
    "AWS::KMS::Alias": ("key", "AliasName"),
    "AWS::Logs::LogGroup": ("log group", "LogGroupName"),
    "AWS::RDS::DBCluster": ("cluster", "DBClusterIdentifier"),
    "AWS::RDS::DBProxy": ("proxy", "DBProxyName"),
    "AWS::SSM::Parameter": ("parameter", "Name"),
    "AWS::SecretsManager::Secret": ("secret", "Name"),
}
"""By type, what operate/inventory.py calls it, and the property with its name."""


def check(
    console: Console,
    session: boto3.Session,
    deployment: Deployment,
    chosen: settings.Deployment,
    wanted: Mapping[str, Template],
) -> None:
    """Raise Refused, naming each and what would free it, when names of the wanted templates are taken.

    Names of the deployment's own stacks are its own; nobody is asked when it is all deployed already.
    """
    deployed = deployed_templates(session, deployment.stack_names)
    new = claims(wanted) - claims(deployed)
    if not new:
        return
    seen = inventory(session, chosen, local=deployment.is_local)
    for where in seen.not_looked_at:
        console.print(f"Whether names are taken, nobody could look at {where}", soft_wrap=True, markup=False)
    taken = [one for one in seen.found if (one.kind, one.name) in new]
    if taken:
        raise Refused("\n".join([*_lines(taken, deployment, chosen.region), _hint(deployment, deployed)]))


def claims(templates: Mapping[str, Template]) -> set[tuple[str, str]]:
    """Return kind and name of everything that the templates name themselves."""
    found: set[tuple[str, str]] = set()
    for template in templates.values():
        for resource in template["Resources"].values():
            if resource["Type"] in NAMED:
                kind, key = NAMED[resource["Type"]]
                name: Any = resource.get("Properties", {}).get(key)
                if isinstance(name, str):
                    found.add((kind, name))
    return found


def _lines(taken: Sequence[Found], deployment: Deployment, region: str) -> Iterator[str]:
    yield (
        f"{deployment.title} cannot be created: names that it needs are taken by what a former deployment of "
        "that name has left, or what somebody else made. Nothing was made. Still there, and what gives the "
        "name free:"
    )
    for one in sorted(taken, key=lambda one: (one.kind, one.name)):
        state = f" ({one.state})" if one.state else ""
        yield f"- {one.kind} {one.name}{state}: {_freed(one, region)}"


def _hint(deployment: Deployment, deployed: Mapping[str, Template]) -> str:
    if deployment.kind != "ephemeral":
        return (
            "Before that, restore what you still want from the final snapshot or a recovery point. To keep "
            "it all, deploy under another name: an entry of its own in stacks/settings.py."
        )
    if deployed:
        return "Or choose another NAME."
    return f"Or all at once: make leftovers {deployment.variables}"


def _freed(one: Found, region: str) -> str:
    command = {
        "backup vault": f"backup delete-backup-vault --backup-vault-name {one.name}",
        "cluster": (
            f"rds modify-db-cluster --db-cluster-identifier {one.name} "
            f"--new-db-cluster-identifier {one.name}-former --apply-immediately"
        ),
        "dashboard": f"cloudwatch delete-dashboards --dashboard-names {one.name}",
        "key": f"kms delete-alias --alias-name {one.name}",
        "log group": f"logs delete-log-group --log-group-name {one.name}",
        "parameter": f"ssm delete-parameter --name {one.name}",
        "proxy": f"rds delete-db-proxy --db-proxy-name {one.name}",
        "secret": f"secretsmanager delete-secret --secret-id {one.name} --force-delete-without-recovery",
    }[one.kind]
    hint = "once its last recovery point has gone, " if one.kind == "backup vault" else ""
    return f"{hint}aws {command} --region {region}"
