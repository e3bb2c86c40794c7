"""Through a cluster's endpoint: TLS, routing, tokens, passwords, cancels, many clients."""

import contextlib
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

from .conftest import MASTER, PASSWORD, REGION

SSL_REQUEST = struct.pack("!II", 8, 80877103)


def answer(connection, statement):
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def test_the_writer_answers_over_tls_verified_in_full(opened, cluster):
    place = opened.cluster(cluster)
    assert answer(place.connect(MASTER, PASSWORD), "SELECT pg_is_in_recovery()") is False


def test_psql_verifies_the_endpoint(opened, cluster):
    place = opened.cluster(cluster)
    psql = shutil.which("psql")
    if psql is None:
        pytest.skip("no psql with TLS on this machine: psycopg2's check stands alone")
    done = subprocess.run(
        [psql, "-Atc", "SELECT 6 * 7"],
        env={
            **os.environ,
            "PGHOST": place.host,
            "PGPORT": str(place.port),
            "PGUSER": MASTER,
            "PGPASSWORD": PASSWORD,
            "PGDATABASE": "shop",
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(place.authority.bundle),
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("42\n", "")


def test_another_authority_is_not_trusted(opened, cluster, passable_directory):
    from localcloud.aurora.certificates import CertificateAuthority

    place = opened.cluster(cluster)
    other = CertificateAuthority(passable_directory / "other.pem")
    with pytest.raises(psycopg2.OperationalError, match="certificate verify failed"):
        place.connect(MASTER, PASSWORD, sslrootcert=str(other.bundle))


def test_the_certificate_is_for_this_address_only(opened, cluster):
    place = opened.cluster(cluster)
    with pytest.raises(psycopg2.OperationalError, match="does not match host name"):
        place.connect(MASTER, PASSWORD, host="localhost", hostaddr=place.host)


def test_python_verifies_the_certificate_by_its_strictest_rules(opened, cluster):
    place = opened.cluster(cluster)
    context = ssl.create_default_context(cafile=str(place.authority.bundle))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with socket.create_connection((place.host, place.port), 10) as plain:
        plain.sendall(SSL_REQUEST)
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain, server_hostname=place.host) as encrypted:
            assert encrypted.version() in ("TLSv1.2", "TLSv1.3")
            # where libpq before 15 looks for an address
            assert encrypted.getpeercert()["subject"] == ((("commonName", place.host),),)


def test_plaintext_is_refused_in_the_words_of_rds(opened, cluster):
    place = opened.cluster(cluster)
    with pytest.raises(psycopg2.OperationalError) as refused:
        place.connect(MASTER, PASSWORD, sslmode="disable")
    assert 'FATAL:  no pg_hba.conf entry for host "127.0.0.1", user "shop_admin"' in str(refused.value)
    assert "no encryption" in str(refused.value)


def test_plaintext_passes_where_it_is_not_refused(opened, cluster):
    place = opened.cluster(cluster)
    try:
        cluster.change_parameters({"rds.force_ssl": "0"})
        assert answer(place.connect(MASTER, PASSWORD, sslmode="disable"), "SELECT 1") == 1
        with pytest.raises(psycopg2.OperationalError, match="no pg_hba"):  # tokens stay encrypted
            place.connect("token_user", place.token("token_user"), sslmode="disable")
    finally:
        cluster.change_parameters({"rds.force_ssl": "1"})


def test_plaintext_data_before_the_handshake_is_not_taken_for_encrypted(opened, cluster):
    place = opened.cluster(cluster)
    with socket.create_connection((place.host, place.port), 10) as plain:
        plain.sendall(SSL_REQUEST + struct.pack("!II", 8, 80877103))
        assert b"received unencrypted data after SSL request" in plain.recv(1000)


def test_a_wrong_password_is_refused_by_the_server(opened, cluster):
    place = opened.cluster(cluster)
    with pytest.raises(
        psycopg2.OperationalError, match=r'password authentication failed for user "password_user"'
    ):
        place.connect("password_user", "a wrong one")


def test_the_superuser_comes_in_by_no_way(opened, cluster):
    place = opened.cluster(cluster)
    for password in ("a password", place.token("rdsadmin")):
        with pytest.raises(psycopg2.OperationalError, match="rejects connection"):
            place.connect("rdsadmin", password)


def test_a_member_of_rds_iam_logs_in_by_token(opened, cluster):
    place = opened.cluster(cluster)
    assert (
        answer(place.connect("token_user", place.token("token_user")), "SELECT current_user") == "token_user"
    )


@pytest.mark.parametrize("password", ["a password", "", "x" * 5000])
def test_a_member_of_rds_iam_does_not_log_in_by_password(opened, cluster, password):
    cluster.writer.server.execute("ALTER ROLE token_user PASSWORD 'a password'")
    place = opened.cluster(cluster)
    with pytest.raises(psycopg2.OperationalError, match='PAM authentication failed for user "token_user"'):
        # an empty password is none for libpq, which then sends nothing at all
        place.connect("token_user", password or " ")


def test_a_token_for_another_endpoint_is_refused(opened, cluster):
    one, other = opened.cluster(cluster), opened.cluster(cluster)
    with pytest.raises(psycopg2.OperationalError, match="PAM authentication failed"):
        one.connect("token_user", other.token("token_user"))


def test_tokens_do_not_admit_where_iam_is_off(opened, cluster):
    place = opened.cluster(cluster, iam=False)
    with pytest.raises(psycopg2.OperationalError, match="PAM authentication failed"):
        place.connect("token_user", place.token("token_user"))


def test_a_role_is_a_member_from_the_moment_it_is_granted(opened, cluster):
    place = opened.cluster(cluster)
    cluster.writer.server.execute("CREATE ROLE late LOGIN PASSWORD 'by password'")
    assert answer(place.connect("late", "by password"), "SELECT 1") == 1
    with contextlib.closing(place.connect(MASTER, PASSWORD)) as master, master, master.cursor() as cursor:
        cursor.execute("GRANT rds_iam TO late")  # which the master user may, as on Aurora
    with pytest.raises(psycopg2.OperationalError, match="PAM authentication failed"):
        place.connect("late", "by password")
    assert answer(place.connect("late", place.token("late")), "SELECT 1") == 1


def test_the_readers_endpoint_leads_to_the_reader(opened, cluster):
    place = opened.cluster(cluster, readers=True)
    assert answer(place.connect(MASTER, PASSWORD), "SELECT pg_is_in_recovery()") is True


CANCELLING = """
import psycopg2, sys, threading
connection = psycopg2.connect(sys.argv[1])
threading.Timer(0.3, connection.cancel).start()
try:
    connection.cursor().execute("SELECT pg_sleep(20)")
except psycopg2.errors.QueryCanceled:
    print("cancelled")
"""


@pytest.mark.parametrize("readers", [False, True])
def test_a_statement_is_cancelled_on_the_server_where_it_runs(opened, cluster, readers):
    place = opened.cluster(cluster, readers=readers)
    # in a process of its own: psycopg2 holds the interpreter while it waits for the answer to its cancel
    with contextlib.closing(place.connect(MASTER, PASSWORD)) as connection:
        parameters = psycopg2.extensions.make_dsn(**connection.get_dsn_parameters(), password=PASSWORD)
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", CANCELLING, parameters],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == "cancelled\n", done.stderr
    assert time.monotonic() - started < 10


def test_two_hundred_clients_at_once(opened, cluster):
    place = opened.cluster(cluster)
    with ThreadPoolExecutor(32) as threads:
        connections = list(threads.map(lambda _: place.connect(MASTER, PASSWORD), range(200)))
        try:
            backends = set(threads.map(lambda one: one.get_backend_pid(), connections))
        finally:
            for connection in connections:
                connection.close()
    assert len(backends) == 200


def test_a_slow_receiver_does_not_fill_our_memory(opened, cluster):
    place = opened.cluster(cluster)
    rows = 200_000
    before = resident_bytes()
    with contextlib.closing(place.connect(MASTER, PASSWORD)) as connection:
        out = PausingCounter()
        statement = f"COPY (SELECT repeat('x', 1000) FROM generate_series(1, {rows})) TO STDOUT"
        with ThreadPoolExecutor(1) as thread, connection.cursor() as cursor:
            copied = thread.submit(cursor.copy_expert, statement, out)
            assert out.paused.wait(20)
            time.sleep(1)  # nobody reads: sockets and our buffers are full, and the server has to wait
            grown = resident_bytes() - before
            out.go_on.set()
            copied.result(60)
    assert out.count == rows * 1001
    assert grown < 20_000_000


class PausingCounter:
    """Takes one piece, then nothing until it is told to go on."""

    def __init__(self):
        self.count = 0
        self.paused = threading.Event()
        self.go_on = threading.Event()

    def write(self, data):
        self.count += len(data)
        self.paused.set()
        assert self.go_on.wait(60)


def resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def test_a_closed_endpoint_leaves_no_connection(opened, cluster):
    place = opened.cluster(cluster)
    connection = place.connect(MASTER, PASSWORD)
    place.endpoint.close()
    with pytest.raises(psycopg2.OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    with pytest.raises(psycopg2.OperationalError, match="Connection refused"):
        place.connect(MASTER, PASSWORD)


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        struct.pack("!II", 8, 1),
        b"\0\0\0\x04",
        b"\0" * 4,
    ],
)
def test_what_is_no_client_is_disconnected(opened, cluster, garbage):
    place = opened.cluster(cluster)
    with socket.create_connection((place.host, place.port), 10) as connection:
        connection.sendall(garbage)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(1000):
                pass
    assert answer(place.connect(MASTER, PASSWORD), "SELECT 1") == 1


def test_a_token_of_another_region_is_refused(opened, cluster):
    place = opened.cluster(cluster)
    assert REGION != "us-east-1"
    with pytest.raises(psycopg2.OperationalError, match="PAM authentication failed"):
        place.connect("token_user", place.token("token_user", region="us-east-1"))
