"""What deploying would change, template by template; it changes nothing itself."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from rich.console import Console

from operate import cdk, local
from operate.aws import check_settings, environment_of, session_of
from operate.deployment import PROJECT, Deployment
from operate.lifecycle import claimed

ASSEMBLIES = PROJECT / "build" / "assemblies" / "diff"
LONGEST_LINE = 300
"""Characters: a dashboard's body is one line of 20,000."""


def show(console: Console, deployment: Deployment) -> int:
    """Print what deploying would change, and nothing else, to standard output; raises CdkFailed.

    Templates are compared, and no change set is made: whoever may read templates may ask. Owner and expiry,
    which a deployment keeps, are no difference. The account's number is left out: this may become a comment.
    """
    check_settings(deployment)
    session = session_of(Console(stderr=True), deployment)
    deployment = claimed(session, deployment, hours=None, now=datetime.now(UTC))
    assembly, logs = ASSEMBLIES / deployment.title, local.LOGS
    log = logs / f"{deployment.title}-diff-synth.log"
    environment = environment_of(deployment)
    cdk.finish(cdk.synthesize(deployment, assembly, output=log, environment=environment), log)
    said = logs / f"{deployment.title}-diff.log"
    cdk.run("diff", "--no-change-set", "--app", str(assembly), environment=environment, output=said)
    console.out(to_be_read(said.read_text()), highlight=False)
    return 0


def to_be_read(said: str) -> str:
    """Return the CLI's words without accounts, and without the end of long lines."""
    lines = re.sub(r"(?<=aws://)\d{12}(?=/)", "ACCOUNT", said).strip().splitlines()
    return "\n".join(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} …" for line in lines)
