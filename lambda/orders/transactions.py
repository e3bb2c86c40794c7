"""Place, cancel and read orders, each as a transaction of its own.

On a connection in autocommit mode each is one round trip.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg2
from psycopg2 import extensions

from aurora import postgresql
from orders.order import Order, OrderLine, PlacedOrder, WantedLine
from orders.refusals import InvalidOrder, refusal_in


def place(
    connection: extensions.connection,
    *,
    request_token: UUID,
    warehouse_id: int,
    country: str,
    lines: Sequence[WantedLine],
    customer_id: int | None = None,
) -> PlacedOrder:
    """Place an order: committed when this returns, whole or not at all.

    Safe to call again with the same token and content after any failure: the order exists once, and the
    second call returns it. Raises a type of refusals.py, or the driver's error (see postgresql.remedy_for).
    """
    wanted = json.dumps([{"stock_code": line.stock_code, "quantity": line.quantity} for line in lines])
    rows = _run(
        connection,
        "SELECT order_id, line_count, total_amount, ordered_at, is_new"
        " FROM shop.place_order(%s::uuid, %s::bigint, %s, %s::integer, %s::jsonb)",
        (str(request_token), customer_id, country, warehouse_id, wanted),
    )
    return PlacedOrder(*rows[0])


def cancel(connection: extensions.connection, order_id: int) -> bool:
    """Cancel a placed order and put its goods back; False if that has happened before."""
    rows = _run(connection, "SELECT shop.cancel_order(%s::bigint)", (order_id,))
    return bool(rows[0][0])


def read(connection: extensions.connection, order_id: int) -> Order | None:
    """Return the order with its lines, or None if this server does not have it (yet)."""
    return _read(connection, "o.order_id = %s::bigint", order_id)


def read_by_token(connection: extensions.connection, request_token: UUID) -> Order | None:
    """Return the order that was placed with this token, or None if this server has none (yet)."""
    return _read(connection, "o.request_token = %s::uuid", str(request_token))


# A row per line; the order's columns repeat. An order without lines is one row with NULLs.
_ORDER_AND_LINES = """
SELECT
    o.order_id, o.invoice_number, o.request_token::text, o.status, o.customer_id, o.country, o.warehouse_id,
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


def _read(connection: extensions.connection, condition: str, key: int | str) -> Order | None:
    rows = _run(connection, _ORDER_AND_LINES.format(condition=condition), (key,))
    if not rows:
        return None
    lines = (row[_FIRST_LINE_COLUMN:] for row in rows)
    return _order(rows[0][:_FIRST_LINE_COLUMN], tuple(OrderLine(*line) for line in lines if line[0]))


def _order(columns: tuple[Any, ...], lines: tuple[OrderLine, ...]) -> Order:
    order_id, invoice_number, token, *others = columns
    values = (order_id, invoice_number, UUID(token) if token else None, *others, lines)
    return Order(*values)


def _run(
    connection: extensions.connection, statement: str, parameters: Sequence[object]
) -> list[tuple[Any, ...]]:
    try:
        with _transaction(connection), connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall()
    except psycopg2.Error as error:
        refusal = refusal_in(postgresql.ServerError.of(error))
        if refusal is None:
            raise
        raise refusal from error
    except ValueError as error:  # the driver's word for NUL and for half a surrogate pair
        raise InvalidOrder(f"invalid order: {error}") from error


@contextmanager
def _transaction(connection: extensions.connection) -> Iterator[None]:
    """Commit or roll back what runs inside, and nothing else."""
    if connection.info.transaction_status != extensions.TRANSACTION_STATUS_IDLE:
        raise RuntimeError("the connection has an open transaction: end it first, it is not ours to commit")
    if connection.autocommit:
        yield  # the statement is its transaction
        return
    with connection:
        yield
