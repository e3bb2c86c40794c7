"""Why an order was refused. Each is final: asking again helps only after something else has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aurora.failures import Cause, DatabaseError


class OrderRefused(Exception):
    """The database refused the order whole; nothing has changed."""


@dataclass(frozen=True)
class Shortage:
    """A product of which less is there than wanted."""

    stock_code: str
    wanted: int
    available: int


class OutOfStock(OrderRefused):
    """One or more products are short; each is named with what was wanted and what is available."""

    def __init__(self, message: str, shortages: tuple[Shortage, ...]) -> None:
        super().__init__(message)
        self.shortages = shortages


class UnknownProduct(OrderRefused):
    """One or more stock codes do not exist; each is named."""

    def __init__(self, message: str, stock_codes: tuple[str, ...]) -> None:
        super().__init__(message)
        self.stock_codes = stock_codes


class InvalidOrder(OrderRefused):
    """What was asked for is no order; the message says what is wrong with it."""


class TokenReused(OrderRefused):
    """The request token belongs to another order: the caller gave one token to two orders."""

    def __init__(self, message: str, order_id: int) -> None:
        super().__init__(message)
        self.order_id = order_id


class UnknownOrder(OrderRefused):
    """There is no such order."""


class NotCancellable(OrderRefused):
    """The order is recorded history; only placed orders can be cancelled."""

    def __init__(self, message: str, status: str) -> None:
        super().__init__(message)
        self.status = status


def refusal_in(error: DatabaseError) -> OrderRefused | None:
    """Return the refusal that the server's error stands for, or None if it is no refusal but a fault."""
    refusal = _REFUSALS.get(error.sqlstate)
    if refusal:
        return refusal(error.message, error.detail)
    if error.cause is Cause.MISSING_PARENT and error.constraint in _MISSING_PARENTS:
        return InvalidOrder(f"invalid order: there is no such {_MISSING_PARENTS[error.constraint]}")
    if error.cause is Cause.DATA_EXCEPTION:
        return InvalidOrder(f"invalid order: {error.message}")
    return None


# The SQLSTATEs of R__orders.sql.
_REFUSALS: Mapping[str, Callable[[str, Mapping[str, Any]], OrderRefused]] = {
    "SH001": lambda message, detail: OutOfStock(message, tuple(Shortage(**s) for s in detail["shortages"])),
    "SH002": lambda message, detail: UnknownProduct(message, tuple(detail["stock_codes"])),
    "SH003": lambda message, _: InvalidOrder(message),
    "SH004": lambda message, detail: TokenReused(message, detail["order_id"]),
    "SH005": lambda message, _: UnknownOrder(message),
    "SH006": lambda message, detail: NotCancellable(message, detail["status"]),
}
_MISSING_PARENTS = {"orders_customer_fk": "customer", "orders_warehouse_fk": "warehouse"}
