"""How many invocations of a function may run at once: what its reservation says.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.awslambda.utils import get_backend

_LOOK_AGAIN_SECONDS = 1.0  # a reservation may change while somebody waits for it


class Throttled(Exception):
    """Every invocation that the function's reservation allows is running."""


class Concurrency:
    """Counts the invocations that run, function by function, versions and aliases together."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: Counter[str] = Counter()
        self._is_closed = False

    @contextmanager
    def one(self, function: Any, *, waits: bool) -> Iterator[int]:
        """Count one more while the block runs, which learns how many run now.

        Throttled when there is no room, unless the caller waits.
        """
        name = f"{function.account_id}:{function.region}:{function.function_name}"
        with self._changed:
            while self._is_full(name, function):
                if not waits or self._is_closed:
                    raise Throttled("Rate Exceeded.")
                self._changed.wait(_LOOK_AGAIN_SECONDS)
            self._running[name] += 1
            at_once = self._running[name]
        try:
            yield at_once
        finally:
            with self._changed:
                self._running[name] -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _is_full(self, name: str, function: Any) -> bool:
        reserved = _reserved(function)
        return reserved is not None and self._running[name] >= int(reserved)


def _reserved(function: Any) -> int | str | None:
    """Return the reservation, which is the function's and none of its versions'."""
    try:
        latest = get_backend(function.account_id, function.region).get_function(function.function_name)
    except Exception:  # deleted in the meantime: what was asked for still runs
        latest = function
    reserved: int | str | None = latest.reserved_concurrency
    return reserved
