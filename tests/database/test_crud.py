"""Every statement of the CRUD example runs, by itself and as a file, and does what its name says."""

import re
import subprocess
from decimal import Decimal
from pathlib import Path

import psycopg2
import pymysql
import pytest

SCHEMAS = Path(__file__).parents[2] / "schema"
EXAMPLES = {
    engine: (SCHEMAS / engine / "examples" / "crud.sql").read_text(encoding="utf-8")
    for engine in ("postgresql", "mysql")
}
ROLE = "shop_loader"
INVOICE = "SELECT line_count, total_amount, country FROM shop.orders WHERE invoice_number = 'CRUD-537626'"
UNIQUE_VIOLATION = (psycopg2.errors.UniqueViolation, pymysql.IntegrityError)


def named(example):
    """Return what stands under each name of an example file."""
    blocks = re.findall(r"^-- name: (.+)\n((?:(?!--).*\n)+)", example, re.MULTILINE)
    return {name: block.strip() for name, block in blocks}


def statements(block):
    return [statement for statement in block.split(";\n") if statement]


class Example:
    """The engine's file, run name by name."""

    def __init__(self, database):
        self.database = database
        self.blocks = named(EXAMPLES[database.engine])

    def __call__(self, last):
        """Run everything up to the named block, and return what that one returned."""
        for name in self.blocks:
            result = self.only(name)
            if name == last:
                return result
        raise KeyError(last)

    def only(self, name):
        """Run one block: the rows it read, or how many it wrote last."""
        connection = self.database.connect(ROLE)
        result = None
        with connection.cursor() as cursor:
            for statement in statements(self.blocks[name]):
                cursor.execute(statement)
                if re.match("START|COMMIT|SET", statement) is None:
                    result = list(cursor.fetchall()) if cursor.description else cursor.rowcount
        connection.commit()
        connection.close()
        return result


@pytest.fixture
def run(database):
    return Example(database)


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
    with pytest.raises(UNIQUE_VIOLATION):
        run("add an invoice with its lines, wholly or not at all")
    assert database.value("SELECT count(*) FROM shop.order_lines") == 3


def test_a_line_is_added_to_an_invoice(database, run):
    assert run("add a line to an invoice") == 1
    assert database.rows(INVOICE) == [(4, Decimal("71.000"), "Iceland")]


def test_goods_are_received(database, run):
    run("receive goods into the main warehouse")
    run.only("receive goods into the main warehouse")
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
    assert run.only("delete a product that was never ordered or stocked") == 0
    assert database.value("SELECT count(*) FROM shop.products WHERE stock_code = 'CRUD-84946'") == 1


def test_every_statement_has_its_test(engine):
    example = EXAMPLES[engine]
    tested = set(re.findall(r'run\(\s*"([^"]+)"\s*\)', Path(__file__).read_text(encoding="utf-8")))
    assert set(named(example)) == tested
    ends = re.findall(r"^(?!--).*;$", example, re.MULTILINE)
    assert sum(block.count(";") for block in named(example).values()) == len(ends)


def test_the_file_runs_in_the_engine_s_own_client(database):
    run = subprocess.run(
        client(database),
        input=EXAMPLES[database.engine],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert "REGENCY CAKESTAND 3 TIER" in run.stdout


def client(database):
    """Return the command that reads a script as ROLE and stops at its first error."""
    server = database.server
    if database.engine == "mysql":
        return [*server.programs.mysql, "--no-defaults", f"--socket={server.socket_path}", f"--user={ROLE}"]
    return [
        server.programs.path("psql"),
        *("-X", "-q", "-v", "ON_ERROR_STOP=1"),
        *("-h", str(server.socket_directory), "-p", str(server.port)),
        *("-U", ROLE, "-d", database.name, "-w"),
    ]
