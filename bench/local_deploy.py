"""The whole local deployment, warm, against the sum of the bare parts that it cannot do without."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from bench.bare_postgresql import BarePostgresql
from bench.measuring import PYTHON, Ratio, command, in_turn, print_samples
from bench.synthesis import synth_of
from operate.deployment import PROJECT
from operate.local_cloud import LocalCloud

CLOUD = "bench"
LIMIT = 2.0
PARTS = ("synth", "initdb and start", "pg_basebackup and start", "psql of the migrations")
WHOLE = "make local, from nothing running"


def measure(console: Console, runs: int) -> list[Ratio]:
    """Return the ratio of a whole local deployment to its parts, all timed in turn.

    The whole is everything that `make local` does when packages are installed and the asset is built: synth,
    start and bootstrap of the cloud, four stacks, seed with the small sample, smoke test, report.
    """
    with ExitStack() as cleanup:
        directory = Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
        bare = BarePostgresql()
        cleanup.callback(bare.remove)
        cleanup.callback(LocalCloud(CLOUD).stop)

        def start_over() -> None:
            bare.stop()
            LocalCloud(CLOUD).stop()

        things = {
            "synth": synth_of(PROJECT, directory / "assembly", "local"),
            "initdb and start": bare.start_writer,
            "pg_basebackup and start": bare.start_reader,
            "psql of the migrations": bare.apply_migrations,
            WHOLE: command(PYTHON, "-m", "operate", "local", "up", "--cloud", CLOUD, cwd=str(PROJECT)),
        }
        samples = in_turn(runs, things, console, after_each_round=start_over)
    print_samples(console, "Local deployment and its bare parts", samples)
    floor = sum(samples[part].median for part in PARTS)
    return [Ratio("local deploy ÷ bare parts", samples[WHOLE].median, floor, LIMIT)]
