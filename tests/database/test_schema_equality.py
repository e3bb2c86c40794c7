"""Both engines have the same schema, and the same deeds leave the same rows in it."""

import datetime as dt
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import orders
from aurora.failures import DatabaseError
from orders import WantedLine
from tests.database.schema_description import described
from tests.database.servers import (
    MASTER,
    MASTER_PASSWORD,
    SCHEMAS,
    Database,
    ServerUnderTest,
    running,
)

KEYS = "a key of InnoDB's holds 768 characters at most; a file's codes have 40 at most, its countries 60"
LISTED = "one of a fixed list of words"
TEXTS = "MySQL's texts end somewhere: 64 KB, and 16 MB where a file's lines end up"
LAX = "a session without strict mode would store the time zero for what is no time"
NUMBERS = "MySQL has no numeric without an end: six decimals are as many as are ever read from a file"
PARTIAL = "MySQL has no partial indexes"
NO_FULL = "InnoDB has no MATCH FULL: a constraint of its own sees to it"
ALWAYS = "MySQL's numbering cannot refuse a number that is given"

# Everything that differs and is meant to: by fact, what PostgreSQL says, what MySQL says, and why.
MEANT = {
    **{
        f"{column}: room": ("as much as there is", "varchar(256)", KEYS)
        for column in (
            "customers.country",
            "orders.country",
            "orders.invoice_number",
            "products.stock_code",
            "warehouses.name",
        )
    },
    "loads.sha256: room": (
        "as much as there is",
        "varchar(65)",
        "64 digits, and one more is refused, not cut",
    ),
    "orders.status: room": ("as much as there is", "varchar(16)", LISTED),
    "stock_movements.kind: room": ("as much as there is", "varchar(16)", LISTED),
    "loads.source: room": ("as much as there is", "text", TEXTS),
    "rejects.reason: room": ("as much as there is", "text", TEXTS),
    "rejects.raw: room": ("as much as there is", "mediumtext", TEXTS),
    "products.description: room": ("as much as there is", "mediumtext", TEXTS),
    "order_lines.description: room": ("as much as there is", "mediumtext", TEXTS),
    "loads.amount": ("numeric not null", "numeric(38,6) not null", NUMBERS),
    "loads.quantity": ("numeric not null", "numeric(38,6) not null", NUMBERS),
    "rejects.quantity": ("numeric", "numeric(38,6)", NUMBERS),
    "rejects.unit_price": ("numeric", "numeric(38,6)", NUMBERS),
    "customers: check customers_created_at_is_a_time": (None, "enforced", LAX),
    "loads: check loads_loaded_at_is_a_time": (None, "enforced", LAX),
    "orders: check orders_ordered_at_is_a_time": (None, "enforced", LAX),
    "order_lines: check order_lines_invoiced_at_is_a_time": (None, "enforced", LAX),
    "stock_movements: check stock_movements_moved_at_is_a_time": (None, "enforced", LAX),
    "warehouses: check warehouses_name_whole": (
        None,
        "enforced",
        "a lax session would cut a longer name off",
    ),
    "warehouses: check warehouses_is_test_or_not": (None, "enforced", "MySQL's boolean is a number"),
    "orders: index orders_load_idx": ("load_id where (load_id IS NOT NULL)", "load_id", PARTIAL),
    "orders: index orders_warehouse_idx": (
        "warehouse_id where (warehouse_id IS NOT NULL)",
        "warehouse_id",
        PARTIAL,
    ),
    "stock_movements: foreign key stock_movements_order_line_fk": (
        "order_id, line_number -> order_lines (order_id, line_number), on delete no action, match full",
        "order_id, line_number -> order_lines (order_id, line_number), on delete no action, match simple",
        NO_FULL,
    ),
    "stock_movements: check stock_movements_order_line_whole": (None, "enforced", NO_FULL),
    "loads.load_id: default": ("always numbered", "numbered", ALWAYS),
    "stock_movements.movement_id: default": ("always numbered", "numbered", ALWAYS),
    "routine place_order": (
        "request_token, customer_id, country, warehouse_id, lines",
        "request_token, customer_id, country, warehouse_id, wanted_lines",
        "LINES is a reserved word of MySQL's; calls go by position",
    ),
}


@pytest.fixture(scope="module")
def servers() -> Iterator[list[ServerUnderTest]]:
    """One server of each engine."""
    with running("postgresql") as postgresql, running("mysql") as mysql:
        yield [postgresql, mysql]


@pytest.fixture
def both(servers: list[ServerUnderTest]) -> Iterator[list[Database]]:
    """A migrated database on each engine."""
    yield from _migrated(servers)


def _migrated(servers: list[ServerUnderTest]) -> Iterator[list[Database]]:
    lives = [server.migrated_database() for server in servers]
    try:
        yield [next(life) for life in lives]
    finally:
        for life in lives:
            life.close()


def test_the_schema_is_the_same_but_for_what_is_meant(both):
    postgresql, mysql = (described(database) for database in both)
    assert len(postgresql) > 250
    differing = {
        fact: (postgresql.get(fact), mysql.get(fact))
        for fact in postgresql | mysql
        if postgresql.get(fact) != mysql.get(fact)
    }
    assert differing == {fact: (here, there) for fact, (here, there, _) in MEANT.items()}


def test_the_invariants_are_the_same(both):
    postgresql, mysql = (database.rows("SELECT * FROM shop.invariants") for database in both)
    assert postgresql == mysql


@pytest.mark.parametrize("at_home", [[], ["shop"]])
def test_mysql_s_own_client_makes_the_same_schema(servers, both, at_home):
    """Whatever the schema that its session is in."""
    by_migrator = described(both[1])
    life = servers[1].empty_database()
    database = next(life)
    database.rows("CREATE DATABASE shop")
    for path in sorted((SCHEMAS / "mysql").glob("*.sql"), key=lambda path: path.name.replace("V", "A")):
        server = database.server
        subprocess.run(
            [*server.programs.mysql, "--no-defaults", f"-S{server.socket_path}", f"-u{MASTER}", *at_home],
            input=path.read_bytes(),
            check=True,
            env={"MYSQL_PWD": MASTER_PASSWORD},
            timeout=60,
        )
    assert described(database) == by_migrator
    assert {count for _, count in database.rows("SELECT * FROM shop.invariants")} == {0}
    life.close()


# --- the same deeds, the same rows

TABLES = {
    "customers": "SELECT * FROM shop.customers ORDER BY customer_id",
    "products": "SELECT * FROM shop.products ORDER BY product_id",
    "warehouses": "SELECT * FROM shop.warehouses ORDER BY warehouse_id",
    "inventory": "SELECT * FROM shop.inventory ORDER BY product_id, warehouse_id",
    "loads": "SELECT * FROM shop.loads ORDER BY load_id",
    "rejects": "SELECT * FROM shop.rejects ORDER BY load_id, line_number",
    "orders": "SELECT * FROM shop.orders ORDER BY order_id",
    "order_lines": "SELECT * FROM shop.order_lines ORDER BY order_id, line_number",
    # InnoDB numbers what one INSERT … SELECT brings in blocks of 1, 2, 4, …: in order, but not without gaps.
    "stock_movements": "SELECT product_id, warehouse_id, quantity, kind, order_id, line_number, moved_at"
    " FROM shop.stock_movements ORDER BY movement_id",
}
LONGEST_MESSAGE = 128  # of an error of MySQL's
CODES = ("SMOKE-TEST-A", "SMOKE-TEST-B", "SMOKE-TEST-C", "smoke-test-a", "nothing")
A, B, SCARCE = CODES[:3]
TOKENS = [uuid.UUID(int=number) for number in range(1, 5)]


@dataclass(frozen=True)
class RefusedBy:
    """A constraint or trigger that refused. Of two that might have, each engine names one."""

    constraint: str


@dataclass
class Shop:
    """One engine's database, on which deeds are done: each returns what came of it."""

    database: Database
    began_at: dt.datetime = field(init=False)

    def __post_init__(self) -> None:
        self.application = self.database.session("shop_application")
        self.loader = self.database.session("shop_loader")
        self.asked: dict[int, tuple] = {}
        self.began_at = self.application.now() - dt.timedelta(hours=1)

    def do(self, deed: str, *arguments: Any) -> object:
        """Do it: what it returned, or what it was refused for."""
        try:
            return getattr(self, deed)(*arguments)
        except orders.OrderRefused as refused:
            return type(refused).__name__, str(refused)[:LONGEST_MESSAGE], _told(refused)
        except DatabaseError as error:
            name = error.constraint or error.sqlstate
            return RefusedBy("a primary key" if name == "PRIMARY" or name.endswith("_pk") else name)

    def next_order_number(self) -> int:
        """Of PostgreSQL's; MySQL has none to ask for within a transaction."""
        return int(self.database.value("SELECT last_value + is_called::int FROM shop.orders_order_id_seq"))

    def number_orders_from(self, number: int) -> None:
        """Keep in step: an order that is refused for its parent uses a number up on PostgreSQL alone."""
        self.database.rows(f"ALTER TABLE shop.orders AUTO_INCREMENT = {number}")

    def place(self, token: int, lines: tuple, warehouse: int, customer: int | None, country: str) -> object:
        """Place an order, or repeat one."""
        self.asked.setdefault(token, (lines, warehouse, customer, country))
        placed = orders.place(
            self.application,
            request_token=TOKENS[token],
            warehouse_id=warehouse,
            customer_id=customer,
            country=country,
            lines=[WantedLine(code, quantity) for code, quantity in lines],
        )
        return placed.order_id, placed.line_count, placed.total_amount, placed.is_new

    def ask_again(self, token: int, change: str) -> object:
        """Ask for what was asked for with this token first, but for one thing."""
        lines, warehouse, customer, country = self.asked.get(token, (((A, 1),), 2, None, "France"))
        changed = {
            "lines": (lines[1:] + lines[:1], warehouse, customer, country),
            "a line more": ((*lines, (A, 1)), warehouse, customer, country),
            "a quantity": (
                tuple((code, quantity + 1) for code, quantity in lines),
                warehouse,
                customer,
                country,
            ),
            "warehouse": (lines, 3 - warehouse, customer, country),
            "customer": (lines, warehouse, None if customer else 1_000_000, country),
            "country": (lines, warehouse, customer, country.upper()),
        }
        return self.place(token, *changed.get(change, (lines, warehouse, customer, country)))

    def cancel(self, order_id: int) -> object:
        """Cancel an order, or what is none."""
        return orders.cancel(self.application, order_id)

    def forget(self, token: int) -> object:
        """Purge a smoke test's order."""
        return self.application.call("shop.purge_test_orders", (f'["{TOKENS[token]}"]',))

    def import_invoice(self, number: int, lines: tuple, is_loaded: bool) -> None:
        """Record history, as a load brings it."""
        invoice = str(536365 + number)
        load = self.loader.rows("SELECT max(load_id) FROM shop.loads")[0][0] if is_loaded else None
        with self.loader.transaction():
            self.loader.rows(
                "INSERT INTO shop.orders (invoice_number, status, country, ordered_at, load_id)"
                " VALUES (%s, 'invoiced', 'France', '2010-12-01 08:26:00.123456+00:00', %s)",
                (invoice, load),
            )
            order_id = self.loader.rows(
                "SELECT order_id FROM shop.orders WHERE invoice_number = %s", (invoice,)
            )[0][0]
            for place, (product, quantity, price) in enumerate(lines, 1):
                self.loader.rows(
                    "INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)"
                    " VALUES (%s, %s, %s, %s, %s)",
                    (order_id, place, product, quantity, Decimal(price) / 1000),
                )

    def begin_load(self, number: int) -> None:
        """Bring a file in, with one reject."""
        counted = "`lines`" if self.database.engine == "mysql" else "lines"
        self.loader.rows(
            f"INSERT INTO shop.loads (source, sha256, {counted}, order_lines, rejects, quantity, amount)"
            " VALUES ('a file', %s, 2, 1, 1, -5.5, 0.000001)",
            (f"{number:064x}",),
        )
        load = self.loader.rows("SELECT max(load_id) FROM shop.loads")[0][0]
        self.loader.rows(
            "INSERT INTO shop.rejects (load_id, line_number, reason, raw, unit_price)"
            " VALUES (%s, 1, 'a reason', %s, -11062.06)",
            (load, "A563185,B\t'\\é名"),
        )

    def add_line(self, order_id: int, line: int, product: int, quantity: int) -> None:
        """Add a line by hand; what stands there already is refused."""
        self.loader.rows(
            "INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)"
            " VALUES (%s, %s, %s, %s, 1.255)",
            (order_id, line, product, quantity),
        )

    def edit_line(self, order_id: int, line: int, quantity: int) -> None:
        """Edit a line; of a placed order that is refused."""
        self.loader.rows(
            "UPDATE shop.order_lines SET quantity = %s WHERE order_id = %s AND line_number = %s",
            (quantity, order_id, line),
        )

    def delete_line(self, order_id: int, line: int) -> None:
        """Delete a line; of a placed order that is refused."""
        self.loader.rows(
            "DELETE FROM shop.order_lines WHERE order_id = %s AND line_number = %s", (order_id, line)
        )

    def delete_order(self, order_id: int) -> None:
        """Delete an order with its lines; a placed one has moved goods and stays."""
        self.loader.rows("DELETE FROM shop.orders WHERE order_id = %s", (order_id,))

    def delete_load(self, load_id: int) -> None:
        """Delete a load with its rejects; one with orders stays."""
        self.loader.rows("DELETE FROM shop.loads WHERE load_id = %s", (load_id,))

    def change_price(self, product: int, price: int) -> None:
        """Change what a product costs."""
        self.loader.rows(
            "UPDATE shop.products SET unit_price = %s WHERE product_id = %s", (Decimal(price) / 1000, product)
        )

    def add_customer(self, country: str) -> None:
        """Number a new customer."""
        self.application.rows("INSERT INTO shop.customers (country) VALUES (%s)", (country,))

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables; times of now are "now", for the engines' clocks are two."""
        return {
            table: [tuple(map(self._said_alike, row)) for row in self.loader.rows(query)]
            for table, query in TABLES.items()
        }

    def _said_alike(self, value: object) -> object:
        if isinstance(value, dt.datetime) and value > self.began_at:
            return "now"
        if isinstance(value, bytes):
            return str(uuid.UUID(bytes=value))
        return str(value) if isinstance(value, uuid.UUID) else value


def _told(refused: orders.OrderRefused) -> object:
    """What a refusal says besides its message."""
    return {name: sorted(value) if name == "stock_codes" else value for name, value in vars(refused).items()}


SCRIPT = [
    ("add_customer", "France"),
    ("place", 0, ((B, 2), (A, 3), (B, 1)), 2, None, "France"),
    ("place", 0, ((B, 2), (A, 3), (B, 1)), 2, None, "France"),
    ("place", 0, ((B, 2), (A, 3), (B, 2)), 2, None, "France"),
    ("place", 0, ((B, 2), (A, 3), (B, 1)), 2, None, "france"),
    ("place", 1, ((SCARCE, 2), (A, 10_000_000), (SCARCE, 2), (B, 1)), 2, None, "France"),
    ("place", 1, ((A, 1), ("nothing", 2), ("smoke-test-a", 1)), 2, None, "France"),
    ("place", 1, ((A, 1), (B, 0)), 2, None, "France"),
    ("place", 1, (), 2, None, "France"),
    ("place", 1, ((A, 1),), 999, None, "France"),
    ("place", 1, ((A, 1),), 2, 5, "France"),
    ("place", 1, ((A, 1),), 2, None, ""),
    ("place", 1, ((SCARCE, 3), (A, 1)), 2, 1_000_000, "Deutschland"),
    ("place", 2, ((SCARCE, 1),), 2, None, "France"),
    ("cancel", 5),
    ("cancel", 1),
    ("cancel", 1),
    ("cancel", 999),
    ("begin_load", 1),
    ("begin_load", 1),
    ("import_invoice", 0, ((1, 6, 2550), (2, -80995, 1), (1, 6, 2550)), True),
    ("import_invoice", 1, ((3, 1, 0),), False),
    ("import_invoice", 1, ((3, 1, 0),), False),
    ("import_invoice", 2, ((1, 1, 1), (999, 1, 1)), False),
    ("cancel", 10),
    ("add_line", 10, 4, 2, 7),
    ("add_line", 10, 4, 2, 7),
    ("edit_line", 10, 1, 1),
    ("edit_line", 10, 1, 0),
    ("edit_line", 1, 1, 1),
    ("delete_line", 10, 2),
    ("delete_line", 1, 1),
    ("delete_order", 11),
    ("delete_order", 1),
    ("delete_load", 1),
    ("change_price", 1, 9_999),
    ("place", 3, ((A, 2),), 2, None, "France"),
    ("place", 2, ((A, 2),), 2, None, "France"),
    ("forget", 3),
    ("forget", 3),
    ("forget", 0),
    ("add_customer", "Norway"),
]


def compare(both: list[Database], deeds: list[tuple[Any, ...]]) -> dict[str, list[Any]]:
    """Do the same on both engines, demand the same answers, rows and health, and return the rows.

    A line that is added to a placed order by hand leaves it unhealthy: on both engines, by one count.
    """
    shops = [Shop(database) for database in both]
    for deed in deeds:
        here, there = (shop.do(*deed) for shop in shops)
        if not (isinstance(here, RefusedBy) and isinstance(there, RefusedBy)):
            assert here == there, deed
        if here == there and isinstance(here, tuple) and here[0] in ("InvalidOrder", "TokenReused"):
            shops[1].number_orders_from(shops[0].next_order_number())
    here, there = (shop.content() for shop in shops)
    assert here == there
    invariants = "SELECT * FROM shop.invariants"
    assert both[0].rows(invariants) == both[1].rows(invariants)
    return here


def test_the_same_deeds_leave_the_same_rows(both):
    rows = compare(both, SCRIPT)
    assert [len(rows[table]) for table in ("customers", "loads", "rejects")] == [2, 1, 1]
    assert {row[3] for row in rows["orders"]} == {"placed", "invoiced"}
    for database in both:
        assert database.rows("SELECT * FROM shop.invariants WHERE violations > 0") == []


REFUSALS = [
    ("import_invoice", 0, ((1, 1, 1),), False),
    ("import_invoice", 0, ((1, 1, 1),), False),
    ("import_invoice", 1, ((999, 1, 1),), False),
    ("import_invoice", 1, ((1, 0, 1),), False),
    ("add_line", 1, 1, 1, 1),
    ("add_line", 77, 1, 1, 1),
    ("add_line", 1, 0, 1, 1),
    ("begin_load", 1),
    ("begin_load", 1),
    ("import_invoice", 2, (), True),
    ("delete_load", 1),
    ("place", 0, ((A, 1),), 2, None, "France"),
    ("edit_line", 6, 1, 7),
    ("delete_line", 6, 1),
    ("delete_order", 6),
]


def test_constraints_and_triggers_refuse_by_the_same_names(both):
    """Where one alone is in the way."""
    refused = [[shop.do(*deed) for deed in REFUSALS] for shop in map(Shop, both)]
    assert refused[0] == refused[1]
    assert {answer.constraint for answer in refused[0] if isinstance(answer, RefusedBy)} == {
        "a primary key",
        "order_lines_order_fk",
        "order_lines_product_fk",
        "order_lines_line_number_positive",
        "order_lines_quantity_not_zero",
        "orders_invoice_number_unique",
        "orders_load_fk",
        "loads_sha256_unique",
        "stock_movements_order_line_fk",
        "23001",
    }


quantities = st.sampled_from([1, 1, 2, 3, 3, 999_999, 1_000_001, 0, -1])
lines = st.lists(st.tuples(st.sampled_from(CODES[:3] * 3 + CODES), quantities), min_size=1, max_size=6)
order_ids = st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 77])
DEEDS = st.one_of(
    st.tuples(
        st.just("place"),
        st.integers(0, len(TOKENS) - 1),
        lines.map(tuple),
        st.sampled_from([2, 2, 2, 1, 999]),
        st.sampled_from([None, None, 1_000_000, 5]),
        st.sampled_from(["France", "France", "france", ""]),
    ),
    st.tuples(
        st.just("ask_again"),
        st.integers(0, len(TOKENS) - 1),
        st.sampled_from(["", "", "lines", "a line more", "a quantity", "warehouse", "customer", "country"]),
    ),
    st.tuples(st.just("cancel"), order_ids),
    st.tuples(st.just("forget"), st.integers(0, len(TOKENS) - 1)),
    st.tuples(
        st.just("import_invoice"),
        st.integers(0, 2),
        st.lists(
            st.tuples(st.integers(1, 4), st.integers(-3, 3), st.integers(0, 5000)), min_size=0, max_size=5
        ).map(tuple),
        st.booleans(),
    ),
    st.tuples(st.just("begin_load"), st.integers(0, 2)),
    st.tuples(st.just("add_line"), order_ids, st.integers(0, 4), st.integers(1, 4), st.integers(-2, 2)),
    st.tuples(st.just("edit_line"), order_ids, st.integers(1, 4), st.integers(-2, 2)),
    st.tuples(st.just("delete_line"), order_ids, st.integers(1, 4)),
    st.tuples(st.just("delete_order"), order_ids),
    st.tuples(st.just("delete_load"), st.integers(1, 2)),
    st.tuples(st.just("change_price"), st.integers(1, 3), st.integers(0, 100_000)),
    st.tuples(st.just("add_customer"), st.just("France")),
)


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),  # shrinking makes databases by the hundred
    suppress_health_check=list(HealthCheck),
)
@given(deeds=st.lists(DEEDS, min_size=15, max_size=40))
def test_any_deeds_leave_the_same_rows(servers, deeds):
    for both in _migrated(servers):
        compare(both, deeds)
