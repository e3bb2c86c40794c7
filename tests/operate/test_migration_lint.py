"""The lint of migrations: what is dangerous is found, what is accepted says why, and no annotation is idle.

What MySQL copies is asked of a real server in tests/database/test_migration_lint.py.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from operate.deployment import PROJECT
from operate.migration_lint.findings import Problem
from operate.migration_lint.linting import lint_folder, lint_text
from operate.migration_lint.masking import parts, words_of_mysql, words_of_postgresql
from operate.migration_lint.mysql_rules import RULES as MYSQL_RULES
from operate.migration_lint.postgresql_rules import RULES as POSTGRESQL_RULES

FILE = Path("V0009__change.sql")

DANGEROUS = {
    "column-type": [
        "ALTER TABLE shop.orders MODIFY country varchar(300) NOT NULL;",
        "ALTER TABLE shop.orders ADD note text, CHANGE COLUMN country country varchar(300);",
        "alter  table\n  `shop` . `orders`\n  modify\n  country text;",
    ],
    "convert-charset": ["ALTER TABLE shop.orders CONVERT TO CHARACTER SET utf8mb4;"],
    "drop-primary-key": ["ALTER TABLE shop.orders DROP PRIMARY KEY, ADD UNIQUE (order_id);"],
    "add-primary-key": [
        "ALTER TABLE shop.orders ADD PRIMARY KEY (order_id);",
        "ALTER TABLE shop.orders ADD CONSTRAINT orders_pk PRIMARY KEY (order_id);",
    ],
    "add-stored-column": [
        "ALTER TABLE shop.orders ADD total2 decimal(12, 3) GENERATED ALWAYS AS (total * 2) STORED;"
    ],
    "add-expression-default": ["ALTER TABLE shop.orders ADD at datetime(6) DEFAULT (utc_timestamp(6));"],
    "add-auto-increment": ["ALTER TABLE shop.orders ADD n bigint NOT NULL AUTO_INCREMENT UNIQUE;"],
    "add-foreign-key": [
        "ALTER TABLE shop.orders ADD CONSTRAINT a_fk FOREIGN KEY (a) REFERENCES shop.b (a);",
        "ALTER TABLE shop.orders ADD FOREIGN KEY (a) REFERENCES shop.b (a);",
    ],
    "add-check": ["ALTER TABLE shop.orders ADD CONSTRAINT positive CHECK (total >= 0);"],
    "fulltext-index": [
        "CREATE FULLTEXT INDEX words ON shop.products (description);",
        "ALTER TABLE shop.products ADD FULLTEXT words (description);",
    ],
    "spatial-index": ["CREATE SPATIAL INDEX place ON shop.warehouses (place);"],
    "partitioning": [
        "ALTER TABLE shop.orders PARTITION BY HASH (order_id) PARTITIONS 8;",
        "ALTER TABLE shop.orders REMOVE PARTITIONING;",
        "ALTER TABLE shop.orders REORGANIZE PARTITION p INTO (PARTITION q VALUES LESS THAN (9));",
    ],
    "rebuild": [
        "ALTER TABLE shop.orders ENGINE = InnoDB;",
        "ALTER TABLE shop.orders FORCE;",
        "OPTIMIZE TABLE shop.orders;",
    ],
    "drop-database": ["DROP DATABASE shop;", "DROP SCHEMA IF EXISTS shop;"],
    "drop-table": [
        "DROP TABLE shop.orders;",
        "DROP TABLE IF EXISTS shop.orders;",
        "/*!50000 DROP */ TABLE a;",
    ],
    "drop-column": [
        "ALTER TABLE shop.orders DROP country;",
        "ALTER TABLE shop.orders DROP COLUMN country, ALGORITHM = INSTANT;",
        "ALTER TABLE shop.orders ADD a int, DROP `column`;",
    ],
    "drop-partition": ["ALTER TABLE shop.orders DROP PARTITION p;"],
    "truncate": ["TRUNCATE shop.orders;", "TRUNCATE TABLE shop.orders;"],
    "rename-table": [
        "RENAME TABLE shop.orders TO shop.sales;",
        "ALTER TABLE shop.orders RENAME TO shop.sales;",
    ],
    "rename-column": [
        "ALTER TABLE shop.orders RENAME COLUMN country TO land;",
        "ALTER TABLE shop.orders CHANGE country land varchar(256), ALGORITHM = INSTANT;",
    ],
    "add-not-null-column": [
        "ALTER TABLE shop.orders ADD channel varchar(10) NOT NULL;",
        "ALTER TABLE shop.orders ADD COLUMN (a int NULL, b int NOT NULL), ALGORITHM = INSTANT;",
    ],
    "unbounded-write": [
        "UPDATE shop.orders SET country = 'France';",
        "DELETE FROM shop.orders;",
        "UPDATE shop.orders SET note = 'WHERE';",
        "UPDATE shop.orders SET a = 1 -- WHERE order_id = 1\n;",
    ],
    "lock-tables": ["LOCK TABLES shop.orders WRITE;", "FLUSH TABLES WITH READ LOCK;"],
    "password": [
        "CREATE USER IF NOT EXISTS a IDENTIFIED BY 'secret';",
        "ALTER USER a@'%' IDENTIFIED WITH caching_sha2_password BY 'secret' RETAIN CURRENT PASSWORD;",
        "SET PASSWORD FOR a = 'secret';",
    ],
    "blocking-algorithm": [
        "ALTER TABLE shop.orders ADD a int, ALGORITHM = COPY;",
        "CREATE INDEX a ON shop.orders (country) LOCK = SHARED;",
    ],
}
HARMLESS = [
    "ALTER TABLE shop.orders ADD note varchar(100);",
    "ALTER TABLE shop.orders ADD note varchar(100) NOT NULL DEFAULT '';",
    "ALTER TABLE shop.orders ADD COLUMN not_null_note varchar(9) COMMENT 'NOT NULL DEFAULT (';",
    "ALTER TABLE shop.orders ADD twice int AS (total * 2) VIRTUAL NOT NULL;",
    "ALTER TABLE shop.orders ALTER COLUMN country SET DEFAULT 'France';",
    "ALTER TABLE shop.orders ADD INDEX by_country (country), DROP INDEX by_date, RENAME INDEX a TO b;",
    "ALTER TABLE shop.orders DROP FOREIGN KEY a_fk, DROP CHECK positive, DROP KEY b;",
    "ALTER TABLE shop.orders ADD CONSTRAINT positive CHECK (total >= 0) NOT ENFORCED;",
    "ALTER TABLE shop.orders MODIFY country varchar(200), ALGORITHM = INPLACE, LOCK = NONE;",
    "ALTER TABLE shop.orders CHANGE country country varchar(200), ALGORITHM = INPLACE, LOCK = NONE;",
    "CREATE INDEX by_country ON shop.orders (country);",
    "UPDATE shop.orders SET country = 'France' WHERE order_id BETWEEN 1 AND 1000;",
    "DELETE FROM shop.orders ORDER BY order_id LIMIT 1000;",
    "DROP TEMPORARY TABLE numbers;",
    "CREATE USER a IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' COMMENT 'no password';",
    "DROP PROCEDURE IF EXISTS shop.place_order;",
    "RENAME USER a TO b;",
    "INSERT INTO shop.notes VALUES ('DROP TABLE shop.orders; TRUNCATE shop.orders');",
    "-- DROP TABLE shop.orders;\nSELECT 1;",
    "CREATE TABLE shop.new (a int);\nALTER TABLE shop.new MODIFY a bigint;\nUPDATE `shop`.`new` SET a = 1;\n"
    "CREATE FULLTEXT INDEX b ON shop.new (a);\nTRUNCATE shop.new;\nDROP TABLE shop.new;",
]


def rules(engine: str, text: str) -> list[str]:
    return [problem.rule for problem in lint_text(engine, FILE, text)]


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule in DANGEROUS for text in DANGEROUS[rule]])
def test_what_is_dangerous_on_mysql_is_found(rule: str, text: str):
    assert rule in rules("mysql", text)


def test_each_rule_has_its_examples():
    assert DANGEROUS.keys() == MYSQL_RULES.keys()
    assert {rule for rule, _ in ON_POSTGRESQL} == POSTGRESQL_RULES.keys()


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_harmless_on_mysql_passes(text: str):
    assert rules("mysql", text) == []


def test_statements_are_cut_as_the_migrator_cuts_them():
    routine = "DELIMITER //\nCREATE PROCEDURE a() BEGIN DELETE FROM b; END//\nDROP TABLE c//\nDELIMITER ;\n"
    assert [(one.line, one.rule) for one in lint_text("mysql", FILE, routine)] == [(3, "drop-table")]


ON_POSTGRESQL = [
    ("unbounded-write", "UPDATE shop.orders SET country = 'WHERE';"),
    ("unbounded-write", "DELETE FROM ONLY shop.orders;"),
    ("truncate", "TRUNCATE TABLE shop.orders;"),
    ("lock-table", "LOCK TABLE shop.orders IN SHARE MODE;"),
    ("rebuild", "CLUSTER shop.orders;"),
    ("rebuild", "VACUUM (FULL) shop.orders;"),
    ("rebuild", "REFRESH MATERIALIZED VIEW shop.sales;"),
    ("password", "CREATE ROLE a LOGIN PASSWORD 'secret';"),
    ("password", "ALTER USER a WITH ENCRYPTED PASSWORD $$secret$$ VALID UNTIL 'infinity';"),
]


@pytest.mark.parametrize(("rule", "text"), ON_POSTGRESQL)
def test_what_squawk_passes_over_is_found(rule: str, text: str):
    assert rules("postgresql", text) == [rule]


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE shop.orders SET country = 'France' WHERE order_id < 1000;",
        "CREATE TABLE shop.new (a int); UPDATE shop.new SET a = 1; TRUNCATE shop.new;",
        "DO $$ BEGIN DELETE FROM shop.orders; END $$;",
        "CREATE FUNCTION a() RETURNS void LANGUAGE sql AS $body$ DELETE FROM shop.orders; $body$;",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY shop.sales;",
        "/* TRUNCATE shop.orders */ SELECT 'LOCK TABLE';",
    ],
)
def test_what_is_harmless_on_postgresql_passes(text: str):
    assert rules("postgresql", text) == []


def test_squawk_is_asked_too(tmp_path: Path):
    path = tmp_path / "V9__drop.sql"
    path.write_text("SELECT 1;\nALTER TABLE shop.orders DROP COLUMN country;\n")
    found = list(lint_folder("postgresql", [path]))
    assert [(one.line, one.rule) for one in found] == [(2, "ban-drop-column")]


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
@pytest.mark.parametrize(
    "text",
    [
        "-- accept: truncate a copy is in the archive\nTRUNCATE shop.orders;",
        "SELECT 1;\n\n-- why\n-- accept: truncate a copy is in the archive\n-- more\nTRUNCATE shop.orders;",
        "TRUNCATE shop.orders; -- accept: truncate a copy is in the archive",
        "TRUNCATE -- accept: truncate a copy is in the archive\n  shop.orders;",
    ],
)
def test_a_finding_is_accepted_where_it_stands_with_a_reason(engine: str, text: str):
    assert rules(engine, text) == []


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-- accept: truncate\nTRUNCATE a;", "without a reason"),
        ("-- accept: no-such-rule because\nTRUNCATE a;", "no-such-rule is no rule: there are"),
        ("-- accept:\nTRUNCATE a;", "nothing is no rule"),
        ("-- accept: truncate because\nSELECT 1;\nTRUNCATE a;", "does not break truncate: take"),
        ("TRUNCATE a;\n-- accept: truncate because\n", "does not break truncate: take"),
    ],
)
def test_an_annotation_that_accepts_nothing_is_an_error_and_hides_nothing(engine: str, text: str, said: str):
    problems = list(lint_text(engine, FILE, text))
    assert [said in one.what for one in problems if one.rule == "accept"] == [True]
    assert [one.rule for one in problems if one.rule != "accept"] == ["truncate"]


def test_an_annotation_speaks_for_one_statement_and_one_rule():
    text = "-- accept: truncate because\nTRUNCATE a;\nTRUNCATE b;\n"
    assert [(one.line, one.rule) for one in lint_text("mysql", FILE, text)] == [(3, "truncate")]
    text = "-- accept: column-type because\nALTER TABLE a MODIFY b int, DROP c;"
    assert rules("mysql", text) == ["drop-column"]


def test_an_annotation_for_squawk_that_accepts_nothing_is_an_error(tmp_path: Path):
    path = tmp_path / "V9__change.sql"
    path.write_text(
        "-- squawk-ignore ban-drop-column -- nothing reads it\n"
        "ALTER TABLE shop.orders DROP COLUMN country;\n"
        "-- squawk-ignore ban-drop-table -- it was here once\n"
        "SELECT 1;\n"
    )
    found = list(lint_folder("postgresql", [path]))
    assert [(one.line, one.rule) for one in found] == [(3, "squawk-ignore")]
    assert "nothing here breaks ban-drop-table" in found[0].what


def test_a_file_that_cannot_be_cut_is_a_problem():
    assert [(one.line, one.rule) for one in lint_text("mysql", FILE, "SELECT 1;\nSELECT 'open")] == [
        (2, "script")
    ]
    assert [(one.line, one.rule) for one in lint_text("postgresql", FILE, "\\copy a from b")] == [
        (1, "script")
    ]


def test_line_ends_and_byte_order_marks_move_no_line(tmp_path: Path):
    path = tmp_path / "V9__drop.sql"
    path.write_bytes(
        b"\xef\xbb\xbfSELECT 1;\r\n-- accept: truncate because\r\nTRUNCATE a;\r\nTRUNCATE b;\r\n"
    )
    assert [(one.line, one.rule) for one in lint_folder("mysql", [path])] == [(4, "truncate")]


def test_words_are_what_is_left_without_texts_and_comments():
    assert words_of_mysql("SELECT 'it''s', \"a\\\"b\", `a'b` # c\n/* d */ -- e\n , 1") == (
        "SELECT '', '', `a'b` , 1"
    )
    assert words_of_mysql("/*!50003 CREATE*/ TABLE a") == "CREATE TABLE a"
    assert words_of_postgresql("SELECT E'a\\'b', $x$ ' $x$, \"a'b\" -- c") == "SELECT '', '', \"a'b\""
    assert list(parts("a (b, c), `d,e`, f")) == ["a (b, c)", "`d,e`", "f"]


EXAMPLE = re.findall(
    r"^```sql\n-- (postgresql|mysql)/(\S+)\n(.*?)^```$",
    (PROJECT / "docs" / "migrations.md").read_text(),
    re.MULTILINE | re.DOTALL,
)


def test_the_page_has_its_example_on_both_engines():
    names = [{name for of, name, _ in EXAMPLE if of == engine} for engine in ("postgresql", "mysql")]
    assert names[0] == names[1]
    assert len(names[0]) == 5


@pytest.mark.parametrize(("engine", "name", "text"), EXAMPLE, ids=lambda value: value[:40])
def test_the_example_of_the_page_passes(tmp_path: Path, engine: str, name: str, text: str):
    path = tmp_path / name
    path.write_text(text)
    assert list(lint_folder(engine, [path])) == []


def test_the_page_names_every_rule():
    page = (PROJECT / "docs" / "migrations.md").read_text()
    assert [rule for rule in {**MYSQL_RULES, **POSTGRESQL_RULES} if f"`{rule}`" not in page] == []


def lint(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "operate.migration_lint", *arguments],
        cwd=PROJECT, env={"PYTHONPATH": "lambda"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_project_s_own_migrations_have_no_problem():
    done = lint()
    assert done.returncode == 0, done.stdout


def test_the_verb_names_each_place_and_ends_with_1(tmp_path: Path):
    for engine in ("postgresql", "mysql"):
        (tmp_path / engine).mkdir()
        (tmp_path / engine / "V0001__drop.sql").write_text("SELECT 1;\nDROP TABLE shop.orders;\n")
    done = lint(str(tmp_path))
    assert done.returncode == 1
    assert f"{tmp_path}/mysql/V0001__drop.sql:2: drop-table: its data are gone" in done.stdout
    assert f"{tmp_path}/postgresql/V0001__drop.sql:2: ban-drop-table: " in done.stdout
    assert "2 problems in migrations: 1 of postgresql, 1 of mysql" in done.stdout


def test_a_folder_without_migrations_is_wrong_usage(tmp_path: Path):
    done = lint(str(tmp_path))
    assert done.returncode == 2
    assert "name the folder of both" in done.stderr


def test_a_problem_reads_as_compilers_write_theirs():
    assert str(Problem(FILE, 3, "truncate", "why")) == "V0009__change.sql:3: truncate: why"
