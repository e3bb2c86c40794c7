"""What a load writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - the driver's class, by a class's name

from aurora import postgresql_loading as bulk
from aurora.row_text import row
from seed_data.normalising import Normaliser

# In the order in which shop.place_order takes them.
LOCKED = ("products", "orders", "order_lines", "stock_movements")
MAIN_WAREHOUSE = "main"
OPENING_STOCK = 1000  # of each new product: the files tell what was sold, never what was there


class TotalsDiffer(Exception):
    """The database would hold other totals than the file: a fault of this program. Nothing was changed."""


def add_order_lines(cursor: Cursor, rows: Iterator[str]) -> None:
    """Stream rows of order lines."""
    columns = "order_id line_number product_id quantity unit_price description invoiced_at"
    bulk.copy_rows(cursor, "order_lines", columns.split(), rows)


def add_load(cursor: Cursor, normaliser: Normaliser, *, name: str, digest: str) -> None:
    """Record the load, so that orders can refer to it. Its totals follow in `finish_load`."""
    cursor.execute(
        "INSERT INTO shop.loads (load_id, source, sha256, lines, order_lines, rejects, quantity, amount)"
        " OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, 0, 0, 0, 0, 0)",
        (normaliser.load_id, name, digest),
    )


def add_orders(cursor: Cursor, normaliser: Normaliser) -> None:
    """Record the orders that are finished."""
    columns = "order_id invoice_number status customer_id country line_count total_amount ordered_at load_id"
    with closing(normaliser.take_orders()) as orders:
        bulk.copy_file(cursor, "orders", columns.split(), orders.file())


def stage_set_aside(cursor: Cursor, normaliser: Normaliser) -> None:
    """Put the lines that were set aside where the server can sort them and look them up."""
    cursor.execute(
        "CREATE TEMPORARY TABLE set_aside"
        ' (line_number bigint, invoice_number text COLLATE "C", line text) ON COMMIT DROP'
    )
    columns = ("line_number", "invoice_number", "line")
    bulk.copy_file(cursor, "set_aside", columns, normaliser.set_aside.file(), schema="pg_temp")


def remove_orders_to_resume(cursor: Cursor, normaliser: Normaliser) -> None:
    """Take out this load's orders that are to be recorded with more lines. Their lines stay: keys are off."""
    cursor.execute(
        "DELETE FROM shop.orders"
        " WHERE load_id = %s AND invoice_number IN (SELECT invoice_number FROM pg_temp.set_aside)",
        (normaliser.load_id,),
    )


def add_customers(cursor: Cursor, normaliser: Normaliser) -> None:
    """Record the new customers of this load's orders, each with its first order's country."""
    cursor.execute(
        """
        INSERT INTO shop.customers (customer_id, country)
        SELECT DISTINCT ON (customer_id) customer_id, country
        FROM shop.orders
        WHERE load_id = %s AND customer_id IS NOT NULL
        ORDER BY customer_id, order_id
        ON CONFLICT DO NOTHING
        """,
        (normaliser.load_id,),
    )


def add_products(cursor: Cursor, normaliser: Normaliser) -> None:
    """Record new products, each with its opening stock, and new prices of known ones."""
    products = normaliser.products.values()
    bulk.copy_rows(
        cursor,
        "products",
        ("product_id", "stock_code", "description", "unit_price"),
        (
            row(p.product_id, p.stock_code, p.description, p.price)
            for p in products
            if p.recorded_price is None
        ),
    )
    repriced = [
        (p.product_id, Decimal(p.price))
        for p in products
        if p.recorded_price is not None and p.recorded_price != Decimal(p.price)
    ]
    bulk.update_numbers(cursor, "products", key="product_id", column="unit_price", rows=repriced)
    cursor.execute(
        """
        WITH opened AS (
            INSERT INTO shop.inventory (product_id, warehouse_id, stock)
            SELECT product_id, warehouse_id, %s
            FROM shop.products CROSS JOIN shop.warehouses
            WHERE product_id >= %s AND warehouses.name = %s
            RETURNING product_id, warehouse_id, stock
        )
        INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind)
        SELECT product_id, warehouse_id, stock, 'opening' FROM opened
        """,
        (OPENING_STOCK, normaliser.first_product_id, MAIN_WAREHOUSE),
    )


def add_rejects(cursor: Cursor, normaliser: Normaliser) -> None:
    """Record what is no order line."""
    columns = "load_id line_number reason raw quantity unit_price"
    bulk.copy_file(cursor, "rejects", columns.split(), normaliser.rejects.file())


def finish_load(cursor: Cursor, normaliser: Normaliser, *, lines: int) -> None:
    """Record the file's control totals, once the database was found to hold them exactly.

    `lines` is what was read, counted apart from what became of it.
    """
    totals = normaliser.totals
    if totals.lines != lines:
        raise TotalsDiffer(f"{lines} lines read: {totals.order_lines} order lines, {totals.rejects} rejects")
    expected = (totals.order_lines, totals.rejects, Decimal(totals.quantity), totals.amount)
    cursor.execute(
        """
        SELECT lines.count, rejects.count, lines.quantity + rejects.quantity, lines.amount + rejects.amount
        FROM (
            SELECT count(*), coalesce(sum(quantity), 0) AS quantity,
                coalesce(sum(quantity * unit_price), 0) AS amount
            FROM shop.order_lines
            WHERE order_id >= %s AND order_id < %s
        ) AS lines, (
            SELECT count(*), coalesce(sum(quantity), 0) AS quantity,
                coalesce(sum(quantity * unit_price), 0) AS amount
            FROM shop.rejects
            WHERE load_id = %s
        ) AS rejects
        """,
        (normaliser.first_order_id, normaliser.next_order_id, normaliser.load_id),
    )
    found = cursor.fetchone()
    if found != expected:
        raise TotalsDiffer(
            f"order lines, rejects, quantity, amount: {expected} in the file, {found} recorded"
        )
    cursor.execute(
        "UPDATE shop.loads SET lines = %s, order_lines = %s, rejects = %s, quantity = %s, amount = %s"
        " WHERE load_id = %s",
        (totals.lines, *expected, normaliser.load_id),
    )
    bulk.give_out_before(cursor, "orders", "order_id", normaliser.next_order_id)
    bulk.give_out_before(cursor, "products", "product_id", normaliser.next_product_id)
