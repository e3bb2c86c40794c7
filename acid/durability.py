"""Durability: the writer is killed again and again under load, and nothing acknowledged is lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from acid.consistency import Kept, kept, last_order_id
from acid.load import Promises, customers
from acid.stage import Stage

CUSTOMERS = 16


@dataclass
class Killed:
    """What the kills did."""

    kept: Kept
    promises: Promises
    outages_seconds: list[float] = field(default_factory=list)
    """From each SIGKILL to the first order that was acknowledged after it."""
    killed_at: list[float] = field(default_factory=list)
    """Seconds from the load's beginning to each SIGKILL."""


def kill_under_load(
    stage: Stage,
    *,
    kills: int,
    orders: int,
    report: Callable[[str], None] = lambda line: None,
) -> Killed:
    """Kill the writer so many times, and go on until so many orders are acknowledged."""
    choice = random.Random(kills)  # noqa: S311 - when to kill
    outages: list[float] = []
    killed_at: list[float] = []
    began = time.monotonic()
    before_id = last_order_id(stage)
    with customers(stage, CUSTOMERS) as promises:
        for number in range(1, kills + 1):
            _wait_for(promises, orders * number // (kills + 1))
            time.sleep(choice.uniform(0, 0.2))
            stage.writer.kill()
            killed, acknowledged = time.monotonic(), len(promises.acknowledged)
            stage.start_writer_again()
            _wait_for(promises, acknowledged + 1)
            outages.append(time.monotonic() - killed)
            killed_at.append(killed - began)
            report(
                f"kill {number} of {kills}: {len(promises.acknowledged):,} orders acknowledged,"
                f" back after {outages[-1] * 1000:.0f} ms"
            )
        _wait_for(promises, orders)
    return Killed(kept(stage, promises, since_order_id=before_id), promises, outages, killed_at)


def _wait_for(promises: Promises, acknowledged: int, *, longest_seconds: float = 120.0) -> None:
    give_up = time.monotonic() + longest_seconds
    while len(promises.acknowledged) < acknowledged:
        if time.monotonic() > give_up:
            raise TimeoutError(
                f"{len(promises.acknowledged):,} orders acknowledged, {acknowledged:,} expected:"
                f" none for {longest_seconds:.0f} s"
            )
        time.sleep(0.01)
