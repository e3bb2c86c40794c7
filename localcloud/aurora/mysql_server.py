"""A real MySQL server with Aurora's roles: created, cloned as a replica, started, stopped.

Two doors lead in. The Unix socket in the server's own directory (mode 0700) trusts `rdsadmin`, and admits to
the accounts of AWSAuthenticationPlugin whoever may enter that directory. The loopback port asks for passwords
and admits neither of them.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.constants import ER

from localcloud.aurora import mysql_aws_plugin
from localcloud.aurora.child_process import kill_with_children, launch
from localcloud.aurora.database_server import (
    CATCH_UP_SECONDS,
    CONNECT_SECONDS,
    Account,
    DatabaseServer,
    Measured,
)
from localcloud.aurora.mysql_accounts import MysqlAccounts
from localcloud.aurora.mysql_first_accounts import REPLICATION_USER, SUPERUSER, create_accounts
from localcloud.aurora.mysql_packages import Tell
from localcloud.aurora.mysql_pristine import make_pristine
from localcloud.aurora.mysql_programs import MysqlPrograms
from localcloud.aurora.postgresql_programs import ProgramFailed
from localcloud.aurora.server_place import copy_data, create_directory, free_port

BINARY_LOG = "binlog"
RELAY_LOG = "relay"
REPLAY_SECONDS = 3600
"""How long a log may take that is replayed."""
START_TIMEOUT_SECONDS = 60.0
_PORT_ATTEMPTS = 20

# Ours whatever the parameter groups say.
_OURS = {
    "bind_address": "127.0.0.1",
    "mysqlx": "OFF",
    "skip_name_resolve": "ON",  # else 127.0.0.1 passes for localhost, whose rdsadmin has no password
    "secure_file_priv": "",
    "gtid_mode": "ON",
    "enforce_gtid_consistency": "ON",
    "log_bin": BINARY_LOG,
    "binlog_expire_logs_seconds": "0",  # they go with the backup that they belong to
    "binlog_format": "ROW",
    "plugin_load_add": f"mysql_clone.so;{mysql_aws_plugin.FILE}",
    "log_error_verbosity": "2",
}
# A laptop's database is rebuilt from its template, so nothing waits for the disk: a commit survives the death
# of the server, not that of the machine.
NOT_DURABLE = {
    "innodb_flush_log_at_trx_commit": "2",
    "sync_binlog": "0",
    "innodb_doublewrite": "OFF",
}
_DEFAULTS = {
    "max_connections": "300",
    "innodb_buffer_pool_size": "128M",
    "local_infile": "ON",
    "default_time_zone": "+00:00",
}

_MEASURE = f"""
    SELECT (SELECT count(*) FROM information_schema.processlist
             WHERE user NOT IN ('system user', 'event_scheduler', '{SUPERUSER}', '{REPLICATION_USER}')),
           (SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'),
           (SELECT sum(file_size) FROM information_schema.innodb_tablespaces),
           (SELECT count FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len'),
           (SELECT max(IF(applying_transaction = '', 0, timestampdiff(
                       MICROSECOND, applying_transaction_original_commit_timestamp, now(6)) / 1000))
              FROM performance_schema.replication_applier_status_by_worker)
"""  # noqa: S608 - names of ours


class MysqlServer:
    """One server: its directory, its process, its two doors. On Linux it ends when we end."""

    def __init__(
        self,
        directory: Path,
        programs: MysqlPrograms,
        settings: Mapping[str, str],
        *,
        primary: MysqlServer | None = None,
        replication_password: str | None = None,
    ) -> None:
        self.directory = directory
        self.programs = programs
        self.port = 0
        self.is_writer = primary is None
        self._settings = dict(settings)
        self._replication_password = replication_password or secrets.token_urlsafe(24)
        self._replaying: dict[str, str] = {}
        self._server_id = secrets.randbelow(2**32 - 1) + 1
        self._process: subprocess.Popen[bytes] | None = None
        self._cloning = threading.Lock()
        self._accounts = MysqlAccounts(lambda: self.connect(SUPERUSER))

    @classmethod
    def initialize(
        cls,
        directory: Path,
        *,
        master_user: str,
        master_password: str,
        database: str | None = None,
        parameters: Mapping[str, str] | None = None,
        durable: bool = False,
        tell: Tell = lambda _: None,
    ) -> MysqlServer:
        """A new running writer with Aurora's roles, the master user and, where named, its first database.

        `directory` must not exist yet; if we are root, its parents must be open to `nobody` (mode 0711).
        `durable` survives a crash of the machine too; without it only a crash of the server.
        """
        programs = MysqlPrograms.find(tell)
        create_directory(directory, longest_socket_name="mysql.sock")
        server = cls(directory, programs, {**({} if durable else NOT_DURABLE), **(parameters or {})})
        with _removed_on_failure(server):
            copy_data(make_pristine(programs, tell), directory / "data")
            server._make_plugins()
            server.start(as_user="root")
            with _errors_as_failures(), closing(server.connect("root")) as connection:
                create_accounts(
                    connection,
                    version=programs.version,
                    master_user=master_user,
                    master_password=master_password,
                    replication_password=server._replication_password,
                    database=database,
                )
        return server

    @classmethod
    def clone(
        cls, primary: MysqlServer, directory: Path, parameters: Mapping[str, str] | None = None
    ) -> MysqlServer:
        """A running reader that replicates from `primary` and has what was committed there before.

        Its settings are the primary's unless `parameters` gives its own.
        """
        create_directory(directory, longest_socket_name="mysql.sock")
        settings = primary._settings if parameters is None else {**primary._durability, **parameters}
        reader = cls(
            directory,
            primary.programs,
            settings,
            primary=primary,
            replication_password=primary._replication_password,
        )
        with _removed_on_failure(reader), _errors_as_failures():
            primary.back_up(directory / "data")
            reader._make_plugins()
            reader.start()
            reader.follow(primary)
        return reader

    @classmethod
    def restore(
        cls, data: Path, directory: Path, *, parameters: Mapping[str, str] | None = None
    ) -> MysqlServer:
        """A new running writer with the data of a backup, which stays as it is."""
        programs = MysqlPrograms.find()
        create_directory(directory, longest_socket_name="mysql.sock")
        server = cls(directory, programs, {**NOT_DURABLE, **(parameters or {})})
        with _removed_on_failure(server), _errors_as_failures():
            copy_data(data, directory / "data")
            server._make_plugins()
            server.start()
            server.change_replication_password()
        return server

    @classmethod
    def replay(
        cls,
        data: Path,
        directory: Path,
        lay_down: Callable[[Path], str | None],
        *,
        is_pristine: bool,
        parameters: Mapping[str, str] | None = None,
    ) -> MysqlServer:
        """A new running writer with the data of a backup and the transactions of relay logs.

        `lay_down` puts these into its data directory and tells the last transaction, which may be none.
        """
        programs = MysqlPrograms.find()
        create_directory(directory, longest_socket_name="mysql.sock")
        server = cls(directory, programs, {**NOT_DURABLE, **(parameters or {})})
        with _removed_on_failure(server), _errors_as_failures():
            copy_data(data, directory / "data")
            last = lay_down(directory / "data")
            server._make_plugins()
            server._replaying = {"relay_log": RELAY_LOG, "skip_replica_start": "ON"}
            user = "root" if is_pristine else SUPERUSER
            server.start(as_user=user)
            if last is not None:
                server._apply_relay_logs(user, last)
            server._replaying = {}
            server.change_replication_password()
        return server

    @property
    def socket_path(self) -> Path:
        """The Unix socket."""
        return self.directory / "mysql.sock"

    @property
    def is_running(self) -> bool:
        """Whether the server's process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What the server has logged so far."""
        path = self.directory / "mysql.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, *, as_user: str = SUPERUSER) -> None:
        """Runs and accepts connections at both doors when this returns; a running server stays as it is.

        `as_user` is whom the private door trusts. Raises ProgramFailed with the server's own log when it does
        not come up.
        """
        if self.is_running:
            return
        for _ in range(_PORT_ATTEMPTS):
            self.port = self.port or free_port()
            length_before = len(self.log)
            self._process = launch(self._command(), log=self.directory / "mysql.log")
            if self._becomes_ready(self._process, as_user):
                return
            failure = self.log[length_before:]
            if "Can't start server: Bind on TCP/IP port" not in failure:
                break
            self.port = 0  # someone was faster
        errors = [line.partition("[ERROR]")[2].strip() for line in failure.splitlines() if "[ERROR]" in line]
        raise ProgramFailed(f"MySQL in {self.directory} did not start: {' '.join(errors) or 'no log'}")

    def stop(self, *, timeout_seconds: float = 30) -> None:
        """No longer running; its clients are disconnected."""
        self._accounts.close()
        process = self._process
        if process is None or process.poll() is not None:
            return
        self._let_readers_go()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            kill_with_children(process)

    def retire(self, successor: DatabaseServer) -> None:
        """It runs no longer, and this reader has received everything that it ever committed."""
        with _errors_as_failures():
            try:
                self._take_no_writes()
                if not successor.catch_up(self, timeout_seconds=CATCH_UP_SECONDS):
                    raise ProgramFailed(f"the reader did not catch up with {self.directory}")
            except (ProgramFailed, pymysql.Error):
                self._take_writes_again()
                raise
        self.kill()  # the reader has everything, and an orderly end would take seconds

    def kill(self) -> None:
        """The server ends by SIGKILL, as when the power of one machine fails."""
        self._accounts.close()
        process = self._process
        if process is not None and process.poll() is None:
            kill_with_children(process)

    def remove(self) -> None:
        """The server is ended without saving anything, and its directory is gone."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def execute(
        self, statement: str, parameters: Sequence[object] | None = None, *, database: str | None = None
    ) -> str:
        """The result of a statement run as superuser, as `mysql -N` prints it: tabs between columns."""
        with closing(self.connect(SUPERUSER, database=database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            rows = cursor.fetchall()
        return "\n".join("\t".join("NULL" if value is None else str(value) for value in row) for row in rows)

    def connect(self, user: str, *, password: str = "", database: str | None = None) -> Connection[Any]:
        """A connection in autocommit mode by the private door: rdsadmin, IAM accounts, or by password."""
        return Connection(
            unix_socket=str(self.socket_path),
            user=user,
            password=password,
            database=database,
            autocommit=True,
            charset="utf8mb4",
            connect_timeout=CONNECT_SECONDS,
            ssl_disabled=True,  # else the driver prepares for TLS, which a socket has no use for: 20 ms
        )

    def configure(self, settings: Mapping[str, str]) -> None:
        """These settings are in force when this returns, after a restart.

        Raises ProgramFailed with the server's words for a bad value; the former settings are then in force.
        """
        former = self._settings
        wanted = {**self._durability, **settings}
        if wanted == former:
            return
        self._settings = wanted
        was_running = self.is_running
        self.stop()
        try:
            self.start()
        except ProgramFailed:
            self._settings = former
            if was_running:
                self.start()
            raise

    def follow(self, primary: DatabaseServer) -> None:
        """A reader replicates from this primary from now on, and takes no writes."""
        self.is_writer = False
        with (
            _errors_as_failures(),
            closing(self.connect(SUPERUSER)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SET GLOBAL super_read_only = ON")
            cursor.execute("STOP REPLICA")
            cursor.execute(
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = %s,"
                " SOURCE_USER = %s, SOURCE_PASSWORD = %s, SOURCE_AUTO_POSITION = 1,"
                " GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 86400",
                [primary.port, REPLICATION_USER, self._replication_password],
            )
            cursor.execute("START REPLICA")

    def promote(self) -> None:
        """A reader takes writes from now on, once it has applied what it received; a writer stays one."""
        if self.is_writer:
            return
        with (
            _errors_as_failures(),
            closing(self.connect(SUPERUSER)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("STOP REPLICA IO_THREAD")
            cursor.execute(
                "SELECT WAIT_FOR_EXECUTED_GTID_SET(RECEIVED_TRANSACTION_SET, 30)"
                " FROM performance_schema.replication_connection_status"
            )
            if cursor.fetchone() == (1,):
                raise ProgramFailed(f"MySQL in {self.directory} did not apply what it received within 30 s")
            cursor.execute("STOP REPLICA")
            cursor.execute("RESET REPLICA ALL")
            cursor.execute("SET GLOBAL super_read_only = OFF")
            cursor.execute("SET GLOBAL read_only = OFF")
        self.is_writer = True

    def back_up(self, data: Path) -> None:
        """Its data are there as they were when this returns."""
        with (
            _errors_as_failures(),
            self._cloning,
        ):  # MySQL makes one clone at a time, and refuses a second one
            self.execute("CLONE LOCAL DATA DIRECTORY = %s", [str(data)])

    def end_binary_log(self) -> None:
        """What is committed later is in the next one; raises ProgramFailed when it does not answer."""
        with _errors_as_failures():
            self.execute("FLUSH BINARY LOGS")

    def purge_binary_logs(self, first: str) -> None:
        """Those before this one are gone; raises ProgramFailed when it does not answer."""
        with _errors_as_failures():
            self.execute("PURGE BINARY LOGS TO %s", [first])

    def change_replication_password(self) -> None:
        """Its readers log in with the password that this object knows, not with that of its data's origin."""
        self.execute(
            f"ALTER USER {REPLICATION_USER}@'127.0.0.1' IDENTIFIED BY %s", [self._replication_password]
        )

    def measure(self) -> Measured:
        """What CloudWatch is told of it; raises ProgramFailed when it does not answer."""
        with _errors_as_failures():
            connections, deadlocks, volume, history, lag = self.execute(_MEASURE).split("\t")
        return Measured(
            int(connections),
            int(deadlocks),
            int(volume),
            replica_lag_ms=None if self.is_writer or lag == "NULL" else float(lag),
            history_length=int(history),
        )

    def account(self, user: str) -> Account:
        """How a user logs in now; ConnectionError when the server does not answer."""
        return self._accounts.find(user)

    def change_password(self, user: str, password: str) -> None:
        """The user logs in with this password from now on."""
        self.execute("ALTER USER %s@'%%' IDENTIFIED BY %s", [user, password])

    def catch_up(self, writer: DatabaseServer, *, timeout_seconds: float) -> bool:
        """Whether this reader has within the time what the writer has committed by now."""
        return isinstance(writer, MysqlServer) and self.wait_for(writer, timeout_seconds=timeout_seconds)

    def wait_for(self, writer: MysqlServer, *, timeout_seconds: float = 30) -> bool:
        """Whether this reader has everything within the time that the writer has committed by now."""
        position = writer.execute("SELECT @@GLOBAL.gtid_executed")
        waited = self.execute("SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s)", [position, timeout_seconds])
        return waited == "0"

    @property
    def _durability(self) -> dict[str, str]:
        return {name: self._settings[name] for name in NOT_DURABLE if name in self._settings}

    def _let_readers_go(self) -> None:
        """An orderly end waits eight seconds while readers listen, who come again by themselves.

        One that is about to listen goes too. https://github.com/mysql/mysql-server/blob/8.4/sql/mysqld.cc,
        close_connections: as many looks, a second apart.
        """
        if not self.is_writer:
            return
        with (
            suppress(pymysql.Error),
            closing(self.connect(SUPERUSER)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(
                "SELECT id FROM information_schema.processlist WHERE user IN (%s, 'unauthenticated user')",
                [REPLICATION_USER],
            )
            _end(cursor)

    def _take_no_writes(self) -> None:
        """Nothing commits any more when this returns.

        Clients go first. One that waits for another's row keeps the setting waiting, and the setting keeps
        the other one's next statement from beginning: nobody would move until somebody gives up.
        """
        deadline = time.monotonic() + CATCH_UP_SECONDS
        with closing(self.connect(SUPERUSER)) as connection, connection.cursor() as cursor:
            cursor.execute("SET lock_wait_timeout = 1")
            while True:
                _end_clients(cursor)
                try:
                    cursor.execute("SET GLOBAL super_read_only = ON")
                except pymysql.OperationalError as error:
                    if error.args[0] != ER.LOCK_WAIT_TIMEOUT or time.monotonic() > deadline:
                        raise
                else:
                    return

    def _take_writes_again(self) -> None:
        """Undoes `_take_no_writes`. A server that cannot be told so ends: it will start as a writer."""
        try:
            self.execute("SET GLOBAL read_only = OFF")
        except pymysql.Error:
            self.kill()

    def _apply_relay_logs(self, user: str, last: str) -> None:
        """Everything up to this transaction is executed, as on a replica: in parallel, by nobody's rights.

        What the data have already is left out. One session does it: on the way root becomes rdsadmin.
        """
        with closing(self.connect(user)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_AUTO_POSITION = 0,"
                f" RELAY_LOG_FILE = '{RELAY_LOG}.000001', RELAY_LOG_POS = 4"
            )
            cursor.execute("START REPLICA SQL_THREAD")
            deadline = time.monotonic() + REPLAY_SECONDS
            while True:
                cursor.execute("SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, 1)", [last])
                if cursor.fetchone() == (0,):
                    break
                _refuse_to_wait_on(cursor, over=time.monotonic() > deadline)
            cursor.execute("STOP REPLICA")
            cursor.execute("RESET REPLICA ALL")

    def _command(self) -> list[str]:
        own = {
            "datadir": str(self.directory / "data"),
            "socket": str(self.socket_path),
            "pid_file": str(self.directory / "mysql.pid"),
            "plugin_dir": str(self.directory / "plugins"),
            "tmpdir": str(self.directory),
            "port": str(self.port),
            "server_id": str(self._server_id),
            "report_host": self.directory.name,
            "super_read_only": "OFF" if self.is_writer else "ON",
        }
        settings = {**_DEFAULTS, **self._settings, **_OURS, **own, **self._replaying}
        options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        return [*self.programs.mysqld, "--no-defaults", *self.programs.server_options, *options]

    def _make_plugins(self) -> None:
        """MySQL reads plugins from one directory only: links to its own, and ours."""
        plugins = self.directory / "plugins"
        plugins.mkdir(mode=0o755)
        for library in self.programs.plugin_directory.glob("*.so"):
            (plugins / library.name).symlink_to(library)
        mysql_aws_plugin.make(self.programs.plugin_directory, plugins)

    def _becomes_ready(self, process: subprocess.Popen[bytes], user: str) -> bool:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                self.connect(user).close()
            except pymysql.OperationalError:
                time.sleep(0.01)
            else:
                return True
        self.kill()
        return False


def _end_clients(cursor: Any) -> None:
    """Every session ends but this one, the server's own and the readers'.

    One that is still logging in stays: it holds nothing, and to kill it ends another new one with it.
    """
    cursor.execute(
        "SELECT id FROM information_schema.processlist WHERE id <> connection_id()"
        " AND user NOT IN ('system user', 'event_scheduler', 'unauthenticated user', %s)",
        [REPLICATION_USER],
    )
    _end(cursor)


def _end(cursor: Any) -> None:
    """The sessions that were just selected end; one that has ended by itself has done so."""
    for (session,) in cursor.fetchall():
        try:
            cursor.execute("KILL %s", [session])
        except pymysql.OperationalError as error:
            if error.args[0] != ER.NO_SUCH_THREAD:
                raise


def _refuse_to_wait_on(cursor: Any, *, over: bool) -> None:
    """ProgramFailed where a replayed log has come to its end with an error, or time has."""
    cursor.execute(
        "SELECT last_error_message FROM performance_schema.replication_applier_status_by_coordinator"
        " WHERE last_error_number <> 0 UNION ALL"
        " SELECT last_error_message FROM performance_schema.replication_applier_status_by_worker"
        " WHERE last_error_number <> 0"
    )
    failed = cursor.fetchone()
    if failed or over:
        raise ProgramFailed(f"MySQL could not replay the log: {failed[0] if failed else 'it took too long'}")


@contextmanager
def _errors_as_failures() -> Iterator[None]:
    """What the server refuses is a ProgramFailed with its words."""
    try:
        yield
    except pymysql.Error as error:
        raise ProgramFailed(f"MySQL: {error.args[-1]}") from error


@contextmanager
def _removed_on_failure(server: MysqlServer) -> Iterator[None]:
    """What was built so far goes when the building fails."""
    try:
        yield
    except BaseException:
        server.remove()
        raise
