"""Work through a graph, everything at once that waits for nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

_AT_ONCE = 16  # what runs long are functions and databases, each in a process of its own


def walk(
    graph: Mapping[str, set[str]],
    work: Callable[[str], None],
    *,
    stop: threading.Event | None = None,
) -> dict[str, Exception]:
    """Call `work` for each name when all that it waits for is done; return the failures, by name.

    With `stop`, the first failure sets it and nothing new is begun. Without, only what waits for a failed
    name is left out. What has begun is always waited for. Names that `graph` waits for but does not have
    count as done.
    """
    waiting = {name: {other for other in needed if other in graph} for name, needed in graph.items()}
    running: dict[Future[None], str] = {}
    failures: dict[str, Exception] = {}
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="walk") as pool:
        while True:
            if stop is None or not stop.is_set():
                for name in [name for name, needed in waiting.items() if not needed]:
                    del waiting[name]
                    running[pool.submit(work, name)] = name
            if not running:
                return failures
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                name, error = running.pop(done), done.exception()
                if error is None:
                    for needed in waiting.values():
                        needed.discard(name)
                elif isinstance(error, Exception):
                    failures[name] = error
                    if stop is not None:
                        stop.set()
                else:
                    raise error


def reversed_graph(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the graph with arrows turned: what has to go before each name can."""
    turned: dict[str, set[str]] = {name: set() for name in graph}
    for name, needed in graph.items():
        for other in needed & turned.keys():
            turned[other].add(name)
    return turned
