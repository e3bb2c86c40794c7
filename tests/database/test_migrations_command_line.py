"""The command line: each verb, its answers in both forms, and exit codes that tell the ends apart."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.database.migrating import environment, exists, migrate, run, spoken_alike, write  # noqa: F401

DONE, FAILED, USAGE, PENDING, REFUSED = range(5)


def ended(database, folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and answer of a run over the folder."""
    done = run(database, *arguments, "--directory", folder)
    return done.returncode, done.stdout


def answered(database, folder: Path, *arguments: str) -> tuple[int, dict[str, object]]:
    """Exit code and answer as a program reads it."""
    code, text = ended(database, folder, *arguments, "--json")
    return code, json.loads(text)


def without_database(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A run that is told of no database but by these variables."""
    kept = {
        name: value for name, value in environment().items() if not name.startswith(("PG", "DATABASE", "AWS"))
    }
    return subprocess.run(
        [sys.executable, "-m", "apply_schema", *arguments],
        env=kept | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_from_pending_through_applied_to_up_to_date(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (n int);", "R__b.sql": "SELECT 1;"})
    code, text = ended(empty_database, tmp_path, "status")
    assert code == PENDING
    assert re.search(r"^V1__a.sql +pending$", text, re.MULTILINE)
    assert "pending: 2 pending" in text

    applied = run(empty_database, "apply", "--directory", tmp_path)
    assert (applied.returncode, applied.stdout) == (DONE, "applied 2; schema version 1\n")
    assert re.search(r"^applied V1__a.sql in \d+ ms$", applied.stderr, re.MULTILINE)

    code, text = ended(empty_database, tmp_path, "status")
    assert code == DONE
    assert re.search(
        r"^V1__a.sql +applied +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +shop_admin +\d+$", text, re.MULTILINE
    )
    assert ended(empty_database, tmp_path, "apply") == (DONE, "up to date; schema version 1\n")


def test_programs_read_the_same_as_json(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT 1;"})
    code, answer = answered(empty_database, tmp_path, "apply")
    assert (code, answer) == (DONE, {"state": "applied", "applied": ["V1__a.sql"], "schema_version": "1"})
    code, answer = answered(empty_database, tmp_path, "status")
    (one,) = answer["migrations"]
    assert (code, answer["state"], one["state"], one["kind"]) == (DONE, "up-to-date", "applied", "versioned")
    assert one["file_checksum"] == one["applied_checksum"]


def test_an_edited_file_is_refused_by_every_verb_that_compares_and_repaired_by_one(
    empty_database, tmp_path
) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT 1;"})
    ended(empty_database, tmp_path, "apply")
    write(tmp_path, {"V1__a.sql": "SELECT 2;"})
    for verb in ("status", "validate", "apply", "dry-run"):
        code, answer = answered(empty_database, tmp_path, verb)
        assert (verb, code, answer["state"]) == (verb, REFUSED, "refused")
    assert ended(empty_database, tmp_path, "repair") == (DONE, "repaired V1__a.sql\n")
    assert ended(empty_database, tmp_path, "repair") == (DONE, "nothing to do\n")
    assert ended(empty_database, tmp_path, "validate")[0] == DONE


def test_a_late_file_needs_its_flag(empty_database, tmp_path) -> None:
    write(tmp_path, {"V2__b.sql": "SELECT 1;"})
    ended(empty_database, tmp_path, "apply")
    write(tmp_path, {"V1__a.sql": "SELECT 1;"})
    assert ended(empty_database, tmp_path, "apply")[0] == REFUSED
    assert ended(empty_database, tmp_path, "apply", "--allow-late") == (DONE, "applied 1; schema version 2\n")


def test_a_database_ahead_is_no_error(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT 1;", "V2__b.sql": "SELECT 1;"})
    migrate(empty_database, tmp_path)
    (tmp_path / "V2__b.sql").unlink()
    code, answer = answered(empty_database, tmp_path, "apply")
    assert (code, answer["state"], answer["schema_version"]) == (DONE, "database-ahead", "2")


def test_an_sql_error_fails_with_its_place(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT 1;\nSELECT wrong;"})
    code, text = ended(empty_database, tmp_path, "apply")
    assert code == FAILED
    code = {"postgresql": "42703", "mysql": "1054"}[empty_database.engine]
    assert text.startswith(f"failed: V1__a.sql:2:8: ERROR {code}")


def test_a_dry_run_shows_statements_with_their_lines_and_runs_none(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "-- first\nCREATE TABLE a (\n  b int);\nSELECT 1;"})
    code, text = ended(empty_database, tmp_path, "dry-run")
    assert code == PENDING
    assert text == (
        "V1__a.sql (2 statements)\n     2  CREATE TABLE a ( …\n     4  SELECT 1\n1 pending; nothing was run\n"
    )
    assert not exists(empty_database, "a")


def test_baseline_begins_a_history_for_a_database_that_has_none(empty_database, tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (n int);", "V2__b.sql": "CREATE TABLE b (n int);"})
    assert ended(empty_database, tmp_path, "baseline", "--version", "1") == (DONE, "recorded V1__a.sql\n")
    assert ended(empty_database, tmp_path, "baseline", "--version", "1")[0] == REFUSED
    assert ended(empty_database, tmp_path, "apply") == (DONE, "applied 1; schema version 2\n")
    assert not exists(empty_database, "a")


def test_files_are_validated_without_a_database(tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT 1;"})
    options = ("validate", "--files-only", "--directory", str(tmp_path))
    fine = without_database(*options)
    assert (fine.returncode, fine.stdout) == (DONE, "1 files are well formed\n")
    write(tmp_path, {"V2__b.sql": "SELECT 1;\n\\i other.sql"})
    refused = without_database(*options)
    assert refused.returncode == REFUSED
    assert "V2__b.sql:2: `\\i other.sql` is a command of psql's own" in refused.stdout


def test_the_deadline_stops_it_and_the_next_run_goes_on(empty_database, tmp_path) -> None:
    write(tmp_path, {f"V{n}__a.sql": "SELECT sleep(0.4);" for n in range(1, 6)})
    code, text = ended(empty_database, tmp_path, "apply", "--deadline-seconds", "1")
    assert code == FAILED
    assert "deadline" in text
    assert ended(empty_database, tmp_path, "apply")[0] == DONE


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "VERB"),
        (["migrate"], "invalid choice"),
        (["status"], "no database is named"),
        (["status", "--url", "oracle://x@y/z"], "scheme"),
        (["status", "--url", "postgresql://user:canary-31415@[bad/z"], "malformed"),
        (["status", "--url", "postgresql:///x", "--wait-seconds", "-1"], "expected 0 to 86400"),
        (["status", "--url", "postgresql:///x", "--wait-seconds", "soon"], "--wait-seconds"),
        (["baseline", "--url", "postgresql:///x"], "--version"),
        (["apply", "--url", "postgresql:///x", "--version", "3"], "--version"),
        (["apply", "--files-only"], "--files-only"),
        (["repair", "--allow-late"], "--allow-late"),
        (["apply", "--rehearse"], "--rehearse belongs to dry-run"),
    ],
)
def test_wrong_usage_is_told_apart_and_says_what_is_wrong(arguments: list[str], named: str) -> None:
    done = without_database(*arguments)
    assert done.returncode == USAGE
    assert named in done.stdout + done.stderr
    assert "canary-31415" not in done.stdout + done.stderr


def test_incomplete_variables_are_named() -> None:
    done = without_database("status", DATABASE_ENGINE="postgresql")
    assert done.returncode == USAGE
    for name in ("DATABASE_NAME", "CLUSTER_ENDPOINT", "DATABASE_PORT"):
        assert name in done.stdout


def test_a_database_that_does_not_answer_fails_without_telling_its_password(tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT 1;"})
    url = "postgresql://user:canary-31415@127.0.0.1:1/nothing"
    done = without_database("status", "--directory", str(tmp_path), DATABASE_URL=url)
    assert done.returncode == FAILED
    assert "refused" in done.stdout
    assert "canary-31415" not in done.stdout + done.stderr


def test_a_bundle_that_is_missing_is_named_before_anything_connects(tmp_path) -> None:
    write(tmp_path, {"V1__a.sql": "SELECT 1;"})
    done = without_database(
        *("status", "--directory", str(tmp_path), "--url", "postgresql://user@192.0.2.1/x"),
        CA_BUNDLE="/nonexistent.pem",
    )
    assert done.returncode == FAILED
    assert "CA_BUNDLE='/nonexistent.pem' is no file" in done.stdout


def test_a_folder_that_is_missing_is_refused(empty_database, tmp_path) -> None:
    code, text = ended(empty_database, tmp_path / "missing", "status")
    assert code == REFUSED
    assert "cannot be read" in text


def test_help_names_verbs_databases_and_exit_codes() -> None:
    text = without_database("--help").stdout
    for part in (
        "status",
        "validate",
        "apply",
        "dry-run",
        "repair",
        "baseline",
        "--secret-arn",
        "exit codes:",
    ):
        assert part in text


def test_ctrl_c_ends_it_at_once_and_leaves_nothing(empty_database, tmp_path) -> None:
    from tests.database.migrating import running, start
    from tests.database.test_migrations_concurrency import until

    write(tmp_path, {"V1__a.sql": "CREATE TABLE a (n int); SELECT sleep(3600);"})
    migrator = start(empty_database, "apply", "--directory", tmp_path)
    until(lambda: running(empty_database, "sleep(3600)"))
    os.kill(migrator.pid, 2)
    migrator.communicate(timeout=10)
    assert migrator.returncode == -2
    until(lambda: not running(empty_database, "sleep(3600)"))
    assert exists(empty_database, "a") is (empty_database.engine == "mysql")  # whose DDL commits by itself
