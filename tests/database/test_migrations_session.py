"""Nothing that a file does to its session reaches the next file or the history."""

# ruff: noqa: E501 - SQL stands as a file would have it

from __future__ import annotations

from contextlib import closing

import pytest

from apply_schema import migrations
from apply_schema.database import Script
from apply_schema.failures import MigrationFailed, StatementFailed
from apply_schema.limits import Limits
from apply_schema.migration_files import read_files
from aurora.postgresql_migrations.lock import LOCK_KEY
from tests.database.migrating import exists, history, migrate, write

pytestmark = pytest.mark.engine("postgresql")

NO_TRANSACTION = "-- migrate: no-transaction\n"

LEAKS = {
    "search_path emptied by a dump": (
        "SELECT pg_catalog.set_config('search_path', '', false);",
        "SELECT current_setting('search_path') LIKE '%public%'",
    ),
    "role": (
        "CREATE ROLE leak_role; GRANT leak_role TO CURRENT_USER; SET ROLE leak_role;",
        "SELECT current_user = session_user",
    ),
    "settings": (
        "SET statement_timeout = '1h'; SET lock_timeout = 0; SET row_security = off;"
        "SET DateStyle = 'German';",
        "SELECT current_setting('statement_timeout') = '0' AND current_setting('lock_timeout') = '10s'"
        " AND current_setting('row_security') = 'on' AND current_setting('DateStyle') LIKE 'ISO%'",
    ),
    "client_min_messages and a setting of its own": (
        "SET client_min_messages = error; SET my.own = 'x';",
        "SELECT coalesce(current_setting('my.own', true), '') = ''"
        " AND current_setting('client_min_messages') = 'notice'",
    ),
    "temporary table": (
        "CREATE TEMPORARY TABLE leaked (a int);",
        "SELECT to_regclass('pg_temp.leaked') IS NULL",
    ),
    "temporary table that goes with its transaction": (
        "CREATE TEMPORARY TABLE leaked ON COMMIT DROP AS SELECT 1 AS a;",
        "SELECT to_regclass('pg_temp.leaked') IS NULL",
    ),
    "prepared statement": (
        "PREPARE leaked AS SELECT 1;",
        "SELECT count(*) = 0 FROM pg_prepared_statements",
    ),
    "cursor that outlives its transaction": (
        "DECLARE leaked CURSOR WITH HOLD FOR SELECT 1;",
        "SELECT count(*) = 0 FROM pg_cursors",
    ),
    "LISTEN": ("LISTEN leaked;", "SELECT count(*) = 0 FROM pg_listening_channels()"),
    "advisory lock": (
        "SELECT pg_advisory_lock(4711);",
        "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711",
    ),
    "strings in which a backslash escapes": (
        r"SET standard_conforming_strings = off; SELECT 'it\'s; fine';",
        r"SELECT 'a\' = E'a\\'",
    ),
    "isolation": (
        "SET default_transaction_isolation = 'serializable';",
        "SELECT current_setting('transaction_isolation') = 'read committed'",
    ),
}


@pytest.mark.parametrize("marker", ["", NO_TRANSACTION], ids=["in a transaction", "without one"])
@pytest.mark.parametrize("leak", LEAKS)
def test_no_state_reaches_the_next_file(empty_database, tmp_path, leak: str, marker: str) -> None:
    statements, check = LEAKS[leak]
    write(
        tmp_path,
        {
            "V1__leak.sql": f"{marker}{statements}",
            "V2__probe.sql": f"CREATE TABLE public.probe (ok) AS {check};",
        },
    )
    try:
        migrate(empty_database, tmp_path)
        assert empty_database.rows("SELECT * FROM public.probe") == [(True,)]
        assert [name for name, _ in history(empty_database)] == ["V1__leak.sql", "V2__probe.sql"]
    finally:
        empty_database.server.execute("DROP ROLE IF EXISTS leak_role")


def test_no_sequences_last_value_reaches_the_next_file(empty_database, tmp_path) -> None:
    write(
        tmp_path,
        {"V1__draw.sql": "CREATE SEQUENCE s; SELECT nextval('s');", "V2__ask.sql": "SELECT lastval();"},
    )
    with pytest.raises(StatementFailed, match=r"V2__ask.sql:1:1: ERROR 55000"):
        migrate(empty_database, tmp_path)


def test_a_real_dump_is_applied_and_the_next_file_finds_its_search_path(empty_database, tmp_path) -> None:
    with closing(empty_database.superuser()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE public.kept (a int, b text); INSERT INTO kept VALUES (1, 'x;'), (2, E'\\\\')"
        )
    dump = dumped(empty_database)
    assert "COPY public.kept" in dump
    assert "search_path" in dump
    with closing(empty_database.superuser()) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE public.kept; ALTER SCHEMA public OWNER TO shop_admin")
    write(tmp_path, {"V1__dump.sql": dump, "V2__next.sql": "CREATE TABLE next AS SELECT * FROM kept;"})
    migrate(empty_database, tmp_path)
    assert empty_database.rows("SELECT a, b FROM public.next ORDER BY a") == [(1, "x;"), (2, "\\")]


def dumped(database) -> str:
    return database.server.programs.run(
        "pg_dump",
        "--host",
        database.server.socket_directory,
        "--port",
        database.server.port,
        "--username",
        "rdsadmin",
        "--no-owner",
        database.name,
    )


@pytest.mark.parametrize("marker", ["", NO_TRANSACTION], ids=["in a transaction", "without one"])
def test_a_file_that_lets_go_of_every_lock_does_not_lose_the_migrators(
    empty_database, tmp_path, marker: str
) -> None:
    held = (
        f"SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = {LOCK_KEY & 0xFFFFFFFF}"
    )
    write(
        tmp_path,
        {
            "V1__release.sql": f"{marker}SELECT pg_advisory_unlock_all();",
            "V2__probe.sql": f"{NO_TRANSACTION}CREATE TABLE probe AS {held};",
        },
    )
    migrate(empty_database, tmp_path)
    assert empty_database.rows("SELECT * FROM probe") == [(True,)]
    assert not empty_database.value(held)


def test_a_role_that_may_not_write_the_history_does_not_keep_the_file_from_being_recorded(
    empty_database, tmp_path
) -> None:
    write(
        tmp_path,
        {
            "V1__weak.sql": "CREATE ROLE weak_role; GRANT weak_role TO CURRENT_USER;"
            "SET SESSION ROLE weak_role;"
        },
    )
    try:
        migrate(empty_database, tmp_path)
        assert empty_database.rows("SELECT name, applied_by FROM migrations.history") == [
            ("V1__weak.sql", "shop_admin")
        ]
    finally:
        empty_database.server.execute("DROP ROLE IF EXISTS weak_role")


def test_deferred_constraints_fire_as_the_file_left_its_session_and_leave_nothing(
    empty_database, tmp_path
) -> None:
    write(
        tmp_path,
        {
            "V1__a.sql": "CREATE TABLE a (id int PRIMARY KEY);"
            "CREATE TABLE b (id int REFERENCES a DEFERRABLE INITIALLY DEFERRED);",
            "V2__b.sql": "CREATE TABLE c (n int); INSERT INTO b VALUES (7);",
        },
    )
    with pytest.raises(MigrationFailed, match=r"V2__b.sql: at its end: ERROR 23503.*b_id_fkey"):
        migrate(empty_database, tmp_path)
    assert not exists(empty_database, "c")
    assert len(history(empty_database)) == 1


def test_deferred_triggers_still_see_the_settings_of_their_file(empty_database, tmp_path) -> None:
    write(
        tmp_path,
        {
            "V1__a.sql": """
                CREATE SCHEMA apart;
                SET search_path = apart;
                CREATE TABLE noted (id int);
                CREATE TABLE watched (id int);
                CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
                    'BEGIN INSERT INTO noted VALUES (NEW.id); RETURN NULL; END';
                CREATE CONSTRAINT TRIGGER late AFTER INSERT ON watched DEFERRABLE INITIALLY DEFERRED
                    FOR EACH ROW EXECUTE FUNCTION note();
                INSERT INTO watched VALUES (7);
            """
        },
    )
    migrate(empty_database, tmp_path)
    assert empty_database.rows("SELECT id FROM apart.noted") == [(7,)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("CREATE TABLE a (n int);\nSET client_encoding = 'LATIN1';", "client_encoding"),
        ("SELECT 1;\nDO $$ BEGIN COMMIT; END $$;", "2D000"),
        (
            "CREATE TABLE a (n int);\nCREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN COMMIT; END';\nCALL p();",
            "2D000",
        ),
        ("CREATE TABLE a (n int);\nVACUUM;", "25001"),
    ],
)
def test_a_file_cannot_leave_its_transaction(empty_database, tmp_path, text: str, said: str) -> None:
    write(tmp_path, {"V1__a.sql": text})
    with pytest.raises(StatementFailed, match=said):
        migrate(empty_database, tmp_path)
    assert history(empty_database) == []
    assert not exists(empty_database, "a")


def test_a_transaction_ended_behind_the_splitters_back_is_noticed(
    empty_database, tmp_path, monkeypatch
) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT 1;"})
    session = empty_database.migrations(Limits())
    statement = session.read_script("SELECT 1").statements[0]._replace(text="COMMIT")
    monkeypatch.setattr(session, "read_script", lambda text: Script((statement,), transactional=True))
    with closing(session), pytest.raises(StatementFailed, match="began or ended a transaction"):
        migrations.apply(session, read_files(tmp_path), report=[].append)
    assert history(empty_database) == []
