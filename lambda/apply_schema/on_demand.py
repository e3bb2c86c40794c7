"""A function that is invoked by hand, as an operator's way to a database that no workstation can reach."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from apply_schema.answers import Answer
from apply_schema.limits import Limits
from apply_schema.opening import packaged_directory
from apply_schema.opening_in_aws import open_database
from apply_schema.verbs import Exit, Order, run
from custom_resource import MalformedEvent

if TYPE_CHECKING:
    from apply_schema.migrations import Report
    from aurora.deadline import Deadline

_TYPES: dict[str, type] = {
    "verb": str,
    "allow_late": bool,
    "rehearse": bool,
    "version": int,
    "statement_done": bool,
    "statement_undone": bool,
    "start_over": bool,
}


def answered(event: Mapping[str, Any], *, deadline: Deadline, report: Report) -> dict[str, Any]:
    """Return what the command line would print and exit with, for an event such as `{"verb": "status"}`.

    Raises MalformedEvent where the event is no order. However a run ends, that is no error of the function.
    """
    if event["verb"] == "contents":
        from apply_schema import contents  # what only a rehearsal needs

        return contents.answered(event, deadline=deadline)
    order = order_of(event)
    if order.problem:
        return _answer(
            Exit.USAGE, Answer(f"usage: {order.problem}", {"state": "usage", "message": order.problem})
        )
    limits = Limits(wait_for_lock_seconds=deadline.remaining_seconds(), deadline=deadline)
    said: list[str] = []
    code, answer = run(
        order,
        packaged_directory(os.environ.get("DATABASE_ENGINE", "postgresql")),
        lambda: open_database(None, os.environ, limits),
        _both(report, said.append),
    )
    return _answer(code, answer, said)


def order_of(event: Mapping[str, Any]) -> Order:
    """Return the order, or raise MalformedEvent naming everything that is wrong with it."""
    problems = [
        f"{name} is {value!r:.80}: expected {_TYPES[name].__name__}"
        if name in _TYPES
        else f"{name[:80]!r} is unknown: expected {', '.join(_TYPES)}"
        for name, value in event.items()
        if type(value) is not _TYPES.get(name)
    ]
    if problems:
        raise MalformedEvent("; ".join(problems))
    return Order(**event)


def _answer(code: Exit, answer: Answer, said: Sequence[str] = ()) -> dict[str, Any]:
    return {"exit_code": int(code), "progress": list(said), "text": answer.text, "data": answer.data}


def _both(first: Report, second: Report) -> Callable[[str], None]:
    def report(line: str) -> None:
        first(line)
        second(line)

    return report
