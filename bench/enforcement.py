"""What enforcement costs: a warm deployment with everything enforced, and with nothing."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from bench.measuring import Ratio, in_turn, print_samples
from bench.synthesis import synth_of
from localcloud.enforcements import EVERY, listed
from operate import cdk
from operate.deployment import PROJECT
from operate.local import bootstrap
from operate.local_cloud import LocalCloud

LIMIT = 1.05
FEWEST_RUNS = 9  # the difference that is looked for is smaller than what two runs differ by
ENFORCED, NOT_ENFORCED = "everything enforced", "nothing enforced"


def measure(console: Console, runs: int) -> list[Ratio]:
    """Return the ratio of two clouds side by side: each deploys our four stacks, in turn.

    A deployment is `cdk deploy --all` of a ready assembly onto a bootstrapped cloud, which is empty again
    before each run; destroying does not count.
    """
    with ExitStack() as cleanup:
        directory = Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
        assembly = directory / "assembly"
        synth_of(PROJECT, assembly, "local")()
        clouds = {
            ENFORCED: _started(cleanup, "bench-enforced", without=""),
            NOT_ENFORCED: _started(cleanup, "bench-lenient", without=",".join(listed(EVERY))),
        }

        def start_over() -> None:
            for cloud in clouds.values():
                _cdk(cloud, assembly, directory, "destroy", "--all", "--force")()

        things = {
            name: _cdk(cloud, assembly, directory, "deploy", "--all", "--require-approval", "never")
            for name, cloud in clouds.items()
        }
        samples = in_turn(max(runs, FEWEST_RUNS), things, console, after_each_round=start_over)
    print_samples(console, "Warm deployment of four stacks", samples)
    name = "deploy, everything ÷ nothing enforced"
    return [Ratio(name, samples[ENFORCED].median, samples[NOT_ENFORCED].median, LIMIT)]


def _started(cleanup: ExitStack, name: str, *, without: str) -> LocalCloud:
    cloud = LocalCloud(name)
    cloud.stop()
    cleanup.callback(cloud.stop)
    cloud.start(without=without)
    bootstrap(cloud)
    return cloud


def _cdk(cloud: LocalCloud, assembly: Path, directory: Path, *words: str) -> Callable[[], None]:
    environment, log = cloud.environment, directory / f"{cloud.name}.log"

    def run() -> None:
        cdk.run(*words, "--app", str(assembly), environment=environment, output=log)

    return run
