"""The optional set of migrations for tenants: each sees and changes its own rows alone, by whatever verb."""

from __future__ import annotations

import json
import re
import uuid
from contextlib import closing

import psycopg2
import pytest

from apply_schema.migration_files import FilesRefused, read_files
from apply_schema.migrations import apply
from aurora.deadline import Deadline
from aurora.failures import Cause, DatabaseError
from orders import OrderRefused
from orders.refusals import refusal_in
from seed_data.loader import load
from seed_data.sources import PathSource
from tests.database.migrating import run, write
from tests.database.retail_files import sale, written
from tests.database.servers import SCHEMAS

PRODUCT = "SMOKE-TEST-A"
PRIVATE = ("customers", "warehouses", "inventory", "orders", "order_lines", "stock_movements")
FILE_TABLES = ("loads", "rejects")
COMMON = {"products"}
"""One catalogue for all."""


def with_tenants(database):
    with closing(database.migrations()) as migrations:
        files = read_files(SCHEMAS / database.engine, ["tenants"])
        return apply(migrations, files, report=lambda _line: None)


class Tenant:
    """A tenant with a warehouse of five things and a customer, and its session as programs have it."""

    def __init__(self, database, name, number):
        self.database, self.name = database, name
        self.engine = database.engine
        self.warehouse, self.customer = 1000 + number, 5_000_000 + number
        if self.engine == "mysql":
            account = f"shop_tenant_{name}"
            for statement in (
                f"CREATE USER {account} IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'",
                f"GRANT shop_tenant TO {account}",
                f"SET DEFAULT ROLE shop_tenant TO {account}",
            ):
                database.rows(statement)
            database.rows("INSERT INTO shop_tenants.accounts VALUES (%s, %s)", (account, name))
        self._add(database)
        self.session = self.another_session()

    def _add(self, database):
        database.rows(
            "INSERT INTO shop.warehouses (warehouse_id, name, tenant_id) VALUES (%s, %s, %s)",
            (self.warehouse, f"of {self.name}", self.name),
        )
        database.rows(
            "INSERT INTO shop.customers (customer_id, country, tenant_id) VALUES (%s, 'France', %s)",
            (self.customer, self.name),
        )
        column, value = (", tenant_id", f", '{self.name}'") if self.engine == "postgresql" else ("", "")
        for table, columns, kind in (
            ("inventory", "stock", ""),
            ("stock_movements", "quantity, kind", ", 'opening'"),
        ):
            database.rows(
                f"INSERT INTO shop.{table} (product_id, warehouse_id, {columns}{column})"
                f" SELECT product_id, {self.warehouse}, 5{kind}{value}"
                f" FROM shop.products WHERE stock_code = '{PRODUCT}'"
            )

    def another_session(self):
        """Return a session that is the tenant's from its first statement on."""
        if self.engine == "mysql":
            return self.database.session(f"shop_tenant_{self.name}")
        return self.as_role("shop_application")

    def as_role(self, role):
        """Return a session of any role's; on PostgreSQL it acts for the tenant."""
        session = self.database.session(role)
        if self.engine == "postgresql":
            session.rows("SELECT set_config('shop.tenant_id', %s, false)", (self.name,))
        return session

    def table(self, name):
        return f"{'shop_tenants' if self.engine == 'mysql' else 'shop'}.{name}"

    def seen(self, what, *values):
        """Ask as the tenant, with tables as {orders}."""
        return self.session.rows(re.sub(r"\{(\w+)\}", lambda name: self.table(name[1]), what), values)

    def place(self, *, token=None, warehouse=None, customer=None, quantity=1):
        lines = json.dumps([{"stock_code": PRODUCT, "quantity": quantity}])
        return self._call(
            "place_order", str(token or uuid.uuid4()), customer, "France", warehouse or self.warehouse, lines
        )[0]

    def cancel(self, order_id):
        return bool(self._call("cancel_order", order_id)[0])

    def _call(self, routine, *arguments):
        try:
            return self.session.call(self.table(routine), arguments)[0]
        except DatabaseError as error:
            if refusal := refusal_in(error):
                raise refusal from error
            raise


@pytest.fixture(scope="module")
def tenants(database_server):
    """Two tenants who have ordered and cancelled, in a database with the house's own rows."""
    for database in database_server.migrated_database():
        with_tenants(database)
        both = [Tenant(database, name, number) for number, name in enumerate(("a", "b"))]
        for tenant in both:
            tenant.ordered = [tenant.place(customer=tenant.customer), tenant.place()]
            assert tenant.cancel(tenant.ordered[1])
        yield both


@pytest.fixture
def database(tenants):
    return tenants[0].database


OWN = {
    "customers": "customer_id",
    "warehouses": "warehouse_id",
    "inventory": "warehouse_id",
    "orders": "order_id",
    "order_lines": "order_id",
    "stock_movements": "movement_id",
}
OF_TENANT = {
    "customers": "SELECT customer_id FROM shop.customers WHERE tenant_id = %s",
    "warehouses": "SELECT warehouse_id FROM shop.warehouses WHERE tenant_id = %s",
    "inventory": "SELECT warehouse_id FROM shop.inventory JOIN shop.warehouses AS w USING (warehouse_id)"
    " WHERE w.tenant_id = %s",
    "orders": "SELECT order_id FROM shop.orders WHERE tenant_id = %s",
    "order_lines": "SELECT order_id FROM shop.order_lines JOIN shop.orders AS o USING (order_id)"
    " WHERE o.tenant_id = %s",
    "stock_movements": "SELECT movement_id FROM shop.stock_movements"
    " JOIN shop.warehouses AS w USING (warehouse_id) WHERE w.tenant_id = %s",
}


@pytest.mark.parametrize("table", PRIVATE)
def test_each_sees_its_own_rows_and_no_others(tenants, database, table):
    for tenant in tenants:
        own = sorted(database.rows(OF_TENANT[table], (tenant.name,)))
        assert own, "a test that sees nothing proves nothing"
        assert sorted(tenant.seen(f"SELECT {OWN[table]} FROM {{{table}}}")) == own
        assert len(own) < database.value(f"SELECT count(*) FROM shop.{table}")


WAYS_ROUND = {
    "by number": "SELECT order_id FROM {orders} WHERE order_id = %s",
    "by a lock": "SELECT order_id FROM {orders} WHERE order_id = %s FOR UPDATE",
    "by a join": "SELECT o.order_id FROM {order_lines} AS l JOIN {orders} AS o USING (order_id)"
    " WHERE l.order_id = %s",
    "by an outer join": "SELECT o.order_id FROM {products} AS p"
    " LEFT JOIN {order_lines} AS l USING (product_id)"
    " LEFT JOIN {orders} AS o ON o.order_id = l.order_id WHERE l.order_id = %s",
    "by a subquery": "SELECT 1 FROM {products} WHERE EXISTS (SELECT 1 FROM {orders} WHERE order_id = %s)",
    "by a count": "SELECT count(*) FROM {orders} WHERE order_id = %s HAVING count(*) > 0",
    "by a union": "SELECT order_id FROM {orders} WHERE 1 = 0 UNION ALL SELECT order_id FROM {order_lines}"
    " WHERE order_id = %s",
    "by a condition that comes first": "SELECT order_id FROM {orders} WHERE 1 / (order_id - %s) > 2",
}


@pytest.mark.parametrize("way", WAYS_ROUND)
def test_another_s_order_is_seen_by_no_way_round(tenants, way):
    a, b = tenants
    try:
        assert a.seen(WAYS_ROUND[way], b.ordered[0]) == []
    except DatabaseError as error:
        assert error.cause is Cause.NOT_PERMITTED  # a lock needs more than SELECT
    assert a.seen(WAYS_ROUND["by number"], a.ordered[0]) == [(a.ordered[0],)]


@pytest.mark.engine("postgresql")
def test_the_invariants_hold_for_each(tenants):
    for tenant in tenants:
        assert tenant.seen("SELECT * FROM shop.invariants WHERE violations <> 0") == []


@pytest.mark.engine("postgresql")
def test_a_copy_out_holds_the_tenant_s_rows_alone(tenants, tmp_path):
    a, _ = tenants
    with (tmp_path / "out").open("w+") as file, a.session.connection.cursor() as cursor:
        cursor.copy_expert("COPY shop.orders (order_id) TO STDOUT", file)
        file.seek(0)
        assert sorted(map(int, file)) == sorted(a.ordered)


REFUSED_WAREHOUSE = 999_999


def test_another_s_warehouse_and_customer_are_refused_as_what_does_not_exist(tenants):
    a, b = tenants
    for mine, missing in (
        ({"warehouse": b.warehouse}, {"warehouse": REFUSED_WAREHOUSE}),
        ({"customer": b.customer}, {"customer": REFUSED_WAREHOUSE}),
    ):
        said = []
        for how in (mine, missing):
            with pytest.raises(OrderRefused) as refused:
                a.place(**how)
            said.append((type(refused.value), str(refused.value)))
        assert said[0] == said[1]


def test_stock_is_the_tenant_s_own(tenants, database):
    a, b = tenants
    stock = "SELECT stock FROM shop.inventory WHERE warehouse_id = %s"
    before = database.value(stock, (b.warehouse,))
    with pytest.raises(OrderRefused) as refused:
        a.place(quantity=1000)
    assert refused.value.shortages[0].available == database.value(stock, (a.warehouse,))
    assert database.value(stock, (b.warehouse,)) == before


def test_another_s_order_is_cancelled_by_nobody_and_refused_as_one_that_does_not_exist(tenants, database):
    a, b = tenants
    said = []
    for number in (b.ordered[0], 987_654_321):
        with pytest.raises(OrderRefused) as refused:
            a.cancel(number)
        said.append((type(refused.value), str(refused.value).replace(str(number), "N")))
    assert said[0] == said[1]
    status = "SELECT status FROM shop.orders WHERE order_id = %s"
    assert database.value(status, (b.ordered[0],)) == "placed"


def test_a_token_of_another_s_brings_no_order_of_theirs(tenants):
    """On MySQL tokens are unique among all tenants: it is told that one was used. Guess 122 bits first."""
    a, b = tenants
    token = uuid.uuid4()
    theirs = b.place(token=token)
    if a.engine == "mysql":
        with pytest.raises(OrderRefused, match=r"the request token is taken$"):
            a.place(token=token)
    else:
        assert a.place(token=token) not in (theirs, *b.ordered)


WRITES = {
    "edit": "UPDATE {orders} SET country = 'Spain' WHERE order_id = %s",
    "move": "UPDATE {order_lines} SET quantity = 3 WHERE order_id = %s",
    "delete": "DELETE FROM {stock_movements} WHERE order_id = %s",
    "delete the order": "DELETE FROM {orders} WHERE order_id = %s",
}


@pytest.mark.engine("postgresql")
@pytest.mark.parametrize("role", ["shop_loader", "shop_admin"])
@pytest.mark.parametrize("write_", WRITES)
def test_whoever_may_write_writes_the_tenant_s_rows_alone(tenants, database, role, write_):
    """The loader and the admin act as the owner, on whom the policies are forced."""
    a, b = tenants
    statement = WRITES[write_].format(**{table: a.table(table) for table in PRIVATE})
    before = everything_of(database, b)
    with closing(a.as_role(role)) as session, session.connection.cursor() as cursor:
        cursor.execute(statement, (b.ordered[0],))
        assert cursor.rowcount == 0
    assert everything_of(database, b) == before


@pytest.mark.engine("mysql")
@pytest.mark.parametrize("write_", WRITES)
def test_a_tenant_writes_no_row_but_by_procedures(tenants, write_):
    a, b = tenants
    for order in (a.ordered[0], b.ordered[0]):
        with pytest.raises(DatabaseError) as refused:
            a.seen(WRITES[write_], order)
        assert refused.value.code in ("1142", "1143")


@pytest.mark.engine("mysql")
@pytest.mark.parametrize("table", [*PRIVATE, *FILE_TABLES, *COMMON, "invariants"])
@pytest.mark.parametrize("verb", ["SELECT * FROM {}", "DELETE FROM {}", "TRUNCATE {}", "DROP TABLE {}"])
def test_a_tenant_has_no_right_on_the_shop_s_own_tables(tenants, table, verb):
    with pytest.raises(DatabaseError) as refused:
        tenants[0].session.rows(verb.format(f"shop.{table}"))
    assert refused.value.code == "1142"


@pytest.mark.engine("mysql")
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM shop_tenants.accounts",
        "UPDATE shop_tenants.accounts SET tenant_id = 'b'",
        "INSERT INTO shop_tenants.accounts VALUES ('shop_tenant_a@localhost', 'b')",
        "SELECT shop_tenants.tenant_of_login()",
        "CALL shop.place_order(uuid(), NULL, 'France', 2, '[]')",
        "CALL shop.cancel_order(1)",
        "SET ROLE shop_owner",
        "CREATE VIEW shop_tenants.mine AS SELECT 1",
        "ALTER VIEW shop_tenants.orders AS SELECT * FROM shop.orders",
        "SET GLOBAL init_connect = ''",
    ],
)
def test_a_tenant_has_no_way_to_be_another(tenants, statement):
    with pytest.raises(DatabaseError) as refused:
        tenants[0].session.rows(statement)
    assert refused.value.code in ("1044", "1142", "1227", "1370", "3530")


@pytest.mark.engine("postgresql")
def test_a_row_can_be_neither_given_to_another_nor_made_another_s(tenants):
    a, b = tenants
    for statement, values in (
        ("INSERT INTO shop.customers (country, tenant_id) VALUES ('France', %s)", (b.name,)),
        ("UPDATE shop.orders SET tenant_id = %s WHERE order_id = %s", (b.name, a.ordered[0])),
    ):
        with closing(a.as_role("shop_loader")) as session, pytest.raises(DatabaseError) as refused:
            session.rows(statement, values)
        assert refused.value.code == "42501"


@pytest.mark.engine("postgresql")
def test_a_customer_s_number_of_another_s_is_told_by_its_key_alone(tenants):
    """The leak that stays: numbers are unique among all tenants. Programs let the sequence choose them."""
    a, b = tenants
    with closing(a.as_role("shop_loader")) as session, pytest.raises(DatabaseError) as refused:
        session.rows("INSERT INTO shop.customers (customer_id, country) VALUES (%s, 'France')", (b.customer,))
    assert (refused.value.code, refused.value.constraint) == ("23505", "customers_pk")
    assert "France" not in str(refused.value)


@pytest.mark.engine("postgresql")
def test_invoices_of_one_number_belong_to_each(tenants):
    for tenant in tenants:
        with closing(tenant.as_role("shop_loader")) as session:
            session.rows(
                "INSERT INTO shop.orders (invoice_number, status, country) VALUES ('1', 'invoiced', 'France')"
            )
        assert tenant.seen("SELECT count(*) FROM shop.orders WHERE invoice_number = '1'") == [(1,)]
        with closing(tenant.as_role("shop_loader")) as session:
            session.rows("DELETE FROM shop.orders WHERE invoice_number = '1'")


class Nobody:
    """A session that is no tenant's."""

    def __init__(self, database):
        if database.engine == "mysql":
            database.rows("CREATE USER shop_stranger IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'")
            database.rows("GRANT shop_tenant TO shop_stranger")
            database.rows("SET DEFAULT ROLE shop_tenant TO shop_stranger")
            self.session = database.session("shop_stranger")
        else:
            self.session = database.session("shop_application")


@pytest.fixture
def nobody(database):
    found = Nobody(database)
    yield found
    found.session.close()
    if database.engine == "mysql":
        database.rows("DROP USER shop_stranger")


def test_without_a_tenant_nothing_is_seen_and_nothing_is_added(tenants, nobody):
    a, _ = tenants
    for table in PRIVATE:
        assert nobody.session.rows(f"SELECT * FROM {a.table(table)}") == []
    refused = {"postgresql": ("23502", "42501"), "mysql": ("1369",)}[a.engine]
    with pytest.raises(DatabaseError) as error:
        nobody.session.rows(f"INSERT INTO {a.table('customers')} (country) VALUES ('France')")
    assert error.value.code in refused
    for warehouse in (a.warehouse, 2):
        with pytest.raises((DatabaseError, OrderRefused)):
            Tenant.place(_As(a, nobody.session), warehouse=warehouse)


class _As(Tenant):
    def __init__(self, tenant, session):
        self.__dict__.update(vars(tenant), session=session)


@pytest.mark.engine("postgresql")
@pytest.mark.parametrize("value", ["", " ", "A", "a ", "a' OR '1'='1", "%", "*", "NULL", "a\tb"])
def test_no_other_value_is_the_tenant(tenants, nobody, value):
    nobody.session.rows("SELECT set_config('shop.tenant_id', %s, false)", (value,))
    assert nobody.session.rows("SELECT * FROM shop.orders") == []


@pytest.mark.engine("postgresql")
def test_policies_are_forced_on_the_owner_and_the_admin(tenants, database):
    for role in ("shop_admin", "shop_loader", "shop_read_only"):
        with closing(database.session(role)) as session:
            assert session.rows("SELECT * FROM shop.orders") == []
    with closing(database.session("shop_admin")) as session:
        session.rows("SET ROLE shop_owner")
        assert session.rows("SELECT * FROM shop.orders") == []
    assert database.value("SELECT count(*) FROM shop.orders") >= 4  # a superuser alone passes them by


@pytest.mark.engine("mysql")
def test_the_house_s_accounts_see_all_and_add_for_the_house(tenants, database):
    with closing(database.session("shop_application")) as session:
        assert session.rows("SELECT count(DISTINCT tenant_id) FROM shop.orders")[0][0] >= 2
        session.rows("INSERT INTO shop.customers (country) VALUES ('of the house')")
    assert database.rows("SELECT tenant_id FROM shop.customers WHERE country = 'of the house'") == [("shop",)]


@pytest.mark.engine("postgresql")
def test_every_table_is_guarded_or_common(database):
    guarded = database.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'p')"
        " AND relrowsecurity AND relforcerowsecurity"
        " AND EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid)"
    )
    every = database.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'p')"
    )
    assert {name for (name,) in every} - {name for (name,) in guarded} == COMMON
    assert {name for (name,) in guarded} == {*PRIVATE, *FILE_TABLES}


@pytest.mark.engine("mysql")
def test_every_table_has_a_view_or_is_the_house_s(database):
    every = database.rows(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = 'shop' AND table_type = 'BASE TABLE'"
    )
    views = database.rows(
        "SELECT table_name FROM information_schema.views WHERE table_schema = 'shop_tenants'"
    )
    assert {name for (name,) in views} == {*PRIVATE, *COMMON}
    assert {name for (name,) in every} - {name for (name,) in views} == set(FILE_TABLES)


MANY = 4000
FILL = {
    "postgresql": """
        INSERT INTO shop.orders (invoice_number, status, customer_id, country, tenant_id)
        SELECT 'many ' || n || tenant, 'invoiced', customer, 'France', tenant
        FROM generate_series(1, {many}) AS n, (VALUES ('a', 5000000), ('b', 5000001)) AS t (tenant, customer)
    """,
    "mysql": """
        INSERT INTO shop.orders (invoice_number, status, customer_id, country, tenant_id)
        WITH RECURSIVE numbers AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < {many})
        SELECT concat('many ', n, tenant), 'invoiced', customer, 'France', tenant
        FROM numbers, (VALUES ROW('a', 5000000), ROW('b', 5000001)) AS t (tenant, customer)
    """,
}
ASKED = {
    "one order": (
        "SELECT * FROM {orders} WHERE order_id = %s",
        {"orders_pk", "PRIMARY", "orders_tenant_idx"},
    ),
    "the lines of one": (
        "SELECT * FROM {order_lines} WHERE order_id = %s",
        {"order_lines_pk", "order_lines_tenant_idx", "PRIMARY"},
    ),
    "a customer's orders": (
        "SELECT * FROM {orders} WHERE customer_id = %s AND status = 'placed'",
        {"orders_tenant_customer_idx", "orders_customer_idx"},
    ),
}


def test_indexes_are_used(database_server):
    """Behind policies and views, a tenant's questions do not look through everybody's rows."""
    for database in database_server.migrated_database():
        with_tenants(database)
        a, b = (Tenant(database, name, number) for number, name in enumerate(("a", "b")))
        order = a.place(customer=a.customer)
        fill(database)
        number = {"a customer's orders": b.customer}
        for what, (question, expected) in ASKED.items():
            used = plan(a, question, number.get(what, order))
            assert used & expected, (what, used)
            assert not used & {"Seq Scan on orders", "Seq Scan on order_lines", "ALL"}, (what, used)


def fill(database):
    connection = database.superuser()
    with connection.cursor() as cursor:
        if database.engine == "mysql":
            cursor.execute("SET SESSION cte_max_recursion_depth = 100000")
        cursor.execute(FILL[database.engine].format(many=MANY))
        mysql = database.engine == "mysql"
        many, tenant = ("shop.many", "") if mysql else ("many", ", tenant_id")
        cursor.execute(
            f"CREATE TEMPORARY TABLE {many} AS SELECT order_id{tenant} FROM shop.orders"
            " WHERE invoice_number LIKE 'many %'"
        )
        cursor.execute(
            f"INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price{tenant})"
            f" SELECT order_id, 1, (SELECT min(product_id) FROM shop.products), 1, 1{tenant} FROM {many}"
        )
        for table in ("orders", "order_lines"):
            cursor.execute(f"{'ANALYZE TABLE' if mysql else 'ANALYZE'} shop.{table}")


def plan(tenant, question, value):
    """Return the names of indexes in the plan, and what is read as a whole."""
    if tenant.engine == "mysql":
        # EXPLAIN of a view needs SHOW VIEW, which tenants do not have: the optimizer is asked by the server's
        # own superuser, who is made to log in as the tenant's account
        rows = as_superuser_seen(tenant, question, value)
        return {str(word) for row in rows for word in (row[4], row[6]) if word}
    rows = tenant.session.rows(
        "EXPLAIN " + re.sub(r"\{(\w+)\}", lambda name: tenant.table(name[1]), question), (value,)
    )
    text = "\n".join(row[0] for row in rows)
    return set(re.findall(r"(?:using|on) (\w+)", text)) | set(re.findall(r"Seq Scan on \w+", text))


def as_superuser_seen(tenant, question, value):
    tenant.database.rows(f"GRANT SELECT, SHOW VIEW ON *.* TO shop_tenant_{tenant.name}")
    try:
        with closing(tenant.another_session()) as session:
            statement = re.sub(r"\{(\w+)\}", lambda name: tenant.table(name[1]), question)
            return session.rows(f"EXPLAIN FORMAT=TRADITIONAL {statement}", (value,))
    finally:
        tenant.database.rows(f"REVOKE SELECT, SHOW VIEW ON *.* FROM shop_tenant_{tenant.name}")


@pytest.mark.engine("postgresql")
def test_a_load_is_one_tenant_s(tenants, database, tmp_path):
    """The same file for each of two: found loaded neither time, and seen by its tenant alone."""
    lines = [sale(invoice, customer="") for invoice in ("536365", "536366")] + [
        sale(quantity="many", customer="")
    ]
    path = written(tmp_path / "file.csv", lines)
    for tenant in tenants:
        database.rows("INSERT INTO shop.warehouses (name, tenant_id) VALUES ('main', %s)", (tenant.name,))
        with closing(tenant.as_role("shop_loader")) as session:
            report = load(session, PathSource(path), deadline=Deadline.after(60))
        assert report.is_new
        assert (report.load.order_lines, report.load.rejects) == (2, 1)
        assert tenant.seen("SELECT count(*) FROM shop.orders WHERE load_id IS NOT NULL") == [(2,)]
        assert tenant.seen("SELECT * FROM shop.invariants WHERE violations <> 0") == []


@pytest.mark.engine("postgresql")
def test_a_load_for_nobody_leaves_nothing(tenants, database, tmp_path):
    path = written(tmp_path / "other.csv", [sale("7", customer="")])
    before = database.value("SELECT count(*) FROM shop.orders")
    with closing(database.session("shop_loader")) as session, pytest.raises(DatabaseError):
        load(session, PathSource(path), deadline=Deadline.after(60))
    assert database.value("SELECT count(*) FROM shop.orders") == before


@pytest.mark.engine("postgresql")
def test_the_server_refuses_a_copy_that_no_policy_would_see(tenants, tmp_path):
    a, _ = tenants
    (tmp_path / "in").write_text("1\tFrance\n")
    with (
        closing(a.as_role("shop_loader")) as session,
        (tmp_path / "in").open() as file,
        session.connection.cursor() as cursor,
        pytest.raises(psycopg2.Error, match="row-level security") as refused,
    ):
        cursor.copy_expert("COPY shop.customers (customer_id, country) FROM STDIN", file)
    assert refused.value.pgcode == "0A000"


@pytest.mark.engine("mysql")
def test_a_load_is_the_tenant_s_to_whom_the_loader_is_given(tenants, database, tmp_path):
    path = written(tmp_path / "file.csv", [sale("536365", customer="")])
    database.rows("INSERT INTO shop_tenants.accounts VALUES ('shop_loader', 'a')")
    try:
        with closing(database.session("shop_loader")) as session:
            assert load(session, PathSource(path), deadline=Deadline.after(60)).is_new
    finally:
        database.rows("DELETE FROM shop_tenants.accounts WHERE account = 'shop_loader'")
    a, b = tenants
    number = "SELECT count(*) FROM {orders} WHERE invoice_number = '536365'"
    assert (a.seen(number), b.seen(number)) == ([(1,)], [(0,)])


def everything_of(database, tenant):
    return [
        sorted(map(str, database.rows(f"SELECT * FROM shop.{table} WHERE tenant_id = %s", (tenant.name,))))
        for table in PRIVATE
    ]


# --- the set beside the main files


@pytest.fixture
def plain(database_server):
    yield from database_server.migrated_database()


def test_the_set_stands_in_no_main_file_s_way(plain, tmp_path):
    """Applied, it is no version, the main files alone are up to date, and later ones come as ever."""
    assert with_tenants(plain).applied == ("R__tenants.sql",)
    assert with_tenants(plain).applied == ()
    main = SCHEMAS / plain.engine
    for name in (path.name for path in main.glob("*.sql")):
        (tmp_path / name).write_bytes((main / name).read_bytes())
    for text, applied in (({}, ()), (LATER, ("V0099__later.sql",))):
        with closing(plain.migrations()) as migrations:
            outcome = apply(migrations, read_files(write(tmp_path, text)), report=lambda _line: None)
        assert (outcome.applied, outcome.is_ahead) == (applied, False)


LATER = {"V0099__later.sql": "CREATE TABLE shop.later (later_id int PRIMARY KEY);\n"}


def test_the_set_may_be_applied_again_after_an_edit(plain, tmp_path):
    with_tenants(plain)
    before = described(plain)
    copied, name = tmp_path / plain.engine, "R__tenants.sql"
    for path in (SCHEMAS / plain.engine).glob("**/*.sql"):
        target = copied / path.relative_to(SCHEMAS / plain.engine)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    edited = copied / "optional" / "tenants" / name
    edited.write_text(edited.read_text() + "\n-- edited\n")
    with closing(plain.migrations()) as migrations:
        outcome = apply(migrations, read_files(copied, ["tenants"]), report=lambda _line: None)
    assert outcome.applied == (name,)
    assert described(plain) == before


def described(database):
    columns = "SELECT table_schema, table_name, column_name, column_default FROM information_schema.columns"
    found = database.rows(f"{columns} WHERE table_schema IN ('shop', 'shop_tenants') ORDER BY 1, 2, 3")
    constraints = "SELECT table_schema, table_name, constraint_name FROM information_schema.table_constraints"
    return found, database.rows(
        f"{constraints} WHERE table_schema = 'shop' AND constraint_name NOT LIKE '%%not_null'"
        " ORDER BY 1, 2, 3"
    )


def test_the_command_line_takes_it(plain):
    done = run(plain, "apply", "--optional", "tenants", "--directory", SCHEMAS / plain.engine)
    assert (done.returncode, done.stderr.split(" in ")[0]) == (0, "applied R__tenants.sql")
    done = run(plain, "status", "--optional", "tenants", "--directory", SCHEMAS / plain.engine)
    assert done.returncode == 0
    assert "R__tenants.sql" in done.stdout


@pytest.mark.engine("postgresql")  # of files alone
@pytest.mark.parametrize(
    ("chosen", "files", "said"),
    [
        ("nothing", {}, "cannot be read"),
        ("../main", {}, "no name of an optional set"),
        ("", {}, "no name of an optional set"),
        ("a/b", {}, "no name of an optional set"),
        ("numbered", {"V0100__x.sql": "SELECT 1;"}, "has a number"),
        ("twice", {"R__a.sql": "SELECT 1;"}, "is there twice"),
        ("misnamed", {"tenants.sql": "SELECT 1;"}, "is no migration's name"),
    ],
)
def test_a_set_that_is_none_is_refused(tmp_path, chosen, files, said):
    write(tmp_path, {"V1__a.sql": "SELECT 1;", "R__a.sql": "SELECT 1;"})
    if files:
        (tmp_path / "optional" / chosen).mkdir(parents=True)
        write(tmp_path / "optional" / chosen, files)
    with pytest.raises(FilesRefused, match=said):
        read_files(tmp_path, [chosen])
