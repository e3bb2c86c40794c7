-- Lets a smoke test order for real and leave no trace in the business data.

SET ROLE shop_owner;

-- Forgets orders of test warehouses: those with these tokens, and whatever a broken test left an hour ago. Their
-- goods go back. Orders of other warehouses are beyond its reach.
-- squawk-ignore ban-drop-function -- its only client is the smoke test that is deployed with it
DROP FUNCTION IF EXISTS shop.purge_test_orders(uuid[]);
CREATE OR REPLACE FUNCTION shop.purge_test_orders(request_tokens jsonb) -- ["…", …]
RETURNS integer             -- how many orders went
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    purged bigint[];
    moved record;
BEGIN
    SELECT array_agg(test.order_id) INTO purged
    FROM (
        SELECT placed.order_id
        FROM shop.orders AS placed
        JOIN shop.warehouses AS warehouse USING (warehouse_id)
        WHERE warehouse.is_test
            AND (placed.request_token IN (SELECT token::uuid FROM jsonb_array_elements_text(request_tokens) AS token)
                OR placed.ordered_at < now() - interval '1 hour')
        ORDER BY placed.order_id
        FOR UPDATE OF placed
    ) AS test;

    FOR moved IN
        SELECT movement.product_id, movement.warehouse_id, sum(movement.quantity) AS quantity
        FROM shop.stock_movements AS movement
        WHERE movement.order_id = ANY (purged)
        GROUP BY movement.product_id, movement.warehouse_id
        ORDER BY movement.product_id, movement.warehouse_id
    LOOP
        UPDATE shop.inventory AS shelf
        SET stock = shelf.stock - moved.quantity
        WHERE shelf.product_id = moved.product_id AND shelf.warehouse_id = moved.warehouse_id;
    END LOOP;

    DELETE FROM shop.stock_movements AS movement WHERE movement.order_id = ANY (purged);
    DELETE FROM shop.orders AS test WHERE test.order_id = ANY (purged);
    RETURN coalesce(cardinality(purged), 0);
END
$$;

GRANT EXECUTE ON FUNCTION shop.purge_test_orders(jsonb) TO shop_application;

RESET ROLE;
