"""sysbench and pgbouncer: of this machine where it has them, else of Debian's packages, unpacked."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.aurora.mysql_packages import (
    NotAvailable,
    download,
    one_at_a_time,
    require_debian,
    unpack,
)
from localcloud.aurora.postgresql_programs import can_enter
from operate.deployment import PROJECT

PLACE = PROJECT / "build" / "bench"
PACKAGES = ("sysbench", "pgbouncer")


@dataclass(frozen=True)
class LoadPrograms:
    """Commands, each with the loader and the libraries that its packages bring."""

    sysbench: tuple[str, ...]
    pgbouncer: tuple[str, ...]
    sysbench_environment: Mapping[str, str] = field(default_factory=dict)
    """Where its client library finds how to log in."""

    @classmethod
    def reachable_in(cls, directory: Path) -> LoadPrograms:
        """Return the programs, in a copy where the servers' account could not enter their place.

        Raises NotAvailable where neither this machine nor its Debian mirror has them.
        """
        installed = {name: shutil.which(name) or shutil.which(f"/usr/sbin/{name}") for name in PACKAGES}
        if all(installed.values()):
            return cls((str(installed["sysbench"]),), (str(installed["pgbouncer"]),))
        root = _fetched()
        if not can_enter(root):
            root = shutil.copytree(root, directory / "debian", symlinks=True)
        return cls._in(root)

    @classmethod
    def _in(cls, root: Path) -> LoadPrograms:
        libraries = [path for name in ("lib", "usr/lib") for path in (root / name).glob("*-linux-gnu*")]
        loader = next(found for path in libraries for found in path.glob("ld-linux*"))
        plugins = next(found for path in libraries for found in path.glob("libmariadb3/plugin"))
        prefix = (str(loader), "--library-path", ":".join(map(str, libraries)))
        return cls(
            (*prefix, str(root / "usr" / "bin" / "sysbench")),
            (*prefix, str(root / "usr" / "sbin" / "pgbouncer")),
            {"MARIADB_PLUGIN_DIR": str(plugins)},
        )


def _fetched() -> Path:
    """Return where the packages of the machine's own release are unpacked, fetched on first use."""
    directory = PLACE / "debian"
    suite = require_debian().get("VERSION_CODENAME")
    if not suite:
        raise NotAvailable("this Debian does not say which release it is")
    with one_at_a_time(PLACE / "debian.lock"), tempfile.TemporaryDirectory(dir=PLACE) as temporary:
        if not directory.is_dir():
            whole = Path(temporary) / "unpacked"
            unpack(download(PACKAGES, Path(temporary), suite=suite), whole)
            whole.rename(directory)  # there as a whole, or not at all
    return directory
