"""The products that a generator sells: codes, descriptions, prices, and how often each is sold."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import NamedTuple, TypeVar

from seed_data import real_shape as real
from seed_data.model import Product

Value = TypeVar("Value")
Random = Callable[[], float]

_PRICE_STEPS = (0.0, 0.06, 0.0, -0.06, 0.0, 0.03, 0.0, 0.0)  # among the prices of all products, sale by sale
MOST_PRODUCTS = 6_000
_TWINS_AT = 0.68  # of all products by popularity: few buy them
_SECOND_DESCRIPTIONS = 20  # one line in so many
_CODES = 10_002, 90_215
_STRIDE = 31_337  # a prime that does not divide their number: it comes by each code once
_SPECIAL = {"POST": "POSTAGE", "M": "Manual", "DOT": "DOTCOM POSTAGE", "C2": "CARRIAGE", "D": "Discount"}
_LOOKS = (
    "RED", "WHITE", "BLUE", "PINK", "GREEN", "BLACK", "IVORY", "SILVER", "GOLD", "CREAM", "ANTIQUE",
    "VINTAGE", "RETROSPOT", "POLKADOT", "WOODEN", "GLASS", "METAL", "ENAMEL", "CERAMIC", "FELT",
    "KNITTED", "PAPER", "TIN",
)  # fmt: skip
_MOTIFS = (
    "HEART", "STAR", "ROSE", "BIRD", "BUTTERFLY", "OWL", "STRAWBERRY", "DOLLY GIRL", "SPACEBOY",
    "PAISLEY", "ALPHABET", "LONDON", "CIRCUS PARADE", "WOODLAND", "SKULL", "CHRISTMAS", "EASTER",
    "REGENCY", "ZINC", "LACE",
)  # fmt: skip
_THINGS = (
    "T-LIGHT HOLDER", "LUNCH BAG", "CAKE STAND", "MUG", "BUNTING", "HOT WATER BOTTLE", "DOORMAT",
    "CUSHION", "JUMBO BAG", "NAPKINS", "PICTURE FRAME", "CLOCK", "TRINKET BOX", "STORAGE JAR",
    "LANTERN", "COASTER", "APRON", "RIBBONS", "WRAP", "CARD HOLDER", "DRAWER KNOB", "HANGER",
    "TEACUP AND SAUCER", "BOWL", "PURSE", "GARLAND",
)  # fmt: skip


@dataclass(slots=True)
class Ware:
    """A product under one of its descriptions, at one of its prices."""

    stock_code: str
    description: str
    price: str
    before_quantity: str
    """,85123A,WHITE HANGING HEART T-LIGHT HOLDER, as a line has it."""
    row: RowParts | None = None
    """Once a load knows the product by this description for good."""


class RowParts(NamedTuple):
    """What rows of order lines with this ware have in common."""

    before_quantity: str
    after_quantity: str
    price_thousandths: int
    product: Product


class Catalogue:
    """Products as often as they are sold: a slot drawn evenly is a product drawn by its popularity."""

    def __init__(self, random: Random, lines: int, *, slots: int) -> None:
        names = _names(random, _count(lines))
        sold = _slots(len(names), slots)
        order = sorted(range(len(names)), key=lambda _: random())  # popular products cost no more than others
        customer = picks(spectrum(real.CUSTOMER_PRICES), 4096)
        guest = picks(spectrum(real.GUEST_PRICES), 4096)
        self.wares: list[Ware] = []
        self.guest_wares: list[Ware] = []
        several = round(len(names) * real.PRODUCTS_OF_SEVERAL_DESCRIPTIONS / real.PRODUCTS)
        for place in order:
            share = (len(self.wares) + sold[place] / 2) / slots
            descriptions = _descriptions(names[place][1], sold[place], several=place < several)
            self.wares += _wares(names[place][0], descriptions, _prices(customer, share))
            self.guest_wares += _wares(names[place][0], descriptions, _prices(guest, share))


def spectrum(text: str) -> list[tuple[float, float]]:
    """Return the values of a spectrum with their weights."""
    pairs = (pair.split(":") for pair in text.split())
    return [(float(value) if "." in value else int(value), float(weight)) for value, weight in pairs]


def picks(weighted: Sequence[tuple[Value, float]], count: int) -> list[Value]:
    """Return so many values, each as often as its weight says, in their order."""
    bounds = list(itertools.accumulate(weight for _, weight in weighted))
    steps = (bounds[-1] * (number + 0.5) / count for number in range(count))
    return [weighted[min(bisect_right(bounds, step), len(weighted) - 1)][0] for step in steps]


def _count(lines: int) -> int:
    """Return how many products there are: more lines bring more, as from one real year to two, to a bound.

    What is known of each is kept in memory during a load.
    """
    growth: float = max(1.0, lines / real.LINES) ** 0.39
    return min(round(real.PRODUCTS * growth), MOST_PRODUCTS)


def _slots(products: int, slots: int) -> list[int]:
    """Return how many of the slots each product has, the most popular first; each has one."""
    weights = [_popularity((number + 0.5) / products) for number in range(products)]
    free, total = slots - products, sum(weights)
    bounds = [round(free * bound / total) for bound in itertools.accumulate(weights, initial=0.0)]
    return [1 + high - low for low, high in itertools.pairwise(bounds)]


def _popularity(share: float) -> float:
    """Return the lines of the product at this share of all: straight between known points, as logarithms."""
    shares, lines = real.POPULARITY_SHARES, real.POPULARITY
    step = min(bisect_right(shares, share), len(shares) - 1)
    part = (share - shares[step - 1]) / (shares[step] - shares[step - 1])
    # one less: every product has a slot already
    return exp(log(lines[step - 1]) * (1 - part) + log(lines[step]) * part) - 1


def _names(random: Random, count: int) -> list[tuple[str, str]]:
    """Return codes and descriptions, the most popular first; the twins of some codes come much later."""
    twins = round(real.CASE_TWINS * count / real.PRODUCTS)
    first, last = _CODES
    start, span = int(random() * (last - first)), last - first
    numbers = (first + (start + place * _STRIDE) % span for place in range(count - twins))
    names = [_name(random, number, lettered=place % 3 == 0) for place, number in enumerate(numbers)]
    for place, (code, description) in enumerate(_SPECIAL.items()):
        names[40 * place + 40] = code, description
    lettered = [name for name in names if name[0][-1].isupper() and name[0][0].isdigit()]
    late = int(count * _TWINS_AT)
    names[late:late] = [(code.lower(), description) for code, description in lettered[:twins]]
    return names


def _name(random: Random, number: int, *, lettered: bool) -> tuple[str, str]:
    look, motif, thing = (words[int(random() * len(words))] for words in (_LOOKS, _MOTIFS, _THINGS))
    letter = chr(ord("A") + int(random() * 8)) if lettered else ""
    quoted = random() * real.LINES < real.QUOTED_LINES
    description = f'"{thing}, {look} {motif}"' if quoted else f"{look} {motif} {thing}"
    return f"{number}{letter}", description


def _descriptions(description: str, sold: int, *, several: bool) -> list[str]:
    """Return the description of each sale: a few are under another one."""
    other = f"{description.split(' ', 1)[-1].strip()} "
    others = -(-sold // _SECOND_DESCRIPTIONS) if several and sold > 1 and '"' not in description else 0
    return [description] * (sold - others) + [other] * others


def _wares(code: str, descriptions: Sequence[str], prices: Sequence[str]) -> list[Ware]:
    """Return a ware for each sale; equal ones are one."""
    known: dict[tuple[str, str], Ware] = {}
    wares = []
    for description, price in zip(descriptions, itertools.cycle(prices)):
        if (description, price) not in known:
            before = f",{code},{description},"
            known[description, price] = Ware(code, description.strip('"'), price, before)
        wares.append(known[description, price])
    return wares


def _prices(prices: Sequence[float], share: float) -> list[str]:
    places = (share + step if 0 <= share + step < 1 else share for step in _PRICE_STEPS)
    return [str(float(prices[int(place * len(prices))])) for place in places]
