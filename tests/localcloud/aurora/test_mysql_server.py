"""A real MySQL server with Aurora's accounts: both doors, replication, failover, and what a crash leaves."""

from __future__ import annotations

import platform
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pymysql
import pytest

from localcloud.aurora import mysql_aws_plugin, mysql_packages
from localcloud.aurora.mysql_programs import MysqlPrograms
from localcloud.aurora.mysql_server import MysqlServer
from localcloud.aurora.postgresql_programs import ProgramFailed

PASSWORD = "a-Password-1"


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o711)  # the server runs as nobody where the tests run as root
        yield Path(directory)


@pytest.fixture(scope="module")
def writer(place: Path) -> Iterator[MysqlServer]:
    server = MysqlServer.initialize(
        place / "writer", master_user="boss", master_password=PASSWORD, database="shop", tell=print
    )
    server.execute("CREATE TABLE shop.orders (order_id int PRIMARY KEY)")
    yield server
    server.remove()


@pytest.fixture
def reader(writer: MysqlServer, place: Path) -> Iterator[MysqlServer]:
    server = MysqlServer.clone(writer, place / "reader")
    yield server
    server.remove()


def _by_port(server: MysqlServer, user: str, password: str) -> pymysql.Connection:
    return pymysql.connect(host="127.0.0.1", port=server.port, user=user, password=password)


def test_the_master_user_logs_in_by_password_and_rules_without_being_superuser(writer: MysqlServer) -> None:
    with closing(_by_port(writer, "boss", PASSWORD)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE shop.by_master (id int)")
        cursor.execute("SELECT current_role()")
        assert cursor.fetchone() == ("`rds_superuser_role`@`%`",)
        with pytest.raises(pymysql.OperationalError, match=r"SUPER|SYSTEM_VARIABLES_ADMIN"):
            cursor.execute("SET GLOBAL super_read_only = ON")


@pytest.mark.parametrize("password", ["", "wrong"])
@pytest.mark.parametrize("user", ["boss", "rdsadmin", "root"])
def test_the_port_admits_nobody_without_the_right_password(
    writer: MysqlServer, user: str, password: str
) -> None:
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        _by_port(writer, user, password)


def test_auroras_statement_for_iam_users_runs_and_their_door_is_the_private_one(writer: MysqlServer) -> None:
    with closing(_by_port(writer, "boss", PASSWORD)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE USER app@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'")
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        _by_port(writer, "app", "RDS")
    with closing(writer.connect("app")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_user()")
        assert cursor.fetchone() == ("app@%",)


def test_a_reader_has_what_was_committed_and_follows_and_takes_no_writes(
    writer: MysqlServer, reader: MysqlServer
) -> None:
    writer.execute("INSERT INTO shop.orders VALUES (1)")
    assert reader.wait_for(writer)
    assert reader.execute("SELECT * FROM shop.orders WHERE order_id = 1") == "1"
    with pytest.raises(pymysql.err.MySQLError, match="super-read-only") as refused:
        reader.execute("INSERT INTO shop.orders VALUES (2)")
    assert refused.value.args[0] == 1290
    assert not reader.is_writer


def test_a_killed_server_has_every_commit_after_its_restart_and_its_reader_goes_on(
    writer: MysqlServer, reader: MysqlServer
) -> None:
    for number in range(100, 200):
        writer.execute("INSERT INTO shop.orders VALUES (%s)", [number])
    writer.kill()
    assert not writer.is_running
    writer.start()
    assert writer.execute("SELECT count(*) FROM shop.orders WHERE order_id >= 100") == "100"
    writer.execute("INSERT INTO shop.orders VALUES (200)")
    assert reader.wait_for(writer)
    assert reader.execute("SELECT count(*) FROM shop.orders WHERE order_id >= 100") == "101"


def test_a_promoted_reader_takes_writes_and_another_follows_it(
    writer: MysqlServer, reader: MysqlServer, place: Path
) -> None:
    second = MysqlServer.clone(writer, place / "second")
    try:
        writer.execute("INSERT INTO shop.orders VALUES (300)")
        assert reader.wait_for(writer)
        writer.stop()
        reader.promote()
        second.follow(reader)
        reader.execute("INSERT INTO shop.orders VALUES (301)")
        assert second.wait_for(reader)
        assert second.execute("SELECT order_id FROM shop.orders WHERE order_id >= 300") == "300\n301"
    finally:
        second.remove()
        writer.start()


def _does_not_catch_up(_reader: MysqlServer, _writer: MysqlServer, *, timeout_seconds: float) -> bool:
    return timeout_seconds < 0


def test_who_is_still_logging_in_stays_when_the_others_go(
    writer: MysqlServer, reader: MysqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MysqlServer, "catch_up", _does_not_catch_up)
    with (
        socket.create_connection(("127.0.0.1", writer.port)) as logging_in,
        closing(_by_port(writer, "boss", PASSWORD)) as client,
    ):
        logging_in.settimeout(1)
        assert logging_in.recv(1024), "the server greets first"
        with pytest.raises(ProgramFailed, match="did not catch up"):
            writer.retire(reader)
        with pytest.raises(TimeoutError):
            logging_in.recv(1024)
        with pytest.raises(pymysql.OperationalError):
            client.ping(reconnect=False)
    writer.execute("INSERT INTO shop.orders VALUES (4)")


def test_a_server_that_cannot_be_told_to_take_writes_again_ends_and_starts_as_a_writer(
    writer: MysqlServer, reader: MysqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(_: MysqlServer, statement: str) -> str:
        raise pymysql.OperationalError(2013, f"Lost connection at {statement}")

    with monkeypatch.context() as patched:
        patched.setattr(MysqlServer, "catch_up", _does_not_catch_up)
        patched.setattr(MysqlServer, "execute", unreachable)
        with pytest.raises(ProgramFailed, match="did not catch up"):
            writer.retire(reader)
    assert not writer.is_running
    writer.start()
    writer.execute("INSERT INTO shop.orders VALUES (5)")


def _seconds_to_stop(server: MysqlServer) -> float:
    began = time.monotonic()
    server.stop()
    took_seconds = time.monotonic() - began
    server.start()
    return took_seconds


def test_a_writer_does_not_wait_for_readers_that_listen_when_it_stops(
    writer: MysqlServer, place: Path
) -> None:
    _seconds_to_stop(writer)  # sessions of readers that are gone end here
    alone_seconds = _seconds_to_stop(writer)
    reader = MysqlServer.clone(writer, place / "listening")
    try:
        assert reader.wait_for(writer), "it listens"
        with_reader_seconds = _seconds_to_stop(writer)
        writer.execute("INSERT INTO shop.orders VALUES (6)")
        assert reader.wait_for(writer), "it came again"
    finally:
        reader.remove()
    assert with_reader_seconds < alone_seconds + 6, "of the eight that MySQL would wait"


def test_settings_are_in_force_and_bad_ones_leave_the_former(writer: MysqlServer) -> None:
    writer.configure({"max_connections": "123"})
    assert writer.execute("SELECT @@max_connections") == "123"
    with pytest.raises(ProgramFailed, match="unknown variable 'no-such-parameter=1'"):
        writer.configure({"no_such_parameter": "1"})
    assert writer.execute("SELECT @@max_connections") == "123"


def test_nothing_is_left_of_a_removed_server(writer: MysqlServer, place: Path) -> None:
    server = MysqlServer.clone(writer, place / "gone")
    process = server._process
    server.remove()
    assert process is not None and process.poll() is not None
    assert not (place / "gone").exists()


def test_a_system_without_packages_is_told_how_to_get_a_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("LOCALCLOUD_MYSQLD", raising=False)
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "other", "PRETTY_NAME": "Other 1"})
    with pytest.raises(
        ProgramFailed, match=r"this system is Other 1, not Debian\. Install one so that mysqld"
    ):
        MysqlPrograms.find()
    assert not list(tmp_path.rglob("unpacked"))


def test_an_interrupted_fetch_leaves_nothing_that_passes_for_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(mysql_packages, "_download", lambda *_: [])
    monkeypatch.setattr(mysql_packages, "_unpack", interrupt)
    with pytest.raises(KeyboardInterrupt):
        mysql_packages.unpacked(print)
    assert [path.name for path in (tmp_path / "localcloud" / "mysql").iterdir()] == ["lock"]


def test_a_download_is_followed_by_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def download(*command: str) -> str:
        archives = next(part for part in command if part.startswith("--option=Dir::Cache="))
        (Path(archives.partition("::Cache=")[2]) / "archives" / "part").write_bytes(bytes(3_000_000))
        deadline = time.monotonic() + 60
        while "fetched 3 of 66 MB" not in told and time.monotonic() < deadline:
            time.sleep(0.01)
        return ""

    told: list[str] = []
    monkeypatch.setattr(mysql_packages, "_mirror", lambda: "http://mirror.invalid/debian")
    monkeypatch.setattr(mysql_packages, "_run", download)
    monkeypatch.setattr(mysql_packages, "_TELL_EVERY_SECONDS", 0.05)
    assert mysql_packages._download(tmp_path, told.append) == []
    assert told[0] == "fetching MySQL from Debian's suite sid: 66 MB, once"
    assert "fetched 3 of 66 MB" in told


def test_mariadb_is_no_stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = tmp_path / "mysqld"
    server.write_text("#!/bin/sh\necho 'mysqld  Ver 10.11.6-MariaDB for debian-linux-gnu'\n")
    server.chmod(0o755)
    monkeypatch.setenv("LOCALCLOUD_MYSQLD", str(server))
    with pytest.raises(ProgramFailed, match=r"not MySQL 8\.0 or newer"):
        MysqlPrograms.find()


def test_a_plugin_is_not_made_from_another_file(tmp_path: Path) -> None:
    (tmp_path / "auth_socket.so").write_bytes(b"\x7fELF" + bytes(100))
    with pytest.raises(ProgramFailed, match="not built as expected"):
        mysql_aws_plugin.make(tmp_path, tmp_path)
    assert not (tmp_path / mysql_aws_plugin.FILE).exists()
