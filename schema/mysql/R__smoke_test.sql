-- Lets a smoke test order for real and leave no trace in the business data.

-- A routine keeps the mode it was made in, whoever calls.
SET sql_mode = 'TRADITIONAL,ONLY_FULL_GROUP_BY';

DELIMITER //

DROP PROCEDURE IF EXISTS shop.purge_test_orders//
-- Forgets orders of test warehouses: those with these tokens, and whatever a broken test left an hour ago. Their
-- goods go back. Orders of other warehouses are beyond its reach. One row: purged, how many orders went.
CREATE DEFINER = shop_owner PROCEDURE shop.purge_test_orders(
    request_tokens json     -- ["xxxxxxxx-xxxx-…", …]
)
MODIFIES SQL DATA
BEGIN
    DECLARE purged json;
    DECLARE moved_product_id, moved_warehouse_id int;
    DECLARE moved_quantity bigint;
    DECLARE is_done boolean DEFAULT false;

    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    BEGIN
        DECLARE moved CURSOR FOR
            SELECT movement.product_id, movement.warehouse_id, sum(movement.quantity)
            FROM json_table(purged, '$[*]' COLUMNS (order_id bigint PATH '$')) AS test
            JOIN shop.stock_movements AS movement ON movement.order_id = test.order_id
            GROUP BY movement.product_id, movement.warehouse_id
            ORDER BY movement.product_id, movement.warehouse_id;
        DECLARE CONTINUE HANDLER FOR NOT FOUND SET is_done = true;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION
        BEGIN
            ROLLBACK;
            RESIGNAL;
        END;

        START TRANSACTION;
        SELECT json_arrayagg(test.order_id) INTO purged
        FROM (
            SELECT placed.order_id
            FROM shop.warehouses AS warehouse
            JOIN shop.orders AS placed ON placed.warehouse_id = warehouse.warehouse_id
            WHERE warehouse.is_test
                AND (
                    placed.ordered_at < utc_timestamp(6) - INTERVAL 1 HOUR
                    OR placed.request_token IN (
                        SELECT uuid_to_bin(given.token)
                        FROM json_table(request_tokens, '$[*]' COLUMNS (token varchar(36) PATH '$')) AS given
                    )
                )
            ORDER BY placed.order_id
            FOR UPDATE OF placed
        ) AS test;

        OPEN moved;
        FETCH moved INTO moved_product_id, moved_warehouse_id, moved_quantity;
        WHILE NOT is_done DO
            UPDATE shop.inventory AS shelf
            SET shelf.stock = shelf.stock - moved_quantity
            WHERE shelf.product_id = moved_product_id AND shelf.warehouse_id = moved_warehouse_id;
            FETCH moved INTO moved_product_id, moved_warehouse_id, moved_quantity;
        END WHILE;
        CLOSE moved;

        DELETE movement
        FROM json_table(purged, '$[*]' COLUMNS (order_id bigint PATH '$')) AS test
        JOIN shop.stock_movements AS movement ON movement.order_id = test.order_id;
        DELETE placed
        FROM json_table(purged, '$[*]' COLUMNS (order_id bigint PATH '$')) AS test
        JOIN shop.orders AS placed ON placed.order_id = test.order_id;
        COMMIT;
    END;
    SELECT coalesce(json_length(purged), 0) AS purged;
END//

DELIMITER ;

GRANT EXECUTE ON PROCEDURE shop.purge_test_orders TO shop_application;
