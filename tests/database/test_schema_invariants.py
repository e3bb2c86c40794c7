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
        "INSERT INTO shop.order_lines VALUES (1, 9, 1, 1, 1.005)",
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
        " VALUES (9, gen_random_uuid(), 'placed', 'France', 2)",
        "placed orders have lines",
    ),
    (
        "ALTER TABLE shop.order_lines DISABLE TRIGGER order_totals_after_insert",
        "constraints are validated and triggers enabled",
    ),
    (
        "ALTER TABLE shop.orders DROP CONSTRAINT orders_customer_fk; ALTER TABLE shop.orders ADD CONSTRAINT"
        " orders_customer_fk FOREIGN KEY (customer_id) REFERENCES shop.customers NOT VALID",
        "constraints are validated and triggers enabled",
    ),
]


@pytest.fixture
def busy(database):
    """A shop with a placed, a cancelled and a recorded order."""
    connection = database.connect("shop_application")
    for _ in range(2):
        placed = orders.place(
            connection,
            request_token=uuid.uuid4(),
            warehouse_id=2,
            country="France",
            lines=[
                WantedLine("SMOKE-TEST-A", 2),
                WantedLine("SMOKE-TEST-B", 1),
                WantedLine("SMOKE-TEST-A", 3),
            ],
        )
    orders.cancel(connection, placed.order_id)
    database.rows("INSERT INTO shop.orders VALUES (3, '536365', NULL, 'invoiced', NULL, 'France')")
    database.rows("INSERT INTO shop.order_lines VALUES (3, 1, 1, 6, 2.550)")
    return database


def violated(database):
    return {name for name, count in database.rows("SELECT * FROM shop.invariants") if count}


def test_all_hold_in_a_healthy_shop(busy):
    assert busy.value("SELECT count(*) FROM shop.orders") == 3
    assert violated(busy) == set()


@pytest.mark.parametrize(("corruption", "invariant"), CORRUPTIONS)
def test_a_broken_invariant_is_reported(busy, corruption, invariant):
    superuser = busy.superuser()
    with superuser.cursor() as cursor:
        cursor.execute("ALTER TABLE shop.inventory DROP CONSTRAINT inventory_stock_not_negative")
        cursor.execute("SET session_replication_role = replica")  # no trigger, no foreign key
        cursor.execute(corruption)
    assert invariant in violated(busy)


def test_every_invariant_has_been_seen_broken(database):
    invariants = {name for (name,) in database.rows("SELECT invariant FROM shop.invariants")}
    assert invariants == {invariant for _, invariant in CORRUPTIONS}
