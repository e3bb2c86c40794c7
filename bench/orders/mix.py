"""The order mix: one to five lines, of products drawn uniformly or by Zipf's law."""

from __future__ import annotations

import itertools
import random
from bisect import bisect_left
from dataclasses import dataclass

from bench.orders.shop import FIRST_PRODUCT, PRODUCTS
from orders import WantedLine

MOST_LINES = 5
MOST_PIECES = 3


@dataclass(frozen=True)
class Mix:
    """What is ordered."""

    name: str
    exponent: float
    """Of Zipf's law over all products; 0 draws them uniformly."""

    @property
    def share_of_first(self) -> float:
        """How much of all lines is the most wanted product."""
        return 1 / sum(self._weights())

    def baskets(self, seed: int) -> Baskets:
        """Return an endless row of orders, the same for the same seed."""
        return Baskets(list(itertools.accumulate(self._weights())), random.Random(seed))

    def _weights(self) -> list[float]:
        return [rank**-self.exponent for rank in range(1, PRODUCTS + 1)]


UNIFORM = Mix("uniform", 0.0)
HOT = Mix("hot", 1.2)
MIXES = (UNIFORM, HOT)


class Baskets:
    """Draws orders."""

    def __init__(self, cumulative: list[float], choice: random.Random) -> None:
        self._cumulative = cumulative
        self._choice = choice

    def draw(self) -> list[WantedLine]:
        """Return the lines of one order; a product may stand on several."""
        choice = self._choice
        return [
            WantedLine(self._product(), choice.randint(1, MOST_PIECES))
            for _ in range(choice.randint(1, MOST_LINES))
        ]

    def _product(self) -> str:
        wanted = self._choice.random() * self._cumulative[-1]
        return f"B-{FIRST_PRODUCT + bisect_left(self._cumulative, wanted)}"
