"""Customers in Python, each a process with a connection of its own, as functions are on Lambda.

`python -m bench.orders.customers` reads its task as JSON and writes what happened as JSON. It is a program of
its own so that it can fork: it has one thread, and imports once for all of its customers.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier
from typing import Any
from uuid import UUID, uuid4

from acid.load import WAREHOUSE_ID
from aurora.deadline import Deadline
from aurora.session import Session
from bench.measuring import PYTHON
from bench.orders.mix import Mix
from bench.orders.naive import NaiveClient
from bench.orders.outcome import Outcome
from bench.orders.ways_in import Endpoint, Socket, WayIn, as_application, as_superuser
from operate.deployment import PROJECT
from orders import OrderClient, WantedLine

PATIENCE_SECONDS = 60.0
LOOKING_SECONDS = 0.0002
SECONDS_TO_WAKE_UP = 0.1
_fork = multiprocessing.get_context("fork")
Report = Callable[[Exception], None]
Place = Callable[[UUID, Sequence[WantedLine]], bool]
"""Whether the order stands: a client may give up when the time is over."""


@dataclass(frozen=True)
class Task:
    """What to do."""

    client: str
    """`ours` or `naive`."""
    clients: int
    seconds: float
    mix: Mix
    way_in: WayIn
    reader: Socket | None = None
    """Where one of the customers looks for each of its orders until it is there."""


@dataclass
class Ordered:
    """What became of it."""

    acknowledged: int = 0
    """All, those included that were under way when the time was up."""
    in_time: int = 0
    milliseconds: list[float] = field(default_factory=list)
    """From asking to acknowledgement, of each order."""
    tried_again: int = 0
    lags: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the beginning, and milliseconds from an acknowledgement to the order on the reader."""

    def add(self, other: Ordered) -> None:
        """Count another customer in."""
        self.acknowledged += other.acknowledged
        self.in_time += other.in_time
        self.milliseconds += other.milliseconds
        self.tried_again += other.tried_again
        self.lags += other.lags


def order(task: Task) -> Outcome:
    """Have the task done by another process."""
    done = subprocess.run(
        [PYTHON, "-m", "bench.orders.customers"],
        input=json.dumps(_as_json(task)),
        stdout=subprocess.PIPE,
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        text=True,
        check=True,
        timeout=4 * task.seconds + 120,
    )
    found = json.loads(done.stdout)
    return Outcome(
        acknowledged=found["acknowledged"],
        orders_per_second=found["in_time"] / task.seconds,
        milliseconds=tuple(sorted(found["milliseconds"])),
        tried_again=found["tried_again"],
        lags=tuple((seconds, milliseconds) for seconds, milliseconds in found["lags"]),
    )


def _as_json(task: Task) -> dict[str, Any]:
    return {**asdict(task), "by": "socket" if isinstance(task.way_in, Socket) else "endpoint"}


def _of_json(values: dict[str, Any]) -> Task:
    way_in = Socket if values.pop("by") == "socket" else Endpoint
    reader = values["reader"]
    return Task(
        **{
            **values,
            "mix": Mix(**values["mix"]),
            "way_in": way_in(**values["way_in"]),
            "reader": Socket(**reader) if reader else None,
        }
    )


# --- in the other process


def main() -> None:
    """Fork the customers, let them begin together, and add up what they tell."""
    task = _of_json(json.load(sys.stdin))
    gc.freeze()  # what is imported stays shared
    beginning = _fork.Value("d", 0.0)

    def begin() -> None:
        beginning.value = time.perf_counter() + SECONDS_TO_WAKE_UP  # one clock for all processes

    barrier = _fork.Barrier(task.clients, begin)
    pipes = []
    for number in range(task.clients):
        receiving, sending = _fork.Pipe(duplex=False)
        _fork.Process(target=_customer, args=(task, number, barrier, beginning, sending), daemon=True).start()
        sending.close()
        pipes.append(receiving)
    total = Ordered()
    for pipe in pipes:
        total.add(pipe.recv())
    json.dump(asdict(total), sys.stdout)


def _customer(
    task: Task, number: int, barrier: Barrier, beginning: Synchronized[float], result: Connection
) -> None:
    ordered = Ordered()
    until = 0.0
    place = _CLIENTS[task.client](task, partial(_count_retry, ordered), lambda: time.perf_counter() > until)
    looks = _looking(task.reader, ordered) if task.reader and number == 0 else None
    baskets = task.mix.baskets(number)
    barrier.wait(PATIENCE_SECONDS)
    began = beginning.value
    until = began + task.seconds
    time.sleep(max(0.0, began - time.perf_counter()))
    while (asked := time.perf_counter()) < until:
        token = uuid4()
        if not place(token, baskets.draw()):
            break
        answered = time.perf_counter()
        ordered.acknowledged += 1
        ordered.in_time += answered <= until
        ordered.milliseconds.append((answered - asked) * 1000)
        if looks:
            looks(token, answered, began)
    result.send(ordered)


def _ours(task: Task, report: Report, _is_over: Callable[[], bool]) -> Place:
    client = OrderClient(partial(as_application, task.way_in), report=report)
    client.read(0, deadline=Deadline.after(PATIENCE_SECONDS))  # connects: that is not what is measured
    return lambda token, lines: bool(
        client.place(
            request_token=token,
            warehouse_id=WAREHOUSE_ID,
            country="France",
            lines=lines,
            deadline=Deadline.after(PATIENCE_SECONDS),
        )
    )


def _naive(task: Task, report: Report, is_over: Callable[[], bool]) -> Place:
    client = NaiveClient(as_superuser(task.way_in), report, is_over)
    return lambda token, lines: client.place(
        request_token=token, warehouse_id=WAREHOUSE_ID, country="France", lines=lines
    )


_CLIENTS = {"ours": _ours, "naive": _naive}


def _count_retry(ordered: Ordered, _error: Exception) -> None:
    ordered.tried_again += 1


def _looking(reader: Socket, ordered: Ordered) -> Callable[[UUID, float, float], None]:
    """Return what notes how long an order took to the reader."""
    session: Session = as_superuser(reader)

    def look(token: UUID, answered: float, began: float) -> None:
        give_up = answered + PATIENCE_SECONDS
        while not session.rows("SELECT 1 FROM shop.orders WHERE request_token = %s", (token,)):
            if time.perf_counter() > give_up:
                raise TimeoutError(f"the reader did not show an order within {PATIENCE_SECONDS:.0f} s")
            time.sleep(LOOKING_SECONDS)  # it looks for news, and takes no core to itself
        ordered.lags.append((answered - began, (time.perf_counter() - answered) * 1000))

    return look


if __name__ == "__main__":
    main()
