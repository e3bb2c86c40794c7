"""Every constraint of the schema refuses what it is there to refuse, by its name."""

from contextlib import closing

import psycopg2
import pytest

# One order of each kind to lean on: 1 is recorded history, 2 is placed.
GIVEN = """
INSERT INTO shop.customers (customer_id, country) VALUES (12346, 'United Kingdom');
INSERT INTO shop.products (product_id, stock_code, description, unit_price)
    OVERRIDING SYSTEM VALUE VALUES (501, '85123A', 'WHITE HANGING HEART', 2.550);
INSERT INTO shop.inventory (product_id, warehouse_id, stock) VALUES (501, 1, 10);
INSERT INTO shop.loads (source, sha256, lines, order_lines, rejects, quantity, amount)
    VALUES ('a file', repeat('a', 64), 2, 1, 1, 0, 0);
INSERT INTO shop.orders (order_id, invoice_number, status, country)
    VALUES (1, '536365', 'invoiced', 'France');
INSERT INTO shop.orders (order_id, request_token, status, country, warehouse_id)
    VALUES (2, '00000000-0000-0000-0000-000000000002', 'placed', 'France', 1);
INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)
    VALUES (1, 1, 501, 6, 2.550), (2, 1, 501, 6, 2.550);
INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind, order_id, line_number)
    VALUES (501, 1, -6, 'sale', 2, 1);
INSERT INTO shop.rejects (load_id, line_number, reason, raw) VALUES (1, 1, 'negative price', 'A563185,B');
"""

LOAD = "INSERT INTO shop.loads (source, sha256, lines, order_lines, rejects, quantity, amount) VALUES "
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
    "products_stock_code_unique": PRODUCT + "(502, '85123A', '', 1)",
    "products_stock_code_given": PRODUCT + "(502, '', '', 1)",
    "products_price_not_negative": PRODUCT + "(502, 'B', 'Adjust bad debt', -11062.06)",
    "warehouses_pk": "INSERT INTO shop.warehouses (warehouse_id, name) VALUES (1, 'other')",
    "warehouses_name_unique": "INSERT INTO shop.warehouses (name) VALUES ('main')",
    "inventory_pk": "INSERT INTO shop.inventory VALUES (501, 1, 5)",
    "inventory_product_fk": "INSERT INTO shop.inventory VALUES (999, 1, 5)",
    "inventory_warehouse_fk": "INSERT INTO shop.inventory VALUES (501, 999, 5)",
    "inventory_stock_not_negative": "UPDATE shop.inventory SET stock = -1 WHERE product_id = 501",
    "loads_pk": "INSERT INTO shop.loads OVERRIDING SYSTEM VALUE SELECT load_id, source, repeat('b', 64),"
    " lines, order_lines, rejects, quantity, amount, loaded_at FROM shop.loads",
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
    "stock_movements_pk": "INSERT INTO shop.stock_movements OVERRIDING SYSTEM VALUE SELECT movement_id,"
    " product_id, warehouse_id, 1, 'adjustment' FROM shop.stock_movements WHERE order_id = 2",
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
    ("stock_movements_order_line_fk", MOVEMENT + "(501, 1, -6, 'sale', 2, NULL)"),
    ("inventory_product_fk", "DELETE FROM shop.products WHERE product_id = 501"),
    ("stock_movements_order_line_fk", "DELETE FROM shop.orders WHERE order_id = 2"),
]


@pytest.fixture(scope="module")
def given(shared_database):
    """A transaction that holds GIVEN and that every test rolls back to."""
    with closing(shared_database.connect("rdsadmin")) as connection:
        with connection.cursor() as cursor:
            cursor.execute(GIVEN)
        yield connection


@pytest.mark.parametrize(("constraint", "statement"), [*REFUSED.items(), *ALSO_REFUSED])
def test_constraint_refuses(given, constraint, statement):
    with given.cursor() as cursor:
        cursor.execute("SAVEPOINT untouched")
        with pytest.raises(psycopg2.IntegrityError) as refused:
            cursor.execute(statement)
        cursor.execute("ROLLBACK TO SAVEPOINT untouched")
    assert refused.value.diag.constraint_name == constraint


def test_every_constraint_is_tried(database):
    named = {
        name
        for (name,) in database.rows(
            "SELECT conname FROM pg_constraint WHERE connamespace = 'shop'::regnamespace AND contype <> 't'"
        )
    }
    assert named == set(REFUSED)


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


def test_keys_of_text_compare_by_bytes_on_every_machine(database):
    """The order of a locale changes with the system's library, and an index built on it is then wrong."""
    by_locale = database.rows("""
        SELECT indrelid::regclass, attname
        FROM pg_index
        JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
        JOIN pg_class ON pg_class.oid = indrelid
        WHERE relnamespace = 'shop'::regnamespace AND atttypid = 'text'::regtype
            AND attcollation <> '"C"'::regcollation
    """)
    assert by_locale == []


def test_three_decimals_of_a_price_are_kept(database):
    database.rows(PRODUCT + "(601, 'PADS', 'PADS TO MATCH ALL CUSHIONS', 0.001)")
    assert str(database.value("SELECT unit_price FROM shop.products WHERE stock_code = 'PADS'")) == "0.001"


def test_one_invoice_takes_a_product_twice_returns_and_times_of_its_own(database):
    database.rows(GIVEN)
    database.rows(LINE + "(1, 2, 501, 6, 2.550), (1, 3, 501, -80995, 2.080)")
    database.rows(
        "UPDATE shop.order_lines SET invoiced_at = '2010-12-01 08:27+00', description = ''"
        " WHERE line_number = 3"
    )
    assert (
        database.value("SELECT count(*) FROM shop.order_lines WHERE order_id = 1 AND product_id = 501") == 3
    )


def test_new_customers_are_numbered_above_the_files(database):
    assert (
        database.value("INSERT INTO shop.customers (country) VALUES ('France') RETURNING customer_id")
        >= 1_000_000
    )
