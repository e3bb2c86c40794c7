"""Orders: placed, cancelled and read over a connection; what is refused is a type that says why."""

from orders.client import OrderClient, OutcomeUnknown
from orders.order import Order, OrderLine, PlacedOrder, WantedLine
from orders.refusals import (
    InvalidOrder,
    NotCancellable,
    OrderRefused,
    OutOfStock,
    Shortage,
    TokenReused,
    UnknownOrder,
    UnknownProduct,
)
from orders.transactions import cancel, place, read, read_by_token

__all__ = [
    "InvalidOrder",
    "NotCancellable",
    "Order",
    "OrderClient",
    "OrderLine",
    "OrderRefused",
    "OutOfStock",
    "OutcomeUnknown",
    "PlacedOrder",
    "Shortage",
    "TokenReused",
    "UnknownOrder",
    "UnknownProduct",
    "WantedLine",
    "cancel",
    "place",
    "read",
    "read_by_token",
]
