"""IAM tokens never grow old: a clock of the test's own stands in for Amazon's and for the client's."""

from __future__ import annotations

import time
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from aurora import connecting, mysql, postgresql
from aurora.deadline import Deadline
from aurora.failures import CredentialRefused, Unavailable
from orders import OrderClient, WantedLine
from tests.database.connecting.probing import SOON, who_and_where

LIFE_SECONDS = 15 * 60
"""https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAMDBAuth.html"""
BY_TOKEN = {
    "shop_loader": connecting.connect_loader,
    "shop_application": connecting.connect_application,
    "shop_read_only": connecting.connect_read_only,
}


class Clock:
    """What time it is, for whoever signs, waits or verifies."""

    def __init__(self):
        self.now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def pass_by(self, seconds):
        self.now += timedelta(seconds=seconds)

    def age_seconds(self, token):
        """Say how old a token is."""
        (signed_at,) = parse_qs(urlsplit(f"https://{token}").query)["X-Amz-Date"]
        return (self.now - datetime.strptime(signed_at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)).total_seconds()


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: clock.now)
    return clock


@pytest.fixture
def brought(endpoints, clock, monkeypatch):
    """Ages of the tokens that arrive, at an endpoint that refuses those that have expired, as Aurora does."""
    ages = []
    for door in (endpoints.writer, endpoints.reader):
        watch(door, clock, ages, monkeypatch)
    return ages


def watch(door, clock, ages, monkeypatch):
    admit = door.admit

    def admit_the_fresh(login, chosen=None):
        admission = admit(login, chosen)
        check = admission.check_token

        def check_token(token):
            check(token)
            ages.append(clock.age_seconds(token))
            if not 0 <= ages[-1] < LIFE_SECONDS:
                raise door.engine.words.token_refused(login)

        return type(admission)(admission.server, check_token=check_token) if check else admission

    monkeypatch.setattr(door, "admit", admit_the_fresh)


@pytest.mark.parametrize("user", BY_TOKEN)
def test_a_token_is_signed_for_the_attempt_that_brings_it(environment, engine, clock, monkeypatch, user):
    """The database comes back after twenty minutes: longer than any token lives."""
    ages = []
    dialect = {"postgresql": postgresql, "mysql": mysql}[engine]

    def nobody_there_for_long(_environment, _host, credential, **_how):
        ages.append(clock.age_seconds(credential.password))
        clock.pass_by(connecting.LONGEST_ATTEMPT_SECONDS)
        if len(ages) <= 120:
            raise Unavailable("nobody answers")
        return "a session"

    monkeypatch.setattr(dialect, "connect", nobody_there_for_long)
    monkeypatch.setattr(connecting.time, "sleep", clock.pass_by)
    began = clock.now
    assert BY_TOKEN[user](environment, deadline=Deadline.after(3600)) == "a session"
    assert (clock.now - began).total_seconds() > LIFE_SECONDS
    assert max(ages) < 1  # they are signed to the second


@pytest.mark.parametrize("user", BY_TOKEN)
def test_after_an_expired_token_one_new_one_is_brought(environment, clock, brought, monkeypatch, user):
    """Signed before the machine slept, for instance."""
    sleep_after_signing(clock, monkeypatch, LIFE_SECONDS + 1)
    assert who_and_where(BY_TOKEN[user](environment, deadline=SOON()))[0] == user
    assert brought == [LIFE_SECONDS + 1, 0]


def test_a_token_that_is_always_refused_is_brought_twice_and_no_more(
    environment, clock, brought, monkeypatch
):
    began = time.monotonic()
    monkeypatch.setattr(clock, "age_seconds", lambda token: LIFE_SECONDS)
    with pytest.raises(CredentialRefused):
        connecting.connect_application(environment, deadline=SOON())
    assert len(brought) == 2
    assert time.monotonic() - began < 2


def test_an_order_is_placed_though_the_first_token_had_expired(environment, clock, brought, monkeypatch):
    sleep_after_signing(clock, monkeypatch, LIFE_SECONDS + 1)
    assert ordered(OrderClient.of(environment)).is_new
    assert brought == [LIFE_SECONDS + 1, 0]


def test_an_order_client_that_lives_for_hours_connects_again_by_a_new_token(environment, clock, brought):
    with closing(OrderClient.of(environment)) as client:
        assert ordered(client).is_new
        clock.pass_by(3 * 3600)
        client._session.close()  # as the server does after a time without work
        assert ordered(client).is_new
    assert brought == [0, 0]


def sleep_after_signing(clock, monkeypatch, seconds):
    """Let so much time pass between signing and bringing, once."""
    sign, slept = connecting.TokenLogin.credential, []

    def sign_and_sleep(login):
        credential = sign(login)
        if not slept:
            slept.append(seconds)
            clock.pass_by(seconds)
        return credential

    monkeypatch.setattr(connecting.TokenLogin, "credential", sign_and_sleep)


def ordered(client):
    return client.place(
        request_token=uuid.uuid4(),
        warehouse_id=2,
        country="France",
        lines=[WantedLine("SMOKE-TEST-A", 1)],
        deadline=SOON(),
    )
