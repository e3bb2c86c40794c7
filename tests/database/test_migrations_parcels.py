"""Short files travel several to a message, and whatever goes wrong there is as if each had gone alone."""

from __future__ import annotations

import re
from contextlib import closing

import pytest

from apply_schema.failures import StatementFailed
from apply_schema.limits import Limits
from aurora.deadline import Deadline
from aurora.postgresql_migrations.parcels import LONGEST_PARCEL_SECONDS, LONGEST_STATEMENT_SECONDS
from tests.database.migrating import exists, history, migrate, numbered, write

pytestmark = pytest.mark.engine("postgresql")


@pytest.fixture
def messages(empty_database):
    """What the server was sent since the fixture was asked for."""
    log = empty_database.server.directory / "postgresql.log"
    empty_database.server.execute(f"ALTER DATABASE {empty_database.name} SET log_statement = 'all'")
    before = log.stat().st_size

    def sent() -> list[str]:
        return re.findall(r"LOG:  statement: (.*)", log.read_bytes()[before:].decode())

    return sent


def test_sixty_short_files_take_fewer_messages_than_files(empty_database, tmp_path, messages) -> None:
    write(tmp_path, numbered(60, ["CREATE TABLE t{n} (id int)", "INSERT INTO t{n} VALUES ({n})"]))
    assert len(migrate(empty_database, tmp_path).applied) == 60
    assert len(messages()) < 30
    assert empty_database.value("SELECT id FROM t60") == 60


def test_near_the_deadline_each_statement_is_a_message_of_its_own(empty_database, tmp_path, messages) -> None:
    write(tmp_path, numbered(5, ["CREATE TABLE t{n} (id int)", "INSERT INTO t{n} VALUES ({n})"]))
    migrate(empty_database, tmp_path, limits=Limits(deadline=Deadline.after(LONGEST_PARCEL_SECONDS)))
    assert sum(text.startswith("INSERT INTO t") for text in messages()) == 5


@pytest.mark.parametrize(
    ("statement", "place"),
    [("SELECT 1/0", "2:1: ERROR 22012"), ("INSERT INTO t4\nVALUES ('x')", "3:9: ERROR 22P02")],
    ids=["an error without a position", "one with"],
)
def test_a_file_that_fails_among_others_is_told_with_its_place(
    empty_database, tmp_path, statement: str, place: str
) -> None:
    files = write(tmp_path, numbered(6, ["CREATE TABLE t{n} (id int)", "SELECT {n}"]))
    write(files, {"V4__file_4.sql": f"CREATE TABLE t4 (id int);\n{statement};\nCREATE TABLE u4 (n int);"})
    with pytest.raises(StatementFailed) as failed:
        migrate(empty_database, files)
    assert str(failed.value).startswith(f"V4__file_4.sql:{place}")
    assert str(failed.value).endswith("3 of 6 pending files were applied before")
    assert failed.value.applied == ("V1__file_1.sql", "V2__file_2.sql", "V3__file_3.sql")
    assert [name for name, _ in history(empty_database)] == list(failed.value.applied)
    assert not exists(empty_database, "t4")
    assert not exists(empty_database, "t5")


def test_each_file_is_recorded_with_the_time_that_it_took_itself(empty_database, tmp_path) -> None:
    wait = LONGEST_STATEMENT_SECONDS / 2
    files = write(tmp_path, numbered(5, ["SELECT {n}"]))
    write(files, {"V3__file_3.sql": f"SELECT pg_sleep({wait});"})
    said: list[str] = []
    migrate(empty_database, files, said=said)
    took = [
        seconds
        for (seconds,) in empty_database.rows(
            "SELECT duration_seconds FROM migrations.history ORDER BY version"
        )
    ]
    assert wait <= took[2] < 3 * wait
    assert all(0 <= took[n] < wait for n in (0, 1, 3, 4))
    assert re.fullmatch(rf"applied V3__file_3.sql in {took[2] * 1000:.0f} ms", said[2])


def test_a_statement_that_takes_longer_than_a_parcel_may_is_applied_once(empty_database, tmp_path) -> None:
    files = write(tmp_path, numbered(4, ["CREATE TABLE t{n} (id int)"]))
    slow = f"INSERT INTO t1 SELECT 1 FROM pg_sleep({2 * LONGEST_STATEMENT_SECONDS});"
    write(files, {"V2__file_2.sql": slow})
    assert len(migrate(empty_database, files).applied) == 4
    assert empty_database.rows("SELECT id FROM t1") == [(1,)]
    assert len(history(empty_database)) == 4


def test_a_file_that_changes_how_strings_are_read_changes_it_for_itself(empty_database, tmp_path) -> None:
    write(
        tmp_path,
        {
            "V1__a.sql": "CREATE TABLE a (b text);",
            "V2__b.sql": r"SET standard_conforming_strings = off; INSERT INTO a VALUES ('c:\\d');",
            "V3__c.sql": r"INSERT INTO a VALUES ('\');",
        },
    )
    migrate(empty_database, tmp_path)
    assert empty_database.rows("SELECT b FROM a ORDER BY b DESC") == [("c:\\d",), ("\\",)]


def test_a_comment_at_a_files_end_takes_nothing_with_it(empty_database, tmp_path, messages) -> None:
    write(tmp_path, numbered(3, ["CREATE TABLE t{n} (id int)"]))
    write(tmp_path, {"V2__file_2.sql": "CREATE TABLE t2 (id int) -- without a semicolon"})
    assert len(migrate(empty_database, tmp_path).applied) == 3
    begun = [text for text in messages() if text.startswith("BEGIN; SELECT pg_advisory_xact_lock")]
    assert len(begun) == 1  # nothing went again, alone


def test_a_repeatable_file_that_fails_again_is_not_taken_for_applied(empty_database, tmp_path) -> None:
    write(tmp_path, {"R__a.sql": "SELECT 1;", "R__b.sql": "SELECT 1;", "R__c.sql": "SELECT 1;"})
    migrate(empty_database, tmp_path)
    write(tmp_path, {"R__a.sql": "SELECT 2;", "R__b.sql": "SELECT 1/0;", "R__c.sql": "SELECT 2;"})
    with pytest.raises(StatementFailed, match=r"R__b.sql:1:1: .*(\n.*)*1 of 3 pending"):
        migrate(empty_database, tmp_path)
    assert [name for name, _ in history(empty_database)] == ["R__a.sql", "R__b.sql", "R__c.sql", "R__a.sql"]


def test_a_table_that_another_session_holds_is_waited_for_as_long_as_asked(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (n int);", "V2__b.sql": "CREATE TABLE b (n int);"})
    migrate(empty_database, tmp_path)
    write(tmp_path, {"V3__c.sql": "CREATE TABLE c (n int);", "V4__d.sql": "ALTER TABLE a ADD COLUMN d int;"})
    with closing(empty_database.connect()) as holder, holder.cursor() as cursor:
        cursor.execute("LOCK TABLE a")
        with pytest.raises(StatementFailed, match=r"V4__d.sql:1:1: ERROR 55P03(.*\n)*.*sessions that hold"):
            migrate(empty_database, tmp_path, limits=Limits(lock_timeout_seconds=1.5))
    assert len(history(empty_database)) == 3
