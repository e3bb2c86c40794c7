"""Who may do what: every role, table and verb, and the ways around that must be closed."""

import uuid

import psycopg2
import pymysql
import pytest

import orders
from aurora.failures import Cause, DatabaseError
from orders import WantedLine
from tests.database.servers import apply_migrations

BUSINESS = {"customers", "products", "warehouses", "inventory", "orders", "order_lines", "stock_movements"}
TABLES = BUSINESS | {"loads", "rejects", "invariants"}

READS = {
    "shop_application": BUSINESS | {"invariants"},
    "shop_read_only": TABLES,
}
CALLS = {
    "shop_application": {"place_order", "cancel_order", "purge_test_orders"},
    "shop_read_only": set(),
}

# (table, verb) of one role.
ON_TABLES = {
    "postgresql": """
        SELECT relname, verb
        FROM pg_class, unnest(
            ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']
        ) AS verb
        WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'v', 'm', 'p', 'f')
            AND has_table_privilege(%(role)s, pg_class.oid, verb)
    """,
    # Of a schema, of a table, or of the whole server: a role of MySQL's has none but by GRANT.
    "mysql": """
        SELECT tables.table_name, granted.privilege_type
        FROM information_schema.tables
        JOIN (
            SELECT NULL AS table_schema, NULL AS table_name, privilege_type, grantee
            FROM information_schema.user_privileges
            WHERE privilege_type <> 'USAGE'
            UNION ALL
            SELECT table_schema, NULL, privilege_type, grantee FROM information_schema.schema_privileges
            UNION ALL
            SELECT table_schema, table_name, privilege_type, grantee FROM information_schema.table_privileges
        ) AS granted
            ON coalesce(granted.table_schema, tables.table_schema) = tables.table_schema
            AND coalesce(granted.table_name, tables.table_name) = tables.table_name
        WHERE tables.table_schema = 'shop' AND granted.grantee = concat('''', %(role)s, '''@''%%''')
    """,
}

# (role, table, column, verb) of both.
ON_COLUMNS = {
    "postgresql": """
        SELECT role, relname, attname, verb
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid,
            unnest(ARRAY['shop_application', 'shop_read_only']) AS role,
            unnest(ARRAY['INSERT', 'UPDATE']) AS verb
        WHERE relnamespace = 'shop'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
            AND has_column_privilege(role, attrelid, attnum, verb)
    """,
    "mysql": """
        SELECT trim(BOTH '''' FROM substring_index(grantee, '@', 1)), table_name, column_name, privilege_type
        FROM information_schema.column_privileges
        WHERE table_schema = 'shop'
    """,
}

ON_ROUTINES = {
    "postgresql": """
        SELECT proname FROM pg_proc WHERE pronamespace = 'shop'::regnamespace
            AND has_function_privilege(%(role)s, oid, 'EXECUTE')
    """,
    "mysql": """
        SELECT routine_name FROM mysql.procs_priv
        WHERE db = 'shop' AND user = %(role)s AND proc_priv = 'Execute'
        UNION ALL
        SELECT concat('every one of ', db) FROM mysql.db
        WHERE user = %(role)s
            AND (execute_priv = 'Y' OR alter_routine_priv = 'Y' OR create_routine_priv = 'Y')
    """,
}


@pytest.mark.parametrize("role", sorted(READS))
def test_tables_can_be_read_where_granted_and_never_written(shared_database, role):
    granted = set(shared_database.rows(ON_TABLES[shared_database.engine], {"role": role}))
    assert granted == {(table, "SELECT") for table in READS[role]}


@pytest.mark.engine("mysql")
def test_loader_may_write_all_tables_and_change_none(shared_database):
    granted = set(shared_database.rows(ON_TABLES["mysql"], {"role": "shop_loader"}))
    assert {verb for _, verb in granted if verb != "TRIGGER"} == {
        "SELECT", "INSERT", "UPDATE", "DELETE", "LOCK TABLES", "CREATE TEMPORARY TABLES",
    }  # fmt: skip
    # the trigger that runs as the loader needs it; PostgreSQL's loader is a member of the owner
    assert {table for table, verb in granted if verb == "TRIGGER"} == {"order_lines"}


def test_every_table_is_in_the_matrix(shared_database):
    tables = shared_database.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop'"
    )
    assert {name for (name,) in tables} == TABLES


def test_the_only_columns_that_can_be_written_are_those_of_a_new_customer(shared_database):
    written = shared_database.rows(ON_COLUMNS[shared_database.engine])
    assert written == [("shop_application", "customers", "country", "INSERT")]


@pytest.mark.parametrize("role", sorted(CALLS))
def test_routines_can_be_called_where_granted(shared_database, role):
    callable_ = shared_database.rows(ON_ROUTINES[shared_database.engine], {"role": role})
    assert {name for (name,) in callable_} == CALLS[role]


OWNERS = {
    "postgresql": """
        SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'shop'::regnamespace
        UNION SELECT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'shop'::regnamespace
        UNION SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'shop'
    """,
    # MySQL's objects belong to nobody: they run with the rights of a definer.
    "mysql": """
        SELECT substring_index(definer, '@', 1) FROM information_schema.routines WHERE routine_schema = 'shop'
        UNION SELECT substring_index(definer, '@', 1) FROM information_schema.triggers
            WHERE trigger_schema = 'shop' AND trigger_name <> 'order_totals_after_insert' -- the loader's own
        UNION SELECT substring_index(definer, '@', 1) FROM information_schema.views
            WHERE table_schema = 'shop'
        UNION SELECT security_type FROM information_schema.routines
            WHERE routine_schema = 'shop' AND security_type <> 'DEFINER'
        UNION SELECT security_type FROM information_schema.views
            WHERE table_schema = 'shop' AND security_type <> 'DEFINER'
    """,
}


def test_everything_belongs_to_the_owner(shared_database):
    assert shared_database.rows(OWNERS[shared_database.engine]) == [("shop_owner",)]


@pytest.mark.engine("postgresql")
def test_the_owner_cannot_log_in(shared_database):
    assert shared_database.value("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'shop_owner'") is False


@pytest.mark.engine("mysql")
def test_the_owner_s_account_is_locked(shared_database):
    with pytest.raises(pymysql.OperationalError, match="Account is locked"):
        shared_database.connect("shop_owner")


@pytest.mark.engine("postgresql")
def test_functions_that_act_as_the_owner_fix_their_search_path(shared_database):
    """A caller could otherwise slip an object of its own under a name that the function uses."""
    open_to_tricks = shared_database.rows("""
        SELECT proname FROM pg_proc
        WHERE pronamespace = 'shop'::regnamespace AND prosecdef
            AND NOT coalesce(proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)
    """)
    assert open_to_tricks == []


@pytest.mark.engine("mysql")
def test_routines_keep_a_strict_mode_whoever_calls(shared_database):
    """A caller's lax mode would otherwise cut values off inside of them."""
    lax = shared_database.rows("""
        SELECT routine_name FROM information_schema.routines
        WHERE routine_schema = 'shop' AND sql_mode NOT LIKE '%STRICT_ALL_TABLES%'
        UNION ALL
        SELECT trigger_name FROM information_schema.triggers
        WHERE trigger_schema = 'shop' AND sql_mode NOT LIKE '%STRICT_ALL_TABLES%'
    """)
    assert lax == []


@pytest.mark.engine("mysql")
def test_rights_of_an_earlier_shop_are_gone(empty_database):
    """Accounts, and the rights on a database that was dropped, outlive it."""
    admin = empty_database.connect()
    with admin.cursor() as cursor:
        cursor.execute("CREATE USER shop_read_only IDENTIFIED BY 'a password'")
        cursor.execute("GRANT DELETE ON shop.* TO shop_read_only")
        cursor.execute("CREATE USER shop_owner IDENTIFIED BY 'a password'")
    apply_migrations(empty_database)
    granted = set(empty_database.rows(ON_TABLES["mysql"], {"role": "shop_read_only"}))
    assert granted == {(table, "SELECT") for table in READS["shop_read_only"]}
    assert empty_database.rows(PASSWORDS["mysql"]) == []


POWERS = {
    "postgresql": """
        SELECT rolname FROM pg_authid
        WHERE rolname LIKE 'shop\\_%' AND rolname <> 'shop_admin'
            AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)
    """,
    "mysql": """
        SELECT grantee, privilege_type FROM information_schema.user_privileges
        WHERE grantee LIKE '''shop\\_%' AND grantee NOT LIKE '''shop\\_admin''%' AND privilege_type <> 'USAGE'
    """,
}
PASSWORDS = {
    "postgresql": """
        SELECT rolname FROM pg_authid
        WHERE rolname LIKE 'shop\\_%' AND rolname <> 'shop_admin' AND rolpassword IS NOT NULL
    """,
    "mysql": """
        SELECT user FROM mysql.user
        WHERE user LIKE 'shop\\_%' AND user <> 'shop_admin'
            AND (plugin <> 'AWSAuthenticationPlugin' OR authentication_string <> 'RDS')
    """,
}


def test_no_role_has_a_superuser_s_powers_or_a_password(shared_database):
    assert shared_database.rows(POWERS[shared_database.engine]) == []
    assert shared_database.rows(PASSWORDS[shared_database.engine]) == []


@pytest.mark.engine("postgresql")  # on MySQL that is what the accounts are made with: see the passwords
def test_login_roles_use_iam_tokens(shared_database):
    members = shared_database.rows(
        "SELECT member::regrole::text FROM pg_auth_members WHERE roleid = 'rds_iam'::regrole ORDER BY 1"
    )
    assert {"shop_application", "shop_loader", "shop_read_only"} <= {name for (name,) in members}


REFUSED_TO_BOTH = {
    "delete orders": "DELETE FROM shop.orders",
    "delete lines": "DELETE FROM shop.order_lines",
    "make stock": "UPDATE shop.inventory SET stock = 1000000",
    "change a status": "UPDATE shop.orders SET status = 'cancelled'",
    "change a price": "UPDATE shop.products SET unit_price = 0",
    "move stock": "INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind)"
    " VALUES (1, 2, 5, 'adjustment')",
    "choose a customer's number": "INSERT INTO shop.customers (customer_id, country) VALUES (1, 'France')",
    "truncate": {"postgresql": "TRUNCATE shop.orders CASCADE", "mysql": "TRUNCATE shop.orders"},
    "create a table": "CREATE TABLE shop.mine (x int)",
    "create a table elsewhere": {
        "postgresql": "CREATE TABLE public.mine (x int)",
        "mysql": "CREATE TABLE migrations.mine (x int)",
    },
    "alter a table": "ALTER TABLE shop.orders ADD COLUMN mine int",
    "drop a table": "DROP TABLE shop.rejects",
    "drop a routine": {
        "postgresql": "DROP FUNCTION shop.cancel_order(bigint)",
        "mysql": "DROP PROCEDURE shop.cancel_order",
    },
    "create a routine": {
        "postgresql": "CREATE FUNCTION shop.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "mysql": "CREATE FUNCTION shop.mine() RETURNS int DETERMINISTIC RETURN 1",
    },
    "create a schema": "CREATE SCHEMA mine",
    "read the migrator's history": "SELECT * FROM migrations.history",
    "call a part of an order": {
        "postgresql": "SELECT shop.take_stock(1, NULL)",
        "mysql": "CALL shop.put_stock_back(1)",
    },
    "be the owner": "SET ROLE shop_owner",
    "be the master user": "SET ROLE shop_admin",
    "create a role": "CREATE ROLE mine",
    "take a trigger away": {
        "postgresql": "DROP TRIGGER order_totals_after_insert ON shop.order_lines",
        "mysql": "DROP TRIGGER shop.order_totals_after_insert",
    },
}
REFUSED_TO_APPLICATION = {
    **REFUSED_TO_BOTH,
    "read loads": "SELECT * FROM shop.loads",
    "read rejects": "SELECT * FROM shop.rejects",
}
REFUSED_TO_READ_ONLY = {
    **REFUSED_TO_BOTH,
    "add a customer": "INSERT INTO shop.customers (country) VALUES ('France')",
    "cancel": {"postgresql": "SELECT shop.cancel_order(1)", "mysql": "CALL shop.cancel_order(1)"},
    "place": {
        "postgresql": "SELECT * FROM shop.place_order(gen_random_uuid(), NULL, 'France', 2, '[]')",
        "mysql": "CALL shop.place_order(uuid(), NULL, 'France', 2, '[]')",
    },
    "purge": {
        "postgresql": "SELECT shop.purge_test_orders(NULL)",
        "mysql": "CALL shop.purge_test_orders(NULL)",
    },
    "lock rows": "SELECT * FROM shop.orders FOR UPDATE",
}
# MySQL only.
REFUSED_TO_LOADER = {
    "alter a table": "ALTER TABLE shop.orders ADD COLUMN mine int",
    "drop a key": "ALTER TABLE shop.orders DROP FOREIGN KEY orders_customer_fk",
    "truncate": "TRUNCATE shop.rejects",
    "drop a table": "DROP TABLE shop.rejects",
    "place": "CALL shop.place_order(uuid(), NULL, 'France', 2, '[]')",
    "read the migrator's history": "SELECT * FROM migrations.history",
}


def refused(session, statement):
    """Tell whether the statement is not permitted. A role that was not granted is an error of its own."""
    if isinstance(statement, dict):
        statement = statement[session.engine]
    with pytest.raises(DatabaseError) as error:
        session.rows(statement)
    return error.value.cause is Cause.NOT_PERMITTED or error.value.code == ROLE_NOT_GRANTED


ROLE_NOT_GRANTED = "3530"


def read_write(session):
    """Return the session, which a setting of its own keeps from nothing any more."""
    if session.engine == "postgresql":
        session.rows("SET default_transaction_read_only = off")
        assert session.rows("SHOW transaction_read_only") == [("off",)]
    return session


@pytest.mark.parametrize("what", REFUSED_TO_APPLICATION)
def test_application_is_refused(shared_session, what):
    assert refused(shared_session("shop_application"), REFUSED_TO_APPLICATION[what])


@pytest.mark.parametrize("what", REFUSED_TO_READ_ONLY)
def test_read_only_is_refused_though_it_made_its_session_read_write(shared_session, what):
    assert refused(read_write(shared_session("shop_read_only")), REFUSED_TO_READ_ONLY[what])


@pytest.mark.engine("mysql")
@pytest.mark.parametrize("what", REFUSED_TO_LOADER)
def test_loader_is_refused_what_only_migrations_do(shared_session, what):
    assert refused(shared_session("shop_loader"), REFUSED_TO_LOADER[what])


@pytest.fixture
def shared_session(shared_database):
    """Return sessions of roles, which end with the test."""
    opened = []

    def session(role):
        opened.append(shared_database.session(role))
        return opened[-1]

    yield session
    for one in opened:
        one.close()


@pytest.mark.engine("postgresql")  # accounts of MySQL's have no settings: there the procedures state theirs
def test_read_only_starts_read_only(shared_database):
    assert shared_database.value("SHOW transaction_read_only", user="shop_read_only") == "on"


@pytest.mark.engine("postgresql")
def test_application_states_its_isolation(shared_database):
    assert shared_database.value("SHOW transaction_isolation", user="shop_application") == "read committed"


def test_application_and_read_only_see_what_they_need(database):
    placed = orders.place(
        database.session("shop_application"),
        request_token=uuid.uuid4(),
        warehouse_id=2,
        country="France",
        lines=[WantedLine("SMOKE-TEST-A", 2)],
    )
    seen = orders.read(database.session("shop_read_only"), placed.order_id)
    assert seen is not None
    assert seen.total_amount == placed.total_amount


@pytest.mark.engine("postgresql")
def test_database_is_closed_to_others(migrated_database):
    """Database privileges are not copied from a template: this database was migrated itself."""
    migrated_database.rows("CREATE ROLE stranger LOGIN")
    try:
        with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
            migrated_database.connect("stranger")
    finally:
        migrated_database.rows("DROP ROLE stranger")


@pytest.mark.engine("mysql")
def test_schema_is_closed_to_others(shared_database):
    shared_database.rows("CREATE USER stranger IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'")
    try:
        assert refused(shared_database.session("stranger"), "SELECT * FROM shop.products")
        assert refused(shared_database.session("stranger"), "USE shop")
    finally:
        shared_database.rows("DROP USER stranger")


@pytest.mark.parametrize("role", sorted(READS))
def test_loader_alone_may_stage(migrated_database, role):
    """On MySQL another's temporary table would stand in the place of the shop's, inside routines as well."""
    name = {"postgresql": "products", "mysql": "shop.products"}[migrated_database.engine]
    staged = f"CREATE TEMPORARY TABLE {name} (x int)"
    assert refused(read_write(migrated_database.session(role)), staged)
    migrated_database.session("shop_loader").rows(staged)


@pytest.mark.engine("postgresql")  # on MySQL a key taken away stays away after a crash
def test_loader_may_take_keys_away_and_put_them_back(database):
    database.rows("ALTER TABLE shop.order_lines DROP CONSTRAINT order_lines_product_fk", user="shop_loader")
    database.rows(
        "ALTER TABLE shop.order_lines ADD CONSTRAINT order_lines_product_fk"
        " FOREIGN KEY (product_id) REFERENCES shop.products (product_id)",
        user="shop_loader",
    )


LATER = {
    "postgresql": [
        "SET ROLE shop_owner",
        "CREATE TABLE shop.later (x int)",
        "CREATE FUNCTION shop.later() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ],
    "mysql": [
        "CREATE TABLE shop.later (x int)",
        "CREATE DEFINER = shop_owner FUNCTION shop.later() RETURNS int DETERMINISTIC RETURN 1",
    ],
}


def test_tables_of_later_migrations_are_readable_and_routines_are_not_callable(database):
    """A grant that somebody forgets must hide a table from the application, not open it to everyone."""
    admin = database.session("shop_admin")
    for statement in LATER[database.engine]:
        admin.rows(statement)
    assert database.rows("SELECT * FROM shop.later", user="shop_read_only") == []
    assert refused(database.session("shop_application"), "SELECT * FROM shop.later")
    for role in ("shop_application", "shop_read_only"):
        assert refused(database.session(role), "SELECT shop.later()")
