"""Environments are found by their tags, claimed by one owner, and swept when they have expired."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from operate import lifecycle
from operate.aws import Refused, check_settings
from operate.deployment import Deployment
from operate.environments import EPHEMERAL_HOURS, environments, expiry, moment
from stacks.settings import STACKS

NOW = datetime.now(UTC).replace(microsecond=0)
PR = Deployment(kind="ephemeral", name="pr-1")
TEMPLATE = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})


def deploy(session: Any, name: str, *, parts: Any = STACKS, **tags: str) -> None:
    for part in parts:
        given = {"application": "shop", "environment": name, "owner": "ada"} | tags
        session.client("cloudformation").create_stack(
            StackName=f"shop-{name}-{part}",
            TemplateBody=TEMPLATE,
            Tags=[{"Key": key, "Value": value} for key, value in given.items()],
        )


def test_each_is_listed_with_owner_expiry_and_what_is_missing(session):
    expires = expiry(5, now=NOW)
    deploy(session, "pr-1", **{"expires-at": expires})
    deploy(session, "pr-2-network-less", parts=STACKS[1:])
    found = {one.name: one for one in environments(session)}
    assert list(found) == ["pr-1", "pr-2-network-less"]
    assert (found["pr-1"].owner, found["pr-1"].status) == ("ada", "complete")
    assert found["pr-1"].expires_at == NOW + timedelta(hours=5)
    assert found["pr-2-network-less"].status == "network missing"


def test_a_stack_of_somebody_else_is_not_ours_whatever_its_name(session):
    deploy(session, "pr-1", parts=["network"], application="another")
    deploy(session, "pr-2", parts=["network"], environment="pr-3")
    assert environments(session) == []


def test_only_expired_ephemeral_ones_are_swept(session, monkeypatch):
    past, future = expiry(-1, now=NOW), expiry(1, now=NOW)
    deploy(session, "pr-1", **{"expires-at": past})
    deploy(session, "pr-2", **{"expires-at": future})
    deploy(session, "pr-3")
    deploy(session, "pr-4", **{"expires-at": "yesterday"})
    deploy(session, "dev", **{"expires-at": past})
    destroyed: list[str] = []
    monkeypatch.setattr(lifecycle, "session_of", lambda *_: session)
    monkeypatch.setattr(
        lifecycle,
        "destroy",
        lambda _, one, **given: destroyed.append(one.name) or int(given != {"force": True}),
    )
    where = Deployment(kind="dev")
    assert lifecycle.sweep(Console(quiet=True), where, dry=True) == 0
    assert destroyed == []
    assert lifecycle.sweep(Console(quiet=True), where, dry=False) == 0
    assert destroyed == ["pr-1"]


def test_one_that_fails_does_not_keep_the_others_from_being_swept(session, monkeypatch):
    for name in ("pr-1", "pr-2"):
        deploy(session, name, parts=["network"], **{"expires-at": expiry(-1, now=NOW)})
    tried: list[str] = []

    def fail(_: Console, one: Deployment, **__: Any) -> int:
        tried.append(one.name)
        raise Refused("no")

    monkeypatch.setattr(lifecycle, "session_of", lambda *_: session)
    monkeypatch.setattr(lifecycle, "destroy", fail)
    assert lifecycle.sweep(Console(quiet=True), Deployment(kind="dev"), dry=False) == 1
    assert tried == ["pr-1", "pr-2"]


def test_an_ephemeral_one_expires_unless_it_is_said_when(session):
    claimed = lifecycle.claimed(session, PR, hours=None, now=NOW)
    assert moment(claimed.expires) == NOW + timedelta(hours=EPHEMERAL_HOURS)
    claimed = lifecycle.claimed(session, PR, hours=1.5, now=NOW)
    assert moment(claimed.expires) == NOW + timedelta(minutes=90)
    assert lifecycle.claimed(session, Deployment(kind="dev"), hours=None, now=NOW).expires == ""


def test_a_second_deployment_keeps_owner_and_expiry_so_that_it_changes_no_tag(session):
    deploy(session, "pr-1", **{"expires-at": expiry(5, now=NOW)})
    claimed = lifecycle.claimed(session, PR, hours=None, now=NOW)
    assert (claimed.owner, claimed.expires) == ("ada", expiry(5, now=NOW))
    later = lifecycle.claimed(session, PR, hours=None, now=NOW + timedelta(hours=6))
    assert moment(later.expires) == NOW + timedelta(hours=6 + EPHEMERAL_HOURS)


def test_a_name_that_somebody_else_has_is_refused(session):
    deploy(session, "pr-1")
    with pytest.raises(Refused, match=r"name=pr-1 is taken.*belongs to ada.*OWNER=ada"):
        lifecycle.claimed(session, replace(PR, owner="grace"), hours=None, now=NOW)
    assert lifecycle.claimed(session, replace(PR, owner="ada"), hours=None, now=NOW).owner == "ada"


@pytest.mark.parametrize("hours", [0, -1, float("nan"), float("inf"), 24 * 365])
def test_an_expiry_in_the_past_or_never_is_refused(session, hours):
    with pytest.raises(Refused, match="EXPIRES_HOURS="):
        lifecycle.claimed(session, PR, hours=hours, now=NOW)
    with pytest.raises(Refused, match="has passed"):
        lifecycle.claimed(session, replace(PR, expires=expiry(-1, now=NOW)), hours=None, now=NOW)


def test_only_ephemeral_ones_expire(session):
    with pytest.raises(Refused, match="dev cannot expire"):
        lifecycle.claimed(session, Deployment(kind="dev"), hours=5, now=NOW)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (replace(PR, name="p" * 49), r"name-?.*longer than 63; shorten the name by 1"),
        (replace(PR, name="PR_42"), "lower-case letters"),
        (replace(PR, name="pr--42"), "single hyphens"),
        (replace(PR, name="dev"), "belongs to the deployment of that name"),
        (replace(PR, name="pr-schema-2"), "-schema is how a stack's name ends"),
        (replace(PR, expires="tomorrow"), "is not a moment in UTC"),
        (replace(PR, expires="2026-13-01T00:00:00Z"), "is not a moment in UTC"),
        (replace(PR, owner="a;b"), "AWS takes up to 256"),
    ],
)
def test_a_wrong_name_owner_or_expiry_is_refused_before_anything_begins(wrong, says):
    with pytest.raises(Refused, match=says):
        check_settings(wrong)


@pytest.mark.parametrize(
    ("one", "next_step"),
    [
        (PR, "make destroy DEPLOYMENT=ephemeral NAME=pr-1, and"),
        (Deployment(kind="production"), "make destroy DEPLOYMENT=production UNPROTECT=production, and"),
    ],
)
@pytest.mark.parametrize("status", ["ROLLBACK_FAILED", "DELETE_FAILED"])
def test_a_stack_that_can_only_be_destroyed_is_not_deployed_to(session, monkeypatch, one, next_step, status):
    name = one.stack_names[1]
    monkeypatch.setattr(lifecycle, "_begun", lambda *_: session)
    monkeypatch.setattr(lifecycle, "_standing", lambda *_: {name: status})
    with pytest.raises(Refused, match=rf"{name} is {status}.*Nothing was made.*{next_step} deploy again"):
        lifecycle.deploy(Console(quiet=True), one)


def test_what_a_pipeline_that_broke_off_has_begun_is_waited_for(session, monkeypatch):
    name, waited = PR.stack_names[1], []
    statuses = ["CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "ROLLBACK_FAILED"]
    monkeypatch.setattr(lifecycle, "_begun", lambda *_: session)
    monkeypatch.setattr(
        lifecycle, "_standing", lambda *_: {name: statuses.pop(0) if len(statuses) > 1 else statuses[0]}
    )
    monkeypatch.setattr(lifecycle.time, "sleep", waited.append)
    console = Console(file=io.StringIO(), record=True, width=200)
    with pytest.raises(Refused, match="is ROLLBACK_FAILED"):
        lifecycle.deploy(console, PR)
    assert len(waited) == 2
    assert console.export_text() == f"Waiting for what still goes on in {name}\n"


def test_a_change_set_that_nobody_executed_is_not_waited_for(session, monkeypatch):
    monkeypatch.setattr(lifecycle, "_standing", lambda *_: {PR.stack_names[0]: "REVIEW_IN_PROGRESS"})
    monkeypatch.setattr(lifecycle.time, "sleep", lambda _: pytest.fail("it waits"))
    lifecycle._wait_until_settled(Console(quiet=True), session, PR)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(Refused) as refused:
        check_settings(replace(PR, name="Pr", owner="\n", expires="x"))
    assert all(f"{word}=" in str(refused.value) for word in ("name", "owner", "expires"))


def test_the_protected_one_is_named_twice_before_it_goes():
    with pytest.raises(Refused, match=r"production is protected.*UNPROTECT=production"):
        lifecycle.destroy(Console(quiet=True), Deployment(kind="production"), unprotect="prod")
