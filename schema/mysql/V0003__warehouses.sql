-- The warehouse that ships, and one with products of its own in which a smoke test can order and be forgotten.

INSERT INTO shop.warehouses (warehouse_id, name, is_test) VALUES (1, 'main', false), (2, 'smoke test', true);

INSERT INTO shop.products (stock_code, description, unit_price)
VALUES
    ('SMOKE-TEST-A', 'Smoke test: a product at a three-decimal price', 1.005),
    ('SMOKE-TEST-B', 'Smoke test: another product', 2.500),
    ('SMOKE-TEST-C', 'Smoke test: a product that is soon sold out', 0.100);

INSERT INTO shop.inventory (product_id, warehouse_id, stock)
SELECT product_id, 2, CASE stock_code WHEN 'SMOKE-TEST-C' THEN 3 ELSE 1000000 END
FROM shop.products
WHERE stock_code IN ('SMOKE-TEST-A', 'SMOKE-TEST-B', 'SMOKE-TEST-C');

INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind)
SELECT product_id, warehouse_id, stock, 'opening'
FROM shop.inventory
WHERE warehouse_id = 2
ORDER BY product_id;
