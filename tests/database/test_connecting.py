"""Connections over verified TLS: had in the end where time helps, refused at once where it does not."""

from __future__ import annotations

import dataclasses
import functools
import json
import socket
import threading
import time
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import psycopg2
import pytest
from aurora import connecting, credentials, postgresql
from aurora.credentials import Credential
from aurora.deadline import Deadline
from aurora.failures import (
    CertificateRefused,
    CredentialRefused,
    HostUnknown,
    Rejected,
    SecretUnavailable,
    Unavailable,
)
from aurora.postgresql import Remedy
from botocore.exceptions import ClientError

from localcloud.aurora.certificates import CertificateAuthority
from tests.database.conftest import MASTER, MASTER_PASSWORD
from tests.database.endpoints import AuroraEndpoints

SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/admin-AbCdEf"
AT_ONCE_SECONDS = 2  # far below the deadlines here, far above what a refusal takes
SOON = functools.partial(Deadline.after, 20)


@pytest.fixture
def endpoints(postgresql_server, tmp_path):
    with closing(AuroraEndpoints(tmp_path, writer=postgresql_server, reader=postgresql_server)) as endpoints:
        yield endpoints


@pytest.fixture
def environment(endpoints, shared_database, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    return endpoints.environment(shared_database.name, ADMIN_SECRET_ARN=SECRET)


@pytest.fixture
def secret(monkeypatch):
    """Secrets Manager with one secret, whose contents are given out in turn; the last one stays."""

    class SecretsManager:
        def __init__(self):
            self.contents = [json.dumps({"username": MASTER, "password": MASTER_PASSWORD})]
            self.reads = 0

        def get_secret_value(self, **_request):
            content = self.contents[min(self.reads, len(self.contents) - 1)]
            self.reads += 1
            if isinstance(content, Exception):
                raise content
            return {"SecretString": content}

    manager = SecretsManager()
    monkeypatch.setattr(credentials, "_secrets_manager", lambda region: manager)
    return manager


@pytest.fixture
def attempts(monkeypatch):
    """Counts the connections tried."""
    tried = []
    connect = psycopg2.connect
    monkeypatch.setattr(psycopg2, "connect", lambda **options: tried.append(options) or connect(**options))
    return tried


@contextmanager
def within(seconds):
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


def session(connection):
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_database(), current_setting('application_name')")
        return cursor.fetchone()


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
    assert session(connect(environment, deadline=SOON())) == (user, environment.database, "shop")


@pytest.mark.parametrize(
    ("connect", "endpoint"),
    [
        (connecting.connect_admin, "cluster_endpoint"),
        (connecting.connect_loader, "cluster_endpoint"),
        (connecting.connect_application, "proxy_endpoint"),
        (connecting.connect_read_only, "proxy_read_only_endpoint"),
    ],
)
def test_each_role_goes_by_its_endpoint(monkeypatch, environment, secret, connect, endpoint):
    taken = []
    monkeypatch.setattr(
        postgresql, "connect", lambda environment, host, *_args, **_options: taken.append(host)
    )
    connect(dataclasses.replace(environment, **{endpoint: "the.one"}), deadline=SOON())
    assert taken == ["the.one"]


def test_every_connection_has_a_token_of_its_own(monkeypatch, environment):
    signed = []
    sign = credentials.token_credential
    monkeypatch.setattr(
        credentials,
        "token_credential",
        lambda *args, **options: signed.append(options) or sign(*args, **options),
    )
    for _ in range(2):
        connecting.connect_application(environment, deadline=SOON()).close()
    assert signed == [{"user": "shop_application", "host": environment.proxy_endpoint}] * 2


def test_connecting_sends_no_statement_that_would_pin_a_proxied_session(
    environment, postgresql_server, shared_database
):
    shared_database.rows("ALTER ROLE shop_application SET log_statement = 'all'")
    try:
        connection = connecting.connect_application(environment, deadline=SOON())
        connection.autocommit = True
        with closing(connection), connection.cursor() as cursor:
            before = postgresql_server.log.count("statement:")
            cursor.execute("SELECT 'the only statement'")
        logged = [line for line in postgresql_server.log.splitlines() if "statement:" in line]
        assert ["the only statement" in line for line in logged[before:]] == [True]
        assert not any(" SET " in line for line in logged if environment.application_name in line)
    finally:
        shared_database.rows("ALTER ROLE shop_application RESET log_statement")


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
        with within(AT_ONCE_SECONDS), pytest.raises(CertificateRefused, match='"localhost"'):
            connecting.connect_application(relayed, deadline=SOON())
    assert len(attempts) == 1


def test_a_server_without_tls_is_refused_at_once(environment, attempts, postgresql_server):
    plain = dataclasses.replace(environment, proxy_endpoint="127.0.0.1", port=postgresql_server.port)
    with within(AT_ONCE_SECONDS), pytest.raises(CertificateRefused, match="does not support SSL"):
        connecting.connect_application(plain, deadline=SOON())
    assert len(attempts) == 1


def test_a_missing_bundle_is_refused_without_an_attempt(environment, attempts):
    lost = dataclasses.replace(environment, ca_bundle="/nowhere/bundle.pem")
    with pytest.raises(CertificateRefused, match="is no file"):
        connecting.connect_application(lost, deadline=SOON())
    assert attempts == []


def test_the_runtime_s_trust_store_honours_ssl_cert_file(environment, endpoints, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(endpoints.ca_bundle))
    by_system = dataclasses.replace(environment, ca_bundle="system")
    assert session(connecting.connect_application(by_system, deadline=SOON()))[0] == "shop_application"


def test_a_database_that_does_not_exist_is_refused_at_once(environment, attempts):
    nowhere = dataclasses.replace(environment, database="nowhere")
    with within(AT_ONCE_SECONDS), pytest.raises(Rejected, match='database "nowhere" does not exist'):
        connecting.connect_application(nowhere, deadline=SOON())
    assert len(attempts) == 1


def test_a_wrong_password_is_tried_twice_and_the_secret_read_twice(environment, secret, attempts):
    secret.contents = [json.dumps({"username": MASTER, "password": "canary-wrong"})]
    with within(AT_ONCE_SECONDS), pytest.raises(CredentialRefused) as refused:
        connecting.connect_admin(environment, deadline=SOON())
    assert (secret.reads, len(attempts)) == (2, 2)
    assert f"{MASTER}@{environment.cluster_endpoint}" in str(refused.value)
    assert "canary" not in str(refused.value)


def test_a_secret_that_was_rotated_meanwhile_is_read_again(environment, secret):
    secret.contents.insert(0, json.dumps({"username": MASTER, "password": "of last month"}))
    assert session(connecting.connect_admin(environment, deadline=SOON()))[0] == MASTER
    assert secret.reads == 2


def test_a_password_given_by_the_caller_is_tried_once(environment, attempts):
    with pytest.raises(CredentialRefused):
        connecting.connect_with(
            environment, Credential(MASTER, "wrong"), host=environment.cluster_endpoint, deadline=SOON()
        )
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
    shared_database.rows("ALTER ROLE shop_application CONNECTION LIMIT 1")
    try:
        occupant = connecting.connect_application(environment, deadline=SOON())
        threading.Timer(1, occupant.close).start()
        assert session(connecting.connect_application(environment, deadline=SOON()))[0] == "shop_application"
    finally:
        shared_database.rows("ALTER ROLE shop_application CONNECTION LIMIT -1")


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
    """Whoever accepts and never answers: libpq's shortest timeout is two seconds."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        hole = dataclasses.replace(environment, proxy_endpoint="127.0.0.1", port=silent.getsockname()[1])
        with within(4), pytest.raises(Unavailable, match="timeout expired"):
            connecting.connect_application(hole, deadline=Deadline.after(1))


FAILURES = [
    ('FATAL:  password authentication failed for user "x"', CredentialRefused),
    ('FATAL:  PAM authentication failed for user "shop_application"', CredentialRefused),
    (
        "FATAL:  The IAM authentication failed for the role x. Check the IAM token for this role",
        CredentialRefused,
    ),
    ("FATAL:  the database system is starting up", Unavailable),
    ("FATAL:  the database system is in recovery mode", Unavailable),
    ("FATAL:  the database system is shutting down", Unavailable),
    ("FATAL:  the database system is not yet accepting connections", Unavailable),
    ("FATAL:  sorry, too many clients already", Unavailable),
    ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", Unavailable),
    ("FATAL:  Timed-out waiting to acquire database connection", Unavailable),
    ("server closed the connection unexpectedly", Unavailable),
    ("SSL SYSCALL error: EOF detected", Unavailable),
    ("No route to host", Unavailable),
    ('could not translate host name "x" to address: Temporary failure in name resolution', Unavailable),
    ('could not translate host name "x" to address: Name or service not known', HostUnknown),
    ("SSL error: certificate verify failed", CertificateRefused),
    ('server certificate for "a" (and 1 other name) does not match host name "b"', CertificateRefused),
    ("server does not support SSL, but SSL was required", CertificateRefused),
    ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "x", no encryption', CertificateRefused),
    ('FATAL:  permission denied for database "shop"', Rejected),
    ('FATAL:  role "x" does not exist', Rejected),
    ("FATAL:  This RDS proxy has no credentials for the role x.", Rejected),
]


@pytest.mark.parametrize(("said", "kind"), FAILURES)
def test_what_is_said_tells_what_helps(monkeypatch, environment, said, kind):
    def refuse(**_options):
        raise psycopg2.OperationalError(f'connection to server at "x", port 5432 failed: {said}\n')

    monkeypatch.setattr(psycopg2, "connect", refuse)
    with pytest.raises(kind) as failed:
        postgresql.connect(environment, "x", Credential("u", "p"), ca_file="system", timeout_seconds=1)
    assert type(failed.value) is kind
    assert "u@x:" in str(failed.value)


REMEDIES = [
    ("40P01", Remedy.RETRY),
    ("40001", Remedy.RETRY),
    ("55P03", Remedy.RETRY),
    ("25006", Remedy.RECONNECT),
    ("57P01", Remedy.RECONNECT),
    ("57P03", Remedy.RECONNECT),
    ("53300", Remedy.RECONNECT),
    ("08006", Remedy.RECONNECT),
    ("23505", Remedy.NONE),
    ("SH001", Remedy.NONE),
    ("42501", Remedy.NONE),
]


@pytest.mark.parametrize(("sqlstate", "remedy"), REMEDIES)
def test_an_error_s_sqlstate_tells_what_a_caller_may_do(shared_database, sqlstate, remedy):
    with pytest.raises(psycopg2.Error) as failed:
        shared_database.rows(f"DO $$ BEGIN RAISE EXCEPTION SQLSTATE '{sqlstate}'; END $$")
    assert postgresql.remedy_for(failed.value) is remedy


def test_a_terminated_session_is_to_be_replaced(shared_database):
    connection = shared_database.connect()
    shared_database.rows("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
    for _ in range(2):  # first the server's last words, then the driver's
        with pytest.raises(psycopg2.Error) as failed, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        assert postgresql.remedy_for(failed.value) is Remedy.RECONNECT


MALFORMED_SECRETS = [
    ("not json canary", "is not JSON"),
    ('["canary"]', "is not a JSON object"),
    ('{"password": "canary"}', "has no username"),
    ('{"username": "x", "password": 5}', "has no password"),
    ('{"username": "", "password": ""}', "has no username and no password"),
]


@pytest.mark.parametrize(("content", "reason"), MALFORMED_SECRETS)
def test_a_malformed_secret_is_named_and_not_shown(environment, secret, content, reason):
    secret.contents = [content]
    with pytest.raises(SecretUnavailable, match=reason) as unavailable:
        connecting.connect_admin(environment, deadline=SOON())
    assert SECRET in str(unavailable.value)
    assert "canary" not in str(unavailable.value)
    assert unavailable.value.__cause__ is None


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDeniedException", "User: arn:… is not authorized to perform: secretsmanager:GetSecretValue"),
        ("AccessDeniedException", "Access to KMS is not allowed"),
        ("ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
    ],
)
def test_a_denied_secret_is_named_with_aws_s_words(environment, secret, code, message):
    secret.contents = [ClientError({"Error": {"Code": code, "Message": message}}, "GetSecretValue")]
    with pytest.raises(SecretUnavailable) as unavailable:
        connecting.connect_admin(environment, deadline=SOON())
    assert str(unavailable.value) == f"{SECRET}: {code}: {message}"


def test_without_its_arn_the_secret_is_not_asked_for(environment, secret):
    with pytest.raises(SecretUnavailable, match="ADMIN_SECRET_ARN is not set"):
        connecting.connect_admin(dataclasses.replace(environment, admin_secret_arn=None), deadline=SOON())
    assert secret.reads == 0


def test_throttling_is_retried(environment, monkeypatch):
    """By boto3's own client against an endpoint that throttles twice."""
    content = json.dumps({"username": MASTER, "password": MASTER_PASSWORD})
    answers = [(400, {"__type": "ThrottlingException"})] * 2 + [(200, {"SecretString": content})]
    with secrets_manager_that_answers(answers) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", url)
        credentials._secrets_manager.cache_clear()
        assert session(connecting.connect_admin(environment, deadline=SOON()))[0] == MASTER
    credentials._secrets_manager.cache_clear()
    assert answers == []


def test_a_credential_does_not_show_its_password():
    assert "canary" not in f"{Credential('shop_admin', 'canary')!r}"


@contextmanager
def secrets_manager_that_answers(answers):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            status, body = answers.pop(0)
            content = json.dumps(body).encode()
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def relayed_to(host, port_there, *, port=0, after_seconds=0.0):
    """Pass bytes on from a port of 127.0.0.1, which opens so many seconds from now."""
    ended = threading.Event()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))

    def serve():
        if ended.wait(after_seconds):
            return
        listener.listen()
        listener.settimeout(0.1)
        while not ended.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            server = socket.create_connection((host, port_there), timeout=10)
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=pump, args=(source, target), daemon=True).start()

    if not after_seconds:
        listener.listen()
    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        serving.join()
        listener.close()


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side has gone; so do we
