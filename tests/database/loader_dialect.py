"""What the loader's tests ask of a database beyond plain SQL, in each engine's words."""

from __future__ import annotations

import re
import uuid
from contextlib import closing, contextmanager

TABLES = (
    "customers",
    "products",
    "inventory",
    "stock_movements",
    "loads",
    "rejects",
    "orders",
    "order_lines",
)

_POSTGRESQL_KEYS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
    WHERE connamespace = 'shop'::regnamespace
    UNION ALL
    SELECT indrelid::regclass::text, indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid
    FROM pg_index JOIN pg_class ON pg_class.oid = indrelid WHERE relnamespace = 'shop'::regnamespace
    UNION ALL
    SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(t.oid), tgenabled = 'O'
    FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid
    WHERE relnamespace = 'shop'::regnamespace AND NOT tgisinternal
    ORDER BY 1, 2
"""


def keys(database) -> list[tuple]:
    """All constraints, indexes and triggers, as the server describes them."""
    if database.engine == "postgresql":
        return database.rows(_POSTGRESQL_KEYS)
    tables = [database.rows(f"SHOW CREATE TABLE shop.{table}")[0] for table in TABLES]
    triggers = database.rows(
        "SELECT trigger_name, event_manipulation, action_timing, action_statement"
        " FROM information_schema.triggers WHERE trigger_schema = 'shop' ORDER BY 1"
    )
    return [(name, re.sub(" AUTO_INCREMENT=[0-9]+", "", text)) for name, text in tables] + triggers


def everything(database) -> dict[str, list[tuple]]:
    return {table: sorted(database.rows(f"SELECT * FROM shop.{table}"), key=repr) for table in TABLES}


def emptied(database) -> None:
    """Bring the database back to before any load, ids included."""
    if database.engine == "postgresql":
        database.rows(f"TRUNCATE {', '.join(f'shop.{table}' for table in TABLES)} RESTART IDENTITY CASCADE")
        return
    with closing(database.superuser()) as connection, connection.cursor() as cursor:
        cursor.execute("SET foreign_key_checks = 0")
        for table in TABLES:
            cursor.execute(f"TRUNCATE shop.{table}")
            cursor.execute(f"ALTER TABLE shop.{table} AUTO_INCREMENT = 1")


def url(database, user: str = "shop_loader") -> str:
    """The database as command lines take it."""
    server = database.server
    if database.engine == "postgresql":
        return f"postgresql://{user}@/{database.name}?host={server.socket_directory}&port={server.port}"
    return f"mysql://{user}@localhost/{database.name}?unix_socket={server.socket_path}"


@contextmanager
def order_at_work(database):
    """Something that uses the table of orders as an order does before it commits."""
    with closing(database.connect("shop_loader")) as connection, connection.cursor() as cursor:
        if database.engine == "postgresql":
            cursor.execute("LOCK TABLE shop.orders IN ROW EXCLUSIVE MODE")
        else:
            cursor.execute("START TRANSACTION")
            cursor.execute("UPDATE shop.orders SET country = country WHERE order_id = 0")
        yield
        connection.rollback()


def place_order(database) -> int:
    """Place an order as the application does, and return its id."""
    lines = '[{"stock_code": "SMOKE-TEST-A", "quantity": 1}]'
    with closing(database.session("shop_application")) as session:
        ((order_id, *_),) = session.call("shop.place_order", (str(uuid.uuid4()), None, "France", 2, lines))
    return order_id


_COPYING = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND query LIKE 'COPY %%order_lines%%'",
    "mysql": "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'LOAD DATA%%order_lines%%'",
}


def copying(database) -> int:
    """How many loads are sending rows, or have not noticed yet that they are dead."""
    return database.value(_COPYING[database.engine])


_LOADERS = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND usename = 'shop_loader'",
    "mysql": "SELECT count(*) FROM information_schema.processlist WHERE user = 'shop_loader'",
}


def loaders(database) -> int:
    """How many sessions of loaders the server has, those included that are being undone."""
    return database.value(_LOADERS[database.engine])


_WAITING = {
    "postgresql": "SELECT count(*) FROM pg_locks WHERE NOT granted",
    "mysql": "SELECT count(*) FROM performance_schema.metadata_locks WHERE lock_status = 'PENDING'",
}


def waiting(database) -> int:
    """How many sessions wait for a table."""
    return database.value(_WAITING[database.engine])


def end_session(database, session) -> None:
    """End somebody's session from outside."""
    if database.engine == "postgresql":
        database.rows("SELECT pg_terminate_backend(%s)", (session.connection.info.backend_pid,))
    else:
        database.rows(f"KILL {session.connection.thread_id()}")


def elsewhere(database, session) -> None:
    """Have a session think of times as people in another place do."""
    if database.engine == "postgresql":
        session.rows("SET timezone = 'Asia/Kolkata'; SET datestyle = 'German'")
    else:
        session.rows("SET time_zone = '+05:30'")


@contextmanager
def read_only(database):
    """The database takes no writes."""
    if database.engine == "postgresql":
        database.rows(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
        yield
        database.rows(
            f"SET TRANSACTION READ WRITE; ALTER DATABASE {database.name} RESET default_transaction_read_only"
        )
    else:
        database.rows("SET GLOBAL super_read_only = ON")
        yield
        database.rows("SET GLOBAL read_only = OFF")
