"""The folder of migrations: which files it holds, in which order, and what tells one content from another."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from typing import NamedTuple

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
NAMES = (
    "V<number>__<name>.sql for what runs once, in the order of the numbers, "
    "R__<name>.sql for what runs again whenever it changes; "
    "a number has up to 18 digits, a name has letters, digits, '_', '-' and '.'"
)

OPTIONAL = "optional"
"""The folder beside the files in which further sets of them lie, each applied only where it is asked for."""

_SET = re.compile(r"[a-z][a-z0-9_]*")
_NAME = re.compile(r"(?:V([0-9]{1,18})|R)__[A-Za-z0-9_.-]+\.sql")


class FilesRefused(Exception):
    """The folder cannot be migrated from; the message names every file that is at fault, and the rule."""


class Migration(NamedTuple):
    """One file: its name, its number (None where it is repeatable), its text and the SHA-256 of it."""

    name: str
    version: int | None
    text: str
    checksum: str

    @property
    def kind(self) -> str:
        """`versioned` or `repeatable`, as the history records it."""
        return "repeatable" if self.version is None else "versioned"


class MigrationFiles(NamedTuple):
    """All migrations in the order in which they run: versioned by number, then repeatable by name."""

    migrations: tuple[Migration, ...]
    digest: str
    """SHA-256 over names and contents; equal on every system, whatever its line ends."""

    @property
    def highest_version(self) -> int:
        """The last version that the files know, 0 where none does."""
        return max((one.version for one in self.migrations if one.version is not None), default=0)


def read_files(directory: str | os.PathLike[str], optional: Sequence[str] = ()) -> MigrationFiles:
    """Return the folder's migrations, or raise FilesRefused naming everything that is wrong with it.

    Hidden files, folders, and files that do not end in .sql are no migrations; `optional` names sets in
    the folder optional/ that belong to them all the same.
    """
    problems: list[str] = []
    migrations = [_read(directory, name, problems) for name in _sql_names(directory)]
    for chosen in optional:
        migrations += _read_set(directory, chosen, problems)
    problems += _duplicates([one for one in migrations if one is not None])
    if problems:
        raise FilesRefused("\n".join(problems))
    found = [one for one in migrations if one is not None]
    if not found:
        raise FilesRefused(f"{directory} holds no migration: expected files named {NAMES}")
    return MigrationFiles(tuple(sorted(found, key=_order)), _digest(found))


def _read_set(directory: str | os.PathLike[str], chosen: str, problems: list[str]) -> list[Migration | None]:
    """Read an optional set. Without numbers it stands in the way of no later file (docs/adr/0089)."""
    if not _SET.fullmatch(chosen):
        problems.append(f"{chosen[:80]!a} is no name of an optional set: expected letters, digits and '_'")
        return []
    folder = os.path.join(directory, OPTIONAL, chosen)
    names = _sql_names(folder)
    problems += [
        f"{OPTIONAL}/{chosen}/{name} has a number: an optional set has repeatable files only (R__<name>.sql)"
        for name in names
        if version_of(name)
    ]
    return [_read(folder, name, problems) for name in names]


def version_of(name: str) -> str:
    """Return the number as the file's name writes it, such as `0003`; empty for a repeatable file."""
    named = _NAME.fullmatch(name)
    return named[1] or "" if named else ""


def _sql_names(directory: str | os.PathLike[str]) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return sorted(
                entry.name
                for entry in entries
                if entry.name.lower().endswith(".sql")
                and not entry.name.startswith(".")
                and not entry.is_dir()
            )
    except OSError as error:
        raise FilesRefused(f"{directory} cannot be read: {error.strerror}") from error


def _read(directory: str | os.PathLike[str], name: str, problems: list[str]) -> Migration | None:
    named = _NAME.fullmatch(name)
    if named is None:
        problems.append(f"{name[:200]!a} is no migration's name: expected {NAMES}")
        return None
    try:
        with open(os.path.join(directory, name), "rb", buffering=0) as file:
            content = _normalised(file.read())
        text = content.decode()
        line_of_nul = text.count("\n", 0, text.index("\0")) + 1 if "\0" in text else 0
    except OSError as error:
        problems.append(f"{name} cannot be read: {error.strerror}")
        return None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problems.append(f"{name}:{line}: byte {error.object[error.start]:#04x} is not UTF-8")
        return None
    if line_of_nul:
        problems.append(f"{name}:{line_of_nul}: a NUL byte, which no SQL text may hold")
    version = int(named[1]) if named[1] else None
    return Migration(name, version, text, hashlib.sha256(content).hexdigest())


def _normalised(content: bytes) -> bytes:
    """Return the content as every editor's save leaves it: without byte order mark, with LF line ends."""
    return content.removeprefix(BYTE_ORDER_MARK).replace(b"\r\n", b"\n")


def _duplicates(migrations: list[Migration]) -> list[str]:
    names_of: dict[int, list[str]] = {}
    for one in migrations:
        if one.version is not None:
            names_of.setdefault(one.version, []).append(one.name)
    repeatable = [one.name for one in migrations if one.version is None]
    twice = sorted({name for name in repeatable if repeatable.count(name) > 1})
    return [f"{name} is there twice: rename the one of the optional set" for name in twice] + [
        f"version {version} is used by {' and '.join(names)}: give each file a number of its own"
        for version, names in sorted(names_of.items())
        if len(names) > 1
    ]


def _order(migration: Migration) -> tuple[bool, int, str]:
    return migration.version is None, migration.version or 0, migration.name


def _digest(migrations: list[Migration]) -> str:
    """Hash what the stacks' digest of the same folder hashes: a test holds the two together."""
    digest = hashlib.sha256()
    for one in sorted(migrations):
        digest.update(one.name.encode() + b"\0" + one.text.encode() + b"\0")
    return digest.hexdigest()
