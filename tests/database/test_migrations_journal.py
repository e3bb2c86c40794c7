"""MySQL's DDL commits by itself: what a file leaves that ends in its middle, and where the next run goes on."""

# ruff: noqa: E501 - SQL stands as a file would have it

from __future__ import annotations

import json
import re
import time
from contextlib import closing
from pathlib import Path

import pytest

from apply_schema import migrations
from apply_schema.failures import ConnectionLost, InDoubt, LockHeld, OutOfTime, StatementFailed
from apply_schema.history import HistoryRefused
from apply_schema.limits import Limits
from apply_schema.migration_files import read_files
from aurora.deadline import Deadline
from tests.database.migrating import exists, history, migrate, numbered, run, running, start, write
from tests.database.test_migrations_concurrency import until

pytestmark = pytest.mark.engine("mysql")
DONE, FAILED, USAGE, PENDING, REFUSED = range(5)


@pytest.fixture(autouse=True)
def in_shop(empty_database, monkeypatch) -> None:
    """Have files begin in a schema."""
    empty_database.server.execute("CREATE DATABASE shop")
    connect = empty_database.connect

    def connect_to_shop(user: str = "shop_admin"):
        connection = connect(user)
        connection.select_db("shop")
        connection.db, connection.client_flag = "shop", connection.client_flag | 8  # CONNECT_WITH_DB
        return connection

    monkeypatch.setattr(empty_database, "connect", connect_to_shop)


def journal(database) -> list[tuple]:
    return database.rows("SELECT name, statements, done, sent, failed_at FROM migrations.journal")


def state_of(database, folder: Path, name: str) -> str:
    answer = run(database, "status", "--directory", folder).stdout
    return re.search(rf"^{re.escape(name)} +(\S.*?)(?:  |$)", answer, re.MULTILINE)[1]


def killed_at(database, folder: Path, text: str) -> None:
    """Start the migrator, and kill it while the server executes this."""
    migrator = start(database, "apply", "--directory", folder)
    until(lambda: running(database, text))
    migrator.kill()
    migrator.communicate(timeout=10)


# --- a statement fails


def test_a_failure_at_two_of_three_is_told_and_the_next_run_goes_on_there(empty_database, tmp_path) -> None:
    text = "CREATE TABLE a (id int);\nINSERT INTO a VALUES ({});\nINSERT INTO a VALUES (3);"
    write(tmp_path, {"V1__a.sql": text.format("'x'")})
    with pytest.raises(StatementFailed) as failed:
        migrate(empty_database, tmp_path)
    assert str(failed.value).startswith("V1__a.sql:2:1: ERROR 1366: Incorrect integer value: 'x'")
    assert "failed at statement 2 of 3: 1 stand; the next run goes on at statement 2" in str(failed.value)
    assert journal(empty_database) == [("V1__a.sql", 3, 1, 0, 2)]
    assert history(empty_database) == []
    assert state_of(empty_database, tmp_path, "V1__a.sql") == "failed at 2/3"
    write(tmp_path, {"V1__a.sql": text.format("2")})
    assert migrate(empty_database, tmp_path).applied == ("V1__a.sql",)
    assert empty_database.rows("SELECT id FROM a ORDER BY id") == [(2,), (3,)]
    assert journal(empty_database) == []
    assert history(empty_database) == [("V1__a.sql", "versioned")]


def test_what_has_run_may_not_be_edited_before_it_goes_on(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (id int);\nSELECT wrong;"})
    with pytest.raises(StatementFailed):
        migrate(empty_database, tmp_path)
    write(tmp_path, {"V1__a.sql": "-- why\nCREATE TABLE a (id bigint);\nSELECT 1;"})
    with pytest.raises(HistoryRefused, match=r"V1__a.sql:2: statement 1 was edited, but it has run"):
        migrate(empty_database, tmp_path)
    write(tmp_path, {"V1__a.sql": ""})
    with pytest.raises(HistoryRefused, match="statement 1 is gone, but it has run"):
        migrate(empty_database, tmp_path)
    write(tmp_path, {"V1__a.sql": "-- comments are no edit\nCREATE TABLE a (id int);\nSELECT 1;"})
    assert migrate(empty_database, tmp_path).applied == ("V1__a.sql",)


def test_an_edit_of_what_has_run_can_be_accepted_and_a_file_can_begin_anew(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (id int);\nSELECT wrong;"})
    run(empty_database, "apply", "--directory", tmp_path)
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (id bigint);\nSELECT wrong;\nSELECT 1;"})
    assert run(empty_database, "apply", "--directory", tmp_path).returncode == REFUSED
    done = run(empty_database, "repair", "--statement-undone", "--directory", tmp_path)
    assert (done.returncode, done.stdout) == (DONE, "V1__a.sql goes on at statement 2 of 3\n")
    assert "2:8: ERROR 1054" in run(empty_database, "apply", "--directory", tmp_path).stdout
    done = run(empty_database, "repair", "--start-over", "--directory", tmp_path)
    assert done.stdout == "V1__a.sql begins anew\n"
    assert "V1__a.sql:1:14: ERROR 1050" in run(empty_database, "apply", "--directory", tmp_path).stdout
    empty_database.rows("DROP TABLE a")
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (id bigint);"})
    assert run(empty_database, "apply", "--directory", tmp_path).returncode == DONE


def test_a_statement_that_was_done_by_hand_is_passed_over(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (id int);\nSELECT wrong;\nCREATE TABLE b (id int);"})
    run(empty_database, "apply", "--directory", tmp_path)
    done = run(empty_database, "repair", "--statement-done", "--directory", tmp_path)
    assert done.stdout == "V1__a.sql goes on at statement 3 of 3\n"
    assert run(empty_database, "apply", "--directory", tmp_path).stdout == "applied 1; schema version 1\n"
    assert exists(empty_database, "b")


def test_what_repair_is_told_must_make_sense(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT 1;"})
    for verb, *options in (
        ("apply", "--statement-done"),
        ("repair", "--statement-done", "--statement-undone"),
        ("repair", "--start-over", "--statement-done"),
    ):
        assert run(empty_database, verb, *options, "--directory", tmp_path).returncode == USAGE
    done = run(empty_database, "repair", "--start-over", "--directory", tmp_path)
    assert (done.returncode, "no file is applied in part" in done.stdout) == (REFUSED, True)


def test_a_repeatable_file_begins_anew(empty_database, tmp_path) -> None:
    write(tmp_path, {"R__r.sql": "CREATE TABLE IF NOT EXISTS a (id int);\nSELECT wrong;"})
    with pytest.raises(StatementFailed):
        migrate(empty_database, tmp_path)
    assert state_of(empty_database, tmp_path, "R__r.sql") == "failed at 2/2"
    write(tmp_path, {"R__r.sql": "CREATE TABLE IF NOT EXISTS b (id int);"})
    assert migrate(empty_database, tmp_path).applied == ("R__r.sql",)
    assert exists(empty_database, "b")
    assert journal(empty_database) == []


def test_of_a_files_own_transaction_all_is_taken_back_and_it_goes_on_at_its_beginning(
    empty_database, tmp_path
) -> None:
    text = (
        "CREATE TABLE a (id int PRIMARY KEY);\nSTART TRANSACTION;\nINSERT INTO a VALUES (1);\n"
        "INSERT INTO a VALUES ({});\nCOMMIT;\nINSERT INTO a VALUES (3);"
    )
    write(tmp_path, {"V1__a.sql": text.format(1)})
    with pytest.raises(StatementFailed, match=r"V1__a.sql:4:1: ERROR 1062: Duplicate entry '1'"):
        migrate(empty_database, tmp_path)
    assert empty_database.rows("SELECT id FROM a") == []
    assert journal(empty_database) == [("V1__a.sql", 6, 1, 0, 4)]
    write(tmp_path, {"V1__a.sql": text.format(2)})
    migrate(empty_database, tmp_path)
    assert empty_database.rows("SELECT id FROM a") == [(1,), (2,), (3,)]


def test_a_procedure_is_called_within_a_files_own_transaction(empty_database, tmp_path) -> None:
    text = (
        "CREATE TABLE a (id int);\nCREATE PROCEDURE p() INSERT INTO a VALUES (1);\nSTART TRANSACTION;\nCALL p();\n"
        "INSERT INTO a VALUES (2);\nROLLBACK;\nSTART TRANSACTION;\nCALL p();\nSELECT 1;\nCOMMIT;"
    )
    write(tmp_path, {"V1__a.sql": text, "V2__b.sql": "SET autocommit = 0;\nCALL p();\nSELECT 1;\nCOMMIT;"})
    migrate(empty_database, tmp_path)
    assert empty_database.rows("SELECT id FROM a") == [(1,), (1,)]


def test_a_transaction_without_its_end_is_refused_rather_than_lost(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (id int);\nSET autocommit = 0;\nINSERT INTO a VALUES (1);"})
    with pytest.raises(StatementFailed, match="at its end a transaction is open"):
        migrate(empty_database, tmp_path)
    assert history(empty_database) == []
    text = "CREATE TABLE a (id int);\nSET autocommit = 0;\nINSERT INTO a VALUES (1);\nCOMMIT;"
    write(tmp_path, {"V1__a.sql": text})
    migrate(empty_database, tmp_path)
    assert empty_database.rows("SELECT id FROM a") == [(1,)]


def test_a_wait_for_rows_ends_takes_everything_back_and_names_who_holds_them(
    empty_database, tmp_path
) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1), (2);"})
    migrate(empty_database, tmp_path)
    text = (
        "START TRANSACTION;\nUPDATE a SET id = 20 WHERE id = 2;\nUPDATE a SET id = 10 WHERE id = 1;\nCOMMIT;"
    )
    write(tmp_path, {"V2__b.sql": text})
    with closing(empty_database.connect()) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("DELETE FROM a WHERE id = 1")
        with pytest.raises(StatementFailed) as failed:
            migrate(empty_database, tmp_path, limits=Limits(lock_timeout_seconds=1))
        assert str(failed.value).startswith("V2__b.sql:3:1: ERROR 1205: Lock wait timeout exceeded")
        assert f"processlist id {other.thread_id()}, user shop_admin" in str(failed.value)
        other.rollback()
    assert empty_database.rows("SELECT id FROM a ORDER BY id") == [(1,), (2,)]
    assert migrate(empty_database, tmp_path).applied == ("V2__b.sql",)


def test_a_wait_for_a_table_ends_and_names_who_holds_it(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (id int);"})
    migrate(empty_database, tmp_path)
    write(tmp_path, {"V2__b.sql": "CREATE TABLE b (id int);\nALTER TABLE a ADD c int;"})
    with closing(empty_database.connect()) as reader, reader.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM a")
        with pytest.raises(StatementFailed) as failed:
            migrate(empty_database, tmp_path, limits=Limits(lock_timeout_seconds=0.2))
        assert str(failed.value).startswith("V2__b.sql:2:1: ERROR 1205")
        assert f"processlist id {reader.thread_id()}, user shop_admin" in str(failed.value)
    assert migrate(empty_database, tmp_path).applied == ("V2__b.sql",)


def test_a_deadlock_is_told_and_nothing_of_its_transaction_stands(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1), (2);"})
    migrate(empty_database, tmp_path)
    text = "START TRANSACTION;\nDELETE FROM a WHERE id = 1;\nSELECT sleep(2);\nDELETE FROM a WHERE id = 2;\nCOMMIT;"
    write(tmp_path, {"V2__b.sql": text})
    migrator = start(empty_database, "apply", "--directory", tmp_path)
    until(lambda: running(empty_database, "sleep(2)"))
    with closing(empty_database.connect()) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        # heavier than the migrator's, so that it is not the victim
        cursor.execute("CREATE TEMPORARY TABLE many AS SELECT 1 AS n UNION SELECT 2")
        cursor.execute(
            "INSERT INTO a SELECT 100 + n FROM (WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL"
            " SELECT n + 1 FROM s WHERE n < 500) SELECT n FROM s) AS t"
        )
        cursor.execute("DELETE FROM a WHERE id = 2")
        cursor.execute("DELETE FROM a WHERE id = 1")
        other.rollback()
    out, _ = migrator.communicate(timeout=30)
    assert "V2__b.sql:4:1: ERROR 1213: Deadlock found" in out
    assert empty_database.rows("SELECT id FROM a ORDER BY id") == [(1,), (2,)]
    assert migrate(empty_database, tmp_path).applied == ("V2__b.sql",)


RECURSION = "WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 1000)"


def test_a_statement_that_takes_too_long_is_ended_whatever_it_is(empty_database, tmp_path) -> None:
    for statement in (
        "SELECT sleep(60)",
        f"CREATE TABLE b AS {RECURSION} SELECT count(*) AS n FROM s a, s b, s c, s d",
        "DO sleep(60)",
    ):
        write(tmp_path, {"V1__a.sql": f"CREATE TABLE IF NOT EXISTS a (id int);\n{statement};"})
        began = time.monotonic()
        with pytest.raises(StatementFailed, match=r"V1__a.sql:2:1: ERROR 1317: .*\nit took more than 0.3 s"):
            migrate(empty_database, tmp_path, limits=Limits(statement_timeout_seconds=0.3))
        assert time.monotonic() - began < 5
        assert not exists(empty_database, "b")


def test_the_servers_own_limit_of_reading_is_told(empty_database, tmp_path) -> None:
    text = f"SET max_execution_time = 50;\n{RECURSION} SELECT count(*) FROM s a, s b, s c, s d;"
    write(tmp_path, {"V1__a.sql": text})
    with pytest.raises(StatementFailed, match=r"V1__a.sql:2:1: ERROR 3024"):
        migrate(empty_database, tmp_path)


def test_a_statement_that_reaches_the_deadline_is_ended_and_the_next_run_goes_on(
    empty_database, tmp_path
) -> None:
    text = "CREATE TABLE a (id int);\nINSERT INTO a SELECT sleep({});"
    write(tmp_path, {"V1__a.sql": text.format(60)})
    with pytest.raises(OutOfTime, match=r"V1__a.sql: statement 2 reached the deadline"):
        migrate(empty_database, tmp_path, limits=Limits(deadline=Deadline.after(1)))
    assert empty_database.rows("SELECT id FROM a") == []
    write(tmp_path, {"V1__a.sql": text.format(0)})
    migrate(empty_database, tmp_path)
    assert empty_database.rows("SELECT id FROM a") == [(0,)]


def test_between_files_the_deadline_leaves_nothing_begun(empty_database, tmp_path) -> None:
    write(tmp_path, {f"V{n}__a.sql": f"CREATE TABLE t{n} (id int); SELECT sleep(0.4);" for n in range(1, 6)})
    with pytest.raises(OutOfTime) as stopped:
        migrate(empty_database, tmp_path, limits=Limits(deadline=Deadline.after(1)))
    done = len(history(empty_database))
    assert 1 <= done <= 3
    assert len(stopped.value.applied) == done
    assert len(migrate(empty_database, tmp_path).applied) == 5 - done


def test_a_syntax_error_has_the_line_that_the_server_means(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT 1;\n\n  CREATE TABLE a (\n    id int,\n    name wrong(5)\n  );"})
    with pytest.raises(StatementFailed, match=r"V1__a.sql:5:10: ERROR 1064"):
        migrate(empty_database, tmp_path)


def test_no_password_stands_in_an_error_or_in_the_journal(empty_database, tmp_path) -> None:
    text = "CREATE USER shop_x IDENTIFIED BY 'canary-7391';\nALTER USER nobody IDENTIFIED BY 'canary-7391';"
    write(tmp_path, {"V1__a.sql": text})
    with pytest.raises(StatementFailed, match="ERROR 1396") as failed:
        migrate(empty_database, tmp_path)
    assert "canary-7391" not in str(failed.value)
    assert "canary" not in str(empty_database.rows("SELECT * FROM migrations.journal"))


# --- a run is killed


def test_killed_three_times_in_the_middle_a_rerun_ends_well(empty_database, tmp_path) -> None:
    files = numbered(6, ["CREATE TABLE t{n} (id int)", "INSERT INTO t{n} VALUES (1), (2), (3)"])
    # killed within a transaction, within what the server can tell, and between the two
    for n, text in (
        (2, "INSERT INTO t2 SELECT sleep(2)"),
        (4, "CREATE TABLE u4 AS SELECT sleep(2) AS s"),
        (6, "DO sleep(2)"),
    ):
        name = f"V{n}__file_{n}.sql"
        before = f"V{n - 1}__file_{n - 1}.sql"
        write(tmp_path, {before: files[before], name: f"{files[name]}{text};"})
        killed_at(empty_database, tmp_path, text)
        assert state_of(empty_database, tmp_path, name).startswith("begun at")
        assert run(empty_database, "apply", "--directory", tmp_path).returncode == DONE
    assert [name for name, _ in history(empty_database)] == list(files)
    counts = [empty_database.value(f"SELECT count(*) FROM shop.t{n}") for n in range(1, 7)]
    assert counts == [3, 4, 3, 3, 3, 3]
    assert empty_database.value("SELECT count(*) FROM u4") == 1


DOUBTFUL = "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\nALTER TABLE a ADD b int, ADD CHECK (id < 9);\nSELECT 1;"


@pytest.fixture
def in_doubt(empty_database, tmp_path) -> Path:
    """A file whose run was killed while its third statement waited in the server."""
    write(tmp_path, {"V1__a.sql": DOUBTFUL})
    with closing(empty_database.connect()) as reader, reader.cursor() as cursor:
        migrate_until_blocked = start(
            empty_database,
            "apply",
            "--directory",
            write(tmp_path, {"V1__a.sql": DOUBTFUL.replace("VALUES (1);", "VALUES (1); SELECT sleep(1);")}),
        )
        until(lambda: running(empty_database, "sleep(1)"))
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM a")
        until(lambda: running(empty_database, "ALTER TABLE a"))
        migrate_until_blocked.kill()
        migrate_until_blocked.communicate(timeout=10)
    return tmp_path


def test_after_a_kill_the_statement_in_doubt_is_named_until_somebody_says_what_became_of_it(
    empty_database, in_doubt
) -> None:
    until(lambda: not running(empty_database, "ALTER TABLE a"))
    assert state_of(empty_database, in_doubt, "V1__a.sql") == "in doubt at 4/5"
    for _ in range(2):
        with pytest.raises(InDoubt) as doubt:
            migrate(empty_database, in_doubt)
        assert str(doubt.value).startswith("V1__a.sql:3:1: statement 4 of 5 is in doubt")
        for part in ("--statement-done", "--statement-undone", "statement: ALTER TABLE a ADD b int"):
            assert part in str(doubt.value)
    was_done = bool(empty_database.rows("SHOW COLUMNS FROM shop.a LIKE 'b'"))
    option = "--statement-done" if was_done else "--statement-undone"
    answer = run(empty_database, "repair", option, "--json", "--directory", in_doubt)
    assert json.loads(answer.stdout) == {"settled": "V1__a.sql", "goes_on_at": 5 if was_done else 4}
    assert migrate(empty_database, in_doubt).applied == ("V1__a.sql",)
    assert empty_database.rows("SELECT id, b FROM a") == [(1, None)]


def test_a_rerun_waits_for_what_the_server_still_executes_for_a_killed_run(empty_database, tmp_path) -> None:
    busy = "CREATE TABLE a AS SELECT benchmark(15000000, sha2('x', 512)) AS n"
    write(tmp_path, {"V1__a.sql": f"{busy};\nINSERT INTO a VALUES (7);"})
    killed_at(empty_database, tmp_path, "benchmark")
    assert running(empty_database, "benchmark")
    with pytest.raises(LockHeld, match=r"the last statement of a migrator that is gone: processlist id \d+"):
        migrate(empty_database, tmp_path, limits=Limits(wait_for_lock_seconds=0.2))
    said: list[str] = []
    assert migrate(empty_database, tmp_path, said=said).applied == ("V1__a.sql",)
    assert "waiting for the last statement of a migrator that is gone" in said[0]
    assert empty_database.rows("SELECT n FROM a") == [(0,), (7,)]


def test_what_the_server_can_tell_is_not_in_doubt(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (id int);\nDROP TABLE a;\nCREATE TABLE b (id int);"})
    with closing(empty_database.migrations()) as session:
        migrations.apply(session, read_files(tmp_path), report=[].append)
    # as a kill would have left it: the second sent, and done
    cursor = empty_database.superuser().cursor()
    cursor.execute("DELETE FROM migrations.history")
    cursor.execute("DROP TABLE shop.b")
    text = (tmp_path / "V1__a.sql").read_text()
    from aurora.mysql_migrations import history as tables
    from aurora.mysql_migrations.script import read_script

    digests = tables.digests(read_script(text).statements)
    cursor.execute(
        "INSERT INTO migrations.journal (name, version, kind, checksum, began_at, began_by, statements, digests,"
        " done, sent) VALUES ('V1__a.sql', 1, 'versioned', %s, now(6), 'x', 3, %s, 1, 2)",
        ("0" * 64, digests),
    )
    assert state_of(empty_database, tmp_path, "V1__a.sql") == "in doubt at 2/3"
    assert migrate(empty_database, tmp_path).applied == ("V1__a.sql",)
    assert exists(empty_database, "b")
    assert not exists(empty_database, "a")


# --- the session


def test_where_a_file_goes_on_its_session_is_as_it_was(empty_database, tmp_path) -> None:
    text = (
        "CREATE DATABASE IF NOT EXISTS shop2;\nUSE shop2\nSET @n = 5, sql_mode = 'ANSI_QUOTES';\n"
        "SET time_zone = '+03:00';\nCREATE TABLE a (n int, z varchar(9));\n{}\n"
        'INSERT INTO "a" VALUES (@n, @@time_zone);'
    )
    write(tmp_path, {"V1__a.sql": text.format("SELECT wrong;")})
    with pytest.raises(StatementFailed):
        migrate(empty_database, tmp_path)
    write(tmp_path, {"V1__a.sql": text.format("SELECT 1;")})
    migrate(empty_database, tmp_path)
    assert empty_database.rows("SELECT n, z FROM shop2.a") == [(5, "+03:00")]


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("CREATE TEMPORARY TABLE t (id int)", "INSERT INTO a SELECT id FROM t", "the temporary table t"),
        ("SELECT 7 INTO @x", "INSERT INTO a VALUES (@x)", "@x"),
        ("SET @x = (SELECT max(id) FROM a)", "INSERT INTO a VALUES (@x)", "@x"),
        ("SET @x = NOW(), @y = @x", "INSERT INTO a VALUES (@y)", "@y"),
        ("INSERT INTO a VALUES (1)", "INSERT INTO a VALUES (LAST_INSERT_ID())", "the last insert id"),
    ],
)
def test_what_went_with_the_session_is_named_where_it_is_needed(
    empty_database, tmp_path, before: str, after: str, named: str
) -> None:
    text = f"CREATE TABLE a (id int);\n{before};\nINSERT INTO a VALUES (0);\n{{}};\n{after};"
    write(tmp_path, {"V1__a.sql": text.format("SELECT wrong")})
    with pytest.raises(StatementFailed):
        migrate(empty_database, tmp_path)
    write(tmp_path, {"V1__a.sql": text.format("SELECT 1")})
    with pytest.raises(
        HistoryRefused, match=f"V1__a.sql:5: the file cannot go on: this statement uses {named}"
    ):
        migrate(empty_database, tmp_path)


LEAKS = {
    "schema": ("CREATE DATABASE shop2;\nUSE shop2", "SELECT database() = 'shop'"),
    "variables": ("SET @x = 1", "SELECT @x IS NULL"),
    "settings": (
        "SET sql_mode = '', time_zone = '+05:00', foreign_key_checks = 0, lock_wait_timeout = 999, autocommit = 0",
        "SELECT @@sql_mode <> '' AND @@time_zone = @@GLOBAL.time_zone AND @@foreign_key_checks AND @@lock_wait_timeout = 10"
        " AND @@autocommit",
    ),
    "character set": ("SET NAMES latin1", "SELECT @@character_set_client = 'utf8mb4'"),
    "prepared statement": ("PREPARE p FROM 'SELECT 1'", "SELECT count(*) = 0 FROM performance_schema.prepared_statements_instances"),
    "table locks": ("CREATE TABLE l (id int);\nLOCK TABLES l WRITE", "SELECT count(*) = 0 FROM l"),
    "user locks": (
        "SELECT RELEASE_ALL_LOCKS();\nSELECT GET_LOCK('mine', 0)",
        "SELECT IS_FREE_LOCK('mine') AND NOT IS_FREE_LOCK('migrations: its statements')",
    ),
    "role": ("SET ROLE NONE", "SELECT current_role() <> 'NONE'"),
    "isolation": ("SET SESSION TRANSACTION READ ONLY", "SELECT NOT @@transaction_read_only"),
}  # fmt: skip


@pytest.mark.parametrize("leak", LEAKS)
def test_no_state_reaches_the_next_file_or_the_history(empty_database, tmp_path, leak: str) -> None:
    statements, check = LEAKS[leak]
    write(
        tmp_path,
        {
            "V1__leak.sql": f"{statements};",
            "V2__probe.sql": f"CREATE TABLE probe (ok int); INSERT INTO probe SELECT ({check});",
        },
    )
    migrate(empty_database, tmp_path)
    assert empty_database.rows("SELECT ok FROM shop.probe") == [(1,)]
    assert [name for name, _ in history(empty_database)] == ["V1__leak.sql", "V2__probe.sql"]


def test_no_temporary_table_reaches_the_next_file(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TEMPORARY TABLE t (id int);", "V2__b.sql": "SELECT * FROM t;"})
    with pytest.raises(StatementFailed, match=r"V2__b.sql:1:15: ERROR 1146"):
        migrate(empty_database, tmp_path)


def test_what_a_statement_leaves_for_the_next_one_is_as_the_client_has_it(empty_database, tmp_path) -> None:
    text = (
        "CREATE TABLE a (id int AUTO_INCREMENT PRIMARY KEY, n int);\nINSERT INTO a (n) VALUES (1), (2);\n"
        "INSERT INTO a (n) VALUES (ROW_COUNT() * 100);\nINSERT INTO a (n) VALUES (LAST_INSERT_ID() * 1000);"
    )
    write(tmp_path, {"V1__a.sql": text})
    migrate(empty_database, tmp_path)
    assert empty_database.rows("SELECT n FROM a ORDER BY id") == [(1,), (2,), (200,), (3000,)]


def test_a_dump_is_applied_as_it_is(empty_database, tmp_path) -> None:
    text = """\
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
DROP TABLE IF EXISTS `kept`;
CREATE TABLE `kept` (`id` int NOT NULL AUTO_INCREMENT, `t` text, PRIMARY KEY (`id`));
LOCK TABLES `kept` WRITE;
/*!40000 ALTER TABLE `kept` DISABLE KEYS */;
INSERT INTO `kept` VALUES (0,'a;b'),(1,'it\\'s');
/*!40000 ALTER TABLE `kept` ENABLE KEYS */;
UNLOCK TABLES;
DELIMITER ;;
/*!50003 CREATE*/ /*!50003 TRIGGER `t` BEFORE INSERT ON `kept` FOR EACH ROW BEGIN SET NEW.t = ';'; END */;;
DELIMITER ;
/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
"""
    write(tmp_path, {"V1__dump.sql": text, "V2__next.sql": "INSERT INTO kept VALUES (5, 'x');"})
    migrate(empty_database, tmp_path)
    assert empty_database.rows("SELECT id, t FROM kept ORDER BY id") == [(0, "a;b"), (1, "it's"), (5, ";")]


# --- the connection


def test_a_writer_that_became_a_reader_is_a_lost_connection(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT 1;"})
    migrate(empty_database, tmp_path)
    write(tmp_path, {"V2__b.sql": "CREATE TABLE b (id int);"})
    empty_database.server.execute("SET GLOBAL super_read_only = ON")
    try:
        with pytest.raises(ConnectionLost, match=r"the writer became a reader.*1290"):
            migrate(empty_database, tmp_path)
    finally:
        empty_database.server.execute("SET GLOBAL super_read_only = OFF")
        empty_database.server.execute("SET GLOBAL read_only = OFF")
    assert migrate(empty_database, tmp_path).applied == ("V2__b.sql",)


def test_a_connection_lost_in_the_middle_is_replaced_until_the_deadline(empty_database, tmp_path) -> None:
    text = "CREATE TABLE a (id int);\nINSERT INTO a SELECT sleep(1.5);\nINSERT INTO a VALUES (7);"
    write(tmp_path, {"V1__a.sql": text})
    said: list[str] = []

    def killing(line: str) -> None:
        said.append(line)

    def connect():
        if not said:
            import threading

            def kill() -> None:
                until(lambda: running(empty_database, "sleep(1.5)"))
                (session,) = running(empty_database, "sleep(1.5)")[0]
                empty_database.server.execute(f"KILL {session}")

            threading.Thread(target=kill).start()
        return empty_database.migrations()

    outcome = migrations.apply_reconnecting(
        connect, read_files(tmp_path), report=killing, deadline=Deadline.after(30)
    )
    assert outcome.applied == ("V1__a.sql",)
    assert any("connecting again" in line for line in said)
    assert empty_database.rows("SELECT id FROM a") == [(0,), (7,)]


def test_a_wrong_password_is_told_and_not_repeated(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT 1;"})
    url = f"mysql://shop_admin:canary-1@localhost/shop?unix_socket={empty_database.server.socket_path}"
    done = run(empty_database, "status", "--directory", tmp_path, "--url", url)  # the last --url counts
    import subprocess
    import sys

    from tests.database.migrating import environment

    done = subprocess.run(
        [sys.executable, "-m", "apply_schema", "status", "--directory", str(tmp_path), "--url", url],
        env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == FAILED
    assert "Access denied for user 'shop_admin'" in done.stdout
    assert "canary-1" not in done.stdout + done.stderr


def test_a_full_disk_leaves_the_statement_undone_and_a_rerun_succeeds(empty_database, tmp_path) -> None:
    """InnoDB says the same of a file that may grow no further as of a disk that is full."""
    server, text = empty_database.server, "CREATE TABLE big (b longblob) TABLESPACE innodb_system;\n"
    text += "INSERT INTO big VALUES (repeat('x', {}));\nCREATE TABLE later (n int);\n"
    settings = {name: value for name, value in server._settings.items() if name not in server._durability}
    server.configure(settings | {"innodb_data_file_path": "ibdata1:12M:autoextend:max:20M"})
    try:
        write(tmp_path, {"V1__a.sql": text.format(30_000_000)})
        with pytest.raises(StatementFailed, match=r"V1__a.sql:2:1: ERROR 1114: The table 'big' is full"):
            migrate(empty_database, tmp_path)
        assert empty_database.value("SELECT count(*) FROM shop.big") == 0
        write(tmp_path, {"V1__a.sql": text.format(30)})
        assert migrate(empty_database, tmp_path).applied == ("V1__a.sql",)
        assert empty_database.value("SELECT count(*) FROM shop.big") == 1
    finally:
        server.configure(settings)


def test_a_rehearsal_is_refused_and_says_what_to_do(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (id int);"})
    done = run(empty_database, "dry-run", "--rehearse", "--directory", tmp_path)
    assert done.returncode == REFUSED
    assert "MySQL cannot roll back what a rehearsal would run" in done.stdout
    assert "copy-on-write" in done.stdout
    assert not exists(empty_database, "a")
