"""The CDK CLI is run unmodified; what it cannot know is told it before."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from operate import cdk
from operate.deployment import Deployment

PATIENCE_SECONDS = 60


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Return what the CLI would be started with."""
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(cdk, "start", lambda *arguments, **_: calls.append(arguments))
    return calls


@pytest.mark.skipif(sys.platform != "linux", reason="zombies are told by /proc")
def test_a_lock_of_a_cli_that_was_killed_and_not_reaped_locks_nobody_out(
    started: list[tuple[str, ...]], tmp_path: Path
):
    killed = subprocess.Popen(["sleep", "600"])
    killed.kill()
    until = time.monotonic() + PATIENCE_SECONDS
    while Path(f"/proc/{killed.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < until
        time.sleep(0.01)
    locks = [tmp_path / f"read.{killed.pid}.1.lock", tmp_path / "synth.lock"]
    for lock in locks:
        lock.write_text(str(killed.pid))
    cdk.synthesize(Deployment(kind="dev"), tmp_path, output=tmp_path / "log")
    assert [lock for lock in locks if lock.exists()] == []
    assert len(started) == 1
    killed.wait()


def test_a_lock_of_a_cli_at_work_stays(started: list[tuple[str, ...]], tmp_path: Path):
    lock = tmp_path / f"read.{os.getpid()}.1.lock"
    lock.write_text(str(os.getpid()))
    cdk.synthesize(Deployment(kind="dev"), tmp_path, output=tmp_path / "log")
    assert lock.exists()
    assert len(started) == 1
