"""Subsegments of an X-Ray trace around work in the database, without the SDK (docs/adr/0086).

Lambda makes the segment of the function itself, and tells its id; what is within is a JSON document each,
sent to the daemon that runs beside the function:
https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html
https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

HEADER = b'{"format": "json", "version": 1}\n'
_parent: ContextVar[tuple[str, str] | None] = ContextVar("parent", default=None)
"""The trace that the present subsegment belongs to, and its own id; within it others begin."""


@contextmanager
def subsegment(name: str, **annotations: str | int) -> Iterator[None]:
    """Trace what runs inside, where this invocation is traced; what fails is told by its type alone.

    Without a trace it costs a look at the environment. That the daemon cannot be reached is nobody's failure.
    Annotations are for searching: no secrets, no values of the business.
    """
    header = os.environ.get("_X_AMZN_TRACE_ID")
    if header is None or "Sampled=1" not in header:
        yield
        return
    fields = dict(field.partition("=")[::2] for field in header.split(";"))
    trace_id = fields.get("Root", "")
    outer = _parent.get()
    # a warm function has had other invocations, whose subsegments are no parents of this one's
    parent_id = outer[1] if outer and outer[0] == trace_id else fields.get("Parent", "")
    segment_id = secrets.token_hex(8)
    document = {
        "type": "subsegment",
        "name": name,
        "id": segment_id,
        "trace_id": trace_id,
        "parent_id": parent_id,
        "start_time": time.time(),
        "namespace": "remote",
        "annotations": dict(annotations),
    }
    token = _parent.set((trace_id, segment_id))
    try:
        yield
    except BaseException as error:
        document |= {"fault": True, "annotations": {**annotations, "error": type(error).__name__}}
        raise
    finally:
        _parent.reset(token)
        _send(document | {"end_time": time.time()})


def _send(document: dict[str, object]) -> None:
    host, _, port = os.environ.get("AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:2000").rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        try:
            daemon.sendto(HEADER + json.dumps(document).encode(), (host, int(port)))
        except (OSError, ValueError):
            return
