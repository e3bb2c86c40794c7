"""A table as far as a look at its contents needs to know it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class StoredTable(NamedTuple):
    """A table that holds rows."""

    schema: str
    name: str
    columns: Sequence[str]
    key: str | None
    """The first column of its primary key, where that is a whole number: newer rows have larger ones."""

    @property
    def full_name(self) -> str:
        """Such as shop.orders."""
        return f"{self.schema}.{self.name}"
