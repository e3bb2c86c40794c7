"""Who may do what in the database: the one table that a new object has to enter. Rows as in ROLES.

`all`: every verb of that kind of thing; `-`: none; else the verbs, and columns where it is not all of them.
"""

WRITE = "SELECT, INSERT, UPDATE, DELETE"


POSTGRESQL = {
    "shop.customers": ("all", "all", "SELECT, INSERT (country)", "SELECT", "all", "-"),
    "shop.inventory": ("all", "all", "SELECT", "SELECT", "all", "-"),
    "shop.loads": ("all", "all", "-", "SELECT", "all", "-"),
    "shop.order_lines": ("all", "all", "SELECT", "SELECT", "all", "-"),
    "shop.orders": ("all", "all", "SELECT", "SELECT", "all", "-"),
    "shop.products": ("all", "all", "SELECT", "SELECT", "all", "-"),
    "shop.rejects": ("all", "all", "-", "SELECT", "all", "-"),
    "shop.stock_movements": ("all", "all", "SELECT", "SELECT", "all", "-"),
    "shop.warehouses": ("all", "all", "SELECT", "SELECT", "all", "-"),
    "shop.invariants": ("all", "all", "SELECT", "SELECT", "all", "-"),
    "shop.cancel_order": ("all", "all", "EXECUTE", "-", "all", "-"),
    "shop.keep_order_totals": ("all", "all", "-", "-", "all", "-"),
    "shop.order_placed_before": ("all", "all", "-", "-", "all", "-"),
    "shop.place_order": ("all", "all", "EXECUTE", "-", "all", "-"),
    "shop.priced_lines": ("all", "all", "-", "-", "all", "-"),
    "shop.protect_placed_orders": ("all", "all", "-", "-", "all", "-"),
    "shop.purge_test_orders": ("all", "all", "EXECUTE", "-", "all", "-"),
    "shop.refuse_order": ("all", "all", "-", "-", "all", "-"),
    "shop.refuse_shortage": ("all", "all", "-", "-", "all", "-"),
    "shop.take_stock": ("all", "all", "-", "-", "all", "-"),
    "shop.customers_customer_id_seq": ("all", "all", "-", "-", "all", "-"),
    "shop.loads_load_id_seq": ("all", "all", "-", "-", "all", "-"),
    "shop.orders_order_id_seq": ("all", "all", "-", "-", "all", "-"),
    "shop.products_product_id_seq": ("all", "all", "-", "-", "all", "-"),
    "shop.stock_movements_movement_id_seq": ("all", "all", "-", "-", "all", "-"),
    "shop.warehouses_warehouse_id_seq": ("all", "all", "-", "-", "all", "-"),
    "schema migrations": ("-", "-", "-", "-", "all", "-"),
    "schema public": ("-", "-", "-", "-", "all", "-"),
    "schema shop": ("all", "all", "-", "-", "all", "-"),
    "migrations.history": ("-", "-", "-", "-", "all", "-"),
    "migrations.history_installed_as_seq": ("-", "-", "-", "-", "all", "-"),
    "pg_authid": ("-", "-", "-", "-", "-", "-"),
    "the server": ("-", "TEMPORARY TABLE", "-", "-", "TEMPORARY TABLE, CREATE SCHEMA, CREATE ROLE", "-"),
}

MYSQL = {
    "shop.customers": (f"{WRITE}, TRIGGER", WRITE, "SELECT, INSERT (country)", "SELECT", "all", "-"),
    "shop.inventory": (f"{WRITE}, TRIGGER", WRITE, "SELECT", "SELECT", "all", "-"),
    "shop.loads": (f"{WRITE}, TRIGGER", WRITE, "-", "SELECT", "all", "-"),
    "shop.order_lines": (f"{WRITE}, TRIGGER", f"{WRITE}, TRIGGER", "SELECT", "SELECT", "all", "-"),
    "shop.orders": (f"{WRITE}, TRIGGER", WRITE, "SELECT", "SELECT", "all", "-"),
    "shop.products": (f"{WRITE}, TRIGGER", WRITE, "SELECT", "SELECT", "all", "-"),
    "shop.rejects": (f"{WRITE}, TRIGGER", WRITE, "-", "SELECT", "all", "-"),
    "shop.stock_movements": (f"{WRITE}, TRIGGER", WRITE, "SELECT", "SELECT", "all", "-"),
    "shop.warehouses": (f"{WRITE}, TRIGGER", WRITE, "SELECT", "SELECT", "all", "-"),
    "shop.invariants": ("SELECT", "SELECT", "SELECT", "SELECT", "all", "-"),
    "shop.cancel_order": ("EXECUTE", "-", "EXECUTE", "-", "all", "-"),
    "shop.find_order_placed_before": ("EXECUTE", "-", "-", "-", "all", "-"),
    "shop.guards_missing": ("EXECUTE", "-", "-", "-", "all", "-"),
    "shop.keep_order_totals": ("EXECUTE", "EXECUTE", "-", "-", "all", "-"),
    "shop.place_order": ("EXECUTE", "-", "EXECUTE", "-", "all", "-"),
    "shop.protect_placed_orders": ("EXECUTE", "-", "-", "-", "all", "-"),
    "shop.purge_test_orders": ("EXECUTE", "-", "EXECUTE", "-", "all", "-"),
    "shop.put_stock_back": ("EXECUTE", "-", "-", "-", "all", "-"),
    "shop.refuse": ("EXECUTE", "-", "-", "-", "all", "-"),
    "shop.refuse_line": ("EXECUTE", "-", "-", "-", "all", "-"),
    "shop.refuse_order": ("EXECUTE", "-", "-", "-", "all", "-"),
    "shop.refuse_shortage": ("EXECUTE", "-", "-", "-", "all", "-"),
    "shop.refuse_unknown_products": ("EXECUTE", "-", "-", "-", "all", "-"),
    "schema migrations": ("-", "-", "-", "-", "all", "-"),
    "schema shop": ("-", "TEMPORARY TABLE, LOCK TABLES", "-", "-", "all", "-"),
    "migrations.history": ("-", "-", "-", "-", "all", "-"),
    "migrations.journal": ("-", "-", "-", "-", "all", "-"),
    "mysql.user": ("-", "-", "-", "-", "all", "-"),
    "the server": ("-", "-", "-", "-", "CREATE SCHEMA, CREATE ROLE, BINARY LOG", "-"),
}

MATRIX = {"postgresql": POSTGRESQL, "mysql": MYSQL}
