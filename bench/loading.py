"""The loader against the engine's own client with lines that are normalised already, beside pandas."""

import itertools
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from bench.loading_files import REAL_FILE, SAMPLE, read_lines, write_repeated
from bench.loading_shop import Loader, MysqlShop, PostgresqlShop, Shop
from bench.measuring import PYTHON, Ratio, Samples, in_turn, print_samples
from operate.deployment import PROJECT

BOTH_YEARS = 1_067_371  # lines of Online Retail II
RAW = f"raw CSV.gz, {BOTH_YEARS:,} lines"
GENERATED = f"generated, {BOTH_YEARS:,} lines"
RAW_TWICE, RAW_FOURFOLD = "twice the lines", "four times the lines"
PANDAS_ROWS = 20_000
PANDAS = PROJECT / "build" / "bench" / "python"
MEMORY_LIMIT_MEGABYTES = 64


@dataclass(frozen=True)
class Engine:
    """What is promised on an engine."""

    name: str
    shop: Callable[[], Shop]
    floor: str
    raw_limit: float
    generated_limit: float
    twice_limit: float | None
    """None: where its pages outgrow the server's memory, a larger load is slower by the line."""
    pandas_limits: Mapping[str, float | None]
    """By the method of `to_sql`. None: SQLAlchemy 2 sends a thousand rows per statement, and so many times as
    fast is more than a server takes in."""


ENGINES = (
    Engine(
        name="PostgreSQL",
        shop=PostgresqlShop,
        floor="psql \\copy, normalised",
        raw_limit=0.40,
        generated_limit=0.25,
        twice_limit=2.2,
        pandas_limits={"multi": 25, "default": None},
    ),
    Engine(
        name="MySQL",
        shop=MysqlShop,
        floor="mysql LOAD DATA LOCAL, normalised",
        raw_limit=1.0,
        generated_limit=0.80,
        twice_limit=None,
        pandas_limits={"multi": 10, "default": None},
    ),
)


def measure(console: Console, runs: int) -> list[Ratio]:
    """Return ratios of loads to their floor and to each other, of rates, and of memory to its limit.

    The floor gets for nothing what is the loader's own work: its rows are ready, and totals need no trigger.
    Both end with all keys in place, on a server that waits for its disk.
    """
    ratios = []
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        file = REAL_FILE if REAL_FILE.exists() else SAMPLE
        console.print(f"  lines: {file.name}, repeated under other invoice numbers")
        files = _write_files(Path(directory), read_lines(file))
        for engine in ENGINES:
            console.print(f"  {engine.name}:")
            ratios += _measure(engine, files, Path(directory), console, runs)
    return ratios


def _write_files(directory: Path, lines: list[str]) -> dict[str, Path]:
    return {
        name: write_repeated(directory / f"{times}.csv.gz", lines, count=times * BOTH_YEARS)
        for name, times in {RAW: 1, RAW_TWICE: 2, RAW_FOURFOLD: 4}.items()
    }


def _measure(
    engine: Engine, files: Mapping[str, Path], directory: Path, console: Console, runs: int
) -> list[Ratio]:
    with ExitStack() as cleanup:
        shop = engine.shop()
        cleanup.callback(shop.remove)
        loaders = {name: Loader(shop, (str(file),)) for name, file in files.items()}
        loaders[GENERATED] = Loader(shop, ("--generate", str(BOTH_YEARS)))
        rows = _normalised(loaders[RAW], directory)
        samples = _load(engine, loaders, rows, runs, console)
        pandas = _append_by_pandas(engine, shop, rows, runs)
    print_samples(console, f"Loads, {engine.name}", samples)
    print_samples(console, f"pandas.to_sql, {PANDAS_ROWS:,} lines, {engine.name}", pandas)
    return _ratios(engine, samples, pandas, max(loader.peak_megabytes for loader in loaders.values()))


def _normalised(loader: Loader, directory: Path) -> dict[str, Path]:
    loader.shop.start_over()
    loader()
    return loader.shop.write_rows(directory)


def _load(
    engine: Engine, loaders: Mapping[str, Loader], rows: Mapping[str, Path], runs: int, console: Console
) -> dict[str, Samples]:
    shop = loaders[RAW].shop
    floors = {engine.floor: shop.copy, **shop.other_floors()}
    things = {name: partial(copy, rows) for name, copy in floors.items()}
    return in_turn(runs, {**things, **loaders}, console, before_each=shop.start_over)


def _append_by_pandas(engine: Engine, shop: Shop, rows: Mapping[str, Path], runs: int) -> dict[str, Samples]:
    """Time `to_sql` alone, each time behind the same parents, in the same keyed schema."""
    first_lines = rows["order_lines"].with_name("first_order_lines.tsv")
    with rows["order_lines"].open() as file:
        first_lines.write_text("".join(itertools.islice(file, PANDAS_ROWS)))
    parents = {table: file for table, file in rows.items() if table != "order_lines"}
    samples = {method: Samples(method) for method in engine.pandas_limits}
    for _ in range(runs):
        for method, sample in samples.items():
            shop.start_over()
            shop.copy(parents)
            done = subprocess.run(
                [PYTHON, "-m", "bench.pandas_to_sql", first_lines, shop.pandas_url, method],
                env={**os.environ, "PYTHONPATH": str(PANDAS)},
                cwd=PROJECT,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            sample.seconds.append(float(done.stdout))
    return samples


def _ratios(
    engine: Engine, samples: Mapping[str, Samples], pandas: Mapping[str, Samples], megabytes: float
) -> list[Ratio]:
    seconds = {name: sample.median for name, sample in samples.items()}
    floor, rate = seconds[engine.floor], BOTH_YEARS / seconds[RAW]
    rates = {method: PANDAS_ROWS / sample.median for method, sample in pandas.items()}
    ratios = [
        Ratio("raw CSV.gz ÷ floor", seconds[RAW], floor, engine.raw_limit),
        Ratio("generated ÷ floor", seconds[GENERATED], floor, engine.generated_limit),
        Ratio("twice the lines", seconds[RAW_TWICE], seconds[RAW], engine.twice_limit),
        Ratio("and twice again", seconds[RAW_FOURFOLD], seconds[RAW_TWICE], engine.twice_limit),
        *(
            Ratio(
                f"rate ÷ to_sql, {method}",
                rate,
                found,
                engine.pandas_limits[method],
                unit="/s",
                at_least=True,
            )
            for method, found in rates.items()
        ),
        Ratio("peak memory ÷ 64 MB", megabytes, MEMORY_LIMIT_MEGABYTES, 1.0, unit="MB"),
    ]
    for name in seconds.keys() - {engine.floor, RAW, GENERATED, RAW_TWICE, RAW_FOURFOLD}:
        ratios += [Ratio(f"{each} ÷ {name}", seconds[each], seconds[name], None) for each in (RAW, GENERATED)]
    return [replace(ratio, name=f"{engine.name}: {ratio.name}") for ratio in ratios]
