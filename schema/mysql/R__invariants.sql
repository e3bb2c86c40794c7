-- What must always hold, each with the number of its violations: a healthy database shows 0 in every row.

SET sql_mode = 'TRADITIONAL,ONLY_FULL_GROUP_BY'; -- a routine keeps the mode it was made in, whoever calls

DELIMITER //

-- A session may switch off the checks of foreign keys, and a CHECK may be made NOT ENFORCED; here is seen that
-- neither left a row without its parent, and that no trigger is gone. A function, for information_schema shows
-- each reader only what its own rights reach.
DROP FUNCTION IF EXISTS shop.guards_missing//
CREATE DEFINER = shop_owner FUNCTION shop.guards_missing() RETURNS bigint
READS SQL DATA
RETURN (
    SELECT count(*)
    FROM information_schema.table_constraints
    WHERE constraint_schema = 'shop' AND enforced <> 'YES'
) + (
    SELECT count(*)
    FROM (
        VALUES
            ROW('order_totals_after_insert'), ROW('order_totals_after_update'), ROW('order_totals_after_delete'),
            ROW('order_lines_of_placed_orders_before_update'),
            ROW('order_lines_of_placed_orders_before_delete')
    ) AS expected (name)
    WHERE NOT EXISTS (
        SELECT 1
        FROM information_schema.triggers
        WHERE trigger_schema = 'shop' AND trigger_name = expected.name
    )
) + (
    SELECT count(*)
    FROM shop.inventory AS shelf
    LEFT JOIN shop.products AS product ON product.product_id = shelf.product_id
    LEFT JOIN shop.warehouses AS warehouse ON warehouse.warehouse_id = shelf.warehouse_id
    WHERE product.product_id IS NULL OR warehouse.warehouse_id IS NULL
) + (
    SELECT count(*)
    FROM shop.rejects AS reject
    LEFT JOIN shop.loads AS brought ON brought.load_id = reject.load_id
    WHERE brought.load_id IS NULL
) + (
    SELECT count(*)
    FROM shop.orders AS known
    LEFT JOIN shop.customers AS customer ON customer.customer_id = known.customer_id
    LEFT JOIN shop.warehouses AS warehouse ON warehouse.warehouse_id = known.warehouse_id
    LEFT JOIN shop.loads AS brought ON brought.load_id = known.load_id
    WHERE known.customer_id IS NOT NULL AND customer.customer_id IS NULL
        OR known.warehouse_id IS NOT NULL AND warehouse.warehouse_id IS NULL
        OR known.load_id IS NOT NULL AND brought.load_id IS NULL
) + (
    SELECT count(*)
    FROM shop.order_lines AS line
    LEFT JOIN shop.orders AS known ON known.order_id = line.order_id
    LEFT JOIN shop.products AS product ON product.product_id = line.product_id
    WHERE known.order_id IS NULL OR product.product_id IS NULL
) + (
    SELECT count(*)
    FROM shop.stock_movements AS moved
    LEFT JOIN shop.inventory AS shelf
        ON shelf.product_id = moved.product_id AND shelf.warehouse_id = moved.warehouse_id
    LEFT JOIN shop.order_lines AS line
        ON line.order_id = moved.order_id AND line.line_number = moved.line_number
    WHERE shelf.product_id IS NULL OR moved.order_id IS NOT NULL AND line.order_id IS NULL
)//

DELIMITER ;

CREATE OR REPLACE DEFINER = shop_owner SQL SECURITY DEFINER VIEW shop.invariants (invariant, violations) AS

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
    AND NOT (sale.product_id, sale.warehouse_id, sale.quantity)
        <=> (line.product_id, placed.warehouse_id, -line.quantity)

UNION ALL

SELECT 'every line of a cancelled order is back, and no other', count(*)
FROM shop.orders AS placed
JOIN shop.order_lines AS line USING (order_id)
LEFT JOIN shop.stock_movements AS back
    ON back.order_id = line.order_id AND back.line_number = line.line_number AND back.kind = 'cancellation'
WHERE placed.status IN ('placed', 'cancelled')
    AND NOT (back.product_id, back.warehouse_id, back.quantity) <=> (
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
) AS summed USING (order_id)
WHERE known.line_count <> coalesce(summed.line_count, 0)
    OR known.total_amount <> coalesce(summed.total_amount, 0)

UNION ALL

SELECT 'placed orders have lines', count(*)
FROM shop.orders
WHERE status IN ('placed', 'cancelled') AND line_count = 0

UNION ALL

SELECT 'constraints are validated and triggers enabled', shop.guards_missing();

GRANT SELECT ON shop.invariants TO shop_application;
