"""Every object, tried with every verb, by every role: each statement is really sent, and taken back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

import psycopg2
import pymysql

ROLES = ("shop_owner", "shop_loader", "shop_application", "shop_read_only", "shop_admin", "stranger")
REFUSED = {
    "postgresql": {"42501"},
    "mysql": {"1044", "1142", "1143", "1227", "1370"},
}
"""What the server says of a right that is not there."""


class Thing(NamedTuple):
    """What a role may or may not touch."""

    kind: str
    name: str
    parts: tuple[str, ...] = ()
    """Columns of a table, types of a routine's arguments."""


class Tried(NamedTuple):
    """A statement as a role sent it, and the code that it was refused with; empty where the role may."""

    thing: str
    verb: str
    code: str


def walk(database, role: str) -> list[Tried]:
    """Try everything as this role. What else goes wrong (no such order, no such value) is no refusal."""
    engine = database.engine
    with _ATTEMPTS[engine](database, role) as attempt:
        return [
            Tried(thing.name, verb, code if (code := attempt(statement, undo)) in REFUSED[engine] else "")
            for thing in things(database)
            for verb, statement, undo in _STATEMENTS[engine][thing.kind](thing)
        ]


def rights(tried: list[Tried]) -> dict[str, str]:
    """Say what a role may with each thing: `-`, `all`, or the verbs; columns where it is not all of them."""
    of_thing: dict[str, dict[str, list[tuple[str, bool]]]] = defaultdict(lambda: defaultdict(list))
    for one in tried:
        verb, _, column = one.verb.partition(" of ")
        of_thing[one.thing][verb].append((column, not one.code))
    return {thing: _said(verbs) for thing, verbs in of_thing.items()}


def _said(verbs: dict[str, list[tuple[str, bool]]]) -> str:
    words = []
    for verb, columns in verbs.items():
        allowed = [column for column, may in columns if may]
        if len(allowed) == len(columns):
            words.append(verb)
        elif allowed:
            words.append(f"{verb} ({', '.join(allowed)})")
    return "all" if words == list(verbs) else ", ".join(words) or "-"


# --- what there is


def things(database) -> list[Thing]:
    """List what a migration may have made, the migrator's own tables, and what a role wants of the server."""
    found = defaultdict(list)
    for kind, name, part in database.rows(_THINGS[database.engine]):
        found[kind, name].append(part)
    listed = [
        Thing(kind, name, tuple(part for part in parts if part)) for (kind, name), parts in found.items()
    ]
    return [*sorted(listed), *_OF_SERVER[database.engine]]


_THINGS = {
    "postgresql": """
        SELECT CASE relkind WHEN 'v' THEN 'view' ELSE 'table' END,
            format('%s.%s', relnamespace::regnamespace, relname), attname::text
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
        WHERE relnamespace IN ('shop'::regnamespace, 'migrations'::regnamespace)
            AND relkind IN ('r', 'p', 'v', 'm')
        UNION ALL
        SELECT 'sequence', format('%s.%s', relnamespace::regnamespace, relname), ''
        FROM pg_class
        WHERE relnamespace IN ('shop'::regnamespace, 'migrations'::regnamespace) AND relkind = 'S'
        UNION ALL
        SELECT 'routine', format('shop.%s', proname), coalesce(argument::regtype::text, '')
        FROM pg_proc LEFT JOIN unnest(proargtypes) AS argument ON true
        WHERE pronamespace = 'shop'::regnamespace
        UNION ALL
        SELECT 'schema', format('schema %s', nspname), '' FROM pg_namespace
        WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
    """,
    "mysql": """
        SELECT CASE t.table_type WHEN 'VIEW' THEN 'view' ELSE 'table' END,
            concat(c.table_schema, '.', c.table_name), c.column_name
        FROM information_schema.columns AS c
        JOIN information_schema.tables AS t USING (table_schema, table_name)
        WHERE c.table_schema IN ('shop', 'migrations')
        UNION ALL
        SELECT concat('routine ', lower(r.routine_type)), concat('shop.', r.routine_name),
            coalesce(p.data_type, '')
        FROM information_schema.routines AS r
        LEFT JOIN information_schema.parameters AS p
            ON p.specific_schema = 'shop' AND p.specific_name = r.specific_name AND p.ordinal_position > 0
        WHERE r.routine_schema = 'shop'
        UNION ALL
        SELECT 'schema', concat('schema ', schema_name), '' FROM information_schema.schemata
        WHERE schema_name IN ('shop', 'migrations')
    """,
}
_OF_SERVER = {
    "postgresql": (Thing("catalog", "pg_authid"), Thing("server", "the server")),
    "mysql": (Thing("catalog", "mysql.user"), Thing("server", "the server")),
}

# --- what is sent: a verb, a statement, and what takes it back where no transaction does

Statements = Iterator[tuple[str, str, str]]


def _columns(thing: Thing, insert: str, update: str) -> Statements:
    for verb, statement in (("INSERT", insert), ("UPDATE", update)):
        for column in thing.parts:
            yield f"{verb} of {column}", statement.format(table=thing.name, column=column), ""


def _postgresql_table(thing: Thing) -> Statements:
    name = thing.name
    yield "SELECT", f"SELECT 1 FROM {name} LIMIT 0", ""
    yield from _columns(
        thing,
        "INSERT INTO {table} ({column}) OVERRIDING SYSTEM VALUE VALUES (NULL)",
        "UPDATE {table} SET {column} = DEFAULT WHERE false",
    )
    yield "DELETE", f"DELETE FROM {name} WHERE false", ""
    yield "TRUNCATE", f"TRUNCATE {name}", ""
    # a table that refers to it, in a place where everybody may have one
    yield "REFERENCES", f"CREATE TABLE anybody.child (x int, FOREIGN KEY (x) REFERENCES {name})", ""
    yield "TRIGGER", f"CREATE TRIGGER x BEFORE DELETE ON {name} EXECUTE FUNCTION anybody.nothing()", ""
    yield "ALTER", f"ALTER TABLE {name} ADD COLUMN added_by_a_test int", ""
    yield "DROP", f"DROP TABLE {name}", ""


def _postgresql_view(thing: Thing) -> Statements:
    name = thing.name
    yield "SELECT", f"SELECT 1 FROM {name} LIMIT 0", ""
    yield "ALTER", f"ALTER VIEW {name} SET (security_barrier)", ""
    yield "DROP", f"DROP VIEW {name}", ""


def _postgresql_sequence(thing: Thing) -> Statements:
    yield "SELECT", f"SELECT last_value FROM {thing.name}", ""
    yield "USAGE", f"SELECT nextval('{thing.name}')", ""
    yield "UPDATE", f"SELECT setval('{thing.name}', 1000)", ""
    yield "ALTER", f"ALTER SEQUENCE {thing.name} CACHE 2", ""


def _postgresql_routine(thing: Thing) -> Statements:
    nulls = ", ".join(f"NULL::{argument}" for argument in thing.parts)
    yield "EXECUTE", f"SELECT {thing.name}({nulls})", ""
    yield "ALTER", f"ALTER FUNCTION {thing.name} COST 99", ""
    yield "DROP", f"DROP FUNCTION {thing.name}", ""


def _postgresql_schema(thing: Thing) -> Statements:
    name = thing.name.split()[1]
    yield "CREATE TABLE", f"CREATE TABLE {name}.made_by_a_test (x int)", ""
    yield "CREATE ROUTINE", f"CREATE FUNCTION {name}.made() RETURNS int LANGUAGE sql AS 'SELECT 1'", ""
    yield "DROP", f"DROP SCHEMA {name}", ""


def _postgresql_server(_thing: Thing) -> Statements:
    yield "TEMPORARY TABLE", "CREATE TEMPORARY TABLE made_by_a_test (x int)", ""
    yield "CREATE SCHEMA", "CREATE SCHEMA made_by_a_test", ""
    yield "CREATE EXTENSION", "CREATE EXTENSION vector SCHEMA anybody", ""
    yield "CREATE ROLE", "CREATE ROLE made_by_a_test", ""
    yield "SETTINGS", "SET log_min_messages = 'panic'", ""
    yield "FILES", "SELECT pg_read_file('PG_VERSION')", ""
    yield "PROGRAMS", "COPY (SELECT 1) TO PROGRAM 'cat'", ""
    yield "REPLICATION", "SELECT pg_create_physical_replication_slot('made_by_a_test')", ""


def _mysql_table(thing: Thing) -> Statements:
    name, schema = thing.name, thing.name.split(".")[0]
    child, trigger = f"{schema}.child_by_a_test", f"{schema}.trigger_by_a_test"
    yield "SELECT", f"SELECT 1 FROM {name} LIMIT 0", ""
    yield from _columns(
        thing,
        "INSERT INTO {table} (`{column}`) SELECT NULL FROM dual WHERE 1 = 0",
        "UPDATE {table} SET `{column}` = NULL WHERE 1 = 0",
    )
    yield "DELETE", f"DELETE FROM {name} WHERE 1 = 0", ""
    yield "TRUNCATE", f"TRUNCATE {name}", ""
    yield (
        "REFERENCES",
        f"CREATE TABLE anybody.child (x int, FOREIGN KEY (x) REFERENCES {name} (`{thing.parts[0]}`))",
        "DROP TABLE IF EXISTS anybody.child",
    )
    yield (
        "TRIGGER",
        f"CREATE TRIGGER {trigger} BEFORE DELETE ON {name} FOR EACH ROW SET @x = 1",
        f"DROP TRIGGER IF EXISTS {trigger}",
    )
    yield "ALTER", f"ALTER TABLE {name} COMMENT 'by a test'", ""
    yield "DROP", f"DROP TABLE {name}, {child}", ""  # of which the second is not there: nothing goes


def _mysql_view(thing: Thing) -> Statements:
    yield "SELECT", f"SELECT 1 FROM {thing.name} LIMIT 0", ""
    yield "ALTER", f"ALTER VIEW {thing.name} AS SELECT no_such_column", ""
    yield "DROP", f"DROP VIEW {thing.name}, shop.not_there", ""


def _mysql_routine(what: str, call: str) -> Callable[[Thing], Statements]:
    def statements(thing: Thing) -> Statements:
        arguments = ", ".join(f"@argument_{number}" for number in range(len(thing.parts)))
        yield "EXECUTE", f"{call} {thing.name}({arguments})", ""
        yield "ALTER", f"ALTER {what} {thing.name} COMMENT 'by a test'", ""

    return statements


def _mysql_schema(thing: Thing) -> Statements:
    name = thing.name.split()[1]
    made = f"{name}.made_by_a_test"
    yield "CREATE TABLE", f"CREATE TABLE {made} (x int)", f"DROP TABLE IF EXISTS {made}"
    yield "TEMPORARY TABLE", f"CREATE TEMPORARY TABLE {made} (x int)", ""
    yield (
        "CREATE ROUTINE",
        f"CREATE FUNCTION {made}() RETURNS int DETERMINISTIC RETURN 1",
        f"DROP FUNCTION IF EXISTS {made}",
    )
    yield "ALTER", f"ALTER DATABASE {name} COLLATE utf8mb4_0900_bin", ""
    yield "LOCK TABLES", f"LOCK TABLES {name}.{_SOME_TABLE[name]} READ", "UNLOCK TABLES"


_SOME_TABLE = {"shop": "products", "migrations": "history"}


def _mysql_server(_thing: Thing) -> Statements:
    yield "CREATE SCHEMA", "CREATE SCHEMA made_by_a_test", "DROP SCHEMA IF EXISTS made_by_a_test"
    yield "CREATE ROLE", "CREATE ROLE shop_made_by_a_test", "DROP ROLE IF EXISTS shop_made_by_a_test"
    yield "SETTINGS", "SET GLOBAL max_user_connections = 0", ""
    yield "FILES", "SELECT 1 INTO OUTFILE '/nowhere/made_by_a_test'", ""
    yield "BINARY LOG", "SHOW BINARY LOGS", ""


def _catalog(thing: Thing) -> Statements:
    yield "SELECT", f"SELECT * FROM {thing.name} LIMIT 1", ""


_STATEMENTS: dict[str, dict[str, Callable[[Thing], Statements]]] = {
    "postgresql": {
        "table": _postgresql_table,
        "view": _postgresql_view,
        "sequence": _postgresql_sequence,
        "routine": _postgresql_routine,
        "schema": _postgresql_schema,
        "catalog": _catalog,
        "server": _postgresql_server,
    },
    "mysql": {
        "table": _mysql_table,
        "view": _mysql_view,
        "routine procedure": _mysql_routine("PROCEDURE", "CALL"),
        "routine function": _mysql_routine("FUNCTION", "SELECT"),
        "schema": _mysql_schema,
        "catalog": _catalog,
        "server": _mysql_server,
    },
}

# --- who sends it

Attempt = Callable[[str, str], str]


@contextmanager
def _as_postgresql_role(database, role: str) -> Iterator[Attempt]:
    """Become the role, without the settings that a login would bring: grants alone are to refuse."""
    connection = database.connect("rdsadmin")
    cursor = connection.cursor()
    if role == "stranger":
        cursor.execute("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger")
    cursor.execute(
        "CREATE SCHEMA IF NOT EXISTS anybody; GRANT ALL ON SCHEMA anybody TO PUBLIC;"
        "CREATE OR REPLACE FUNCTION anybody.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END';"
        f"SET SESSION AUTHORIZATION {role}"
    )

    def attempt(statement: str, _undo: str) -> str:
        cursor.execute("SAVEPOINT before_it")
        try:
            cursor.execute(statement)
        except psycopg2.Error as error:
            code = error.pgcode or ""
            assert code, error
            return code
        else:
            return ""
        finally:
            cursor.execute("ROLLBACK TO SAVEPOINT before_it")

    yield attempt
    connection.rollback()


@contextmanager
def _as_mysql_account(database, role: str) -> Iterator[Attempt]:
    """Log in as the account, which for the owner has to be unlocked first."""
    database.rows("CREATE DATABASE IF NOT EXISTS anybody")
    if role == "stranger":
        database.rows("CREATE USER stranger IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'")
    if role == "shop_owner":
        database.rows("ALTER USER shop_owner ACCOUNT UNLOCK")
    database.rows(f"GRANT CREATE, ALTER, DROP, REFERENCES ON anybody.* TO {role}")
    with closing(database.connect(role)) as connection, connection.cursor() as cursor:

        def attempt(statement: str, undo: str) -> str:
            code = ""
            try:
                cursor.execute(statement)
                while cursor.nextset():  # a routine's error may come behind its rows
                    pass
            except pymysql.Error as error:
                code = str(error.args[0])
            if undo and not code:
                (cursor.execute if undo == "UNLOCK TABLES" else database.rows)(undo)
            return code

        yield attempt
    database.rows("DROP DATABASE anybody")
    if role == "stranger":
        database.rows("DROP USER stranger")


_ATTEMPTS = {"postgresql": _as_postgresql_role, "mysql": _as_mysql_account}
