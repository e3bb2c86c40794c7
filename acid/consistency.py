"""Consistency: everything that must hold of the data, by SQL, and every promise made to a customer."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from uuid import UUID

from acid.load import Promises, Shop


@dataclass(frozen=True)
class Kept:
    """How many promises were looked at, and what became of them."""

    acknowledged: int
    lost: int
    """Acknowledged, and not there."""
    altered: int
    """There, with another number, count of lines or total than was acknowledged."""
    duplicated: int
    """Orders that nobody asked for, or that stand twice."""
    unacknowledged: int
    """There although nobody was told: asked for, and the answer was lost."""
    violations: int
    """Of the invariants, all together."""

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.altered or self.duplicated or self.violations)


def kept(shop: Shop, promises: Promises, *, since_order_id: int = 0) -> Kept:
    """Compare what customers were told with what the writer holds, of the orders behind this one."""
    with closing(shop.observer()) as session:
        found = session.rows(
            "SELECT request_token, order_id, line_count, total_amount FROM shop.orders"
            " WHERE request_token IS NOT NULL AND order_id > %s",
            (since_order_id,),
        )
        violations = session.rows("SELECT coalesce(sum(violations), 0) FROM shop.invariants")[0][0]
    there = {_token(token): tuple(placed) for token, *placed in found}
    told = {
        token: (placed.order_id, placed.line_count, placed.total_amount)
        for token, placed in promises.acknowledged.items()
    }
    return Kept(
        acknowledged=len(told),
        lost=len(told.keys() - there.keys()),
        altered=sum(token in there and there[token] != placed for token, placed in told.items()),
        duplicated=len(found) - len(there) + len(there.keys() - promises.asked),
        unacknowledged=len((there.keys() & promises.asked) - told.keys()),
        violations=int(violations),
    )


def violations(shop: Shop) -> list[tuple[str, int]]:
    """Return every invariant with the number of its violations."""
    with closing(shop.observer()) as session:
        found = session.rows("SELECT invariant, violations FROM shop.invariants")
        return [(name, int(count)) for name, count in found]


def last_order_id(shop: Shop) -> int:
    """Return the last order's id, 0 where there is none."""
    with closing(shop.observer()) as session:
        return int(session.rows("SELECT coalesce(max(order_id), 0) FROM shop.orders")[0][0])


def _token(stored: str | bytes) -> UUID:
    return UUID(bytes=stored) if isinstance(stored, bytes) else UUID(stored)
