"""Whatever breaks a load off, it leaves nothing; the next one is as if it had been the first."""

from __future__ import annotations

import gzip
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from aurora.deadline import Deadline
from aurora.failures import Cause, DatabaseError
from aurora.mysql_loading import MysqlBulk
from aurora.postgresql_loading import PostgresqlBulk
from seed_data import recording, set_aside
from seed_data.data_file import UnusableFile
from seed_data.generated import Generated
from seed_data.loader import LoadStopped, load
from seed_data.normalising import Normaliser
from seed_data.recording import TotalsDiffer
from seed_data.sources import PathSource
from tests.database.loader_dialect import (
    copying,
    end_session,
    everything,
    keys,
    loaders,
    order_at_work,
    place_order,
    url,
    waiting,
)
from tests.database.retail_files import HEADER, rows_in, rows_of, sale, written
from tests.database.test_loader import assert_sound, loaded

LAMBDA = Path(__file__).parents[2] / "lambda"
MANY = 20_000  # lines: several blocks, so that the first are in the database when the last are read
GOOD = f"{sale()}\n".encode()
FILLER = f"{HEADER}\n".encode() + b"".join(f"{sale(str(n // 20))}\n".encode() for n in range(MANY))


@pytest.fixture
def unchanged(database):
    """Asserts at the end that the test has changed nothing, and that the database takes a load."""
    before, keys_before = everything(database), keys(database)
    yield
    assert everything(database) == before
    assert keys(database) == keys_before


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the file is empty"),
        (gzip.compress(b""), "the file is empty"),
        (b"\n", "line 1 is ''"),
        (HEADER.encode(), "ends after its header"),
        (HEADER.encode() + b"\n", "ends after its header"),
        (GOOD * 3, "expected the header"),
        (FILLER.replace(b",", b";"), "expected the header"),
        (FILLER.decode().encode("utf-16"), "line 1"),
        (b"PK\x03\x04" + bytes(1000), "line 1 holds a NUL byte"),  # an .xlsx by another name
        (gzip.compress(FILLER)[:-9], "truncated"),
        (gzip.compress(FILLER)[:5000], "truncated"),
        (gzip.compress(FILLER)[:-8] + bytes(8), "damaged"),
        (gzip.compress(FILLER) + b"garbage", "damaged"),
        (FILLER + b"\xff\xfe\n", f"line {MANY + 2} is not UTF-8"),
        (FILLER + b"a\0b\n", f"line {MANY + 2} holds a NUL byte"),
        (FILLER + b"x" * 70_000 + b"\n", f"line {MANY + 2} is longer than"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # not a megabyte of content
)
@pytest.mark.usefixtures("unchanged")
def test_a_bad_file_is_refused_whole(database, tmp_path, content, complaint):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(UnusableFile, match=complaint):
        loaded(database, path)


@pytest.mark.usefixtures("unchanged")
def test_a_file_that_cannot_be_read_is_refused(database, tmp_path):
    for path in (tmp_path / "missing.csv", tmp_path, Path("nul\0byte")):
        with pytest.raises(UnusableFile, match="cannot be read"):
            loaded(database, path)


@pytest.mark.usefixtures("unchanged")
def test_a_line_that_became_nothing_undoes_the_load(database, tmp_path, monkeypatch):
    monkeypatch.setattr(Normaliser, "reject", lambda *_: None)
    with pytest.raises(TotalsDiffer, match="3 lines read: 2 order lines, 0 rejects"):
        loaded(database, written(tmp_path / "file.csv", [sale(), "bad", sale("2")]))


@pytest.mark.usefixtures("unchanged")
def test_a_row_that_did_not_arrive_undoes_the_load(database, tmp_path, monkeypatch):
    all_rows = Normaliser.order_lines
    monkeypatch.setattr(
        Normaliser,
        "order_lines",
        lambda self, blocks: (rows[: rows.index("\n") + 1] for rows in all_rows(self, blocks)),
    )
    with pytest.raises(TotalsDiffer, match=r"quantity, amount: \(2, 0, .* in the file, \(1, 0, .* recorded"):
        loaded(database, written(tmp_path / "file.csv", [sale(), sale()]))


def with_rows(monkeypatch, rows: str) -> None:
    """Have these rows of order lines sent after the file's own."""
    all_rows = Normaliser.order_lines
    monkeypatch.setattr(
        Normaliser, "order_lines", lambda self, blocks: itertools.chain(all_rows(self, blocks), [rows])
    )


@pytest.mark.parametrize(
    "row",
    [
        "1\t1\t{product}\t6\t2.55\t\\N\t\\N\n",  # a key that is there
        "1\t2\t{product}\t0\t2.55\t\\N\t\\N\n",  # a constraint
        "1\t2\t{product}\t\\N\t2.55\t\\N\t\\N\n",
        "1\t2\t{product}\tsix\t2.55\t\\N\t\\N\n",
        "1\t2\t{product}\t3000000000\t2.55\t\\N\t\\N\n",
        "1\t2\t{product}\t6\t9999999999.5\t\\N\t\\N\n",
        "1\t2\t{product}\t6\t2.55\t\\N\t2010-02-30 00:00:00\n",
        "1\t2\t{product}\t6\t2.55\t\\N\n",  # a column too few
        "1\t2\t{product}\t6\t2.55\t\\N\t\\N\t\\N\n",  # one too many
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_a_row_that_does_not_fit_undoes_the_load(database, tmp_path, monkeypatch, row):
    product = database.value("SELECT max(product_id) + 1 FROM shop.products")
    with_rows(monkeypatch, row.format(product=product))
    with pytest.raises(DatabaseError):
        loaded(database, written(tmp_path / "file.csv", [sale()]))


@pytest.mark.parametrize(
    ("row", "constraint"),
    [
        ("1\t2\t1000000\t6\t2.55\t\\N\t\\N\n", "order_lines_product_fk"),
        ("1000000\t1\t{product}\t6\t2.55\t\\N\t\\N\n", "order_lines_order_fk"),
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_a_line_without_its_order_or_product_undoes_the_load(
    database, tmp_path, monkeypatch, row, constraint
):
    product = database.value("SELECT max(product_id) + 1 FROM shop.products")
    with_rows(monkeypatch, row.format(product=product))
    with pytest.raises(DatabaseError) as failed:
        loaded(database, written(tmp_path / "file.csv", [sale()]))
    assert (failed.value.cause, failed.value.constraint) == (Cause.MISSING_PARENT, constraint)


@pytest.mark.usefixtures("unchanged")
def test_an_order_without_its_customer_undoes_the_load(database, tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "add_customers", lambda *_: None)
    with pytest.raises(DatabaseError) as failed:
        loaded(database, written(tmp_path / "file.csv", [sale()]))
    assert failed.value.constraint == "orders_customer_fk"


@pytest.mark.usefixtures("unchanged")
def test_the_deadline_ends_a_load_among_lines_that_were_set_aside(database, tmp_path, monkeypatch):
    monkeypatch.setattr(set_aside, "LINES_AT_ONCE", 2)
    deadline = Deadline.after(60)
    monkeypatch.setattr(
        recording,
        "remove_orders_to_resume",
        lambda *_: monkeypatch.setattr(Deadline, "passed", lambda _: True),
    )
    path = written(tmp_path / "file.csv", [sale("1"), sale("2"), *[sale("1")] * 5])
    with (
        closing(database.session("shop_loader")) as session,
        pytest.raises(LoadStopped, match="while adding orders"),
    ):
        load(session, PathSource(path), deadline=deadline)
    monkeypatch.undo()


class Slow(PathSource):
    """A file that stalls after its first bytes until it is told to go on."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.stalled, self.go_on = threading.Event(), threading.Event()

    @contextmanager
    def open(self):
        with super().open() as file:
            self._file, self._reads = file, 0
            yield self

    def read(self, size: int) -> bytes:
        self._reads += 1
        if self._reads == 4:
            self.stalled.set()
            assert self.go_on.wait(30)
        return self._file.read(min(size, 300_000))


@pytest.fixture
def slow(tmp_path):
    (tmp_path / "slow.csv").write_bytes(FILLER)
    source = Slow(tmp_path / "slow.csv")
    yield source
    source.go_on.set()


@pytest.fixture
def background():
    with ThreadPoolExecutor() as pool:
        yield pool


def in_background(pool, database, source, *, seconds=30.0):
    session = database.session("shop_loader")
    return session, pool.submit(load, session, source, deadline=Deadline.after(seconds))


@pytest.mark.usefixtures("unchanged")
def test_the_deadline_ends_a_load_while_it_reads(database, slow, background, monkeypatch):
    for bulk in (PostgresqlBulk, MysqlBulk):  # the server's own limit would hide ours
        monkeypatch.setattr(bulk, "limit_statements", lambda *_: None)
    _, load_ = in_background(background, database, slow, seconds=1.0)
    assert slow.stalled.wait(10)
    time.sleep(1.1)
    slow.go_on.set()
    with pytest.raises(LoadStopped, match=r"while loading \(lines read: [1-9].*nothing was changed"):
        load_.result(30)


def test_the_deadline_ends_the_comparison_with_earlier_loads(database, slow, background, tmp_path):
    loaded(database, written(tmp_path / "first.csv", [sale("first")]))
    _, load_ = in_background(background, database, slow, seconds=1.0)
    assert slow.stalled.wait(10)
    time.sleep(1.1)
    slow.go_on.set()
    with pytest.raises(LoadStopped, match="while comparing with earlier loads"):
        load_.result(30)


@pytest.mark.usefixtures("unchanged")
def test_the_deadline_ends_the_wait_for_an_order(database, background, tmp_path):
    source = PathSource(written(tmp_path / "file.csv", [sale()]))
    with order_at_work(database):
        _, load_ = in_background(background, database, source, seconds=0.5)
        with pytest.raises(LoadStopped, match="while waiting for orders to end"):
            load_.result(20)


def test_the_deadline_ends_the_wait_for_another_load(database, slow, background, tmp_path):
    _, first = in_background(background, database, slow)
    assert slow.stalled.wait(10)
    with pytest.raises(LoadStopped, match="while waiting for another load to end"):
        loaded(database, written(tmp_path / "file.csv", [sale("x")]), seconds=0.5)
    slow.go_on.set()
    assert first.result(30).is_new
    assert_sound(database)


def test_two_loads_of_one_file_at_once_load_it_once(database, slow, background):
    _, first = in_background(background, database, slow)
    assert slow.stalled.wait(10)
    _, second = in_background(background, database, PathSource(slow._path))
    slow.go_on.set()
    assert (first.result(30).is_new, second.result(30).is_new) == (True, False)
    assert rows_in(database) == rows_of(slow._path)


def test_loads_of_overlapping_files_at_once_record_each_invoice_once(database, background, tmp_path):
    paths = [
        written(tmp_path / f"{n}.csv", [sale(str(invoice)) for invoice in range(n, n + 3000)])
        for n in (0, 1000, 2000)
    ]
    loads = [in_background(background, database, PathSource(path))[1] for path in paths]
    reports = [each.result(60) for each in loads]
    assert sum(report.load.order_lines for report in reports) == 5000
    assert sum(report.load.rejects for report in reports) == 4000
    assert rows_in(database).total() == 9000
    assert_sound(database)


def test_orders_wait_for_a_load_and_are_placed_after_it(database, slow, background):
    _, first = in_background(background, database, slow)
    assert slow.stalled.wait(10)
    order = background.submit(place_order, database)
    time.sleep(0.2)
    assert not order.done()
    slow.go_on.set()
    last_loaded = MANY // 20
    assert first.result(30).is_new
    assert order.result(30) > last_loaded
    assert_sound(database)


def test_a_load_takes_its_numbers_after_those_of_orders_at_work(database, background, tmp_path):
    path = written(tmp_path / "file.csv", [sale(str(invoice)) for invoice in range(10)])
    with order_at_work(database):
        _, load_ = in_background(background, database, PathSource(path))
        wait_until(lambda: waiting(database) == 1)
        order = background.submit(place_order, database)
        time.sleep(0.2)
        assert not load_.done()
    assert load_.result(30).load.order_lines == 10
    order.result(30)
    assert_sound(database)


def test_orders_that_are_placed_while_a_load_runs_are_all_there_and_none_twice(database, background):
    stop = threading.Event()

    def shopping() -> list[int]:
        placed = []
        while not stop.is_set():
            placed.append(place_order(database))
        return placed

    shoppers = [background.submit(shopping) for _ in range(3)]
    try:
        for seed in (1, 2, 3):
            with closing(database.session("shop_loader")) as session:
                report = load(session, Generated(3000, seed), deadline=Deadline.after(60))
            assert report.load.lines == 3000
    finally:
        stop.set()
    placed = [order_id for shopper in shoppers for order_id in shopper.result(30)]
    kept = {id_ for (id_,) in database.rows("SELECT order_id FROM shop.orders WHERE status = 'placed'")}
    assert len(placed) > 10
    assert (set(placed), len(placed)) == (kept, len(kept))
    assert_sound(database)


@pytest.mark.usefixtures("unchanged")
def test_a_lost_connection_leaves_nothing(database, slow, background):
    session, load_ = in_background(background, database, slow)
    assert slow.stalled.wait(10)
    end_session(database, session)
    slow.go_on.set()
    with pytest.raises(DatabaseError):
        load_.result(30)


def test_killed_three_times_in_the_middle_and_run_again(database, tmp_path):
    before, keys_before = everything(database), keys(database)
    path = tmp_path / "file.csv"
    path.write_bytes(FILLER)
    for part in (0.2, 0.6, 1.0):
        kill_in_the_middle(database, FILLER[: int(len(FILLER) * part)])
        assert everything(database) == before
        assert keys(database) == keys_before
    assert loaded(database, path).is_new
    assert rows_in(database) == rows_of(path)
    assert keys(database) == keys_before
    assert_sound(database)


def kill_in_the_middle(database, content: bytes) -> None:
    """Kill a loader that was given so much of a file, and wait until its server process has noticed."""
    loader = subprocess.Popen(
        [sys.executable, "-m", "seed_data", "-", "--database", url(database)],
        cwd=LAMBDA,
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert loader.stdin
    try:
        loader.stdin.write(content)
        loader.stdin.flush()
        wait_until(lambda: copying(database) == 1)
    finally:
        os.kill(loader.pid, signal.SIGKILL)
        loader.wait(10)
        loader.stdin.close()
    wait_until(lambda: loaders(database) == 0)


def wait_until(fulfilled, *, seconds: float = 20.0) -> None:
    deadline = Deadline.after(seconds)
    while not fulfilled():
        assert not deadline.passed()
        time.sleep(0.02)
