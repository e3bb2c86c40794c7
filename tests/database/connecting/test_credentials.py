"""Secrets are read again once and never shown; a token is made for one connection."""

from __future__ import annotations

import dataclasses
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from botocore.exceptions import ClientError

from aurora import connecting, credentials
from aurora.credentials import Credential
from aurora.failures import (
    CredentialRefused,
    SecretUnavailable,
)
from tests.database.connecting.probing import AT_ONCE_SECONDS, SECRET, SOON, who_and_where, within
from tests.database.servers import MASTER, MASTER_PASSWORD


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


def test_a_wrong_password_is_tried_once_and_the_secret_read_again(environment, secret, attempts):
    secret.contents = [json.dumps({"username": MASTER, "password": "canary-wrong"})]
    with within(AT_ONCE_SECONDS), pytest.raises(CredentialRefused) as refused:
        connecting.connect_admin(environment, deadline=SOON())
    assert (secret.reads, len(attempts)) == (2, 1)
    assert f"{MASTER}@{environment.cluster_endpoint}" in str(refused.value)
    assert "canary" not in str(refused.value)


def test_a_secret_that_was_rotated_meanwhile_is_read_again(environment, secret, attempts):
    secret.contents.insert(0, json.dumps({"username": MASTER, "password": "of last month"}))
    assert who_and_where(connecting.connect_admin(environment, deadline=SOON()))[0] == MASTER
    assert (secret.reads, len(attempts)) == (2, 2)


def test_in_the_middle_of_a_rotation_the_pending_version_opens_the_database(environment, secret, attempts):
    secret.pending, secret.contents = secret.contents[0], [OF_LAST_MONTH]
    assert who_and_where(connecting.connect_admin(environment, deadline=SOON()))[0] == MASTER
    assert len(attempts) == 2


def test_a_pending_version_that_is_not_set_yet_is_not_tried_while_the_current_one_serves(
    environment, secret, attempts
):
    secret.pending = OF_LAST_MONTH
    assert who_and_where(connecting.connect_admin(environment, deadline=SOON()))[0] == MASTER
    assert len(attempts) == 1


def test_of_two_wrong_versions_each_is_tried_once(environment, secret, attempts):
    secret.contents, secret.pending = [OF_LAST_MONTH], json.dumps({"username": MASTER, "password": "wrong"})
    with within(AT_ONCE_SECONDS), pytest.raises(CredentialRefused):
        connecting.connect_admin(environment, deadline=SOON())
    assert len(attempts) == 2


def test_a_pending_version_without_sense_hides_no_refusal(environment, secret):
    secret.contents, secret.pending = [OF_LAST_MONTH], "no json"
    with pytest.raises(CredentialRefused):
        connecting.connect_admin(environment, deadline=SOON())


OF_LAST_MONTH = json.dumps({"username": MASTER, "password": "of last month"})


def test_a_password_given_by_the_caller_is_tried_once(environment, attempts):
    with pytest.raises(CredentialRefused):
        connecting.connect_with(
            environment, Credential(MASTER, "wrong"), host=environment.cluster_endpoint, deadline=SOON()
        )
    assert len(attempts) == 1


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
        assert who_and_where(connecting.connect_admin(environment, deadline=SOON()))[0] == MASTER
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
