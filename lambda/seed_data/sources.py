"""Where a data file comes from: a path, standard input, S3."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from seed_data.data_file import Readable, UnusableFile
from seed_data.generated import GeneratedFile

SAMPLE = Path(__file__).with_name("sample.csv")


class Source(Protocol):
    """A data file by its name. Every `open` starts at its first byte."""

    @property
    def name(self) -> str:
        """What its load is recorded under."""

    @property
    def can_be_read_again(self) -> bool:
        """Whether a second `open` finds the same bytes."""

    def size_bytes(self) -> int | None:
        """Return its size as stored, None where only reading tells."""

    def open(self) -> AbstractContextManager[Readable | GeneratedFile]:
        """Open it for reading."""


class PathSource:
    """A file of this machine."""

    can_be_read_again = True

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path

    def size_bytes(self) -> int:
        """Return the file's size, or raise UnusableFile where there is none."""
        with self.open():
            return self._path.stat().st_size

    @contextmanager
    def open(self) -> Iterator[Readable]:
        """Open the file, or raise UnusableFile saying why it cannot be read."""
        try:
            file = self._path.open("rb", buffering=0)
        except (OSError, ValueError) as error:
            raise UnusableFile(f"{self._path} cannot be read: {error}") from None
        with file:
            yield file


class StandardInput:
    """What is piped into the program: it can be read once."""

    name = "standard input"
    can_be_read_again = False

    def size_bytes(self) -> None:
        """Return None: a pipe tells nothing."""

    @contextmanager
    def open(self) -> Iterator[Readable]:
        """Open it; it is not ours to close."""
        yield sys.stdin.buffer


class S3Client(Protocol):
    """What is needed of boto3's client for S3."""

    def head_object(self, **parameters: str) -> Mapping[str, Any]:
        """Tell size and version of an object."""

    def get_object(self, **parameters: str) -> Mapping[str, Any]:
        """Open an object's body."""


class S3Object:
    """An object, streamed. Each `open` must find the version that the first look found."""

    can_be_read_again = True

    def __init__(self, client: S3Client, *, bucket: str, key: str, name: str) -> None:
        self.name = name
        self._client = client
        self._place = {"Bucket": bucket, "Key": key}
        self._head: Mapping[str, Any] | None = None

    def size_bytes(self) -> int:
        """Return the object's size."""
        return int(self._first_look()["ContentLength"])

    @contextmanager
    def open(self) -> Iterator[Readable]:
        """Open the object's body; botocore raises where the body ends early."""
        version = self._first_look()["ETag"]
        with self._named_errors():
            found = self._client.get_object(**self._place, IfMatch=version)
        with closing(found["Body"]) as body:
            yield body

    def _first_look(self) -> Mapping[str, Any]:
        if self._head is None:
            with self._named_errors():
                self._head = self._client.head_object(**self._place)
        return self._head

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Say which object cannot be had: the error's own words leave that out."""
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise UnusableFile(f"s3://{'/'.join(self._place.values())} cannot be read: {error}") from None
