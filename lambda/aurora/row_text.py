r"""Rows as the text that COPY and LOAD DATA both read by default: tabs between, \N for NULL, \ to escape."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from typing import IO, cast

NULL = r"\N"
MEMORY_BYTES = 4 * 1024 * 1024
ROWS_AT_ONCE = 1000

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def escaped(text: str) -> str:
    """Return text that the server reads back verbatim, `\\N` included."""
    return text if text.isprintable() and "\\" not in text else text.translate(_ESCAPES)


def row(*values: str | int | Decimal | None) -> str:
    """Return one row, its newline included; None is NULL."""
    return "\t".join([_field(value) for value in values]) + "\n"


def _field(value: str | int | Decimal | None) -> str:
    if isinstance(value, str):
        return escaped(value)
    return NULL if value is None else str(value)


class Spool:
    """Rows kept for later in bounded memory: past a few megabytes they go on in a temporary file."""

    def __init__(self) -> None:
        self.count = 0
        self._recent: list[str] = []
        self._file = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115 - closed by `close`

    def add(self, text: str) -> None:
        """Keep one row, its newline included."""
        self.count += 1
        self._recent.append(text)
        if len(self._recent) >= ROWS_AT_ONCE:
            self._write_recent()

    def file(self) -> IO[bytes]:
        """Return everything that was added, from the first row on. Nothing may be added after."""
        self._write_recent()
        self._file.seek(0)
        return cast(IO[bytes], self._file)

    def close(self) -> None:
        """Forget everything."""
        self._file.close()

    def _write_recent(self) -> None:
        self._file.write("".join(self._recent).encode())
        self._recent.clear()
