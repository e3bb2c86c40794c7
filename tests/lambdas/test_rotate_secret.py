"""The rotation's four steps against moto's Secrets Manager and a database that only knows passwords."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import boto3
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.secretsmanager.models import secretsmanager_backends

from aurora.credentials import Credential
from aurora.environment import EnvironmentIncomplete
from rotate_secret.handler import on_event
from rotate_secret.rotation import RotationRefused, RotationRequest, Step, rotate

REGION = "eu-west-1"
VERSION = "11111111-2222-3333-4444-555555555555"
CONTENT = {
    "engine": "postgres",
    "host": "cluster",
    "port": 5432,
    "username": "shop_admin",
    "password": "first",
}


@dataclass
class PasswordsOnly:
    """A database that has nothing but one user's password; it can break off before or after a change."""

    password: str = "first"
    username: str = "shop_admin"
    tried: list[str] = field(default_factory=list)
    breaks: str | None = None

    def accepts(self, credential: Credential) -> bool:
        self.tried.append(credential.password)
        return (credential.user, credential.password) == (self.username, self.password)

    def change_password(self, credential: Credential, new_password: str) -> bool:
        if not self.accepts(credential):
            return False
        if self.breaks == "before":
            raise ConnectionError("cut before the change")
        self.password = new_password
        if self.breaks == "after":
            raise ConnectionError("cut after the change")
        return True


@pytest.fixture(autouse=True)
def aws(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield


@pytest.fixture
def secrets():
    return boto3.client("secretsmanager", region_name=REGION)


@pytest.fixture
def secret_arn(secrets):
    """A secret whose rotation to VERSION has begun: as Secrets Manager leaves it before the first step."""
    arn = secrets.create_secret(Name="admin", SecretString=json.dumps(CONTENT))["ARN"]
    stored = secretsmanager_backends[DEFAULT_ACCOUNT_ID][REGION].secrets[arn]
    stored.rotation_requested = stored.rotation_enabled = True
    # moto's RotateSecret makes this empty version too, but then wants a function in its own Lambda at once
    stored.versions[VERSION] = {"createdate": 0, "version_id": VERSION, "version_stages": ["AWSPENDING"]}
    return arn


@pytest.fixture
def take(secrets, secret_arn):
    """Take steps of the rotation on a database."""

    def take(database, *steps, version=VERSION):
        for step in steps:
            rotate(
                RotationRequest(secret_arn, version, step),
                secrets=secrets,
                database=database,
                secret_arn=secret_arn,
            )

    return take


def content(secrets, secret_arn, stage):
    return json.loads(secrets.get_secret_value(SecretId=secret_arn, VersionStage=stage)["SecretString"])


def test_rotation_leaves_a_new_password_current_and_the_old_one_previous(secrets, secret_arn, take):
    database = PasswordsOnly()
    take(database, *Step)
    current = content(secrets, secret_arn, "AWSCURRENT")
    assert database.password == current["password"] != "first"
    assert current == CONTENT | {"password": current["password"]}
    assert content(secrets, secret_arn, "AWSPREVIOUS") == CONTENT


def test_each_step_may_be_repeated(secrets, secret_arn, take):
    database = PasswordsOnly()
    take(database, Step.CREATE, Step.CREATE)
    created = content(secrets, secret_arn, "AWSPENDING")["password"]
    take(database, Step.CREATE, Step.SET, Step.SET, Step.TEST, Step.TEST, Step.FINISH, Step.FINISH)
    assert database.password == content(secrets, secret_arn, "AWSCURRENT")["password"] == created


def test_every_step_of_a_finished_rotation_changes_nothing(secrets, secret_arn, take):
    database = PasswordsOnly()
    take(database, *Step)
    before = secrets.describe_secret(SecretId=secret_arn)["VersionIdsToStages"], database.password
    take(database, *Step)
    assert (secrets.describe_secret(SecretId=secret_arn)["VersionIdsToStages"], database.password) == before


def test_a_second_rotation_follows_the_first(secrets, secret_arn, take):
    database, second = PasswordsOnly(), VERSION.replace("1", "9")
    take(database, *Step)
    first_rotated = database.password
    secrets.put_secret_value(
        SecretId=secret_arn,
        ClientRequestToken=second,
        SecretString=json.dumps(CONTENT | {"password": "third"}),
        VersionStages=["AWSPENDING"],
    )
    take(database, *Step, version=second)
    assert database.password == content(secrets, secret_arn, "AWSCURRENT")["password"] == "third"
    assert content(secrets, secret_arn, "AWSPREVIOUS")["password"] == first_rotated


def test_a_password_has_only_letters_and_digits(secrets, secret_arn, take):
    take(PasswordsOnly(), Step.CREATE)
    password = content(secrets, secret_arn, "AWSPENDING")["password"]
    assert password.isascii()
    assert password.isalnum()
    assert len(password) == 48


@pytest.mark.parametrize("breaks", ["before", "after"])
def test_broken_off_while_setting_some_version_opens_the_database_and_the_rerun_ends_well(
    secrets, secret_arn, take, breaks
):
    database = PasswordsOnly(breaks=breaks)
    with pytest.raises(ConnectionError):
        take(database, Step.CREATE, Step.SET)
    assert database.password in {
        content(secrets, secret_arn, stage)["password"] for stage in ("AWSCURRENT", "AWSPENDING")
    }
    database.breaks = None
    take(database, *Step)
    assert database.password == content(secrets, secret_arn, "AWSCURRENT")["password"] != "first"


def test_the_previous_password_serves_where_the_current_one_is_rejected(secrets, secret_arn, take):
    secrets.put_secret_value(
        SecretId=secret_arn, SecretString=json.dumps(CONTENT | {"password": "never set"})
    )
    database = PasswordsOnly()  # it still has the first password, now the previous one
    take(database, *Step)
    assert database.password == content(secrets, secret_arn, "AWSCURRENT")["password"]
    assert database.tried[1:3] == ["never set", "first"]


def test_no_version_opens_the_database(secrets, secret_arn, take):
    database = PasswordsOnly(password="unknown to the secret")
    with pytest.raises(
        RotationRefused, match="accepts neither the AWSPENDING, the AWSCURRENT nor the AWSPREVIOUS"
    ):
        take(database, Step.CREATE, Step.SET)
    assert database.password == "unknown to the secret"
    assert len(database.tried) == 2, "one try for each version there is: no storm of wrong passwords"
    assert content(secrets, secret_arn, "AWSCURRENT") == CONTENT


def test_a_rejected_new_password_does_not_become_current(secrets, secret_arn, take):
    database = PasswordsOnly()
    with pytest.raises(RotationRefused, match="rejects the AWSPENDING password of 'shop_admin'"):
        take(database, Step.CREATE, Step.TEST)
    assert content(secrets, secret_arn, "AWSCURRENT") == CONTENT


def test_another_user_in_the_new_version_is_refused(secrets, secret_arn, take):
    secrets.put_secret_value(
        SecretId=secret_arn,
        ClientRequestToken="9" * 32,
        SecretString=json.dumps(CONTENT | {"username": "postgres"}),
        VersionStages=["AWSPENDING"],
    )
    database = PasswordsOnly(password="else")
    with pytest.raises(RotationRefused, match="changes no user name"):
        take(database, Step.SET, version="9" * 32)
    assert database.password == "else"


@pytest.mark.parametrize("step", [Step.SET, Step.TEST])
def test_a_step_before_the_new_password_exists_is_refused(take, step):
    with pytest.raises(RotationRefused, match="AWSPENDING version has no content"):
        take(PasswordsOnly(), step)


@pytest.mark.parametrize(
    "broken",
    [
        "no json, but 'hunter2'",
        '["hunter2"]',
        '{"password": "hunter2"}',
        '{"username": 1, "password": "hunter2"}',
    ],
)
def test_a_malformed_secret_is_refused_without_quoting_it(secrets, secret_arn, take, broken):
    secrets.put_secret_value(SecretId=secret_arn, SecretString=broken)
    with pytest.raises(RotationRefused, match="no JSON object with username and password") as refusal:
        take(PasswordsOnly(), Step.CREATE)
    assert "hunter2" not in str(refusal.value)
    assert refusal.value.__suppress_context__


def test_another_secret_is_refused(secrets, secret_arn):
    other = secrets.create_secret(Name="other", SecretString="{}")["ARN"]
    with pytest.raises(RotationRefused, match="only, asked for"):
        rotate(
            RotationRequest(other, VERSION, Step.SET),
            secrets=secrets,
            database=PasswordsOnly(),
            secret_arn=secret_arn,
        )


def test_the_secret_may_be_asked_for_by_name(secrets, secret_arn):
    rotate(
        RotationRequest("admin", VERSION, Step.CREATE),
        secrets=secrets,
        database=PasswordsOnly(),
        secret_arn=secret_arn,
    )
    assert content(secrets, secret_arn, "AWSPENDING")["password"] != "first"


def test_a_version_that_the_secret_lacks_is_refused(take):
    with pytest.raises(RotationRefused, match="there is no version 9999"):
        take(PasswordsOnly(), Step.SET, version="9999")


def test_a_version_that_is_not_pending_is_refused(secrets, secret_arn, take):
    replaced = secrets.describe_secret(SecretId=secret_arn)["VersionIdsToStages"]
    previous = next(version for version, stages in replaced.items() if "AWSCURRENT" in stages)
    secrets.put_secret_value(SecretId=secret_arn, SecretString=json.dumps(CONTENT))
    with pytest.raises(RotationRefused, match="is AWSPREVIOUS, expected AWSPENDING"):
        take(PasswordsOnly(), Step.SET, version=previous)


def test_a_secret_whose_rotation_is_switched_off_is_refused(secrets, secret_arn, take):
    secretsmanager_backends[DEFAULT_ACCOUNT_ID][REGION].secrets[secret_arn].rotation_enabled = False
    with pytest.raises(RotationRefused, match="rotation is not enabled"):
        take(PasswordsOnly(), Step.CREATE)


EVENT = {"SecretId": "arn", "ClientRequestToken": VERSION, "Step": "createSecret"}


def test_an_event_is_read():
    assert RotationRequest.from_event(EVENT) == RotationRequest("arn", VERSION, Step.CREATE)


@pytest.mark.parametrize(
    ("event", "named"),
    [
        ({}, ["SecretId", "ClientRequestToken", "Step"]),
        (EVENT | {"SecretId": ""}, ["SecretId: expected a non-empty text, got ''"]),
        (EVENT | {"ClientRequestToken": None}, ["ClientRequestToken: expected a non-empty text, got None"]),
        (EVENT | {"Step": 3}, ["Step: expected a non-empty text, got 3"]),
        (EVENT | {"Step": "setsecret"}, ["Step: expected one of createSecret, setSecret", "got 'setsecret'"]),
        (EVENT | {"Step": "drop", "SecretId": 7}, ["SecretId", "Step: expected one of"]),
    ],
)
def test_a_wrong_event_is_refused_naming_all_that_is_wrong(event, named):
    with pytest.raises(RotationRefused) as refusal:
        RotationRequest.from_event(event)
    assert all(name in str(refusal.value) for name in named), str(refusal.value)


ENVIRONMENT = {
    "DATABASE_ENGINE": "postgresql",
    "DATABASE_NAME": "shop",
    "DATABASE_PORT": "5432",
    "CLUSTER_ENDPOINT": "cluster.example",
    "CLUSTER_READER_ENDPOINT": "reader.example",
    "PROXY_ENDPOINT": "proxy.example",
    "PROXY_READ_ONLY_ENDPOINT": "proxy-reader.example",
    "AWS_REGION": REGION,
}


class Context:
    def get_remaining_time_in_millis(self):
        return 60_000


def test_a_function_without_the_secret_says_so(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ADMIN_SECRET_ARN", raising=False)
    with pytest.raises(RotationRefused, match="ADMIN_SECRET_ARN is not set"):
        on_event(EVENT, Context())


def test_a_function_without_a_database_names_what_is_missing(monkeypatch):
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EnvironmentIncomplete, match=r"DATABASE_NAME is not set.*CLUSTER_ENDPOINT is not set"):
        on_event(EVENT, Context())


def test_the_handler_takes_a_step(monkeypatch, secrets, secret_arn):
    for name, value in (ENVIRONMENT | {"ADMIN_SECRET_ARN": secret_arn}).items():
        monkeypatch.setenv(name, value)
    on_event({"SecretId": secret_arn, "ClientRequestToken": VERSION, "Step": "createSecret"}, Context())
    assert content(secrets, secret_arn, "AWSPENDING")["password"] != "first"
