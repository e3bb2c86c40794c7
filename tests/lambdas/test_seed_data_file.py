"""Reading a data file: packed or not, in pieces of any size, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seed_data.data_file import LONGEST_LINE, DataFile, UnusableFile


class Trickle:
    """A stream that returns a few bytes per read, as a network does."""

    def __init__(self, content: bytes, size: int) -> None:
        self._stream = io.BytesIO(content)
        self._size = size

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, self._size))


def lines_of(content: bytes, *, size: int = 1 << 20) -> list[tuple[int, str]]:
    return [
        (number, text)
        for block in DataFile(Trickle(content, size)).blocks()
        for number, text in enumerate(block.lines, block.first_number)
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"a", [(1, "a")]),
        (b"a\n", [(1, "a")]),
        (b"a\n\nb\n", [(1, "a"), (2, ""), (3, "b")]),
        (b"a\r\nb\r\n", [(1, "a"), (2, "b")]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", [(1, "a"), (2, "\ufeffb")]),
        ("caf\u00e9 \u00a3\u20ac\U0001f600\n".encode(), [(1, "caf\u00e9 \u00a3\u20ac\U0001f600")]),
        ("a\u2028b\x0bc\x85".encode(), [(1, "a\u2028b\x0bc\x85")]),  # str.splitlines would cut here
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_lines(content, expected, pack, size):
    assert lines_of(pack(content), size=size) == expected


@given(st.lists(st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"])), min_size=1))
def test_what_was_written_is_read_back_numbered(texts):
    texts[0] = texts[0].removeprefix("\ufeff")
    content = "".join(f"{text}\n" for text in texts).encode()
    assert lines_of(gzip.compress(content), size=7) == list(enumerate(texts, 1))


def test_a_gzip_file_of_several_members_is_one_file():
    assert lines_of(gzip.compress(b"a\nb") + gzip.compress(b"c\nd\n")) == [(1, "a"), (2, "bc"), (3, "d")]


def test_the_digest_covers_the_content_however_it_is_packed():
    content = b"header\nline\n" * 100_000
    expected = hashlib.sha256(content).hexdigest()
    for packed in (content, gzip.compress(content, 1), gzip.compress(content, 9)):
        file = DataFile(io.BytesIO(packed))
        assert sum(len(block.lines) for block in file.blocks()) == 200_000
        assert (file.digest, file.bytes_read) == (expected, len(packed))


FILLER = b"536365,85123A,WHITE,6,2010-12-01 08:26:00,2.55,17850.0,France\n" * 20_000  # several chunks


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (gzip.compress(FILLER)[:-9], "truncated"),
        (gzip.compress(FILLER)[:5], "truncated"),
        (gzip.compress(FILLER)[:-8] + bytes(8), "damaged: CRC check failed"),
        (gzip.compress(FILLER) + b"garbage", "damaged"),
        (b"\x1f\x8b" + FILLER, "damaged"),
        (FILLER + b"a\0b\n", "line 20001 holds a NUL byte"),
        (FILLER + b"\xa3 5\n" + FILLER, "line 20001 is not UTF-8 .byte 0xa3"),
        (FILLER + "ca\u00f1a".encode("latin-1"), "line 20001 is not UTF-8"),
        (FILLER + b"cut off \xe2\x82", "line 20001 is not UTF-8"),
        ("536365\n".encode("utf-16"), "line 1 holds a NUL byte|line 1 is not UTF-8"),
        (FILLER + b"x" * (LONGEST_LINE + 1) + b"\n", "line 20001 is longer than 65,536"),
        (FILLER + b"x" * (LONGEST_LINE + 1), "line 20001 is longer than 65,536"),
        (b"x" * 5_000_000, "line 1 is longer than 65,536"),
        (b"\n" + b"x" * 5_000_000, "line 2 is longer than 65,536"),
        (gzip.compress(bytes(5_000_000)), "line 1 is longer|NUL byte"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # not a megabyte of content
)
@pytest.mark.parametrize("size", [4097, 1 << 20])
def test_what_is_refused_names_line_and_reason(content, complaint, size):
    with pytest.raises(UnusableFile, match=complaint):
        lines_of(content, size=size)


def test_a_line_of_the_longest_kind_is_read():
    assert lines_of(FILLER + b"x" * LONGEST_LINE + b"\n")[-1] == (20_001, "x" * LONGEST_LINE)
