-- Create, read, update and delete: what a shop does every day, statement by statement. An example, no migration.
--
--     mysql < schema/mysql/examples/crud.sql
--
-- Runs as an account that may write (shop_loader or the master user) and leaves what it made in place. What
-- stands under one name is done wholly or not at all. Invoices here are recorded history, as files bring it;
-- orders that move stock are placed with shop.place_order.
--
-- The triggers of shop.order_lines keep its orders' totals, so that a statement that writes lines cannot read
-- shop.orders as well (error 1442): it is told the order by a variable.

-- Create ----------------------------------------------------------------------------------------------------

-- name: add products
INSERT INTO shop.products (stock_code, description, unit_price)
VALUES
    ('CRUD-22423', 'REGENCY CAKESTAND 3 TIER', 12.750),
    ('CRUD-84946', 'ANTIQUE SILVER TEA GLASS ETCHED', 1.250),
    ('CRUD-21730', 'GLASS STAR FROSTED T-LIGHT HOLDER', 4.250)
ON DUPLICATE KEY UPDATE stock_code = products.stock_code;

-- name: add a customer
INSERT INTO shop.customers (customer_id, country)
VALUES (12347, 'Iceland') AS given
ON DUPLICATE KEY UPDATE country = given.country;

-- name: add an invoice with its lines, wholly or not at all
START TRANSACTION;
INSERT INTO shop.orders (invoice_number, status, customer_id, country, ordered_at)
VALUES ('CRUD-537626', 'invoiced', 12347, 'Iceland', '2010-12-07 14:57:00');
INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)
SELECT last_insert_id(), wanted.line_number, products.product_id, wanted.quantity, products.unit_price
FROM (
    VALUES ROW(1, 'CRUD-22423', 2), ROW(2, 'CRUD-84946', 12), ROW(3, 'CRUD-84946', 4)
) AS wanted (line_number, stock_code, quantity)
JOIN shop.products USING (stock_code);
COMMIT;

-- name: add a line to an invoice
SET @invoice_id = (SELECT order_id FROM shop.orders WHERE invoice_number = 'CRUD-537626');
INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)
SELECT
    @invoice_id,
    (SELECT coalesce(max(line_number), 0) + 1 FROM shop.order_lines WHERE order_id = @invoice_id),
    product.product_id, 6, product.unit_price
FROM shop.products AS product
WHERE product.stock_code = 'CRUD-21730';

-- name: receive goods into the main warehouse
START TRANSACTION;
INSERT INTO shop.inventory (product_id, warehouse_id, stock)
SELECT received.product_id, received.warehouse_id, received.quantity
FROM (
    SELECT product.product_id, warehouse.warehouse_id, 24 AS quantity
    FROM shop.products AS product
    JOIN shop.warehouses AS warehouse ON warehouse.name = 'main'
    WHERE product.stock_code = 'CRUD-22423'
) AS received
ON DUPLICATE KEY UPDATE stock = inventory.stock + received.quantity;
INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind)
SELECT product.product_id, warehouse.warehouse_id, 24, 'adjustment'
FROM shop.products AS product
JOIN shop.warehouses AS warehouse ON warehouse.name = 'main'
WHERE product.stock_code = 'CRUD-22423';
COMMIT;

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
SET @invoice_id = (SELECT order_id FROM shop.orders WHERE invoice_number = 'CRUD-537626');
UPDATE shop.order_lines
SET quantity = 18
WHERE order_id = @invoice_id AND line_number = 2;

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
SET @invoice_id = (SELECT order_id FROM shop.orders WHERE invoice_number = 'CRUD-537626');
DELETE FROM shop.order_lines
WHERE order_id = @invoice_id AND line_number = 3;

-- name: delete an invoice with its lines
DELETE FROM shop.orders
WHERE invoice_number = 'CRUD-537626';

-- name: delete a product that was never ordered or stocked
DELETE FROM shop.products AS product
WHERE product.stock_code = 'CRUD-84946'
    AND NOT EXISTS (SELECT 1 FROM shop.order_lines AS line WHERE line.product_id = product.product_id)
    AND NOT EXISTS (SELECT 1 FROM shop.inventory AS shelf WHERE shelf.product_id = product.product_id);
