"""X-Ray beside functions: a trace for each invocation of a traced one, and a daemon that takes segments.

https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html and "Sending trace data to X-Ray", X-Ray
developer guide. BatchGetTraces shows what has arrived. Without the role's right nothing does.
"""

from __future__ import annotations

import json
import logging
import secrets
import socket
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from moto.xray.models import XRayBackend, xray_backends

from localcloud.authorization import services_acting
from localcloud.cloud import Cloud
from localcloud.functions.configuration import FunctionConfiguration

MOST_TRACES = 1000
"""Whose subsegments are still taken."""
_LARGEST_DATAGRAM = 65_536

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trace:
    """One invocation in a trace of its own; `segment_id` is the function's segment."""

    trace_id: str
    segment_id: str
    began: float

    @property
    def header(self) -> str:
        """Return it as functions get it, in _X_AMZN_TRACE_ID."""
        return f"Root={self.trace_id};Parent={self.segment_id};Sampled=1"


class Tracing:
    """The daemon of a cloud, which functions find by AWS_XRAY_DAEMON_ADDRESS. A part of it."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._backends: OrderedDict[str, XRayBackend] = OrderedDict()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._receive, name="xray-daemon", daemon=True).start()
        cloud.on_shutdown(self._close)

    @classmethod
    def of(cls, cloud: Cloud) -> Tracing:
        """Return the daemon of a cloud."""
        return cloud.part(cls, cls)

    def begin(self, configuration: FunctionConfiguration) -> Trace | None:
        """Return the trace of an invocation that begins now; None where nothing is to be traced."""
        if not configuration.is_traced:
            return None
        now = time.time()
        trace = Trace(f"1-{int(now):08x}-{secrets.token_hex(12)}", secrets.token_hex(8), now)
        if services_acting.may_trace(self._cloud, configuration.role_arn):
            with self._lock:
                self._backends[trace.trace_id] = xray_backends[configuration.account][configuration.region]
                while len(self._backends) > MOST_TRACES:
                    self._backends.popitem(last=False)
        return trace

    def end(self, trace: Trace, configuration: FunctionConfiguration, *, failed: bool) -> None:
        """Put down the segment of the function itself."""
        segment = {
            "name": configuration.name,
            "id": trace.segment_id,
            "trace_id": trace.trace_id,
            "start_time": trace.began,
            "end_time": time.time(),
            "origin": "AWS::Lambda::Function",
            "resource_arn": configuration.function_arn,
            **({"fault": True} if failed else {}),
        }
        self._take(json.dumps(segment))

    def _take(self, document: str) -> None:
        trace_id = json.loads(document).get("trace_id")
        with self._lock:
            backend = self._backends.get(trace_id)
            if backend is not None:
                backend.process_segment(document)

    def _receive(self) -> None:
        while True:
            try:
                datagram = self._socket.recv(_LARGEST_DATAGRAM)
            except OSError:
                return  # the cloud has ended
            _, _, document = datagram.decode(errors="replace").partition("\n")  # a line says the format
            try:
                self._take(document)
            except Exception as error:
                _log.warning("a segment that is none: %s", error)

    def _close(self) -> None:
        self._socket.close()
