"""`make local` as its user meets it: a report that can be used, and nothing left, however it ends."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from localcloud.aurora.mysql_programs import MysqlPrograms
from localcloud.state import Home
from stacks.engines import ENGINES
from stacks.settings import kind_on
from tests.deploy.clients import ROOT

REAL_FILE = ROOT.parent / "shared" / "data" / "online-retail.csv.gz"
PATIENCE_SECONDS = 240
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
LINE = "536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom\n"


@dataclass(frozen=True)
class Verbs:
    """The verbs on a local cloud of a name of its own."""

    cloud: str

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "operate", *words, "--cloud", self.cloud]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def left(self) -> list[str]:
        """Processes and files that belong to this cloud."""
        directory = Home(self.cloud).directory
        files = [str(directory)] if directory.exists() else []
        return files + _processes_naming(self.cloud)


def _processes_naming(name: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if name in command and int(entry.name) != os.getpid():
            found.append(command)
    return found


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def verbs() -> Iterator[Verbs]:
    verbs = Verbs(f"make-local-{uuid.uuid4().hex[:8]}")
    yield verbs
    subprocess.run(
        [sys.executable, "-m", "localcloud", "stop", "--name", verbs.cloud], cwd=ROOT, timeout=60, check=True
    )
    shutil.rmtree(ROOT / "build" / "assemblies" / verbs.cloud, ignore_errors=True)


def test_it_reports_what_is_there_proves_it_again_and_takes_it_away(
    verbs: Verbs, engine: str, tmp_path: Path
):
    name = kind_on("local", engine)
    up = verbs.run("local", "up", "--engine", engine)
    assert up.returncode == 0, up.stdout + up.stderr
    for promise in (
        "Deploying",
        f"shop-{name}-schema",
        "CREATE_COMPLETE",
        "Smoke test passed",
        "order lines",
    ):
        assert promise in up.stdout
    assert f"make local-destroy CLOUD={verbs.cloud}" in up.stdout
    assert f"make smoke DEPLOYMENT={name} CLOUD={verbs.cloud}" in up.stdout

    _try_pasted[engine](up.stdout, tmp_path)

    chosen = ("--deployment", "local", "--engine", engine)
    assert "Smoke test passed: 13 checks" in verbs.run("smoke", *chosen).stdout
    status = verbs.run("migrations", "status", *chosen, "--json").stdout
    assert json.loads(status)["state"] == "up-to-date"
    assert f"shop-{name}-schema" in verbs.run("local", "status").stdout

    down = verbs.run("local", "down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert "no process and no file is left" in down.stdout
    assert verbs.left() == []


def _try_psql(report: str, scratch: Path) -> None:
    """Run the pasted command with libpq in the place of psql, which not every machine has with TLS."""
    (psql,) = re.findall(r"^ *(PGPASSWORD=.*)$", report, flags=re.MULTILINE)
    password, conninfo = re.fullmatch(r'PGPASSWORD="\$\((.*)\)" psql "(.*)"', psql).groups()  # type: ignore[union-attr]
    script = f'export PGPASSWORD="$({password})"; exec "{sys.executable}" -c "$0" "$1"'
    ask = (
        "import psycopg2, sys; c = psycopg2.connect(sys.argv[1]).cursor(); "
        "c.execute('SELECT current_user'); user = c.fetchone()[0]; "
        "print(user, 't' if c.connection.info.ssl_in_use else 'f', sep='|')"
    )
    assert _output_of("bash", "-c", script, ask, conninfo) == "shop_admin|t\n"


def _try_mysql(report: str, scratch: Path) -> None:
    """Run the pasted command with the client of the server that runs here, as `mysql` of PATH."""
    (mysql,) = re.findall(r"^ *(mysql .*)$", report, flags=re.MULTILINE)
    client = scratch / "mysql"
    client.write_text(f'#!/bin/sh\nexec {shlex.join(MysqlPrograms.find().mysql)} "$@"\n')
    client.chmod(0o755)
    pasted = f'PATH="{scratch}:$PATH"; {mysql} --batch --skip-column-names --execute "SELECT current_user()"'
    assert _output_of("bash", "-c", pasted).startswith("shop_admin@")
    untrusting = re.sub(r"--ssl-ca=\S+", "--ssl-ca=lambda/smoke_test/stranger.pem", pasted)
    refused = subprocess.run(
        ["bash", "-c", untrusting], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "certificate verify failed" in refused.stderr


_try_pasted = {"postgresql": _try_psql, "mysql": _try_mysql}


def _output_of(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_both_engines_live_side_by_side_until_each_is_taken_away(verbs: Verbs):
    for engine in ENGINES:
        up = verbs.run("local", "up", "--engine", engine)
        assert up.returncode == 0, up.stdout + up.stderr
    status = verbs.run("local", "status")
    assert status.stdout.count("Smoke test passed") == 2, status.stdout + status.stderr
    for engine in ENGINES:
        smoke = verbs.run("smoke", "--deployment", "local", "--engine", engine)
        assert "Smoke test passed" in smoke.stdout, smoke.stdout + smoke.stderr

    down = verbs.run("local", "down", "--engine", "mysql")
    assert "The local cloud stays for local" in down.stdout, down.stdout + down.stderr
    assert "Smoke test passed" in verbs.run("smoke", "--deployment", "local").stdout
    assert "make local ENGINE=mysql" in verbs.run("local", "status", "--engine", "mysql").stderr

    assert "no process and no file is left" in verbs.run("local", "down").stdout
    assert verbs.left() == []


def test_the_real_file_s_totals_are_those_of_the_report(verbs: Verbs, engine: str):
    if not REAL_FILE.exists():
        pytest.skip("the real file is not on this machine")
    up = verbs.run("local", "up", "--engine", engine, "--seed-file", str(REAL_FILE))
    assert up.returncode == 0, up.stdout + up.stderr
    said = " ".join(up.stdout.split())
    assert "541909 lines = 540570 order lines + 1339 rejects; quantity 5176450, amount 9747747.934" in said


def test_a_file_that_is_cut_off_is_refused_and_nothing_is_left(verbs: Verbs, engine: str, tmp_path: Path):
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress((HEADER + LINE * 5000).encode())[:-20])
    up = verbs.run("local", "up", "--engine", engine, "--seed-file", str(cut))
    assert up.returncode == 1
    assert "cut.csv.gz" in up.stderr
    assert "truncated" in up.stderr or "cut off" in up.stderr or "ends" in up.stderr
    assert verbs.left() == []


@pytest.mark.parametrize("phase", ["Synthesizing", "Deploying"])
def test_ctrl_c_in_the_middle_leaves_nothing(verbs: Verbs, engine: str, phase: str):
    process = subprocess.Popen(
        verbs.command("local", "up", "--engine", engine), cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(phase):
            break
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: to the whole foreground group
    said = process.stdout.read()
    assert process.wait(PATIENCE_SECONDS) == 130, said
    assert "Interrupted" in said
    _wait_until_gone(verbs)


def _wait_until_gone(verbs: Verbs) -> None:
    deadline = time.monotonic() + 60
    while verbs.left() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert verbs.left() == []
