"""Which databases the migrator's function lets somebody look into, and with which password."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from apply_schema import contents, on_demand
from apply_schema.contents import EndpointRefused, check_endpoint
from aurora.credentials import Credential
from aurora.deadline import Deadline
from aurora.failures import CredentialRefused, SecretUnavailable
from custom_resource import MalformedEvent

OWN = "shop-dev.cluster-c7tj4example.us-east-1.rds.amazonaws.com"
COPY = "shop-dev-rehearsal.cluster-c7tj4example.us-east-1.rds.amazonaws.com"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:shop/dev/database/admin-a1b2c3"
VARIABLES = {
    "DATABASE_ENGINE": "postgresql",
    "DATABASE_NAME": "shop",
    "DATABASE_PORT": "15432",
    "CLUSTER_ENDPOINT": OWN,
    "CLUSTER_READER_ENDPOINT": OWN,
    "PROXY_ENDPOINT": OWN,
    "PROXY_READ_ONLY_ENDPOINT": OWN,
    "AWS_REGION": "us-east-1",
    "ADMIN_SECRET_ARN": SECRET,
}


@pytest.mark.parametrize("endpoint", [OWN, COPY])
def test_the_cluster_and_its_copy_may_be_looked_into(endpoint):
    check_endpoint(OWN, endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "db.example.org",
        "127.0.0.1",
        "shop-prod.cluster-c7tj4example.us-east-1.rds.amazonaws.com",
        "shop-dev-rehearsal.cluster-somebody1.us-east-1.rds.amazonaws.com",
        "shop-dev-rehearsal.cluster-c7tj4example.eu-west-1.rds.amazonaws.com",
        "shop-dev-rehearsal.cluster-c7tj4example.us-east-1.rds.amazonaws.com.example.org",
        "shop-dev-rehearsal.example.cluster-c7tj4example.us-east-1.rds.amazonaws.com",
        "shop-dev-rehearsal2.cluster-c7tj4example.us-east-1.rds.amazonaws.com",
        "shop-dev-rehearsal.cluster-ro-c7tj4example.us-east-1.rds.amazonaws.com",
        COPY.upper(),
    ],
)
def test_no_other_host_is_ever_asked(endpoint, monkeypatch):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(contents, "connect_admin", refused_to_run)
    monkeypatch.setattr(contents, "connect_with", refused_to_run)
    monkeypatch.setattr(contents, "admin_credential", refused_to_run)
    event = {"verb": "contents", "endpoint": endpoint}
    answer = on_demand.answered(event, deadline=Deadline.after(5), report=lambda _line: None)
    assert answer["exit_code"] == 4
    assert answer["data"]["error"] == "EndpointRefused"
    assert f"expected {OWN} or {COPY}" in answer["text"]


def refused_to_run(*_arguments, **_named):
    raise AssertionError("it was asked for a password or a connection")


def test_on_the_local_cloud_any_address_of_this_machine_is_meant():
    check_endpoint("127.3.0.1", "127.3.0.9")
    for own, endpoint in (("127.3.0.1", "10.0.0.9"), ("10.0.0.8", "127.0.0.1"), ("127.3.0.1", OWN)):
        with pytest.raises(EndpointRefused):
            check_endpoint(own, endpoint)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"endpoint": "no host"}, "endpoint is 'no host': expected a host name"),
        ({"endpoint": 7}, "endpoint is 7"),
        ({"up_to": {"shop.orders": "7"}}, "up_to is {'shop.orders': '7'}: expected whole numbers by table"),
        ({"up_to": {"shop.orders": True}}, "up_to is"),
        ({"up_to": [1]}, "up_to is [1]"),
        ({"host": "x"}, "'host' is unknown: expected endpoint, up_to"),
    ],
)
def test_an_event_that_is_no_order_names_what_is_wrong(given, said):
    with pytest.raises(MalformedEvent) as refusal:
        on_demand.answered({"verb": "contents", **given}, deadline=Deadline.after(5), report=print)
    assert said in str(refusal.value)


class Cluster:
    """A copy that takes one password, and a secret that was rotated."""

    def __init__(self, monkeypatch, *, takes: str, **versions: str) -> None:
        self.takes, self.versions, self.tried = takes, versions, []
        self.environment = SimpleNamespace(cluster_endpoint=OWN)
        monkeypatch.setattr(contents, "admin_credential", self.credential)
        monkeypatch.setattr(contents, "connect_admin", self.as_admin)
        monkeypatch.setattr(contents, "connect_with", self.log_in)
        monkeypatch.setattr(contents, "replace", lambda one, cluster_endpoint: one)

    def credential(self, _environment, *, stage):
        if stage not in self.versions:
            raise SecretUnavailable(f"no {stage}")
        return Credential("shop_admin", self.versions[stage])

    def as_admin(self, environment, *, deadline):
        return self.log_in(
            environment, self.credential(None, stage="AWSCURRENT"), host=OWN, deadline=deadline
        )

    def log_in(self, _environment, credential, *, host, deadline):
        self.tried.append(credential.password)
        if credential.password != self.takes:
            raise CredentialRefused("no")
        return "a session"

    def open(self):
        return contents._open(self.environment, COPY, deadline=Deadline.after(5))


def test_a_copy_of_before_the_last_rotation_takes_the_previous_password(monkeypatch):
    copy = Cluster(monkeypatch, takes="old", AWSCURRENT="new", AWSPREVIOUS="old")
    assert copy.open() == "a session"
    assert copy.tried == ["new", "old"]


@pytest.mark.parametrize(
    "versions",
    [
        {"AWSCURRENT": "new", "AWSPREVIOUS": "less old"},
        {"AWSCURRENT": "new", "AWSPREVIOUS": "new"},
        {"AWSCURRENT": "new"},
    ],
)
def test_a_copy_of_before_the_rotation_before_says_so_and_costs_no_third_login(monkeypatch, versions):
    copy = Cluster(monkeypatch, takes="old", **versions)
    with pytest.raises(contents.PasswordUnknown, match="rotated twice since"):
        copy.open()
    assert copy.tried == list(dict.fromkeys(versions.values()))
