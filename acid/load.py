"""Customers who order without a pause, and remember what they were promised."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol
from uuid import UUID, uuid4

from aurora.deadline import Deadline
from aurora.session import Session
from orders import OrderClient, OrderRefused, OutcomeUnknown, PlacedOrder, WantedLine

WAREHOUSE_ID = 1

PATIENCE_SECONDS = 60.0
MOST_LINES = 5


class Shop(Protocol):
    """What customers order from, and what they are compared with."""

    @property
    def products(self) -> Sequence[str]:
        """Stock codes that are in stock in the warehouse."""

    def client(self, report: Callable[[Exception], None] = ...) -> OrderClient:
        """Return an order client of the application's, on the writer."""

    def observer(self) -> Session:
        """Return a session on the writer that may read all orders and the invariants."""


@dataclass
class Promises:
    """What all customers asked for, and what they were told."""

    asked: set[UUID] = field(default_factory=set)
    acknowledged: dict[UUID, PlacedOrder] = field(default_factory=dict)
    refused: int = 0
    unknown: int = 0
    tried_again: int = 0
    gave_up: list[Exception] = field(default_factory=list)
    """Errors with which a customer went away: none is expected."""
    seconds: float = 0.0
    acknowledged_at: list[float] = field(default_factory=list)
    """Seconds from the beginning to each acknowledgement."""

    @property
    def total_amount(self) -> Decimal:
        """The sum of all acknowledged orders."""
        return sum((placed.total_amount for placed in self.acknowledged.values()), Decimal())


@contextmanager
def customers(shop: Shop, count: int, *, products: Sequence[str] | None = None) -> Iterator[Promises]:
    """Have so many customers order while the block runs; their promises are complete behind it."""
    promises, stop, lock = Promises(), threading.Event(), threading.Lock()

    def customer(number: int) -> None:
        choice = random.Random(number)  # noqa: S311 - the same baskets in every run
        with closing(shop.client(report=lambda _error: _count_retry(promises, lock))) as client:
            while not stop.is_set():
                lines = basket(choice, products or shop.products)
                token = uuid4()
                with lock:
                    promises.asked.add(token)
                try:
                    placed = client.place(
                        request_token=token,
                        warehouse_id=WAREHOUSE_ID,
                        country="France",
                        lines=lines,
                        deadline=Deadline.after(PATIENCE_SECONDS),
                    )
                except OrderRefused:
                    promises.refused += 1
                except OutcomeUnknown:
                    promises.unknown += 1
                except Exception as error:
                    promises.gave_up.append(error)
                    raise
                else:
                    with lock:
                        promises.acknowledged[token] = placed
                        promises.acknowledged_at.append(time.monotonic() - began)

    began = time.monotonic()
    with ThreadPoolExecutor(count) as pool:
        running = [pool.submit(customer, number) for number in range(count)]
        try:
            yield promises
        finally:
            promises.seconds = time.monotonic() - began
            stop.set()
    for each in running:
        each.result()


def basket(choice: random.Random, products: Sequence[str]) -> list[WantedLine]:
    """Return one to five lines, as most real orders on the web have."""
    return [
        WantedLine(choice.choice(products), choice.randint(1, 3))
        for _ in range(choice.randint(1, MOST_LINES))
    ]


def _count_retry(promises: Promises, lock: threading.Lock) -> None:
    with lock:
        promises.tried_again += 1
