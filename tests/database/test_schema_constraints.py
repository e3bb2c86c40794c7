"""Every constraint of the schema refuses what it is there to refuse, by its name."""

from uuid import UUID

import pytest

from aurora.failures import DatabaseError

TOKEN = UUID(int=2)

# One order of each kind to lean on: 1 is recorded history, 2 is placed.
GIVEN = [
    "INSERT INTO shop.customers (customer_id, country) VALUES (12346, 'United Kingdom')",
    "INSERT INTO shop.products (product_id, stock_code, description, unit_price)"
    " VALUES (501, '85123A', 'WHITE HANGING HEART', 2.550), (502, 'UNSOLD', 'UNSOLD', 1)",
    "INSERT INTO shop.inventory (product_id, warehouse_id, stock) VALUES (501, 1, 10), (502, 1, 10)",
    "INSERT INTO shop.loads (source, sha256, {lines}, order_lines, rejects, quantity, amount)"
    " VALUES ('a file', repeat('a', 64), 2, 1, 1, 0, 0)",
    "INSERT INTO shop.orders (order_id, invoice_number, status, country)"
    " VALUES (1, '536365', 'invoiced', 'France')",
    "INSERT INTO shop.orders (order_id, request_token, status, country, warehouse_id)"
    " VALUES (2, {token}, 'placed', 'France', 1)",
    "INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)"
    " VALUES (1, 1, 501, 6, 2.550), (2, 1, 501, 6, 2.550)",
    "INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind, order_id, line_number)"
    " VALUES (501, 1, -6, 'sale', 2, 1)",
    "INSERT INTO shop.rejects (load_id, line_number, reason, raw)"
    " VALUES (1, 1, 'negative price', 'A563185,B')",
]

DIALECT = {
    "postgresql": {
        "lines": "lines",
        "token": f"'{TOKEN}'",
        "overriding": "OVERRIDING SYSTEM VALUE",  # for ids that are always generated
    },
    "mysql": {"lines": "`lines`", "token": f"uuid_to_bin('{TOKEN}')", "overriding": ""},
}

LOAD = "INSERT INTO shop.loads (source, sha256, {lines}, order_lines, rejects, quantity, amount) VALUES "
PRODUCT = "INSERT INTO shop.products (product_id, stock_code, description, unit_price) VALUES "
ORDER = "INSERT INTO shop.orders (order_id, invoice_number, status, country, line_count) VALUES "
LINE = "INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price) VALUES "
MOVEMENT = (
    "INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind, order_id, line_number)"
    " VALUES "
)
REJECT = "INSERT INTO shop.rejects (load_id, line_number, reason, raw) VALUES "

REFUSED = {
    "customers_pk": "INSERT INTO shop.customers (customer_id, country) VALUES (12346, 'France')",
    "customers_country_given": "INSERT INTO shop.customers (country) VALUES ('')",
    "products_pk": PRODUCT + "(501, 'other', '', 1)",
    "products_stock_code_unique": PRODUCT + "(503, '85123A', '', 1)",
    "products_stock_code_given": PRODUCT + "(503, '', '', 1)",
    "products_price_not_negative": PRODUCT + "(503, 'B', 'Adjust bad debt', -11062.06)",
    "warehouses_pk": "INSERT INTO shop.warehouses (warehouse_id, name) VALUES (1, 'other')",
    "warehouses_name_unique": "INSERT INTO shop.warehouses (name) VALUES ('main')",
    "inventory_pk": "INSERT INTO shop.inventory VALUES (501, 1, 5)",
    "inventory_product_fk": "INSERT INTO shop.inventory VALUES (999, 1, 5)",
    "inventory_warehouse_fk": "INSERT INTO shop.inventory VALUES (501, 999, 5)",
    "inventory_stock_not_negative": "UPDATE shop.inventory SET stock = -1 WHERE product_id = 501",
    "loads_pk": "INSERT INTO shop.loads {overriding} SELECT load_id, source, repeat('b', 64),"
    " {lines}, order_lines, rejects, quantity, amount, loaded_at FROM shop.loads",
    "loads_sha256_unique": LOAD + "('again', repeat('a', 64), 2, 1, 1, 0, 0)",
    "loads_sha256_is_one": LOAD + "('a file', repeat('A', 64), 2, 1, 1, 0, 0)",
    "loads_lines_accounted_for": LOAD + "('a file', repeat('b', 64), 3, 1, 1, 0, 0)",
    "rejects_pk": REJECT + "(1, 1, 'again', '')",
    "rejects_load_fk": REJECT + "(999, 1, 'reason', '')",
    "rejects_line_number_positive": REJECT + "(1, 0, 'reason', '')",
    "rejects_reason_given": REJECT + "(1, 2, '', '')",
    "orders_pk": ORDER + "(1, '536366', 'invoiced', 'France', 0)",
    "orders_invoice_number_unique": ORDER + "(3, '536365', 'invoiced', 'France', 0)",
    "orders_request_token_unique": "INSERT INTO shop.orders"
    " (order_id, request_token, status, country, warehouse_id)"
    " SELECT 3, request_token, status, country, warehouse_id FROM shop.orders WHERE order_id = 2",
    "orders_customer_fk": "UPDATE shop.orders SET customer_id = 999 WHERE order_id = 1",
    "orders_warehouse_fk": "UPDATE shop.orders SET warehouse_id = 999 WHERE order_id = 2",
    "orders_load_fk": "UPDATE shop.orders SET load_id = 999 WHERE order_id = 1",
    "orders_status_known": ORDER + "(3, '536366', 'paid', 'France', 0)",
    "orders_placed_or_recorded": "UPDATE shop.orders SET warehouse_id = NULL WHERE order_id = 2",
    "orders_country_given": ORDER + "(3, '536366', 'invoiced', '', 0)",
    "orders_invoice_number_given": ORDER + "(3, '', 'invoiced', 'France', 0)",
    "orders_line_count_not_negative": ORDER + "(3, '536366', 'invoiced', 'France', -1)",
    "order_lines_pk": LINE + "(1, 1, 501, 1, 1)",
    "order_lines_order_fk": LINE + "(999, 1, 501, 1, 1)",
    "order_lines_product_fk": LINE + "(1, 2, 999, 1, 1)",
    "order_lines_line_number_positive": LINE + "(1, 0, 501, 1, 1)",
    "order_lines_quantity_not_zero": LINE + "(1, 2, 501, 0, 1)",
    "order_lines_price_not_negative": LINE + "(1, 2, 501, 1, -0.001)",
    "stock_movements_pk": "INSERT INTO shop.stock_movements"
    " (movement_id, product_id, warehouse_id, quantity, kind) {overriding}"
    " SELECT movement_id, product_id, warehouse_id, 1, 'adjustment' FROM shop.stock_movements"
    " WHERE order_id = 2",
    "stock_movements_inventory_fk": MOVEMENT + "(501, 2, 1, 'adjustment', NULL, NULL)",
    "stock_movements_order_line_fk": MOVEMENT + "(501, 1, -1, 'sale', 2, 2)",
    "stock_movements_once_per_line": MOVEMENT + "(501, 1, -6, 'sale', 2, 1)",
    "stock_movements_kind_fits": MOVEMENT + "(501, 1, 6, 'sale', 2, 1)",
}

# More ways past the constraints that distinguish cases.
ALSO_REFUSED = [
    ("orders_placed_or_recorded", "UPDATE shop.orders SET request_token = NULL WHERE order_id = 2"),
    ("orders_placed_or_recorded", "UPDATE shop.orders SET load_id = 1 WHERE order_id = 2"),
    ("orders_placed_or_recorded", "UPDATE shop.orders SET warehouse_id = 1 WHERE order_id = 1"),
    ("orders_placed_or_recorded", "UPDATE shop.orders SET invoice_number = NULL WHERE order_id = 1"),
    ("orders_placed_or_recorded", "UPDATE shop.orders SET status = 'returned' WHERE order_id = 2"),
    ("stock_movements_kind_fits", MOVEMENT + "(501, 1, 1, 'theft', NULL, NULL)"),
    ("stock_movements_kind_fits", MOVEMENT + "(501, 1, -6, 'cancellation', 2, 1)"),
    ("stock_movements_kind_fits", MOVEMENT + "(501, 1, -6, 'sale', NULL, NULL)"),
    ("stock_movements_kind_fits", MOVEMENT + "(501, 1, -6, 'opening', NULL, NULL)"),
    ("stock_movements_kind_fits", MOVEMENT + "(501, 1, 0, 'adjustment', NULL, NULL)"),
    ("inventory_product_fk", "DELETE FROM shop.products WHERE product_id = 502"),
    ("stock_movements_order_line_fk", "DELETE FROM shop.orders WHERE order_id = 2"),
]


# What MySQL needs constraints for, and PostgreSQL's types see to by themselves: without strict mode, which is
# each session's own choice.
REFUSED_BY_MYSQL_ALONE = {
    "warehouses_name_whole": f"INSERT INTO shop.warehouses (name) VALUES ('{'x' * 300}')",
    "warehouses_is_test_or_not": "INSERT INTO shop.warehouses (name, is_test) VALUES ('other', 2)",
    "stock_movements_order_line_whole": MOVEMENT + "(501, 1, -6, 'sale', 2, NULL)",
    "customers_created_at_is_a_time": "UPDATE shop.customers SET created_at = '2010-02-30 00:00:00'",
    "loads_loaded_at_is_a_time": "UPDATE shop.loads SET loaded_at = 'yesterday'",
    "orders_ordered_at_is_a_time": "UPDATE shop.orders SET ordered_at = NULL",
    "order_lines_invoiced_at_is_a_time": "UPDATE shop.order_lines SET invoiced_at = '' WHERE order_id = 1",
    "stock_movements_moved_at_is_a_time": "UPDATE shop.stock_movements SET moved_at = 0",
}
# What a session without strict mode would cut off or guess, and store.
LAX = [
    ("customers_country_given", f"INSERT INTO shop.customers (country) VALUES ('{'x' * 300}')"),
    ("customers_country_given", "UPDATE shop.customers SET country = NULL"),
    ("products_stock_code_given", PRODUCT + f"(503, '{'x' * 300}', '', 1)"),
    ("loads_sha256_is_one", f"UPDATE shop.loads SET sha256 = '{'a' * 66}'"),
    ("orders_country_given", f"UPDATE shop.orders SET country = '{'x' * 300}'"),
    ("orders_invoice_number_given", ORDER + f"(3, '{'5' * 300}', 'invoiced', 'France', 0)"),
    ("orders_status_known", "UPDATE shop.orders SET status = 'invoiced, and more than fits'"),
    ("stock_movements_kind_fits", MOVEMENT + "(501, 1, 1, 'opening, and more than fits', NULL, NULL)"),
    ("order_lines_quantity_not_zero", LINE + "(1, 2, 501, 'six', 1)"),
    ("order_lines_line_number_positive", LINE + "(1, 'two', 501, 1, 1)"),
]


@pytest.fixture(scope="module")
def given(shared_database):
    """A session with a transaction that holds GIVEN and that every test rolls back to."""
    session = shared_database.session("rdsadmin")
    session.rows("START TRANSACTION")
    for statement in GIVEN:
        session.rows(statement.format_map(DIALECT[session.engine]))
    yield session
    session.close()


def refusal(session, statement):
    """Return the name of the constraint that refused the statement."""
    session.rows("SAVEPOINT untouched")
    with pytest.raises(DatabaseError) as refused:
        session.rows(statement.format_map(DIALECT[session.engine]))
    session.rows("ROLLBACK TO SAVEPOINT untouched")
    return refused.value.constraint


def name_of(constraint, engine):
    """Return how the engine calls it in an error: MySQL has one name for all primary keys."""
    return "PRIMARY" if engine == "mysql" and constraint.endswith("_pk") else constraint


@pytest.mark.parametrize(("constraint", "statement"), [*REFUSED.items(), *ALSO_REFUSED])
def test_constraint_refuses(given, constraint, statement):
    assert refusal(given, statement) == name_of(constraint, given.engine)


def test_half_a_reference_to_a_line_is_refused(given):
    """PostgreSQL's MATCH FULL is a constraint of its own on MySQL."""
    refused_by = {
        "postgresql": "stock_movements_order_line_fk",
        "mysql": "stock_movements_order_line_whole",
    }
    assert refusal(given, MOVEMENT + "(501, 1, -6, 'sale', 2, NULL)") == refused_by[given.engine]


@pytest.fixture
def lax(given):
    """The same session without the server's own strictness."""
    strict = given.rows("SELECT @@sql_mode")[0][0]
    given.rows("SET sql_mode = ''")
    yield given
    given.rows("SET sql_mode = %s", (strict,))


@pytest.mark.engine("mysql")
@pytest.mark.parametrize(("constraint", "statement"), [*REFUSED_BY_MYSQL_ALONE.items(), *LAX])
def test_what_a_lax_session_would_store_is_refused(lax, constraint, statement):
    assert refusal(lax, statement) == constraint


def test_every_constraint_is_tried(database):
    expected = set(REFUSED)
    if database.engine == "mysql":
        named = database.rows(
            "SELECT if(constraint_type = 'PRIMARY KEY', concat(table_name, '_pk'), constraint_name)"
            " FROM information_schema.table_constraints WHERE constraint_schema = 'shop'"
        )
        expected |= set(REFUSED_BY_MYSQL_ALONE)
    else:
        named = database.rows(
            "SELECT conname FROM pg_constraint WHERE connamespace = 'shop'::regnamespace"
            " AND contype NOT IN ('n', 't')"  # not null: until 18 no constraint, but the column's
        )
    assert {name for (name,) in named} == expected


@pytest.mark.engine("postgresql")  # InnoDB refuses a foreign key without one
def test_every_foreign_key_has_an_index_to_find_its_children(database):
    """Deleting or updating a parent otherwise reads the whole child table."""
    unindexed = database.rows("""
        SELECT fk.conname
        FROM pg_constraint AS fk
        WHERE fk.connamespace = 'shop'::regnamespace AND fk.contype = 'f' AND NOT EXISTS (
            SELECT FROM pg_index AS i
            WHERE i.indrelid = fk.conrelid
                AND (i.indkey::smallint[])[0:cardinality(fk.conkey) - 1] @> fk.conkey
        )
    """)
    assert unindexed == []


def test_stock_codes_that_differ_by_case_are_two_products(database):
    database.rows(PRODUCT + "(601, '85123A', 'upper', 1), (602, '85123a', 'lower', 1)")
    assert database.rows("SELECT description FROM shop.products WHERE stock_code = '85123a'") == [("lower",)]


def test_stock_codes_that_differ_by_a_blank_at_the_end_are_two_products(database):
    database.rows(PRODUCT + "(601, 'POST', 'without', 1), (602, 'POST ', 'with', 1)")
    assert database.rows("SELECT description FROM shop.products WHERE stock_code = 'POST '") == [("with",)]


BY_LOCALE = {
    "postgresql": """
        SELECT indrelid::regclass, attname
        FROM pg_index
        JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
        JOIN pg_class ON pg_class.oid = indrelid
        WHERE relnamespace = 'shop'::regnamespace AND atttypid = 'text'::regtype
            AND attcollation <> '"C"'::regcollation
    """,
    # All texts, and what routines compare with them: a parameter's collation is not its database's by itself.
    "mysql": """
        SELECT table_name, column_name
        FROM information_schema.columns
        WHERE table_schema = 'shop' AND collation_name <> 'utf8mb4_0900_bin'
            AND table_name <> 'invariants'
        UNION ALL
        SELECT specific_name, parameter_name
        FROM information_schema.parameters
        WHERE specific_schema = 'shop' AND character_set_name <> 'ascii'
            AND collation_name <> 'utf8mb4_0900_bin'
    """,
}


def test_keys_of_text_compare_by_bytes_on_every_machine(database):
    """The order of a locale changes with the system's library, and an index built on it is then wrong."""
    assert database.rows(BY_LOCALE[database.engine]) == []


def test_three_decimals_of_a_price_are_kept(database):
    database.rows(PRODUCT + "(601, 'PADS', 'PADS TO MATCH ALL CUSHIONS', 0.001)")
    assert str(database.value("SELECT unit_price FROM shop.products WHERE stock_code = 'PADS'")) == "0.001"


def test_one_invoice_takes_a_product_twice_returns_and_times_of_its_own(given):
    given.rows("SAVEPOINT untouched")
    given.rows(LINE + "(1, 2, 501, 6, 2.550), (1, 3, 501, -80995, 2.080)")
    given.rows(
        "UPDATE shop.order_lines SET invoiced_at = '2010-12-01 08:27:00+00:00', description = ''"
        " WHERE order_id = 1 AND line_number = 3"
    )
    lines = given.rows("SELECT count(*) FROM shop.order_lines WHERE order_id = 1 AND product_id = 501")
    given.rows("ROLLBACK TO SAVEPOINT untouched")
    assert lines == [(3,)]


def test_new_customers_are_numbered_above_the_files(database):
    database.rows("INSERT INTO shop.customers (country) VALUES ('France')")
    assert database.value("SELECT min(customer_id) FROM shop.customers") >= 1_000_000
