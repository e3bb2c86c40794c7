"""The migrator cuts scripts where the mysql client cuts them: shown by what that client really sends."""

# ruff: noqa: E501 - SQL stands as a file would have it

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from apply_schema.database import ScriptRefused
from aurora.mysql_migrations.script import read_script
from localcloud.aurora.mysql_programs import MysqlPrograms
from tests.database.recording_mysql import Recorder, recording

MIGRATIONS = Path(__file__).parents[2] / "schema" / "mysql"

CORPUS = {
    "comments": "-- lead;\n# lead ;\n/* a ; */ SELECT 1 /* in ; */ + 1 -- tail ;\n, 2; # fin ;\n--\nSELECT 3--1;",
    "comments over lines": "/* a\n ; b */\nSELECT 1, /* c\n ; */ 2;\nSELECT 3; -- d ;\nSELECT 4 --e;\n;",
    "comments in comments": "/* a /*! b */ c */ SELECT 1; /* d /* e */ SELECT 2; /*/ ; */ SELECT 3;",
    "versioned comments": "/*!40101 SET NAMES utf8mb4 */;\n/*!80000 SELECT ';' , 1 */ ;\nSELECT /*! 1, */ 2;\n"
    "/*!50003 SELECT 1;\nSELECT 2 */;",
    "hints": "SELECT /*+ MAX_EXECUTION_TIME(1000) ; 'x */ 1;\nSELECT /*+ a\n */ 2;",
    "strings": "SELECT 'a;''b\\';', \"c;\"\"d\\\";\", `e;``f`, 'two\nlines;', 'x\\\\' ;SELECT `a\\`, '\\\n;';",
    "escapes at the end of a line": "SELECT 'a\\\nb;', 1 \\\n + 2;\nSELECT \\N;",
    "delimiters": "DELIMITER //\nCREATE PROCEDURE p()\nBEGIN\n  SELECT 1;\n  SELECT 2;\nEND//\ndelimiter ;\nSELECT 3;\n"
    "Delimiter $$\nSELECT 4$$ SELECT 5 $$\n  DELIMITER ;;\nSELECT 6;;\nDELIMITER |\nSELECT 7|\nDELIMITER ;\nSELECT 8;",
    "delimiters with a meaning": "DELIMITER /*\nSELECT 2/*\nDELIMITER --\nSELECT 3--\n"
    "DELIMITER #\nSELECT 4#\nDELIMITER go\nSELECT 5 go\nDELIMITER ';'\nSELECT 6;",
    "delimiters that are quoted, or long": "DELIMITER '//' \nSELECT 1//\nDELIMITER `@@`\nSELECT 2@@\n"
    "DELIMITER abcdefghijklmnopqrstuvw\nSELECT 3 abcdefghijklmno\n;",
    "delimiters in a line's middle": "SELECT 1; DELIMITER //\nSELECT 2;\nSELECT 'DELIMITER //';\nSELECT\ndelimiter;\n",
    "delimiters behind comments": "/* why */ DELIMITER //\nSELECT 1//\n/* a\n b */\nDELIMITER ;\nSELECT 2;\n"
    "-- c\nDELIMITER //\nSELECT 3//\n",
    "a delimiter behind an indented comment": "  -- why\nDELIMITER //\nSELECT 1;\nSELECT 2//\n",
    "a delimiter by its letter": "\\d //\nSELECT 1//\nSELECT 2 \\d ;\n;SELECT 3;",
    "other schemas": "USE a;\nuse b\nSELECT 1; USE `c d`;\n\\u f\nSELECT 2;\nUSE g -- why\nuse\th\n",
    "a schema in the middle": "SELECT 1 \\u a\n, 2;\nDELIMITER //\nuse b//\nUSE c\nSELECT 3//\n",
    "sent by letters and words": "SELECT 1\\g SELECT 2 \\G\nSELECT 3\ngo\n;SELECT 4\\G;\n;;\ngo\nego\nSELECT '\\g';",
    "cleared": "SELECT 1 \\c SELECT 2;\nSELECT 3\nclear\n;clear\nSELECT 'a\\c';",
    "what only people see": "\\W\nwarnings\nnowarning;\nSELECT 1 \\p;\n\\h\nprompt x>\nSELECT 2;\nnopager\n\\n\\t",
    "an end before the end": "SELECT 1;\nSELECT 2 \\q\nSELECT 3;\n",
    "another end": "SELECT 1;\nquit\nSELECT 3;\n",
    "no semicolon at the end": "SELECT 1;\nSELECT 2 /* end */\n-- really",
    "nothing": "\n\n-- nothing\n/* ; */\n  ;\n",
    "no backslashes": "SET sql_mode = 'NO_BACKSLASH_ESCAPES';\nSELECT 'a\\';\nSELECT '\\\\';\n"
    "SET sql_mode = DEFAULT;\nSELECT 'a\\';';",
    "a dump": "/*!50003 SET @saved = @@sql_mode */ ;\n/*!50003 SET sql_mode = 'ANSI_QUOTES' */ ;\nDELIMITER ;;\n"
    "/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`%`*/ /*!50003 TRIGGER t BEFORE INSERT ON b FOR EACH ROW BEGIN\n"
    "  SET NEW.a = ';';\nEND */;;\nDELIMITER ;\n/*!50003 SET sql_mode = @saved */ ;\nLOCK TABLES `a` WRITE;\n",
}  # fmt: skip

TOKENS = re.compile(
    r"/\*(?![!+]).*?\*/|(?:--(?=\s)|\#)[^\n]*|\s+|('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|\w+|.)",
    re.DOTALL,
)


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with tempfile.TemporaryDirectory() as folder, recording(Path(folder) / "socket") as server:
        yield server


def sent_by_client(recorder: Recorder, script: str) -> list[str]:
    """What the mysql client sends for the script, one by one."""
    recorder.sent.clear()
    subprocess.run(
        # before 9.0 its commands are on by themselves
        [*MysqlPrograms.find().mysql, "--no-defaults", "--commands", f"--socket={recorder.path}", "--user=x"],
        input=script.encode(),
        capture_output=True,
        timeout=30,
        check=False,
    )
    return list(recorder.sent)


def tokens(statement: str) -> list[str]:
    """What a server sees of a statement."""
    return [token for token in TOKENS.findall(statement + "\n") if token]


def cut_at_semicolons(chunks: list[str]) -> list[list[str]]:
    """What is between semicolons: a chunk of several statements and these statements look the same so."""
    parts: list[list[str]] = [[]]
    for token in (token for chunk in chunks for token in [*tokens(chunk), ";"]):
        parts.append([]) if token == ";" else parts[-1].append(token)
    return once_each(part for part in parts if part)


def once_each(statements: Iterable[list[str]]) -> list[list[str]]:
    """The statements, a row of USE as its last: for one with quotes the client sends up to three."""
    kept: list[list[str]] = []
    for one in statements:
        if kept and one[0].upper() == kept[-1][0].upper() == "USE":
            kept.pop()
        kept.append(one)
    return kept


def assert_cut_alike(recorder: Recorder, script: str) -> None:
    ours = [statement.text for statement in read_script(script).statements]
    sent = [chunk for chunk in sent_by_client(recorder, script) if tokens(chunk)]
    assert cut_at_semicolons(ours) == cut_at_semicolons(sent)
    if not any(";" in tokens(chunk) for chunk in sent):
        assert once_each([tokens(text) for text in ours]) == once_each([tokens(chunk) for chunk in sent])


@pytest.mark.parametrize("name", CORPUS)
def test_scripts_of_every_kind_are_cut_alike(recorder, name: str) -> None:
    assert_cut_alike(recorder, CORPUS[name])


@pytest.mark.parametrize("path", sorted(MIGRATIONS.glob("**/*.sql")), ids=lambda path: path.name)
def test_the_shops_own_migrations_are_cut_alike(recorder, path: Path) -> None:
    assert_cut_alike(recorder, path.read_text(encoding="utf-8"))


LEXICAL = [
    "'",
    "''",
    "\\'",
    '"',
    "`",
    "\\",
    "/*",
    "*/",
    "/*!",
    "/*+",
    "--",
    "-- ",
    "#",
    "//",
    "/",
    "*",
    "\\g",
    "\\c",
]
WORDS = [
    "x ",
    "1",
    "N",
    "ä",
    "SELECT ",
    "BEGIN ",
    "DELIMITER ",
    "delimiter //",
    "use a",
    "go",
    "clear",
    "\\u b",
    "\\d //",
]
BREAKS = [";", "; ", ";\n", "\n", " ", "\t", "//\n"]


@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,  # the same scripts in every run: a find is for whoever changes the reader
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(parts=st.lists(st.sampled_from(LEXICAL + WORDS + BREAKS * 3), max_size=25))
@example(["/*!", "x ", "\n", "'", ";", "*/", "'", ";"])
def test_whatever_is_accepted_is_cut_alike(recorder, parts: list[str]) -> None:
    script = "".join(parts)
    assume("--;" not in script)  # an error, but a comment without its semicolon
    assume("clear\\u" not in script)  # the client sends "clear"; ours takes it for its command
    assume(script.rfind("*/") >= max(script.rfind("/*!"), script.rfind("/*+")))  # open: an error, however cut
    try:
        read_script(script)
    except ScriptRefused:
        return
    assert_cut_alike(recorder, script)


ROUTINES = """
CREATE DATABASE cut;
USE cut
CREATE TABLE t (begin int, end int, `if` int);
DELIMITER //
DROP PROCEDURE IF EXISTS p;
CREATE PROCEDURE p(IN a int, b text CHARACTER SET ascii)
  COMMENT 'begin; end'
BEGIN
  DECLARE done int DEFAULT 0;
  DECLARE c CURSOR FOR SELECT begin, end FROM t;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = 1;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION, SQLWARNING BEGIN SET done = 2; END;
  again: LOOP
    IF done THEN LEAVE again; ELSEIF a = 2 THEN SET done = IF(a, 1, 2); ELSE IF EXISTS (SELECT 1) THEN SET a = 3; END IF; END IF;
    CASE a WHEN 1 THEN SET a = CASE WHEN a THEN IF(a, 1, 2) ELSE 3 END; ELSE BEGIN END; END CASE;
    REPEAT SET a = a + LENGTH(REPEAT('x', 3)); UNTIL a > 3 END REPEAT;
    WHILE a < 3 DO SET a = a + 1; END WHILE;
  END LOOP again;
  DROP TEMPORARY TABLE IF EXISTS u;
  INSERT INTO t (begin, end) VALUES (1, 2);
END;
DROP FUNCTION IF EXISTS f; CREATE FUNCTION f(a int) RETURNS text CHARACTER SET ascii DETERMINISTIC RETURN IF(a, REPEAT(1, 2), 3); SELECT 1;
CREATE PROCEDURE IF NOT EXISTS q() SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 2;
CREATE PROCEDURE r(a int) IF a THEN SELECT 1; ELSE SELECT 2; END IF; SELECT 3//
CREATE TRIGGER before_t BEFORE INSERT ON t FOR EACH ROW SET NEW.begin = IF(NEW.begin, 1, 2); SELECT 4;
CREATE TRIGGER after_t AFTER UPDATE ON t FOR EACH ROW BEGIN SET @a = 1; END; SELECT 5//
CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2199-01-01' DO BEGIN SELECT 1; SELECT 2; END; SELECT ';' , "a;b" /* ; */ -- ;
//
/*!50003 CREATE*/ /*!50003 TRIGGER dumped BEFORE UPDATE ON t FOR EACH ROW BEGIN SET NEW.end = 1; END */; SELECT 6//
DELIMITER ;
DROP DATABASE cut;
"""


@pytest.mark.engine("mysql")
def test_a_chunk_of_several_statements_is_cut_where_the_server_cuts_it(empty_database) -> None:
    server = empty_database.server
    with closing(empty_database.superuser()) as connection, connection.cursor() as cursor:
        cursor.execute("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON")
        try:
            subprocess.run(
                [
                    *server.programs.mysql,
                    "--no-defaults",
                    "--commands",
                    f"--socket={server.socket_path}",
                    "--user=rdsadmin",
                ],
                input=ROUTINES.encode(),
                capture_output=True,
                timeout=30,
                check=True,
            )
        finally:
            cursor.execute("SET GLOBAL general_log = OFF")
        cursor.execute(
            "SELECT convert(argument USING utf8mb4) FROM mysql.general_log WHERE command_type = 'Query'"
            " AND thread_id <> connection_id() AND argument NOT LIKE 'select @@version_comment%'"
            " AND argument NOT IN ('select $$', 'SELECT DATABASE()')"
        )
        logged = [text.rstrip("; \n") for (text,) in cursor.fetchall() if tokens(text)]
        cursor.execute("TRUNCATE mysql.general_log")
    ours = [one.text for one in read_script(ROUTINES).statements if not one.text.startswith("USE")]
    assert [tokens(text) for text in ours] == [tokens(text) for text in logged]
    assert len(ours) == 20


@pytest.mark.parametrize(
    ("script", "line", "said"),
    [
        ("SELECT 1;\nsource other.sql\n", 2, "`source other.sql` is a command"),
        ("SELECT 1;\n\n\\. other.sql\n", 3, "is a command"),
        ("system ls;\n", 1, "`system ls` is a command"),
        ("SELECT 1;\n\\! ls\n", 2, "is a command"),
        ("tee /tmp/x\n", 1, "is a command"),
        ("\\T /tmp/x\n", 1, "is a command"),
        ("connect elsewhere\n", 1, "is a command"),
        ("\\r\n", 1, "is a command"),
        ("edit\n", 1, "is a command"),
        ("charset latin1\n", 1, "is a command"),
        ("resetconnection\n", 1, "is a command"),
        ("SELECT 1 \\y;\n", 1, "unknown to the mysql client"),
        ("SELECT 1;\nSELECT 'a;\n\n", 2, "the ' opened here is never closed"),
        ("SELECT 1;\n/* a\n\n", 2, "the /* opened here is never closed"),
        ("DELIMITER\n", 1, "DELIMITER must be followed"),
        ("DELIMITER a\\\\b\n", 1, "backslash"),
        ("use\n", 1, "USE must be followed"),
    ],
)
def test_what_reaches_beyond_the_file_is_refused_with_its_line(script: str, line: int, said: str) -> None:
    with pytest.raises(ScriptRefused, match=re.escape(said)) as refused:
        read_script(script)
    assert refused.value.line == line


def test_statements_have_their_places() -> None:
    script = (
        "-- a\n  SELECT 1; SELECT\n 2;\nuse b\nDELIMITER //\n/* c\n*/ SELECT 3;\n  SELECT 4 //\n\tSELECT 5//"
    )
    assert [(one.text, one.line, one.column) for one in read_script(script).statements] == [
        ("SELECT 1", 2, 3),
        ("SELECT\n 2", 2, 13),
        ("USE `b`", 4, 1),
        ("SELECT 3", 7, 4),
        ("SELECT 4", 8, 3),
        ("SELECT 5", 9, 2),
    ]
