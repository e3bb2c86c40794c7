"""Customers who order in the test's warehouse without a pause, and what became of what they were promised.

For rehearsals: while they order, an operator fails the cluster over. Their orders are taken away in the end.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from aurora.connecting import connect_application
from aurora.deadline import Deadline
from aurora.environment import DatabaseEnvironment
from aurora.redaction import redact
from aurora.session import Session
from custom_resource import MalformedEvent
from orders import OrderClient, OrderRefused, OutcomeUnknown, PlacedOrder, WantedLine
from smoke_test.scene import COUNTRY, OTHER_PRODUCT, PRODUCT, WAREHOUSE_ID

VERB = "order"
MOST_CUSTOMERS = 16
SHORTEST_SECONDS, LONGEST_SECONDS = 1, 600
PATIENCE_SECONDS = 60.0
"""For which a customer waits for one order: longer than a failover takes."""
THINKING_SECONDS = 0.01
"""Between one order of a customer's and the next: this measures a pause, and is to load nobody's writer."""
MOST_QUANTITY = 3
PURGED_AT_ONCE = 1000
NAMED = 10
"""How many of a kind are named in the answer."""
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Demand:
    """How many customers order, for how long; `run` tells this load's lines in the log from another's."""

    seconds: float
    customers: int = 4
    run: str = ""

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Demand:
        """Return what an event such as `{"verb": "order", "seconds": 60}` asks for; may be malformed."""
        unknown = sorted(set(event) - {"verb", "seconds", "customers", "run"})
        problems = [f"{name[:80]!r} is unknown: expected seconds, customers, run" for name in unknown]
        if event.get("verb") != VERB:
            problems.append(f"verb is {event.get('verb')!r:.80}: expected {VERB!r}")
        problems += _out_of_range(event, "seconds", SHORTEST_SECONDS, LONGEST_SECONDS)
        problems += _out_of_range({"customers": 4, **event}, "customers", 1, MOST_CUSTOMERS)
        run = event.get("run", "")
        if not isinstance(run, str) or len(run) > 64:
            problems.append(f"run is {run!r:.80}: expected a text of 64 characters at most")
        if problems:
            raise MalformedEvent("; ".join(problems))
        return cls(float(event["seconds"]), int(event.get("customers", 4)), run)


def _out_of_range(event: Mapping[str, Any], name: str, least: int, most: int) -> Iterator[str]:
    value = event.get(name)
    if type(value) is not int or not least <= value <= most:
        yield f"{name} is {value!r:.80}: expected a whole number, {least} to {most}"


@dataclass
class Promises:
    """What all customers asked for, and what they were told."""

    asked: set[UUID] = field(default_factory=set)
    acknowledged: dict[UUID, PlacedOrder] = field(default_factory=dict)
    acknowledged_at: list[float] = field(default_factory=list)
    """Seconds from the beginning to each acknowledgement."""
    refused: int = 0
    unknown: int = 0
    """Orders of which nobody can say to the customer whether they were placed."""
    tried_again: int = 0
    gave_up: list[str] = field(default_factory=list)
    """Errors with which a customer went away: none is expected."""


@dataclass(frozen=True)
class Kept:
    """What became of the promises."""

    lost: tuple[str, ...]
    """Request tokens that were acknowledged, and whose order is not there."""
    altered: tuple[str, ...]
    """There, with another number, count of lines or total than was acknowledged."""
    twice: int
    """Orders that stand a second time."""
    unacknowledged: int
    """There although nobody was told: asked for, and the answer was lost."""
    violations: Mapping[str, int]
    """Of the schema's invariants, those that have any."""

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.altered or self.twice or self.violations)


def order_for_a_while(
    environment: DatabaseEnvironment,
    demand: Demand,
    *,
    deadline: Deadline,
    cleanup_deadline: Deadline,
    began: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Have customers order through the proxy; return how long nobody could, and what was lost.

    `began` is called once each of them has been answered, and the time counts from then. No order is begun
    after `deadline`, and all are purged before `cleanup_deadline`, also where the load is broken off.
    """
    if demand.seconds > deadline.remaining_seconds():
        raise MalformedEvent(
            f"seconds is {demand.seconds:.0f}: this function has {deadline.remaining_seconds():.0f} s left "
            "for orders; ask for less, or raise timeout_minutes in the settings"
        )
    promises = Promises()
    try:
        seconds = _order(environment, demand, promises, deadline=deadline, began=began)
        with closing(connect_application(environment, deadline=cleanup_deadline)) as session:
            found = kept(session, promises)
    finally:
        purged, left = _purge(environment, promises, cleanup_deadline)
    return _answer(demand, promises, found, seconds=seconds) | {"purged": purged, "left": left}


def kept(session: Session, promises: Promises) -> Kept:
    """Compare what customers were told with what the writer holds."""
    found = session.rows(
        "SELECT request_token, order_id, line_count, total_amount FROM shop.orders WHERE warehouse_id = %s",
        (WAREHOUSE_ID,),
    )
    ours = [
        (token, tuple(placed)) for stored, *placed in found if (token := _token(stored)) in promises.asked
    ]
    there = dict(ours)
    told = {
        token: (placed.order_id, placed.line_count, placed.total_amount)
        for token, placed in promises.acknowledged.items()
    }
    return Kept(
        lost=_named(told.keys() - there.keys()),
        altered=_named(token for token, placed in told.items() if there.get(token, placed) != placed),
        twice=len(ours) - len(there),
        unacknowledged=len(there.keys() - told.keys()),
        violations={
            name: int(count)
            for name, count in session.rows("SELECT invariant, violations FROM shop.invariants")
            if count
        },
    )


def longest_pause(acknowledged_at: Sequence[float]) -> tuple[float, float]:
    """Return the longest time between one acknowledgement and the next, and when it began."""
    ordered = sorted(acknowledged_at)
    pauses = ((later - earlier, earlier) for earlier, later in itertools.pairwise(ordered))
    return max(pauses, default=(0.0, 0.0))


def _order(
    environment: DatabaseEnvironment,
    demand: Demand,
    promises: Promises,
    *,
    deadline: Deadline,
    began: Callable[[], None],
) -> float:
    """Let all customers order until the time is over; return for how long they did."""
    started, stop, lock = time.monotonic(), threading.Event(), threading.Lock()
    served = [threading.Event() for _ in range(demand.customers)]

    def customer(number: int) -> None:
        choice = random.Random(number)  # noqa: S311 - the same baskets in every run
        client = OrderClient(
            lambda patience: connect_application(environment, deadline=patience),
            report=lambda _error: count_retry(),
        )
        with closing(client):
            while not (stop.is_set() or deadline.passed() or promises.gave_up):
                _ask_for_one(client, choice, promises, lock, started=started, deadline=deadline)
                served[number].set()
                stop.wait(THINKING_SECONDS)

    def count_retry() -> None:
        with lock:
            promises.tried_again += 1

    with ThreadPoolExecutor(demand.customers) as pool:
        running = [pool.submit(customer, number) for number in range(demand.customers)]
        try:
            _watch(running, served, began, seconds=demand.seconds)
        finally:
            stop.set()
    for each in running:
        each.result()
    return time.monotonic() - started


def _watch(
    running: Sequence[Future[None]],
    served: Sequence[threading.Event],
    began: Callable[[], None],
    *,
    seconds: float,
) -> None:
    """Wait until all were served, say so, and wait for the end of the load, or a customer that went away."""
    until: float | None = None
    while (until is None or time.monotonic() < until) and not any(each.done() for each in running):
        if until is None and all(each.is_set() for each in served):
            began()
            until = time.monotonic() + seconds
        wait(running, timeout=POLL_SECONDS, return_when="FIRST_COMPLETED")


def _ask_for_one(
    client: OrderClient,
    choice: random.Random,
    promises: Promises,
    lock: threading.Lock,
    *,
    started: float,
    deadline: Deadline,
) -> None:
    token = uuid4()
    with lock:
        promises.asked.add(token)  # before the database hears of it
    try:
        placed = client.place(
            request_token=token,
            warehouse_id=WAREHOUSE_ID,
            country=COUNTRY,
            lines=[WantedLine(code, choice.randint(1, MOST_QUANTITY)) for code in (PRODUCT, OTHER_PRODUCT)],
            deadline=Deadline.after(min(PATIENCE_SECONDS, deadline.remaining_seconds())),
        )
    except OrderRefused:
        with lock:
            promises.refused += 1
    except OutcomeUnknown:
        with lock:
            promises.unknown += 1
    except Exception as error:  # whatever a customer goes away with is what the rehearsal found
        with lock:
            promises.gave_up.append(redact(f"{type(error).__name__}: {error}"))
    else:
        with lock:
            promises.acknowledged[token] = placed
            promises.acknowledged_at.append(time.monotonic() - started)


def _purge(environment: DatabaseEnvironment, promises: Promises, deadline: Deadline) -> tuple[int, int]:
    """Take all orders of the load away; return how many went, and how many are still there."""
    tokens = [str(token) for token in promises.asked]
    purged = 0
    with closing(connect_application(environment, deadline=deadline)) as session:
        for begin in range(0, len(tokens), PURGED_AT_ONCE):
            some = json.dumps(tokens[begin : begin + PURGED_AT_ONCE])
            purged += int(session.call("shop.purge_test_orders", (some,))[0][0])
        there = session.rows("SELECT request_token FROM shop.orders WHERE warehouse_id = %s", (WAREHOUSE_ID,))
    return purged, sum(_token(stored) in promises.asked for (stored,) in there)


def _answer(demand: Demand, promises: Promises, found: Kept, *, seconds: float) -> dict[str, Any]:
    pause_seconds, pause_at_seconds = longest_pause(promises.acknowledged_at)
    at = sorted(promises.acknowledged_at)
    ordinary = sorted(later - earlier for earlier, later in itertools.pairwise(at))
    return {
        "result": "kept" if found.whole and not promises.gave_up else "broken",
        "customers": demand.customers,
        "seconds": round(seconds, 1),
        "asked": len(promises.asked),
        "acknowledged": len(promises.acknowledged),
        "refused": promises.refused,
        "unknown": promises.unknown,
        "tried_again": promises.tried_again,
        "gave_up": promises.gave_up[:NAMED],
        "lost": len(found.lost),
        "altered": len(found.altered),
        "named": [*found.lost, *found.altered][:NAMED],
        "twice": found.twice,
        "unacknowledged": found.unacknowledged,
        "violations": dict(found.violations),
        "pause_milliseconds": round(pause_seconds * 1000, 1),
        "pause_at_seconds": round(pause_at_seconds, 3),
        "usual_milliseconds": round(ordinary[len(ordinary) // 2] * 1000, 1) if ordinary else 0.0,
    }


def _named(tokens: Iterable[UUID]) -> tuple[str, ...]:
    return tuple(sorted(str(token) for token in tokens))


def _token(stored: str | bytes | None) -> UUID | None:
    """Return a UUID, of which MySQL has no type: there it is sixteen bytes."""
    if isinstance(stored, bytes):
        return UUID(bytes=stored)
    return UUID(stored) if stored else None
