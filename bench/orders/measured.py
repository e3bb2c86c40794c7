"""What was measured on an engine, and what is promised of it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.measuring import Ratio
from bench.orders.cells import (
    DELAYED,
    DIRECT,
    FLOOR,
    NAIVE,
    OURS,
    POOLED,
    RECONNECTING,
    WATCHED,
    Cell,
    Extent,
)
from bench.orders.mix import HOT, MIXES, UNIFORM, Mix
from bench.orders.outcome import Outcome, percentile
from bench.orders.shop import Found

LAG_LIMIT_MILLISECONDS = 5.0
OF_FLOOR_LIMIT = 0.85
OF_NAIVE_HOT_LIMIT = 40.0
OF_NAIVE_DELAYED_LIMIT = 2.0
POOL_LIMIT = 6.5
MYSQL_OF_NAIVE_LIMIT = 2.0
MYSQL_OF_NAIVE_HOT_DELAYED_LIMIT = 3.5


@dataclass(frozen=True)
class Run:
    """One run, and what the database held after it."""

    outcome: Outcome
    found: Found

    @property
    def unaccounted(self) -> int:
        """Orders that were acknowledged and are not there, or the other way round."""
        return abs(self.outcome.acknowledged - self.found.orders)


@dataclass
class Measured:
    """All runs on one engine."""

    engine: str
    version: str
    floor: str
    """The load tool whose figures are the floor."""
    extent: Extent
    missing: str = ""
    """Why load tools were not to be had, where they were not."""
    runs: dict[Cell, list[Run]] = field(default_factory=dict)

    def rate(self, cell: Cell) -> float | None:
        """Orders a second, the median of the rounds; None where it was not measured."""
        runs = self.runs.get(cell)
        return statistics.median(run.outcome.orders_per_second for run in runs) if runs else None

    def milliseconds(self, cell: Cell, share: float) -> float:
        """A percentile of the latency, the median of the rounds."""
        return statistics.median(percentile(run.outcome.milliseconds, share) for run in self.runs[cell])

    def lag(self, clients: int, share: float) -> float:
        """A percentile of the reader's lag, the median of the rounds."""
        runs = self.runs[Cell(OURS, UNIFORM, clients, WATCHED)]
        return statistics.median(
            percentile(sorted(lag for _, lag in run.outcome.lags), share) for run in runs
        )

    def deadlocks(self, cells: Iterable[Cell]) -> int:
        """As the server counted them, in all runs of these cells."""
        return sum(run.found.deadlocks for cell in cells for run in self.runs[cell])

    @property
    def of_the_routine(self) -> list[Cell]:
        """The cells whose orders our routine placed, whoever called it."""
        return [cell for cell in self.runs if cell.client != NAIVE]

    @property
    def ratios(self) -> list[Ratio]:
        """Every figure beside its floor, with what is promised of it."""
        speeds = [*self._of_floor(), *self._of_naive(), *self._pooled(), *self._lag()]
        if self.extent.rounds < 3:  # too few for a promise
            speeds = [Ratio(r.name, r.measured, r.floor, None, r.unit, r.at_least) for r in speeds]
        return [*speeds, *self._nothing_wrong()]

    def _of_floor(self) -> list[Ratio]:
        limit = OF_FLOOR_LIMIT if self.engine == "postgresql" else None
        return [
            self._ratio(Cell(OURS, mix, clients), Cell(FLOOR, mix, clients), limit)
            for mix in MIXES
            for clients in self.extent.counts
            if Cell(FLOOR, mix, clients) in self.runs
        ]

    def _of_naive(self) -> list[Ratio]:
        limits: dict[tuple[Mix, str, int], float]
        if self.engine == "postgresql":
            limits = {(HOT, DIRECT, clients): OF_NAIVE_HOT_LIMIT for clients in self.extent.counts}
            limits[UNIFORM, DELAYED, self.extent.most] = OF_NAIVE_DELAYED_LIMIT
        else:
            limits = {
                (UNIFORM, DIRECT, 32): MYSQL_OF_NAIVE_LIMIT,
                (HOT, DELAYED, 32): MYSQL_OF_NAIVE_HOT_DELAYED_LIMIT,
            }
        places = [(mix, DIRECT, clients) for mix in MIXES for clients in self.extent.counts]
        places += [(mix, DELAYED, self.extent.most) for mix in MIXES]
        return [
            self._ratio(
                Cell(OURS, mix, clients, way), Cell(NAIVE, mix, clients, way), limits.get((mix, way, clients))
            )
            for mix, way, clients in places
        ]

    def _pooled(self) -> list[Ratio]:
        pooled, direct = (Cell(FLOOR, UNIFORM, self.extent.most, way) for way in (POOLED, RECONNECTING))
        if self.engine == "mysql":
            return []
        if pooled not in self.runs:
            return [Ratio(f"{POOLED}: not measured: {self.missing}", 0, 1, POOL_LIMIT, at_least=True)]
        return [self._ratio(pooled, direct, POOL_LIMIT)]

    def _lag(self) -> list[Ratio]:
        clients = min(self.extent.counts)
        limit = 1.0 if self.engine == "postgresql" else None
        name = f"{self.engine}: lag of the reader, p99, {clients} clients ÷ {LAG_LIMIT_MILLISECONDS:g} ms"
        return [Ratio(name, self.lag(clients, 0.99), LAG_LIMIT_MILLISECONDS, limit, unit="ms")]

    def _nothing_wrong(self) -> list[Ratio]:
        runs = [run for runs in self.runs.values() for run in runs]
        counts = {
            "deadlocks of the routine": self.deadlocks(self.of_the_routine),
            "attempts of ours tried again": sum(
                run.outcome.tried_again for cell in self.of_the_routine for run in self.runs[cell]
            ),
            "orders acknowledged and not there, or the reverse": sum(run.unaccounted for run in runs),
            "violations of invariants": sum(run.found.violations for run in runs),
        }
        return [Ratio(f"{self.engine}: {name}", count, 1, 0.0, unit="") for name, count in counts.items()]

    def _ratio(self, measured: Cell, floor: Cell, limit: float | None) -> Ratio:
        """Return the round whose ratio is the median: its two figures stood side by side."""
        pairs = [
            (mine.outcome.orders_per_second, its.outcome.orders_per_second)
            for mine, its in zip(self.runs[measured], self.runs[floor], strict=True)
        ]
        mine, its = _median_by_ratio(pairs)
        who = {FLOOR: self.floor, NAIVE: "naive", OURS: "ours"}
        if measured.client == floor.client:
            name = f"{measured.way} ÷ direct"
        else:
            name = f"{who[measured.client]} ÷ {who[floor.client]}"
        way = "" if measured.way in (DIRECT, POOLED) else f", {measured.way}"
        return Ratio(
            f"{self.engine}: {name}, {measured.mix.name}, {measured.clients} clients{way}",
            mine, max(its, 0.01), limit, unit="/s", at_least=True,
        )  # fmt: skip


def _median_by_ratio(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    ordered = sorted(pairs, key=lambda pair: pair[0] / max(pair[1], 0.01))
    return ordered[len(ordered) // 2]
