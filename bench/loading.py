"""The loader against psql's \\copy of lines that are normalised already, beside pandas."""

import itertools
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from bench.bare_postgresql import SAFE, BarePostgresql
from bench.loading_files import REAL_FILE, SAMPLE, read_lines, write_repeated
from bench.loading_shop import Loader, Shop
from bench.measuring import PYTHON, Ratio, Samples, in_turn, print_samples
from operate.deployment import PROJECT

BOTH_YEARS = 1_067_371  # lines of Online Retail II
FLOOR = "psql \\copy, normalised"
RAW = f"raw CSV.gz, {BOTH_YEARS:,} lines"
GENERATED = f"generated, {BOTH_YEARS:,} lines"
RAW_TWICE, RAW_FOURFOLD = "twice the lines", "four times the lines"
PANDAS_ROWS = 20_000
PANDAS = PROJECT / "build" / "bench" / "python"

RAW_LIMIT = 0.40
GENERATED_LIMIT = 0.25
TWICE_LIMIT = 2.2
# No promise beside the default method: SQLAlchemy 2 sends a thousand rows per statement for it, at 0.4 of the
# rate of psql's copy, and 25 times as fast is more than a server takes in.
PANDAS_LIMITS = {"multi": 25, "default": None}
MEMORY_LIMIT_MEGABYTES = 64


def measure(console: Console, runs: int) -> list[Ratio]:
    """Return ratios of loads to their floor and to each other, of rates, and of memory to its limit.

    The floor gets for nothing what is the loader's own work: its rows are ready, and the triggers of
    order_lines are off. Both end with all keys in place, on a server that waits for its disk.
    """
    with ExitStack() as cleanup:
        directory = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        server = BarePostgresql(SAFE)
        cleanup.callback(server.remove)
        server.start_writer()
        server.apply_migrations()
        file = REAL_FILE if REAL_FILE.exists() else SAMPLE
        console.print(f"  lines: {file.name}, repeated under other invoice numbers")
        loaders = _loaders(server, directory, read_lines(file))
        rows = _normalised(loaders[RAW], directory)
        samples = _load(server, loaders, rows, runs, console)
        pandas = _append_by_pandas(Shop(server, "pandas"), rows, runs)
    print_samples(console, "Loads", samples)
    print_samples(console, f"pandas.to_sql, {PANDAS_ROWS:,} lines", pandas)
    return _ratios(samples, pandas, max(loader.peak_megabytes for loader in loaders.values()))


def _loaders(server: BarePostgresql, directory: Path, lines: list[str]) -> dict[str, Loader]:
    loaders = {}
    for name, times in {RAW: 1, RAW_TWICE: 2, RAW_FOURFOLD: 4}.items():
        file = write_repeated(directory / f"{times}.csv.gz", lines, count=times * BOTH_YEARS)
        loaders[name] = Loader(Shop(server, f"raw_{times}"), (str(file),))
    loaders[GENERATED] = Loader(Shop(server, "generated"), ("--generate", str(BOTH_YEARS)))
    return loaders


def _normalised(loader: Loader, directory: Path) -> dict[str, Path]:
    loader.shop.start_over()
    loader()
    return loader.shop.write_rows(directory)


def _load(
    server: BarePostgresql,
    loaders: Mapping[str, Loader],
    rows: Mapping[str, Path],
    runs: int,
    console: Console,
) -> dict[str, Samples]:
    floor = Shop(server, "floor")
    things: dict[str, Callable[[], None]] = {FLOOR: lambda: floor.copy(rows), **loaders}

    def start_over() -> None:
        for shop in (floor, *(loader.shop for loader in loaders.values())):
            shop.start_over()
        floor.take_triggers_off()

    start_over()
    return in_turn(runs, things, console, after_each_round=start_over)


def _append_by_pandas(shop: Shop, rows: Mapping[str, Path], runs: int) -> dict[str, Samples]:
    """Time `to_sql` alone, each time behind the same parents, in the same keyed schema."""
    first_lines = rows["order_lines"].with_name("first_order_lines.tsv")
    with rows["order_lines"].open() as file:
        first_lines.write_text("".join(itertools.islice(file, PANDAS_ROWS)))
    parents = {table: file for table, file in rows.items() if table != "order_lines"}
    samples = {method: Samples(method) for method in PANDAS_LIMITS}
    for _ in range(runs):
        for method, sample in samples.items():
            shop.start_over()
            shop.take_triggers_off()
            shop.copy(parents)
            done = subprocess.run(
                [
                    PYTHON,
                    "-m",
                    "bench.pandas_to_sql",
                    first_lines,
                    *map(str, shop.server.place),
                    shop.name,
                    method,
                ],
                env={**os.environ, "PYTHONPATH": str(PANDAS)},
                cwd=PROJECT,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            sample.seconds.append(float(done.stdout))
    return samples


def _ratios(samples: Mapping[str, Samples], pandas: Mapping[str, Samples], megabytes: float) -> list[Ratio]:
    seconds = {name: sample.median for name, sample in samples.items()}
    rate = BOTH_YEARS / seconds[RAW]
    rates = {method: PANDAS_ROWS / sample.median for method, sample in pandas.items()}
    return [
        Ratio("raw CSV.gz ÷ \\copy", seconds[RAW], seconds[FLOOR], RAW_LIMIT),
        Ratio("generated ÷ \\copy", seconds[GENERATED], seconds[FLOOR], GENERATED_LIMIT),
        Ratio("twice the lines", seconds[RAW_TWICE], seconds[RAW], TWICE_LIMIT),
        Ratio("and twice again", seconds[RAW_FOURFOLD], seconds[RAW_TWICE], TWICE_LIMIT),
        *(
            Ratio(f"rate ÷ to_sql, {method}", rate, found, PANDAS_LIMITS[method], unit="/s", at_least=True)
            for method, found in rates.items()
        ),
        Ratio("peak memory ÷ 64 MB", megabytes, MEMORY_LIMIT_MEGABYTES, 1.0, unit="MB"),
    ]
