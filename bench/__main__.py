"""`make bench`: runs the benchmarks and prints their tables; exits with 1 when a limit is missed."""

import argparse
import sys
from collections.abc import Callable

from rich.console import Console

from bench import connecting, enforcement, loading, local_deploy, migrating, synthesis
from bench.measuring import Ratio, print_ratios
from bench.orders import comparison

BENCHMARKS: dict[str, Callable[[Console, int], list[Ratio]]] = {
    "synth": synthesis.measure,
    "local": local_deploy.measure,
    "enforcement": enforcement.measure,
    "connecting": connecting.measure,
    "migrating": migrating.measure,
    "loading": loading.measure,
    "orders": comparison.measure,
}
SHORT = {"orders": comparison.measure_shortly}
"""What has a short form: without promises about speed, as CI runs it."""


def main() -> int:
    """Run the benchmarks that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=[*BENCHMARKS, []], help="which to run; all without a name"
    )
    parser.add_argument("--runs", type=int, default=3, help="counted runs of each thing (default 3)")
    parser.add_argument("--short", action="store_true", help="the short form, of what has one")
    options = parser.parse_args()
    benchmarks = {**BENCHMARKS, **(SHORT if options.short else {})}
    console = Console(width=None if sys.stdout.isatty() else 150)
    ratios: list[Ratio] = []
    for name in options.names or BENCHMARKS:
        console.print(f"{name}:")
        ratios += benchmarks[name](console, options.runs)
    return 0 if print_ratios(console, ratios) else 1


if __name__ == "__main__":
    sys.exit(main())
