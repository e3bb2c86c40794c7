"""What a load knows while it reads: products, the order at hand, totals."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

ORDER_TOTAL_LIMIT = 10**14  # thousandths: what orders.total_amount, a numeric(14,3), can hold


@dataclass(slots=True)
class Product:
    """A product as far as the file has told about it.

    The first sale at a price describes it for good, for order lines hold only descriptions that differ; the
    latest sale prices it. Until there is one, any line serves.
    """

    product_id: int
    stock_code: str
    description: str = ""
    is_described: bool = False
    price: str = "0"
    priced_at: str = ""
    recorded_price: Decimal | None = None
    """As the database has it; None where the product is new to it."""


@dataclass(frozen=True, slots=True)
class Ware:
    """A product under one of its descriptions, as a row of order lines has both (row_text.py)."""

    product: Product
    product_id: str
    description: str
    """NULL where it is the product's own."""


@dataclass(slots=True)
class Order:
    """An invoice and the sums of its lines so far. Strings are as the file has them."""

    order_id: int
    invoice: str
    moment: str
    customer: str
    country: str
    line_count: int = 0
    quantity: int = 0
    amount_thousandths: int = 0
    customers: tuple[str, ...] = ()
    """The ways in which its customer is written: 17850 and 17850.0."""
    quantities: dict[str, int] = field(default_factory=dict)
    """Spellings that were found to be right for its kind, sale or return."""

    @property
    def is_return(self) -> bool:
        """Tell whether the goods came back."""
        return self.invoice.startswith("C")


@dataclass(slots=True)
class Totals:
    """The control totals; lines are order lines and rejects together, and so are quantity and amount."""

    order_lines: int = 0
    rejects: int = 0
    quantity: int = 0
    ordered_thousandths: int = 0
    rejected_amount: Decimal = Decimal(0)

    @property
    def lines(self) -> int:
        """All lines but the header."""
        return self.order_lines + self.rejects

    @property
    def amount(self) -> Decimal:
        """The sum of quantity times price."""
        return Decimal(self.ordered_thousandths).scaleb(-3) + self.rejected_amount
