"""Rules for MySQL's migrations, which no linter knows: squawk, beside this, is for PostgreSQL's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SQL = sorted((ROOT / "schema" / "mysql").rglob("*.sql"))

# What must not stand in a file, and why.
FORBIDDEN = {
    "IF NOT EXISTS": (
        # accounts and the database may be there already; an ALTER then makes them what they should be
        r"(?<!CREATE DATABASE )(?<!CREATE USER )IF NOT EXISTS(?!\s*\()",
        "what is there already may be another thing: let it fail",
    ),
    "INSERT IGNORE, REPLACE": (
        r"INSERT\s+IGNORE|UPDATE\s+IGNORE|REPLACE\s+INTO",
        "hides every error, deletes rows",
    ),
    "the session's time zone": (
        r"\b(now|curdate|curtime|sysdate|localtime|localtimestamp|current_timestamp|current_date)\b"
        r"|\btimestamp\s+(NOT|NULL|DEFAULT)",
        "all times are UTC: utc_timestamp(6), datetime(6)",
    ),
    "numbers that are not exact": (r"\b(float|double|real)\b", "money is decimal"),
    "newer than Aurora MySQL 3": (
        r"\b(INTERSECT|EXCEPT|QUALIFY|VECTOR|SET_ANY_DEFINER)\b|(PROCEDURE|FUNCTION|TRIGGER) IF NOT EXISTS",
        "8.0.28 is what every version of Aurora MySQL 3 that can be had is at least",
    ),
    "deprecated": (r"\b(VALUES\s*\(\s*\w+\s*\)\s*(,|;|$))|\bSQL_CALC_FOUND_ROWS\b", "use a row alias"),
    "a collation of a table's own": (r"\)\s*ENGINE = InnoDB[^;]*COLLATE", "the database's is binary"),
}


def findings(text: str) -> list[str]:
    """Return each rule that the file breaks, and where."""
    sql = re.sub(r"^\s*--.*$|\s--\s.*$", "", text, flags=re.MULTILINE)
    found = [
        f"{rule}: {match[0].strip()!r}: {why}"
        for rule, (pattern, why) in FORBIDDEN.items()
        for match in re.finditer(pattern, _without_strings(sql), re.IGNORECASE | re.MULTILINE)
    ]
    return [*found, *_left_as_found(sql), *_tables(sql), *_routines(sql)]


def _without_strings(sql: str) -> str:
    return re.sub(r"'(?:[^']|'')*'", "''", sql)


def _left_as_found(sql: str) -> list[str]:
    return [
        f"{kind} {name} may be there already, and no ALTER {kind} makes it what it should be"
        for kind, name in re.findall(r"CREATE (DATABASE|USER) IF NOT EXISTS (\w+)", sql)
        if not re.search(rf"ALTER {kind} {name}\b", sql)
    ]


def _tables(sql: str) -> list[str]:
    found = []
    for name, body, options in re.findall(r"CREATE TABLE ([\w.]+) \((.*?)\n *\)([^;]*);", sql, re.DOTALL):
        if not re.search(r"CONSTRAINT \w+_pk PRIMARY KEY", body):
            found.append(f"table {name} has no primary key of its own name")
        if "ENGINE = InnoDB" not in options:
            found.append(f"table {name} does not say ENGINE = InnoDB")
        found += [
            f"table {name} has a constraint without a name: {key}"
            for before, key in re.findall(
                r"(CONSTRAINT\s+\w+\s+)?(PRIMARY KEY|UNIQUE|FOREIGN KEY|CHECK)", body
            )
            if not before
        ]
    return found


# Becoming the owner for each line would cost a load a tenth of its time (ADR 0064).
THE_LOADERS_OWN = "CREATE DEFINER = shop_loader TRIGGER shop.order_totals_after_insert"


def _routines(sql: str) -> list[str]:
    made = [
        (match.start(), match[0])
        for match in re.finditer(r"CREATE (.*?)(PROCEDURE|FUNCTION|TRIGGER|VIEW) [\w.]+", sql)
    ]
    found = [
        f"{what} has another definer than shop_owner"
        for _, what in made
        if "DEFINER = shop_owner" not in what and what != THE_LOADERS_OWN
    ]
    stated = sql.find("SET sql_mode = 'TRADITIONAL,ONLY_FULL_GROUP_BY';")
    if any(stated < 0 or place < stated for place, what in made if "VIEW" not in what):
        found.append("routines and triggers keep the sql_mode they are made in: state it before")
    return found


@pytest.mark.parametrize("path", SQL, ids=lambda path: path.name)
def test_each_file_keeps_the_rules(path: Path) -> None:
    assert findings(path.read_text(encoding="utf-8")) == []


BAD = {
    "IF NOT EXISTS": "CREATE TABLE IF NOT EXISTS shop.a (x int);",
    "DATABASE shop may be there": "CREATE DATABASE IF NOT EXISTS shop;",
    "USER app may be there": "CREATE USER IF NOT EXISTS app;\nALTER USER application ACCOUNT LOCK;",
    "INSERT IGNORE": "INSERT  IGNORE INTO shop.a VALUES (1);",
    "session's time zone": "INSERT INTO shop.a SELECT now();",
    "time zone: 'current_timestamp'": "ALTER TABLE shop.a ADD b datetime(6) DEFAULT current_timestamp(6);",
    "timestamp not": "ALTER TABLE shop.a ADD b timestamp NOT NULL;",
    "not exact": "ALTER TABLE shop.a ADD b double;",
    "newer": "SELECT 1 EXCEPT SELECT 2;",
    "newer than Aurora MySQL 3": "CREATE DEFINER = shop_owner PROCEDURE IF NOT EXISTS shop.a() SELECT 1;",
    "deprecated": "INSERT INTO shop.a (x) SELECT 1 ON DUPLICATE KEY UPDATE x = VALUES(x);",
    "collation of a table's own": "CREATE TABLE shop.a (\n    x int\n) ENGINE = InnoDB COLLATE utf8mb4_bin;",
    "no primary key": "CREATE TABLE shop.a (\n    x int\n) ENGINE = InnoDB;",
    "ENGINE": "CREATE TABLE shop.a (\n    x int, CONSTRAINT a_pk PRIMARY KEY (x)\n);",
    "without a name: CHECK": "CREATE TABLE shop.a (\n    x int CHECK (x > 0)\n) ENGINE = InnoDB;",
    "another definer": "CREATE VIEW shop.a AS SELECT 1;",
    "sql_mode": "CREATE DEFINER = shop_owner PROCEDURE shop.a() SELECT 1;",
}


@pytest.mark.parametrize("rule", BAD)
def test_what_breaks_a_rule_is_found(rule: str) -> None:
    assert any(rule.lower() in finding.lower() for finding in findings(BAD[rule]))


def test_words_in_comments_and_texts_break_none() -> None:
    assert findings("-- IF NOT EXISTS: see now()\nSELECT 'REPLACE INTO', 1; -- float\n") == []


def test_both_engines_have_the_same_files() -> None:
    names = [
        {path.relative_to(ROOT / "schema" / engine) for path in (ROOT / "schema" / engine).rglob("*.sql")}
        for engine in ("postgresql", "mysql")
    ]
    assert names[0] == names[1]
