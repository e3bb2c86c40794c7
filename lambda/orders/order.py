"""What an order is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True)
class WantedLine:
    """What a customer asks for; the price is the product's."""

    stock_code: str
    quantity: int


@dataclass(frozen=True)
class PlacedOrder:
    """A committed order."""

    order_id: int
    line_count: int
    total_amount: Decimal
    ordered_at: datetime
    is_new: bool
    """False: an earlier call with the same token placed it."""


@dataclass(frozen=True)
class OrderLine:
    """A line as it was agreed."""

    line_number: int
    stock_code: str
    description: str
    quantity: int
    unit_price: Decimal


@dataclass(frozen=True)
class Order:
    """An order with its lines, as one moment saw it."""

    order_id: int
    invoice_number: str | None
    request_token: UUID | None
    status: str
    customer_id: int | None
    """None: a guest."""
    country: str
    warehouse_id: int | None
    """None: recorded history, which moved no stock here."""
    line_count: int
    total_amount: Decimal
    ordered_at: datetime
    lines: tuple[OrderLine, ...]
