"""The deployed migrator, invoked by hand: the command line's answers and exit codes, through the function."""

from __future__ import annotations

import json

import pytest

from apply_schema import handler, on_demand
from custom_resource import CustomResourceFailed
from tests.database.migrating import exists, history, run, spoken_alike, write  # noqa: F401
from tests.database.test_migrations_from_cloudformation import Context

UNKNOWN_COLUMN = {"postgresql": "42703", "mysql": "1054"}
DONE, FAILED, USAGE, PENDING, REFUSED = range(5)


@pytest.fixture
def folder(empty_database, tmp_path, monkeypatch):
    """The packaged files, and a function that reaches the test's database."""
    monkeypatch.setattr(on_demand, "packaged_directory", lambda _engine: tmp_path)
    monkeypatch.setattr(
        on_demand,
        "open_database",
        lambda _secret, _variables, limits: empty_database.migrations(limits),
    )
    return tmp_path


def invoke(verb: str, **options: object) -> dict[str, object]:
    """What Lambda would hand back: JSON."""
    return json.loads(json.dumps(handler.on_event({"verb": verb, **options}, Context())))


def test_its_status_is_the_command_lines(empty_database, folder) -> None:
    write(folder, {"V1__a.sql": "CREATE TABLE a (n int);"})
    for code in (PENDING, DONE):
        answer = invoke("status")
        printed = run(empty_database, "status", "--directory", folder)
        assert (answer["exit_code"], answer["text"] + "\n") == (printed.returncode, printed.stdout)
        assert answer["exit_code"] == code
        as_json = run(empty_database, "status", "--directory", folder, "--json")
        assert answer["data"] == json.loads(as_json.stdout)
        invoke("apply")


def test_apply_says_what_it_did_and_a_failure_is_an_answer(empty_database, folder) -> None:
    write(folder, {"V1__a.sql": "CREATE TABLE a (n int);"})
    answer = invoke("apply")
    assert (answer["exit_code"], answer["text"]) == (DONE, "applied 1; schema version 1")
    assert answer["progress"][0].startswith("applied V1__a.sql in ")
    write(folder, {"V2__b.sql": "CREATE TABLE b (n int);\nSELECT wrong;"})
    failed = invoke("apply")
    assert failed["exit_code"] == FAILED
    assert failed["text"].startswith(f"failed: V2__b.sql:2:8: ERROR {UNKNOWN_COLUMN[empty_database.engine]}")
    assert exists(empty_database, "b") is (empty_database.engine == "mysql")  # whose DDL commits by itself


def test_each_verb_and_its_options_arrive(empty_database, folder) -> None:
    write(folder, {"V1__a.sql": "CREATE TABLE a (n int);", "V3__c.sql": "CREATE TABLE c (n int);"})
    assert invoke("dry-run")["exit_code"] == PENDING
    rehearsal = invoke("dry-run", rehearse=True)
    if empty_database.engine == "postgresql":
        assert rehearsal["data"]["rehearsed"] == ["V1__a.sql", "V3__c.sql"]
    else:
        assert rehearsal["exit_code"] == REFUSED
        assert "MySQL cannot roll back" in rehearsal["text"]
    assert not exists(empty_database, "a")
    assert invoke("baseline", version=3)["exit_code"] == DONE
    write(folder, {"V2__b.sql": "CREATE TABLE b (n int);", "V1__a.sql": "CREATE TABLE a (n int); -- edited"})
    assert invoke("validate")["exit_code"] == REFUSED
    assert invoke("repair")["text"] == "repaired V1__a.sql"
    assert invoke("apply")["exit_code"] == REFUSED
    assert invoke("apply", allow_late=True)["exit_code"] == DONE
    assert [name for name, _ in history(empty_database)] == ["V1__a.sql", "V3__c.sql", "V2__b.sql"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"verb": "migrate"}, "'migrate' is no verb"),
        ({"verb": "baseline"}, "baseline needs --version"),
        ({"verb": "apply", "version": 3}, "no other verb takes it"),
        ({"verb": "apply", "rehearse": True}, "--rehearse belongs to dry-run"),
    ],
)
def test_wrong_usage_is_told_apart_and_asks_no_database(folder, options, named: str) -> None:
    answer = invoke(**options)
    assert answer["exit_code"] == USAGE
    assert named in answer["text"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"verb": 7}, "verb is 7: expected str"),
        ({"verb": "apply", "allow_late": "true"}, "allow_late is 'true': expected bool"),
        ({"verb": "baseline", "version": True}, "version is True: expected int"),
        ({"verb": "status", "url": "postgresql://elsewhere"}, "'url' is unknown"),
        ({"verb": "status", "directory": "/etc"}, "'directory' is unknown"),
    ],
)
def test_an_event_that_is_no_order_is_an_error_of_the_function(folder, options, named: str) -> None:
    with pytest.raises(CustomResourceFailed, match=named):
        invoke(**options)
