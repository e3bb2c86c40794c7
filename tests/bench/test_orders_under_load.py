"""`make bench BENCH=orders` in small: everybody orders the same mix, and what is wrong is told."""

from __future__ import annotations

import re
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from itertools import islice

import pytest

from acid.stage import ENGINES, SUPERUSER
from bench.orders.cells import (
    DELAYED,
    FLOOR,
    NAIVE,
    OURS,
    POOLED,
    PROXY,
    RECONNECTING,
    WATCHED,
    Cell,
    Extent,
    of_every_round,
    of_the_first_round,
)
from bench.orders.comparison import measure_engine
from bench.orders.measured import LAG_LIMIT_MILLISECONDS, POOL_LIMIT, Measured, Run
from bench.orders.mix import HOT, MOST_LINES, UNIFORM
from bench.orders.outcome import Outcome, percentile
from bench.orders.page import write_page
from bench.orders.relay import delayed
from bench.orders.runner import Runner
from bench.orders.shop import FIRST_PRODUCT, PRODUCTS, Found, open_shop

SMALL = Extent(rounds=1, seconds=1.0, counts=(2,))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_every_order_is_accounted_for_and_the_page_shows_it(engine, tmp_path):
    measured = measure_engine(engine, SMALL, lambda _line: None)
    assert not measured.missing
    assert all(
        run.outcome.acknowledged > 0 and run.unaccounted == 0 and run.found.violations == 0
        for runs in measured.runs.values()
        for run in runs
    )
    assert measured.deadlocks(measured.of_the_routine) == 0
    assert [ratio for ratio in measured.ratios if not ratio.kept] == []
    assert measured.lag(2, 0.99) > 0
    page = write_page(tmp_path, [measured], load_before=0.0).read_text()
    assert page.count("data:image/png;base64,") == 3
    assert not re.search(r"(src|href)='?\"?https?:", page)


@pytest.fixture(scope="module", params=ENGINES)
def runner(request):
    with open_shop(request.param) as shop, Runner(shop) as runner:
        yield shop, runner


@pytest.mark.parametrize("client", [OURS, FLOOR, NAIVE])
@pytest.mark.parametrize("mix", [HOT, UNIFORM], ids=lambda mix: mix.name)
def test_everybody_orders_the_same_mix(runner, client, mix):
    shop, runner = runner
    runner.run(Cell(client, mix, clients=1), seconds=1.0)
    lines = Counter(count for (count,) in shop.stage.rows("SELECT line_count FROM shop.orders"))
    orders = lines.total()
    assert set(lines) == set(range(1, MOST_LINES + 1))
    assert sum(count * n for count, n in lines.items()) / orders == pytest.approx(3, abs=0.6)
    products = Counter(code for (code,) in shop.stage.rows(PRODUCTS_ORDERED))
    assert products[f"B-{FIRST_PRODUCT}"] / products.total() == pytest.approx(
        mix.share_of_first, abs=0.06 if mix is HOT else 0.02
    )
    assert {int(code.removeprefix("B-")) for code in products} <= set(
        range(FIRST_PRODUCT, FIRST_PRODUCT + PRODUCTS)
    )


PRODUCTS_ORDERED = "SELECT stock_code FROM shop.order_lines JOIN shop.products USING (product_id)"


def test_what_is_wrong_in_the_shop_is_found(runner):
    shop, runner = runner
    shop.start_over()
    assert shop.check() == Found(orders=0, violations=0, deadlocks=0)
    with closing(shop.stage.session(SUPERUSER)) as session:
        session.rows("UPDATE shop.inventory SET stock = stock - 1 WHERE product_id = 7")
    assert shop.check().violations == 1


def test_a_network_of_a_millisecond_takes_one(runner):
    shop, _ = runner
    with (
        delayed(shop.writer, round_trip_milliseconds=5.0) as far,
        closing(far.connect(SUPERUSER)) as session,
    ):
        large = "x" * 300_000
        assert session.rows("SELECT %s", (large,)) == [(large,)]
        taken = []
        for _ in range(20):
            began = time.perf_counter()
            session.rows("SELECT 1")
            taken.append((time.perf_counter() - began) * 1000)
    assert min(taken) >= 5.0
    assert sorted(taken)[10] < 15.0


def test_the_hot_mix_is_hot_and_the_uniform_one_is_not():
    assert HOT.share_of_first == pytest.approx(0.231, abs=0.001)
    assert UNIFORM.share_of_first == pytest.approx(1 / PRODUCTS)
    baskets = HOT.baskets(1)
    drawn = Counter(line.stock_code for basket in islice(iter(baskets.draw, None), 2_000) for line in basket)
    assert drawn.most_common(1)[0][0] == f"B-{FIRST_PRODUCT}"


# --- what would be told


def _measured(engine: str = "postgresql", rounds: int = 3) -> Measured:
    """Every promise kept."""
    extent = Extent(rounds, 3.0, counts=(8, 32))
    measured = Measured(engine, "16.0", "pgbench", extent)
    for cell in {*of_every_round(engine, extent), *of_the_first_round(extent)}:
        rate = {NAIVE: 10.0, POOLED: 1000.0}.get(cell.client if cell.client == NAIVE else cell.way, 900.0)
        rate = 100.0 if cell.way == RECONNECTING else rate
        lags = ((0.1, 2.0), (0.2, 3.0)) if cell.way == WATCHED else ()
        run = Run(Outcome(100, rate, (1.0, 2.0), lags=lags), Found(100, 0, deadlocks=cell.client == NAIVE))
        measured.runs[cell] = [run] * rounds
    return measured


def _missed(measured: Measured) -> list[str]:
    return [ratio.name for ratio in measured.ratios if not ratio.kept]


@pytest.mark.parametrize("engine", ENGINES)
def test_kept_promises_are_told_as_kept(engine):
    assert _missed(_measured(engine)) == []


FAST = Outcome(100, 1000.0, (1.0,))
WRONG = {
    "slower than the floor": (Cell(OURS, UNIFORM, 8), {"orders_per_second": 700.0}, {}, "pgbench, uniform"),
    "not fast on hot products": (Cell(NAIVE, HOT, 32), {"orders_per_second": 30.0}, {}, "naive, hot, 32"),
    "not fast from afar": (
        Cell(NAIVE, UNIFORM, 32, DELAYED), {"orders_per_second": 500.0}, {}, "naive, uniform, 32",
    ),
    "a slow pool": (Cell(FLOOR, UNIFORM, 32, POOLED), {"orders_per_second": 600.0}, {}, "pooled"),
    "a reader far behind": (Cell(OURS, UNIFORM, 8, WATCHED), {"lags": ((0.1, 6.0),)}, {}, "lag of"),
    "a deadlock": (Cell(FLOOR, HOT, 8), {}, {"deadlocks": 1}, "deadlocks of the routine"),
    "a retry": (Cell(OURS, HOT, 8), {"tried_again": 1}, {}, "tried again"),
    "a lost order": (Cell(OURS, UNIFORM, 32, PROXY), {}, {"orders": 99}, "acknowledged and not there"),
    "an order that nobody was told of": (Cell(NAIVE, HOT, 8), {}, {"orders": 101}, "or the reverse"),
    "a violation": (Cell(NAIVE, HOT, 8), {}, {"violations": 1}, "violations of invariants"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_a_promise_that_is_not_kept_is_told(wrong):
    cell, outcome, found, name = WRONG[wrong]
    measured = _measured()
    run = measured.runs[cell][0]
    changed = Run(replace(run.outcome, **outcome), replace(run.found, **found))
    measured.runs[cell] = [changed, run, changed]  # the median is what counts
    assert any(name in missed for missed in _missed(measured)), measured.ratios


def test_what_could_not_be_measured_is_no_kept_promise():
    measured = _measured()
    del measured.runs[Cell(FLOOR, UNIFORM, 32, POOLED)]
    measured.missing = "no Debian"
    assert any("no Debian" in missed for missed in _missed(measured))


def test_a_single_round_promises_nothing_about_speed_and_everything_about_orders():
    measured = _measured(rounds=1)
    slow = Run(Outcome(100, 1.0, (1.0,)), Found(99, 0, 0))
    measured.runs[Cell(OURS, UNIFORM, 8)] = [slow]
    assert _missed(measured) == ["postgresql: orders acknowledged and not there, or the reverse"]


def test_limits_are_those_that_were_promised():
    assert (POOL_LIMIT, LAG_LIMIT_MILLISECONDS) == (6.5, 5.0)


def test_percentiles_are_of_what_was_measured():
    assert percentile(range(1, 101), 0.5) == 51
    assert percentile(range(1, 101), 0.99) == 100
    assert percentile((), 0.99) == 0.0
