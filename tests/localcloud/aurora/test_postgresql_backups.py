"""What a server has not archived yet is kept, whatever its own archiver does meanwhile."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from localcloud.aurora import postgresql_backups
from localcloud.aurora.postgresql_backups import PostgresqlLog

SEGMENT = "000000010000000000000003"


@pytest.fixture
def writer(tmp_path):
    """Return a server whose segment is full, and not in the archive yet."""
    segments = tmp_path / "data" / "pg_wal"
    (segments / "archive_status").mkdir(parents=True)
    (segments / SEGMENT).write_bytes(b"log")
    (segments / "archive_status" / f"{SEGMENT}.ready").touch()
    return SimpleNamespace(directory=tmp_path, segment=segments / SEGMENT)


@pytest.fixture
def archive(tmp_path):
    archive = tmp_path / "archive"
    archive.mkdir()
    return archive


def test_what_is_ready_is_kept(writer, archive):
    PostgresqlLog().keep(writer, archive)
    assert [(file.name, file.read_bytes()) for file in archive.iterdir()] == [(SEGMENT, b"log")]


def test_a_segment_that_was_archived_and_removed_meanwhile_is_passed_over(writer, archive):
    writer.segment.unlink()
    PostgresqlLog().keep(writer, archive)
    assert list(archive.iterdir()) == []


def test_what_was_filled_anew_while_it_was_copied_takes_no_segments_place(writer, archive, monkeypatch):
    (archive / SEGMENT).write_bytes(b"log")
    copy = shutil.copy2

    def archived_while_copied(source, target):
        Path(source).write_bytes(b"what came later")
        copy(source, target)
        (writer.segment.parent / "archive_status" / f"{SEGMENT}.ready").unlink()

    monkeypatch.setattr(shutil, "copy2", archived_while_copied)
    PostgresqlLog().keep(writer, archive)
    assert [(file.name, file.read_bytes()) for file in archive.iterdir()] == [(SEGMENT, b"log")]


def test_a_segment_that_the_archiver_replaces_meanwhile_is_linked(writer, archive, tmp_path, monkeypatch):
    (archive / SEGMENT).write_bytes(b"log")
    link, calls = os.link, []

    def replaced_once(source, target):
        calls.append(source)
        if len(calls) == 1:
            raise FileNotFoundError(source)
        link(source, target)

    monkeypatch.setattr(os, "link", replaced_once)
    monkeypatch.setattr(postgresql_backups, "_of", lambda server: server)
    writer.end_segment = lambda: SEGMENT
    target = tmp_path / "target"
    target.mkdir()
    PostgresqlLog().link(writer, archive, target)
    assert [(file.name, file.read_bytes()) for file in target.iterdir()] == [(SEGMENT, b"log")]
