"""Invoice lines in the shape of the real data, from a seed: `python -m seed_data.generator --lines 100000`.

Shares, sizes, quantities, prices and quirks follow seed_data/real_shape.py: returns, guests, stock codes that
differ by case alone, products repeated on one invoice, invoices of several times, several descriptions of one
product, lines without description or price, adjustments and bad debt, orders of 80,995 pieces taken back.

The same seed and number of lines give the same bytes, on every version of Python: everything is drawn by
`random()`, the one method whose sequence Python promises to keep.
https://docs.python.org/3/library/random.html#notes-on-reproducibility
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from seed_data import real_shape as real
from seed_data.calendar_of_sales import moments
from seed_data.catalogue import Catalogue, Ware, picks, spectrum

VERSION = 1
"""Of the bytes: counts up when the same seed gives others."""

DEFAULT_SEED = 1
MOST_LINES = 100_000_000
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
LINES_AT_ONCE = 5_000
FIRST_INVOICE = 536_365
LONGEST_GAP = 6  # between invoice numbers; most follow upon each other

_LARGE = 80  # lines of an invoice
_WARES = 17  # highest bits of a draw, which choose a product; then those for its price, and for the quantity
_PRICES = 3
_QUANTITIES = 12
_DRAW = 2 ** (_WARES + _PRICES + _QUANTITIES)


def blocks(lines: int, seed: int = DEFAULT_SEED) -> Iterator[list[str]]:
    """Yield exactly so many lines, some thousand at a time, without a header; see `check`."""
    check(lines)
    return _batched(_Sales(lines, seed).invoices(), lines)


def check(lines: int) -> None:
    """Return for a number of lines that can be generated; ValueError names the limit."""
    if not 0 <= lines <= MOST_LINES:
        raise ValueError(f"{lines} lines: expected 0 to {MOST_LINES:,}")


def _batched(invoices: Iterator[list[str]], lines: int) -> Iterator[list[str]]:
    batch: list[str] = []
    left = lines
    while left > 0:
        batch += next(invoices)
        if len(batch) >= LINES_AT_ONCE or len(batch) >= left:
            yield batch[:left]
            left -= len(batch)
            batch = []


class Buyer(NamedTuple):
    """The end of a line: who bought, from where."""

    customer: str
    """As the file writes it, 17850.0; empty for a guest."""
    country: str


class _Sales:
    """All that is drawn once, and the invoices drawn from it."""

    def __init__(self, lines: int, seed: int) -> None:
        self._random = Random(seed).random  # noqa: S311 - nothing here is to be secret
        self._catalogue = Catalogue(self._random, lines, slots=2**_WARES)
        self._moments = moments(self._random)
        self._number = FIRST_INVOICE
        self._customers = itertools.cycle(_customers(self._random, lines))
        self._sizes: dict[Sequence[int], list[int]] = {
            sizes: picks(_curve(sizes), 1024)
            for sizes in (real.CUSTOMER_SIZES, real.GUEST_SIZES, real.RETURN_SIZES)
        }
        self._quantities = {
            text: [f"{sign}{value}" for value in picks(spectrum(text), 2**_QUANTITIES)]
            for text, sign in (
                (real.CUSTOMER_QUANTITIES, ""),
                (real.GUEST_QUANTITIES, ""),
                (real.RETURN_QUANTITIES, "-"),
                (real.ADJUSTED_QUANTITIES, "-"),
                (real.GIVEN_QUANTITIES, ""),
            )
        }

    def invoices(self) -> Iterator[list[str]]:
        """Yield invoices without end, in the order of their numbers and times."""
        kinds: list[tuple[int, Callable[[], list[str]]]] = [
            (real.CUSTOMER_SALES, self._customer_sale),
            (real.GUEST_SALES, self._guest_sale),
            (real.RETURNS, self._return),
            (real.ADJUSTMENTS, self._adjustment),
            (real.GIVEN_AWAY, self._given_away),
        ]
        rare = {
            real.INVOICES // real.BAD_DEBTS: self._bad_debt,
            real.INVOICES // real.EXTREME_ORDERS_TAKEN_BACK: self._extreme_order_taken_back,
        }
        bounds = list(itertools.accumulate(weight for weight, _ in kinds))
        random = self._random
        for count in itertools.count(1):
            kind = bisect_right(bounds, int(random() * bounds[-1]))
            self._number += 1 if random() < 0.9 else 1 + int(random() * LONGEST_GAP)
            seldom = next((make for every, make in rare.items() if count % every == 0), None)
            yield (seldom or kinds[kind][1])()

    def _customer_sale(self) -> list[str]:
        buyer = next(self._customers)
        lines = self._lines(
            str(self._number), real.CUSTOMER_SIZES, real.CUSTOMER_QUANTITIES, self._catalogue.wares, buyer
        )
        return self._with_quirks(lines)

    def _guest_sale(self) -> list[str]:
        lines = self._lines(
            str(self._number),
            real.GUEST_SIZES,
            real.GUEST_QUANTITIES,
            self._catalogue.guest_wares,
            self._guest(),
        )
        return self._with_quirks(lines)

    def _return(self) -> list[str]:
        guest = self._random() * real.RETURNS < real.RETURNS_OF_GUESTS
        buyer = self._guest() if guest else next(self._customers)
        lines = self._lines(
            f"C{self._number}", real.RETURN_SIZES, real.RETURN_QUANTITIES, self._catalogue.wares, buyer
        )
        if self._random() * real.RETURNS < real.RETURNS_WITH_AN_EXTREME_PRICE:
            lines[-1] = self._extreme(lines[-1], "-1")
        return lines

    def _adjustment(self) -> list[str]:
        """A quantity below zero on no return: damaged, lost, thrown away."""
        named = self._random() * real.ADJUSTMENTS >= real.ADJUSTMENTS_WITHOUT_DESCRIPTION
        return [self._free_line(real.ADJUSTED_QUANTITIES, "damages" if named else "", "0.0")]

    def _given_away(self) -> list[str]:
        named = self._random() * real.GIVEN_AWAY >= real.GIVEN_AWAY_WITHOUT_DESCRIPTION
        price = "0.001" if self._random() * real.GIVEN_AWAY < real.THREE_DECIMALS else "0.0"
        return [self._free_line(real.GIVEN_QUANTITIES, "found" if named else "", price)]

    def _bad_debt(self) -> list[str]:
        moment = next(self._moments)
        return [f"A{self._number},B,Adjust bad debt,1,{moment},{-real.BAD_DEBT},,United Kingdom"]

    def _extreme_order_taken_back(self) -> list[str]:
        buyer = next(self._customers)
        quantity = real.EXTREME_QUANTITIES[int(self._random() * len(real.EXTREME_QUANTITIES))]
        ware, prices = self._catalogue.wares[int(self._random() * len(self._catalogue.wares))]
        price, ordered, returned = prices[0], str(self._number), f"C{self._number + 1}"
        self._number += 1
        end = f"{price},{buyer.customer},{buyer.country}"
        return [
            f"{ordered}{ware}{quantity},{next(self._moments)},{end}",
            f"{returned}{ware}{-quantity},{next(self._moments)},{end}",
        ]

    def _lines(
        self, invoice: str, sizes: Sequence[int], quantities: str, wares: Sequence[Ware], buyer: Buyer
    ) -> list[str]:
        """Return an invoice's lines: the inner loop, one draw and one text for each."""
        random, amounts, sized = self._random, self._quantities[quantities], self._sizes[sizes]
        size = sized[int(random() * 1024)]
        moment, end = f",{next(self._moments)},", f",{buyer.customer},{buyer.country}"
        lines = []
        if size < _LARGE:
            draws = [int(random() * _DRAW) for _ in range(size)]
        else:  # one draw from each part of the catalogue: who wants much rarely names a product twice
            part = _DRAW / size
            draws = [int((number + random()) * part) for number in range(size)]
        for draw in draws:
            ware, prices = wares[draw >> (_PRICES + _QUANTITIES)]
            price = prices[draw >> _QUANTITIES & (2**_PRICES - 1)]
            lines.append(f"{invoice}{ware}{amounts[draw & (2**_QUANTITIES - 1)]}{moment}{price}{end}")
        return lines

    def _with_quirks(self, lines: list[str]) -> list[str]:
        """Return a sale, now and then with a free line, a price beyond all others, or a second time."""
        sales = real.CUSTOMER_SALES + real.GUEST_SALES
        quirk = self._random() * sales
        if quirk < real.INVOICES_WITH_A_FREE_LINE:
            lines[-1] = _priced(lines[-1], "0.0")
        elif quirk < real.INVOICES_WITH_A_FREE_LINE + real.SALES_WITH_AN_EXTREME_PRICE:
            lines[-1] = self._extreme(lines[-1], "1")
        elif quirk > sales - real.INVOICES_OF_SEVERAL_TIMES:
            later, half = next(self._moments), len(lines) // 2
            lines[half:] = [_at(line, later) for line in lines[half:]]
        return lines

    def _extreme(self, line: str, quantity: str) -> str:
        price = real.EXTREME_PRICES[int(self._random() * len(real.EXTREME_PRICES))]
        return _priced(_of_quantity(line, quantity), str(price))

    def _free_line(self, quantities: str, description: str, price: str) -> str:
        ware, _ = self._catalogue.wares[int(self._random() * len(self._catalogue.wares))]
        code = ware.split(",")[1]
        amounts = self._quantities[quantities]
        amount = amounts[int(self._random() * len(amounts))]
        country = "United Kingdom"
        return f"{self._number},{code},{description},{amount},{next(self._moments)},{price},,{country}"

    def _guest(self) -> Buyer:
        abroad = self._random() < 0.02
        countries = list(real.COUNTRIES)
        return Buyer("", countries[int(self._random() * len(countries))] if abroad else countries[0])


def _customers(random: Callable[[], float], lines: int) -> list[Buyer]:
    """Return customers, each as often as it comes: more lines bring more of them, but ever fewer."""
    count = max(1, round(real.CUSTOMERS * max(1.0, lines / real.LINES) ** 0.45))
    countries = picks(list(real.COUNTRIES.items()), 4096)
    often = picks(_curve(real.INVOICES_OF_A_CUSTOMER), count)
    two_countries = real.CUSTOMERS_OF_TWO_COUNTRIES / real.CUSTOMERS
    ids = sorted(range(12_346, 12_346 + count + count // 3), key=lambda _: random())[:count]
    customers: list[Buyer] = []
    for customer, invoices in zip(ids, often, strict=True):
        country = countries[int(random() * 4096)]
        known = [Buyer(f"{customer}.0", country)] * invoices
        if random() < two_countries:
            known[0] = Buyer(f"{customer}.0", "Belgium" if country != "Belgium" else "France")
        customers += known
    return sorted(customers, key=lambda _: random())


def _curve(values: Sequence[int]) -> list[tuple[int, float]]:
    """Return whole numbers with their weights: between two shares of a curve, values lie evenly."""
    weights: dict[int, float] = {}
    steps = zip(itertools.pairwise(real.SHARES), itertools.pairwise(values), strict=True)
    for (from_share, to_share), (low, high) in steps:
        for value in range(low, high + 1):
            weights[value] = weights.get(value, 0.0) + (to_share - from_share) / (high - low + 1)
    return sorted(weights.items())


def _priced(line: str, price: str) -> str:
    rest, _, customer, country = line.rsplit(",", 3)
    return f"{rest},{price},{customer},{country}"


def _of_quantity(line: str, quantity: str) -> str:
    rest, _, moment, price, customer, country = line.rsplit(",", 5)
    return f"{rest},{quantity},{moment},{price},{customer},{country}"


def _at(line: str, moment: str) -> str:
    rest, _, price, customer, country = line.rsplit(",", 4)
    return f"{rest},{moment},{price},{customer},{country}"
