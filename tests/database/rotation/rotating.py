"""A user whose secret is rotated, on a real server over verified TLS, with moto's Secrets Manager."""

from __future__ import annotations

import json
from contextlib import contextmanager

from moto.core import DEFAULT_ACCOUNT_ID
from moto.secretsmanager.models import secretsmanager_backends
from psycopg2 import sql

from rotate_secret.handler import on_event
from tests.database.endpoints import Context

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


def taking(secret_arn):
    """Return what takes steps of a rotation, as Secrets Manager does.

    It begins with a version that has no content.
    """

    def take(*steps, version):
        versions = stored(secret_arn).versions
        versions.setdefault(
            version, {"createdate": 0, "version_id": version, "version_stages": ["AWSPENDING"]}
        )
        for step in steps:
            on_event({"SecretId": secret_arn, "ClientRequestToken": version, "Step": step.value}, Context())

    return take


def stored(secret_arn):
    """Return moto's own record of the secret."""
    return secretsmanager_backends[DEFAULT_ACCOUNT_ID][REGION].secrets[secret_arn]


def password(client, secret_arn, stage="AWSCURRENT"):
    return json.loads(client.get_secret_value(SecretId=secret_arn, VersionStage=stage)["SecretString"])[
        "password"
    ]
