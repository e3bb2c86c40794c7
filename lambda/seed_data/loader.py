"""The load: one file, one transaction, wholly or not at all."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from aurora.deadline import Deadline
from aurora.failures import DatabaseError
from aurora.loading import Bulk, bulk_of
from aurora.session import Session
from seed_data import recorded, recording, set_aside
from seed_data.data_file import Readable, UnusableFile
from seed_data.generated import GeneratedFile
from seed_data.normalising import Normaliser
from seed_data.online_retail import OnlineRetailFile
from seed_data.progress import Meter, Report
from seed_data.recorded import RecordedLoad
from seed_data.seen_invoices import SeenInvoices
from seed_data.sources import Source


class LoadStopped(Exception):
    """The deadline came first; nothing was changed."""


@dataclass(frozen=True)
class LoadReport:
    """What the file's load left in the database, now or when the same content was loaded first."""

    load: RecordedLoad
    rejects_by_reason: Mapping[str, int]
    is_new: bool
    """False: the content was loaded before, and nothing was changed now."""


def load(
    session: Session, source: Source, *, deadline: Deadline, report: Report = lambda progress: None
) -> LoadReport:
    """Load the file in one transaction: every line becomes an order line or a reject, or nothing changes.

    Content that was loaded before is found loaded. An invoice that is recorded already is not recorded again:
    its lines are rejects. Loads of one database wait for each other, and orders wait for a load. Raises
    UnusableFile, LoadStopped, TotalsDiffer and DatabaseError, each with everything rolled back. A session
    that is lost while it commits leaves open whether it did: loading again tells.
    """
    meter = Meter(report, size_bytes=source.size_bytes())
    bulk = bulk_of(session)
    try:
        with bulk.transaction(), _time_outs_told(bulk, meter):
            return _Load(bulk, source, deadline, meter).run()
    except _LoadedBefore as before:
        return before.report
    except UnusableFile as unusable:
        raise UnusableFile(f"{source.name}: {unusable}") from None


@contextmanager
def _time_outs_told(bulk: Bulk, meter: Meter) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        if bulk.is_time_out(error):
            raise _stopped(meter) from None
        raise


class _LoadedBefore(Exception):
    """Ends a load that has nothing to do, so that its transaction is rolled back."""

    def __init__(self, report: LoadReport) -> None:
        super().__init__()
        self.report = report


def _stopped(meter: Meter) -> LoadStopped:
    return LoadStopped(
        f"the deadline came while {meter.doing} (lines read: {meter.lines:,}); nothing was changed:"
        " load again with more time"
    )


class _File(Protocol):
    """Invoice lines to read once, from a file or generated."""

    @property
    def bytes_read(self) -> int:
        """How far the source is read, in the unit of its size."""

    @property
    def digest(self) -> str:
        """What tells the content read so far from any other."""

    def chunks(self) -> Iterator[bytes]:
        """Read everything for the digest alone."""

    def data_blocks(self) -> Iterator[Any]:
        """Yield the lines behind the header, in blocks with a `last_number`."""

    def order_lines(self, normaliser: Normaliser, blocks: Iterator[Any]) -> Iterator[str]:
        """Yield rows of the order lines in these blocks of its own; the normaliser keeps all else."""


def _file(opened: Readable | GeneratedFile) -> _File:
    return opened if isinstance(opened, GeneratedFile) else OnlineRetailFile(opened)


class _Load:
    """The steps of one load, inside its transaction."""

    def __init__(self, bulk: Bulk, source: Source, deadline: Deadline, meter: Meter) -> None:
        self._bulk = bulk
        self._source = source
        self._deadline = deadline
        self._meter = meter

    def run(self) -> LoadReport:
        self._begin("taking turns")
        self._bulk.take_turn(lambda: self._begin("waiting for another load to end"))
        if recorded.any_load(self._bulk) and self._source.can_be_read_again:
            self._end_if_loaded(self._digest())
        with self._source.open() as opened:
            file = _file(opened)
            lines = file.data_blocks()
            first = list(itertools.islice(lines, 1))  # a wrong header is refused before anybody waits for us
            self._begin("waiting for orders to end")
            self._bulk.lock_out(recording.LOCKED, also_used=recording.ALSO_USED)
            with closing(self._normaliser()) as normaliser:
                self._store(normaliser, file, itertools.chain(first, lines))
        return self._report(file.digest, is_new=True)

    def _digest(self) -> str:
        self._begin("comparing with earlier loads")
        with self._source.open() as opened:
            file = _file(opened)
            for _ in file.chunks():
                self._stop_at_deadline()
        return file.digest

    def _end_if_loaded(self, digest: str) -> None:
        if recorded.load_of(self._bulk, digest):
            raise _LoadedBefore(self._report(digest, is_new=False))

    def _normaliser(self) -> Normaliser:
        seen = SeenInvoices()
        for invoice in recorded.invoices(self._bulk):
            seen.add(invoice)
        return Normaliser(
            load_id=self._bulk.next_id("loads", "load_id"),
            first_order_id=self._bulk.next_id("orders", "order_id"),
            first_product_id=self._bulk.next_id("products", "product_id"),
            products=recorded.products(self._bulk),
            seen=seen,
        )

    def _store(self, normaliser: Normaliser, file: _File, blocks: Iterator[Any]) -> None:
        """Stream the file in while its keys are off; what depends on the whole file comes after."""
        bulk = self._bulk
        bulk.take_keys_off(recording.WITHOUT_KEYS)
        self._begin("loading")
        recording.add_order_lines(bulk, file.order_lines(normaliser, self._metered(file, blocks)))
        self._end_if_loaded(file.digest)  # standard input could not tell before
        self._begin("adding orders")
        recording.add_load(bulk, normaliser, name=self._source.name, digest=file.digest)
        recording.add_orders(bulk, normaliser)
        for rows in set_aside.order_lines(bulk, normaliser):
            self._stop_at_deadline()
            recording.add_order_lines(bulk, iter([rows]))
        recording.add_orders(bulk, normaliser)
        recording.add_customers(bulk, normaliser)
        recording.add_products(bulk, normaliser)
        self._begin("checking keys")
        bulk.put_keys_back()
        recording.open_stock(bulk, normaliser)
        recording.add_rejects(bulk, normaliser)
        self._begin("comparing totals")
        recording.finish_load(bulk, normaliser, lines=self._meter.lines)

    def _metered(self, file: _File, blocks: Iterator[Any]) -> Iterator[Any]:
        for block in blocks:
            self._stop_at_deadline()
            yield block
            self._meter.read(lines=block.last_number - 1, bytes_read=file.bytes_read)

    def _begin(self, what: str) -> None:
        """Say what comes now, and have the server end it at the deadline."""
        self._meter.begin(what)
        self._stop_at_deadline()
        self._bulk.limit_statements(self._deadline.remaining_seconds())

    def _stop_at_deadline(self) -> None:
        if self._deadline.passed():
            raise _stopped(self._meter)

    def _report(self, digest: str, *, is_new: bool) -> LoadReport:
        load = recorded.load_of(self._bulk, digest)
        assert load is not None  # noqa: S101 - found, or added by ourselves
        return LoadReport(load, recorded.rejects_by_reason(self._bulk, load.load_id), is_new)
