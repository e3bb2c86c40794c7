"""What a load writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal

from aurora.loading import Bulk
from aurora.row_text import row
from seed_data.normalising import Normaliser

# In the order in which shop.place_order takes them.
LOCKED = ("products", "orders", "order_lines", "stock_movements")
ALSO_USED = ("customers", "inventory", "loads", "rejects", "warehouses")
WITHOUT_KEYS = ("order_lines", "orders")
MAIN_WAREHOUSE = "main"
OPENING_STOCK = 1000  # of each new product: the files tell what was sold, never what was there


class TotalsDiffer(Exception):
    """The database would hold other totals than the file: a fault of this program. Nothing was changed."""


def add_order_lines(bulk: Bulk, rows: Iterator[str]) -> None:
    """Stream rows of order lines."""
    columns = "order_id line_number product_id quantity unit_price description invoiced_at"
    bulk.copy_rows("order_lines", columns.split(), rows)


def add_load(bulk: Bulk, normaliser: Normaliser, *, name: str, digest: str) -> None:
    """Record the load, so that orders can refer to it. Its totals follow in `finish_load`."""
    totals = dict.fromkeys(("lines", "order_lines", "rejects", "quantity", "amount"), 0)
    bulk.insert("loads", {"load_id": normaliser.load_id, "source": name, "sha256": digest, **totals})


def add_orders(bulk: Bulk, normaliser: Normaliser) -> None:
    """Record the orders that are finished."""
    columns = "order_id invoice_number status customer_id country line_count total_amount ordered_at load_id"
    with closing(normaliser.take_orders()) as orders:
        bulk.copy_file("orders", columns.split(), orders.file())


def stage_set_aside(bulk: Bulk, normaliser: Normaliser) -> None:
    """Put the lines that were set aside where the server can sort them and look them up."""
    bulk.stage_set_aside(normaliser.set_aside.file())


def remove_orders_to_resume(bulk: Bulk, normaliser: Normaliser) -> None:
    """Take out this load's orders that are to be recorded with more lines. Their lines stay: keys are off."""
    staged = f"SELECT invoice_number FROM {bulk.set_aside}"  # noqa: S608 - a table of the engine's
    bulk.rows(
        f"DELETE FROM shop.orders WHERE load_id = %s AND invoice_number IN ({staged})",  # noqa: S608
        (normaliser.load_id,),
    )


def add_customers(bulk: Bulk, normaliser: Normaliser) -> None:
    """Record the new customers of this load's orders, each with its first order's country."""
    bulk.insert_missing(
        "customers",
        ("customer_id", "country"),
        """
        SELECT customer_id, country
        FROM (
            SELECT customer_id, country, row_number() OVER (PARTITION BY customer_id ORDER BY order_id) AS nth
            FROM shop.orders
            WHERE load_id = %s AND customer_id IS NOT NULL
        ) AS numbered
        WHERE nth = 1
        """,
        (normaliser.load_id,),
    )


def add_products(bulk: Bulk, normaliser: Normaliser) -> None:
    """Record new products, and new prices of known ones."""
    products = normaliser.products.values()
    bulk.copy_rows(
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
    bulk.update_numbers("products", key="product_id", column="unit_price", rows=repriced)


def open_stock(bulk: Bulk, normaliser: Normaliser) -> None:
    """Give each new product its opening stock."""
    bulk.rows(
        """
        INSERT INTO shop.inventory (product_id, warehouse_id, stock)
        SELECT product_id, warehouse_id, %s
        FROM shop.products CROSS JOIN shop.warehouses
        WHERE product_id >= %s AND name = %s
        ORDER BY product_id
        """,
        (OPENING_STOCK, normaliser.first_product_id, MAIN_WAREHOUSE),
    )
    bulk.rows(
        """
        INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind)
        SELECT product_id, warehouse_id, stock, 'opening'
        FROM shop.inventory JOIN shop.warehouses USING (warehouse_id)
        WHERE product_id >= %s AND name = %s
        ORDER BY product_id
        """,
        (normaliser.first_product_id, MAIN_WAREHOUSE),
    )


def add_rejects(bulk: Bulk, normaliser: Normaliser) -> None:
    """Record what is no order line."""
    columns = "load_id line_number reason raw quantity unit_price"
    bulk.copy_file("rejects", columns.split(), normaliser.rejects.file())


def finish_load(bulk: Bulk, normaliser: Normaliser, *, lines: int) -> None:
    """Record the file's control totals, once the database was found to hold them exactly.

    `lines` is what was read, counted apart from what became of it.
    """
    totals = normaliser.totals
    if totals.lines != lines:
        raise TotalsDiffer(f"{lines} lines read: {totals.order_lines} order lines, {totals.rejects} rejects")
    expected = (totals.order_lines, totals.rejects, Decimal(totals.quantity), totals.amount)
    (found,) = bulk.rows(
        """
        SELECT kept.number, rejected.number, kept.quantity + rejected.quantity, kept.amount + rejected.amount
        FROM (
            SELECT count(*) AS number, coalesce(sum(quantity), 0) AS quantity,
                coalesce(sum(quantity * unit_price), 0) AS amount
            FROM shop.order_lines
            WHERE order_id >= %s AND order_id < %s
        ) AS kept, (
            SELECT count(*) AS number, coalesce(sum(quantity), 0) AS quantity,
                coalesce(sum(quantity * unit_price), 0) AS amount
            FROM shop.rejects
            WHERE load_id = %s
        ) AS rejected
        """,
        (normaliser.first_order_id, normaliser.next_order_id, normaliser.load_id),
    )
    if found != expected:
        raise TotalsDiffer(
            f"order lines, rejects, quantity, amount: {expected} in the file, {found} recorded"
        )
    names = ("lines", "order_lines", "rejects", "quantity", "amount")
    recorded = dict(zip(names, (totals.lines, *expected), strict=True))
    bulk.update("loads", recorded, key="load_id", value=normaliser.load_id)
    bulk.give_out_before("orders", "order_id", normaliser.next_order_id)
    bulk.give_out_before("products", "product_id", normaliser.next_product_id)
