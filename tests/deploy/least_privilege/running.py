"""All rights of a local deployment, each tried on a cloud, several at a time."""

from __future__ import annotations

import json
import queue
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.clients import ROOT, App, LocalCloud
from tests.deploy.least_privilege.deploying import Deployment
from tests.deploy.least_privilege.noticing import Notice, what_notices
from tests.deploy.least_privilege.rights import STACKS, Right, Templates, rights_of

AT_A_TIME = 4
"""Deployments side by side. Most of a case is waiting, and two processors suffice."""

SEED = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
100001,14020,CERAMIC BIRD WHISTLE,48,2025-03-03 09:54:00,0.85,17850,United Kingdom
"""
"""A file of the user's own: only then is S3 read."""


@dataclass(frozen=True)
class Tried:
    """A right, who noticed that it was missing, and how long that took."""

    right: Right
    notice: Notice | None
    seconds: float


@dataclass(frozen=True)
class Trial:
    """The templates, and a cloud that has their assets."""

    templates: Templates
    cloud: LocalCloud
    synthesized_as: str

    @property
    def rights(self) -> list[Right]:
        """Every right of the templates."""
        return rights_of(self.templates)

    def control(self) -> Notice | None:
        """Return what is wrong with a deployment that lacks nothing."""
        return what_notices(self.deployment("control"), None)

    def deployment(self, name: str, templates: Templates | None = None) -> Deployment:
        """Return a deployment under a name of its own."""
        return Deployment(self.cloud, name, templates or self.templates, self.synthesized_as)

    def try_all(self, rights: Sequence[Right], tell: Callable[[Tried], None] = lambda _: None) -> list[Tried]:
        """Try each right; the results are in the order of the rights.

        What a stack stands upon is made once: first come the rights of the highest stack.
        """
        waiting: queue.SimpleQueue[Right] = queue.SimpleQueue()
        for right in sorted(rights, key=lambda one: STACKS.index(one.stack), reverse=True):
            waiting.put(right)
        tried: dict[str, Tried] = {}
        telling = threading.Lock()

        def work(number: int) -> None:
            deployment = self.deployment(f"w{number}")
            while True:
                try:
                    right = waiting.get_nowait()
                except queue.Empty:
                    return
                started = time.monotonic()
                notice = what_notices(deployment, right)
                with telling:
                    tried[right.name] = one = Tried(right, notice, time.monotonic() - started)
                    tell(one)

        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(work, range(AT_A_TIME)))
        return [tried[right.name] for right in rights]


@contextmanager
def trial(directory: Path, kind: str = "local") -> Iterator[Trial]:
    """Synthesize in `directory`, and deploy once by the CLI onto a cloud that ends with the context."""
    seed = directory / "seed.csv"
    seed.write_text(SEED)
    cloud = LocalCloud.start()
    try:
        app = App(cloud, ROOT)
        assembly = str(directory / "assembly")
        synth = ["synth", "--quiet", "--app", f"{shlex.quote(sys.executable)} app.py", "--output", assembly]
        app.cdk(*synth, "--context", f"deployment={kind}", "--context", f"seed_file={seed}")
        for verb in (["bootstrap"], ["deploy", "--all", "--require-approval", "never"]):
            app.cdk("--app", assembly, *verb)
        templates = {one: json.loads(Path(assembly, f"{one}.template.json").read_text()) for one in STACKS}
        yield Trial(templates, cloud, kind)
    finally:
        cloud.stop()
