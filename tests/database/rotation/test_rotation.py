"""The rotation on real servers over verified TLS, with moto's Secrets Manager."""

from __future__ import annotations

import io
import json

import psycopg2
import pymysql
import pytest

from aurora.credentials import Credential
from aurora.deadline import Deadline
from aurora.failures import Cause, CertificateRefused, DatabaseError, Unavailable
from rotate_secret.admin_database import AdminDatabase
from rotate_secret.handler import logger
from rotate_secret.rotation import RotationRefused, Step
from smoke_test.checks import STRANGER
from tests.database.rotation.rotating import FIRST_PASSWORD, password


def test_after_a_rotation_the_new_password_opens_the_database_and_the_old_one_does_not(
    client, secret_arn, take, database, user
):
    take(*Step, version="a" * 32)
    assert database.accepts(Credential(user, password(client, secret_arn)))
    assert not database.accepts(Credential(user, FIRST_PASSWORD))
    assert password(client, secret_arn, "AWSPREVIOUS") == FIRST_PASSWORD


def test_rotating_twice_with_every_step_repeated(client, secret_arn, take, database, user):
    for version in ("a" * 32, "b" * 32):
        for step in Step:
            take(step, step, version=version)
        assert database.accepts(Credential(user, password(client, secret_arn)))


def test_broken_off_after_setting_the_pending_password_opens_the_database_and_the_rerun_ends_well(
    client, secret_arn, take, database, user
):
    take(Step.CREATE, Step.SET, version="a" * 32)
    assert database.accepts(Credential(user, password(client, secret_arn, "AWSPENDING")))
    take(*Step, version="a" * 32)
    assert database.accepts(Credential(user, password(client, secret_arn)))


def test_a_failure_while_setting_leaves_the_old_password_working(
    client, secret_arn, take, database, user, on_server
):
    on_server.refuse_writes()
    try:
        with pytest.raises(DatabaseError) as failed:
            take(Step.CREATE, Step.SET, version="a" * 32)
        assert failed.value.cause is Cause.READ_ONLY
        assert database.accepts(Credential(user, FIRST_PASSWORD))
    finally:
        on_server.take_writes()
    take(*Step, version="a" * 32)
    assert database.accepts(Credential(user, password(client, secret_arn)))


def test_the_previous_password_serves_where_the_current_one_was_never_set(
    client, secret_arn, take, database, user
):
    never_set = json.dumps({"username": user, "password": "never set"})
    client.put_secret_value(SecretId=secret_arn, SecretString=never_set)
    take(*Step, version="a" * 32)
    assert database.accepts(Credential(user, password(client, secret_arn)))


def test_a_password_that_no_version_knows_is_refused_and_nothing_becomes_current(
    client, secret_arn, take, on_server
):
    on_server.set_password("somebody else has set it")
    with pytest.raises(RotationRefused, match="accepts neither"):
        take(Step.CREATE, Step.SET, version="a" * 32)
    assert password(client, secret_arn) == FIRST_PASSWORD


def test_each_wrong_password_is_tried_once(database, user, engine, monkeypatch):
    tried = []
    driver = {"postgresql": psycopg2, "mysql": pymysql}[engine]
    connect = driver.connect
    monkeypatch.setattr(driver, "connect", lambda **how: tried.append(how["user"]) or connect(**how))
    assert not database.accepts(Credential(user, "wrong"))
    assert tried == [user]


def test_no_log_of_the_server_s_holds_the_new_password(client, secret_arn, take, on_server, engine):
    """PostgreSQL is sent a verifier in its place; MySQL rewrites the statement before it writes it down."""
    with on_server.statements_logged() as logged:
        take(*Step, version="a" * 32)
    changed = {
        "postgresql": "PASSWORD 'SCRAM-SHA-256$4096:",
        "mysql": "IDENTIFIED BY <secret>",
    }
    assert changed[engine] in logged[0]
    assert password(client, secret_arn) not in logged[0]


def test_the_log_tells_each_step_and_never_a_password(client, secret_arn, take, monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", written)
    take(*Step, version="a" * 32)
    assert [json.loads(line)["step"] for line in written.getvalue().splitlines()] == list(Step)
    assert FIRST_PASSWORD not in written.getvalue()
    assert password(client, secret_arn) not in written.getvalue()


def test_a_server_that_cannot_be_verified_is_sent_no_password(take, secret_arn, monkeypatch):
    monkeypatch.setenv("CA_BUNDLE", str(STRANGER))
    with pytest.raises(CertificateRefused):
        take(Step.CREATE, Step.SET, version="a" * 32)


def test_a_database_that_does_not_answer_is_no_rejected_password(endpoints, user, on_server):
    endpoints.close()
    database = AdminDatabase(endpoints.environment(on_server.some_database), Deadline.after(0.3))
    with pytest.raises(Unavailable):
        database.accepts(Credential(user, FIRST_PASSWORD))
