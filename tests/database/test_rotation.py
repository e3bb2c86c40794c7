"""The rotation on real servers over verified TLS, with moto's Secrets Manager."""

from __future__ import annotations

import io
import json
import secrets as randomness
from contextlib import closing, contextmanager

import boto3
import psycopg2
import pymysql
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.secretsmanager.models import secretsmanager_backends
from psycopg2 import sql

from aurora.credentials import Credential
from aurora.deadline import Deadline
from aurora.failures import Cause, CertificateRefused, DatabaseError, Unavailable
from rotate_secret.admin_database import AdminDatabase
from rotate_secret.handler import logger, on_event
from rotate_secret.rotation import RotationRefused, Step
from smoke_test.checks import STRANGER
from tests.database.endpoints import AuroraEndpoints, Context

REGION = "eu-west-1"
FIRST_PASSWORD = "the-first-password-of-a-test"


class PostgresqlUser:
    """A user on PostgreSQL, and what its superuser does about it."""

    some_database = "postgres"

    def __init__(self, server, name):
        self._server, self._name = server, sql.Identifier(name)
        self._run("CREATE ROLE {} LOGIN PASSWORD {}", FIRST_PASSWORD)

    def drop(self):
        self._run("DROP ROLE {}")

    def set_password(self, password):
        self._run("ALTER ROLE {} PASSWORD {}", password)

    def refuse_writes(self):
        self._run("ALTER ROLE {} SET default_transaction_read_only = on")

    def take_writes(self):
        self._run("ALTER ROLE {} RESET default_transaction_read_only")

    @contextmanager
    def statements_logged(self):
        self._run("ALTER ROLE {} SET log_statement = 'all'")
        before, sent = len(self._server.log), []
        yield sent
        sent.append(self._server.log[before:])

    def _run(self, statement, *values):
        self._server.execute(sql.SQL(statement).format(self._name, *map(sql.Literal, values)))


class MysqlUser:
    """The same on MySQL."""

    some_database = "information_schema"  # where everybody may be

    def __init__(self, server, name):
        self._server, self._name = server, name
        self._run("CREATE USER %s IDENTIFIED BY %s", name, FIRST_PASSWORD)

    def drop(self):
        self._run("DROP USER %s", self._name)

    def set_password(self, password):
        self._run("ALTER USER %s IDENTIFIED BY %s", self._name, password)

    def refuse_writes(self):
        self._run("SET GLOBAL super_read_only = ON")

    def take_writes(self):
        self._run("SET GLOBAL super_read_only = OFF")
        self._run("SET GLOBAL read_only = OFF")

    @contextmanager
    def statements_logged(self):
        sent = []
        self._run("SET GLOBAL log_output = 'TABLE'")
        self._run("SET GLOBAL general_log = ON")
        yield sent
        self._run("SET GLOBAL general_log = OFF")
        sent.append(self._server.execute("SELECT argument FROM mysql.general_log"))
        self._run("TRUNCATE mysql.general_log")

    def _run(self, statement, *values):
        self._server.execute(statement, values)


@pytest.fixture
def endpoints(database_server, tmp_path):
    server = database_server.server
    with closing(AuroraEndpoints(tmp_path, writer=server, reader=server)) as endpoints:
        yield endpoints


@pytest.fixture
def user():
    """A quote is in its name: the rotation quotes."""
    return f'rotated "user" {randomness.token_hex(4)}'


@pytest.fixture
def on_server(database_server, user):
    """The user as the server knows it, with no right but to log in: rotating needs no more."""
    kind = {"postgresql": PostgresqlUser, "mysql": MysqlUser}[database_server.engine]
    on_server = kind(database_server.server, user)
    yield on_server
    on_server.drop()


@pytest.fixture
def database(endpoints, on_server):
    return AdminDatabase(endpoints.environment(on_server.some_database), Deadline.after(20))


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield boto3.client("secretsmanager", region_name=REGION)


@pytest.fixture
def secret_arn(client, endpoints, user, on_server, monkeypatch):
    """The user's secret, in the environment of the function that rotates it."""
    content = {"username": user, "password": FIRST_PASSWORD, "host": "not used"}
    arn = client.create_secret(Name="admin", SecretString=json.dumps(content))["ARN"]
    stored = secretsmanager_backends[DEFAULT_ACCOUNT_ID][REGION].secrets[arn]
    stored.rotation_requested = stored.rotation_enabled = True
    for name, value in (endpoints.variables(on_server.some_database) | {"ADMIN_SECRET_ARN": arn}).items():
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
