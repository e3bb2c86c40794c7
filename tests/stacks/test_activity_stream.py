"""The activity stream: started once there is something to stream, by a function that may do nothing else."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.stacks.conftest import chosen
from tests.stacks.synthesized import as_list, referred, synthesize


@pytest.fixture(params=["async", "sync"])
def mode(request):
    return request.param


@pytest.fixture
def streamed(mode):
    production = chosen("production", "postgresql")
    return synthesize(replace(production, database=replace(production.database, activity_stream=mode)))


def call_of(synthesized, moment):
    _, stream = synthesized.the_one("Custom::ActivityStream")
    joined = stream[moment]["Fn::Join"][1]
    return json.loads("".join(part if isinstance(part, str) else "REFERENCE" for part in joined))


def test_no_deployment_has_a_stream_unless_its_settings_ask(synthesized):
    assert not synthesized.has_type("Custom::ActivityStream")


def test_the_stream_starts_in_its_mode_and_under_our_key(streamed, mode):
    key_id, _ = streamed.key()
    _, stream = streamed.the_one("Custom::ActivityStream")
    call = call_of(streamed, "Create")
    assert (call["service"], call["action"]) == ("RDS", "startActivityStream")
    assert call["parameters"]["Mode"] == mode
    assert key_id in referred(stream["Create"])


def test_another_mode_is_asked_for_so_that_rds_refuses_it_instead_of_nobody_noticing(streamed):
    assert call_of(streamed, "Update") == call_of(streamed, "Create")


def test_the_stream_starts_when_the_instances_run_and_stops_before_they_go(streamed):
    logical_id, _ = streamed.the_one("Custom::ActivityStream")
    instances = set(streamed.of_type("AWS::RDS::DBInstance"))
    assert instances <= set(streamed.resources[logical_id]["DependsOn"])
    assert call_of(streamed, "Delete")["action"] == "stopActivityStream"


def test_its_function_may_start_and_stop_this_stream_only(streamed):
    cluster_id, _ = streamed.the_one("AWS::RDS::DBCluster")
    key_id, _ = streamed.key()
    (function,) = [
        one for i, one in streamed.of_type("AWS::Lambda::Function").items() if i.startswith("AWS679f")
    ]
    allowed = {
        action: referred(statement["Resource"])
        for statement in streamed.statements_of(function["Role"])
        for action in as_list(statement["Action"])
        if not action.startswith("logs:")
    }
    assert allowed == {
        "rds:StartActivityStream": {cluster_id},
        "rds:StopActivityStream": {cluster_id},
        "kms:DescribeKey": {key_id},
        "kms:CreateGrant": {key_id},
    }
