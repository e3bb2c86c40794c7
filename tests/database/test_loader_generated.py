"""Generated lines loaded as they are made leave what their file leaves."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from aurora.deadline import Deadline
from seed_data import generator
from seed_data.generated import Generated
from seed_data.loader import LoadReport, load
from seed_data.sources import PathSource, Source
from tests.database.loader_dialect import emptied, url
from tests.database.retail_files import written

# All columns but moments of the load itself, the source and its digest.
ROWS = {
    "customers": "SELECT customer_id, country FROM shop.customers",
    "products": "SELECT product_id, stock_code, description, unit_price FROM shop.products",
    "inventory": "SELECT * FROM shop.inventory",
    "stock_movements": "SELECT product_id, warehouse_id, quantity, kind FROM shop.stock_movements",
    "loads": "SELECT load_id, loads.lines, order_lines, rejects, quantity, amount FROM shop.loads",
    "rejects": "SELECT * FROM shop.rejects",
    "orders": "SELECT * FROM shop.orders",
    "order_lines": "SELECT * FROM shop.order_lines",
}


def loaded(database, source: Source) -> LoadReport:
    with closing(database.session("shop_loader")) as session:
        return load(session, source, deadline=Deadline.after(120))


def file_of(path: Path, lines: int, seed: int = 1) -> PathSource:
    return PathSource(written(path, [line for block in generator.blocks(lines, seed) for line in block]))


def everything(database) -> dict[str, list[tuple]]:
    return {table: sorted(database.rows(query), key=repr) for table, query in ROWS.items()}


@pytest.mark.parametrize(("lines", "seed"), [(1, 1), (2, 3), (79, 1), (30_000, 1), (30_000, 2)])
def test_every_row_is_as_from_the_file(database, tmp_path, lines, seed):
    emptied(database)
    report = loaded(database, Generated(lines, seed))
    assert report.load.lines == lines and report.is_new
    direct = everything(database)
    emptied(database)
    loaded(database, file_of(tmp_path / "lines.csv.gz", lines, seed))
    from_file = everything(database)
    for table, rows in from_file.items():
        assert direct[table] == rows, table
    assert database.rows("SELECT * FROM shop.invariants WHERE violations <> 0") == []


def test_the_same_load_is_found_loaded(database):
    first = loaded(database, Generated(500))
    again = loaded(database, Generated(500))
    assert (first.is_new, again.is_new) == (True, False)
    assert again.load == first.load
    assert first.load.source == "generated: 500 lines from seed 1"


def test_invoices_that_are_there_already_are_not_recorded_twice(database, tmp_path):
    loaded(database, file_of(tmp_path / "first.csv", 300))
    before = database.rows("SELECT count(*) FROM shop.orders")
    report = loaded(database, Generated(300))
    assert report.load.order_lines == 0 and report.load.rejects == 300
    assert database.rows("SELECT count(*) FROM shop.orders") == before


def test_no_lines_are_a_load_without_lines(database):
    report = loaded(database, Generated(0))
    assert report.is_new
    assert (report.load.lines, report.load.order_lines, report.load.rejects) == (0, 0, 0)
    assert database.rows("SELECT count(*) FROM shop.orders") == [(0,)]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "seed_data", *arguments],
        cwd=Path(__file__).parents[2] / "lambda",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_line_generates_and_reports(database):
    done = run("--generate", "1000", "--database", url(database))
    assert done.returncode == 0, done.stderr
    assert "generated: 1,000 lines from seed 1" in done.stdout
    assert "lines        1,000" in done.stdout


def test_a_file_and_generated_lines_are_not_loaded_together():
    done = run("a.csv", "--generate", "10")
    assert done.returncode == 2
    assert "not allowed with argument" in done.stderr


def test_absurd_numbers_end_with_2_and_name_the_limit():
    done = run("--generate", "-5")
    assert done.returncode == 2
    assert "-5 lines: expected 0 to 100,000,000" in done.stderr
