"""A URL opens a session with either engine, over verified TLS where a network is between."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import quote

import pytest

from aurora.failures import CertificateRefused, CredentialRefused
from aurora.opening_by_url import UrlMalformed, connect_by_url
from aurora.redaction import redact
from tests.database.connecting.probing import who_and_where
from tests.database.servers import MASTER, MASTER_PASSWORD

USER = f"{MASTER}:{quote(MASTER_PASSWORD)}"


def by_socket(database, user=USER):
    """Return the URL of the server's private socket."""
    server = database.server
    if database.engine == "mysql":
        return f"mysql://{user}@/{database.name}?unix_socket={server.socket_path}"
    return f"postgresql://{user}@/{database.name}?host={server.socket_directory}&port={server.port}"


def by_network(database, environment, user=USER, options=""):
    """Return the URL of the endpoint in front of it."""
    return f"{database.engine}://{user}@{environment.cluster_endpoint}:{environment.port}/{database.name}{options}"


def test_a_socket_needs_no_tls(shared_database):
    with closing(connect_by_url(by_socket(shared_database), {})) as session:
        assert not session.is_verified()
        assert who_and_where(session) == (MASTER, shared_database.name, "shop")


def test_over_a_network_tls_is_verified(shared_database, environment):
    """Endpoints have addresses of their own here, which are not this machine's usual one."""
    url = by_network(shared_database, environment)
    with closing(connect_by_url(url, {"CA_BUNDLE": str(environment.ca_bundle)})) as session:
        assert session.is_verified()
    with pytest.raises(CertificateRefused, match="certificate verify failed"):
        connect_by_url(url, {})


def test_a_password_may_come_by_the_environment(shared_database, environment, monkeypatch):
    url = by_network(shared_database, environment, user=MASTER)
    variables = {"CA_BUNDLE": str(environment.ca_bundle), "MYSQL_PWD": MASTER_PASSWORD}
    monkeypatch.setenv("PGPASSWORD", MASTER_PASSWORD)  # which libpq reads itself
    connect_by_url(url, variables).close()


def test_a_wrong_password_is_refused_and_not_repeated(shared_database, environment):
    url = by_network(shared_database, environment, user=f"{MASTER}:canary-wrong")
    with pytest.raises(CredentialRefused) as refused:
        connect_by_url(url, {"CA_BUNDLE": str(environment.ca_bundle)})
    assert "canary" not in str(refused.value)


def test_the_password_of_a_url_is_known_as_a_secret(shared_database):
    connect_by_url(by_socket(shared_database, user=f"{MASTER}:{quote(MASTER_PASSWORD)}"), {}).close()
    assert MASTER_PASSWORD not in redact(f"it said {MASTER_PASSWORD}")


MALFORMED = [
    "oracle://me@host/shop",
    "me@host/shop",
    "",
    "mysql://me:canary@host:port/shop",
    "mysql://me:canary@host/shop?no_such_option=1",
    "mysql://me:canary@host/shop?ssl-mode=PREFERRED",
    "mysql://me:canary@[host/shop",
    "postgresql://me:canary@host:port/shop",
    "postgresql://me:canary@host/shop?no_such_option=1",
]


@pytest.mark.parametrize("url", MALFORMED)
def test_a_malformed_url_says_what_is_expected_and_not_what_was_given(url):
    with pytest.raises(UrlMalformed) as refused:
        connect_by_url(url, {})
    assert "canary" not in str(refused.value)
    assert "expected" in str(refused.value) or "there are" in str(refused.value)
