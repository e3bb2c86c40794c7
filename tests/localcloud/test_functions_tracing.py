"""A traced function knows its trace, and X-Ray shows what it and its code were doing."""

from __future__ import annotations

import json
import time
from typing import Any

from moto.xray.models import xray_backends

from tests.localcloud.conftest import REGION
from tests.localcloud.roles import allow, role_with

SENDS = """
import json, os, socket, time

def handler(event, context):
    if event.get("fail"):
        raise ValueError("asked for")
    fields = dict(one.split("=") for one in os.environ["_X_AMZN_TRACE_ID"].split(";"))
    host, port = os.environ["AWS_XRAY_DAEMON_ADDRESS"].split(":")
    document = {"name": "database", "id": "a" * 16, "trace_id": fields["Root"], "parent_id": fields["Parent"],
                "type": "subsegment", "start_time": time.time(), "end_time": time.time()}
    text = '{"format": "json", "version": 1}\\n' + json.dumps(document)
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(text.encode(), (host, int(port)))
    return fields
"""


def segments(functions: Any, trace_id: str, many: int) -> list[dict[str, Any]]:
    """Return a trace's segments once there are so many, or the time is up."""
    backend = xray_backends[functions.cloud.account][REGION]
    deadline = time.monotonic() + 60
    while True:
        traces = backend.get_trace_ids([trace_id])["Traces"]
        found = [json.loads(one["Document"]) for trace in traces for one in trace["Segments"]]
        if len(found) >= many or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def test_a_trace_has_the_functions_segment_and_what_its_code_sends(functions):
    function = functions.python(SENDS, TracingConfig={"Mode": "Active"})
    outcome = functions.invoke(function, {})
    fields = json.loads(outcome.payload)
    assert fields["Sampled"] == "1"
    own, sent = sorted(segments(functions, fields["Root"], 2), key=lambda one: "type" in one)
    assert own["id"] == sent["parent_id"] == fields["Parent"]
    assert own["origin"] == "AWS::Lambda::Function" and own["name"] == function.function_name
    assert sent["name"] == "database"
    assert f"XRAY TraceId: {fields['Root']}" in outcome.log_tail
    other = json.loads(functions.invoke(function, {}).payload)
    assert other["Root"] != fields["Root"], "each invocation is a trace of its own"


def test_a_failed_invocation_is_a_fault(functions):
    function = functions.python(SENDS, TracingConfig={"Mode": "Active"})
    log = functions.invoke(function, {"fail": True}).log_tail
    trace_id = log.partition("XRAY TraceId: ")[2].split()[0]
    [own] = segments(functions, trace_id, 1)
    assert own["fault"] is True


def test_without_the_right_nothing_reaches_x_ray(functions):
    role = role_with(functions.cloud.account, allow("logs:*"), allow("xray:PutTelemetryRecords"))
    function = functions.python(SENDS, TracingConfig={"Mode": "Active"})
    function.role = role
    fields = json.loads(functions.invoke(function, {}).payload)
    backend = xray_backends[functions.cloud.account][REGION]
    time.sleep(0.3)
    assert backend.get_trace_ids([fields["Root"]])["UnprocessedTraceIds"] == [fields["Root"]]


def test_a_node_function_knows_its_trace_too(functions):
    tells = "exports.handler = async () => process.env._X_AMZN_TRACE_ID;"
    header = json.loads(functions.invoke(functions.node(tells, TracingConfig={"Mode": "Active"})).payload)
    assert header.startswith("Root=1-") and header.endswith(";Sampled=1")


def test_a_function_that_is_not_traced_has_no_trace(functions):
    asks = "import os\ndef handler(event, context): return os.environ.get('_X_AMZN_TRACE_ID')"
    assert functions.invoke(functions.python(asks)).payload == "null"
