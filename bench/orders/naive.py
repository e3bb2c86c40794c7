"""The naive client: every statement a round trip, reads before it writes, and locks in the order asked for.

BEGIN; a SELECT of price and stock per line; INSERT of the order with its totals; per line an INSERT and an
UPDATE of the stock; one INSERT of the movements, which our schema's invariants ask for; COMMIT. A deadlock
rolls it back and it begins again, while its customer waits. It has a connection of its own: on a shared one
it would lose orders (see `make acid`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from uuid import UUID

from aurora.failures import DatabaseError, Remedy
from aurora.session import Session
from orders import WantedLine

_PRODUCT = """
SELECT product.product_id, product.unit_price, shelf.stock
FROM shop.products AS product
JOIN shop.inventory AS shelf ON shelf.product_id = product.product_id
WHERE product.stock_code = %s AND shelf.warehouse_id = %s
"""
_ORDER = """
INSERT INTO shop.orders (request_token, status, country, warehouse_id, line_count, total_amount)
VALUES (%s, 'placed', %s, %s, %s, %s)
"""
_LINE = """
INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)
VALUES (%s, %s, %s, %s, %s)
"""
_STOCK = "UPDATE shop.inventory SET stock = stock - %s WHERE product_id = %s AND warehouse_id = %s"
_MOVEMENTS = """
INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind, order_id, line_number)
SELECT product_id, %s, -quantity, 'sale', order_id, line_number FROM shop.order_lines WHERE order_id = %s
"""


class NaiveClient:
    """Places orders over one session; `report` is told of every deadlock."""

    def __init__(
        self, session: Session, report: Callable[[Exception], None], gives_up: Callable[[], bool]
    ) -> None:
        """Take a session, and what says after a deadlock whether the customer has gone."""
        self._session = session
        self._gives_up = gives_up
        self._report = report
        if session.engine == "mysql":
            session.rows("SET @shop_totals_by_load = 1")  # it writes the totals: no trigger has to

    def place(
        self, *, request_token: UUID, warehouse_id: int, country: str, lines: Sequence[WantedLine]
    ) -> bool:
        """Return True once the order is committed, False where it never will be."""
        while True:
            try:
                with self._session.transaction():
                    self._write(request_token, warehouse_id, country, lines)
                return True
            except DatabaseError as error:
                if error.remedy is not Remedy.RETRY:
                    raise
                self._report(error)
                if self._gives_up():
                    return False

    def _write(
        self, request_token: UUID, warehouse_id: int, country: str, lines: Sequence[WantedLine]
    ) -> None:
        session = self._session
        products = []
        for line in lines:
            ((product_id, price, stock),) = session.rows(_PRODUCT, (line.stock_code, warehouse_id))
            if stock < line.quantity:
                raise RuntimeError(f"{line.stock_code} is out of stock")
            products.append((product_id, price))
        total = sum(
            (price * line.quantity for line, (_, price) in zip(lines, products, strict=True)), Decimal()
        )
        order_id = self._insert((request_token, country, warehouse_id, len(lines), total))
        for number, (line, (product_id, price)) in enumerate(zip(lines, products, strict=True), start=1):
            session.rows(_LINE, (order_id, number, product_id, line.quantity, price))
            session.rows(_STOCK, (line.quantity, product_id, warehouse_id))
        session.rows(_MOVEMENTS, (warehouse_id, order_id))

    def _insert(self, order: Sequence[object]) -> int:
        """Return the new order's id, without a round trip for it."""
        if self._session.engine == "mysql":
            self._session.rows(_ORDER, order)
            return int(self._session.connection.insert_id())
        return int(self._session.rows(f"{_ORDER} RETURNING order_id", order)[0][0])
