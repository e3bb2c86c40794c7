"""A cloud starts, shows itself, and leaves nothing, however it ends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time

import pytest

from localcloud import processes, state
from localcloud.addresses import Addresses
from localcloud.cloud import Cloud
from localcloud.state import Home, NotOurs, State
from tests.localcloud.server.machine import ROOT, Machine, wait_until


def left(machine: Machine) -> tuple[list[str], list[str]]:
    return machine.processes(), machine.files()


def port_of(machine: Machine, name: str = "default") -> int:
    port: int = machine.status(name)["port"]
    return port


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_start_env_status_stop(machine):
    begun = time.monotonic()
    started = machine.run("start")
    assert started.returncode == 0, started.stderr
    assert "is ready at http://localhost:" in started.stdout
    assert re.search(r"aurora-postgresql: PostgreSQL .*16\.\d+", started.stdout)
    assert "aurora-mysql: " in started.stdout
    assert time.monotonic() - begun < 60
    variables = machine.variables()
    assert machine.client("sts").get_caller_identity()["Account"] == "123456789012"
    assert {"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "CDK_DISABLE_CLI_TELEMETRY"} <= set(
        variables
    )
    shown = machine.run("status").stdout
    assert variables["AWS_ENDPOINT_URL"] in shown and "stacks: none" in shown and "processes:" in shown
    assert "databases: none" in shown
    port = port_of(machine)

    stopped = machine.run("stop")
    assert stopped.returncode == 0
    assert stopped.stdout == "local cloud default has ended: no process and no file is left\n"
    assert left(machine) == ([], [])
    assert not answers(port)


@pytest.mark.parametrize(("engine", "product"), [("postgresql", "PostgreSQL"), ("mysql", "MySQL")])
def test_an_engine_is_made_ready_before_anybody_deploys(machine, engine, product):
    done = machine.run("prepare", "--engine", engine)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"local cloud: {product} \d.* is ready \(", done.stdout)
    assert left(machine) == ([], [])


def test_where_no_mysql_can_be_had_it_says_how_to_get_one(machine):
    machine.environment |= {"LOCALCLOUD_MYSQLD": "/nowhere/mysqld"}
    done = machine.run("prepare", "--engine", "mysql")
    assert done.returncode == 1
    assert done.stderr == "localcloud: LOCALCLOUD_MYSQLD=/nowhere/mysqld: not MySQL 8.0 or newer\n"
    started = machine.run("start")
    assert started.returncode == 0
    assert "aurora-mysql: LOCALCLOUD_MYSQLD=/nowhere/mysqld: not MySQL" in started.stdout
    machine.run("stop")


def test_env_is_what_a_shell_can_evaluate(server):
    script = f'eval "$({sys.executable} -m localcloud env)"; echo "$AWS_ENDPOINT_URL|${{AWS_PROFILE-none}}"'
    environment = {**server.environment, "AWS_PROFILE": "somebody's"}
    answer = subprocess.run(
        ["bash", "-c", script], env=environment, text=True, capture_output=True, check=True
    )
    assert answer.stdout == f"{server.variables()['AWS_ENDPOINT_URL']}|none\n"


def test_two_clouds_run_side_by_side(machine):
    for name in ("one", "two"):
        assert machine.run("start", "--name", name).returncode == 0
    machine.client("s3", "one").create_bucket(Bucket="mine")
    assert machine.client("s3", "two").list_buckets()["Buckets"] == []
    machine.run("stop", "--name", "one")
    assert machine.client("s3", "two").list_buckets()["Buckets"] == []
    machine.run("stop", "--name", "two")
    assert left(machine) == ([], [])


def test_starting_twice_leaves_the_first_alone(machine):
    machine.run("start")
    port = port_of(machine)
    again = machine.run("start")
    assert again.returncode == 0 and f"is running at http://localhost:{port}" in again.stdout
    assert port_of(machine) == port


def test_of_two_starts_at_once_one_wins(machine):
    both = [machine.begin("start") for _ in range(2)]
    said = [start.communicate(timeout=60)[0] for start in both]
    assert sorted(start.returncode for start in both) == [0, 1], said
    assert any("a local cloud named default is running or starting" in one for one in said)
    assert len(machine.status()["processes"]) == 2, "a supervisor and its server"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_start_that_is_interrupted_leaves_nothing(machine, number):
    start = machine.begin("start")
    assert start.stdout and "loading" in start.stdout.readline(), "now the server is on its way"
    assert machine.files() != []
    start.send_signal(number)
    start.communicate(timeout=60)
    assert wait_until(lambda: left(machine) == ([], [])), left(machine)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_it_ends_with_a_signal(machine, number):
    cloud = machine.begin("start", "--foreground")
    assert wait_until(lambda: machine.run("status").returncode == 0, 60)
    port = port_of(machine)
    cloud.send_signal(number)
    cloud.communicate(timeout=60)
    assert cloud.returncode == 0
    assert left(machine) == ([], []) and not answers(port)


def test_a_killed_server_takes_everything_with_it(machine):
    machine.run("start")
    _, server = machine.status()["processes"]
    os.kill(server, signal.SIGKILL)
    assert wait_until(lambda: left(machine) == ([], [])), left(machine)


def test_a_killed_supervisor_takes_everything_with_it(machine):
    machine.run("start")
    supervisor, _ = machine.status()["processes"]
    os.kill(supervisor, signal.SIGKILL)
    assert wait_until(lambda: left(machine) == ([], [])), left(machine)


def test_what_a_killed_pair_left_is_taken_away_by_stop(machine):
    machine.run("start")
    supervisor, server = machine.status()["processes"]
    stray = _stray(machine)
    os.kill(supervisor, signal.SIGSTOP)  # so that neither sees the other die
    os.kill(server, signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    assert wait_until(lambda: machine.run("status").returncode == 3)
    assert machine.run("stop").returncode == 0
    assert wait_until(lambda: stray.poll() is not None)
    assert left(machine) == ([], [])


def test_what_a_killed_pair_left_does_not_hinder_the_next_start(machine):
    machine.run("start")
    supervisor, server = machine.status()["processes"]
    stray = _stray(machine)
    os.kill(supervisor, signal.SIGSTOP)
    os.kill(server, signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    assert machine.run("start").returncode == 0
    assert wait_until(lambda: stray.poll() is not None)
    assert machine.client("s3").list_buckets()["Buckets"] == []


def _stray(machine: Machine) -> subprocess.Popen[bytes]:
    """Start what a database is to a killed cloud: a process of its own session, at work in its home."""
    home = next(machine.directory.glob("localcloud-*/default"))
    return subprocess.Popen(["sleep", "600"], cwd=home, env=machine.environment, start_new_session=True)


@pytest.mark.parametrize("victim", ["server", "supervisor"])
def test_processes_of_their_own_session_end_with_the_server(machine, victim, tmp_path):
    """What the server started outlives it in no case, whatever session it is in."""
    script = """
        import os, subprocess, sys, time
        from pathlib import Path
        from localcloud.state import Home
        from localcloud.supervisor import supervise

        def serve():
            command = ["sh", "-c", "sleep 600 & wait"]  # a child and a grandchild
            subprocess.Popen(command, start_new_session=True, cwd="/")
            Path(sys.argv[1]).write_text(f"{os.getppid()} {os.getpid()}")
            time.sleep(600)

        home = Home("default")
        home.claim()
        supervise(home, "us-east-1", serve)
    """
    told = tmp_path / "processes"
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(told)], env=machine.environment, cwd=ROOT
    )
    assert wait_until(lambda: told.exists() and told.read_text() != "")
    assert wait_until(lambda: any(one.startswith("sleep 600") for one in machine.processes()))
    supervisor, server = map(int, told.read_text().split())
    os.kill({"server": server, "supervisor": supervisor}[victim], signal.SIGKILL)
    process.wait(60)
    assert wait_until(lambda: left(machine) == ([], [])), left(machine)


def test_what_is_not_running_says_so(machine):
    for verb in ("env", "status"):
        answer = machine.run(verb, "--name", "nobody")
        assert answer.returncode == 3
        assert "no cloud named nobody is running; start one: python -m localcloud start" in answer.stderr
    answer = machine.run("stop", "--name", "nobody")
    assert (answer.returncode, answer.stdout) == (0, "local cloud nobody is not running: nothing is left\n")


@pytest.mark.parametrize("name", ["", "..", "a/b", "UPPER", "-x", "x" * 33, "a b"])
def test_names_that_are_refused(machine, name):
    for verb in ("start", "stop", "status", "env"):
        answer = machine.run(verb, f"--name={name}")
        assert answer.returncode == 1, verb
        assert "use 1 to 32 of a-z, 0-9 and -" in answer.stderr
    assert left(machine) == ([], [])


def test_a_port_that_is_taken_is_named(machine):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = machine.run("start", "--port", str(port))
    assert answer.returncode == 1
    assert f"port {port}: Address already in use" in answer.stderr
    assert left(machine) == ([], [])


def test_the_chosen_port_and_region_are_used(machine):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    machine.run("start", "--port", str(port), "--region", "eu-west-1")
    variables = machine.variables()
    assert variables["AWS_ENDPOINT_URL"] == f"http://localhost:{port}"
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "eu-west-1"


def test_a_place_that_is_not_ours_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    state.base_directory().symlink_to(elsewhere)
    with pytest.raises(NotOurs, match="belongs to another user; set TMPDIR"):
        Home("default").claim()
    assert list(elsewhere.iterdir()) == []


def test_a_neighbour_that_ends_may_take_the_common_place_away(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    make, made = state._make_base, []

    def make_and_lose_once() -> None:
        make()
        made.append(True)
        if len(made) == 1:
            state.base_directory().rmdir()

    monkeypatch.setattr(state, "_make_base", make_and_lose_once)
    Home("default").claim()
    assert Home("default").directory.is_dir()


def test_others_may_pass_through_the_home_but_not_look_into_it(machine):
    old = os.umask(0o077)
    try:
        machine.run("start")
    finally:
        os.umask(old)
    home = next(machine.directory.glob("localcloud-*/default"))
    assert home.stat().st_mode & 0o777 == 0o711
    assert home.parent.stat().st_mode & 0o777 == 0o711


@pytest.mark.skipif(os.getuid() != 0, reason="the other tests run as an ordinary user already")
def test_an_ordinary_user_can_do_the_same(machine):
    # the interpreter may lie where only root reads: reading is all that the user may do beyond its rights
    reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *reading]
    shutil.chown(machine.directory, "nobody", "nogroup")

    def run(verb: str) -> str:
        done = subprocess.run(
            [*as_nobody, *machine.command(verb)],
            env={**machine.environment, "HOME": str(machine.directory)},
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "is ready at" in run("start")
    home = next(machine.directory.glob("localcloud-*/default"))
    assert home.owner() == "nobody"
    assert "stacks: none" in run("status")
    assert "no process and no file is left" in run("stop")
    assert left(machine) == ([], [])


def test_addresses_are_a_clouds_own_and_come_back():
    one, two = Addresses(5998), Addresses(40000)
    assert str(one.network) == "127.23.110.0/24"
    assert not one.network.overlaps(two.network)
    taken = [one.allocate() for _ in range(254)]
    assert len(set(taken)) == 254
    with pytest.raises(RuntimeError, match="all 254 addresses"):
        one.allocate()
    one.release(taken[7])
    one.release(taken[7])
    assert one.allocate() == taken[7]


def test_shutting_down_runs_every_callback_once_the_last_first(tmp_path):
    cloud, done = Cloud(port=5998, directory=tmp_path), []
    cloud.on_shutdown(lambda: done.append("first"))
    cloud.on_shutdown(lambda: 1 / 0)
    cloud.on_shutdown(lambda: done.append("last"))
    cloud.shut_down()
    cloud.shut_down()
    assert done == ["last", "first"]


def test_a_process_that_got_the_number_later_is_not_the_cloud():
    started = processes.process_start(os.getpid())
    assert State("default", os.getpid(), started or "", "us-east-1").alive
    assert not State("default", os.getpid(), "1", "us-east-1").alive
    assert not State("default", 2**22 + 1, started or "", "us-east-1").alive
