"""The migrator cuts scripts where psql cuts them: shown by psql's own log of what it sends."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apply_schema.database import ScriptRefused
from apply_schema.sql_script import read_script

pytestmark = pytest.mark.engine("postgresql")

MIGRATIONS = Path(__file__).parents[2] / "schema" / "postgresql"
SENT = re.compile(r"^/?\*{8}\*? QUERY \*{9,10}/?\n(.*?)\n/?\*{24,26}/?$", re.MULTILINE | re.DOTALL)
"""A statement in the log: psql 18 makes a comment of the lines around it."""

CORPUS = {
    "comments": "-- lead\n/* a /* b; */ ; */ SELECT 1 /* in ; */ + 1 -- tail ;\n, 2; -- fin ;\n",
    "literals": "SELECT 'a;''b' ; ;\nSELECT E'x\\';y', U&'d\\0061;', B'1', $a$;$b$;$a$\n;"
    'SELECT "x;""y;";',
    "parentheses": "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2); SELECT (1);",
    "routines": (
        "CREATE FUNCTION f(begin int) RETURNS int"
        " BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;\n"
        "CREATE OR REPLACE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC SELECT 1; END; SELECT 1;\n"
        "CREATE FUNCTION g() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN PERFORM 1; END; $f$; SELECT 2;"
    ),
    "no semicolon at the end": "SELECT 1;\nSELECT 2 /* end */\n-- really",
    "operators": "SELECT 1 @-- ;\n 2; SELECT 4 */* ; */ 2; SELECT a$b$c, $1, 1.5e3;",
    "nothing": "\n\n-- nothing\n/* ; */\n",
}


def sent_by_psql(database, script: str, folder: Path) -> list[str]:
    """What psql sends for the script, one by one; whether the server likes it does not matter."""
    file, log = folder / "script.sql", folder / "sent.log"
    file.write_text(script, encoding="utf-8")
    log.unlink(missing_ok=True)
    subprocess.run(
        [
            database.server.programs.path("psql"),
            "--no-psqlrc",
            f"--host={database.server.socket_directory}",
            f"--port={database.server.port}",
            "--username=shop_admin",  # roles outlive a database, and whoever creates one is its administrator
            f"--log-file={log}",
            f"--file={file}",
            database.name,
        ],
        capture_output=True,
        timeout=30,
        check=False,
    )
    return SENT.findall(log.read_text(encoding="utf-8"))


def without_surroundings(sent: str) -> str:
    """A statement as psql sends it, less the comments before it and the semicolon behind it."""
    statements = read_script(sent).statements
    assert len(statements) <= 1, f"psql sends this as one statement: {sent!r}"
    return statements[0].text if statements else ""


def assert_cut_alike(database, script: str, folder: Path) -> None:
    ours = [without_blank_lines(statement.text) for statement in read_script(script).statements]
    sent = sent_by_psql(database, script, folder)
    assert ours == [text for text in map(without_blank_lines, map(without_surroundings, sent)) if text]


def without_blank_lines(text: str) -> str:
    """Psql leaves out blank lines between a statement's words."""
    return re.sub(r"\n+", "\n", text)


@pytest.mark.parametrize("name", CORPUS)
def test_scripts_of_every_kind_are_cut_alike(empty_database, tmp_path, name: str) -> None:
    assert_cut_alike(empty_database, CORPUS[name], tmp_path)


def test_strings_of_old_dumps_are_cut_alike(empty_database, tmp_path) -> None:
    # psql looks at the setting when it begins a line
    script = (
        "SET standard_conforming_strings = off;\nSELECT 'it\\'s;';\n"
        "SET standard_conforming_strings = on;\nSELECT '\\';\nSELECT 1;"
    )
    ours = [statement.text for statement in read_script(script).statements]
    assert [f"{text};" for text in ours] == sent_by_psql(empty_database, script, tmp_path)
    assert len(ours) == 5


@pytest.mark.parametrize("path", sorted(MIGRATIONS.glob("*.sql")), ids=lambda path: path.name)
def test_the_shops_own_migrations_are_cut_alike(empty_database, tmp_path, path: Path) -> None:
    assert_cut_alike(empty_database, path.read_text(encoding="utf-8"), tmp_path)


LEXICAL = [
    "'",
    "''",
    "E'",
    "\\'",
    '"',
    "U&'",
    "$$",
    "$a$",
    "/*",
    "*/",
    "--",
    "(",
    ")",
    "+",
    "::",
    "$1",
    "a$b",
]
WORDS = ["x ", "1", "E", "ä", "SELECT ", "BEGIN ATOMIC ", "END", "CASE ", "CREATE FUNCTION "]
BREAKS = [";", "; ", ";\n", "\n", " "]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.sampled_from(LEXICAL + WORDS + BREAKS * 3), max_size=25))
def test_whatever_is_accepted_is_cut_alike(empty_database, tmp_path, parts: list[str]) -> None:
    script = "".join(parts)
    try:
        read_script(script)
    except ScriptRefused:
        return
    assert_cut_alike(empty_database, script, tmp_path)
