"""The bare parts of a local database, by PostgreSQL's own programs and nothing of ours around them."""

import shutil
import tempfile
from pathlib import Path

from localcloud.aurora.postgresql_programs import Programs, unprivileged_account
from operate.deployment import PROJECT

MAJOR = 16
UNSAFE_FOR_SPEED = "-c fsync=off -c full_page_writes=off -c max_wal_senders=8"  # as the local cloud sets them


class BarePostgresql:
    """A writer and a streaming reader in a directory of their own, started by pg_ctl."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="bench-"))
        account = unprivileged_account()
        if account:
            shutil.chown(self._directory, account.pw_uid, account.pw_gid)
        self._programs = Programs.find(MAJOR).reachable_in(self._directory)
        self._port = 20_000 + hash(self._directory) % 10_000

    def start_writer(self) -> None:
        """`initdb`, then `pg_ctl start`."""
        data = self._directory / "writer"
        self._programs.run("initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8")
        self._start(data, self._port)

    def start_reader(self) -> None:
        """`pg_basebackup`, then `pg_ctl start`."""
        data = self._directory / "reader"
        options = ("-w", "-c", "fast", "-R", "--no-sync", "--no-manifest")
        self._programs.run("pg_basebackup", "-D", data, *self._at(self._port), *options)
        self._start(data, self._port + 1)

    def apply_migrations(self) -> None:
        """All migrations by one psql session, each file in its transaction."""
        folder = PROJECT / "schema" / "postgresql"
        files = [*sorted(folder.glob("V*.sql")), *sorted(folder.glob("R*.sql"))]
        arguments = [word for file in files for word in ("-f", str(file))]
        options = ("-q", "-X", "-w", "-d", "postgres", "-v", "ON_ERROR_STOP=1")
        self._programs.run("psql", *self._at(self._port), *options, *arguments)

    def stop(self) -> None:
        """End both servers and empty the directory, so that the next round starts from nothing."""
        for name in ("reader", "writer"):
            data = self._directory / name
            if (data / "postmaster.pid").exists():
                self._programs.run("pg_ctl", "stop", "-D", data, "-m", "immediate", "-w")
            shutil.rmtree(data, ignore_errors=True)

    def remove(self) -> None:
        """Leave nothing."""
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _start(self, data: Path, port: int) -> None:
        options = f"-p {port} -k {self._directory} -c listen_addresses='' {UNSAFE_FOR_SPEED}"
        self._programs.run("pg_ctl", "start", "-D", data, "-w", "-l", data / "log", "-o", options)

    def _at(self, port: int) -> tuple[str, ...]:
        return ("-h", str(self._directory), "-p", str(port), "-U", "postgres")
