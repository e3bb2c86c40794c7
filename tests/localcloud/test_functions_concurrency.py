"""Reserved concurrency, and what becomes of events whose invocation fails."""

from __future__ import annotations

import json
import threading
import time

import pytest
from moto.sqs.models import sqs_backends

from localcloud.functions.asynchronous import invoke_unattended
from localcloud.functions.concurrency import Throttled
from tests.localcloud.conftest import REGION

SLEEPS = "import time\ndef handler(event, context): time.sleep(0.5); return 1"


def test_no_more_than_reserved_run_at_once_and_who_can_wait_waits(functions):
    function = functions.python(SLEEPS)
    function.reserved_concurrency = 1
    functions.invoke(function)
    first = threading.Thread(target=functions.invoke, args=(function,))
    first.start()
    time.sleep(0.2)
    with pytest.raises(Throttled, match="Rate Exceeded"):
        functions.invoke(function)
    assert functions.runner.invoke(function, None, waits=True).payload == "1"
    first.join()
    function.reserved_concurrency = None
    others = [threading.Thread(target=functions.invoke, args=(function,)) for _ in range(2)]
    for one in others:
        one.start()
    for one in others:
        one.join()


def test_nothing_runs_where_nothing_is_reserved(functions):
    function = functions.python(SLEEPS)
    function.reserved_concurrency = 0
    with pytest.raises(Throttled):
        functions.invoke(function)


def test_the_event_of_a_failed_asynchronous_invocation_is_kept(functions):
    sqs = sqs_backends[functions.cloud.account][REGION]
    queue = sqs.create_queue("dead-letters")
    function = functions.python("def handler(event, context): raise ValueError('not today')")
    function.dead_letter_config = {"TargetArn": queue.queue_arn}
    invoke_unattended(functions.runner, function, {"order": 7})
    deadline = time.monotonic() + 20
    while not queue._messages and time.monotonic() < deadline:
        time.sleep(0.05)
    [message] = queue._messages
    assert json.loads(message.body) == {"order": 7}
    assert message.message_attributes["ErrorMessage"]["StringValue"] == "not today"
