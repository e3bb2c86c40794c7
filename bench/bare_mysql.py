"""A bare MySQL server and its own client, and nothing of ours around them."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from localcloud.aurora.mysql_first_accounts import SUPERUSER
from localcloud.aurora.mysql_server import MysqlServer
from localcloud.aurora.server_place import give_away
from operate.deployment import PROJECT

MASTER = "shop_admin"
MASTER_PASSWORD = "of a server that lives for minutes"


class BareMysql:
    """A writer in a directory of its own, whose commits are on disk in redo log and binary log."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="bench-"))
        self._directory.chmod(0o711)
        give_away(self._directory)
        self.server = MysqlServer.initialize(
            self._directory / "writer",
            master_user=MASTER,
            master_password=MASTER_PASSWORD,
            parameters={"log_bin_trust_function_creators": "1"},  # so that the master user may make routines
            durable=True,
        )

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.server.socket_path

    def apply_migrations(self) -> None:
        """All migrations by one session of the mysql client."""
        folder = PROJECT / "schema" / "mysql"
        self.apply([*sorted(folder.glob("V*.sql")), *sorted(folder.glob("R*.sql"))])

    def apply(self, files: Sequence[Path], *, database: str | None = None) -> None:
        """The files by one session of the mysql client, statement by statement, as the master user."""
        # a file that ends in another delimiter must not hand it on to the next
        script = b"\nDELIMITER ;\n".join(file.read_bytes() for file in files)
        self.run(script, user=MASTER, password=MASTER_PASSWORD, database=database)

    def run(
        self,
        script: bytes,
        *,
        user: str = SUPERUSER,
        password: str = "",
        database: str | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """A script by the mysql client; raises CalledProcessError where a statement fails."""
        words = [*self.server.programs.mysql, "--no-defaults", f"--socket={self.socket}", f"--user={user}"]
        subprocess.run(
            [*words, *options, *([database] if database else [])],
            input=script,
            env={"MYSQL_PWD": password},
            check=True,
        )

    def remove(self) -> None:
        """Leave nothing."""
        self.server.remove()
        shutil.rmtree(self._directory, ignore_errors=True)
