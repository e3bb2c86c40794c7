"""What a failed file says, and that it leaves nothing."""

from __future__ import annotations

import time
from contextlib import closing

import pytest

from apply_schema import migrations
from apply_schema.failures import ConnectionLost, OutOfTime, StatementFailed
from apply_schema.limits import Limits
from apply_schema.migration_files import read_files
from aurora.deadline import Deadline
from tests.database.migrating import exists, history, migrate, write

pytestmark = pytest.mark.engine("postgresql")

NO_TRANSACTION = "-- migrate: no-transaction\n"


def failure(database, folder, **options) -> str:
    with pytest.raises(StatementFailed) as failed:
        migrate(database, folder, **options)
    return str(failed.value)


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        # the first statement travels behind BEGIN, the second does not
        ("SELECT 1 + ä;", "1:12", '42703: column "ä" does not exist'),
        (
            "-- ü\nCREATE TABLE b (n int);\n\n  SELECT 'é',\n    wrong\n  FROM b;",
            "5:5",
            '42703: column "wrong"',
        ),
        ("SELECT 1;\nSELEKT 2;", "2:1", "42601: syntax error"),
        ("CREATE TABLE b (c int CHECK (c > 0));\nINSERT INTO b\n VALUES (-1);", "2:1", "23514"),
        ("SELECT 1;\n  SELECT 1/0;", "2:3", "22012: division by zero"),
        ("COPY b FROM stdin;\n1\n\\.\n", "1:1", '42P01: relation "b"'),
        ("CREATE TABLE b (c int);\nCOPY b\nFROM stdin;\n1\n2\nthree\n\\.\n", "6:1", "22P02"),
        ("SELECT 1;\nDO $$ BEGIN\n PERFORM wrong(); END $$;", "2:1", "42883: function wrong()"),
    ],
)
def test_an_error_carries_file_line_column_and_statement(empty_database, tmp_path, text, place, said) -> None:
    write(tmp_path, {"V0001__bad.sql": text})
    message = failure(empty_database, tmp_path)
    assert message.startswith(f"V0001__bad.sql:{place}: ERROR {said}"), message
    assert "\nstatement: " in message
    assert "statement: BEGIN" not in message
    assert not exists(empty_database, "b")


def test_a_failed_file_leaves_nothing_and_the_files_before_it_stand(empty_database, tmp_path) -> None:
    good = {"V1__a.sql": "CREATE TABLE a (n int);", "R__r.sql": "SELECT 1;"}
    write(tmp_path, good | {"V2__b.sql": "CREATE TABLE b (n int);\nSELECT wrong;\nCREATE TABLE c (n int);"})
    message = failure(empty_database, tmp_path)
    assert message.endswith("1 of 3 pending files were applied before")
    assert [name for name, _ in history(empty_database)] == ["V1__a.sql"]
    assert not exists(empty_database, "b")
    write(tmp_path, {"V2__b.sql": "CREATE TABLE b (n int);"})
    assert migrate(empty_database, tmp_path).applied == ("V2__b.sql", "R__r.sql")


def test_the_servers_details_and_hints_are_passed_on(empty_database, tmp_path) -> None:
    write(
        tmp_path, {"V1__a.sql": "DO $$ BEGIN RAISE 'no' USING DETAIL = 'because', HINT = 'do it so'; END $$;"}
    )
    message = failure(empty_database, tmp_path)
    for part in ("ERROR P0001: no", "DETAIL: because", "HINT: do it so", "CONTEXT: PL/pgSQL"):
        assert part in message


def test_no_password_stands_in_an_error(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "ALTER ROLE nobody_has PASSWORD 'canary-7391';"})
    message = failure(empty_database, tmp_path)
    assert "ALTER ROLE nobody_has" in message
    assert "canary-7391" not in message


def test_of_a_long_statement_the_beginning_and_the_place_are_shown(empty_database, tmp_path) -> None:
    columns = ",\n".join(f"  {n} AS column_{n}" for n in range(400))
    write(tmp_path, {"V1__a.sql": f"SELECT\n{columns},\n  wrong;"})
    message = failure(empty_database, tmp_path)
    assert message.startswith("V1__a.sql:402:3: ")
    assert "statement: SELECT" in message
    assert "column_399" in message
    assert len(message) < 1500


def test_statements_that_refuse_a_transaction_run_under_the_marker(empty_database, tmp_path) -> None:
    text = "CREATE INDEX CONCURRENTLY a_b ON a (b);\nVACUUM a;"
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (b int);", "V2__b.sql": text})
    assert "V2__b.sql:1:1: ERROR 25001" in failure(empty_database, tmp_path)
    write(tmp_path, {"V2__b.sql": NO_TRANSACTION + text})
    assert migrate(empty_database, tmp_path).applied == ("V2__b.sql",)
    assert exists(empty_database, "a_b")


def test_a_failed_file_without_transaction_says_what_stands_and_runs_anew(empty_database, tmp_path) -> None:
    text = "CREATE TABLE IF NOT EXISTS a ();\nCREATE TABLE IF NOT EXISTS b ();\nSELECT 1/{};"
    write(tmp_path, {"V1__a.sql": NO_TRANSACTION + text.format(0)})
    message = failure(empty_database, tmp_path)
    assert "V1__a.sql:4:1: ERROR 22012" in message
    assert "2 of its 3 statements stand, and the next run begins it anew" in message
    assert history(empty_database) == []
    write(tmp_path, {"V1__a.sql": NO_TRANSACTION + text.format(1)})
    assert migrate(empty_database, tmp_path).applied == ("V1__a.sql",)


def test_an_invalid_index_is_never_passed_over_in_silence(empty_database, tmp_path) -> None:
    index = "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS a_b ON a (b);"
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (b int); INSERT INTO a VALUES (1), (1);"})
    migrate(empty_database, tmp_path)
    write(tmp_path, {"V2__b.sql": NO_TRANSACTION + index})
    assert "23505" in failure(empty_database, tmp_path)
    empty_database.rows("DELETE FROM a RETURNING 1")
    # IF NOT EXISTS finds the broken index that the failure left, and would be content
    assert "index public.a_b is invalid: drop it" in failure(empty_database, tmp_path)
    assert len(history(empty_database)) == 1
    write(tmp_path, {"V2__b.sql": f"{NO_TRANSACTION}DROP INDEX CONCURRENTLY IF EXISTS a_b;{index}"})
    assert migrate(empty_database, tmp_path).applied == ("V2__b.sql",)


def test_a_statement_that_runs_too_long_is_stopped(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (n int);\nSELECT pg_sleep(60);"})
    message = failure(empty_database, tmp_path, limits=Limits(statement_timeout_seconds=0.2))
    assert message.startswith("V1__a.sql:2:1: ERROR 57014: canceling statement due to statement timeout")
    assert not exists(empty_database, "a")


def test_a_full_disk_leaves_nothing_and_a_rerun_succeeds(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (b int);"})
    migrate(empty_database, tmp_path)
    write(tmp_path, {"V2__b.sql": "CREATE TABLE c (n int);\nINSERT INTO a VALUES (1);"})
    file = empty_database.server.directory / "data" / empty_database.value("SELECT pg_relation_filepath('a')")
    file.rename(file.with_suffix(".kept"))
    file.symlink_to("/dev/full")
    message = failure(empty_database, tmp_path)
    assert message.startswith("V2__b.sql:2:1: ERROR 53100: could not extend file")
    assert "No space left on device" in message
    assert not exists(empty_database, "c")
    file.unlink()
    file.with_suffix(".kept").rename(file)
    assert migrate(empty_database, tmp_path).applied == ("V2__b.sql",)
    assert empty_database.rows("SELECT b FROM a") == [(1,)]


def test_before_the_deadline_it_stops_between_files_says_how_far_it_came_and_resumes(
    empty_database, tmp_path
) -> None:
    write(
        tmp_path, {f"V{n}__a.sql": f"CREATE TABLE t{n} (n int); SELECT pg_sleep(0.4);" for n in range(1, 6)}
    )
    with pytest.raises(OutOfTime) as stopped:
        migrate(empty_database, tmp_path, limits=Limits(deadline=Deadline.after(1)))
    done = len(history(empty_database))
    assert 1 <= done <= 3
    assert f"V{done + 1}__a.sql" in str(stopped.value)
    assert f"{done} of 5 pending files were applied before" in str(stopped.value)
    assert len(stopped.value.applied) == done
    assert not exists(empty_database, f"t{done + 1}")
    assert len(migrate(empty_database, tmp_path).applied) == 5 - done


@pytest.mark.parametrize(
    "text",
    ["SELECT pg_sleep(60);", "SET statement_timeout = 0; SELECT pg_sleep(1.2); SELECT pg_sleep(60);"],
    ids=["one statement", "a file that lifts the limit"],
)
def test_a_statement_that_reaches_the_deadline_is_cancelled(empty_database, tmp_path, text: str) -> None:
    write(tmp_path, {"V1__a.sql": f"CREATE TABLE a (n int); {text}"})
    began = time.monotonic()
    with pytest.raises(OutOfTime, match=r"V1__a.sql: .*deadline"):
        migrate(empty_database, tmp_path, limits=Limits(deadline=Deadline.after(2.5)))
    assert time.monotonic() - began < 8
    assert not exists(empty_database, "a")


def test_a_files_own_stricter_limit_stays(empty_database, tmp_path) -> None:
    text = (
        "SET statement_timeout = '300ms'; SELECT pg_sleep(0.2);"
        + "SELECT pg_sleep(0.2);" * 6
        + "SELECT pg_sleep(9);"
    )
    write(tmp_path, {"V1__a.sql": text})
    message = failure(empty_database, tmp_path, limits=Limits(deadline=Deadline.after(30)))
    assert "ERROR 57014" in message


def test_a_connection_lost_in_the_middle_is_replaced_until_the_deadline(empty_database, tmp_path) -> None:
    write(
        tmp_path,
        {
            "V1__a.sql": "CREATE TABLE a (n int);",
            # the first run of this file ends its own session, the second finds the table and does not
            "V2__b.sql": "CREATE TABLE b (n int); SELECT pg_terminate_backend(pg_backend_pid())"
            " FROM seen_before WHERE nextval('attempts') = 1;",
        },
    )
    with closing(empty_database.connect()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE attempts; CREATE TABLE seen_before AS SELECT 1")
    said: list[str] = []
    outcome = migrations.apply_reconnecting(
        lambda: empty_database.migrations(Limits()),
        read_files(tmp_path),
        report=said.append,
        deadline=Deadline.after(30),
    )
    assert outcome.applied == ("V1__a.sql", "V2__b.sql")
    assert any("connecting again" in line for line in said)
    assert len(history(empty_database)) == 2


def test_a_connection_that_is_lost_again_and_again_ends_with_the_deadline(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT pg_terminate_backend(pg_backend_pid());"})
    began = time.monotonic()
    with pytest.raises(ConnectionLost, match=r"server closed the connection|57P01"):
        migrations.apply_reconnecting(
            lambda: empty_database.migrations(Limits()),
            read_files(tmp_path),
            report=[].append,
            deadline=Deadline.after(2),
        )
    assert time.monotonic() - began < 10
