"""What a smoke test must not change: business data, as far as nobody else is at work on them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from aurora.session import Session

# Counts and sums over what was there before the test began. What others write meanwhile is newer, except for
# transactions that had begun before and were still open: those get a minute.
_SETTLES_WITHIN = timedelta(minutes=1)
_SETTLED = """
SELECT
    (SELECT count(*) FROM shop.customers WHERE created_at < %(settled)s),
    count(*),
    coalesce(sum(line_count), 0),
    coalesce(sum(total_amount), 0),
    (
        SELECT coalesce(sum(quantity), 0)
        FROM shop.stock_movements
        JOIN shop.warehouses USING (warehouse_id)
        WHERE NOT is_test AND moved_at < %(settled)s
    )
FROM shop.orders
LEFT JOIN shop.warehouses USING (warehouse_id)
WHERE is_test IS NOT TRUE AND ordered_at < %(settled)s
"""


@dataclass(frozen=True)
class BusinessData:
    """Counts and sums over all business data that are older than `settled_before`; test warehouses apart."""

    settled_before: datetime
    customers: int
    orders: int
    order_lines: int
    amount: Decimal
    moved_quantity: int

    @classmethod
    def settled(cls, session: Session, settled_before: datetime | None = None) -> BusinessData:
        """Return what is older than a minute now, or than `settled_before`."""
        settled = settled_before or session.now() - _SETTLES_WITHIN
        ((customers, orders, order_lines, amount, moved_quantity),) = session.rows(
            _SETTLED, {"settled": settled}
        )
        # MySQL's sums are decimals, of whole numbers too
        return cls(settled, customers, orders, int(order_lines), Decimal(amount), int(moved_quantity))

    def __str__(self) -> str:
        return (
            f"{self.customers} customers, {self.orders} orders of {self.order_lines} lines and {self.amount}"
            f" in all, {self.moved_quantity} moved"
        )
