"""Lambda's Invoke, as an HTTP caller meets it. Takes the place of moto's, which runs functions in Docker."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, MutableMapping
from typing import Any

from moto.core.exceptions import JsonRESTError

from localcloud.functions.asynchronous import invoke_unattended
from localcloud.functions.concurrency import Throttled
from localcloud.functions.runner import Functions

LARGEST_REQUEST_BYTES = {"RequestResponse": 6_291_456, "Event": 1_048_576}
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""


def invoke(
    functions: Functions,
    function: Any,
    body: str | bytes,
    request_headers: Mapping[str, str],
    response_headers: MutableMapping[str, str],
) -> bytes:
    """Invoke moto's LambdaFunction; return the response's body and add its headers to `response_headers`."""
    invocation_type = request_headers.get("x-amz-invocation-type") or "RequestResponse"
    event = _event(body, invocation_type)
    if invocation_type == "DryRun":
        return b""
    if invocation_type == "Event":
        invoke_unattended(functions, function, event)
        return b""
    try:
        outcome = functions.invoke(function, event)
    except Throttled as throttled:
        raise _refused(429, "TooManyRequestsException", str(throttled)) from None
    response_headers["x-amz-executed-version"] = str(function.version)
    response_headers["x-amz-log-result"] = base64.b64encode(outcome.log_tail.encode()).decode()
    if outcome.failed:
        response_headers["x-amz-function-error"] = "Unhandled"
    return outcome.payload.encode()


def _event(body: str | bytes, invocation_type: str) -> Any:
    raw = body.encode() if isinstance(body, str) else body
    limit = LARGEST_REQUEST_BYTES.get(invocation_type)
    if limit is not None and len(raw) > limit:
        message = f"{len(raw)} byte payload is too large for the {invocation_type} invocation type"
        raise _refused(413, "RequestTooLargeException", f"{message} (limit {limit} bytes)")
    try:
        return json.loads(raw) if raw else {}
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        raise _refused(400, "InvalidRequestContentException", message) from None


def _refused(status: int, kind: str, message: str) -> Exception:
    error: Exception = JsonRESTError(kind, message)
    error.code = status  # type: ignore[attr-defined]
    return error
