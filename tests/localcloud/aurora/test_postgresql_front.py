"""PostgreSQL's own protocol at an endpoint: its requests before the login, cancels, and what libpq checks."""

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

from .conftest import MASTER, PASSWORD

pytestmark = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)

SSL_REQUEST = struct.pack("!II", 8, 80877103)


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
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("42\n", "")


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


def test_plaintext_data_before_the_handshake_is_not_taken_for_encrypted(opened, cluster):
    place = opened.cluster(cluster)
    with socket.create_connection((place.host, place.port), 10) as plain:
        plain.sendall(SSL_REQUEST + struct.pack("!II", 8, 80877103))
        assert b"received unencrypted data after SSL request" in plain.recv(1000)


CANCELLING = """
import psycopg2, sys, threading
connection = psycopg2.connect(sys.argv[1])
threading.Timer(0.3, connection.cancel).start()
try:
    connection.cursor().execute("SELECT pg_sleep(300)")
except psycopg2.errors.QueryCanceled:
    print("cancelled")
"""


@pytest.mark.parametrize("readers", [False, True])
def test_a_statement_is_cancelled_on_the_server_where_it_runs(opened, cluster, readers):
    place = opened.cluster(cluster, readers=readers)
    # in a process of its own: psycopg2 holds the interpreter while it waits for the answer to its cancel
    with contextlib.closing(place.connect(MASTER, PASSWORD)) as connection:
        parameters = psycopg2.extensions.make_dsn(**connection.get_dsn_parameters(), password=PASSWORD)
    done = subprocess.run(
        [sys.executable, "-c", CANCELLING, parameters],
        capture_output=True,
        text=True,
        timeout=120,  # the statement itself would take longer
        check=False,
    )
    assert done.stdout == "cancelled\n", done.stderr


def test_a_slow_receiver_does_not_fill_our_memory(opened, cluster):
    place = opened.cluster(cluster)
    rows = 200_000
    before = resident_bytes()
    with contextlib.closing(place.connect(MASTER, PASSWORD)) as connection:
        out = PausingCounter()
        statement = f"COPY (SELECT repeat('x', 1000) FROM generate_series(1, {rows})) TO STDOUT"
        with ThreadPoolExecutor(1) as thread, connection.cursor() as cursor:
            copied = thread.submit(cursor.copy_expert, statement, out)
            assert out.paused.wait(60)
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
