"""Times commands in turn, so that a machine whose speed drifts does not tilt a ratio."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

PYTHON = sys.executable


@dataclass
class Samples:
    """The seconds that something took, run by run."""

    name: str
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The figure to quote."""
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Ratio:
    """A measured thing against its floor, and the most that it may be; None where there is no promise."""

    name: str
    measured: float
    floor: float
    limit: float | None
    unit: str = "s"
    at_least: bool = False
    """The limit is the least that it may be: more is better."""

    @property
    def value(self) -> float:
        """How many times the floor."""
        return self.measured / self.floor

    @property
    def kept(self) -> bool:
        """Whether the promise holds in this run."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def in_turn(
    runs: int,
    things: Mapping[str, Callable[[], None]],
    console: Console,
    *,
    before_each: Callable[[], None] = lambda: None,
    after_each_round: Callable[[], None] = lambda: None,
) -> dict[str, Samples]:
    """Time each thing once per round, after one round that warms caches and is not counted."""
    samples = {name: Samples(name) for name in things}
    for number in range(runs + 1):
        for name, run in things.items():
            before_each()
            started = time.perf_counter()
            run()
            seconds = time.perf_counter() - started
            console.print(f"  {'warm-up' if number == 0 else f'run {number}'}: {name} {seconds:.2f} s")
            if number:
                samples[name].seconds.append(seconds)
        after_each_round()
    return samples


def command(
    *words: str, cwd: str | None = None, environment: Mapping[str, str] | None = None
) -> Callable[[], None]:
    """Return what runs a command to its end and raises CalledProcessError with its output when it fails."""

    def run() -> None:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")

    return run


def print_samples(console: Console, title: str, samples: Mapping[str, Samples]) -> None:
    """Print minimum, median and maximum of each."""
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2))
    table.add_column("seconds")
    for column in ("min", "median", "max"):
        table.add_column(column, justify="right")
    for each in samples.values():
        table.add_row(
            each.name, *(f"{value:.3f}" for value in (min(each.seconds), each.median, max(each.seconds)))
        )
    console.print(table)


def print_ratios(console: Console, ratios: list[Ratio]) -> bool:
    """Print each ratio beside its limit; returns whether all promises are kept."""
    table = Table(title="Ratios (medians of one run)", title_justify="left", box=None, padding=(0, 2))
    table.add_column("what")
    for column in ("measured", "floor", "", "ratio", "limit", ""):
        table.add_column(column, justify="right")
    for ratio in ratios:
        limit = "-" if ratio.limit is None else f"{'≥' if ratio.at_least else '≤'} {ratio.limit:.2f}"
        table.add_row(
            ratio.name, f"{ratio.measured:.3f}", f"{ratio.floor:.3f}", ratio.unit, f"{ratio.value:.2f}",
            limit, "" if ratio.limit is None else "kept" if ratio.kept else "MISSED",
        )  # fmt: skip
    console.print(table)
    return all(ratio.kept for ratio in ratios)
