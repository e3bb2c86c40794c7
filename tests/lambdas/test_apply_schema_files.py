"""Which files are migrations, in which order, and what makes two contents the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apply_schema.migration_files import FilesRefused, read_files
from stacks.assets import content_digest

SCHEMA = Path(__file__).parents[2] / "schema" / "postgresql"


def write(folder: Path, names: list[str], content: bytes = b"SELECT 1;") -> Path:
    for name in names:
        (folder / name).write_bytes(content)
    return folder


def test_versions_order_as_numbers_before_repeatable_files_by_name(tmp_path) -> None:
    write(tmp_path, ["V100__d.sql", "R__b.sql", "V9__a.sql", "V099__c.sql", "R__a.sql", "V10__b.sql"])
    assert [one.name for one in read_files(tmp_path).migrations] == [
        "V9__a.sql",
        "V10__b.sql",
        "V099__c.sql",
        "V100__d.sql",
        "R__a.sql",
        "R__b.sql",
    ]


@given(st.sets(st.integers(min_value=0, max_value=10**18 - 1), min_size=1))
def test_any_numbers_order_as_numbers(tmp_path_factory, versions: set[int]) -> None:
    folder = write(tmp_path_factory.mktemp("versions"), [f"V{version}__x.sql" for version in versions])
    assert [one.version for one in read_files(folder).migrations] == sorted(versions)


@pytest.mark.parametrize(
    "name",
    [
        "V1_x.sql",
        "v1__x.sql",
        "V__x.sql",
        "V1.2__x.sql",
        "V-1__x.sql",
        "V1__.sql",
        "V1__a b.sql",
        "V1__ä.sql",
        "V1__x.SQL",
        "V1234567890123456789__x.sql",
        "V\N{ARABIC-INDIC DIGIT ONE}__x.sql",
        "R1__x.sql",
        "R_x.sql",
        "R__.sql",
        "U1__x.sql",
        "init.sql",
    ],
)
def test_a_malformed_name_is_refused_with_the_rule(tmp_path, name: str) -> None:
    write(tmp_path, ["V1__fine.sql", name])
    with pytest.raises(FilesRefused) as refused:
        read_files(tmp_path)
    assert ascii(name) in str(refused.value)
    assert "V<number>__<name>.sql" in str(refused.value)
    assert "V1__fine.sql" not in str(refused.value)


def test_every_problem_is_named_at_once(tmp_path) -> None:
    write(tmp_path, ["V1__a.sql", "V01__b.sql", "V2__c.sql", "V002__d.sql", "x.sql"])
    write(tmp_path, ["V3__latin.sql"], b"SELECT 1;\nSELECT '\xe9';")
    write(tmp_path, ["V4__nul.sql"], b"SELECT 1;\n\nSELECT '\0';")
    with pytest.raises(FilesRefused) as refused:
        read_files(tmp_path)
    for part in (
        "version 1 is used by V01__b.sql and V1__a.sql",
        "version 2 is used by V002__d.sql and V2__c.sql",
        "'x.sql'",
        "V3__latin.sql:2: byte 0xe9 is not UTF-8",
        "V4__nul.sql:3: a NUL byte",
    ):
        assert part in str(refused.value)


def test_what_is_no_migration_is_passed_over(tmp_path) -> None:
    write(tmp_path, ["V1__a.sql", "README.md", ".V1__a.sql.swp", ".#V1__a.sql"])
    (tmp_path / "later.sql").mkdir()
    assert [one.name for one in read_files(tmp_path).migrations] == ["V1__a.sql"]


def test_a_folder_without_migrations_is_refused(tmp_path) -> None:
    with pytest.raises(FilesRefused, match="holds no migration"):
        read_files(tmp_path)
    with pytest.raises(FilesRefused, match="cannot be read"):
        read_files(tmp_path / "missing")


@pytest.mark.parametrize(
    ("content", "same"),
    [
        (b"SELECT 1;\r\n", True),
        (b"\xef\xbb\xbfSELECT 1;\n", True),
        (b"\xef\xbb\xbfSELECT 1;\r\n", True),
        (b"SELECT 1;", False),
        (b"SELECT 1; \n", False),
        (b"select 1;\n", False),
    ],
)
def test_byte_order_mark_and_line_ends_alone_change_no_checksum(tmp_path, content: bytes, same: bool) -> None:
    (one,) = read_files(write(tmp_path, ["V1__a.sql"], content)).migrations
    assert (one.checksum == hashlib.sha256(b"SELECT 1;\n").hexdigest()) is same


def test_the_digest_is_that_of_the_template(tmp_path) -> None:
    assert read_files(SCHEMA).digest == content_digest(SCHEMA, "*.sql")
    write(tmp_path, ["V2__a.sql", "V10__b.sql"], b"\xef\xbb\xbfSELECT '\xc3\xa4';\r\n")
    before = read_files(tmp_path).digest
    assert before == content_digest(tmp_path, "*.sql")
    write(tmp_path, ["V10__b.sql"], b"SELECT 2;")
    assert read_files(tmp_path).digest == content_digest(tmp_path, "*.sql") != before
