"""Through a cluster's endpoint, on either engine: TLS, routing, tokens, passwords, many clients."""

import random
import socket
import ssl
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from localcloud.aurora.certificates import CertificateAuthority

from .conftest import MASTER, PASSWORD, REGION
from .dialects import answer
from .shop import eventually


def test_the_writer_answers_over_tls_verified_in_full(opened, cluster, dialect):
    place = opened.cluster(cluster)
    assert answer(place.connect(MASTER, PASSWORD), dialect.is_reader) == 0


def test_another_authority_is_not_trusted(opened, cluster, dialect, passable_directory):
    place = opened.cluster(cluster)
    other = CertificateAuthority(passable_directory / "other.pem")
    with dialect.refuses("unknown authority"):
        place.connect(MASTER, PASSWORD, bundle=other.bundle)


def test_plaintext_is_refused(opened, cluster, dialect):
    place = opened.cluster(cluster)
    with dialect.refuses("plaintext", MASTER):
        place.connect(MASTER, PASSWORD, bundle=None)


def test_plaintext_passes_where_it_is_not_refused(opened, cluster, dialect):
    place = opened.cluster(cluster)
    try:
        cluster.change_parameters(dialect.wants_no_tls)
        for _ in range(2):  # MySQL knows the password from the first time
            assert answer(place.connect(MASTER, PASSWORD, bundle=None), "SELECT 1") == 1
        with dialect.refuses("password", MASTER):
            place.connect(MASTER, "a wrong one", bundle=None)
        with dialect.refuses("token in plaintext", "token_user"):  # tokens stay encrypted
            place.connect("token_user", place.token("token_user"), bundle=None)
    finally:
        cluster.change_parameters(dialect.wants_tls)


def test_a_wrong_password_is_refused_by_the_server(opened, cluster, dialect):
    place = opened.cluster(cluster)
    assert answer(place.connect("password_user", "the right one"), "SELECT 1") == 1
    with dialect.refuses("password", "password_user"):
        place.connect("password_user", "a wrong one")


def test_the_superuser_comes_in_by_no_way(opened, cluster, dialect):
    place = opened.cluster(cluster)
    for password in ("", "a password", place.token("rdsadmin")):
        with dialect.refuses("private", "rdsadmin"):
            place.connect("rdsadmin", password or " ")


def test_an_iam_user_logs_in_by_token(opened, cluster, dialect):
    place = opened.cluster(cluster)
    for _ in range(2):
        connection = place.connect("token_user", place.token("token_user"))
        assert answer(connection, dialect.current_user) == "token_user"


@pytest.mark.parametrize("password", ["a password", " ", "RDS", "x" * 5000])
def test_an_iam_user_does_not_log_in_by_password(opened, cluster, dialect, password):
    dialect.run(cluster.writer.server, dialect.give_password, user="token_user", password="a password")
    place = opened.cluster(cluster)
    with dialect.refuses("token", "token_user"):
        place.connect("token_user", password)


def test_a_token_for_another_endpoint_is_refused(opened, cluster, dialect):
    one, other = opened.cluster(cluster), opened.cluster(cluster)
    with dialect.refuses("token", "token_user"):
        one.connect("token_user", other.token("token_user"))


def test_a_token_of_another_region_is_refused(opened, cluster, dialect):
    place = opened.cluster(cluster)
    assert REGION != "us-east-1"
    with dialect.refuses("token", "token_user"):
        place.connect("token_user", place.token("token_user", region="us-east-1"))


def test_tokens_do_not_admit_where_iam_is_off(opened, cluster, dialect):
    place = opened.cluster(cluster, iam=False)
    with dialect.refuses("token", "token_user"):
        place.connect("token_user", place.token("token_user"))


def test_a_user_is_an_iam_user_from_the_moment_it_is_made_one(opened, cluster, dialect):
    place = opened.cluster(cluster)
    writer = cluster.writer.server
    dialect.run(writer, *dialect.create_password_user, user="late", password="by password")
    assert answer(place.connect("late", "by password"), "SELECT 1") == 1
    # which the master user may do, as on Aurora
    answer(place.connect(MASTER, PASSWORD), dialect.make_token_user.format(user="late"))
    with dialect.refuses("token", "late"):
        place.connect("late", "by password")
    assert answer(place.connect("late", place.token("late")), "SELECT 1") == 1


def test_the_readers_endpoint_leads_to_the_reader(opened, cluster, dialect):
    place = opened.cluster(cluster, readers=True)
    assert answer(place.connect(MASTER, PASSWORD), dialect.is_reader) == 1
    assert answer(place.connect("token_user", place.token("token_user")), dialect.is_reader) == 1


def test_two_hundred_clients_at_once(opened, cluster, dialect):
    place = opened.cluster(cluster)
    with ThreadPoolExecutor(32) as threads:
        connections = list(threads.map(lambda _: place.connect(MASTER, PASSWORD), range(200)))
        try:
            sessions = set(threads.map(dialect.session_id, connections))
        finally:
            for connection in connections:
                connection.close()
    assert len(sessions) == 200


def test_a_closed_endpoint_leaves_no_connection(opened, cluster, dialect):
    place = opened.cluster(cluster)
    connection = place.connect(MASTER, PASSWORD)
    place.endpoint.close()
    with pytest.raises(dialect.error), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    with dialect.refuses("closed"):
        place.connect(MASTER, PASSWORD)


def test_an_old_tls_is_refused(opened, cluster, dialect):
    place = opened.cluster(cluster)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection((place.host, place.port), 10) as plain:
        dialect.ask_for_tls(plain)
        with pytest.raises(OSError, match=r"PROTOCOL_VERSION|EOF|reset"):
            old.wrap_socket(plain)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\0\0\0\x08\0\0\0\x01",
        b"\0\0\0\x04",
        b"\0" * 4,
        b"\xff\xff\xff\x01" + b"\xff" * 100_000,
        b"\x20\0\0\x01\xff\xff\xff\xff",
        b"\xff" * 300_000,
    ],
    ids=lambda garbage: f"{garbage[:8].hex()}x{len(garbage)}",
)
def test_what_is_no_client_is_disconnected(opened, cluster, garbage):
    place = opened.cluster(cluster)
    assert disconnected_after(place, garbage)
    assert answer(place.connect(MASTER, PASSWORD), "SELECT 1") == 1


def test_a_damaged_login_harms_nobody(opened, cluster, dialect):
    place = opened.cluster(cluster)
    dice = random.Random(20_240)
    for _ in range(300):
        assert disconnected_after(place, dialect.damaged_login(dice))
    assert answer(place.connect(MASTER, PASSWORD), "SELECT 1") == 1


def disconnected_after(place, garbage):
    with socket.create_connection((place.host, place.port), 10) as connection:
        try:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1000):
                pass
        except TimeoutError:
            return False
        except OSError:  # it did not want to hear all of it
            pass
    return True


def test_whom_the_door_does_not_admit_hears_nothing(opened, cluster, dialect):
    asked = []

    def door(client, endpoint):
        asked.append((client, endpoint))
        return False

    place = opened.cluster(cluster, door=door)
    sessions = dialect.count_sessions(cluster.writer.server)
    with socket.create_connection((place.host, place.port), 10) as connection:
        connection.settimeout(1)
        connection.sendall(dialect.login)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert eventually(lambda: asked == [(connection.getsockname(), (place.host, place.port))])
        # fewer: a session of an earlier test may have ended only now
        assert dialect.count_sessions(cluster.writer.server) <= sessions
