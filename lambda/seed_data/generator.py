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

from seed_data import real_shape as real
from seed_data.baskets import AMOUNTS, DRAWS, SLOTS, Amount, Basket, Buyer, Invoice, count
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


def blocks(lines: int, seed: int = DEFAULT_SEED) -> Iterator[list[str]]:
    """Yield exactly so many lines, some thousand at a time, without a header; see `check`."""
    batch: list[str] = []
    for invoice in invoices(lines, seed):
        batch += invoice.lines() if isinstance(invoice, Basket) else invoice
        if len(batch) >= LINES_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def invoices(lines: int, seed: int = DEFAULT_SEED) -> Iterator[Invoice]:
    """Yield invoices, or parts of them, of exactly so many lines: the last one is cut. See `check`."""
    check(lines)
    left = lines
    sales = _Sales(lines, seed).invoices()
    while left > 0:
        invoice = next(sales)
        if lines_of_it := count(invoice):
            yield invoice.cut(left) if isinstance(invoice, Basket) else invoice[:left]
            left -= lines_of_it


def check(lines: int) -> None:
    """Return for a number of lines that can be generated; ValueError names the limit."""
    if not 0 <= lines <= MOST_LINES:
        raise ValueError(f"{lines} lines: expected 0 to {MOST_LINES:,}")


class _Sales:
    """All that is drawn once, and the invoices drawn from it."""

    def __init__(self, lines: int, seed: int) -> None:
        self._random = Random(seed).random  # noqa: S311 - nothing here is to be secret
        self._catalogue = Catalogue(self._random, lines, slots=SLOTS)
        self._moments = moments(self._random)
        self._number = FIRST_INVOICE
        self._customers = itertools.cycle(_customers(self._random, lines))
        self._sizes: dict[Sequence[int], list[int]] = {
            sizes: picks(_curve(sizes), 1024)
            for sizes in (real.CUSTOMER_SIZES, real.GUEST_SIZES, real.RETURN_SIZES)
        }
        self._amounts = {
            text: [
                Amount(str(sign * int(value)), sign * int(value)) for value in picks(spectrum(text), AMOUNTS)
            ]
            for text, sign in (
                (real.CUSTOMER_QUANTITIES, 1),
                (real.GUEST_QUANTITIES, 1),
                (real.RETURN_QUANTITIES, -1),
                (real.ADJUSTED_QUANTITIES, -1),
                (real.GIVEN_QUANTITIES, 1),
            )
        }

    def invoices(self) -> Iterator[Invoice]:
        """Yield invoices without end, in the order of their numbers and times."""
        kinds: list[tuple[int, Callable[[], list[Invoice]]]] = [
            (real.CUSTOMER_SALES, self._customer_sale),
            (real.GUEST_SALES, self._guest_sale),
            (real.RETURNS, self._return),
            (real.ADJUSTMENTS, self._adjustment),
            (real.GIVEN_AWAY, self._given_away),
        ]
        rare: dict[int, Callable[[], list[Invoice]]] = {
            real.INVOICES // real.BAD_DEBTS: self._bad_debt,
            real.INVOICES // real.EXTREME_ORDERS_TAKEN_BACK: self._extreme_order_taken_back,
        }
        bounds = list(itertools.accumulate(weight for weight, _ in kinds))
        random = self._random
        for turn in itertools.count(1):
            kind = bisect_right(bounds, int(random() * bounds[-1]))
            self._number += 1 if random() < 0.9 else 1 + int(random() * LONGEST_GAP)
            seldom = next((make for every, make in rare.items() if turn % every == 0), None)
            yield from (seldom or kinds[kind][1])()

    def _customer_sale(self) -> list[Invoice]:
        sizes, quantities = real.CUSTOMER_SIZES, real.CUSTOMER_QUANTITIES
        buyer = next(self._customers)
        return self._with_quirks(
            self._basket(str(self._number), sizes, quantities, self._catalogue.wares, buyer)
        )

    def _guest_sale(self) -> list[Invoice]:
        sizes, quantities = real.GUEST_SIZES, real.GUEST_QUANTITIES
        buyer = self._guest()
        return self._with_quirks(
            self._basket(str(self._number), sizes, quantities, self._catalogue.guest_wares, buyer)
        )

    def _return(self) -> list[Invoice]:
        guest = self._random() * real.RETURNS < real.RETURNS_OF_GUESTS
        buyer = self._guest() if guest else next(self._customers)
        sizes, quantities = real.RETURN_SIZES, real.RETURN_QUANTITIES
        basket = self._basket(f"C{self._number}", sizes, quantities, self._catalogue.wares, buyer)
        if self._random() * real.RETURNS >= real.RETURNS_WITH_AN_EXTREME_PRICE:
            return [basket]
        return _ending(basket, lambda line: self._extreme(line, "-1"))

    def _adjustment(self) -> list[Invoice]:
        """A quantity below zero on no return: damaged, lost, thrown away."""
        named = self._random() * real.ADJUSTMENTS >= real.ADJUSTMENTS_WITHOUT_DESCRIPTION
        return [[self._free_line(real.ADJUSTED_QUANTITIES, "damages" if named else "", "0.0")]]

    def _given_away(self) -> list[Invoice]:
        named = self._random() * real.GIVEN_AWAY >= real.GIVEN_AWAY_WITHOUT_DESCRIPTION
        price = "0.001" if self._random() * real.GIVEN_AWAY < real.THREE_DECIMALS else "0.0"
        return [[self._free_line(real.GIVEN_QUANTITIES, "found" if named else "", price)]]

    def _bad_debt(self) -> list[Invoice]:
        moment = next(self._moments)
        return [[f"A{self._number},B,Adjust bad debt,1,{moment},{-real.BAD_DEBT},,United Kingdom"]]

    def _extreme_order_taken_back(self) -> list[Invoice]:
        buyer = next(self._customers)
        quantity = real.EXTREME_QUANTITIES[int(self._random() * len(real.EXTREME_QUANTITIES))]
        ware = self._any_ware()
        end = f"{ware.price},{buyer.customer},{buyer.country}"
        ordered, returned = str(self._number), f"C{self._number + 1}"
        self._number += 1
        return [
            [f"{ordered}{ware.before_quantity}{quantity},{next(self._moments)},{end}"],
            [f"{returned}{ware.before_quantity}{-quantity},{next(self._moments)},{end}"],
        ]

    def _basket(
        self, invoice: str, sizes: Sequence[int], quantities: str, wares: Sequence[Ware], buyer: Buyer
    ) -> Basket:
        random, sized = self._random, self._sizes[sizes]
        size = sized[int(random() * 1024)]
        if size < _LARGE:
            draws = [int(random() * DRAWS) for _ in range(size)]
        else:  # one draw from each part of the catalogue: who wants much rarely names a product twice
            part = DRAWS / size
            draws = [int((number + random()) * part) for number in range(size)]
        return Basket(invoice, next(self._moments), buyer, wares, self._amounts[quantities], draws)

    def _with_quirks(self, basket: Basket) -> list[Invoice]:
        """Return a sale, now and then with a free line, a price beyond all others, or a second time."""
        sales = real.CUSTOMER_SALES + real.GUEST_SALES
        quirk = self._random() * sales
        if quirk < real.INVOICES_WITH_A_FREE_LINE:
            return _ending(basket, lambda line: _priced(line, "0.0"))
        if quirk < real.INVOICES_WITH_A_FREE_LINE + real.SALES_WITH_AN_EXTREME_PRICE:
            return _ending(basket, lambda line: self._extreme(line, "1"))
        if quirk > sales - real.INVOICES_OF_SEVERAL_TIMES:
            later, half = next(self._moments), len(basket.draws) // 2
            lines = basket.lines()
            return [lines[:half], [_at(line, later) for line in lines[half:]]]
        return [basket]

    def _extreme(self, line: str, quantity: str) -> str:
        price = real.EXTREME_PRICES[int(self._random() * len(real.EXTREME_PRICES))]
        return _priced(_of_quantity(line, quantity), str(price))

    def _free_line(self, quantities: str, description: str, price: str) -> str:
        code = self._any_ware().stock_code
        amount = self._amounts[quantities][int(self._random() * AMOUNTS)].text
        return f"{self._number},{code},{description},{amount},{next(self._moments)},{price},,United Kingdom"

    def _any_ware(self) -> Ware:
        return self._catalogue.wares[int(self._random() * SLOTS)]

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


def _ending(basket: Basket, change: Callable[[str], str]) -> list[Invoice]:
    """Return the basket with its last line changed."""
    return [basket.cut(len(basket.draws) - 1), [change(basket.lines()[-1])]]


def _priced(line: str, price: str) -> str:
    rest, _, customer, country = line.rsplit(",", 3)
    return f"{rest},{price},{customer},{country}"


def _of_quantity(line: str, quantity: str) -> str:
    rest, _, moment, price, customer, country = line.rsplit(",", 5)
    return f"{rest},{quantity},{moment},{price},{customer},{country}"


def _at(line: str, moment: str) -> str:
    rest, _, price, customer, country = line.rsplit(",", 4)
    return f"{rest},{moment},{price},{customer},{country}"
