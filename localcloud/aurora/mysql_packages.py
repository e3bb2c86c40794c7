"""A MySQL server from Debian's packages, unpacked into a cache: the system itself is not touched.

Debian's stable releases carry no MySQL, its unstable suite does. The packages come from the mirror that this
machine is configured with, checked by apt against Debian's own keys, and are started with the loader and
libraries that they bring, so that they run on older releases too.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PACKAGES = ("mysql-server-core", "mysql-client-core")
SUITE = "sid"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
NOT_NEEDED = (
    "perl",
    "libperl",
    "libc-gconv",
)  # of what the packages depend on: 100 MB that mysqld never opens
DOWNLOAD_SECONDS = 600
_TELL_EVERY_SECONDS = 2.0

Tell = Callable[[str], None]


class NotAvailable(RuntimeError):
    """MySQL cannot be had this way; the message says why."""


def cache_directory() -> Path:
    """Return where unpacked packages stay from one cloud to the next.

    Root's home is closed to the account that database servers run as where we are root.
    """
    own = Path("/var/cache") if os.geteuid() == 0 else Path.home() / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or own) / "localcloud" / "mysql"


def unpacked_before() -> Path | None:
    """Return what an earlier call of `unpacked` has left, if there was one."""
    directory = cache_directory() / "unpacked"
    return directory if directory.is_dir() else None


def unpacked(tell: Tell) -> Path:
    """Return the directory that holds MySQL's usr/, fetched on first use; `tell` hears what takes long.

    Whoever else needs it at the same time waits for the one fetch. Raises NotAvailable.
    """
    if before := unpacked_before():
        return before
    cache = cache_directory()
    directory = cache / "unpacked"
    with one_at_a_time(cache / "lock"), tempfile.TemporaryDirectory(dir=cache) as temporary:
        if not directory.is_dir():
            whole = Path(temporary) / "unpacked"
            _unpack(_download(Path(temporary), tell), whole, tell)
            whole.rename(directory)  # there as a whole, or not at all
    return directory


def require_debian() -> dict[str, str]:
    """Return what the system says of itself; NotAvailable where nothing can be fetched this way."""
    system = _os_release()
    if system.get("ID") != "debian" or not KEYRING.exists():
        raise NotAvailable(f"this system is {system.get('PRETTY_NAME', 'unknown')}, not Debian")
    return system


def download(packages: Sequence[str], directory: Path, *, suite: str) -> list[Path]:
    """Return the archives of the packages and of all that they depend on, fetched into a directory.

    Raises NotAvailable.
    """
    options = _private_apt(directory, suite)
    _run("apt-get", *options, "update")
    _run("apt-get", *options, "--yes", "--no-install-recommends", "--download-only", "install", *packages)
    return sorted((directory / "cache" / "archives").glob("*.deb"))


def unpack(packages: Sequence[Path], directory: Path) -> None:
    """Have the archives' files in a new directory, but for what no program here ever opens."""
    directory.mkdir()
    for package in packages:
        if not package.name.startswith(NOT_NEEDED):
            _run("dpkg-deb", "--extract", str(package), str(directory))


def _download(temporary: Path, tell: Tell) -> list[Path]:
    tell(f"fetching MySQL from Debian's suite {SUITE}: 66 MB, once")
    with _progress(temporary / "cache" / "archives", tell):
        return download(PACKAGES, temporary, suite=SUITE)


@contextmanager
def _progress(directory: Path, tell: Tell) -> Iterator[None]:
    """Tell every few seconds how much of the download has come."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_TELL_EVERY_SECONDS):
            tell(f"fetched {_megabytes(directory)} of 66 MB")

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _megabytes(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        with suppress(OSError):  # apt has moved it
            total += path.stat().st_size
    return total // 1_000_000


def _unpack(packages: Sequence[Path], directory: Path, tell: Tell) -> None:
    tell(f"unpacking {len(packages)} packages, once")
    unpack(packages, directory)


def _private_apt(directory: Path, suite: str) -> list[str]:
    """Return options for apt that keep its state here and let it believe that nothing is installed."""
    (directory / "lists" / "partial").mkdir(parents=True)
    (directory / "cache" / "archives" / "partial").mkdir(parents=True)
    status, sources = directory / "status", directory / "sources.list"
    status.touch()
    sources.write_text(f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n")
    settings = {
        "Dir::State": directory,
        "Dir::State::lists": directory / "lists",
        "Dir::State::status": status,
        "Dir::Cache": directory / "cache",
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "APT::Sandbox::User": "",  # another account could not write here
    }
    return [f"--option={name}={value}" for name, value in settings.items()]


def _mirror() -> str:
    """Return where this machine gets the packages of its own Debian release."""
    system = require_debian()
    for line in _run("apt-get", "--print-uris", "update").splitlines():
        found = re.match(r"'(.+)/dists/([^/]+)/InRelease'", line)
        if found and found[2] == system.get("VERSION_CODENAME"):
            return found[1]
    raise NotAvailable(f"apt is configured with no mirror of {system.get('PRETTY_NAME')}")


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {"PRETTY_NAME": platform.system()}


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Keep every other process out that asks for the same lock file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(*command: str) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=DOWNLOAD_SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotAvailable(f"{command[0]}: {error}") from error
    if done.returncode:
        raise NotAvailable(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-1000:]}")
    return done.stdout
