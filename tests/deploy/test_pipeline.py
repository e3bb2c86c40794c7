"""A pull request's environment by the workflow's own steps: deployed locally, tested, and nothing left."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from operate.deployment import PROJECT
from operate.local_cloud import LocalCloud

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_the_pipeline_of_a_pull_request_passes_and_leaves_nothing(engine: str):
    cloud = f"pipeline-{os.getpid()}-{engine}"
    done = subprocess.run(
        [sys.executable, "-m", "operate.pipeline", "ephemeral", "--engine", engine, "--cloud", cloud],
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^ +ephemeral .* passed +\d", done.stdout, re.MULTILINE)) == 3
    assert "Smoke test passed" in done.stdout
    assert re.search(r"^Of pr-local\S*: 0 left", done.stdout, re.MULTILINE)
    assert not LocalCloud(cloud).is_running()
