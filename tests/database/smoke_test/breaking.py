"""Faults of a database for the smoke test to find, the same on both engines."""

from __future__ import annotations

import ssl

import psycopg2
import pymysql

PLACE_ORDER = "request_token {token}, customer_id bigint, country {text}, warehouse_id integer, lines {json}"


class Breaking:
    """Breaks one shop; what outlasts its database is mended in the end."""

    def __init__(self, shop):
        self.shop = shop
        self._mending = []

    def close(self):
        for statement in self._mending:
            self.shop.rows(statement)

    def read_only_by_default(self):
        """The writer's transactions take no writes unless they ask for it."""
        if self.shop.engine == "mysql":
            self.shop.rows("SET GLOBAL transaction_read_only = ON")
            self._mending.append("SET GLOBAL transaction_read_only = OFF")
        else:
            self.shop.rows(f'ALTER DATABASE "{self.shop.name}" SET default_transaction_read_only = on')

    def lose_third_lines(self):
        """An order of three lines is placed with two."""
        if self.shop.engine == "mysql":
            self.shop.rows("DROP TRIGGER shop.order_lines_of_placed_orders_before_delete")
            self._wrap_place_order(
                after="DELETE FROM shop.stock_movements WHERE line_number = 3;"
                " DELETE FROM shop.order_lines WHERE line_number = 3;"
            )
            return
        self.shop.rows(
            """
            CREATE FUNCTION shop.lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
            CREATE TRIGGER lose BEFORE INSERT ON shop.order_lines
                FOR EACH ROW WHEN (NEW.line_number = 3) EXECUTE FUNCTION shop.lose()
            """
        )

    def take_no_stock(self):
        """Orders are placed whatever is in stock, and leave it as it was."""
        if self.shop.engine == "mysql":
            self._wrap_place_order(before="UPDATE shop.inventory SET stock = 2000000000;")
            return
        self.shop.rows(
            """
            CREATE OR REPLACE FUNCTION shop.take_stock(warehouse_id integer, wanted shop.wanted_line[])
            RETURNS void LANGUAGE sql AS ''
            """
        )

    def forget_tokens(self):
        """Every request is placed under a token of its own, as if there were none."""
        if self.shop.engine == "mysql":
            self._wrap_place_order(token="uuid()")
            return
        self.shop.rows(
            """
            ALTER FUNCTION shop.place_order RENAME TO place_once;
            CREATE FUNCTION shop.place_order(
                request_token uuid, customer_id bigint, country text, warehouse_id integer, lines jsonb
            ) RETURNS TABLE (
                order_id bigint, line_count integer, total_amount numeric, ordered_at timestamptz,
                is_new boolean
            )
            LANGUAGE sql SECURITY DEFINER
            AS 'SELECT * FROM shop.place_once(gen_random_uuid(), $2, $3, $4, $5)'
            """
        )

    def cancel_without_returning_goods(self):
        if self.shop.engine == "mysql":
            self._replace_procedure(
                "cancel_order",
                "order_id bigint",
                """
                UPDATE shop.orders AS o SET status = 'cancelled'
                WHERE o.order_id = order_id AND status = 'placed';
                SELECT row_count() AS cancelled;
                """,
            )
            return
        self.shop.rows(
            """
            CREATE OR REPLACE FUNCTION shop.cancel_order(order_id bigint) RETURNS boolean
            LANGUAGE plpgsql SECURITY DEFINER
            AS $$
            BEGIN
                UPDATE shop.orders AS o SET status = 'cancelled'
                WHERE o.order_id = cancel_order.order_id AND status = 'placed';
                RETURN FOUND;
            END
            $$
            """
        )

    def have_no_invariants(self):
        text, count = {"postgresql": ("''::text", "0::bigint"), "mysql": ("''", "0")}[self.shop.engine]
        self.shop.rows(
            f"CREATE OR REPLACE VIEW shop.invariants AS"
            f" SELECT * FROM (SELECT {text} AS invariant, {count} AS violations) AS none WHERE false"
        )

    def replace_purge(self, *statements):
        """Have these statements in the purge's place; the last one says how many orders went."""
        body = "; ".join(statements) + ";"
        if self.shop.engine == "mysql":
            self._replace_procedure("purge_test_orders", "request_tokens text", body)
            return
        self.shop.rows(
            f"""
            CREATE OR REPLACE FUNCTION shop.purge_test_orders(request_tokens jsonb) RETURNS integer
            LANGUAGE sql SECURITY DEFINER AS $${body}$$
            """
        )

    def forbid_to_order(self):
        kind = {"postgresql": "FUNCTION", "mysql": "PROCEDURE"}[self.shop.engine]
        self.shop.rows(f"REVOKE EXECUTE ON {kind} shop.place_order FROM shop_application")

    def _wrap_place_order(self, *, before="", token="request_token", after=""):
        """Put statements around MySQL's procedure; it cannot be renamed, but copied."""
        ((_, _, definition, *_),) = self.shop.rows("SHOW CREATE PROCEDURE shop.place_order")
        self.shop.rows("USE shop")
        copied = definition.replace("`place_order`", "shop.place_once", 1)
        assert "shop.place_once" in copied
        self.shop.rows(copied)
        self._replace_procedure(
            "place_order",
            "request_token text, customer_id bigint, country text, warehouse_id bigint, `lines` json",
            f"{before} CALL shop.place_once({token}, customer_id, country, warehouse_id, `lines`); {after}",
        )

    def _replace_procedure(self, name, parameters, body):
        self.shop.rows(f"DROP PROCEDURE shop.{name}")
        self.shop.rows(f"CREATE PROCEDURE shop.{name}({parameters}) BEGIN {body} END")
        self.shop.rows(f"GRANT EXECUTE ON PROCEDURE shop.{name} TO shop_application")


def verify_no_host(monkeypatch, engine):
    """Have the driver verify the authority, but not the name."""
    if engine == "postgresql":
        _change_options(monkeypatch, psycopg2, lambda how: {"sslmode": "require"})
    else:
        _change_options(monkeypatch, pymysql, lambda how: {"ssl": _for_any_host(how["ssl"])})


def trust_anyone(monkeypatch, engine):
    """Have the driver encrypt without looking at the certificate."""
    if engine == "postgresql":
        _change_options(monkeypatch, psycopg2, lambda how: {"sslmode": "require", "sslrootcert": "/nowhere"})
        return
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    _change_options(monkeypatch, pymysql, lambda how: {"ssl": anyone})


def _change_options(monkeypatch, driver, changed):
    """Change how the driver connects over TLS; the endpoints' own connections here have none."""
    connect = driver.connect

    def connect_otherwise(**how):
        return connect(**how | (changed(how) if how.keys() & {"ssl", "sslmode"} else {}))

    monkeypatch.setattr(driver, "connect", connect_otherwise)


def _for_any_host(context):
    lax = ssl.create_default_context()
    lax.check_hostname = False
    lax.load_verify_locations(cadata="".join(map(ssl.DER_cert_to_PEM_cert, context.get_ca_certs(True))))
    return lax
