"""pgbouncer in front of a writer: it stands in for what RDS Proxy does with connections."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acid.stage import APPLICATION, DATABASE
from bench.orders.debian_programs import LoadPrograms
from bench.orders.ways_in import Socket
from localcloud.aurora.child_process import launch
from localcloud.aurora.server_place import give_away

SERVER_CONNECTIONS = 16
_START_SECONDS = 10.0
_SETTINGS = """
[databases]
{database} = host={host} port={port} user={user}

[pgbouncer]
unix_socket_dir = {directory}
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 500
log_connections = 0
log_disconnections = 0
"""


@contextmanager
def pooled(programs: LoadPrograms, target: Socket) -> Iterator[Socket]:
    """Put a pool by transactions in front of the target."""
    directory = Path(tempfile.mkdtemp(prefix="pool-"))
    give_away(directory)
    server = Path(target.path)
    settings = directory / "pgbouncer.ini"
    settings.write_text(
        _SETTINGS.format(
            database=DATABASE,
            host=server.parent,
            port=server.suffix.lstrip("."),
            user=APPLICATION,
            directory=directory,
            size=SERVER_CONNECTIONS,
        )
    )
    process = launch([*programs.pgbouncer, "--quiet", str(settings)], log=directory / "log")
    try:
        yield _when_listening(process, directory, target.engine)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(directory)


def _when_listening(process: subprocess.Popen[bytes], directory: Path, engine: str) -> Socket:
    path = directory / ".s.PGSQL.6432"
    give_up = time.monotonic() + _START_SECONDS
    while not path.exists():
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"pgbouncer did not start: {(directory / 'log').read_text()[-1000:]}")
        time.sleep(0.02)
    return Socket(engine, str(path))
