"""Connections to Aurora, each role by its own way. TLS is verified in full on every one of them.

A connection is retried while the database starts, fails over, is paused or full, until the deadline.
What time does not heal (a wrong certificate, an unknown host, a refusal) is raised at once, as a type of
failures.py. After a refused credential another one is tried, if there is one: secrets rotate, tokens expire.
"""

from __future__ import annotations

import random
import time
from typing import Protocol, cast

from aurora.credentials import AdminLogin, Credential, GivenLogin, Login, TokenLogin
from aurora.deadline import Deadline
from aurora.environment import DatabaseEnvironment
from aurora.failures import CredentialRefused, Unavailable
from aurora.session import Session
from aurora.tracing import subsegment
from aurora.trust import ca_file

LOADER = "shop_loader"
APPLICATION = "shop_application"
READ_ONLY = "shop_read_only"

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 3.0
LONGEST_ATTEMPT_SECONDS = 10.0


def connect_admin(environment: DatabaseEnvironment, *, deadline: Deadline) -> Session:
    """Connect the master user to the writer, past the proxy: session locks and DDL belong there."""
    return _connect(environment, environment.cluster_endpoint, AdminLogin(environment), deadline)


def connect_loader(environment: DatabaseEnvironment, *, deadline: Deadline) -> Session:
    """Connect the loader to the writer, past the proxy: a bulk load would pin a proxied session anyway."""
    return _connect_by_token(environment, environment.cluster_endpoint, LOADER, deadline)


def connect_application(environment: DatabaseEnvironment, *, deadline: Deadline) -> Session:
    """Connect the application through the proxy to the writer."""
    return _connect_by_token(environment, environment.proxy_endpoint, APPLICATION, deadline)


def connect_read_only(environment: DatabaseEnvironment, *, deadline: Deadline) -> Session:
    """Connect the read-only role through the proxy to a reader."""
    return _connect_by_token(environment, environment.proxy_read_only_endpoint, READ_ONLY, deadline)


def connect_with(
    environment: DatabaseEnvironment, credential: Credential, *, host: str, deadline: Deadline
) -> Session:
    """Connect with a credential that the caller has at hand: the rotation tests a pending secret so.

    Refused is final here: the same password a second time would only count as one more wrong login.
    """
    return _connect(environment, host, GivenLogin(credential), deadline)


def _connect_by_token(environment: DatabaseEnvironment, host: str, user: str, deadline: Deadline) -> Session:
    return _connect(environment, host, TokenLogin(environment, user=user, host=host), deadline)


def _connect(environment: DatabaseEnvironment, host: str, login: Login, deadline: Deadline) -> Session:
    """Connect, waiting out what passes by itself, with another credential after each refusal."""
    while True:
        try:
            with subsegment("connect", host=host, engine=environment.engine):
                return _when_available(environment, host, login, deadline)
        except CredentialRefused:
            if not login.renew():
                raise


def _when_available(environment: DatabaseEnvironment, host: str, login: Login, deadline: Deadline) -> Session:
    pause_seconds = FIRST_PAUSE_SECONDS
    connect = _dialect(environment.engine).connect
    while True:
        try:
            return connect(
                environment,
                host,
                login.credential(),
                ca_file=ca_file(environment.ca_bundle),
                timeout_seconds=min(LONGEST_ATTEMPT_SECONDS, deadline.remaining_seconds()),
            )
        except Unavailable:
            # Full jitter: many functions that lost one database must not come back as one wave.
            pause_seconds = min(LONGEST_PAUSE_SECONDS, 2 * pause_seconds)
            pause = random.uniform(0, pause_seconds)  # noqa: S311 - spreads load, guards nothing
            time.sleep(min(pause, deadline.remaining_seconds()))
            if deadline.passed():
                raise


class _Dialect(Protocol):
    """What an engine's module gives."""

    def connect(
        self,
        environment: DatabaseEnvironment,
        host: str,
        credential: Credential,
        *,
        ca_file: str,
        timeout_seconds: float,
    ) -> Session:
        """Open one session over TLS verified in full."""


def _dialect(engine: str) -> _Dialect:
    """Return the engine's module, so that a function loads the one driver that it needs."""
    if engine == "mysql":
        from aurora import mysql  # noqa: PLC0415

        return cast(_Dialect, mysql)
    from aurora import postgresql  # noqa: PLC0415

    return cast(_Dialect, postgresql)
