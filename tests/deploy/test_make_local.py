"""`make local` as its user meets it: a report that can be used, and nothing left, however it ends."""

from __future__ import annotations

import gzip
import json
import os
import re
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

from localcloud.state import Home
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


@pytest.fixture
def verbs() -> Iterator[Verbs]:
    verbs = Verbs(f"make-local-{uuid.uuid4().hex[:8]}")
    yield verbs
    subprocess.run(
        [sys.executable, "-m", "localcloud", "stop", "--name", verbs.cloud], cwd=ROOT, timeout=60, check=True
    )
    shutil.rmtree(ROOT / "build" / "assemblies" / verbs.cloud, ignore_errors=True)


def test_it_reports_what_is_there_proves_it_again_and_takes_it_away(verbs: Verbs):
    up = verbs.run("local", "up")
    assert up.returncode == 0, up.stdout + up.stderr
    for promise in ("Deploying", "shop-local-schema", "CREATE_COMPLETE", "Smoke test passed", "order lines"):
        assert promise in up.stdout
    assert "make local-destroy" in up.stdout

    (psql,) = re.findall(r"^ *(PGPASSWORD=.*)$", up.stdout, flags=re.MULTILINE)
    assert _run_pasted(psql) == "shop_admin|t\n"

    assert "Smoke test passed: 13 checks" in verbs.run("smoke", "--deployment", "local").stdout
    status = verbs.run("migrations", "status", "--deployment", "local", "--json").stdout
    assert json.loads(status)["state"] == "up-to-date"

    down = verbs.run("local", "down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert "no process and no file is left" in down.stdout
    assert verbs.left() == []


def _run_pasted(psql: str) -> str:
    """Run the pasted command with libpq in the place of psql, which not every machine has with TLS."""
    password, conninfo = re.fullmatch(r'PGPASSWORD="\$\((.*)\)" psql "(.*)"', psql).groups()  # type: ignore[union-attr]
    script = f'export PGPASSWORD="$({password})"; exec "{sys.executable}" -c "$0" "$1"'
    ask = (
        "import psycopg2, sys; c = psycopg2.connect(sys.argv[1]).cursor(); "
        "c.execute('SELECT current_user'); user = c.fetchone()[0]; "
        "print(user, 't' if c.connection.info.ssl_in_use else 'f', sep='|')"
    )
    return subprocess.run(
        ["bash", "-c", script, ask, conninfo],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def test_the_real_file_s_totals_are_those_of_the_report(verbs: Verbs):
    if not REAL_FILE.exists():
        pytest.skip("the real file is not on this machine")
    up = verbs.run("local", "up", "--seed-file", str(REAL_FILE))
    assert up.returncode == 0, up.stdout + up.stderr
    said = " ".join(up.stdout.split())
    assert "541909 lines = 540570 order lines + 1339 rejects; quantity 5176450, amount 9747747.934" in said


def test_a_file_that_is_cut_off_is_refused_and_nothing_is_left(verbs: Verbs, tmp_path: Path):
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress((HEADER + LINE * 5000).encode())[:-20])
    up = verbs.run("local", "up", "--seed-file", str(cut))
    assert up.returncode == 1
    assert "cut.csv.gz" in up.stderr
    assert "truncated" in up.stderr or "cut off" in up.stderr or "ends" in up.stderr
    assert verbs.left() == []


@pytest.mark.parametrize("phase", ["Synthesizing", "Deploying"])
def test_ctrl_c_in_the_middle_leaves_nothing(verbs: Verbs, phase: str):
    process = subprocess.Popen(
        verbs.command("local", "up"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
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
    deadline = time.monotonic() + 20
    while verbs.left() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert verbs.left() == []
