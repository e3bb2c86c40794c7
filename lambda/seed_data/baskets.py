"""What a generated invoice holds, and how its lines are written to a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from seed_data.catalogue import Ware

# A draw chooses by its highest bits a ware, by the others the quantity.
SLOTS = 2**17
AMOUNTS = 2**12
AMOUNT_BITS = 12
AMOUNT_MASK = AMOUNTS - 1
DRAWS = SLOTS * AMOUNTS


class Buyer(NamedTuple):
    """The end of a line: who bought, from where."""

    customer: str
    """As the file writes it, 17850.0; empty for a guest."""
    country: str


class Amount(NamedTuple):
    """A quantity, as text and as number."""

    text: str
    pieces: int


class Basket(NamedTuple):
    """An invoice without quirks: each draw is one line."""

    invoice: str
    moment: str
    buyer: Buyer
    wares: Sequence[Ware]
    amounts: Sequence[Amount]
    draws: Sequence[int]

    def cut(self, lines: int) -> Basket:
        """Return it with so many lines at most."""
        return self._replace(draws=self.draws[:lines]) if lines < len(self.draws) else self

    def lines(self) -> list[str]:
        """Return the lines as a file has them."""
        invoice, wares, amounts = self.invoice, self.wares, self.amounts
        moment, end = f",{self.moment},", f",{self.buyer.customer},{self.buyer.country}"
        lines = []
        for draw in self.draws:
            ware = wares[draw >> AMOUNT_BITS]
            amount = amounts[draw & AMOUNT_MASK]
            lines.append(f"{invoice}{ware.before_quantity}{amount.text}{moment}{ware.price}{end}")
        return lines


Invoice: TypeAlias = "Basket | list[str]"
"""A basket, or the lines of an invoice, or of its end, that have quirks."""


def count(invoice: Invoice) -> int:
    """Return the number of lines."""
    return len(invoice.draws if isinstance(invoice, Basket) else invoice)
