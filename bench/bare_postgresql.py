"""The bare parts of a local database, by PostgreSQL's own programs and nothing of ours around them."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from localcloud.aurora.postgresql_programs import Programs, unprivileged_account
from operate.deployment import PROJECT

MAJOR = 16
SAFE = "-c max_wal_senders=8"  # a commit is on disk, as everywhere but in a test
UNSAFE_FOR_SPEED = "-c fsync=off -c full_page_writes=off -c max_wal_senders=8"  # as the local cloud sets them


class BarePostgresql:
    """A writer and a streaming reader in a directory of their own, started by pg_ctl."""

    def __init__(self, settings: str = UNSAFE_FOR_SPEED) -> None:
        self._settings = settings
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
        """All migrations by one psql session."""
        folder = PROJECT / "schema" / "postgresql"
        self.apply("postgres", [*sorted(folder.glob("V*.sql")), *sorted(folder.glob("R*.sql"))])

    def apply(self, database: str, files: Sequence[Path]) -> None:
        """The files by one psql session, statement by statement."""
        arguments = [word for file in files for word in ("-f", str(file))]
        self._psql(database, *arguments)

    def create_database(self, name: str) -> None:
        """An empty database of this name."""
        self._psql("postgres", "-c", f"CREATE DATABASE {name}")

    @property
    def place(self) -> tuple[Path, int]:
        """The directory of the writer's socket, and the port that names it."""
        return self._directory, self._port

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
        options = f"-p {port} -k {self._directory} -c listen_addresses='' {self._settings}"
        self._programs.run("pg_ctl", "start", "-D", data, "-w", "-l", data / "log", "-o", options)

    def _psql(self, database: str, *arguments: str) -> None:
        options = ("-q", "-X", "-w", "-d", database, "-v", "ON_ERROR_STOP=1")
        self._programs.run("psql", *self._at(self._port), *options, *arguments)

    def _at(self, port: int) -> tuple[str, ...]:
        return ("-h", str(self._directory), "-p", str(port), "-U", "postgres")
