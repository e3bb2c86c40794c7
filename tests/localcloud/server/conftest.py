"""A real server, started and ended as its users do."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.localcloud.server.deploying import Deployed
from tests.localcloud.server.machine import Machine


@pytest.fixture
def machine() -> Iterator[Machine]:
    with _machine() as machine:
        yield machine


@pytest.fixture(scope="module")
def server() -> Iterator[Machine]:
    """Return a machine whose default cloud runs."""
    with _machine() as machine:
        started = machine.run("start")
        assert started.returncode == 0, started.stderr
        yield machine


@contextlib.contextmanager
def _machine() -> Iterator[Machine]:
    # not pytest's own place, which a database's sockets and another user would not reach
    with tempfile.TemporaryDirectory(prefix="lc-") as directory:
        machine = Machine(Path(directory).resolve())
        try:
            yield machine
        finally:
            for home in machine.directory.glob("localcloud-*/*"):
                machine.run("stop", "--name", home.name)
        assert machine.processes() == []


@pytest.fixture
def stack(server: Machine) -> Deployed:
    return Deployed(server, f"s-{uuid.uuid4().hex[:8]}")
