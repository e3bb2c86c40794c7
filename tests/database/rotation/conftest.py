"""A secret of a user on a real server behind verified TLS, and what rotates it."""

from __future__ import annotations

import json
import secrets as randomness
from contextlib import closing

import boto3
import pytest
from moto import mock_aws

from aurora.deadline import Deadline
from rotate_secret.admin_database import AdminDatabase
from tests.database.endpoints import AuroraEndpoints
from tests.database.rotation import rotating


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
    kind = {"postgresql": rotating.PostgresqlUser, "mysql": rotating.MysqlUser}[database_server.engine]
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
        yield boto3.client("secretsmanager", region_name=rotating.REGION)


@pytest.fixture
def secret_of(client):
    """Make a secret whose rotation is switched on, and return its ARN."""

    def secret_of(name, password):
        content = {"username": name, "password": password, "host": "not used"}
        arn = client.create_secret(Name=f"admin-{randomness.token_hex(4)}", SecretString=json.dumps(content))[
            "ARN"
        ]
        record = rotating.stored(arn)
        record.rotation_requested = record.rotation_enabled = True
        return arn

    return secret_of


@pytest.fixture
def secret_arn(secret_of, endpoints, user, on_server, monkeypatch):
    """The user's secret, in the environment of the function that rotates it."""
    arn = secret_of(user, rotating.FIRST_PASSWORD)
    for name, value in (endpoints.variables(on_server.some_database) | {"ADMIN_SECRET_ARN": arn}).items():
        monkeypatch.setenv(name, value)
    return arn


@pytest.fixture
def take(secret_arn):
    """Take steps of one rotation of the user's."""
    return rotating.taking(secret_arn)
