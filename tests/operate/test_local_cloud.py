"""A session on a local cloud reaches that cloud alone, and leaves the process's environment as it was."""

from __future__ import annotations

import os

import boto3
import pytest

from operate.local_cloud import LocalCloud

HERE = {
    "AWS_ENDPOINT_URL": "http://localhost:4711",
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "an-operator",
    "AWS_SECRET_ACCESS_KEY": "of-no-account",
}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> LocalCloud:
    """Return a cloud that runs, as far as its command line tells."""
    monkeypatch.setattr(LocalCloud, "_settings", lambda _: (HERE, ["AWS_PROFILE", "AWS_CA_BUNDLE"]))
    return LocalCloud("somewhere")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the environment name another account, in every way in which it can."""
    for name, value in {
        "AWS_PROFILE": "of-work",
        "AWS_CONFIG_FILE": "/nowhere/config",
        "AWS_CA_BUNDLE": "/nowhere/ca.pem",
        "AWS_ENDPOINT_URL": "http://localhost:1",
        "AWS_ENDPOINT_URL_RDS": "http://localhost:2",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "else",
        "AWS_SESSION_TOKEN": "for-an-hour",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("service", ["rds", "s3", "cloudformation"])
def test_a_session_reaches_its_cloud_whatever_the_environment_names(cloud: LocalCloud, service: str):
    before = dict(os.environ)
    session = cloud.session()
    client = session.client(service)
    assert client.meta.endpoint_url == HERE["AWS_ENDPOINT_URL"]
    assert client.meta.region_name == session.region_name == "eu-west-1"
    credentials = session.get_credentials()
    assert (credentials.access_key, credentials.token) == ("an-operator", None)
    assert dict(os.environ) == before


def test_a_client_of_another_endpoint_is_one_that_says_so(cloud: LocalCloud):
    client = cloud.session().client("rds", endpoint_url="http://localhost:9")
    assert client.meta.endpoint_url == "http://localhost:9"


@pytest.mark.usefixtures("elsewhere")
def test_only_what_enters_a_cloud_stands_in_it_and_only_meanwhile(cloud: LocalCloud):
    before = dict(os.environ)
    with pytest.raises(RuntimeError, match="broken"), cloud.entered():
        client = boto3.Session(region_name="eu-west-1").client("rds")
        assert client.meta.endpoint_url == HERE["AWS_ENDPOINT_URL"]
        assert "AWS_PROFILE" not in os.environ
        raise RuntimeError("broken")
    assert dict(os.environ) == before
