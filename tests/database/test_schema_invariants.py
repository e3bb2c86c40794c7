"""Each invariant notices what breaks it: corrupted by the superuser, past every trigger and key."""

import uuid

import pytest

import orders
from orders import WantedLine

# What is broken, and the one invariant that has to notice. Order 1 is placed, 2 is cancelled, 3 is recorded.
CORRUPTIONS = [
    ("UPDATE shop.inventory SET stock = stock - 1 WHERE product_id = 1", "stock is the sum of its movements"),
    (
        "DELETE FROM shop.stock_movements WHERE kind = 'opening' AND product_id = 3",
        "stock is the sum of its movements",
    ),
    ("UPDATE shop.inventory SET stock = -1 WHERE product_id = 3", "stock is never negative"),
    (
        "DELETE FROM shop.stock_movements WHERE order_id = 1 AND line_number = 2",
        "every line of a placed order has left its warehouse",
    ),
    (
        "UPDATE shop.order_lines SET quantity = quantity + 1 WHERE order_id = 1",
        "every line of a placed order has left its warehouse",
    ),
    (
        "INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)"
        " VALUES (1, 9, 1, 1, 1.005)",
        "every line of a placed order has left its warehouse",
    ),
    (
        "UPDATE shop.stock_movements SET product_id = 3 WHERE order_id = 1 AND line_number = 1",
        "every line of a placed order has left its warehouse",
    ),
    (
        "UPDATE shop.orders SET status = 'cancelled' WHERE order_id = 1",
        "every line of a cancelled order is back, and no other",
    ),
    (
        "UPDATE shop.orders SET status = 'placed' WHERE order_id = 2",
        "every line of a cancelled order is back, and no other",
    ),
    (
        "UPDATE shop.stock_movements SET quantity = 1 WHERE kind = 'cancellation'",
        "every line of a cancelled order is back, and no other",
    ),
    (
        "INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind, order_id, line_number)"
        " VALUES (1, 2, -1, 'sale', 3, 1)",
        "recorded history moves no stock",
    ),
    (
        "UPDATE shop.orders SET line_count = 7 WHERE order_id = 3",
        "orders know the count and the total of their lines",
    ),
    (
        "UPDATE shop.orders SET total_amount = total_amount + 0.001 WHERE order_id = 1",
        "orders know the count and the total of their lines",
    ),
    ("DELETE FROM shop.order_lines WHERE order_id = 3", "orders know the count and the total of their lines"),
    (
        "INSERT INTO shop.orders (order_id, request_token, status, country, warehouse_id)"
        " VALUES (9, {token}, 'placed', 'France', 2)",
        "placed orders have lines",
    ),
]
GUARDS = "constraints are validated and triggers enabled"

# What takes the guards away, and what they then let in: each engine has ways of its own.
GUARDS_TAKEN = [
    ("postgresql", "ALTER TABLE shop.order_lines DISABLE TRIGGER order_totals_after_insert"),
    (
        "postgresql",
        "ALTER TABLE shop.orders DROP CONSTRAINT orders_customer_fk; ALTER TABLE shop.orders ADD CONSTRAINT"
        " orders_customer_fk FOREIGN KEY (customer_id) REFERENCES shop.customers NOT VALID",
    ),
    ("mysql", "DROP TRIGGER shop.order_totals_after_insert"),
    ("mysql", "DROP TRIGGER shop.order_lines_of_placed_orders_before_delete"),
    ("mysql", "ALTER TABLE shop.orders ALTER CHECK orders_country_given NOT ENFORCED"),
    ("mysql", "UPDATE shop.orders SET customer_id = 999"),
    ("mysql", "UPDATE shop.orders SET warehouse_id = 999 WHERE order_id = 1"),
    ("mysql", "UPDATE shop.orders SET load_id = 999 WHERE order_id = 3"),
    ("mysql", "INSERT INTO shop.inventory (product_id, warehouse_id, stock) VALUES (999, 2, 0)"),
    ("mysql", "INSERT INTO shop.inventory (product_id, warehouse_id, stock) VALUES (1, 999, 0)"),
    (
        "mysql",
        "INSERT INTO shop.rejects (load_id, line_number, reason, raw) VALUES (999, 1, 'a reason', '')",
    ),
    ("mysql", "DELETE FROM shop.orders WHERE order_id = 1"),
    ("mysql", "UPDATE shop.order_lines SET product_id = 999 WHERE order_id = 3"),
    ("mysql", "DELETE FROM shop.inventory WHERE product_id = 3"),
    (
        "mysql",
        "INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind, order_id, line_number)"
        " VALUES (1, 2, -1, 'sale', 1, 99)",
    ),
]

# Past every trigger and key, as only a superuser gets.
UNGUARDED = {
    "postgresql": [
        "ALTER TABLE shop.inventory DROP CONSTRAINT inventory_stock_not_negative",
        "SET session_replication_role = replica",
    ],
    "mysql": [
        "ALTER TABLE shop.inventory DROP CONSTRAINT inventory_stock_not_negative",
        "SET foreign_key_checks = 0",
        "DROP TRIGGER shop.order_totals_after_insert",
        "DROP TRIGGER shop.order_totals_after_update",
        "DROP TRIGGER shop.order_totals_after_delete",
        "DROP TRIGGER shop.order_lines_of_placed_orders_before_update",
        "DROP TRIGGER shop.order_lines_of_placed_orders_before_delete",
    ],
}
TOKEN = {"postgresql": "gen_random_uuid()", "mysql": "uuid_to_bin(uuid())"}


@pytest.fixture
def busy(database):
    """A shop with a placed, a cancelled and a recorded order."""
    session = database.session("shop_application")
    for _ in range(2):
        placed = orders.place(
            session,
            request_token=uuid.uuid4(),
            warehouse_id=2,
            country="France",
            lines=[
                WantedLine("SMOKE-TEST-A", 2),
                WantedLine("SMOKE-TEST-B", 1),
                WantedLine("SMOKE-TEST-A", 3),
            ],
        )
    orders.cancel(session, placed.order_id)
    database.rows(
        "INSERT INTO shop.orders (order_id, invoice_number, status, country)"
        " VALUES (3, '536365', 'invoiced', 'France')"
    )
    database.rows(
        "INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)"
        " VALUES (3, 1, 1, 6, 2.550)"
    )
    return database


def violated(database):
    return {name for name, count in database.rows("SELECT * FROM shop.invariants") if count}


def test_all_hold_in_a_healthy_shop(busy):
    assert busy.value("SELECT count(*) FROM shop.orders") == 3
    assert violated(busy) == set()


@pytest.mark.parametrize(("corruption", "invariant"), CORRUPTIONS)
def test_a_broken_invariant_is_reported(busy, corruption, invariant):
    with busy.superuser().cursor() as cursor:
        for statement in UNGUARDED[busy.engine]:
            cursor.execute(statement)
        cursor.execute(corruption.format(token=TOKEN[busy.engine]))
    assert invariant in violated(busy)


def guards_taken(engine):
    return [statement for of_engine, statement in GUARDS_TAKEN if of_engine == engine]


@pytest.mark.engine("postgresql")
@pytest.mark.parametrize("statement", guards_taken("postgresql"))
def test_guards_that_are_off_are_reported(busy, statement):
    with busy.superuser().cursor() as cursor:
        cursor.execute(statement)
    assert violated(busy) == {GUARDS}


@pytest.mark.engine("mysql")
@pytest.mark.parametrize("statement", guards_taken("mysql"))
def test_guards_that_are_off_and_rows_without_parents_are_reported(busy, statement):
    with busy.superuser().cursor() as cursor:
        cursor.execute("SET foreign_key_checks = 0")
        cursor.execute(statement)
    assert GUARDS in violated(busy)


@pytest.mark.engine("mysql")
@pytest.mark.parametrize("user", ["shop_application", "shop_read_only"])
def test_guards_are_seen_by_those_who_have_no_rights_on_them(busy, user):
    """information_schema shows each reader what its own rights reach: here no trigger and no check."""
    guards = "SELECT violations FROM shop.invariants WHERE invariant = %s"
    assert busy.value(guards, (GUARDS,), user=user) == 0
    busy.rows("DROP TRIGGER shop.order_totals_after_insert")
    busy.rows("ALTER TABLE shop.orders ALTER CHECK orders_country_given NOT ENFORCED")
    assert busy.value(guards, (GUARDS,), user=user) == 2


def test_every_invariant_has_been_seen_broken(database):
    invariants = {name for (name,) in database.rows("SELECT invariant FROM shop.invariants")}
    assert invariants == {GUARDS} | {invariant for _, invariant in CORRUPTIONS}
