"""What goes back to CloudFormation: at most 4,096 bytes, and never a secret."""

from __future__ import annotations

import functools
import json
import logging
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from aurora.redaction import redact

# A response has 4,096 bytes, by
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
# Ids take some (a stack's ARN, request and logical id); to a reason, the Provider's framework adds the name
# of our log group and a stack trace of its own. Sizes are those of ASCII-only JSON, the longest writing.
DATA_BYTES = 3000
REASON_BYTES = 1500
CUT = "…"

_log = logging.getLogger(__name__)


class CustomResourceFailed(Exception):
    """The reason that CloudFormation shows: short enough, without a secret."""


def respond(physical_id: str, data: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Return the Provider's answer; the longest values are shortened until the response fits."""
    texts = {name: str(value) for name, value in (data or {}).items()}
    while len(json.dumps(texts)) > DATA_BYTES:
        longest = max(texts, key=lambda name: len(texts[name]))
        texts[longest] = _shorter(texts[longest])
    return {"PhysicalResourceId": physical_id, "Data": texts}


def explained(
    on_event: Callable[[Mapping[str, Any], Any], dict[str, Any]],
) -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """Have a handler fail with a reason that a person can read and anybody may see.

    The log gets the whole traceback, redacted; CloudFormation gets the error's type and text.
    """

    @functools.wraps(on_event)
    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        try:
            return on_event(event, context)
        except Exception as error:
            _log.error("%s", redact(traceback.format_exc()))
            # `from None`: Lambda logs the chain of causes, which is not redacted
            raise CustomResourceFailed(reason_of(error)) from None

    return handler


def reason_of(error: BaseException) -> str:
    """Return the error's type and text, redacted, shortened to what the response has room for."""
    reason = redact(f"{type(error).__name__}: {error}")
    while len(json.dumps(reason)) > REASON_BYTES:
        reason = _shorter(reason)
    return reason


def _shorter(text: str) -> str:
    """Take a tenth off the end, and leave a mark that something is missing."""
    kept = text.removesuffix(CUT)
    if not kept:
        raise ValueError("the names of the response's values alone exceed its limit")
    return kept[: len(kept) * 9 // 10] + CUT
