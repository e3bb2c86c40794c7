"""Generated lines as a source: loaded as they are made, without a file between."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from seed_data import generator
from seed_data.data_file import Block


class Generated:
    """So many lines from a seed. Its loads leave the rows that a load of the written file would leave."""

    can_be_read_again = True

    def __init__(self, lines: int, seed: int = generator.DEFAULT_SEED) -> None:
        """Raise ValueError for numbers that no generator takes."""
        generator.check(lines)
        self.name = f"generated: {lines:,} lines from seed {seed}"
        self._lines = lines
        self._seed = seed

    def size_bytes(self) -> int:
        """Return the number of lines: nothing is stored, and lines are what progress is counted by."""
        return self._lines

    @contextmanager
    def open(self) -> Iterator[GeneratedFile]:
        """Begin with the first line."""
        yield GeneratedFile(self._lines, self._seed)


class GeneratedFile:
    """What a load reads of a generated source, in the place of a data file."""

    def __init__(self, lines: int, seed: int) -> None:
        self.bytes_read = 0
        """Lines made so far, in the unit of the source's size."""
        self._lines = lines
        self._seed = seed

    @property
    def digest(self) -> str:
        """What tells this content from any other: the generator's version, the number of lines, the seed."""
        identity = f"generator {generator.VERSION}, {self._lines} lines, seed {self._seed}"
        return hashlib.sha256(identity.encode()).hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """Yield nothing: the digest is known without reading."""
        return iter(())

    def data_blocks(self) -> Iterator[Block]:
        """Yield the lines, numbered as in a file with a header; none of none."""
        number = 2
        for lines in generator.blocks(self._lines, self._seed):
            self.bytes_read += len(lines)
            yield Block(number, lines)
            number += len(lines)
