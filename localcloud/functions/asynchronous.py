"""Asynchronous invocations: nobody waits for the answer, and what fails goes to the dead letters.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html
"""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from localcloud.functions.runner import Functions, Outcome

_log = logging.getLogger(__name__)


def invoke_unattended(functions: Functions, function: Any, event: Any) -> None:
    """Have the function run in the background, once: Lambda's two retries would come minutes later.

    What is throttled waits for its turn, as Lambda keeps such events for hours.
    """
    threading.Thread(target=_run, args=(functions, function, event), daemon=True).start()


def _run(functions: Functions, function: Any, event: Any) -> None:
    try:
        outcome = functions.invoke(function, event, waits=True)
        if outcome.failed:
            _bury(function, event, outcome)
    except Exception:
        _log.exception("%s could not be invoked", function.function_name)


def _bury(function: Any, event: Any, outcome: Outcome) -> None:
    """Send the event of a failed invocation where DeadLetterConfig says, with Lambda's attributes."""
    target = (getattr(function, "dead_letter_config", None) or {}).get("TargetArn")
    if not target:
        return
    _, _, service, region, account, name = target.split(":", 5)
    message, error = json.dumps(event), json.loads(outcome.payload)
    told = {"RequestID": outcome.request_id, "ErrorCode": "200", "ErrorMessage": _message(error)}
    if service == "sqs":
        attributes = {key: {"DataType": "String", "StringValue": value} for key, value in told.items()}
        sqs_backends[account][region].send_message(name, message, message_attributes=attributes)
    else:
        sent = {key: {"Type": "String", "Value": value} for key, value in told.items()}
        sns_backends[account][region].publish(message, arn=target, message_attributes=sent)


def _message(error: Any) -> str:
    text = error.get("errorMessage") if isinstance(error, dict) else None
    return str(text or error)[:1024]
