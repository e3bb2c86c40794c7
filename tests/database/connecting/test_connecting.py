"""Connections over verified TLS: had in the end where time helps, refused at once where it does not."""

from __future__ import annotations

import dataclasses
import socket
import threading
from contextlib import closing

import pytest

from aurora import connecting, mysql, postgresql
from aurora.deadline import Deadline
from aurora.failures import (
    CertificateRefused,
    Rejected,
    Unavailable,
)
from localcloud.aurora.certificates import CertificateAuthority
from tests.database.connecting.probing import (
    AT_ONCE_SECONDS,
    SOON,
    one_connection_at_most,
    relayed_to,
    statements_logged,
    who_and_where,
    within,
    without_tls,
)
from tests.database.servers import MASTER


@pytest.mark.parametrize(
    ("connect", "user"),
    [
        (connecting.connect_admin, MASTER),
        (connecting.connect_loader, "shop_loader"),
        (connecting.connect_application, "shop_application"),
        (connecting.connect_read_only, "shop_read_only"),
    ],
)
def test_each_role_gets_its_connection(environment, secret, connect, user):
    assert who_and_where(connect(environment, deadline=SOON())) == (user, environment.database, "shop")


@pytest.mark.parametrize(
    ("connect", "endpoint"),
    [
        (connecting.connect_admin, "cluster_endpoint"),
        (connecting.connect_loader, "cluster_endpoint"),
        (connecting.connect_application, "proxy_endpoint"),
        (connecting.connect_read_only, "proxy_read_only_endpoint"),
    ],
)
def test_each_role_goes_by_its_endpoint(monkeypatch, engine, environment, secret, connect, endpoint):
    taken = []
    dialect = {"postgresql": postgresql, "mysql": mysql}[engine]
    monkeypatch.setattr(dialect, "connect", lambda environment, host, *_args, **_options: taken.append(host))
    connect(dataclasses.replace(environment, **{endpoint: "the.one"}), deadline=SOON())
    assert taken == ["the.one"]


def test_connecting_sends_no_statement_that_would_pin_a_proxied_session(environment, shared_database):
    """RDS Proxy keeps SET NAMES for a session without pinning it; PyMySQL sends that to every server."""
    user = "shop_application"
    with (
        statements_logged(shared_database, user) as sent,
        closing(connecting.connect_application(environment, deadline=SOON())) as session,
    ):
        session.rows("SELECT 'the only statement'")
    known = {"postgresql": [], "mysql": ["SET NAMES utf8mb4"]}[shared_database.engine]
    assert sent == [*known, "SELECT 'the only statement'"]


@pytest.mark.engine("mysql")
def test_one_tls_context_serves_the_whole_process(environment, monkeypatch):
    """Reading the authorities again for each connection is what makes PyMySQL's own default slow."""
    connecting.connect_application(environment, deadline=SOON()).close()
    monkeypatch.setattr("ssl.create_default_context", lambda **_: pytest.fail("another context"))
    connecting.connect_application(environment, deadline=SOON()).close()


def test_an_unknown_authority_is_refused_at_once(environment, attempts):
    """The packaged bundle vouches for AWS alone."""
    with within(AT_ONCE_SECONDS), pytest.raises(CertificateRefused, match="certificate verify failed"):
        connecting.connect_application(dataclasses.replace(environment, ca_bundle=None), deadline=SOON())
    assert len(attempts) == 1


def test_another_authority_of_the_same_name_is_refused_at_once(environment, attempts, tmp_path):
    CertificateAuthority(tmp_path / "other.pem")
    other = dataclasses.replace(environment, ca_bundle=str(tmp_path / "other.pem"))
    with within(AT_ONCE_SECONDS), pytest.raises(CertificateRefused, match="certificate verify failed"):
        connecting.connect_application(other, deadline=SOON())
    assert len(attempts) == 1


def test_a_certificate_of_another_host_is_refused_at_once(environment, attempts):
    with relayed_to(environment.proxy_endpoint, environment.port) as port:
        relayed = dataclasses.replace(environment, proxy_endpoint="localhost", port=port)
        with within(AT_ONCE_SECONDS), pytest.raises(CertificateRefused, match=r"['\"]localhost['\"]"):
            connecting.connect_application(relayed, deadline=SOON())
    assert len(attempts) == 1


@pytest.mark.engine("postgresql")
def test_a_server_without_tls_is_refused_at_once(environment, attempts, database_server):
    plain = dataclasses.replace(environment, proxy_endpoint="127.0.0.1", port=database_server.server.port)
    with within(AT_ONCE_SECONDS), pytest.raises(CertificateRefused, match="does not support SSL"):
        connecting.connect_application(plain, deadline=SOON())
    assert len(attempts) == 1


@pytest.mark.engine("mysql")
def test_a_server_that_seems_to_lack_tls_is_refused_before_anything_is_sent(environment, attempts):
    """Somebody in between took the offer of TLS out of the greeting."""
    with relayed_to(environment.proxy_endpoint, environment.port, greeting=without_tls) as port:
        relayed = dataclasses.replace(environment, proxy_endpoint="127.0.0.1", port=port)
        with within(AT_ONCE_SECONDS), pytest.raises(CertificateRefused, match="SSL is required"):
            connecting.connect_application(relayed, deadline=SOON())
    assert len(attempts) == 1


def test_a_missing_bundle_is_refused_without_an_attempt(environment, attempts):
    lost = dataclasses.replace(environment, ca_bundle="/nowhere/bundle.pem")
    with pytest.raises(CertificateRefused, match="is no file"):
        connecting.connect_application(lost, deadline=SOON())
    assert attempts == []


def test_the_runtime_s_trust_store_honours_ssl_cert_file(environment, endpoints, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(endpoints.ca_bundle))
    by_system = dataclasses.replace(environment, ca_bundle="system")
    assert who_and_where(connecting.connect_application(by_system, deadline=SOON()))[0] == "shop_application"


def test_a_database_that_does_not_exist_is_refused_at_once(environment, attempts):
    nowhere = dataclasses.replace(environment, database="nowhere")
    with within(AT_ONCE_SECONDS), pytest.raises(Rejected, match=r"['\"]nowhere['\"]"):
        connecting.connect_application(nowhere, deadline=SOON())
    assert len(attempts) == 1


def test_a_database_that_starts_is_waited_for(environment, attempts):
    """The endpoint's port answers a second from now."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    with relayed_to(environment.proxy_endpoint, environment.port, port=port, after_seconds=1):
        starting = dataclasses.replace(environment, proxy_endpoint="localhost", port=port)
        with pytest.raises(CertificateRefused):  # it answers: as another host, which is what ends the wait
            connecting.connect_application(starting, deadline=SOON())
    assert len(attempts) > 1


def test_a_full_database_is_waited_for(environment, shared_database):
    with one_connection_at_most(shared_database, "shop_application"):
        occupant = connecting.connect_application(environment, deadline=SOON())
        threading.Timer(1, occupant.close).start()
        later = connecting.connect_application(environment, deadline=SOON())
        assert who_and_where(later)[0] == "shop_application"


def test_waiting_ends_with_the_deadline(environment, attempts):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    gone = dataclasses.replace(environment, proxy_endpoint="127.0.0.1", port=port)
    deadline = Deadline.after(1)
    with within(2), pytest.raises(Unavailable, match="Connection refused"):
        connecting.connect_application(gone, deadline=deadline)
    assert deadline.passed()
    assert 1 < len(attempts) < 30


def test_a_black_hole_holds_nobody_past_the_deadline(environment):
    """Whoever accepts and never answers. libpq's shortest timeout is two seconds."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        hole = dataclasses.replace(environment, proxy_endpoint="127.0.0.1", port=silent.getsockname()[1])
        with within(4), pytest.raises(Unavailable, match=r"timeout expired|timed out"):
            connecting.connect_application(hole, deadline=Deadline.after(1))
