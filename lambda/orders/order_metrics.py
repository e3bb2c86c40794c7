"""What becomes of orders, as metrics: how many, how large, how fast, why not."""

from __future__ import annotations

from typing import Literal

from aurora.metrics import Metrics
from orders.order import PlacedOrder
from orders.refusals import OrderRefused

Caller = Literal["customers", "smoke-test"]
"""Who orders. Told apart, or smoke tests on a schedule would make a shop look alive that nobody can reach."""


class OrderMetrics:
    """Writes what becomes of one caller's orders into a sink."""

    def __init__(self, metrics: Metrics, *, caller: Caller = "customers") -> None:
        self._metrics = metrics
        self._caller = caller

    def placed(self, order: PlacedOrder, *, seconds: float) -> None:
        """Count a committed order; one that an earlier call had placed already is only timed."""
        if order.is_new:
            self._metrics.add("Orders", Caller=self._caller)
            self._metrics.add("OrderLines", order.line_count, Caller=self._caller)
            self._metrics.add("Revenue", float(order.total_amount), Caller=self._caller)
        self._metrics.add("OrderLatency", seconds * 1000, Caller=self._caller)

    def refused(self, refusal: OrderRefused) -> None:
        """Count a refusal under its reason: the name of a type of refusals.py, of which there are few."""
        self._metrics.add("Refusals", Caller=self._caller, Reason=type(refusal).__name__)

    def retried(self) -> None:
        """Count an attempt that failed and is made again."""
        self._metrics.add("Retries", Caller=self._caller)

    def failed(self) -> None:
        """Count an order that was given up: the caller has no answer, or the database is not to be had."""
        self._metrics.add("OrderFailures", Caller=self._caller)
