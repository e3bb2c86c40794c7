"""Deployed archives, unpacked once each."""

from __future__ import annotations

import io
import shutil
import stat
import threading
import zipfile
from pathlib import Path

LARGEST_UNPACKED_BYTES = 262_144_000
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 250 MB, unzipped."""


class CodeRefused(Exception):
    """AWS would not take this archive; the message is AWS's own."""


class CodeStore:
    """Unpacks each archive once, however many functions are made of it and however often they run."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        directory.mkdir(parents=True, exist_ok=True)

    def unpacked(self, archive: bytes, digest: str) -> Path:
        """Return the directory with the archive's files. `digest` names the content."""
        target = self._directory / digest
        with self._lock:
            if not target.is_dir():
                # A directory under its own name is complete, also when an earlier server was killed.
                unfinished = target.with_name(f"{digest}.unfinished")
                shutil.rmtree(unfinished, ignore_errors=True)
                _unpack(archive, unfinished)
                unfinished.rename(target)
        return target


def refusal_of_archive(archive: bytes) -> str | None:
    """Return why Lambda would not take the archive, or None when it would."""
    try:
        size = sum(member.file_size for member in zipfile.ZipFile(io.BytesIO(archive)).infolist())
    except zipfile.BadZipFile:
        return "Could not unzip uploaded file. Please check your file, then try to upload again."
    if size > LARGEST_UNPACKED_BYTES:
        return f"Unzipped size must be smaller than {LARGEST_UNPACKED_BYTES} bytes"
    return None


def _unpack(archive: bytes, directory: Path) -> None:
    """Unpack with the modes that the archive states: Lambda runs the programs that it brings."""
    if reason := refusal_of_archive(archive):
        raise CodeRefused(reason)
    directory.mkdir(parents=True)
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        for member in source.infolist():
            mode = member.external_attr >> 16
            if stat.S_ISLNK(mode):
                _link(source.read(member).decode(), directory / member.filename, within=directory)
                continue
            path = Path(source.extract(member, directory))
            if mode and path.is_file():
                path.chmod(stat.S_IMODE(mode) | stat.S_IRUSR | stat.S_IWUSR)


def _link(destination: str, path: Path, *, within: Path) -> None:
    """Make a symbolic link; CodeRefused for one that leads out of the archive's own files."""
    root = within.resolve()
    parent = path.parent.resolve()
    if not parent.is_relative_to(root) or not (parent / destination).resolve().is_relative_to(root):
        raise CodeRefused(
            f"Could not unzip uploaded file: {path.name} links to {destination}, outside of it."
        )
    parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(destination)
