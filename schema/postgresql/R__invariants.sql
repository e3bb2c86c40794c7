-- What must always hold, each with the number of its violations: a healthy database shows 0 in every row.

SET ROLE shop_owner;

CREATE OR REPLACE VIEW shop.invariants (invariant, violations) AS

SELECT 'stock is the sum of its movements', count(*)
FROM shop.inventory AS shelf
LEFT JOIN (
    SELECT product_id, warehouse_id, sum(quantity) AS quantity
    FROM shop.stock_movements
    GROUP BY product_id, warehouse_id
) AS moved USING (product_id, warehouse_id)
WHERE shelf.stock <> coalesce(moved.quantity, 0)

UNION ALL

SELECT 'stock is never negative', count(*)
FROM shop.inventory
WHERE stock < 0

UNION ALL

SELECT 'every line of a placed order has left its warehouse', count(*)
FROM shop.orders AS placed
JOIN shop.order_lines AS line USING (order_id)
LEFT JOIN shop.stock_movements AS sale
    ON sale.order_id = line.order_id AND sale.line_number = line.line_number AND sale.kind = 'sale'
WHERE placed.status IN ('placed', 'cancelled')
    AND (sale.product_id, sale.warehouse_id, sale.quantity)
        IS DISTINCT FROM (line.product_id, placed.warehouse_id, -line.quantity)

UNION ALL

SELECT 'every line of a cancelled order is back, and no other', count(*)
FROM shop.orders AS placed
JOIN shop.order_lines AS line USING (order_id)
LEFT JOIN shop.stock_movements AS back
    ON back.order_id = line.order_id AND back.line_number = line.line_number AND back.kind = 'cancellation'
WHERE placed.status IN ('placed', 'cancelled')
    AND (back.product_id, back.warehouse_id, back.quantity) IS DISTINCT FROM (
        CASE WHEN placed.status = 'cancelled' THEN line.product_id END,
        CASE WHEN placed.status = 'cancelled' THEN placed.warehouse_id END,
        CASE WHEN placed.status = 'cancelled' THEN line.quantity END
    )

UNION ALL

SELECT 'recorded history moves no stock', count(*)
FROM shop.stock_movements AS moved
JOIN shop.orders AS recorded USING (order_id)
WHERE recorded.status IN ('invoiced', 'returned')

UNION ALL

SELECT 'orders know the count and the total of their lines', count(*)
FROM shop.orders AS known
LEFT JOIN (
    SELECT order_id, count(*) AS line_count, sum(quantity * unit_price) AS total_amount
    FROM shop.order_lines
    GROUP BY order_id
) AS lines USING (order_id)
WHERE known.line_count <> coalesce(lines.line_count, 0)
    OR known.total_amount <> coalesce(lines.total_amount, 0)

UNION ALL

SELECT 'placed orders have lines', count(*)
FROM shop.orders
WHERE status IN ('placed', 'cancelled') AND line_count = 0

UNION ALL

-- A bulk load takes keys and triggers away for a while; here is seen that it put them back.
SELECT 'constraints are validated and triggers enabled', (
    SELECT count(*)
    FROM pg_constraint
    WHERE connamespace = 'shop'::regnamespace AND NOT convalidated
) + (
    SELECT count(*)
    FROM pg_trigger
    JOIN pg_class ON pg_class.oid = pg_trigger.tgrelid
    WHERE pg_class.relnamespace = 'shop'::regnamespace AND pg_trigger.tgenabled <> 'O'
);

COMMENT ON VIEW shop.invariants IS 'What must always hold, with the number of violations: 0 in a healthy database';

GRANT SELECT ON shop.invariants TO shop_application, shop_read_only;

RESET ROLE;
