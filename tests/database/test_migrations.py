"""What applying files promises: order, once each, whole or not at all, and no change to what was applied."""

from __future__ import annotations

import hashlib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apply_schema import corrections, planning
from apply_schema.history import HistoryRefused
from apply_schema.limits import Limits
from apply_schema.migration_files import FilesRefused, read_files
from tests.database.migrating import exists, history, migrate, queries, run, spoken_alike, write  # noqa: F401

SCHEMAS = Path(__file__).parents[2] / "schema"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_shop_is_migrated_whole_and_then_has_nothing_to_do(empty_database) -> None:
    folder = SCHEMAS / empty_database.engine
    files = read_files(folder)
    first = migrate(empty_database, folder)
    assert first.state == "applied"
    assert first.applied == tuple(one.name for one in files.migrations)
    assert exists(empty_database, "shop.order_lines")
    second = migrate(empty_database, folder)
    assert (second.state, second.applied, second.schema_version) == ("up-to-date", (), first.schema_version)
    assert len(history(empty_database)) == len(files.migrations)


def test_numbers_order_as_numbers_and_repeatable_files_come_last(empty_database, tmp_path) -> None:
    names = ["V9__a.sql", "V10__b.sql", "V99__c.sql", "V100__d.sql", "R__a.sql", "R__b.sql"]
    write(tmp_path, dict.fromkeys(names, "SELECT 1;"))
    outcome = migrate(empty_database, tmp_path)
    assert list(outcome.applied) == names
    assert outcome.schema_version == "100"


def test_the_history_says_what_who_when_and_how_long(empty_database, tmp_path) -> None:
    text = "SELECT sleep(0.05);"
    write(tmp_path, {"V0001__wait.sql": text, "R__look.sql": "SELECT 2;"})
    migrate(empty_database, tmp_path)
    (one, two) = empty_database.rows(
        "SELECT version, name, kind, checksum, applied_by, duration_seconds, applied_at"
        " FROM migrations.history ORDER BY installed_as"
    )
    assert one[:5] == (1, "V0001__wait.sql", "versioned", sha256(text), "shop_admin")
    assert 0.04 <= one[5] <= 20
    assert timedelta(0) <= datetime.now(UTC) - one[6] < timedelta(minutes=1)
    assert two[:5] == (None, "R__look.sql", "repeatable", sha256("SELECT 2;"), "shop_admin")


def test_a_repeatable_file_runs_again_when_its_content_changes_and_only_then(
    empty_database, tmp_path
) -> None:
    write(tmp_path, {"R__v.sql": "CREATE OR REPLACE VIEW v AS SELECT 1 AS a;"})
    assert migrate(empty_database, tmp_path).applied == ("R__v.sql",)
    assert migrate(empty_database, tmp_path).applied == ()
    write(tmp_path, {"R__v.sql": "CREATE OR REPLACE VIEW v AS SELECT 1 AS a, 2 AS b;"})
    assert migrate(empty_database, tmp_path).applied == ("R__v.sql",)
    assert empty_database.value("SELECT b FROM v") == 2
    write(tmp_path, {"R__v.sql": "DROP VIEW v; CREATE VIEW v AS SELECT 1 AS a;"})
    assert migrate(empty_database, tmp_path).applied == ("R__v.sql",)
    assert migrate(empty_database, tmp_path).applied == ()


def test_byte_order_mark_and_line_ends_change_no_checksum(empty_database, tmp_path) -> None:
    path = tmp_path / "V1__a.sql"
    path.write_bytes(b"\xef\xbb\xbfCREATE TABLE a (b text);\r\nINSERT INTO a VALUES ('x\r\ny');\r\n")
    migrate(empty_database, tmp_path)
    assert empty_database.value("SELECT b FROM a") == "x\ny"
    path.write_bytes(b"CREATE TABLE a (b text);\nINSERT INTO a VALUES ('x\ny');\n")
    assert migrate(empty_database, tmp_path).state == "up-to-date"


def test_an_edited_file_is_refused_with_both_hashes(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT 1;"})
    migrate(empty_database, tmp_path)
    write(tmp_path, {"V1__a.sql": "SELECT 2;", "V2__b.sql": "CREATE TABLE b (n int);"})
    with pytest.raises(HistoryRefused) as refused:
        migrate(empty_database, tmp_path)
    for part in ("V1__a.sql", sha256("SELECT 1;"), sha256("SELECT 2;")):
        assert part in str(refused.value)
    assert not exists(empty_database, "b")


def test_a_removed_file_is_refused_by_name_and_hash(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT 1;", "V2__b.sql": "SELECT 2;"})
    migrate(empty_database, tmp_path)
    (tmp_path / "V1__a.sql").unlink()
    with pytest.raises(HistoryRefused, match=f"V1__a.sql.*{sha256('SELECT 1;')}.*gone"):
        migrate(empty_database, tmp_path)


def test_a_late_file_is_refused_by_name_and_hash_unless_it_is_allowed(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT 1;", "V3__c.sql": "SELECT 3;"})
    migrate(empty_database, tmp_path)
    write(tmp_path, {"V2__b.sql": "CREATE TABLE b (n int);"})
    with pytest.raises(HistoryRefused, match=f"V2__b.sql.*{sha256('CREATE TABLE b (n int);')}.*late"):
        migrate(empty_database, tmp_path)
    assert not exists(empty_database, "b")
    assert migrate(empty_database, tmp_path, allow_late=True).applied == ("V2__b.sql",)
    assert migrate(empty_database, tmp_path).state == "up-to-date"


def test_a_version_used_twice_is_refused_before_anything_runs(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (n int);", "V001__b.sql": "SELECT 1;"})
    with pytest.raises(FilesRefused, match=r"version 1 is used by V001__b.sql and V1__a.sql"):
        migrate(empty_database, tmp_path)
    assert not exists(empty_database, "a")


def test_a_database_ahead_of_the_files_is_reported_and_left_alone(empty_database, tmp_path) -> None:
    write(
        tmp_path,
        {"V1__a.sql": "SELECT 1;", "V2__b.sql": "CREATE TABLE b (n int);", "R__r.sql": "SELECT 'new';"},
    )
    migrate(empty_database, tmp_path)
    before = history(empty_database)
    (tmp_path / "V2__b.sql").unlink()
    write(tmp_path, {"R__r.sql": "SELECT 'old';", "R__s.sql": "SELECT 'never ran';"})
    outcome = migrate(empty_database, tmp_path)
    assert (outcome.state, outcome.applied, outcome.schema_version) == ("database-ahead", (), "2")
    assert history(empty_database) == before
    assert exists(empty_database, "b")


NOT_OF_A_FILE = {"postgresql": ("COMMIT;", "COMMIT"), "mysql": ("source c.sql", "`source c.sql`")}


def test_a_malformed_last_file_is_refused_before_the_first_one_runs(empty_database, tmp_path) -> None:
    text, named = NOT_OF_A_FILE[empty_database.engine]
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (n int);", "V2__b.sql": f"SELECT 1;\n{text}"})
    with pytest.raises(FilesRefused, match=f"V2__b.sql:2: {named}"):
        migrate(empty_database, tmp_path)
    assert not exists(empty_database, "a")


def test_nothing_to_do_is_one_query_for_one_file_as_for_many(empty_database, tmp_path) -> None:
    for count in (1, 60):
        write(tmp_path, {f"V{n}__a.sql": "SELECT 1;" for n in range(1, count + 1)})
        migrate(empty_database, tmp_path)
        with queries(empty_database) as sent:
            assert run(empty_database, "apply", "--directory", tmp_path).stdout.startswith("up to date")
            statements = sent()
        assert len(statements) == 1, statements


def session_of(database) -> Any:
    return closing(database.migrations(Limits()))


def test_repair_accepts_edits_and_forgets_removed_files_and_runs_nothing(empty_database, tmp_path) -> None:
    write(
        tmp_path, {"V1__a.sql": "CREATE TABLE a (n int);", "V2__b.sql": "SELECT 2;", "V3__c.sql": "SELECT 3;"}
    )
    migrate(empty_database, tmp_path)
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (n int); -- why"})
    (tmp_path / "V2__b.sql").unlink()
    with session_of(empty_database) as session:
        repaired = corrections.repair(session, read_files(tmp_path), report=[].append)
    assert [entry.name for entry in repaired] == ["V1__a.sql", "V2__b.sql"]
    assert migrate(empty_database, tmp_path).state == "up-to-date"
    assert [name for name, _ in history(empty_database)] == ["V1__a.sql", "V3__c.sql"]


def test_baseline_records_files_without_running_them_once(empty_database, tmp_path) -> None:
    write(
        tmp_path,
        {
            "V1__a.sql": "CREATE TABLE a (n int);",
            "V2__b.sql": "CREATE TABLE b (n int);",
            "R__c.sql": "SELECT 1;",
        },
    )
    files = read_files(tmp_path)
    with session_of(empty_database) as session:
        with pytest.raises(FilesRefused, match="no file has version 7"):
            corrections.baseline(session, files, 7, report=[].append)
        corrections.baseline(session, files, 1, report=[].append)
        with pytest.raises(HistoryRefused, match="history of 1 rows"):
            corrections.baseline(session, files, 1, report=[].append)
    assert migrate(empty_database, tmp_path).applied == ("V2__b.sql", "R__c.sql")
    assert not exists(empty_database, "a")
    assert history(empty_database)[0] == ("V1__a.sql", "baseline")


def test_a_dry_run_names_every_statement_and_runs_none(empty_database, tmp_path) -> None:
    write(
        tmp_path,
        {
            "V1__a.sql": "CREATE TABLE a (n int);\nSELECT 1;",
            "R__b.sql": "-- migrate: no-transaction\nANALYZE;",
        },
    )
    with session_of(empty_database) as session:
        planned = planning.dry_run(session, read_files(tmp_path))
    assert [(one.migration.name, len(one.script.statements)) for one in planned] == [
        ("V1__a.sql", 2),
        ("R__b.sql", 1),
    ]
    # each statement of MySQL's is one by itself
    in_transactions = [empty_database.engine == "postgresql", False]
    assert [one.script.transactional for one in planned] == in_transactions
    assert not exists(empty_database, "a")
    assert not exists(empty_database, "migrations.history")
