"""Several migrators at once, and what a killed one leaves behind."""

# ruff: noqa: E501 - SQL stands as a file would have it

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg2
import pytest

from apply_schema import migrations
from apply_schema.failures import LockHeld, StatementFailed
from apply_schema.limits import Limits
from apply_schema.migration_files import read_files
from localcloud.aurora.postgresql_server import PostgresqlServer
from tests.database.migrating import (  # noqa: F401
    exists,
    held_lock,
    history,
    is_locked,
    migrate,
    numbered,
    run,
    running,
    spoken_alike,
    start,
    write,
)
from tests.database.servers import PostgresqlDatabase

PATIENCE_SECONDS = 30
NO_TRANSACTION = "-- migrate: no-transaction\n"


def until(condition: Callable[[], object]) -> None:
    """Wait for the condition, or fail."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


NAMED = {
    "postgresql": r"pid \d+, application 'apply_schema",
    "mysql": r"processlist id \d+, user shop_admin, host localhost, ",
}


def test_of_six_at_once_one_applies_and_five_find_it_applied(empty_database, tmp_path) -> None:
    write(tmp_path, numbered(12, ["CREATE TABLE t{n} (n int)", "SELECT sleep(0.05)"]))
    migrators = [start(empty_database, "apply", "--directory", tmp_path) for _ in range(6)]
    ended = [migrator.communicate(timeout=60) for migrator in migrators]
    assert [migrator.returncode for migrator in migrators] == [0] * 6, ended
    answers = sorted(out.strip() for out, _ in ended)
    assert answers == ["applied 12; schema version 12"] + ["up to date; schema version 12"] * 5
    assert len(history(empty_database)) == 12
    waited = f"waiting for another migrator: {NAMED[empty_database.engine]}"
    assert any(re.search(waited, err) for _, err in ended)


HOLDER = {
    "postgresql": r"pid {}, application 'the holder', user rdsadmin, connected since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d",
    "mysql": r"processlist id {}, user rdsadmin, host localhost, idle since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d",
}


def test_a_held_lock_ends_the_wait_in_time_and_names_its_holder(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (n int);"})
    said: list[str] = []
    began = time.monotonic()
    with held_lock(empty_database) as session, pytest.raises(LockHeld) as refused:
        migrate(empty_database, tmp_path, limits=Limits(wait_for_lock_seconds=0.5), said=said)
    assert time.monotonic() - began < 5
    for text in (str(refused.value), said[0]):
        assert re.search(HOLDER[empty_database.engine].format(session), text)
    assert not exists(empty_database, "a")


def test_with_nothing_to_do_nobody_waits_for_the_lock(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT 1;"})
    migrate(empty_database, tmp_path)
    with held_lock(empty_database):
        assert migrate(empty_database, tmp_path, limits=Limits(wait_for_lock_seconds=0)).state == "up-to-date"


@pytest.mark.engine("postgresql")
def test_a_waiting_migrator_does_not_hold_up_a_concurrent_index(empty_database, tmp_path) -> None:
    write(
        tmp_path,
        {
            "V1__a.sql": "CREATE TABLE a (b int);",
            "V2__b.sql": f"{NO_TRANSACTION}SELECT pg_sleep(1);\nCREATE INDEX CONCURRENTLY a_b ON a (b);",
        },
    )
    first = start(empty_database, "apply", "--directory", tmp_path)
    until(lambda: running(empty_database, "pg_sleep(1)"))
    second = start(empty_database, "apply", "--directory", tmp_path)
    assert "applied 2" in first.communicate(timeout=30)[0]
    assert "up to date" in second.communicate(timeout=30)[0]


def test_no_lock_stays_after_success_or_failure(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT 1;", "V2__b.sql": "SELECT wrong;"})
    with pytest.raises(StatementFailed):
        migrate(empty_database, tmp_path)
    until(lambda: not is_locked(empty_database))
    write(tmp_path, {"V2__b.sql": "SELECT 1;"})
    with closing(empty_database.migrations(Limits())) as session:
        migrations.apply(session, read_files(tmp_path), report=[].append)
        assert not is_locked(empty_database)


@pytest.mark.engine("postgresql")
def test_a_table_that_another_session_holds_ends_the_wait_and_names_it(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (n int);"})
    migrate(empty_database, tmp_path)
    write(tmp_path, {"V2__b.sql": "CREATE TABLE b (n int);\nALTER TABLE a ADD c int;"})
    with closing(empty_database.connect()) as reader, reader.cursor() as cursor:
        cursor.execute("SET application_name = 'a long report'; SELECT * FROM a")
        with pytest.raises(StatementFailed) as failed:
            migrate(empty_database, tmp_path, limits=Limits(lock_timeout_seconds=0.2))
    assert str(failed.value).startswith("V2__b.sql:2:1: ERROR 55P03: canceling statement due to lock timeout")
    assert "application 'a long report'" in str(failed.value)
    assert not exists(empty_database, "b")


@pytest.mark.engine("postgresql")
def test_killed_three_times_in_the_middle_a_rerun_ends_well(empty_database, tmp_path) -> None:
    files = numbered(6, ["CREATE TABLE t{n} (id int)", "INSERT INTO t{n} SELECT generate_series(1, 100)"])
    write(tmp_path, files)
    # each of these three files is killed once in its second statement, and then goes through
    for n in (2, 4, 6):
        name = f"V{n}__file_{n}.sql"
        write(tmp_path, {name: files[name] + "SELECT pg_sleep(3600);"})
        migrator = start(empty_database, "apply", "--directory", tmp_path)
        until(lambda: running(empty_database, "pg_sleep(3600)"))
        migrator.kill()
        migrator.communicate(timeout=10)
        assert not exists(empty_database, f"t{n}")
        write(tmp_path, {name: files[name]})
    assert run(empty_database, "apply", "--directory", tmp_path).returncode == 0
    assert [name for name, _ in history(empty_database)] == list(files)
    assert [empty_database.value(f"SELECT count(*) FROM t{n}") for n in range(1, 7)] == [100] * 6


@pytest.mark.engine("postgresql")
@pytest.mark.parametrize("marker", ["", NO_TRANSACTION], ids=["in a transaction", "without one"])
def test_a_rerun_waits_for_what_the_server_still_executes_for_a_killed_run(
    empty_database, tmp_path, marker: str
) -> None:
    # plpgsql that never touches the network: the server does not notice that its client is gone
    busy = "DO $$ BEGIN PERFORM pg_sleep(1.5); CREATE TABLE IF NOT EXISTS a (); END $$"
    write(tmp_path, {"V1__a.sql": f"{marker}{busy};"})
    migrator = start(empty_database, "apply", "--directory", tmp_path)
    until(lambda: running(empty_database, "pg_sleep(1.5)"))
    migrator.kill()
    migrator.communicate(timeout=10)
    assert running(empty_database, "pg_sleep(1.5)")
    said: list[str] = []
    assert migrate(empty_database, tmp_path, said=said).applied == ("V1__a.sql",)
    assert "waiting for another migrator" in said[0]
    assert len(history(empty_database)) == 1


@pytest.mark.engine("postgresql")
def test_the_server_soon_stops_what_a_killed_run_left_in_a_transaction(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT pg_sleep(3600);"})
    migrator = start(empty_database, "apply", "--directory", tmp_path)
    until(lambda: running(empty_database, "pg_sleep(3600)"))
    migrator.kill()
    migrator.communicate(timeout=10)
    until(lambda: not running(empty_database, "pg_sleep(3600)"))


@pytest.mark.parametrize("last", ["SELECT 1;", "SELECT 1/0;"], ids=["after success", "after a failure"])
def test_what_a_run_has_answered_survives_the_servers_crash(tmp_path, last: str) -> None:
    with closing_server(tmp_path) as server:
        database = PostgresqlDatabase(server, "shop")
        files = write(tmp_path, numbered(3, ["CREATE TABLE t{n} (n int)"]) | {"V4__last.sql": last})
        with suppress(StatementFailed):
            migrate(database, files)
        server.kill()
        server.start()
        assert len(history(database)) == 3 + ("/" not in last)
        assert exists(database, "t3")


@contextmanager
def closing_server(folder: Path) -> Iterator[PostgresqlServer]:
    """A server of the test's own that writes its log to disk when a commit asks for it, and hardly else."""
    with tempfile.TemporaryDirectory(prefix="shop-test-") as directory:
        Path(directory).chmod(0o711)  # the server runs as nobody where the tests run as root
        server = PostgresqlServer.initialize(
            Path(directory) / "writer",
            major=16,
            master_user="shop_admin",
            master_password="of a server that lives for seconds",
            database="shop",
            parameters={"wal_writer_delay": "10000"},
        )
        try:
            yield server
        finally:
            server.stop(mode="immediate")


@pytest.mark.engine("postgresql")
def test_a_backend_terminated_in_the_middle_leaves_nothing(empty_database, tmp_path) -> None:
    write(
        tmp_path,
        {
            "V1__a.sql": "CREATE TABLE a (n int);",
            "V2__b.sql": "CREATE TABLE b (n int); SELECT pg_sleep(3600);",
        },
    )
    migrator = start(empty_database, "apply", "--directory", tmp_path)
    until(lambda: running(empty_database, "pg_sleep(3600)"))
    with suppress(psycopg2.Error):
        empty_database.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND query LIKE %s"
            " AND pid <> pg_backend_pid()",
            (empty_database.name, "%pg_sleep(3600)%"),
        )
    out, _ = migrator.communicate(timeout=30)
    assert migrator.returncode == 1
    assert out.startswith("failed: V2__b.sql: ")
    assert "server closed the connection" in out or "57P01" in out  # as the driver's libpq has it
    assert "1 of 2 pending files were applied before" in out
    assert exists(empty_database, "a")
    assert not exists(empty_database, "b")
