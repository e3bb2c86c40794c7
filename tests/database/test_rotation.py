"""The rotation on a real PostgreSQL over verified TLS, with moto's Secrets Manager."""

from __future__ import annotations

import io
import json
import secrets as randomness
from contextlib import closing

import boto3
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.secretsmanager.models import secretsmanager_backends
from psycopg2 import sql
from psycopg2.errors import ReadOnlySqlTransaction

from aurora.credentials import Credential
from aurora.deadline import Deadline
from aurora.failures import CertificateRefused, Unavailable
from rotate_secret.admin_database import AdminDatabase
from rotate_secret.handler import logger, on_event
from rotate_secret.rotation import RotationRefused, Step
from smoke_test.checks import STRANGER
from tests.database.endpoints import AuroraEndpoints, Context

REGION = "eu-west-1"
FIRST_PASSWORD = "the-first-password-of-a-test"


@pytest.fixture
def endpoints(postgresql_server, tmp_path):
    with closing(AuroraEndpoints(tmp_path, writer=postgresql_server, reader=postgresql_server)) as endpoints:
        yield endpoints


@pytest.fixture
def user(postgresql_server):
    """A user with a quote in its name and no right but to log in: rotating needs no more, and quotes."""
    name = f'rotated "user" {randomness.token_hex(4)}'
    statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
    postgresql_server.execute(statement.format(sql.Identifier(name), sql.Literal(FIRST_PASSWORD)))
    yield name
    postgresql_server.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def alter_user(postgresql_server, user):
    """Change what the server knows of the user, as its superuser."""
    return lambda change: postgresql_server.execute(
        sql.SQL("ALTER ROLE {} {}").format(sql.Identifier(user), sql.SQL(change))
    )


@pytest.fixture
def database(endpoints):
    return AdminDatabase(endpoints.environment("postgres"), Deadline.after(20))


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield boto3.client("secretsmanager", region_name=REGION)


@pytest.fixture
def secret_arn(client, endpoints, user, monkeypatch):
    """The user's secret, in the environment of the function that rotates it."""
    content = {"username": user, "password": FIRST_PASSWORD, "host": "not used"}
    arn = client.create_secret(Name="admin", SecretString=json.dumps(content))["ARN"]
    stored = secretsmanager_backends[DEFAULT_ACCOUNT_ID][REGION].secrets[arn]
    stored.rotation_requested = stored.rotation_enabled = True
    for name, value in (endpoints.variables("postgres") | {"ADMIN_SECRET_ARN": arn}).items():
        monkeypatch.setenv(name, value)
    return arn


@pytest.fixture
def take(secret_arn):
    """Take steps of one rotation, as Secrets Manager does; it begins with a version that has no content."""

    def take(*steps, version):
        versions = secretsmanager_backends[DEFAULT_ACCOUNT_ID][REGION].secrets[secret_arn].versions
        versions.setdefault(
            version, {"createdate": 0, "version_id": version, "version_stages": ["AWSPENDING"]}
        )
        for step in steps:
            on_event({"SecretId": secret_arn, "ClientRequestToken": version, "Step": step.value}, Context())

    return take


def password(client, secret_arn, stage="AWSCURRENT"):
    return json.loads(client.get_secret_value(SecretId=secret_arn, VersionStage=stage)["SecretString"])[
        "password"
    ]


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
    client, secret_arn, take, database, user, alter_user
):
    alter_user("SET default_transaction_read_only = on")
    with pytest.raises(ReadOnlySqlTransaction):
        take(Step.CREATE, Step.SET, version="a" * 32)
    assert database.accepts(Credential(user, FIRST_PASSWORD))
    alter_user("RESET default_transaction_read_only")
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
    client, secret_arn, take, alter_user
):
    alter_user("PASSWORD 'somebody else has set it'")
    with pytest.raises(RotationRefused, match="accepts neither"):
        take(Step.CREATE, Step.SET, version="a" * 32)
    assert password(client, secret_arn) == FIRST_PASSWORD


def test_each_wrong_password_is_tried_once(endpoints, user, postgresql_server):
    length_before = len(postgresql_server.log)
    database = AdminDatabase(endpoints.environment("postgres"), Deadline.after(20))
    assert not database.accepts(Credential(user, "wrong"))
    log = postgresql_server.log[length_before:]
    assert log.count(f'FATAL:  password authentication failed for user "{user}"') == 1


def test_the_server_never_sees_the_new_password(client, secret_arn, take, postgresql_server, alter_user):
    alter_user("SET log_statement = 'all'")
    take(*Step, version="a" * 32)
    assert "PASSWORD 'SCRAM-SHA-256$4096:" in postgresql_server.log
    assert password(client, secret_arn) not in postgresql_server.log


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


def test_a_database_that_does_not_answer_is_no_rejected_password(endpoints, user):
    endpoints.close()
    database = AdminDatabase(endpoints.environment("postgres"), Deadline.after(0.3))
    with pytest.raises(Unavailable):
        database.accepts(Credential(user, FIRST_PASSWORD))
