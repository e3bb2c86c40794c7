"""The data directory that every new MySQL server begins with."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from localcloud.aurora.mysql_packages import Tell, cache_directory, one_at_a_time
from localcloud.aurora.mysql_programs import MysqlPrograms
from localcloud.aurora.server_place import give_away

_SMALL_AT_BIRTH = ("--innodb-redo-log-capacity=8M", "--innodb-doublewrite=OFF", "--skip-log-bin")


def make_pristine(programs: MysqlPrograms, tell: Tell = lambda _: None) -> Path:
    """A data directory as mysqld --initialize makes it; made once per version, for that takes two seconds."""
    cache = cache_directory()
    pristine = cache / f"pristine-{programs.version}"
    with one_at_a_time(cache / "lock"):
        if not pristine.is_dir():
            tell(f"initializing MySQL {programs.version}, once")
            with tempfile.TemporaryDirectory(prefix="new-", dir=cache) as directory:
                give_away(Path(directory))
                made, partial = Path(directory) / "made", Path(directory) / "partial"
                options = (*programs.server_options, *_SMALL_AT_BIRTH, f"--datadir={made}")
                programs.run([*programs.mysqld, "--no-defaults", "--initialize-insecure", *options])
                (made / "auto.cnf").unlink()  # each server gets an identity of its own
                shutil.copytree(made, partial)  # which is ours
                partial.rename(pristine)  # there as a whole, or not at all
    return pristine
