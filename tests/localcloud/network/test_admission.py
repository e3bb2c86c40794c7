"""The decision at a database endpoint and before the AWS APIs, without processes behind it."""

import http.client
import os
import socket
import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from moto.ec2.models import EC2Backend
from werkzeug.serving import make_server

from localcloud.aurora import endpoint
from localcloud.cloud import Cloud
from localcloud.enforcements import EVERY, Enforcement
from localcloud.network import api_door, callers
from localcloud.network.admission import Network
from localcloud.network.api_door import ApiDoor
from localcloud.network.interfaces import interface
from localcloud.refusals import Refusals

PORT = 5432
CLIENT, HERE = ("127.0.0.1", 40000), ("127.9.9.1", PORT)
ANYWHERE = {"ip_ranges": [{"CidrIp": "0.0.0.0/0"}]}


@dataclass
class Caller:
    """As much of an execution environment as a decision needs: a function outside of any VPC."""

    said: list[str] = field(default_factory=list)
    configuration: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(name="f", subnet_ids=(), security_group_ids=())
    )

    def leave_unanswered(self, reason):
        self.said.append(reason)


def network_of(tmp_path, monkeypatch, caller=None, enforcements=EVERY):
    cloud = Cloud(port=4567, directory=tmp_path, enforcements=enforcements)
    network = Network(cloud)
    network.cloud = cloud
    monkeypatch.setattr(network.callers, "of", lambda *_: caller)
    return network


@pytest.fixture
def ec2():
    return EC2Backend("eu-west-1", "123456789012")


@pytest.fixture
def public_cluster(ec2):
    """Return an interface with a public address, in a subnet with a gateway, that admits anybody."""
    vpc = ec2.create_vpc("10.9.0.0/16")
    subnet = ec2.create_subnet(vpc.id, "10.9.1.0/24", availability_zone="eu-west-1a")
    gateway = ec2.create_internet_gateway()
    ec2.attach_internet_gateway(gateway.id, vpc.id)
    main = next(one for one in ec2.route_tables.values() if one.vpc_id == vpc.id)
    ec2.create_route(main.id, "0.0.0.0/0", gateway_id=gateway.id)
    group = ec2.create_security_group("public", "p", vpc.id)
    ec2.authorize_security_group_ingress(group.id, "tcp", PORT, PORT, **ANYWHERE)
    return interface(ec2, "cluster", [subnet.id], [group.id], public=True)


def admitted(network, target):
    return network.door("cluster shop", lambda: target, PORT)(CLIENT, HERE)


def test_a_public_cluster_is_reached_from_outside(tmp_path, monkeypatch, public_cluster):
    assert admitted(network_of(tmp_path, monkeypatch, Caller()), public_cluster)


def test_a_public_cluster_needs_a_rule_for_anywhere(tmp_path, monkeypatch, public_cluster):
    [group] = public_cluster.security_groups
    public_cluster.ec2.revoke_security_group_ingress(group, "tcp", PORT, PORT, **ANYWHERE)
    public_cluster.ec2.authorize_security_group_ingress(
        group, "tcp", PORT, PORT, ip_ranges=[{"CidrIp": "198.51.100.0/24"}]
    )
    caller = Caller()
    network = network_of(tmp_path, monkeypatch, caller)
    assert not admitted(network, public_cluster)
    assert caller.said == [f"cluster shop: no ingress rule of {group} allows tcp/5432 from 0.0.0.0/0"]
    [refusal] = Refusals.of(network.cloud).latest
    assert (refusal.enforcement, refusal.who, refusal.reason) == ("network", "function f", caller.said[0])


def test_a_public_cluster_needs_an_internet_gateway(tmp_path, monkeypatch, public_cluster):
    [subnet] = public_cluster.addresses
    public_cluster.ec2.associate_route_table(
        public_cluster.ec2.create_route_table(public_cluster.vpc_id).id, subnet_id=subnet
    )
    caller = Caller()
    assert not admitted(network_of(tmp_path, monkeypatch, caller), public_cluster)
    assert caller.said == [f"cluster shop: {subnet} has no route to an internet gateway"]


def test_who_is_no_function_and_what_is_being_deleted_are_not_judged(tmp_path, monkeypatch, public_cluster):
    public_cluster.ec2.groups.clear()
    assert admitted(network_of(tmp_path, monkeypatch, None), public_cluster)
    assert admitted(network_of(tmp_path, monkeypatch, Caller()), None)


def test_switched_off_nothing_is_looked_up(tmp_path, monkeypatch, public_cluster):
    off = network_of(tmp_path, monkeypatch, Caller(), EVERY - {Enforcement.NETWORK})
    assert off.door("cluster shop", lambda: public_cluster, PORT) is None
    assert off.between(lambda: public_cluster, lambda: None, PORT) is None
    cloud = Cloud(port=4567, directory=tmp_path, enforcements=EVERY - {Enforcement.NETWORK})
    ApiDoor(cloud).admit({})  # it does not even ask which connection it is


def test_a_system_that_does_not_tell_whose_a_connection_is_says_so(tmp_path, monkeypatch):
    assert callers.unenforceable() is None, "Linux does"
    monkeypatch.setattr(callers.sys, "platform", "darwin")
    assert "this is darwin" in callers.unenforceable()
    assert not network_of(tmp_path, monkeypatch).enforced


@pytest.mark.parametrize(
    ("lookup", "reason"),
    [(OSError("Protocol not supported"), "Protocol not supported"), (None, "which process")],
)
def test_a_kernel_that_does_not_tell_says_so(monkeypatch, lookup, reason):
    def socket_inode(*_):
        if lookup:
            raise lookup

    monkeypatch.setattr(callers, "socket_inode", socket_inode)
    assert reason in callers.unenforceable()


@pytest.fixture
def held_api(tmp_path, monkeypatch, ec2):
    """Return an HTTP server whose door finds no way for anybody, and the door."""
    vpc = ec2.create_vpc("10.9.0.0/16")
    subnet = ec2.create_subnet(vpc.id, "10.9.1.0/24", availability_zone="eu-west-1a")
    nowhere = interface(ec2, "f", [subnet.id], [])
    cloud = Cloud(port=4567, directory=tmp_path)
    monkeypatch.setattr(Network.of(cloud).callers, "of", lambda *_: Caller())
    monkeypatch.setattr(api_door.interfaces, "of_function", lambda _: nowhere)
    door = ApiDoor(cloud)

    def application(environ, start_response):
        door.admit(environ)
        raise AssertionError("it was admitted")

    server = make_server("127.0.0.1", 0, application, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, door
    server.shutdown()
    server.server_close()


def ask(port):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    client.request("GET", "/")
    return client


def test_silence_ends_when_a_system_would_give_the_connection_up(held_api, monkeypatch):
    monkeypatch.setattr(api_door, "SILENCE_SECONDS", 0.3)
    began = time.monotonic()
    with pytest.raises(http.client.RemoteDisconnected):
        ask(held_api[0]).getresponse()
    assert time.monotonic() - began > 0.25


def test_a_held_call_ends_with_its_client_and_only_so_many_are_held(held_api, monkeypatch):
    port, door = held_api
    monkeypatch.setattr(door, "_held", threading.BoundedSemaphore(1))
    first = ask(port)
    deadline = time.monotonic() + 60
    while door._held._value:
        assert time.monotonic() < deadline, "nobody holds it"
        time.sleep(0.01)
    with pytest.raises(TimeoutError):
        first.sock.settimeout(0.3)
        first.sock.recv(1)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(port).getresponse()
    first.close()
    deadline = time.monotonic() + 60
    while not door._held.acquire(blocking=False):
        assert time.monotonic() < deadline, "the thread still waits"
        time.sleep(0.01)


def test_an_endpoint_gives_a_silent_connection_up_too(monkeypatch):
    monkeypatch.setattr(endpoint, "SILENCE_SECONDS", 0.3)
    endpoints = endpoint.Endpoints()
    try:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            here = probe.getsockname()
        endpoints.listen(*here, tls=None, gate=None, front=None, door=lambda *_: False)
        began = time.monotonic()
        with socket.create_connection(here, timeout=60) as client:
            client.sendall(bytes([0, 0, 0, 8, 4, 210, 22, 47]))
            assert client.recv(1) == b""
        assert 0.25 < time.monotonic() - began < 60
    finally:
        endpoints.close()


def test_a_connection_that_ended_before_anybody_asked_is_nobodys(tmp_path, monkeypatch):
    live = SimpleNamespace(all=lambda: [SimpleNamespace(process_id=os.getpid())])
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        ends = client.getsockname(), client.getpeername()
        assert callers.Callers(live).of(*ends).process_id == os.getpid()
        client.close()
        with pytest.raises(callers.Gone):
            callers.Callers(live).of(*ends)
    network = network_of(tmp_path, monkeypatch)

    def gone(*_):
        raise callers.Gone

    monkeypatch.setattr(network.callers, "of", gone)
    assert not admitted(network, None)


def test_a_key_of_somebody_else_is_asked_about_once(held_api, monkeypatch):
    _, door = held_api
    asked = []
    monkeypatch.setattr(door._network.callers, "of", lambda *ends: asked.append(ends))
    with socket.create_server(("127.0.0.1", 0)) as here:
        connection = {"werkzeug.socket": here, "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": 40000}
        for key in ("ASIA1", "ASIA1", "ASIA2", None, None):
            credential = f"AWS4-HMAC-SHA256 Credential={key}/20261121/us-east-1/kms/aws4_request, …"
            door.admit({**connection, **({"HTTP_AUTHORIZATION": credential} if key else {})})
    assert len(asked) == 4, "each key once, and whoever signs nothing each time"
