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

ANSWERS = "def handler(event, context): return 1"


def test_no_more_than_reserved_run_at_once_and_who_can_wait_waits(functions, tmp_path):
    inside, go_on = tmp_path / "inside", tmp_path / "go-on"
    function = functions.python(
        "import os, time\n"
        "def handler(event, context):\n"
        f"    open('{inside}', 'w').close()\n"
        f"    while not os.path.exists('{go_on}'): time.sleep(0.01)\n"
        "    return 1",
        Timeout=120,
    )
    function.reserved_concurrency = 1
    first = threading.Thread(target=functions.invoke, args=(function,))
    first.start()
    eventually(inside.exists)
    with pytest.raises(Throttled, match="Rate Exceeded"):
        functions.invoke(function)
    waiting: list[str] = []
    second = threading.Thread(
        target=lambda: waiting.append(functions.runner.invoke(function, None, waits=True).payload)
    )
    second.start()
    second.join(0.3)
    assert second.is_alive(), "the first has the only place"
    go_on.touch()
    for one in (first, second):
        one.join(60)
    assert waiting == ["1"]
    function.reserved_concurrency = None
    others = [threading.Thread(target=functions.invoke, args=(function,)) for _ in range(2)]
    for one in others:
        one.start()
    for one in others:
        one.join()


def eventually(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_nothing_runs_where_nothing_is_reserved(functions):
    function = functions.python(ANSWERS)
    function.reserved_concurrency = 0
    with pytest.raises(Throttled):
        functions.invoke(function)


def test_the_event_of_a_failed_asynchronous_invocation_is_kept(functions):
    sqs = sqs_backends[functions.cloud.account][REGION]
    queue = sqs.create_queue("dead-letters")
    function = functions.python("def handler(event, context): raise ValueError('not today')")
    function.dead_letter_config = {"TargetArn": queue.queue_arn}
    invoke_unattended(functions.runner, function, {"order": 7})
    eventually(lambda: queue._messages)
    [message] = queue._messages
    assert json.loads(message.body) == {"order": 7}
    assert message.message_attributes["ErrorMessage"]["StringValue"] == "not today"
