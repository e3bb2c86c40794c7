"""What earlier loads have left in the database, as far as the next load must know it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - the driver's class, by a class's name

from aurora import postgresql_loading as bulk
from seed_data.model import Order, Product

ROWS_AT_ONCE = 5000


class RecordedLoad(NamedTuple):
    """A row of shop.loads."""

    load_id: int
    source: str
    lines: int
    order_lines: int
    rejects: int
    quantity: Decimal
    amount: Decimal


def any_load(cursor: Cursor) -> bool:
    """Tell whether something was loaded before."""
    cursor.execute("SELECT count(*) FROM (SELECT 1 FROM shop.loads LIMIT 1) AS found")
    return cursor.fetchone() == (1,)


def load_of(cursor: Cursor, sha256: str) -> RecordedLoad | None:
    """Return the load of a file with this content."""
    cursor.execute(
        "SELECT load_id, source, lines, order_lines, rejects, quantity, amount"
        " FROM shop.loads WHERE sha256 = %s",
        (sha256,),
    )
    found = cursor.fetchone()
    return RecordedLoad(*found) if found else None


def rejects_by_reason(cursor: Cursor, load_id: int) -> dict[str, int]:
    """Return how many lines of a load were rejected why, the most frequent reason first."""
    cursor.execute(
        "SELECT reason, count(*) FROM shop.rejects WHERE load_id = %s GROUP BY reason ORDER BY 2 DESC, 1",
        (load_id,),
    )
    return dict(cursor.fetchall())


def products(cursor: Cursor) -> dict[str, Product]:
    """Return all products by stock code, each with the moment of its latest sale at a price."""
    cursor.execute("""
        SELECT p.stock_code, p.product_id, p.description, p.unit_price, latest.sold_at
        FROM shop.products AS p
        LEFT JOIN (
            SELECT l.product_id, max(coalesce(l.invoiced_at, o.ordered_at)) AS sold_at
            FROM shop.order_lines AS l JOIN shop.orders AS o USING (order_id)
            WHERE l.quantity > 0 AND l.unit_price > 0
            GROUP BY l.product_id
        ) AS latest USING (product_id)
    """)
    return {
        stock_code: Product(
            product_id,
            stock_code,
            description,
            is_described=True,
            price=str(price),
            priced_at=sold_at.strftime("%Y-%m-%d %H:%M:%S") if sold_at else "",
            recorded_price=price,
        )
        for stock_code, product_id, description, price, sold_at in cursor.fetchall()
    }


def invoices(cursor: Cursor) -> Iterator[str]:
    """Yield the numbers of all recorded invoices, a few thousand at a time."""
    last = ""
    while True:
        cursor.execute(
            "SELECT invoice_number FROM shop.orders WHERE invoice_number > %s"
            " ORDER BY invoice_number LIMIT %s",
            (last, ROWS_AT_ONCE),
        )
        numbers = [number for (number,) in cursor.fetchall()]
        if not numbers:
            return
        yield from numbers
        last = numbers[-1]


class SetAside(NamedTuple):
    """A well-formed line that was set aside, and the order of its invoice that stands in the database."""

    number: int
    text: str
    invoice: str
    order_id: int | None
    """None: there is no order, and nothing of it below."""
    load_id: int | None
    """None: no load has brought the order."""
    ordered_at: datetime
    customer_id: int | None
    country: str
    line_count: int
    total_amount: Decimal

    def order(self) -> Order | None:
        """Return the order. Its quantity is not known."""
        if self.order_id is None:
            return None
        return Order(
            self.order_id,
            self.invoice,
            self.ordered_at.strftime("%Y-%m-%d %H:%M:%S"),
            str(self.customer_id or ""),
            self.country,
            self.line_count,
            amount_thousandths=int(self.total_amount * 1000),
        )


def set_aside(cursor: Cursor, *, rows_at_once: int) -> Cursor:
    """Open the query for all staged lines as rows of SetAside, invoice by invoice."""
    statement = """
        SELECT line_number, line, invoice_number, o.order_id, o.load_id, o.ordered_at, o.customer_id,
            o.country, o.line_count, o.total_amount
        FROM pg_temp.set_aside LEFT JOIN shop.orders AS o USING (invoice_number)
        ORDER BY invoice_number, line_number
    """
    return bulk.open_query(cursor, statement, rows_at_once=rows_at_once)
