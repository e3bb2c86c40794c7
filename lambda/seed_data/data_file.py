"""A data file as blocks of lines: unpacked, decoded and counted on the way, never held as a whole."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from typing import NamedTuple, Protocol

CHUNK_BYTES = 256 * 1024
LONGEST_LINE = 65_536
GZIP_MAGIC = b"\x1f\x8b"
BYTE_ORDER_MARK = "\ufeff"


class UnusableFile(Exception):
    """The file as a whole cannot be loaded; the message names the line, the reason and the next step."""


class Readable(Protocol):
    """Bytes to read once: a file, standard input, an S3 object's body."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes, none at the end."""


class Block(NamedTuple):
    """Consecutive lines without their ends; `first_number` counts from 1 as editors do."""

    first_number: int
    lines: list[str]

    @property
    def last_number(self) -> int:
        """Number of the last line."""
        return self.first_number + len(self.lines) - 1


class DataFile:
    """Reads one stream once, gzipped or not. `digest` covers the content, however it was packed."""

    def __init__(self, stream: Readable) -> None:
        self._packed = _Counting(stream)
        self._digest = hashlib.sha256()

    @property
    def bytes_read(self) -> int:
        """Bytes taken from the stream so far, as they are stored: what a progress can be measured by."""
        return self._packed.bytes_read

    @property
    def digest(self) -> str:
        """The SHA-256 of the unpacked content that was read so far."""
        return self._digest.hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """Yield the unpacked content, a few hundred kilobytes at a time."""
        packed = io.BufferedReader(self._packed, CHUNK_BYTES)
        is_gzip = packed.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC)
        unpacked: Readable = gzip.GzipFile(fileobj=packed) if is_gzip else packed
        while chunk := _read(unpacked):
            self._digest.update(chunk)
            yield chunk

    def blocks(self) -> Iterator[Block]:
        """Yield the file's lines; raises UnusableFile where it is damaged or no text in UTF-8."""
        rest = b""
        number = 1
        for chunk in self.chunks():
            complete, newline, rest = (rest + chunk).rpartition(b"\n")
            if newline:
                lines = _lines(complete, number)
                yield Block(number, lines)
                number += len(lines)
            elif len(rest) > LONGEST_LINE:
                raise _line_too_long(number)
        if rest:
            yield Block(number, _lines(rest, number))


class _Counting(io.RawIOBase):
    """Gives any stream with a `read` the interface that io and gzip want, and counts what passes."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # a Buffer from 3.12 on
        """Fill the buffer: a pipe's first read may return one byte, too few to tell gzip from text."""
        filled = 0
        while filled < len(buffer) and (data := self._stream.read(len(buffer) - filled)):
            buffer[filled : filled + len(data)] = data
            filled += len(data)
        self.bytes_read += filled
        return filled


def _read(unpacked: Readable) -> bytes:
    try:
        return unpacked.read(CHUNK_BYTES)
    except EOFError:
        raise UnusableFile("the gzip file ends in the middle: it is truncated; fetch it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnusableFile(f"the gzip file is damaged: {error}; fetch it again") from None


def _lines(content: bytes, first_number: int) -> list[str]:
    """Decode complete lines, their last newline taken off."""
    if b"\0" in content:
        number = first_number + content[: content.index(b"\0")].count(b"\n")
        raise UnusableFile(f"line {number} holds a NUL byte: expected text in UTF-8")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        number = first_number + content[: error.start].count(b"\n")
        raise UnusableFile(
            f"line {number} is not UTF-8 (byte {content[error.start]:#04x}): save the file as UTF-8"
        ) from None
    if first_number == 1:
        text = text.removeprefix(BYTE_ORDER_MARK)
    lines = text.split("\n")
    if "\r" in text:
        lines = [line.removesuffix("\r") for line in lines]
    if max(map(len, lines)) > LONGEST_LINE:
        index = next(i for i, line in enumerate(lines) if len(line) > LONGEST_LINE)
        raise _line_too_long(first_number + index)
    return lines


def _line_too_long(number: int) -> UnusableFile:
    return UnusableFile(f"line {number} is longer than {LONGEST_LINE:,} characters: expected an invoice line")
