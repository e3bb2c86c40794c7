"""A real PostgreSQL server with Aurora's roles: created, cloned as a streaming reader, started, stopped.

Two doors lead in. The Unix socket in the server's own directory (mode 0700) trusts whoever may enter that
directory, as any role; the loopback port asks every role for its SCRAM password and refuses `rdsadmin`.
"""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
from psycopg2 import extensions
from psycopg2.sql import SQL, Composable, Identifier, Literal

from localcloud.aurora.child_process import kill_with_children, launch
from localcloud.aurora.database_server import (
    CATCH_UP_SECONDS,
    CONNECT_SECONDS,
    Account,
    DatabaseServer,
    Measured,
)
from localcloud.aurora.iam_membership import IamMembership
from localcloud.aurora.postgresql_configuration import ACCESS_RULES, NOT_DURABLE, SUPERUSER, configuration
from localcloud.aurora.postgresql_programs import ProgramFailed, Programs
from localcloud.aurora.server_place import (
    archive_of,
    copy_data,
    create_directory,
    free_port,
    give_away,
    pack_data,
)

FIRST_DATA = "first-data.tar"
"""In a cluster's archive: the data before the log began."""
START_TIMEOUT_SECONDS = 60.0
REPLAY_TIMEOUT_SECONDS = 3600.0
_PORT_ATTEMPTS = 20

_MEASURE = """
    SELECT (SELECT count(*) FROM pg_stat_activity
             WHERE backend_type = 'client backend' AND usename <> %s),
           (SELECT coalesce(sum(deadlocks), 0) FROM pg_stat_database),
           (SELECT sum(pg_database_size(oid)) FROM pg_database),
           (SELECT max(age(datfrozenxid)) FROM pg_database),
           CASE WHEN NOT pg_is_in_recovery() THEN NULL
                WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
                ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000 END
"""
_STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class PostgresqlServer:
    """One server: its directory, its process, its two doors. On Linux it dies with us."""

    def __init__(
        self,
        directory: Path,
        programs: Programs,
        settings: Mapping[str, str],
        *,
        primary: DatabaseServer | None = None,
    ) -> None:
        self.directory = directory
        self.programs = programs
        self.port = 0
        self._settings = dict(settings)
        self._primary = primary
        self._recovery: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._iam = IamMembership(
            lambda: self.connect(SUPERUSER), privilege="SET" if programs.major >= 16 else "USAGE"
        )

    @classmethod
    def initialize(
        cls,
        directory: Path,
        *,
        major: int,
        master_user: str,
        master_password: str,
        database: str | None = None,
        parameters: Mapping[str, str] | None = None,
        durable: bool = False,
    ) -> PostgresqlServer:
        """A new running writer with Aurora's roles, the master user and, where named, its first database.

        `directory` must not exist yet; if we are root, its parents must be open to `nobody` (mode 0711).
        `durable` survives a crash of the machine too; without it only a crash of the server.
        """
        create_directory(directory, longest_socket_name=".s.PGSQL.65535")
        with _removed_on_failure(directory) as built:
            programs = Programs.find(major).reachable_in(directory)
            programs.run(
                "initdb",
                f"--pgdata={directory / 'data'}",
                f"--username={SUPERUSER}",
                "--encoding=UTF8",
                f"--locale={'C.UTF-8' if sys.platform == 'linux' else 'en_US.UTF-8'}",
                "--auth=trust",  # replaced by our own rules before the first start
                "--no-sync",
                "--no-instructions",
            )
            if archive_of(directory).is_dir():  # cheaper than at any time later
                pack_data(directory / "data", archive_of(directory) / FIRST_DATA)
            server = cls(directory, programs, {**({} if durable else NOT_DURABLE), **(parameters or {})})
            built.append(server)
            server.start()
            server._create_roles(master_user, master_password)
            if database is not None:
                owned = SQL("CREATE DATABASE {} OWNER {}")
                server.execute(owned.format(Identifier(database), Identifier(master_user)))
        return server

    @classmethod
    def clone(
        cls, primary: PostgresqlServer, directory: Path, parameters: Mapping[str, str] | None = None
    ) -> PostgresqlServer:
        """A running reader that streams from `primary` and has what was committed there before.

        Its settings are the primary's unless `parameters` gives its own.
        """
        create_directory(directory, longest_socket_name=".s.PGSQL.65535")
        with _removed_on_failure(directory) as built:
            primary.back_up(directory / "data")
            signal_file = directory / "data" / "standby.signal"
            signal_file.touch()
            give_away(signal_file)
            settings = primary._settings if parameters is None else {**primary.durability, **parameters}
            reader = cls(directory, primary.programs, settings, primary=primary)
            built.append(reader)
            reader.start()
        return reader

    @classmethod
    def restore(
        cls,
        data: Path,
        directory: Path,
        *,
        major: int,
        parameters: Mapping[str, str] | None = None,
        recovery: Mapping[str, str] | None = None,
    ) -> PostgresqlServer:
        """A new running writer with the data of a backup, which stays as it is.

        `recovery` says which log is replayed on them, and up to where.
        """
        create_directory(directory, longest_socket_name=".s.PGSQL.65535")
        with _removed_on_failure(directory) as built:
            programs = Programs.find(major).reachable_in(directory)
            copy_data(data, directory / "data")
            server = cls(directory, programs, {**NOT_DURABLE, **(parameters or {})})
            built.append(server)
            if recovery is not None:
                signal_file = directory / "data" / "recovery.signal"
                signal_file.touch()
                give_away(signal_file)
                server._recovery = dict(recovery)
            server.start()
            server._recovery = {}
        return server

    @property
    def socket_directory(self) -> Path:
        """Host for libpq of the door that trusts: `host=<this> port=<port> user=<any role>`."""
        return self.directory

    @property
    def socket_path(self) -> Path:
        """The Unix socket itself."""
        return self.directory / f".s.PGSQL.{self.port}"

    @property
    def is_writer(self) -> bool:
        """Whether this server takes writes; a promoted reader does from the moment it is promoted."""
        return not (self.directory / "data" / "standby.signal").exists()

    @property
    def is_running(self) -> bool:
        """Whether the server's process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What the server has logged so far."""
        path = self.directory / "postgresql.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Runs and accepts connections at both doors when this returns; a running server stays as it is.

        Raises ProgramFailed with the server's own log when it does not come up.
        """
        if self.is_running:
            return
        for _ in range(_PORT_ATTEMPTS):
            self.port = self.port or free_port()
            self._write_configuration()
            length_before = len(self.log)
            command = [self.programs.path("postgres"), "-D", str(self.directory / "data")]
            self._process = launch(command, log=self.directory / "postgresql.log")
            if self._becomes_ready(self._process):
                return
            failure = self.log[length_before:]
            if "could not bind" not in failure and "could not create lock file" not in failure:
                break
            self.port = 0  # someone was faster
        raise ProgramFailed(
            f"PostgreSQL in {self.directory} did not start: {failure.strip()[-1500:] or 'no log'}"
        )

    def stop(self, mode: str = "fast", *, timeout_seconds: float = 30) -> None:
        """No longer running: `smart` waits for clients, `fast` ends them, `immediate` does not save."""
        self._iam.close()
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(_STOP_SIGNALS[mode])
        try:
            process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            kill_with_children(process)

    def retire(self, successor: DatabaseServer) -> None:
        """It runs no longer, and this reader has received everything that it ever committed.

        A fast shutdown ends all sessions, and then waits until the readers that stream have the whole log.
        """
        with _errors_as_failures():
            caught_up = successor.catch_up(self, timeout_seconds=CATCH_UP_SECONDS)
        if not caught_up:
            raise ProgramFailed(f"the reader did not catch up with {self.directory}")
        self.stop("fast")

    def remove(self) -> None:
        """The server is stopped without saving anything, and its directory is gone."""
        self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self) -> None:
        """The server and all its processes end by SIGKILL, as when the power of one machine fails."""
        self._iam.close()
        process = self._process
        if process is not None and process.poll() is None:
            kill_with_children(process)

    def execute(
        self,
        statement: str | Composable,
        parameters: Sequence[object] | None = None,
        *,
        database: str = "postgres",
    ) -> str:
        """The result of a statement run as superuser, as `psql -At` prints it: `|` between columns."""
        with closing(self.connect(SUPERUSER, database=database)) as connection:
            extensions.register_type(_as_text, connection)
            cursor = connection.cursor()
            cursor.execute(statement, parameters)
            rows = cursor.fetchall() if cursor.description else []
        return "\n".join("|".join("" if value is None else value for value in row) for row in rows)

    def configure(self, settings: Mapping[str, str]) -> None:
        """These settings are in force when this returns, after a restart where one of them needs it.

        Raises ProgramFailed with the server's words for a bad value; the former settings are then in force.
        """
        former = self._settings
        if settings == {name: value for name, value in former.items() if name not in self.durability}:
            return
        self._settings = {**self.durability, **settings}
        try:
            self._apply_settings()
        except ProgramFailed:
            self._settings = former
            self._apply_settings()
            raise

    def promote(self) -> None:
        """A reader takes writes from now on; a writer stays one."""
        if not self.is_writer:
            with _errors_as_failures():
                promoted = self.execute("SELECT pg_promote(wait => true)")
            if promoted != "t":
                raise ProgramFailed(f"PostgreSQL in {self.directory} was not promoted in time")
            self._primary = None

    def follow(self, primary: DatabaseServer) -> None:
        """A reader streams from this primary from now on."""
        self._primary = primary
        self._write_configuration()
        with _errors_as_failures():
            self.execute("SELECT pg_reload_conf()")

    def back_up(self, data: Path) -> None:
        """Its data are there as they were when this returns; a server that starts there replays its log."""
        self.programs.run(
            "pg_basebackup",
            f"--pgdata={data}",
            f"--host={self.socket_directory}",
            f"--port={self.port}",
            f"--username={SUPERUSER}",
            "--no-password",
            "--checkpoint=fast",
            "--wal-method=stream",
            "--no-sync",
            "--no-manifest",
            timeout_seconds=600,
        )

    def end_segment(self) -> str:
        """The segment of its log that ends here: whatever is committed later is in the next one.

        It ends with a commit: a server that is to stop at a moment fails where nothing was committed later.
        Raises ProgramFailed when it does not answer.
        """
        with _errors_as_failures():
            self.execute("SELECT pg_current_xact_id()")
            return self.execute("SELECT pg_walfile_name(pg_switch_wal())")

    def measure(self) -> Measured:
        """What CloudWatch is told of it; raises ProgramFailed when it does not answer."""
        with _errors_as_failures():
            connections, deadlocks, volume, age, lag = self.execute(_MEASURE, [SUPERUSER]).split("|")
        return Measured(
            int(connections),
            int(deadlocks),
            int(volume),
            replica_lag_ms=float(lag) if lag else None,
            transaction_ids=int(age),
        )

    def account(self, user: str) -> Account:
        """Whether a role logs in by token now; ConnectionError when the server does not answer."""
        try:
            return Account(by_token=self._iam.includes(user))
        except psycopg2.OperationalError as error:
            raise ConnectionError(str(error)) from error

    def change_password(self, user: str, password: str) -> None:
        """The role logs in with this password from now on."""
        self.execute(SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(user), Literal(password)))

    def catch_up(self, writer: DatabaseServer, *, timeout_seconds: float) -> bool:
        """Whether this reader has within the time what the writer has committed by now.

        Ends early for a reader that cannot go on without a restart.
        """
        if not isinstance(writer, PostgresqlServer):
            return False
        position = writer.execute("SELECT pg_current_wal_flush_lsn()")
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            state = self.execute(
                "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn, pg_get_wal_replay_pause_state() = 'paused'",
                [position],
            )
            if "t" in state.split("|"):
                return state.startswith("t")
            time.sleep(0.02)
        return False

    def connect(self, user: str, *, database: str = "postgres") -> extensions.connection:
        """A connection in autocommit mode as any role, by the door that trusts."""
        connection = psycopg2.connect(
            host=str(self.socket_directory),
            port=self.port,
            user=user,
            dbname=database,
            connect_timeout=CONNECT_SECONDS,
        )
        connection.autocommit = True
        return connection

    @property
    def durability(self) -> dict[str, str]:
        """What it was made with, and no parameter changes."""
        return {name: self._settings[name] for name in NOT_DURABLE if name in self._settings}

    def _create_roles(self, master_user: str, master_password: str) -> None:
        """Aurora's roles. The master may grant rds_iam, yet its own logins keep their password."""
        admin_only = "WITH ADMIN TRUE, INHERIT FALSE, SET FALSE" if self.programs.major >= 16 else None
        self.execute(
            "CREATE ROLE rds_superuser NOLOGIN; CREATE ROLE rds_iam NOLOGIN;"
            "CREATE ROLE rds_password NOLOGIN; CREATE ROLE rds_replication NOLOGIN;"
            "GRANT pg_monitor, pg_signal_backend, rds_password, rds_replication TO rds_superuser"
            " WITH ADMIN OPTION;" + (f"GRANT rds_iam TO rds_superuser {admin_only};" if admin_only else "")
        )
        self.execute(
            SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB IN ROLE rds_superuser PASSWORD {}").format(
                Identifier(master_user), Literal(master_password)
            )
        )

    def _write_configuration(self) -> None:
        own = {
            "port": str(self.port),
            "unix_socket_directories": str(self.directory),
            "cluster_name": self.directory.name,
        }
        if self._primary is not None:
            own["primary_conninfo"] = (
                f"host={self._primary.socket_path.parent} port={self._primary.port} user={SUPERUSER}"
                f" application_name={self.directory.name}"
            )
        archive = archive_of(self.directory)
        if archive.is_dir():
            own |= {"archive_mode": "on", "archive_command": _archive_command(archive)}
        own |= self._recovery
        (self.directory / "data" / "postgresql.conf").write_text(configuration(self._settings, own))
        (self.directory / "data" / "pg_hba.conf").write_text(ACCESS_RULES)

    def _apply_settings(self) -> None:
        self._write_configuration()
        if not self.is_running:
            self.start()
            return
        self.execute("SELECT pg_reload_conf()")
        errors = self.execute(
            "SELECT format('%s = %s: %s', name, setting, error) FROM pg_file_settings"
            " WHERE error IS NOT NULL"
            " AND name NOT IN (SELECT name FROM pg_settings WHERE pending_restart)"
        )
        if errors:
            raise ProgramFailed(f"PostgreSQL does not take {errors}")
        if self.execute("SELECT name FROM pg_settings WHERE pending_restart"):
            self.stop()
            self.start()

    def _becomes_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the server reports itself ready, in the file where pg_ctl too looks for it."""
        status_file = self.directory / "data" / "postmaster.pid"
        deadline = time.monotonic() + (REPLAY_TIMEOUT_SECONDS if self._recovery else START_TIMEOUT_SECONDS)
        while time.monotonic() < deadline and process.poll() is None:
            try:
                lines = status_file.read_text().splitlines()
            except FileNotFoundError:
                lines = []
            if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                return True
            time.sleep(0.005)
        self.kill()
        return False


_as_text = extensions.new_type(tuple(extensions.string_types), "TEXT", lambda value, _cursor: value)


def _archive_command(archive: Path) -> str:
    """A segment is in the archive as a whole or not at all, and does not change there any more."""
    place = shlex.quote(str(archive)).replace("%", "%%")
    return f"cp %p {place}/.%f && mv {place}/.%f {place}/%f"


@contextmanager
def _errors_as_failures() -> Iterator[None]:
    """What the server refuses is a ProgramFailed with its words."""
    try:
        yield
    except psycopg2.Error as error:
        raise ProgramFailed(f"PostgreSQL: {str(error).strip()}") from error


@contextmanager
def _removed_on_failure(directory: Path) -> Iterator[list[PostgresqlServer]]:
    """What was built so far goes when the building fails."""
    built: list[PostgresqlServer] = []
    try:
        yield built
    except BaseException:
        for server in built:
            server.stop("immediate")
        shutil.rmtree(directory, ignore_errors=True)
        raise
