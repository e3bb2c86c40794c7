"""Quantities times prices, resource by resource; what has no price is told beside the sum, never 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from operate.cost.charges import Charge, NotCounted, charges_of
from operate.cost.prices import Source, prices_of
from operate.cost.templates import Resource, Templates

_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Line:
    """What one resource costs in a month for one thing, in USD."""

    stack: str
    resource: str
    what: str
    idle: Decimal
    busy: Decimal

    @property
    def key(self) -> tuple[str, str]:
        """What tells the same resource in two deployments."""
        return self.stack, self.resource


@dataclass(frozen=True)
class Omission:
    """What a resource may cost besides, and is in no sum."""

    stack: str
    resource: str
    type: str
    why: str


@dataclass(frozen=True)
class Estimate:
    """A deployment's costs in USD."""

    region: str
    lines: tuple[Line, ...]
    omissions: tuple[Omission, ...]
    sources: tuple[Source, ...]

    @property
    def idle_month(self) -> Decimal:
        """The sum of a month in which nothing happens."""
        return sum((line.idle for line in self.lines), Decimal())

    @property
    def busy_month(self) -> Decimal:
        """The sum of a month at full capacity."""
        return sum((line.busy for line in self.lines), Decimal())

    def by_resource(self) -> Mapping[tuple[str, str], tuple[Decimal, Decimal]]:
        """Return idle and busy month of each resource that costs anything."""
        sums: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
        for line in self.lines:
            idle, busy = sums.get(line.key, (Decimal(), Decimal()))
            sums[line.key] = (idle + line.idle, busy + line.busy)
        return sums


def estimate(templates: Templates) -> Estimate:
    """Return what the templates cost in their region; raises NoPrices where it has no table."""
    prices = prices_of(templates.region)
    lines: list[Line] = []
    omissions: list[Omission] = []
    used: dict[Source, None] = {}
    for resource in templates.resources:
        try:
            for charge in charges_of(resource, templates):
                if charge.price in prices:
                    lines.append(_line(resource, charge, prices[charge.price].usd))
                    used[prices[charge.price].source] = None
                else:
                    why = f"{charge.what}: no price of {charge.price} in {templates.region}"
                    omissions.append(_omission(resource, why))
        except NotCounted as reason:
            omissions.append(_omission(resource, str(reason)))
    return Estimate(templates.region, tuple(lines), tuple(omissions), tuple(used))


def _line(resource: Resource, charge: Charge, usd: Decimal) -> Line:
    idle, busy = _cents(charge.idle * usd), _cents(charge.busy * usd)
    return Line(resource.stack, resource.path, charge.what, idle, busy)


def _cents(usd: Decimal) -> Decimal:
    return usd.quantize(_CENT, ROUND_HALF_UP)


def _omission(resource: Resource, why: str) -> Omission:
    return Omission(resource.stack, resource.path, resource.type, why)
