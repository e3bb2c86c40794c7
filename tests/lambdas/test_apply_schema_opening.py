"""Ways to a database: TLS verified unless the user says otherwise, secrets read, nothing told."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import boto3
import psycopg2
import pytest
from moto import mock_aws

from apply_schema import opening, opening_in_aws
from apply_schema.failures import DatabaseUnknown, MigrationFailed
from apply_schema.limits import Limits
from aurora import connecting
from aurora.deadline import Deadline
from aurora.trust import PACKAGED

REGION = "eu-west-1"


class Stop(Exception):
    """Raised instead of connecting."""


@pytest.fixture
def asked(monkeypatch) -> dict[str, object]:
    """What the driver would have been asked for."""
    seen: dict[str, object] = {}

    def connect(url: str, **options: object) -> None:
        seen.update(options, url=url)
        raise Stop

    monkeypatch.setattr(psycopg2, "connect", connect)
    return seen


@pytest.mark.parametrize(
    ("url", "variables", "tls"),
    [
        ("postgresql://u@db.example.com/x", {}, ("verify-full", str(PACKAGED))),
        ("postgresql://u@/x?hostaddr=10.1.2.3", {}, ("verify-full", str(PACKAGED))),
        ("postgresql:///x", {"PGHOST": "db.example.com"}, ("verify-full", str(PACKAGED))),
        ("postgresql://u@db.example.com/x", {"CA_BUNDLE": "system"}, ("verify-full", "system")),
        ("postgresql://u@db.example.com/x?sslrootcert=/ca.pem", {}, ("verify-full", "/ca.pem")),
        ("postgresql://u@db.example.com/x?sslmode=disable", {}, (None, None)),
        ("postgresql://u@db.example.com/x", {"PGSSLMODE": "require"}, (None, None)),
        ("postgresql://u@localhost/x", {}, (None, None)),
        ("postgresql://u@[::1]:5432/x", {}, (None, None)),
        ("postgresql://u@/x?host=/run/postgresql", {}, (None, None)),
        ("postgres:///x", {}, (None, None)),
    ],
)
def test_over_a_network_tls_is_verified_unless_something_else_is_asked_for(
    asked, url, variables, tls
) -> None:
    with pytest.raises(Stop):
        opening.open_by_url(url, variables, Limits())
    assert (asked.get("sslmode"), asked.get("sslrootcert")) == tls
    assert asked["connect_timeout"] == opening.CONNECT_TIMEOUT_SECONDS


@pytest.fixture
def secrets(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield boto3.client("secretsmanager", region_name=REGION)


def open_secret(arn: str) -> None:
    opening_in_aws.open_database(arn, {}, Limits(deadline=Deadline.after(5)))


def test_a_secret_says_where_its_database_is(secrets, monkeypatch) -> None:
    content = {"host": "db", "port": 5433, "dbname": "shop", "username": "shop_admin", "password": "canary-1"}
    arn = secrets.create_secret(Name="admin", SecretString=json.dumps(content))["ARN"]
    seen = []

    def connect(environment, *, deadline) -> None:
        seen.append(environment)
        raise Stop

    monkeypatch.setattr(connecting, "connect_admin", connect)
    with pytest.raises(Stop):
        open_secret(arn)
    (environment,) = seen
    assert (environment.cluster_endpoint, environment.port, environment.database) == ("db", 5433, "shop")
    assert (environment.admin_secret_arn, environment.region) == (arn, REGION)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ('{"username": "u", "password": "canary-1"}', "no host and no port and no dbname: attach it"),
        (
            '{"host": "h", "port": "many", "dbname": "d", "password": "canary-1"}',
            "does not describe a database",
        ),
        ("canary-1", "does not describe a database"),
        ('["canary-1"]', "does not describe a database"),
    ],
)
def test_a_secret_without_a_database_is_named_and_not_told(secrets, content: str, named: str) -> None:
    arn = secrets.create_secret(Name="admin", SecretString=content)["ARN"]
    with pytest.raises(MigrationFailed, match=named) as failed:
        open_secret(arn)
    assert "canary-1" not in str(failed.value)


def test_a_secret_that_is_not_there_is_named(secrets) -> None:
    arn = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:gone-AbCdEf"
    with pytest.raises(MigrationFailed, match=r"gone-AbCdEf: .*ResourceNotFoundException"):
        open_secret(arn)
    with pytest.raises(MigrationFailed, match="expected a secret's complete ARN"):
        open_secret("arn:aws:secretsmanager:gone")


def test_without_a_secret_the_environment_has_to_be_complete() -> None:
    with pytest.raises(DatabaseUnknown, match="CLUSTER_ENDPOINT is not set"):
        opening_in_aws.open_database(None, {"DATABASE_ENGINE": "postgresql"}, Limits())


@pytest.mark.parametrize(
    ("options", "variables", "engine"),
    [
        ({}, {}, "postgresql"),
        ({"url": "mysql://u@h/x"}, {}, "mysql"),
        ({"url": "postgres://u@h/x"}, {"DATABASE_ENGINE": "mysql"}, "postgresql"),
        ({}, {"DATABASE_URL": "mysql://u@h/x"}, "mysql"),
        ({}, {"DATABASE_ENGINE": "mysql"}, "mysql"),
        ({"directory": "schema/mysql"}, {}, "mysql"),
        ({"directory": "schema/mysql/"}, {"DATABASE_ENGINE": "postgresql"}, "mysql"),
        ({"directory": "elsewhere", "engine": "mysql"}, {}, "mysql"),
    ],
)
def test_whose_files_these_are_is_told_by_what_is_known(options, variables, engine: str) -> None:
    given = {"url": None, "secret_arn": None, "directory": None, "engine": None} | options
    assert opening.engine_meant(Namespace(**given), variables) == engine


@pytest.mark.parametrize(("engine", "other"), [("postgresql", "pymysql"), ("mysql", "psycopg2")])
def test_a_run_on_one_engine_reads_nothing_of_the_others_driver(engine: str, other: str, tmp_path) -> None:
    (tmp_path / "V1__a.sql").write_text("SELECT 1;")
    program = (
        "import sys; from apply_schema.command_line import main\n"
        f"main(['status', '--directory', {str(tmp_path)!r}, '--url', '{engine}://u:p@127.0.0.1:1/x'])\n"
        f"assert {other!r} not in sys.modules"
    )
    folder = Path(__file__).parents[2] / "lambda"
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(folder)}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-800:]
