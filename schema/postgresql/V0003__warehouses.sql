-- The warehouse that ships, and one with products of its own in which a smoke test can order and be forgotten.

SET ROLE shop_owner;

INSERT INTO shop.warehouses (warehouse_id, name, is_test) VALUES (1, 'main', false), (2, 'smoke test', true);

WITH test_products AS (
    INSERT INTO shop.products (stock_code, description, unit_price)
    VALUES
        ('SMOKE-TEST-A', 'Smoke test: a product at a three-decimal price', 1.005),
        ('SMOKE-TEST-B', 'Smoke test: another product', 2.500),
        ('SMOKE-TEST-C', 'Smoke test: a product that is soon sold out', 0.100)
    RETURNING product_id, CASE stock_code WHEN 'SMOKE-TEST-C' THEN 3 ELSE 1000000 END AS stock
), opened AS (
    INSERT INTO shop.inventory (product_id, warehouse_id, stock)
    SELECT product_id, 2, stock FROM test_products
    RETURNING product_id, warehouse_id, stock
)
INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind)
SELECT product_id, warehouse_id, stock, 'opening' FROM opened;

RESET ROLE;
