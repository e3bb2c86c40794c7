"""The table of prices: each with the source that it was read from and the day that source speaks for."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("prices.toml")


class NoPrices(Exception):
    """There is no table for a region; the message says which there are."""


@dataclass(frozen=True)
class Source:
    """Where a price was read, and where to look whether it still holds."""

    page: str
    read: str
    as_of: str
    """A date, or "undated" where the source has none."""


@dataclass(frozen=True)
class Price:
    """USD for one unit; the unit is in the price's key."""

    usd: Decimal
    source: Source


@cache
def prices_of(region: str) -> Mapping[str, Price]:
    """Return a region's prices by key; raises NoPrices, never another region's prices."""
    table = _table()
    if region not in table["regions"]:
        raise NoPrices(
            f"region={region} has no prices in operate/cost/{TABLE.name}: there are those of "
            f"{', '.join(table['regions'])}; add a table, with its source"
        )
    sources = {name: Source(**source) for name, source in table["sources"].items()}
    return {
        key: Price(Decimal(entry["usd"]), sources[entry["source"]])
        for key, entry in table["regions"][region].items()
    }


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"), parse_float=Decimal)
