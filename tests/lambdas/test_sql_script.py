"""Where a script is cut, what its pieces' places are, and what it may not hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apply_schema.database import ScriptRefused
from apply_schema.sql_script import read_script


def texts(script: str) -> list[str]:
    return [statement.text for statement in read_script(script).statements]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'a;b'",
        "SELECT 'it''s; fine'",
        "SELECT '-- no comment; here'",
        "SELECT '/* nor; here'",
        r"SELECT 'a backslash is itself\'",
        r"SELECT E'a quote \'; within'",
        r"SELECT e'doubled ''; and \\'",
        "SELECT E'first;'\n  'goes \\'; on'",
        "SELECT E'first;' -- a remark; between\n  'goes \\'; on'",
        "SELECT U&'d\\0061t\\+000061;'",
        'SELECT U&"d\\0061t;"',
        "SELECT B'01;', X'1F;', N'n;'",
        'SELECT 1 AS "a;b""c;"',
        "SELECT $$;$$",
        "SELECT $tag$ $$;$$ $other$;$other$ $tag$",
        "SELECT $ä$;$ä$",
        "SELECT a$b$c FROM d$e$f",
        "SELECT $1$$;$$",
        "SELECT 1 /* ; /* nested; */ still; */ + 1",
        "SELECT 1 -- ;\n + 1",
        "SELECT 2 +-- ;\n 1",
        "SELECT 4 */* ; */ 2",
        "CREATE RULE r AS ON INSERT TO t DO (DELETE FROM u; DELETE FROM v)",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END",
        "create or replace procedure p() begin atomic insert into t values (1); end",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$",
        "CREATE FUNCTION f(begin int, x int DEFAULT (1)) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DO $body$ BEGIN PERFORM 1; END $body$",
        "SELECT CASE WHEN true THEN 1 END",
        "ROLLBACK TO SAVEPOINT s",
        "ROLLBACK WORK TO s",
        "PREPARE q AS SELECT 1",
    ],
)
def test_a_statement_with_semicolons_inside_stays_whole(statement: str) -> None:
    assert texts(f"{statement}; SELECT 'next';") == [statement, "SELECT 'next'"]


def test_comments_and_empty_statements_are_no_statements() -> None:
    assert texts("-- one\n/* two; */ ;\n;; -- three") == []
    assert texts("") == []


def test_a_file_may_end_in_comments_and_without_a_semicolon() -> None:
    assert texts("SELECT 1;\nSELECT 2 -- the end;") == ["SELECT 1", "SELECT 2 -- the end;"]
    assert texts("SELECT 1;\n/* the end */\n-- really") == ["SELECT 1"]


def test_old_dumps_escape_by_backslash_until_they_say_otherwise() -> None:
    old = r"SELECT 'a \'; b'"
    script = (
        f"SET standard_conforming_strings = off;{old};SET standard_conforming_strings TO 'on';SELECT '\\';"
    )
    assert texts(script)[1] == old
    assert texts(script)[3] == r"SELECT '\'"


def test_places_count_lines_and_columns_from_one() -> None:
    first, second = read_script("-- ä\n  SELECT 'ü\n', x;SELECT\n  y").statements
    assert (first.line, first.column) == (2, 3)
    assert first.place_of(1) == (2, 3)
    assert first.place_of(first.text.index("x") + 1) == (3, 4)
    assert (second.line, second.column) == (3, 6)
    assert second.place_of(second.text.index("y") + 1) == (4, 3)


@pytest.mark.parametrize(
    ("script", "line", "named"),
    [
        ("SELECT 1;\n\nBEGIN;", 3, "BEGIN"),
        ("\nbegin transaction;", 2, "BEGIN"),
        ("START TRANSACTION;", 1, "START"),
        ("SELECT 1;\n-- then\nCOMMIT", 3, "COMMIT"),
        ("SELECT 1;\nEND;", 2, "END"),
        ("ROLLBACK;", 1, "ROLLBACK"),
        ("ROLLBACK AND CHAIN;", 1, "ROLLBACK"),
        ("/* x */ ABORT;", 1, "ABORT"),
        ("PREPARE TRANSACTION 'x';", 1, "PREPARE"),
        ("COMMIT PREPARED 'x';", 1, "COMMIT"),
        # psql takes this name for the beginning of a body, so that what follows would travel with it
        ("CREATE PROCEDURE begin() LANGUAGE sql AS '';\nCOMMIT;", 2, "COMMIT"),
        ("SELECT (1;\nCOMMIT;", 2, "COMMIT"),
        ("SELECT 1;\n\\d shop.orders\n", 2, r"\d shop.orders"),
        ("SELECT 1 \\g\n", 1, r"\g"),
        ("\n\\copy t from 'x'", 2, r"\copy"),
        ("SELECT 1\n\\restrict x\n;", 2, r"\restrict"),
        ("SELECT 1;\nSELECT 'never closed;\n;", 2, "'"),
        ("SELECT E'never closed\\';", 1, "E'"),
        ('SELECT "never closed;', 1, '"'),
        ("SELECT 1;\n\nSELECT $a$ never $b$ closed;", 3, "$a$"),
        ("SELECT 1 /* /* */ never closed;", 1, "comment"),
        ("-- migrate: no-transactions\nSELECT 1;", 1, "no-transactions"),
        ("SELECT 1;\n-- migrate: no-transaction\n", 2, "before the first statement"),
        ("COPY t FROM STDIN; SELECT 1;", 1, "next line"),
        ("COPY t FROM STDIN;\n1\n2\n", 1, r"\."),
    ],
)
def test_what_cannot_work_is_refused_with_its_line(script: str, line: int, named: str) -> None:
    with pytest.raises(ScriptRefused) as refused:
        read_script(script)
    assert refused.value.line == line
    assert named in str(refused.value)


def test_a_marker_before_the_first_statement_asks_for_no_transaction() -> None:
    assert not read_script("-- why\n-- migrate: no-transaction\nVACUUM;").transactional
    assert read_script("-- migrated: by hand\nSELECT '-- migrate: no-transaction';").transactional


def test_a_dump_with_data_is_read() -> None:
    script = read_script(
        "\\restrict abc\nCOPY t (a) FROM stdin;\n'; unbalanced \\N\n\\\\.\n\\.\n\n\\unrestrict abc\nSELECT 1;"
    )
    copy, select = script.statements
    assert copy.text == "COPY t (a) FROM stdin"
    assert copy.copy_data == "'; unbalanced \\N\n\\\\.\n"
    assert (select.text, select.line, select.copy_data) == ("SELECT 1", 8, None)


quoted = st.text(alphabet=";'\"\\$- /*\nabEäé", max_size=12)
pieces = st.one_of(
    quoted.map(lambda text: "'" + text.replace("'", "''") + "'"),
    quoted.map(lambda text: "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"),
    quoted.map(lambda text: '"' + text.replace('"', '""') + '"'),
    quoted.filter(lambda text: "$x$" not in text + "$").map(lambda text: f"$x${text}$x$"),
    quoted.filter(lambda text: "*/" not in text and "/*" not in text and not text.endswith(("/", "*"))).map(
        lambda text: f"/*{text}*/"
    ),
    quoted.filter(lambda text: "\n" not in text).map(lambda text: f"--{text}\n"),
    st.sampled_from(["1", "+", "(1;2)", "word", "$1", ",\n", "::", "<@"]),
)
# With something between them: a string behind another one, on a line of its own, goes on with it.
statements = st.lists(pieces, max_size=6).map(lambda found: "SELECT " + " , ".join(found) + " x")


@given(st.lists(statements, max_size=5))
def test_statements_joined_by_semicolons_come_apart_again(expected: list[str]) -> None:
    assert texts(";".join(expected)) == expected


@given(st.text(alphabet="';\"\\$- /*\n()aEeUu&xbegin", max_size=60))
def test_any_text_is_cut_into_pieces_of_itself_or_refused(script: str) -> None:
    try:
        found = read_script(script).statements
    except ScriptRefused as refused:
        assert 1 <= refused.line <= script.count("\n") + 1
        return
    lines = script.split("\n")
    for statement in found:
        assert statement.text
        assert statement.text in script
        first_line = statement.text.split("\n", 1)[0]
        assert lines[statement.line - 1][statement.column - 1 :].startswith(first_line)
