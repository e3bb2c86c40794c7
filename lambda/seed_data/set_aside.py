"""Lines of invoices that may have come by before: only the database can tell whose they are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - the driver's class, by a class's name

from seed_data import recorded, recording
from seed_data.model import Order
from seed_data.normalising import Normaliser
from seed_data.online_retail import BadLine, Line, parse
from seed_data.recorded import RecordedOrder

LINES_AT_ONCE = 5000


class SetAside(NamedTuple):
    """A well-formed line, where it stands and what it says."""

    number: int
    text: str
    line: Line


def order_lines(cursor: Cursor, normaliser: Normaliser) -> Iterator[str]:
    """Yield rows for the lines that belong to this load, some thousand at a time, and reject the others.

    An invoice of an earlier load is never recorded twice. One of this load, whose lines do not stand together
    in the file, goes on where it ended; its order is recorded anew, finished. All others are new.
    """
    waiting = iter(normaliser.set_aside.file())
    while batch := [_read(text) for text in itertools.islice(waiting, LINES_AT_ONCE)]:
        yield _rows(cursor, normaliser, batch)


def _read(text: bytes) -> SetAside:
    number, _, line = text.decode().rstrip("\n").partition("\t")
    return SetAside(int(number), line, parse(line))


def _rows(cursor: Cursor, normaliser: Normaliser, batch: Iterable[SetAside]) -> str:
    known = recorded.orders(cursor, {each.line.invoice for each in batch})
    orders = _resume(cursor, normaliser, known)
    rows = []
    for each in batch:
        invoice = each.line.invoice
        try:
            if invoice in known and invoice not in orders:
                raise BadLine(_recorded_before(known[invoice]))
            if invoice not in orders:
                orders[invoice] = normaliser.begin(each.line)
            rows.append(normaliser.add(orders[invoice], each.line))
        except BadLine as bad:
            normaliser.reject(each.number, each.text, str(bad))
    for order in orders.values():
        normaliser.finish(order)
    return "".join(rows)


def _resume(cursor: Cursor, normaliser: Normaliser, known: dict[str, RecordedOrder]) -> dict[str, Order]:
    """Return those of the orders that this load has recorded, taken back from the database."""
    ours = {i: each.order for i, each in known.items() if each.load_id == normaliser.load_id}
    recording.remove_orders(cursor, [order.order_id for order in ours.values()])
    for order in ours.values():
        normaliser.resume(order)
    return ours


def _recorded_before(found: RecordedOrder) -> str:
    return "the invoice is recorded already, " + (
        f"by load {found.load_id}" if found.load_id else "and not by a load"
    )
