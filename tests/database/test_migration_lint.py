"""Asks a real server what the lint of MySQL's migrations says of it: what it copies, or stops writers for.

And runs the example of docs/migrations.md on both engines.
"""

from __future__ import annotations

import re
import shutil
from contextlib import closing
from pathlib import Path

import pymysql
import pytest

from apply_schema.migration_files import read_files
from apply_schema.migrations import apply as migrate
from operate.migration_lint.mysql_rules import COPIES
from tests.database.servers import SCHEMAS

PAGE = SCHEMAS.parent / "docs" / "migrations.md"

TABLE = """CREATE TABLE a (
    id int NOT NULL PRIMARY KEY,
    parent int,
    price decimal(12, 3),
    name varchar(100) NOT NULL,
    place point NOT NULL SRID 0
) ENGINE = InnoDB CHARACTER SET latin1"""

STOPS_WRITERS = {
    "column-type": "ALTER TABLE a MODIFY price varchar(30)",
    "convert-charset": "ALTER TABLE a CONVERT TO CHARACTER SET utf8mb4",
    "drop-primary-key": "ALTER TABLE a DROP PRIMARY KEY",
    "add-stored-column": "ALTER TABLE a ADD twice int AS (parent * 2) STORED",
    "add-expression-default": "ALTER TABLE a ADD token varchar(36) DEFAULT (concat('a', 'b'))",
    "add-auto-increment": "ALTER TABLE a ADD number int NOT NULL AUTO_INCREMENT, ADD KEY (number)",
    "add-foreign-key": "ALTER TABLE a ADD FOREIGN KEY (parent) REFERENCES b (id)",
    "add-check": "ALTER TABLE a ADD CHECK (price >= 0)",
    "fulltext-index": "ALTER TABLE a ADD FULLTEXT (name)",
    "spatial-index": "ALTER TABLE a ADD SPATIAL INDEX (place)",
    "partitioning": "ALTER TABLE b PARTITION BY HASH (id) PARTITIONS 4",
}
REBUILDS = {
    "add-primary-key": "ALTER TABLE a DROP PRIMARY KEY, ADD PRIMARY KEY (id, name)",
    "rebuild": "ALTER TABLE a ENGINE = InnoDB",
}


@pytest.fixture
def tables(empty_database):
    with empty_database.connect().cursor() as cursor:
        cursor.execute("CREATE DATABASE shop")
        cursor.execute("USE shop")
        cursor.execute(TABLE)
        cursor.execute("CREATE TABLE b (id int NOT NULL PRIMARY KEY) ENGINE = InnoDB")
        yield cursor


MYSQL = pytest.mark.engine("mysql")


def test_each_rule_is_tried():
    assert STOPS_WRITERS.keys() | REBUILDS.keys() == COPIES.keys()


@MYSQL
@pytest.mark.parametrize("rule", STOPS_WRITERS)
def test_the_server_cannot_do_it_while_others_write(tables, rule: str):
    forbidden = "ALGORITHM = INPLACE, LOCK = NONE"
    statement = f"{STOPS_WRITERS[rule]}, {forbidden}"
    if rule == "partitioning":  # the options come first
        statement = STOPS_WRITERS[rule].replace("TABLE b ", f"TABLE b {forbidden} ")
    with pytest.raises(pymysql.MySQLError) as refused:
        tables.execute(statement)
    assert refused.value.args[0] in (1845, 1846), refused.value  # ER_ALTER_OPERATION_NOT_SUPPORTED(_REASON)
    tables.execute(STOPS_WRITERS[rule])  # and does it where it may stop them


@MYSQL
@pytest.mark.parametrize("rule", REBUILDS)
def test_the_server_rebuilds_in_place_and_not_in_an_instant(tables, rule: str):
    with pytest.raises(pymysql.MySQLError) as refused:
        tables.execute(f"{REBUILDS[rule]}, ALGORITHM = INSTANT")
    assert refused.value.args[0] in (1845, 1846), refused.value
    tables.execute(f"{REBUILDS[rule]}, ALGORITHM = INPLACE, LOCK = NONE")


@MYSQL
@pytest.mark.parametrize(
    "harmless",
    [
        "ALTER TABLE a ADD note varchar(100), ALGORITHM = INSTANT",
        "ALTER TABLE a ADD note varchar(100) NOT NULL DEFAULT '', ALGORITHM = INSTANT",
        "ALTER TABLE a ADD twice int AS (parent * 2) VIRTUAL, ALGORITHM = INSTANT",
        "ALTER TABLE a ALTER COLUMN price SET DEFAULT 1, ALGORITHM = INSTANT",
        "ALTER TABLE a ADD INDEX (parent), ALGORITHM = INPLACE, LOCK = NONE",
        "ALTER TABLE a ADD CHECK (price >= 0) NOT ENFORCED, ALGORITHM = INPLACE, LOCK = NONE",
        "ALTER TABLE a MODIFY name varchar(200) NOT NULL, ALGORITHM = INPLACE, LOCK = NONE",
    ],
)
def test_the_server_does_what_the_lint_passes(tables, harmless: str):
    tables.execute(harmless)


@MYSQL
def test_without_their_checks_a_foreign_key_is_added_in_place(tables):
    tables.execute("SET foreign_key_checks = 0")
    tables.execute(f"{STOPS_WRITERS['add-foreign-key']}, ALGORITHM = INPLACE, LOCK = NONE")


def test_the_example_of_the_page_runs_through_the_migrator(migrated_database, tmp_path: Path):
    folder = Path(shutil.copytree(SCHEMAS / migrated_database.engine, tmp_path / "schema"))
    blocks = re.findall(r"^```sql\n-- (\w+)/(\S+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for engine, name, text in blocks:
        if engine == migrated_database.engine:
            (folder / name).write_text(text)
    with closing(migrated_database.migrations()) as migrations:
        migrate(migrations, read_files(folder), report=lambda _line: None)
    columns = migrated_database.rows(
        "SELECT column_name, is_nullable FROM information_schema.columns "
        "WHERE table_schema = 'shop' AND table_name = 'products' AND column_name LIKE 'vat%%'"
        if migrated_database.engine == "mysql"
        else "SELECT column_name, is_nullable FROM information_schema.columns "
        "WHERE table_schema = 'shop' AND table_name = 'products' AND column_name LIKE 'vat%'"
    )
    assert [tuple(row) for row in columns] == [("vat_percent", "NO")]
