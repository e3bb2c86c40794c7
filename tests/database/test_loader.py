"""What a load leaves in the database."""

from __future__ import annotations

import gzip
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from aurora.deadline import Deadline
from seed_data import recorded, set_aside
from seed_data.loader import LoadReport, load
from seed_data.sources import SAMPLE, PathSource
from tests.database.loader_dialect import elsewhere, everything, keys, order_at_work, place_order
from tests.database.retail_files import REAL_LINES, real_file, rows_in, rows_of, sale, written


def loaded(database, path: Path, *, seconds: float = 120.0) -> LoadReport:
    with closing(database.session("shop_loader")) as session:
        return load(session, PathSource(path), deadline=Deadline.after(seconds))


def rejects(database) -> list[tuple]:
    return database.rows("SELECT load_id, line_number, reason FROM shop.rejects ORDER BY 1, 2")


def assert_sound(database) -> None:
    assert database.rows("SELECT * FROM shop.invariants WHERE violations <> 0") == []


@pytest.fixture
def file(tmp_path):
    def write(*lines: str, name: str = "file.csv", **options) -> Path:
        return written(tmp_path / name, lines, **options)

    return write


def test_the_real_file_is_loaded_to_the_last_decimal(database):
    path = real_file()
    before = keys(database)
    report = loaded(database, path)
    assert report.load[2:] == (REAL_LINES, 540_570, 1_339, Decimal(5_176_450), Decimal("9747747.934"))
    assert list(report.rejects_by_reason.values()) == [1_336, 3]
    assert rows_in(database) == rows_of(path)
    assert_sound(database)
    assert keys(database) == before
    assert database.value("SELECT count(*) - count(DISTINCT lower(stock_code)) FROM shop.products") == 112
    again = loaded(database, path)
    assert (again.load, again.is_new) == (report.load, False)


@pytest.mark.parametrize("name", ["sample.csv", "sample.csv.gz"])
def test_the_sample_is_rebuilt_from_what_was_loaded(database, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(SAMPLE.read_bytes()) if name.endswith("gz") else SAMPLE.read_bytes())
    before = keys(database)
    report = loaded(database, path)
    assert report.load == (1, name, 245, 241, 4, Decimal(2_620), Decimal("13189.450"))
    assert rows_in(database) == rows_of(path)
    assert_sound(database)
    assert keys(database) == before


def test_the_sample_has_every_quirk_of_the_real_file(database):
    loaded(database, SAMPLE)
    for quirk in (
        "SELECT count(*) FROM shop.orders WHERE status = 'returned'",
        "SELECT count(*) FROM shop.orders WHERE customer_id IS NULL AND load_id IS NOT NULL",
        "SELECT count(*) - count(DISTINCT lower(stock_code)) FROM shop.products",
        "SELECT count(*) - count(DISTINCT order_id * 100000 + product_id) FROM shop.order_lines",
        "SELECT count(*) FROM shop.order_lines WHERE unit_price <> round(unit_price, 2)",
        "SELECT count(*) FROM shop.order_lines WHERE unit_price = 0",
        "SELECT count(*) FROM shop.order_lines WHERE invoiced_at IS NOT NULL",
        "SELECT count(*) FROM shop.order_lines WHERE description <> ''",
        "SELECT count(*) FROM shop.order_lines WHERE description = ''",
        "SELECT count(*) FROM shop.products WHERE description LIKE '%% '",
        "SELECT count(*) FROM shop.orders JOIN shop.customers AS c USING (customer_id)"
        " WHERE c.country <> orders.country",
        "SELECT count(*) FROM shop.rejects WHERE unit_price < 0",
        "SELECT count(*) FROM shop.rejects WHERE quantity < 0",
    ):
        assert database.value(quirk) > 0, quirk


def test_the_samples_names_cannot_meet_those_of_the_real_file():
    sample, real = rows_of(SAMPLE), rows_of(real_file())
    assert not {row[0] for row in sample} & {row[0] for row in real}
    assert {row[1] for row in sample} & {row[1] for row in real} == {"B"}  # bad debt: rejected in both


def test_both_headers_are_loaded(database, file):
    header = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country"
    assert loaded(database, file(sale(), header=header)).load.order_lines == 1


def test_values_that_could_be_taken_for_something_else_arrive_verbatim(database, file):
    hostile = [
        r"\N",
        r"back\slash \t",
        "tab\there",
        'quote " and, comma',
        "'; DROP TABLE shop.orders; --",
        r"\.",
        "%s {0}",
        "  spaces  ",
        "caf\u00e9 \u2028 \U0001f600",
        "carriage\rreturn",
        "",
    ]
    path = file(*(sale(str(n), description=text, code=text or "X") for n, text in enumerate(hostile)))
    assert loaded(database, path).load.rejects == 0
    assert {row[2] for row in rows_in(database)} == set(hostile)
    assert set(database.rows("SELECT stock_code FROM shop.products")) >= {(text,) for text in hostile if text}


def test_the_longest_line_fits_wherever_it_has_to_go(database, file):
    long = "\U0001f600" * 65_450
    path = file(
        sale(description=long), sale("2", description=f"a{long}"), sale("3", long), sale("4", price=long)
    )
    report = loaded(database, path)
    assert (report.load.order_lines, report.load.rejects) == (2, 2)
    assert database.value("SELECT max(description) FROM shop.products WHERE stock_code = '85123A'") == long
    assert database.value("SELECT max(description) FROM shop.order_lines") == f"a{long}"
    assert database.rows("SELECT raw FROM shop.rejects ORDER BY line_number") == [
        (sale("3", long),),
        (sale("4", price=long),),
    ]
    assert_sound(database)


def test_each_bad_line_is_kept_with_number_and_reason(database, file):
    bad = [
        "",
        "too,few",
        sale(quantity="six"),
        sale(price="-1.5", quantity="2"),
        sale(moment="yesterday"),
        '"',
        sale(quantity="0"),
    ]
    report = loaded(database, file(sale(), *bad, sale()))
    assert (report.load.order_lines, report.load.rejects) == (2, len(bad))
    assert [row[:2] for row in rejects(database)] == [(1, number) for number in range(3, 3 + len(bad))]
    assert database.rows("SELECT raw FROM shop.rejects ORDER BY line_number") == [(text,) for text in bad]
    assert report.load.quantity == 6 + 2 + 6 + 6  # of the lines whose quantity is a number
    assert report.load.amount == Decimal("15.3") * 3 - 3
    assert_sound(database)


def test_a_file_of_bad_lines_alone_is_a_load_without_orders(database, file):
    report = loaded(database, file("bad", "worse"))
    assert report.load[2:] == (2, 0, 2, 0, 0)
    assert_sound(database)


def test_the_same_content_is_loaded_once_however_it_is_packed(database, file):
    first = loaded(database, file(sale(), name="a.csv"))
    before = everything(database)
    again = loaded(database, file(sale(), name="b.csv.gz"))
    assert (again.load, again.is_new) == (first.load, False)
    assert everything(database) == before


def test_finding_a_file_loaded_changes_nothing_and_keeps_nobody_out(database, file):
    path = file(sale())
    loaded(database, path)
    with order_at_work(database):
        assert not loaded(database, path, seconds=5).is_new


def test_an_invoice_of_an_earlier_load_is_not_loaded_twice(database, file, monkeypatch):
    monkeypatch.setattr(recorded, "ROWS_AT_ONCE", 1)  # so that two invoices are read as many are
    loaded(database, file(sale("1"), sale("2"), name="first.csv"))
    report = loaded(
        database, file(sale("2", quantity="7"), sale("3"), sale("2"), sale("1"), name="second.csv")
    )
    assert (report.load.order_lines, report.load.rejects) == (1, 3)
    reason = "the invoice is recorded already, by load 1"
    assert rejects(database) == [(2, 2, reason), (2, 4, reason), (2, 5, reason)]
    assert rows_in(database).total() == 6
    assert_sound(database)


def test_an_invoice_recorded_by_hand_is_not_loaded_either(database, file):
    database.rows(
        "INSERT INTO shop.orders (invoice_number, status, country) VALUES ('2', 'invoiced', 'France')",
        user="shop_loader",
    )
    loaded(database, file(sale("1"), sale("2")))
    assert rejects(database) == [(1, 3, "the invoice is recorded already, and not by a load")]


def test_an_invoice_whose_lines_stand_apart_becomes_one_order(database, file):
    path = file(
        sale("1"),
        sale("2"),
        sale("1", quantity="7"),
        sale("1", customer=""),
        sale("1", moment="2010-12-01 09:00:00", code="NEW"),
        sale("3"),
        sale("1"),
    )
    report = loaded(database, path)
    assert database.rows("SELECT invoice_number, line_count FROM shop.orders ORDER BY 1") == [
        ("1", 4),
        ("2", 1),
        ("3", 1),
    ]
    assert [row[1] for row in rejects(database)] == [5]
    assert (report.load.order_lines, report.load.quantity) == (6, 43)
    assert rows_in(database) == rows_of(path)
    assert_sound(database)


def test_a_customer_lives_where_the_first_order_went(database, file):
    loaded(
        database, file(sale("2", country="France"), sale("1", country="Spain"), sale("3", country="Italy"))
    )
    assert database.rows("SELECT customer_id, country FROM shop.customers") == [(17850, "France")]
    loaded(
        database, file(sale("4", country="Malta"), sale("5", customer="9", country="Cyprus"), name="b.csv")
    )
    assert database.rows("SELECT customer_id, country FROM shop.customers ORDER BY 1") == [
        (9, "Cyprus"),
        (17850, "France"),
    ]


@pytest.mark.parametrize("at_once", [7, 5000])
def test_a_file_in_no_order_at_all_is_loaded_as_well(database, tmp_path, monkeypatch, at_once):
    """Sorted by product, every invoice comes by again and again."""
    monkeypatch.setattr(set_aside, "LINES_AT_ONCE", at_once)
    _, *lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    shuffled = written(tmp_path / "by_product.csv", sorted(lines, key=lambda line: line.split(",")[1]))
    report = loaded(database, shuffled)
    assert report.load[2:] == (245, 241, 4, Decimal(2_620), Decimal("13189.450"))
    assert rows_in(database) == rows_of(shuffled)
    assert_sound(database)


def test_lines_that_were_set_aside_arrive_verbatim(database, file):
    hostile = [r"\N", r"back\slash \t", "tab\there", r"\.", 'quote " and, comma', "caf\u00e9 \u2028"]
    path = file(
        sale("1"), sale("2"), *(sale("1", description=text) for text in hostile), sale("1", quantity="-1")
    )
    report = loaded(database, path)
    assert (report.load.order_lines, report.load.rejects) == (8, 1)
    assert rows_in(database) == rows_of(path)
    assert_sound(database)


def test_a_second_year_adds_to_the_first(database, file):
    loaded(database, file(sale("1"), name="2011.csv"))
    later = file(sale("2", price="3.0", moment="2012-01-01 00:00:00"), sale("2", code="NEW"), name="2012.csv")
    earlier = file(sale("3", price="1.0", moment="2009-01-01 00:00:00", customer="5"), name="2009.csv")
    loaded(database, later)
    loaded(database, earlier)
    prices = dict(database.rows("SELECT stock_code, unit_price FROM shop.products"))
    assert (prices["85123A"], prices["NEW"]) == (Decimal("3.000"), Decimal("2.550"))
    assert database.rows("SELECT customer_id FROM shop.customers ORDER BY 1") == [(5,), (17850,)]
    assert rows_in(database) == rows_of(later) + rows_of(earlier) + rows_of(file(sale("1")))
    assert_sound(database)


def test_products_open_with_stock_once_and_history_moves_none(database, file):
    loaded(database, file(sale("1"), sale("2", quantity="12"), name="a.csv"))
    loaded(database, file(sale("3"), sale("3", code="NEW"), name="b.csv"))
    assert database.rows(
        "SELECT stock_code, name, stock, m.kind, m.quantity, order_id FROM shop.inventory"
        " JOIN shop.products USING (product_id) JOIN shop.warehouses USING (warehouse_id)"
        " JOIN shop.stock_movements AS m USING (product_id, warehouse_id) WHERE NOT is_test ORDER BY 1"
    ) == [("85123A", "main", 1000, "opening", 1000, None), ("NEW", "main", 1000, "opening", 1000, None)]


def test_orders_and_products_go_on_behind_those_that_were_loaded(database, file):
    loaded(database, file(sale("1"), sale("2", code="X")))
    assert place_order(database) == database.value("SELECT max(order_id) FROM shop.orders")
    database.rows(
        "INSERT INTO shop.products (stock_code, description, unit_price) VALUES ('Y', '', 1)",
        user="shop_loader",
    )
    loaded(database, file(sale("3", code="Z"), name="next.csv"))
    assert_sound(database)


def test_moments_do_not_depend_on_anybodys_time_zone(database, file):
    with closing(database.session("shop_loader")) as session:
        elsewhere(database, session)
        for path in (file(sale(), name="a.csv"), file(sale("2"), sale("536365"), name="b.csv")):
            load(session, PathSource(path), deadline=Deadline.after(60))
    first = database.value("SELECT min(ordered_at) FROM shop.orders")
    assert first == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)


@pytest.mark.engine("postgresql")
def test_the_keys_of_a_large_table_stay_and_all_is_checked_as_well(database, file, monkeypatch):
    monkeypatch.setattr("aurora.postgresql_loading.SMALL_TABLE_ROWS", 0)
    before = keys(database)
    path = file(sale("1"), sale("2"), sale("1"))
    loaded(database, path)
    assert rows_in(database) == rows_of(path)
    assert keys(database) == before
    assert_sound(database)
