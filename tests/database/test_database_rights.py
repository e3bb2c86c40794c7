"""Every role, object and verb, tried, against one table: tests/database/rights_matrix.py.

`.venv/bin/python -m tests.database.test_database_rights --write` writes docs/database-rights.md from it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.database.rights_matrix import MATRIX
from tests.database.walking_rights import ROLES, rights, things, walk

PAGE = Path(__file__).parents[2] / "docs" / "database-rights.md"
CODES = {
    "postgresql": {},
    "mysql": {
        "EXECUTE": {"1370"},
        "INSERT": {"1142", "1143"},
        "ALTER": {"1142", "1370", "1044"},
        "CREATE ROUTINE": {"1044"},
        "CREATE SCHEMA": {"1044"},
        "TEMPORARY TABLE": {"1044"},
        "LOCK TABLES": {"1044"},
        "CREATE ROLE": {"1227"},
        "SETTINGS": {"1227"},
        "FILES": {"1227"},
        "BINARY LOG": {"1227"},
    },
}
"""With what a verb is refused, where it is not the engine's usual word."""
USUAL = {"postgresql": {"42501"}, "mysql": {"1142"}}


def in_matrix(engine, role):
    place = ROLES.index(role)
    return {thing: cells[place] for thing, cells in MATRIX[engine].items()}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_what_the_table_says_and_nothing_else(migrated_database, role):
    engine = migrated_database.engine
    tried = walk(migrated_database, role)
    assert rights(tried) == in_matrix(engine, role)
    refused = [one for one in tried if one.code]
    for one in refused:
        verb = one.verb.partition(" of ")[0]
        assert one.code in CODES[engine].get(verb, USUAL[engine]), one
    assert refused or role == "shop_admin"


MORE = {
    "a right too many": {
        "postgresql": ["GRANT DELETE ON shop.orders TO shop_application"],
        "mysql": ["GRANT DELETE ON shop.orders TO shop_application"],
    },
    "a column too many": {
        "postgresql": ["GRANT UPDATE (stock) ON shop.inventory TO shop_application"],
        "mysql": ["GRANT UPDATE (stock) ON shop.inventory TO shop_application"],
    },
    "a right too few": {
        "postgresql": ["REVOKE SELECT ON shop.products FROM shop_application"],
        "mysql": ["REVOKE SELECT ON shop.products FROM shop_application"],
    },
    "a routine for everybody": {
        "postgresql": ["GRANT EXECUTE ON FUNCTION shop.take_stock TO PUBLIC"],
        "mysql": ["GRANT EXECUTE ON PROCEDURE shop.put_stock_back TO shop_application"],
    },
    "a membership": {
        "postgresql": ["GRANT shop_owner TO shop_application"],
        "mysql": ["GRANT shop_owner TO shop_application", "SET DEFAULT ROLE ALL TO shop_application"],
    },
    "a new table": {
        "postgresql": ["CREATE TABLE shop.later (x int)"],
        "mysql": ["CREATE TABLE shop.later (x int)"],
    },
    "a new routine": {
        "postgresql": ["CREATE FUNCTION shop.later() RETURNS int LANGUAGE sql AS 'SELECT 1'"],
        "mysql": ["CREATE FUNCTION shop.later() RETURNS int DETERMINISTIC RETURN 1"],
    },
    "a right on the history": {
        "postgresql": [
            "GRANT USAGE ON SCHEMA migrations TO shop_application",
            "GRANT SELECT ON migrations.history TO shop_application",
        ],
        "mysql": ["GRANT SELECT ON migrations.history TO shop_application"],
    },
}


@pytest.mark.parametrize("what", MORE)
def test_the_table_notices(migrated_database, what):
    for statement in MORE[what][migrated_database.engine]:
        migrated_database.rows(statement)
    seen = rights(walk(migrated_database, "shop_application"))
    if what == "a membership" and migrated_database.engine == "postgresql":
        migrated_database.rows("REVOKE shop_owner FROM shop_application")  # roles outlive their database
    assert seen != in_matrix(migrated_database.engine, "shop_application")


@pytest.mark.engine("postgresql")
def test_the_server_s_own_answers_are_the_same(shared_database):
    """What is tried against what the server says of itself, so that neither is wrong alone."""
    for role in set(ROLES) - {"stranger"}:
        for verb in ("SELECT", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"):
            said = shared_database.rows(
                "SELECT format('%%s.%%s', relnamespace::regnamespace, relname) FROM pg_class"
                " WHERE relnamespace::regnamespace::text IN ('shop', 'migrations') AND relkind = 'r'"
                " AND has_schema_privilege(%(role)s, relnamespace, 'USAGE')"
                " AND has_table_privilege(%(role)s, oid, %(verb)s)",
                {"role": role, "verb": verb},
            )
            tables = {thing.name for thing in things(shared_database) if thing.kind == "table"}
            table = in_matrix("postgresql", role)
            expected = {name for name in tables if table[name] == "all" or verb in table[name].split(", ")}
            assert {name for (name,) in said} == expected, (role, verb)


def test_the_page_is_current():
    assert PAGE.read_text() == page(), f"write it anew: python -m {__name__} --write"


HEAD = """# Who may do what in the database

Written by `.venv/bin/python -m tests.database.test_database_rights --write`, from the table that
`tests/database/test_database_rights.py` holds both engines to. Every cell is tried: each role sends each
statement, and what is not here is refused, with 42501 on PostgreSQL, with 1142, 1143, 1370, 1044 or 1227 on
MySQL. A table, view, sequence or routine that a migration adds fails the test until it stands here.

| role | is | logs in |
| --- | --- | --- |
| `shop_owner` | whose everything is; routines and views run as it | never |
| `shop_loader` | brings files in; on PostgreSQL as the owner, to take keys off and on | by IAM token |
| `shop_application` | serves customers: reads, adds customers, orders by routines | by IAM token |
| `shop_read_only` | looks | by IAM token |
| `shop_admin` | the master user: migrates, makes roles | by the secret, which the migrator reads |
| anybody else | a role without a grant | |

`all` is every verb of that kind of thing:

- a table: SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER, ALTER, DROP; INSERT and UPDATE are
  tried column by column
- a view: SELECT, ALTER, DROP; a sequence: SELECT, USAGE, UPDATE, ALTER; a routine: EXECUTE, ALTER, DROP
- a schema: CREATE TABLE, CREATE ROUTINE, DROP or ALTER; on MySQL also TEMPORARY TABLE and LOCK TABLES
- the server: TEMPORARY TABLE; CREATE SCHEMA, EXTENSION, ROLE; SETTINGS; FILES; PROGRAMS; REPLICATION or
  BINARY LOG

With the optional tenants, what a row is also decides: [ADR 0089](adr/0089-tenants-are-an-optional-set.md).
"""


def page():
    parts = [HEAD]
    for engine, name in (("postgresql", "PostgreSQL"), ("mysql", "MySQL")):
        roles = [f"`{role}`" if role != "stranger" else "anybody else" for role in ROLES]
        rows = [["", *roles], ["---"] * (len(ROLES) + 1)]
        rows += [[f"`{thing}`", *cells] for thing, cells in MATRIX[engine].items()]
        parts.append(f"\n## {name}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows))
    return "".join(parts)


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    PAGE.write_text(page())
