"""The custom resource on a real database: each request, repeated, refused, rolled back."""

from __future__ import annotations

import io
import json
import threading
from contextlib import closing
from dataclasses import dataclass

import pytest

from apply_schema import handler
from apply_schema.migration_files import read_files
from custom_resource import CustomResourceFailed
from tests.database.migrating import exists, history, spoken_alike, write  # noqa: F401

STACK = "arn:aws:cloudformation:eu-central-1:123456789012:stack/shop-dev-schema/11111111-2222-3333"


@dataclass
class Context:
    """An invocation that has so much time."""

    seconds: float = 60

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@pytest.fixture
def folder(empty_database, tmp_path, monkeypatch):
    """The packaged files, and functions that reach the test's database."""
    monkeypatch.setattr(handler, "packaged_directory", lambda _engine: tmp_path)
    monkeypatch.setattr(
        handler,
        "open_by_environment",
        lambda _variables, limits, deadline: empty_database.migrations(limits),
    )
    return tmp_path


@pytest.fixture
def no_database(tmp_path, monkeypatch):
    """A package whose function must not connect."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(handler, "packaged_directory", lambda _engine: tmp_path)
    monkeypatch.setattr(handler, "open_by_environment", refuse)
    return write(tmp_path, {"V1__a.sql": "SELECT 1;"})


def event(kind: str, folder, **changes: object) -> dict[str, object]:
    request = {
        "RequestType": kind,
        "LogicalResourceId": "MigrationsResource",
        "RequestId": "a-request",
        "StackId": STACK,
        "ResourceProperties": {"ServiceToken": "arn", "Digest": read_files(folder).digest},
    }
    if kind != "Create":
        request["PhysicalResourceId"] = "migrations"
    return request | changes


def send(kind: str, folder, context: Context | None = None, **changes: object) -> dict[str, object]:
    return handler.on_event(event(kind, folder, **changes), context or Context())


def answer(version: str, applied: int, state: str) -> dict[str, object]:
    data = {"SchemaVersion": version, "Applied": str(applied), "State": state}
    return {"PhysicalResourceId": "migrations", "Data": data}


def test_a_repeated_create_applies_once_and_answers_the_same_id(empty_database, folder) -> None:
    write(folder, {"V0001__a.sql": "CREATE TABLE a (n int);", "R__r.sql": "SELECT 1;"})
    assert send("Create", folder) == answer("0001", 2, "applied")
    before = history(empty_database)
    assert send("Create", folder) == answer("0001", 0, "up-to-date")
    assert history(empty_database) == before


def test_of_two_creates_at_once_one_applies_and_the_other_finds_it_applied(empty_database, folder) -> None:
    write(
        folder,
        {"V1__a.sql": "CREATE TABLE a (n int); SELECT sleep(0.5);", "V2__b.sql": "CREATE TABLE b (n int);"},
    )
    answers: list[dict[str, object]] = []
    threads = [threading.Thread(target=lambda: answers.append(send("Create", folder))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers, key=str) == [answer("2", 0, "up-to-date"), answer("2", 2, "applied")]
    assert len(history(empty_database)) == 2


WRITTEN = {"postgresql": "SELECT pg_current_wal_insert_lsn()", "mysql": "SELECT @@GLOBAL.gtid_executed"}


def test_an_update_with_nothing_new_runs_no_statement(empty_database, folder) -> None:
    write(folder, {"V1__a.sql": "CREATE TABLE a (n int);"})
    send("Create", folder)
    writes = WRITTEN[empty_database.engine]
    before = empty_database.value(writes)
    assert send("Update", folder, OldResourceProperties={"Digest": "0" * 64}) == answer("1", 0, "up-to-date")
    assert empty_database.value(writes) == before


UNKNOWN_COLUMN = {
    "postgresql": '42703: column "no_such_column" does not exist',
    "mysql": "1054: Unknown column 'no_such_column' in 'field list'",
}


def test_a_failing_update_shows_the_databases_own_words_with_file_and_line(empty_database, folder) -> None:
    write(folder, {"V1__a.sql": "CREATE TABLE a (n int);"})
    send("Create", folder)
    write(folder, {"V2__b.sql": "CREATE TABLE b (n int);\nSELECT no_such_column;"})
    with pytest.raises(CustomResourceFailed) as failed:
        send("Update", folder)
    assert f"V2__b.sql:2:8: ERROR {UNKNOWN_COLUMN[empty_database.engine]}" in str(failed.value)
    assert exists(empty_database, "b") is (empty_database.engine == "mysql")  # whose DDL commits by itself
    assert len(history(empty_database)) == 1


def test_an_update_back_succeeds_and_leaves_the_data_alone(empty_database, folder) -> None:
    write(folder, {"V1__a.sql": "CREATE TABLE a (b int);", "V2__b.sql": "INSERT INTO a VALUES (7);"})
    send("Create", folder)
    before = history(empty_database)
    (folder / "V2__b.sql").unlink()
    assert send("Update", folder) == answer("2", 0, "database-ahead")
    assert empty_database.rows("SELECT b FROM a") == [(7,)]
    assert history(empty_database) == before


def test_delete_leaves_the_data_and_asks_no_database(empty_database, folder, monkeypatch) -> None:
    write(folder, {"V1__a.sql": "CREATE TABLE a (n int);"})
    send("Create", folder)
    monkeypatch.setattr(handler, "open_by_environment", None)
    assert send("Delete", folder)["PhysicalResourceId"] == "migrations"
    assert exists(empty_database, "a")


@pytest.mark.parametrize(
    "physical_id",
    ["migrations", "of-an-older-version", "AWSCDK::CustomResourceProviderFramework::CREATE_FAILED"],
)
def test_delete_succeeds_whatever_the_id_and_the_properties(no_database, physical_id: str) -> None:
    changes = {"PhysicalResourceId": physical_id, "ResourceProperties": {"Digest": "no digest", "More": "1"}}
    assert send("Delete", no_database, Context(seconds=0.1), **changes) == {
        "PhysicalResourceId": physical_id,
        "Data": {},
    }


def test_near_the_deadline_it_stops_says_how_far_it_came_and_resumes(empty_database, folder) -> None:
    write(folder, {f"V{n}__a.sql": f"CREATE TABLE t{n} (n int); SELECT sleep(0.4);" for n in range(1, 6)})
    with pytest.raises(CustomResourceFailed, match=r"(?s)OutOfTime: .* of 5 pending files") as stopped:
        send("Create", folder, Context(seconds=handler.RESERVE_SECONDS + 1))
    done = len(history(empty_database))
    assert 1 <= done < 5
    assert f"{done} of 5" in str(stopped.value)
    assert send("Create", folder) == answer("5", 5 - done, "applied")


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({}, "Digest is missing"),
        ({"Digest": 7}, "Digest"),
        ({"Digest": "ABC"}, "Digest"),
        ({"Digest": "0" * 64, "Force": "true"}, "Force"),
        ("none", "ResourceProperties"),
    ],
)
def test_properties_that_are_missing_unknown_or_malformed_are_named(
    no_database, properties, named: str
) -> None:
    with pytest.raises(CustomResourceFailed, match=named):
        send("Create", no_database, ResourceProperties=properties)


@pytest.mark.parametrize("kind", ["create", "Remove", None, ["Create"]])
def test_an_unknown_request_type_is_refused(no_database, kind: object) -> None:
    with pytest.raises(CustomResourceFailed, match="RequestType"):
        handler.on_event(event("Create", no_database) | {"RequestType": kind}, Context())


def test_a_package_of_other_files_than_the_templates_is_refused(no_database) -> None:
    with pytest.raises(
        CustomResourceFailed, match=r"DigestDiffers: .*0000.*deploy template and code"
    ) as refused:
        send("Create", no_database, ResourceProperties={"Digest": "0" * 64})
    assert read_files(no_database).digest in str(refused.value)


@pytest.mark.engine("postgresql")
def test_a_long_error_is_cut_and_holds_no_secret(folder, capsys, caplog, monkeypatch) -> None:
    text = "ALTER ROLE nobody PASSWORD 'canary-2718';"
    raising = "RAISE 'no' USING DETAIL = repeat('x', 20000)"
    write(folder, {"V1__a.sql": f"DO $$ BEGIN {raising}; END $$; {text}"})
    written = io.StringIO()
    monkeypatch.setattr(handler.logger.registered_handler, "stream", written)
    with pytest.raises(CustomResourceFailed) as failed:
        send("Create", folder)
    assert len(json.dumps(str(failed.value))) < 2000
    write(folder, {"V1__a.sql": text})
    with pytest.raises(CustomResourceFailed, match="ALTER ROLE nobody") as failed:
        send("Create", folder)
    seen = capsys.readouterr()
    logged = written.getvalue() + seen.out + seen.err + caplog.text
    assert "nobody" in logged
    assert "canary-2718" not in str(failed.value) + logged


def test_what_was_done_is_logged_as_json(folder, monkeypatch) -> None:
    write(folder, {"V1__a.sql": "SELECT 1;"})
    written = io.StringIO()
    monkeypatch.setattr(handler.logger.registered_handler, "stream", written)
    send("Create", folder)
    records = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [record["message"].split(" in ")[0] for record in records] == ["applied V1__a.sql", "migrated"]
    assert records[-1]["State"] == "applied"


@pytest.mark.engine("postgresql")
def test_a_failover_in_the_middle_is_ridden_out(empty_database, folder) -> None:
    with closing(empty_database.connect()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE attempts; CREATE TABLE one AS SELECT 1")
    lost = "SELECT pg_terminate_backend(pg_backend_pid()) FROM one WHERE nextval('attempts') = 1"
    write(folder, {"V1__a.sql": "CREATE TABLE a (n int);", "V2__b.sql": f"CREATE TABLE b (n int); {lost};"})
    assert send("Create", folder) == answer("2", 2, "applied")
