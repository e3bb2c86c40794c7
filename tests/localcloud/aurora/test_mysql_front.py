"""MySQL's own protocol at an endpoint: the greeting, accounts that require TLS, KILL, LOAD DATA, tricks."""

import os
import socket
import ssl
import struct
import subprocess
import threading
import time
from contextlib import ExitStack, closing

import pymysql
import pytest
from pymysql.constants import CLIENT
from pymysql.cursors import SSCursor

from localcloud.aurora.endpoint import Admission
from localcloud.aurora.mysql_commands import MysqlCommands
from localcloud.aurora.mysql_programs import MysqlPrograms

from .conftest import MASTER, PASSWORD
from .dialects import CAPABILITIES, SSL, TLS_REQUEST, UTF8, answer, mysql_packet
from .test_postgresql_front import resident_bytes

pytestmark = pytest.mark.parametrize("dialect", ["mysql"], indirect=True)

CHANGE_USER = 0x11
PIECE_BYTES = 16 * 1024  # as PyMySQL sends a file


def receive(plain):
    head = b""
    while len(head) < 4:
        head += plain.recv(4 - len(head)) or pytest.fail("disconnected")
    length = int.from_bytes(head[:3], "little")
    body = b""
    while len(body) < length:
        body += plain.recv(length - len(body))
    return body


def error_of(body):
    assert body[0] == 0xFF
    return struct.unpack_from("<H", body, 1)[0]


def client_program(place, *arguments, user=MASTER, password=PASSWORD):
    return subprocess.run(
        [
            *MysqlPrograms.find().mysql,
            "--no-defaults",
            f"--host={place.host}",
            f"--port={place.port}",
            f"--user={user}",
            "--ssl-mode=VERIFY_IDENTITY",
            f"--ssl-ca={place.authority.bundle}",
            "--batch",
            "--skip-column-names",
            *arguments,
        ],
        env={**os.environ, "MYSQL_PWD": password},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_mysql_program_verifies_the_endpoint_and_brings_tokens(opened, cluster):
    place = opened.cluster(cluster)
    done = client_program(place, "--execute=SELECT 6 * 7")
    assert (done.stdout, done.stderr) == ("42\n", "")
    token = place.token("token_user")
    done = client_program(
        place, "--execute=SELECT 1", "--enable-cleartext-plugin", user="token_user", password=token
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
    # a token is sent in clear inside of TLS, which a client has to allow
    done = client_program(place, "--execute=SELECT 1", user="token_user", password=token)
    assert "Authentication plugin 'mysql_clear_password' cannot be loaded" in done.stderr


def test_the_greeting_is_the_servers_without_what_the_front_could_not_follow(opened, cluster):
    place, server = opened.cluster(cluster), cluster.writer.server
    with (
        socket.create_connection((place.host, place.port), 10) as through,
        socket.create_connection(("127.0.0.1", server.port), 10) as direct,
    ):
        ours, theirs = receive(through), receive(direct)
    version = server.execute("SELECT version()").encode()
    assert ours[1 : 1 + len(version)] == theirs[1 : 1 + len(version)] == version
    at = 1 + len(version) + 1 + 4 + 8 + 1
    low, high = (int.from_bytes(ours[at + offset : at + offset + 2], "little") for offset in (0, 5))
    offered = low | high << 16
    assert offered & CLIENT.SSL
    assert offered & CLIENT.LOCAL_FILES
    assert not offered & (CLIENT.COMPRESS | 1 << 26)


def test_tls_that_begins_in_the_same_segment_as_its_request(opened, cluster):
    place = opened.cluster(cluster)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=str(place.authority.bundle))
    tls = context.wrap_bio(incoming, outgoing, server_hostname=place.host)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with socket.create_connection((place.host, place.port), 10) as plain:
        receive(plain)
        plain.sendall(TLS_REQUEST + outgoing.read())
        while True:
            incoming.write(plain.recv(10_000))
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                continue
            break
    assert tls.version() == "TLSv1.3"


def test_a_login_in_plaintext_behind_the_request_for_tls_is_not_taken_for_encrypted(opened, cluster, dialect):
    place = opened.cluster(cluster)
    with socket.create_connection((place.host, place.port), 10) as plain:
        receive(plain)
        plain.sendall(TLS_REQUEST + dialect.login)
        assert b"denied" not in plain.recv(10_000)


def test_a_running_statement_is_killed_by_the_number_that_the_client_knows(opened, cluster):
    place = opened.cluster(cluster)
    with closing(place.connect(MASTER, PASSWORD)) as busy, closing(place.connect(MASTER, PASSWORD)) as other:
        number = busy.thread_id()
        timer = threading.Timer(0.3, lambda: other.cursor().execute(f"KILL QUERY {number}"))
        timer.start()
        started = time.monotonic()
        with busy.cursor() as cursor:
            cursor.execute("SELECT sleep(300)")
            assert cursor.fetchone() == (1,)  # which says that it was interrupted
        timer.join()
    assert time.monotonic() - started < 120


@pytest.mark.parametrize("user", ["strict_token", "strict_password"])
def test_an_account_that_requires_tls_of_the_server_itself(opened, cluster, dialect, user):
    place, server = opened.cluster(cluster), cluster.writer.server
    server.execute("DROP USER IF EXISTS strict_token, strict_password")
    plugin = "WITH AWSAuthenticationPlugin AS 'RDS'" if user == "strict_token" else "BY 'a password'"
    server.execute(f"CREATE USER {user}@'%' IDENTIFIED {plugin} REQUIRE SSL")
    server.execute(f"GRANT ALL ON shop.* TO {user}@'%'")
    password = place.token(user) if user == "strict_token" else "a password"
    for _ in range(2):
        with closing(place.connect(user, password)) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_version'")
            assert cursor.fetchone()[1].startswith("TLSv1")
    try:
        cluster.change_parameters(dialect.wants_no_tls)
        with dialect.refuses("password", user):
            place.connect(user, password, bundle=None)
    finally:
        cluster.change_parameters(dialect.wants_tls)


def test_the_servers_own_errors_come_through(opened, cluster):
    place = opened.cluster(cluster)
    with pytest.raises(pymysql.OperationalError, match="1049, \"Unknown database 'nowhere'\""):
        place.connect(MASTER, PASSWORD, database="nowhere")
    with pytest.raises(pymysql.OperationalError, match="1044, \"Access denied for user 'token_user'@'%' to"):
        place.connect("token_user", place.token("token_user"), database="mysql")


def test_a_server_with_too_many_connections_says_so_in_its_greeting(opened, cluster):
    place = opened.cluster(cluster)
    with ExitStack() as opened_here, closing(cluster.writer.server.connect("rdsadmin")) as superuser:
        cursor = superuser.cursor()
        cursor.execute("SET @usual = @@max_connections")
        cursor.execute("SET GLOBAL max_connections = 1")
        try:
            with pytest.raises(pymysql.OperationalError, match=r"1040, .Too many connections"):
                for _ in range(5):  # one more is kept for who rules
                    opened_here.enter_context(closing(place.connect(MASTER, PASSWORD)))
        finally:
            cursor.execute("SET GLOBAL max_connections = @usual")


def test_a_large_file_goes_in_by_load_data_local(opened, cluster, tmp_path):
    # long enough for its packets' numbers to begin anew, there with the byte that means COM_CHANGE_USER
    file = tmp_path / "lines"
    line = bytes([CHANGE_USER]) * 63 + b"\n"
    file.write_bytes(line * (260 * PIECE_BYTES // len(line)))
    place = opened.cluster(cluster)
    with (
        closing(place.connect(MASTER, PASSWORD, local_infile=True)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("CREATE TEMPORARY TABLE shop.loaded (line varbinary(64))")
        cursor.execute("LOAD DATA LOCAL INFILE %s INTO TABLE shop.loaded", [str(file)])
        cursor.execute("SELECT count(*), min(length(line)), count(DISTINCT line) FROM shop.loaded")
        assert cursor.fetchone() == (260 * PIECE_BYTES // len(line), 63, 1)


def test_a_slow_receiver_does_not_fill_our_memory(opened, cluster):
    place = opened.cluster(cluster)
    before = resident_bytes()
    with (
        closing(place.connect(MASTER, PASSWORD)) as connection,
        connection.cursor(SSCursor) as cursor,
    ):
        cursor.execute("SET cte_max_recursion_depth = 200000")
        cursor.execute(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 200000)"
            " SELECT repeat('x', 1000) FROM n"
        )
        time.sleep(1)  # nobody reads: sockets and our buffers are full, and the server has to wait
        grown = resident_bytes() - before
        assert sum(len(row[0]) for row in cursor) == 200_000_000
    assert grown < 20_000_000


@pytest.mark.parametrize("user", ["rdsadmin", "token_user", MASTER])
def test_a_session_does_not_become_somebody_elses(opened, cluster, user):
    place = opened.cluster(cluster)
    with closing(place.connect("token_user", place.token("token_user"))) as connection:
        plugin = b"caching_sha2_password\0"
        body = bytes([CHANGE_USER]) + user.encode() + b"\0\0shop\0" + bytes([UTF8, 0]) + plugin + b"\0"
        connection._sock.sendall(mysql_packet(0, body))
        said = connection._rfile.read(4), connection._rfile.read(9)
        assert error_of(said[1]) == 1047
        with pytest.raises(pymysql.err.MySQLError):
            connection.query("SELECT current_user()")


@pytest.mark.parametrize("user", ["rdsadmin", "'rdsadmin'", "''rdsadmin''", "mysql.session"])
def test_the_servers_own_accounts_come_in_under_no_spelling(opened, cluster, dialect, user):
    place = opened.cluster(cluster)
    with pytest.raises(pymysql.OperationalError, match=r"1045, .Access denied"):
        place.connect(user, "", database=None)


def test_an_iam_user_needs_a_token_even_where_the_gate_asks_for_none(opened, cluster):
    class Careless:
        def choose(self):
            return cluster.writer.server

        def servers(self):
            return [cluster.writer.server]

        def admit(self, login, chosen=None):
            return Admission(chosen)

    place = opened.gate(lambda tokens: Careless())
    assert answer(place.connect("password_user", "the right one"), "SELECT 1") == 1
    with pytest.raises(pymysql.OperationalError, match=r"1045, .Access denied for user 'token_user'"):
        place.connect("token_user", "anything")


@pytest.mark.parametrize(
    ("capabilities", "collation", "code"),
    [
        (CAPABILITIES & ~SSL & ~(1 << 9), UTF8, 1043),  # before 4.1
        (CAPABILITIES & ~SSL & ~(1 << 19), UTF8, 1251),  # without plugins
        (CAPABILITIES & ~SSL, 17, 1115),  # "filename", in which rds@0061dmin is rdsadmin
        (CAPABILITIES, UTF8, 1043),  # asks for TLS and goes on without
    ],
)
def test_clients_that_cannot_be_served_are_told(opened, cluster, capabilities, collation, code):
    place = opened.cluster(cluster)
    body = struct.pack("<IIB", capabilities, 1 << 24, collation) + bytes(23) + b"rds@0061dmin\0\0\0\0"
    with socket.create_connection((place.host, place.port), 10) as plain:
        receive(plain)
        plain.sendall(mysql_packet(1, body))
        assert error_of(receive(plain)) in (code, 3159 if code == 1043 and capabilities & SSL else code)


@pytest.mark.parametrize("piece_bytes", [1, 3, 5, 1000])
def test_a_change_of_user_is_seen_in_any_pieces(dialect, piece_bytes):
    query = mysql_packet(0, b"\x03SELECT " + b"\x11" * 300)
    file = b"".join(mysql_packet(number % 256, b"\x11" * 50) for number in range(2, 600)) + b"\0\0\0\x58"
    harmless = query + file + query
    assert not any(fed(MysqlCommands(), harmless, piece_bytes))
    assert any(fed(MysqlCommands(), harmless + mysql_packet(0, b"\x11rdsadmin\0"), piece_bytes))
    # behind a file whose last, empty packet has the number 255
    ending = b"".join(mysql_packet(number, b"x") for number in range(2, 255)) + b"\0\0\0\xff"
    assert any(fed(MysqlCommands(), query + ending + mysql_packet(0, b"\x11"), piece_bytes))


def fed(watch, data, piece_bytes):
    return [watch(data[at : at + piece_bytes]) for at in range(0, len(data), piece_bytes)]


def test_connecting_costs_little_more_than_without_a_front(opened, cluster):
    place, server = opened.cluster(cluster), cluster.writer.server
    verified = ssl.create_default_context(cafile=str(place.authority.bundle))
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE

    def direct():
        return pymysql.connect(
            host="127.0.0.1", port=server.port, user=MASTER, password=PASSWORD.encode(), ssl=unverified
        )

    def through():
        return pymysql.connect(
            host=place.host, port=place.port, user=MASTER, password=PASSWORD.encode(), ssl=verified
        )

    def seconds(connect):
        started = time.perf_counter()
        connect().close()
        return time.perf_counter() - started

    times = [(seconds(direct), seconds(through)) for _ in range(40)]
    best = [min(column) for column in zip(*times, strict=True)]
    assert answer(place.connect(MASTER, PASSWORD), "SELECT 1") == 1
    assert best[1] < 4 * best[0], best
