"""What is run: who orders what, with how many customers, and by which way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.orders.mix import HOT, MIXES, UNIFORM, Mix

OURS, FLOOR, NAIVE = "ours", "floor", "naive"
DIRECT = "direct"
DELAYED = "1 ms away"
PROXY = "through the endpoint"
WATCHED = "watched on the reader"
RECONNECTING = "a connection per order"
POOLED = "a connection per order, pooled"
DELAY_MILLISECONDS = 1.0


@dataclass(frozen=True)
class Cell:
    """One figure, measured once a round or once."""

    client: str
    mix: Mix
    clients: int
    way: str = DIRECT


@dataclass(frozen=True)
class Extent:
    """How much is run."""

    rounds: int
    seconds: float
    """Of one run."""
    counts: tuple[int, ...]
    """Of clients, in every round: what promises are about."""
    counts_once: tuple[int, ...] = ()
    """Of clients, in the first round alone: for the curves."""

    @property
    def most(self) -> int:
        """The largest count that promises are about."""
        return max(self.counts)


SHORT = Extent(rounds=1, seconds=1.0, counts=(8,))


def whole(rounds: int) -> Extent:
    """Return all of it."""
    return Extent(rounds=rounds, seconds=3.0, counts=(8, 32), counts_once=(1, 200))


def of_every_round(engine: str, extent: Extent) -> Iterator[Cell]:
    """Yield what promises are about; what is compared stands side by side."""
    for mix in MIXES:
        for clients in extent.counts:
            for client in (FLOOR, OURS, NAIVE):
                yield Cell(client, mix, clients)
    for mix in MIXES:
        for client in (OURS, NAIVE):
            yield Cell(client, mix, extent.most, DELAYED)
    yield Cell(FLOOR, UNIFORM, extent.most, RECONNECTING)
    if engine == "postgresql":  # of MySQL's pools Debian has none
        yield Cell(FLOOR, UNIFORM, extent.most, POOLED)
    yield Cell(OURS, UNIFORM, min(extent.counts), WATCHED)


def of_the_first_round(extent: Extent) -> Iterator[Cell]:
    """Yield what completes the curves."""
    for mix in MIXES:
        for clients in extent.counts_once:
            for client in (FLOOR, OURS, NAIVE):
                if (client, mix) != (NAIVE, HOT) or clients <= extent.most:  # it deadlocks for a minute more
                    yield Cell(client, mix, clients)
    for clients in sorted((*extent.counts, *extent.counts_once)):
        yield Cell(OURS, UNIFORM, clients, PROXY)
    if extent.counts_once:
        yield Cell(OURS, HOT, extent.most, PROXY)
        yield Cell(OURS, UNIFORM, extent.most, WATCHED)
