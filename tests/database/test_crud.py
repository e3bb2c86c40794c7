"""Every statement of the CRUD example runs, by itself and as a file, and does what its name says."""

import re
import subprocess
from decimal import Decimal
from pathlib import Path

import psycopg2
import pytest

CRUD = Path(__file__).parents[2] / "schema" / "postgresql" / "examples" / "crud.sql"
STATEMENTS = dict(
    re.findall(r"^-- name: (.+)\n((?:(?!--).*\n)+)", CRUD.read_text(encoding="utf-8"), re.MULTILINE)
)
ROLE = "shop_loader"
INVOICE = "SELECT line_count, total_amount, country FROM shop.orders WHERE invoice_number = 'CRUD-537626'"


@pytest.fixture
def run(database):
    """Run the statements up to the named one, and return what that one returned."""

    def upto(last):
        for name, statement in STATEMENTS.items():
            with database.connect(ROLE) as connection, connection.cursor() as cursor:
                cursor.execute(statement)
                if name == last:
                    return cursor.fetchall() if cursor.description else cursor.rowcount
        raise KeyError(last)

    return upto


def test_products_are_added_once(database, run):
    assert run("add products") == 3
    assert run("add products") == 0
    assert database.value("SELECT unit_price FROM shop.products WHERE stock_code = 'CRUD-22423'") == 12.75


def test_a_customer_is_added(database, run):
    assert run("add a customer") == 1
    assert database.rows("SELECT customer_id, country FROM shop.customers") == [(12347, "Iceland")]


def test_an_invoice_is_added_with_its_lines(database, run):
    assert run("add an invoice with its lines, wholly or not at all") == 3
    assert database.rows(INVOICE) == [(3, Decimal("45.500"), "Iceland")]


def test_an_invoice_that_exists_is_not_added_half(database, run):
    run("add an invoice with its lines, wholly or not at all")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        run("add an invoice with its lines, wholly or not at all")
    assert database.value("SELECT count(*) FROM shop.order_lines") == 3


def test_a_line_is_added_to_an_invoice(database, run):
    assert run("add a line to an invoice") == 1
    assert database.rows(INVOICE) == [(4, Decimal("71.000"), "Iceland")]


def test_goods_are_received(database, run):
    run("receive goods into the main warehouse")
    database.rows(STATEMENTS["receive goods into the main warehouse"])
    assert database.value("SELECT stock FROM shop.inventory WHERE warehouse_id = 1") == 48
    assert database.rows("SELECT * FROM shop.invariants WHERE violations > 0") == []


def test_all_products_are_read(run):
    read = run("all products")
    assert [row[0] for row in read if row[0].startswith("CRUD")] == ["CRUD-21730", "CRUD-22423", "CRUD-84946"]


def test_a_customer_s_invoices_are_read(run):
    ((number, _, status, count, total),) = run("the invoices of a customer, the latest first")
    assert (number, status, count, total) == ("CRUD-537626", "invoiced", 4, Decimal("71.000"))


def test_an_invoice_s_lines_are_read(run):
    lines = run("the lines of an invoice")
    assert [(line[0], line[1], line[3], str(line[5])) for line in lines] == [
        (1, "CRUD-22423", 2, "25.500"),
        (2, "CRUD-84946", 12, "15.000"),
        (3, "CRUD-84946", 4, "5.000"),
        (4, "CRUD-21730", 6, "25.500"),
    ]


def test_a_line_s_quantity_is_changed(database, run):
    assert run("change a line's quantity") == 1
    assert database.rows(INVOICE) == [(4, Decimal("78.500"), "Iceland")]


def test_a_price_is_changed_for_orders_from_now_on(database, run):
    assert run("change a product's price, for orders from now on") == 1
    assert (
        str(database.value("SELECT unit_price FROM shop.products WHERE stock_code = 'CRUD-22423'"))
        == "10.950"
    )
    assert database.rows(INVOICE) == [(4, Decimal("78.500"), "Iceland")]


def test_an_invoice_s_country_is_changed(database, run):
    assert run("change an invoice's country") == 1
    assert database.value("SELECT country FROM shop.orders WHERE invoice_number = 'CRUD-537626'") == "Norway"


def test_a_line_is_deleted(database, run):
    assert run("delete one line of an invoice") == 1
    assert database.rows(INVOICE) == [(3, Decimal("73.500"), "Norway")]


def test_an_invoice_is_deleted_with_its_lines(database, run):
    assert run("delete an invoice with its lines") == 1
    assert database.value("SELECT count(*) FROM shop.order_lines") == 0


def test_a_product_is_deleted_unless_it_was_ordered_or_stocked(database, run):
    assert run("delete a product that was never ordered or stocked") == 1
    run("add a line to an invoice")
    assert database.rows(STATEMENTS["delete a product that was never ordered or stocked"]) == []
    assert database.value("SELECT count(*) FROM shop.products WHERE stock_code = 'CRUD-84946'") == 1


def test_every_statement_has_its_test():
    tested = set(re.findall(r'run\(\s*"([^"]+)"\s*\)', Path(__file__).read_text(encoding="utf-8")))
    assert set(STATEMENTS) == tested
    assert len(STATEMENTS) == CRUD.read_text(encoding="utf-8").count(";\n")


def test_the_file_runs_in_psql(database):
    run = subprocess.run(
        [
            database.server.programs.path("psql"),
            *("-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(CRUD)),
            *("-h", str(database.server.socket_directory), "-p", str(database.server.port)),
            *("-U", ROLE, "-d", database.name, "-w"),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert "REGENCY CAKESTAND 3 TIER" in run.stdout
