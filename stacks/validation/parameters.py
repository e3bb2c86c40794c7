"""Problems of an engine's parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from stacks.engines import Engine
from stacks.settings import DatabaseSettings


def of_parameters(database: DatabaseSettings, engine: Engine) -> Iterator[str]:
    """Yield parameters that are none, and those that would let somebody in without TLS."""
    for name, value in database.parameters.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)?", name) or not isinstance(value, str):
            yield f"parameters: {name!r}: {value!r} is no parameter's name and value as text; correct it"
    yield from of_values(database, engine.safe_values, "anybody could be overheard")


def of_values(
    database: DatabaseSettings, allowed: Mapping[str, frozenset[str]], otherwise: str
) -> Iterator[str]:
    """Yield each parameter that has another value than those allowed, and what would happen otherwise."""
    for name, values in allowed.items():
        value = database.parameters.get(name)
        if value is not None and value not in values:
            choice = " or ".join(repr(one) for one in sorted(values))
            yield f"parameters: {name}={value!r}: {otherwise}; leave it out, or set {choice}"
