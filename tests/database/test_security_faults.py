"""Refusals that no client gets around: in the clear, by a stranger's name, by a token for somebody else.

`docs/faults.md` has every fault with its tests.
"""

from __future__ import annotations

import dataclasses
from contextlib import closing

import psycopg2
import pymysql
import pytest

from aurora import connecting
from aurora.credentials import Credential, TokenLogin, token_credential
from aurora.failures import CertificateRefused, ConnectionFailed, CredentialRefused
from localcloud.aurora.certificates import CertificateAuthority
from orders import OrderClient
from tests.database.connecting.conftest import attempts, endpoints, environment, secret  # noqa: F401
from tests.database.connecting.probing import AT_ONCE_SECONDS, SOON, within
from tests.database.servers import MASTER, MASTER_PASSWORD

ROLES = {
    "the admin": connecting.connect_admin,
    "the loader": connecting.connect_loader,
    "the application": connecting.connect_application,
    "who reads": connecting.connect_read_only,
}


@pytest.fixture
def set_up(endpoints, environment, secret, attempts):  # noqa: F811
    """Endpoints, a function's environment for them, the admin's secret, and the attempts made."""
    return environment, attempts


@pytest.mark.parametrize("role", ROLES)
def test_a_wrong_authority_is_tried_once_by_every_role(set_up, tmp_path, role):
    environment, attempts = set_up  # noqa: F811
    CertificateAuthority(tmp_path / "other.pem")
    other = dataclasses.replace(environment, ca_bundle=str(tmp_path / "other.pem"))
    with within(AT_ONCE_SECONDS), pytest.raises(CertificateRefused):
        ROLES[role](other, deadline=SOON())
    assert len(attempts) == 1


@pytest.mark.parametrize("role", ROLES)
def test_without_a_bundle_no_role_tries_at_all(set_up, role):
    environment, attempts = set_up  # noqa: F811
    lost = dataclasses.replace(environment, ca_bundle="/nowhere/bundle.pem")
    with within(AT_ONCE_SECONDS), pytest.raises(CertificateRefused):
        ROLES[role](lost, deadline=SOON())
    assert attempts == []


def test_who_speaks_in_the_clear_is_refused(set_up, engine):
    """By the server's side: the right password does not help."""
    environment, _ = set_up  # noqa: F811
    where = {"host": environment.cluster_endpoint, "port": environment.port, "user": MASTER}
    if engine == "postgresql":
        with pytest.raises(psycopg2.OperationalError, match=r"no encryption|TLS"):
            psycopg2.connect(
                **where, password=MASTER_PASSWORD, dbname=environment.database, sslmode="disable"
            )
    else:
        with pytest.raises(pymysql.err.OperationalError, match=r"insecure transport|TLS|SSL"):
            pymysql.connect(**where, password=MASTER_PASSWORD, ssl_disabled=True)


@pytest.mark.parametrize("role", ROLES)
def test_tls_is_verified_in_full_for_every_role(set_up, role):
    environment, _ = set_up  # noqa: F811
    with closing(ROLES[role](environment, deadline=SOON())) as session:
        assert session.is_verified()


@pytest.mark.parametrize(
    "token_for",
    [
        {"user": "shop_read_only"},
        {"host": "127.0.0.1"},
        {"password": "shop_application"},
        {"password": ""},
        {"password": MASTER_PASSWORD},
    ],
    ids=["another user", "another host", "its own name", "nothing", "the admin's password"],
)
def test_what_is_no_token_of_this_user_for_this_host_is_refused_once(set_up, token_for):
    environment, attempts = set_up  # noqa: F811
    host, user = environment.proxy_endpoint, "shop_application"
    password = token_for.get("password")
    if password is None:
        password = token_credential(environment, **{"user": user, "host": host, **token_for}).password
    with within(AT_ONCE_SECONDS), pytest.raises((CredentialRefused, ConnectionFailed)) as refused:
        connecting.connect_with(environment, Credential(user, password), host=host, deadline=SOON())
    assert len(attempts) == 1
    assert "X-Amz" not in str(refused.value)


@pytest.mark.parametrize("user", ["root", "postgres", "rdsadmin", "nobody", "shop_owner", ""])
def test_other_users_do_not_get_in(set_up, engine, user):
    environment, attempts = set_up  # noqa: F811
    with pytest.raises((ConnectionFailed, psycopg2.OperationalError)):
        connecting.connect_with(
            environment,
            Credential(user, MASTER_PASSWORD),
            host=environment.cluster_endpoint,
            deadline=SOON(),
        )
    assert len(attempts) == 1


WRONG = {
    "a wrong authority": (lambda other: {"ca_bundle": str(other)}, CertificateRefused, 1),
    "no bundle": (lambda _other: {"ca_bundle": "/nowhere/bundle.pem"}, CertificateRefused, 0),
    "a database that is not there": (lambda _other: {"database": "nowhere"}, ConnectionFailed, 1),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_order_client_asks_no_more_often_than_it_helps(set_up, tmp_path, wrong):
    """Though its deadline is far: what time does not heal is told at once."""
    environment, attempts = set_up  # noqa: F811
    changed, expected, tried = WRONG[wrong]
    CertificateAuthority(tmp_path / "other.pem")
    client = OrderClient.of(dataclasses.replace(environment, **changed(tmp_path / "other.pem")))
    with within(AT_ONCE_SECONDS), pytest.raises(expected):
        client.read(1, deadline=SOON())
    assert len(attempts) == tried


def test_an_order_client_whose_token_is_refused_brings_one_more_and_no_third(set_up, monkeypatch):
    environment, attempts = set_up  # noqa: F811
    monkeypatch.setattr(TokenLogin, "credential", lambda login: Credential("shop_application", "no token"))
    with within(AT_ONCE_SECONDS), pytest.raises(CredentialRefused):
        OrderClient.of(environment).read(1, deadline=SOON())
    assert len(attempts) == 2
