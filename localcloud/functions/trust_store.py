"""The authorities that a function's TLS clients trust by default: the machine's and the local cloud's own."""

from __future__ import annotations

import os
import ssl
import threading
from pathlib import Path

import certifi


class TrustStore:
    """A bundle at one path for as long as the cloud lives; its authority joins once there is one."""

    def __init__(self, path: Path, *, own_authority: Path) -> None:
        self.path = path
        self._own_authority = own_authority
        self._lock = threading.Lock()
        self._complete = False
        self._write(_authorities_of_this_machine().read_bytes())

    def refresh(self) -> None:
        """Add the cloud's own authority as soon as there is one."""
        with self._lock:
            if not self._complete and self._own_authority.is_file():
                self._write(self._own_authority.read_bytes() + b"\n" + self.path.read_bytes())
                self._complete = True

    def _write(self, content: bytes) -> None:
        """Replace the bundle at once: a function may be reading it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_bytes(content)
        os.replace(unfinished, self.path)


def _authorities_of_this_machine() -> Path:
    found = ssl.get_default_verify_paths().cafile
    return Path(found) if found and Path(found).is_file() else Path(certifi.where())
