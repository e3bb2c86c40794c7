"""The report at the end of a verb: did it work, where is it, what next."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from operate.deployment import Deployment

if TYPE_CHECKING:
    import boto3


def stack_outputs(session: "boto3.Session", deployment: Deployment) -> dict[str, str]:
    """All outputs of the deployment's stacks by their keys; raises ClientError when a stack is not there."""
    cloudformation = session.client("cloudformation")
    outputs: dict[str, str] = {}
    for name in deployment.stack_names:
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        outputs |= {
            output["OutputKey"]: output["OutputValue"]
            for output in stack.get("Outputs", [])
            if not output["OutputKey"].startswith("ExportsOutput")
        }
    return outputs


def print_report(
    console: Console,
    session: "boto3.Session",
    deployment: Deployment,
    *,
    ca_bundle: str,
    next_steps: list[str],
) -> None:
    """Print stacks, endpoints, data's totals, the smoke test's checks, a client's command and what next."""
    outputs = stack_outputs(session, deployment)
    console.print()
    console.print(_stacks(session, deployment))
    console.print(_places(outputs))
    console.print(_checks(outputs))
    console.print("A session as the administrator; the password goes from the secret to the client alone:")
    command = CLIENT_COMMANDS[outputs["DatabaseEngine"]](outputs, deployment, ca_bundle)
    console.print("  " + command, soft_wrap=True, highlight=False, markup=False)
    console.print()
    for step in next_steps:
        console.print(step, soft_wrap=True)


def _psql(outputs: dict[str, str], deployment: Deployment, ca_bundle: str) -> str:
    return (
        f'PGPASSWORD="$(.venv/bin/python -m operate password {deployment.options})" '
        f'psql "host={outputs["ClusterEndpoint"]} port={outputs["DatabasePort"]} '
        f"dbname={outputs['DatabaseName']} user=shop_admin sslmode=verify-full "
        f'sslrootcert={ca_bundle}"'
    )


def _mysql(outputs: dict[str, str], deployment: Deployment, ca_bundle: str) -> str:
    # as a file's content: MySQL calls its variable for a password insecure, and will drop it
    password = f'"$(.venv/bin/python -m operate password {deployment.options})"'
    return (
        f"mysql --defaults-extra-file=<(printf '[client]\\npassword=\"%s\"\\n' {password}) "
        f"--host={outputs['ClusterEndpoint']} --port={outputs['DatabasePort']} --user=shop_admin "
        f"--ssl-mode=VERIFY_IDENTITY --ssl-ca={ca_bundle} {outputs['DatabaseName']}"
    )


CLIENT_COMMANDS: Mapping[str, Callable[[dict[str, str], Deployment, str], str]] = {
    "postgresql": _psql,
    "mysql": _mysql,
}
"""By engine, what to paste: verified TLS to the writer, the password read from the secret as it starts."""


def _stacks(session: "boto3.Session", deployment: Deployment) -> Table:
    table = Table(title="Stacks", title_justify="left", box=None, padding=(0, 2))
    for column in ("stack", "status", "resources"):
        table.add_column(column, justify="right" if column == "resources" else "left")
    cloudformation = session.client("cloudformation")
    for name in deployment.stack_names:
        status = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        resources = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        table.add_row(name, status, str(len(resources)))
    return table


PLACES = (
    ("engine", "DatabaseEngine"),
    ("cluster (writer)", "ClusterEndpoint"),
    ("cluster (reader)", "ClusterReaderEndpoint"),
    ("proxy", "ProxyEndpoint"),
    ("proxy, read-only", "ProxyReadOnlyEndpoint"),
    ("port", "DatabasePort"),
    ("database", "DatabaseName"),
    ("schema version", "SchemaVersion"),
    ("data", "SeedTotals"),
    ("administrator's secret", "AdminSecretArn"),
)


def _places(outputs: dict[str, str]) -> Table:
    table = Table(title="Database", title_justify="left", box=None, show_header=False, padding=(0, 2))
    table.add_column()
    table.add_column(overflow="fold")
    for label, key in PLACES:
        table.add_row(label, outputs.get(key, "-"))
    return table


def _checks(outputs: dict[str, str]) -> Table:
    title = f"Smoke test {outputs['SmokeTestResult']}"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2))
    table.add_column("check")
    table.add_column("ms", justify="right")
    milliseconds: dict[str, float] = json.loads(outputs["SmokeTestReport"])
    for check, value in milliseconds.items():
        table.add_row(check, f"{value:.0f}")
    return table
