"""Lines of invoices that may have come by before: only the database can tell whose they are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from aurora.loading import Bulk
from seed_data import recorded, recording
from seed_data.normalising import Normaliser
from seed_data.online_retail import BadLine, parse
from seed_data.recorded import SetAside

LINES_AT_ONCE = 5000


def order_lines(bulk: Bulk, normaliser: Normaliser) -> Iterator[str]:
    """Yield rows for the lines that belong to this load, some thousand at a time, and reject the others.

    An invoice of an earlier load is never recorded twice. One of this load, whose lines do not stand together
    in the file, goes on where it ended; its order is recorded anew, finished. All others are new. The server
    sorts the lines by invoice, so that each is begun and finished once, however scattered its lines are.
    """
    if not normaliser.set_aside.count:
        return
    recording.stage_set_aside(bulk, normaliser)
    lines = recorded.set_aside(bulk, rows_at_once=LINES_AT_ONCE)
    first = next(lines)  # from here on, they see the orders as they are now
    recording.remove_orders_to_resume(bulk, normaliser)
    rows = _rows(normaliser, itertools.chain([first], lines))
    while batch := list(itertools.islice(rows, LINES_AT_ONCE)):
        yield "".join(batch)


def _rows(normaliser: Normaliser, lines: Iterator[SetAside]) -> Iterator[str]:
    """Yield one row per line, an empty one where the line is rejected."""
    invoices = itertools.groupby(lines, key=lambda line: (line.invoice, line.order_id, line.load_id))
    for (_, order_id, load_id), of_invoice in invoices:
        if order_id is None or load_id == normaliser.load_id:
            yield from _rows_of_order(normaliser, of_invoice)
            continue
        for line in of_invoice:
            normaliser.reject(line.number, line.text, _recorded_before(load_id))
            yield ""


def _rows_of_order(normaliser: Normaliser, lines: Iterator[SetAside]) -> Iterator[str]:
    first = next(lines)
    order = first.order()
    if order:
        normaliser.resume(order)
    else:
        order = normaliser.begin(parse(first.text))
    for line in itertools.chain([first], lines):
        try:
            yield normaliser.add(order, parse(line.text))
        except BadLine as bad:
            normaliser.reject(line.number, line.text, str(bad))
            yield ""
    normaliser.finish(order)


def _recorded_before(load_id: int | None) -> str:
    return "the invoice is recorded already, " + (f"by load {load_id}" if load_id else "and not by a load")
