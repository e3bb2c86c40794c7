"""One real server: how it is found, started, cloned, stopped, and that it never outlives us."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg2
import pytest

from localcloud.aurora.postgresql_programs import BINARIES_VARIABLE, ProgramFailed, Programs, can_enter
from localcloud.aurora.postgresql_server import PostgresqlServer

from .conftest import MASTER, PASSWORD

MAJOR = 16

ROOT = Path(__file__).parents[3]


@pytest.fixture
def directory(passable_directory):
    made = Path(tempfile.mkdtemp(dir=passable_directory))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


def initialize(directory, **options):
    return PostgresqlServer.initialize(
        directory,
        **{"major": MAJOR, "master_user": MASTER, "master_password": PASSWORD, "database": "shop", **options},
    )


@pytest.fixture
def server(directory):
    server = initialize(directory / "server")
    yield server
    server.remove()


def test_the_master_user_is_what_it_is_on_aurora(server):
    with contextlib.closing(
        psycopg2.connect(host="127.0.0.1", port=server.port, user=MASTER, password=PASSWORD, dbname="shop")
    ) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("SHOW is_superuser")
        assert cursor.fetchone() == ("off",)
        cursor.execute("CREATE ROLE app LOGIN; GRANT rds_iam TO app; CREATE SCHEMA mine")
        cursor.execute("SELECT pg_has_role('rds_superuser', 'USAGE'), pg_has_role('rds_iam', 'USAGE')")
        assert cursor.fetchone() == (True, False)
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("COPY (SELECT 1) TO PROGRAM 'cat'")


def test_nobody_but_we_enter_by_the_socket(server):
    assert server.directory.stat().st_mode & 0o777 == 0o700
    assert server.execute("SELECT current_user") == "rdsadmin"


def test_loopback_asks_for_the_password(server):
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(host="127.0.0.1", port=server.port, user=MASTER, password="wrong", dbname="shop")


def test_results_read_as_psql_prints_them(server):
    assert (
        server.execute("SELECT 1, true, NULL, 'a b' UNION ALL SELECT 2, false, 'x', ''") == "1|t||a b\n2|f|x|"
    )
    assert server.execute("SELECT %s::int + 1", [41]) == "42"
    assert server.execute("CREATE TABLE t ()") == ""


def test_a_reader_follows_its_writer_and_takes_no_writes(server, directory):
    server.execute("CREATE TABLE before (n int)", database="shop")
    reader = PostgresqlServer.clone(server, directory / "reader")
    try:
        assert (server.is_writer, reader.is_writer) == (True, False)
        assert reader.execute("SELECT count(*) FROM before", database="shop") == "0"
        server.execute("INSERT INTO before VALUES (1)", database="shop")
        deadline = time.monotonic() + 60
        while reader.execute("SELECT count(*) FROM before", database="shop") != "1":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
            reader.execute("CREATE TABLE x ()")
        reader.promote()
        assert reader.is_writer
        reader.execute("CREATE TABLE x ()")
    finally:
        reader.remove()


@pytest.mark.parametrize("end", [lambda s: s.stop(), lambda s: s.stop("immediate"), lambda s: s.kill()])
def test_what_is_committed_survives_every_end_of_the_server(server, end):
    server.execute("CREATE TABLE kept AS SELECT 42 AS n")
    end(server)
    assert not server.is_running
    server.start()
    assert server.execute("SELECT n FROM kept") == "42"


def test_a_killed_server_leaves_no_process(server):
    with contextlib.closing(server.connect("rdsadmin")) as connection:
        backend = connection.info.backend_pid
        server.kill()
        deadline = time.monotonic() + 60  # the kernel takes a killed process apart in its own time
        while not has_ended(backend) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert has_ended(backend)


def has_ended(pid):
    """Gone, or only waiting for whoever inherited it to take note."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_starting_twice_is_starting_once(server):
    port = server.port
    server.start()
    assert server.port == port
    server.stop()
    server.stop()


def test_durable_waits_for_the_disk(server, directory):
    assert server.execute("SHOW fsync") == "off"
    server.configure({"work_mem": "8MB"})
    assert server.execute("SHOW fsync") == "off"
    durable = initialize(directory / "durable", durable=True)
    try:
        assert durable.execute("SHOW fsync") == "on"
        durable.configure({"work_mem": "8MB"})
        assert (durable.execute("SHOW fsync"), durable.execute("SHOW work_mem")) == ("on", "8MB")
        reader = PostgresqlServer.clone(durable, directory / "reader", {"work_mem": "9MB"})
        try:
            assert (reader.execute("SHOW fsync"), reader.execute("SHOW work_mem")) == ("on", "9MB")
        finally:
            reader.remove()
    finally:
        durable.remove()


def test_a_server_started_by_a_thread_outlives_the_thread(directory):
    made = []
    thread = threading.Thread(target=lambda: made.append(initialize(directory / "server")))
    thread.start()
    thread.join()
    time.sleep(0.2)
    try:
        assert made[0].execute("SELECT 1") == "1"
    finally:
        made[0].remove()


STARTER = """
import sys, time
from pathlib import Path
from localcloud.aurora.postgresql_server import PostgresqlServer
server = PostgresqlServer.initialize(
    Path(sys.argv[1]), major=16, master_user="shop_admin", master_password="password", database=None
)
print((Path(sys.argv[1]) / "data" / "postmaster.pid").read_text().split()[0], flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_server_does_not_outlive_its_parent_however_that_ends(directory):
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(directory / "server")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    postmaster = int(starter.stdout.readline())
    starter.send_signal(signal.SIGKILL)
    starter.wait(60)
    deadline = time.monotonic() + 60
    while not has_ended(postmaster):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run as an ordinary user already")
def test_an_ordinary_user_runs_it_as_itself(directory):
    account = pwd.getpwnam("nobody")
    os.chown(directory, account.pw_uid, account.pw_gid)
    step_down = f"import os; os.setgroups([]); os.setgid({account.pw_gid}); os.setuid({account.pw_uid})"
    script = STARTER.replace("server = ", f"{step_down}\nserver = ").replace(
        "time.sleep(60)", "print(server.execute('SELECT 42')); server.remove()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(directory / "server")],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["42"], done.stderr
    assert not (directory / "server").exists()


def test_a_taken_port_is_not_the_end(directory, server, monkeypatch):
    from localcloud.aurora import postgresql_server

    ports = iter([server.port, server.port, postgresql_server.free_port()])
    monkeypatch.setattr(postgresql_server, "free_port", lambda: next(ports))
    other = initialize(directory / "other")
    try:
        assert other.execute("SELECT 1") == "1"
        assert other.port != server.port
    finally:
        other.remove()


def test_a_bad_setting_names_itself_and_leaves_nothing(directory):
    with pytest.raises(ProgramFailed, match="work_mem"):
        initialize(directory / "server", parameters={"work_mem": "a lot"})
    assert not (directory / "server").exists()


def test_a_bad_new_setting_leaves_the_former_in_force(server):
    server.configure({"work_mem": "8MB"})
    with pytest.raises(ProgramFailed, match="work_mem"):
        server.configure({"work_mem": "a lot"})
    assert server.execute("SHOW work_mem") == "8MB"
    server.stop()
    server.start()
    assert server.execute("SHOW work_mem") == "8MB"


def test_a_path_too_long_for_a_socket_is_said_before_anything_is_made(directory):
    too_long = directory / ("x" * 90)
    with pytest.raises(ProgramFailed, match="too long for a Unix socket"):
        initialize(too_long)
    assert not too_long.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to step down to nobody")
def test_a_closed_directory_is_said_with_the_way_out(directory):
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ProgramFailed, match="make its parents passable"):
        initialize(closed / "server")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to step down to nobody")
def test_programs_that_nobody_cannot_reach_are_copied(directory, monkeypatch):
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    wheel = Programs.find(MAJOR).root.parent
    shutil.copytree(wheel / "pginstall", closed / wheel.name / "pginstall", symlinks=True)
    shutil.copytree(wheel.with_name(f"{wheel.name}.libs"), closed / f"{wheel.name}.libs")
    monkeypatch.setenv(BINARIES_VARIABLE, str(closed / wheel.name / "pginstall" / "bin"))
    assert not can_enter(closed)
    server = initialize(directory / "server")
    try:
        assert server.programs.directory.is_relative_to(server.directory)
        assert server.execute("SELECT 1") == "1"
    finally:
        server.remove()


def test_a_missing_version_is_named_with_what_was_looked_at(monkeypatch):
    monkeypatch.setenv(BINARIES_VARIABLE, "/nowhere")
    with pytest.raises(ProgramFailed) as failed:
        Programs.find(9)
    assert "PostgreSQL 9 is not installed here" in str(failed.value)
    assert "/nowhere (no PostgreSQL)" in str(failed.value)
    assert f"set {BINARIES_VARIABLE}" in str(failed.value)


@pytest.mark.parametrize("major", [16, 18])
def test_the_wheel_brings_two_versions(major):
    assert Programs.find(major).run("postgres", "--version").startswith(f"postgres (PostgreSQL) {major}.")


def test_a_program_that_takes_too_long_is_ended():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(ProgramFailed, match=r"psql did not end within 0\.2 s"):
            Programs.find(MAJOR).run("psql", "-h", "127.0.0.1", "-p", str(port), timeout_seconds=0.2)
