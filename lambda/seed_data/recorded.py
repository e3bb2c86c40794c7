"""What earlier loads have left in the database, as far as the next load must know it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from aurora.loading import Bulk
from aurora.session import Row
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


def any_load(bulk: Bulk) -> bool:
    """Tell whether something was loaded before."""
    return bulk.rows("SELECT count(*) FROM (SELECT 1 FROM shop.loads LIMIT 1) AS found") == [(1,)]


def load_of(bulk: Bulk, sha256: str) -> RecordedLoad | None:
    """Return the load of a file with this content."""
    found = bulk.rows(
        "SELECT load_id, source, loads.lines, order_lines, rejects, quantity, amount"
        " FROM shop.loads WHERE sha256 = %s",
        (sha256,),
    )
    return _load(found[0]) if found else None


def _load(row: Row) -> RecordedLoad:
    load = RecordedLoad(*row)
    return load._replace(quantity=Decimal(int(load.quantity)), amount=_shortest(load.amount))


def _shortest(amount: Decimal) -> Decimal:
    """Return it with three decimals, or with as many as it has: a column may hold noughts behind them."""
    normal = amount.normalize()
    return normal if normal.as_tuple().exponent < -3 else amount.quantize(Decimal("0.001"))  # type: ignore[operator]


def rejects_by_reason(bulk: Bulk, load_id: int) -> dict[str, int]:
    """Return how many lines of a load were rejected why, the most frequent reason first."""
    found = bulk.rows(
        "SELECT reason, count(*) FROM shop.rejects WHERE load_id = %s GROUP BY reason ORDER BY 2 DESC, 1",
        (load_id,),
    )
    return dict(found)


def products(bulk: Bulk) -> dict[str, Product]:
    """Return all products by stock code, each with the moment of its latest sale at a price."""
    found = bulk.rows("""
        SELECT stock_code, products.product_id, description, unit_price, sold_at
        FROM shop.products
        LEFT JOIN (
            SELECT product_id, max(coalesce(invoiced_at, ordered_at)) AS sold_at
            FROM shop.order_lines JOIN shop.orders USING (order_id)
            WHERE quantity > 0 AND unit_price > 0
            GROUP BY product_id
        ) AS latest ON latest.product_id = products.product_id
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
        for stock_code, product_id, description, price, sold_at in found
    }


def invoices(bulk: Bulk) -> Iterator[str]:
    """Yield the numbers of all recorded invoices, a few thousand at a time."""
    last = ""
    while True:
        found = bulk.rows(
            "SELECT invoice_number FROM shop.orders WHERE invoice_number > %s"
            " ORDER BY invoice_number LIMIT %s",
            (last, ROWS_AT_ONCE),
        )
        if not found:
            return
        yield from (number for (number,) in found)
        ((last,),) = found[-1:]


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


def set_aside(bulk: Bulk, *, rows_at_once: int) -> Iterator[SetAside]:
    """Yield all staged lines, invoice by invoice. They see the orders as they are at the first one."""
    query = f"""
        SELECT line_number, line, invoice_number, order_id, load_id, ordered_at, customer_id, country,
            line_count, total_amount
        FROM {bulk.set_aside} LEFT JOIN shop.orders USING (invoice_number)
        ORDER BY invoice_number, line_number
    """  # noqa: S608 - a table of the engine's
    return map(SetAside._make, bulk.read_set_aside(query, rows_at_once=rows_at_once))
