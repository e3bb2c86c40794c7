"""Who may do what: every role, table and verb, and the ways around that must be closed."""

import uuid

import psycopg2
import pytest

import orders
from orders import WantedLine

VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
BUSINESS = {"customers", "products", "warehouses", "inventory", "orders", "order_lines", "stock_movements"}
TABLES = BUSINESS | {"loads", "rejects", "invariants"}

READS = {
    "shop_application": BUSINESS | {"invariants"},
    "shop_read_only": TABLES,
    "shop_loader": TABLES,
}
CALLS = {
    "shop_application": {"place_order", "cancel_order", "purge_test_orders"},
    "shop_read_only": set(),
}


@pytest.mark.parametrize("role", ["shop_application", "shop_read_only"])
def test_tables_can_be_read_where_granted_and_never_written(shared_database, role):
    granted = {
        (table, verb)
        for table, verb in shared_database.rows(
            "SELECT relname, verb FROM pg_class, unnest(%s) AS verb"
            " WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'v', 'm', 'p', 'f')"
            " AND has_table_privilege(%s, pg_class.oid, verb)",
            (list(VERBS), role),
        )
    }
    assert granted == {(table, "SELECT") for table in READS[role]}


def test_every_table_is_in_the_matrix(shared_database):
    tables = shared_database.rows(
        "SELECT relname FROM pg_class"
        " WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'v', 'm')"
    )
    assert {name for (name,) in tables} == TABLES


def test_the_only_columns_that_can_be_written_are_those_of_a_new_customer(shared_database):
    written = shared_database.rows("""
        SELECT role, attrelid::regclass::text, attname, verb
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid,
            unnest(ARRAY['shop_application', 'shop_read_only']) AS role,
            unnest(ARRAY['INSERT', 'UPDATE']) AS verb
        WHERE relnamespace = 'shop'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
            AND has_column_privilege(role, attrelid, attnum, verb)
    """)
    assert written == [("shop_application", "shop.customers", "country", "INSERT")]


@pytest.mark.parametrize("role", sorted(CALLS))
def test_functions_can_be_called_where_granted(shared_database, role):
    callable_ = shared_database.rows(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'shop'::regnamespace"
        " AND has_function_privilege(%s, oid, 'EXECUTE')",
        (role,),
    )
    assert {name for (name,) in callable_} == CALLS[role]


def test_everything_belongs_to_the_owner_who_cannot_log_in(shared_database):
    owners = shared_database.rows("""
        SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'shop'::regnamespace
        UNION SELECT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'shop'::regnamespace
        UNION SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'shop'
    """)
    assert owners == [("shop_owner",)]
    assert shared_database.value("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'shop_owner'") is False


def test_functions_that_act_as_the_owner_fix_their_search_path(shared_database):
    """A caller could otherwise slip an object of its own under a name that the function uses."""
    open_to_tricks = shared_database.rows("""
        SELECT proname FROM pg_proc
        WHERE pronamespace = 'shop'::regnamespace AND prosecdef
            AND NOT coalesce(proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)
    """)
    assert open_to_tricks == []


def test_no_role_has_a_superuser_s_powers_or_a_password(shared_database):
    powers = shared_database.rows("""
        SELECT rolname FROM pg_authid
        WHERE rolname LIKE 'shop\\_%' AND rolname <> 'shop_admin'
            AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
                 OR rolpassword IS NOT NULL)
    """)
    assert powers == []


def test_login_roles_use_iam_tokens(shared_database):
    members = shared_database.rows(
        "SELECT member::regrole::text FROM pg_auth_members WHERE roleid = 'rds_iam'::regrole ORDER BY 1"
    )
    assert {"shop_application", "shop_loader", "shop_read_only"} <= {name for (name,) in members}


REFUSED_TO_BOTH = [
    "DELETE FROM shop.orders",
    "DELETE FROM shop.order_lines",
    "UPDATE shop.inventory SET stock = 1000000",
    "UPDATE shop.orders SET status = 'cancelled'",
    "UPDATE shop.products SET unit_price = 0",
    "INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind)"
    " VALUES (1, 2, 5, 'adjustment')",
    "INSERT INTO shop.customers (customer_id, country) VALUES (1, 'France')",
    "TRUNCATE shop.orders CASCADE",
    "CREATE TABLE shop.mine (x int)",
    "CREATE TABLE public.mine (x int)",
    "ALTER TABLE shop.orders ADD COLUMN mine int",
    "DROP TABLE shop.rejects",
    "DROP FUNCTION shop.cancel_order(bigint)",
    "CREATE FUNCTION shop.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA mine",
    "SELECT * FROM migrations.history",
    "SELECT shop.take_stock(1, NULL)",
    "SET ROLE shop_owner",
    "SET ROLE shop_admin",
    "CREATE ROLE mine",
]
REFUSED_TO_APPLICATION = [*REFUSED_TO_BOTH, "SELECT * FROM shop.loads", "SELECT * FROM shop.rejects"]
REFUSED_TO_READ_ONLY = [
    *REFUSED_TO_BOTH,
    "INSERT INTO shop.customers (country) VALUES ('France')",
    "SELECT shop.cancel_order(1)",
    "SELECT * FROM shop.place_order(gen_random_uuid(), NULL, 'France', 2, '[]')",
    "SELECT shop.purge_test_orders(NULL)",
    "SELECT nextval('shop.orders_order_id_seq')",
    "SELECT * FROM shop.orders FOR UPDATE",
]


@pytest.mark.parametrize("statement", REFUSED_TO_APPLICATION)
def test_application_is_refused(shared_database, statement):
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        shared_database.rows(statement, user="shop_application")


@pytest.mark.parametrize("statement", REFUSED_TO_READ_ONLY)
def test_read_only_is_refused_though_it_made_its_session_read_write(shared_database, statement):
    connection = shared_database.connect("shop_read_only")
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = off")
        connection.commit()
        cursor.execute("SHOW transaction_read_only")
        assert cursor.fetchone() == ("off",)
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(statement)


def test_read_only_starts_read_only(shared_database):
    assert shared_database.value("SHOW transaction_read_only", user="shop_read_only") == "on"


def test_application_states_its_isolation(shared_database):
    assert shared_database.value("SHOW transaction_isolation", user="shop_application") == "read committed"


def test_application_and_read_only_see_what_they_need(database):
    placed = orders.place(
        database.connect("shop_application"),
        request_token=uuid.uuid4(),
        warehouse_id=2,
        country="France",
        lines=[WantedLine("SMOKE-TEST-A", 2)],
    )
    seen = orders.read(database.connect("shop_read_only"), placed.order_id)
    assert seen is not None
    assert seen.total_amount == placed.total_amount


def test_database_is_closed_to_others(migrated_database):
    """Database privileges are not copied from a template: this database was migrated itself."""
    migrated_database.rows("CREATE ROLE stranger LOGIN")
    try:
        with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
            migrated_database.connect("stranger")
    finally:
        migrated_database.rows("DROP ROLE stranger")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        migrated_database.rows("CREATE TEMPORARY TABLE mine (x int)", user="shop_application")
    migrated_database.rows("CREATE TEMPORARY TABLE staged (x int)", user="shop_loader")


def test_loader_may_take_keys_away_and_put_them_back(database):
    database.rows("ALTER TABLE shop.order_lines DROP CONSTRAINT order_lines_product_fk", user="shop_loader")
    database.rows(
        "ALTER TABLE shop.order_lines ADD CONSTRAINT order_lines_product_fk"
        " FOREIGN KEY (product_id) REFERENCES shop.products (product_id)",
        user="shop_loader",
    )


def test_tables_of_later_migrations_are_readable_and_functions_are_not_callable(database):
    """A grant that somebody forgets must hide a table from the application, not open it to everyone."""
    database.rows(
        "SET ROLE shop_owner; CREATE TABLE shop.later (x int);"
        " CREATE FUNCTION shop.later() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    )
    assert database.rows("SELECT * FROM shop.later", user="shop_read_only") == []
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        database.rows("SELECT * FROM shop.later", user="shop_application")
    for role in ("shop_application", "shop_read_only"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            database.rows("SELECT shop.later()", user=role)
