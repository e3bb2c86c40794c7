-- Create, read, update and delete: what a shop does every day, statement by statement. An example, no migration.
--
--     psql -v ON_ERROR_STOP=1 -f schema/postgresql/examples/crud.sql
--
-- Runs as a role that may write (shop_owner, shop_loader or the master user) and leaves what it made in place:
-- wrap it in BEGIN and ROLLBACK to look only. Each statement is one transaction by itself. Invoices here are
-- recorded history, as files bring it; orders that move stock are placed with shop.place_order.

-- Create ----------------------------------------------------------------------------------------------------

-- name: add products
INSERT INTO shop.products (stock_code, description, unit_price)
VALUES
    ('CRUD-22423', 'REGENCY CAKESTAND 3 TIER', 12.750),
    ('CRUD-84946', 'ANTIQUE SILVER TEA GLASS ETCHED', 1.250),
    ('CRUD-21730', 'GLASS STAR FROSTED T-LIGHT HOLDER', 4.250)
ON CONFLICT (stock_code) DO NOTHING;

-- name: add a customer
INSERT INTO shop.customers (customer_id, country)
VALUES (12347, 'Iceland')
ON CONFLICT (customer_id) DO UPDATE SET country = excluded.country;

-- name: add an invoice with its lines, wholly or not at all
WITH invoice AS (
    INSERT INTO shop.orders (invoice_number, status, customer_id, country, ordered_at)
    VALUES ('CRUD-537626', 'invoiced', 12347, 'Iceland', '2010-12-07 14:57:00+00')
    RETURNING order_id
), wanted (line_number, stock_code, quantity) AS (
    VALUES (1, 'CRUD-22423', 2), (2, 'CRUD-84946', 12), (3, 'CRUD-84946', 4)
)
INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)
SELECT invoice.order_id, wanted.line_number, products.product_id, wanted.quantity, products.unit_price
FROM wanted
CROSS JOIN invoice
JOIN shop.products USING (stock_code);

-- name: add a line to an invoice
INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)
SELECT
    invoice.order_id,
    (SELECT coalesce(max(line_number), 0) + 1 FROM shop.order_lines WHERE order_id = invoice.order_id),
    product.product_id, 6, product.unit_price
FROM shop.orders AS invoice
JOIN shop.products AS product ON product.stock_code = 'CRUD-21730'
WHERE invoice.invoice_number = 'CRUD-537626';

-- name: receive goods into the main warehouse
WITH received AS (
    INSERT INTO shop.inventory AS shelf (product_id, warehouse_id, stock)
    SELECT product.product_id, warehouse.warehouse_id, 24
    FROM shop.products AS product
    JOIN shop.warehouses AS warehouse ON warehouse.name = 'main'
    WHERE product.stock_code = 'CRUD-22423'
    ON CONFLICT (product_id, warehouse_id) DO UPDATE SET stock = shelf.stock + excluded.stock
    RETURNING product_id, warehouse_id
)
INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind)
SELECT product_id, warehouse_id, 24, 'adjustment' FROM received;

-- Read ------------------------------------------------------------------------------------------------------

-- name: all products
SELECT stock_code, description, unit_price
FROM shop.products
ORDER BY stock_code;

-- name: the invoices of a customer, the latest first
SELECT invoice_number, ordered_at, status, line_count, total_amount
FROM shop.orders
WHERE customer_id = 12347
ORDER BY ordered_at DESC, order_id DESC;

-- name: the lines of an invoice
SELECT
    line.line_number, product.stock_code, coalesce(line.description, product.description) AS description,
    line.quantity, line.unit_price, line.quantity * line.unit_price AS amount
FROM shop.orders AS invoice
JOIN shop.order_lines AS line USING (order_id)
JOIN shop.products AS product USING (product_id)
WHERE invoice.invoice_number = 'CRUD-537626'
ORDER BY line.line_number;

-- Update ----------------------------------------------------------------------------------------------------

-- name: change a line's quantity
UPDATE shop.order_lines AS line
SET quantity = 18
FROM shop.orders AS invoice
WHERE invoice.order_id = line.order_id
    AND invoice.invoice_number = 'CRUD-537626'
    AND line.line_number = 2;

-- name: change a product's price, for orders from now on
UPDATE shop.products
SET unit_price = 10.950
WHERE stock_code = 'CRUD-22423';

-- name: change an invoice's country
UPDATE shop.orders
SET country = 'Norway'
WHERE invoice_number = 'CRUD-537626';

-- Delete ----------------------------------------------------------------------------------------------------

-- name: delete one line of an invoice
DELETE FROM shop.order_lines AS line
USING shop.orders AS invoice
WHERE invoice.order_id = line.order_id
    AND invoice.invoice_number = 'CRUD-537626'
    AND line.line_number = 3;

-- name: delete an invoice with its lines
DELETE FROM shop.orders
WHERE invoice_number = 'CRUD-537626';

-- name: delete a product that was never ordered or stocked
DELETE FROM shop.products AS product
WHERE product.stock_code = 'CRUD-84946'
    AND NOT EXISTS (SELECT FROM shop.order_lines AS line WHERE line.product_id = product.product_id)
    AND NOT EXISTS (SELECT FROM shop.inventory AS shelf WHERE shelf.product_id = product.product_id);
