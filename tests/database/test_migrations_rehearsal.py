"""A rehearsal runs what is pending on the database itself, finds what an apply would, and leaves nothing."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from apply_schema import planning
from apply_schema.failures import LockHeld, MigrationFailed, StatementFailed
from apply_schema.limits import Limits
from apply_schema.migration_files import read_files
from aurora.postgresql_migrations.lock import LOCK_KEY
from tests.database.migrating import exists, history, migrate, run, write

pytestmark = pytest.mark.engine("postgresql")

DONE, FAILED, USAGE, PENDING, REFUSED = range(5)


def rehearse(database, folder, limits: Limits | None = None) -> tuple[list[str], list[str]]:
    with closing(database.migrations(limits or Limits())) as session:
        tried, left = planning.rehearse(session, read_files(folder), report=[].append)
    return [one.migration.name for one in tried], [one.migration.name for one in left]


def test_files_that_build_on_each_other_are_run_and_rolled_back(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (b int);"})
    migrate(empty_database, tmp_path)
    write(
        tmp_path,
        {
            "V2__b.sql": "INSERT INTO a VALUES (1); CREATE TABLE b (n int);",
            "V3__c.sql": "ALTER TABLE b ADD COLUMN c int; DROP TABLE a;",
            "R__d.sql": "CREATE VIEW d AS SELECT c FROM b;",
        },
    )
    assert rehearse(empty_database, tmp_path) == (["V2__b.sql", "V3__c.sql", "R__d.sql"], [])
    assert not exists(empty_database, "b")
    assert empty_database.rows("SELECT * FROM a") == []
    assert history(empty_database) == [("V1__a.sql", "versioned")]
    assert len(migrate(empty_database, tmp_path).applied) == 3


def test_an_error_is_told_with_its_place_and_nothing_is_left(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (b int);", "V2__b.sql": "SELECT 1;\nSELECT c FROM a;"})
    with pytest.raises(StatementFailed, match=r"V2__b.sql:2:8: ERROR 42703"):
        rehearse(empty_database, tmp_path)
    assert not exists(empty_database, "a")
    assert not exists(empty_database, "migrations.history")


def test_constraints_that_are_deferred_to_the_files_end_are_seen(empty_database, tmp_path) -> None:
    text = """
        CREATE TABLE a (id int PRIMARY KEY);
        CREATE TABLE b (a int REFERENCES a DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO b VALUES (7);
    """
    write(tmp_path, {"V1__a.sql": text})
    with pytest.raises(MigrationFailed, match=r"V1__a.sql: at its end: ERROR 23503"):
        rehearse(empty_database, tmp_path)


def test_no_state_reaches_the_next_file_there_either(empty_database, tmp_path) -> None:
    write(
        tmp_path,
        {
            "V1__a.sql": "SELECT pg_catalog.set_config('search_path', '', false);",
            "V2__b.sql": "CREATE TABLE b (n int); SELECT count(*) FROM b;",
        },
    )
    assert rehearse(empty_database, tmp_path)[0] == ["V1__a.sql", "V2__b.sql"]


def test_from_the_first_file_without_a_transaction_on_nothing_is_tried(empty_database, tmp_path) -> None:
    write(
        tmp_path,
        {
            "V1__a.sql": "CREATE TABLE a (b int);",
            "V2__b.sql": "-- migrate: no-transaction\nCREATE INDEX CONCURRENTLY a_b ON a (b);",
            "V3__c.sql": "ALTER INDEX a_b RENAME TO a_c;",
        },
    )
    assert rehearse(empty_database, tmp_path) == (["V1__a.sql"], ["V2__b.sql", "V3__c.sql"])
    assert not exists(empty_database, "a")


def test_it_waits_for_another_migrator_and_lets_go_of_the_lock(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (n int);"})
    with closing(empty_database.connect("rdsadmin")) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
        with pytest.raises(LockHeld):
            rehearse(empty_database, tmp_path, Limits(wait_for_lock_seconds=0.2))
    rehearse(empty_database, tmp_path)
    assert migrate(empty_database, tmp_path, limits=Limits(wait_for_lock_seconds=0.2)).applied


def test_the_command_line_says_what_was_tried(empty_database, tmp_path) -> None:
    write(
        tmp_path,
        {"V1__a.sql": "CREATE TABLE a (n int);", "V2__b.sql": "-- migrate: no-transaction\nVACUUM a;"},
    )
    done = run(empty_database, "dry-run", "--rehearse", "--directory", tmp_path)
    assert done.returncode == PENDING
    assert done.stdout == (
        "V1__a.sql (1 statement)\n     1  CREATE TABLE a (n int)\n"
        "V2__b.sql (1 statement, without a transaction)\n     2  VACUUM a\n"
        "not tried: V2__b.sql\nV2__b.sql runs without a transaction, and nothing could undo it\n"
        "1 of 2 pending were run and rolled back\n"
    )
    as_json = run(empty_database, "dry-run", "--rehearse", "--json", "--directory", tmp_path)
    assert json.loads(as_json.stdout)["rehearsed"] == ["V1__a.sql"]
    write(tmp_path, {"V1__a.sql": "SELECT 1/0;"})
    assert run(empty_database, "dry-run", "--rehearse", "--directory", tmp_path).returncode == FAILED
    (tmp_path / "V2__b.sql").unlink()
    write(tmp_path, {"V1__a.sql": "SELECT 1;"})
    migrate(empty_database, tmp_path)
    done = run(empty_database, "dry-run", "--rehearse", "--directory", tmp_path)
    assert (done.returncode, done.stdout) == (DONE, "up to date\n")
