"""Endpoints over TLS, a function's environment for them, and what is watched while connecting."""

from __future__ import annotations

import json
from contextlib import closing

import psycopg2
import pymysql
import pytest
from botocore.exceptions import ClientError

from aurora import credentials
from tests.database.connecting.probing import SECRET
from tests.database.endpoints import AuroraEndpoints
from tests.database.servers import MASTER, MASTER_PASSWORD


@pytest.fixture
def endpoints(database_server, tmp_path):
    server = database_server.server
    with closing(AuroraEndpoints(tmp_path, writer=server, reader=server)) as endpoints:
        yield endpoints


@pytest.fixture
def environment(endpoints, shared_database, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    return endpoints.environment(shared_database.name, ADMIN_SECRET_ARN=SECRET)


@pytest.fixture
def secret(monkeypatch):
    """Secrets Manager with one secret, whose contents are given out in turn; the last one stays.

    `pending` is the content of the version that a rotation is at, if there is one.
    """

    class SecretsManager:
        def __init__(self):
            self.contents = [json.dumps({"username": MASTER, "password": MASTER_PASSWORD})]
            self.pending = None
            self.reads = 0

        def get_secret_value(self, *, VersionStage, **_request):  # noqa: N803 - as Secrets Manager calls it
            if VersionStage == credentials.PENDING:
                if self.pending is None:
                    raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetSecretValue")
                return {"SecretString": self.pending}
            content = self.contents[min(self.reads, len(self.contents) - 1)]
            self.reads += 1
            if isinstance(content, Exception):
                raise content
            return {"SecretString": content}

    manager = SecretsManager()
    monkeypatch.setattr(credentials, "_secrets_manager", lambda region: manager)
    return manager


@pytest.fixture
def attempts(engine, monkeypatch):
    """Counts the connections tried."""
    tried = []
    driver = {"postgresql": psycopg2, "mysql": pymysql}[engine]
    connect = driver.connect
    monkeypatch.setattr(driver, "connect", lambda **options: tried.append(options) or connect(**options))
    return tried
