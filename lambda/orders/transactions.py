"""Place, cancel and read orders, each as a transaction of its own, in one round trip."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from aurora.failures import DatabaseError
from aurora.session import Session
from aurora.tracing import subsegment
from orders.order import Order, OrderLine, PlacedOrder, WantedLine
from orders.refusals import refusal_in


def place(
    session: Session,
    *,
    request_token: UUID,
    warehouse_id: int,
    country: str,
    lines: Sequence[WantedLine],
    customer_id: int | None = None,
) -> PlacedOrder:
    """Place an order: committed when this returns, whole or not at all.

    Safe to call again with the same token and content after any failure: the order exists once, and the
    second call returns it. Raises a type of refusals.py, or DatabaseError, whose `remedy` says what helps.
    """
    wanted = json.dumps([{"stock_code": line.stock_code, "quantity": line.quantity} for line in lines])
    with _refusals_told(), subsegment("place_order", lines=len(lines)):
        rows = session.call(
            "shop.place_order", (str(request_token), customer_id, country, warehouse_id, wanted)
        )
    order_id, line_count, total_amount, ordered_at, is_new = rows[0]
    return PlacedOrder(order_id, line_count, total_amount, ordered_at, bool(is_new))


def cancel(session: Session, order_id: int) -> bool:
    """Cancel a placed order and put its goods back; False if that has happened before."""
    with _refusals_told(), subsegment("cancel_order"):
        return bool(session.call("shop.cancel_order", (order_id,))[0][0])


def read(session: Session, order_id: int) -> Order | None:
    """Return the order with its lines, or None if this server does not have it (yet)."""
    return _read(session, "o.order_id = %s", order_id)


def read_by_token(session: Session, request_token: UUID) -> Order | None:
    """Return the order that was placed with this token, or None if this server has none (yet)."""
    return _read(session, "o.request_token = %s", request_token)


# A row per line; the order's columns repeat. An order without lines is one row with NULLs.
_ORDER_AND_LINES = """
SELECT
    o.order_id, o.invoice_number, o.request_token, o.status, o.customer_id, o.country, o.warehouse_id,
    o.line_count, o.total_amount, o.ordered_at,
    line.line_number, product.stock_code, coalesce(line.description, product.description), line.quantity,
    line.unit_price
FROM shop.orders AS o
LEFT JOIN shop.order_lines AS line USING (order_id)
LEFT JOIN shop.products AS product USING (product_id)
WHERE {condition}
ORDER BY line.line_number
"""
_FIRST_LINE_COLUMN = 10


def _read(session: Session, condition: str, key: int | UUID) -> Order | None:
    rows = session.rows(_ORDER_AND_LINES.format(condition=condition), (key,))
    if not rows:
        return None
    lines = (row[_FIRST_LINE_COLUMN:] for row in rows)
    return _order(rows[0][:_FIRST_LINE_COLUMN], tuple(OrderLine(*line) for line in lines if line[0]))


def _order(columns: tuple[Any, ...], lines: tuple[OrderLine, ...]) -> Order:
    order_id, invoice_number, token, *others = columns
    values = (order_id, invoice_number, _token(token), *others, lines)
    return Order(*values)


def _token(stored: bytes | str | None) -> UUID | None:
    """Return a UUID, of which MySQL has no type: there it is sixteen bytes."""
    if isinstance(stored, bytes):
        return UUID(bytes=stored)
    return UUID(stored) if stored else None


@contextmanager
def _refusals_told() -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        refusal = refusal_in(error)
        if refusal is None:
            raise
        raise refusal from error
