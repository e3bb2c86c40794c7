"""The migrator's verbs on a deployed database, run where the database can be reached: by its function."""

import json
import sys
from typing import Any

from botocore.config import Config
from rich.console import Console

from operate.aws import session_of
from operate.deployment import Deployment
from operate.report import stack_outputs

VERBS = ("status", "validate", "apply", "dry-run", "repair", "baseline")
LONGEST_SECONDS = 900  # Lambda's own limit


def run(console: Console, deployment: Deployment, order: dict[str, Any], *, as_json: bool) -> int:
    """Have the deployed function do what is ordered; print its answer and return its exit code.

    The files are those that the function was deployed with. Of the caller's rights it takes
    lambda:InvokeFunction, besides those that find the function.
    """
    session = session_of(Console(stderr=True), deployment)
    function = stack_outputs(session, deployment)["MigrationsFunction"]
    # once: an order that was sent twice would wait for itself
    patient = Config(read_timeout=LONGEST_SECONDS, retries={"total_max_attempts": 1})
    invoked = session.client("lambda", config=patient).invoke(
        FunctionName=function, Payload=json.dumps(order).encode()
    )
    answer: dict[str, Any] = json.loads(invoked["Payload"].read())
    if invoked.get("FunctionError"):
        sys.stderr.write(f"{answer.get('errorMessage')}\n")
        return 1
    sys.stderr.writelines(f"{line}\n" for line in answer["progress"])
    console.out(json.dumps(answer["data"], indent=2) if as_json else answer["text"], highlight=False)
    return int(answer["exit_code"])
