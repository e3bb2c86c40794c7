-- Placing and cancelling orders: each in one round trip, whole or not at all, and safe to repeat.
--
-- Each procedure is a transaction of its own, READ COMMITTED, and refuses to run inside another (error 1568).
-- Whatever error ends it, it has rolled back first. KILL QUERY alone passes a procedure's handlers by: whoever
-- gets its error 1317 rolls back. They change stock by conditional updates in the order of product ids, so that
-- no two of them can wait for each other in a circle, and change it late, so that the row of a sought-after
-- product is locked for little more than the commit.
--
-- Refusals have SQLSTATEs of their own. MySQL's errors carry no detail, and 128 characters of message at most: one
-- row comes before the error, with a JSON object as its only column:
--   SH001 out of stock        {"shortages": [{"stock_code": …, "wanted": …, "available": …}, …]}
--   SH002 unknown product     {"stock_codes": […]}
--   SH003 invalid order       {"problem": …}
--   SH004 token already used  {"order_id": …}   by an order of other content
--   SH005 unknown order       {"order_id": …}
--   SH006 not cancellable     {"order_id": …, "status": …}

-- A routine keeps the mode it was made in, whoever calls. Its texts, though, would compare as those of whatever
-- database the session is in: parameters say themselves that they are binary.
SET sql_mode = 'TRADITIONAL,ONLY_FULL_GROUP_BY';

DELIMITER //

DROP PROCEDURE IF EXISTS shop.place_order//
-- One row: order_id, line_count, total_amount, ordered_at, is_new (0: placed by an earlier call with this token).
-- All of it in one body, but for what happens seldom: each CALL costs as much as a small query.
CREATE DEFINER = shop_owner PROCEDURE shop.place_order(
    request_token text CHARACTER SET ascii, -- a UUID
    customer_id bigint,     -- NULL: a guest
    country text CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    warehouse_id int,
    wanted_lines json       -- [{"stock_code": …, "quantity": …}, …]; a product may stand on several lines
)
MODIFIES SQL DATA
BEGIN
    DECLARE totals_by_caller int DEFAULT @shop_totals_by_load;
    DECLARE ordered_at datetime(6) DEFAULT utc_timestamp(6);
    DECLARE token binary(16);
    DECLARE wanted json;    -- [[line number, product, quantity, unit price], …]
    DECLARE wanted_count, known_count, wrong_line int;
    DECLARE wanted_total decimal(14, 3);
    DECLARE new_order_id bigint;
    DECLARE is_new boolean;
    DECLARE attempts_left int DEFAULT 10;

    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    BEGIN
        DECLARE EXIT HANDLER FOR SQLEXCEPTION
        BEGIN
            ROLLBACK;
            SET @shop_totals_by_load = totals_by_caller;
            RESIGNAL;
        END;

        START TRANSACTION;
        IF request_token IS NULL OR warehouse_id IS NULL OR coalesce(country, '') = '' THEN
            CALL shop.refuse_order('an order needs a request token, a warehouse and a country');
        ELSEIF NOT is_uuid(request_token) THEN
            CALL shop.refuse_order('the request token is no UUID');
        ELSEIF char_length(country) > 255 OR locate(_utf8mb4 0x00, country) > 0 THEN
            CALL shop.refuse_order('a country has at most 255 characters, and no NUL among them');
        ELSEIF NOT (json_type(wanted_lines) <=> 'ARRAY') OR json_length(wanted_lines) NOT BETWEEN 1 AND 1000 THEN
            CALL shop.refuse_order('an order has 1 to 1000 lines');
        END IF;
        SET token = uuid_to_bin(request_token);

        -- The lines as asked for, with what their products cost now. A left join: an inner one would drop an
        -- unknown product in silence and place a smaller order.
        SELECT
            json_arrayagg(json_array(given.line_number, product.product_id, given.quantity, product.unit_price)),
            count(*), sum(given.quantity * product.unit_price), count(product.product_id),
            min(CASE
                WHEN json_type(given.raw_stock_code) <=> 'STRING' AND json_type(given.raw_quantity) <=> 'INTEGER'
                    AND coalesce(given.quantity, 0) >= 1
                    AND coalesce(locate(_utf8mb4 0x00, given.stock_code), 0) = 0
                    THEN NULL
                ELSE given.line_number
            END)
        INTO wanted, wanted_count, wanted_total, known_count, wrong_line
        FROM json_table(wanted_lines, '$[*]' COLUMNS (
            line_number FOR ORDINALITY,
            raw_stock_code json PATH '$.stock_code',
            raw_quantity json PATH '$.quantity',
            stock_code varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin
                PATH '$.stock_code' NULL ON ERROR,
            quantity int PATH '$.quantity' NULL ON ERROR
        )) AS given
        LEFT JOIN shop.products AS product ON product.stock_code = given.stock_code;
        IF wrong_line IS NOT NULL THEN
            CALL shop.refuse_line(wanted_lines, wrong_line);
        ELSEIF known_count < wanted_count THEN
            CALL shop.refuse_unknown_products(wanted_lines);
        END IF;

        -- Of three calls with one token the first inserts and two wait, each with a lock that stops the other
        -- one should the first roll back: InnoDB then picks one to begin again. It has nothing to lose yet.
        WHILE is_new IS NULL DO
            BEGIN
                DECLARE EXIT HANDLER FOR 1213
                BEGIN
                    SET attempts_left = attempts_left - 1;
                    IF attempts_left = 0 THEN
                        RESIGNAL;
                    END IF;
                    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
                    START TRANSACTION;
                END;
                -- 1452: the customer or the warehouse is missing, which may be noticed before the token
                DECLARE EXIT HANDLER FOR 1062, 1452
                BEGIN
                    IF NOT EXISTS (SELECT 1 FROM shop.orders AS known WHERE known.request_token = token) THEN
                        RESIGNAL;
                    END IF;
                    SET is_new = false;
                END;

                INSERT INTO shop.orders (
                    request_token, status, customer_id, country, warehouse_id,
                    line_count, total_amount, ordered_at
                ) VALUES (
                    token, 'placed', customer_id, country, warehouse_id,
                    wanted_count, wanted_total, ordered_at
                );
                SET new_order_id = last_insert_id(), is_new = true;
            END;
        END WHILE;

        IF is_new THEN
            SET @shop_totals_by_load = 1; -- the order has its count and total already
            INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)
            SELECT new_order_id, line.line_number, line.product_id, line.quantity, line.unit_price
            FROM json_table(wanted, '$[*]' COLUMNS (
                line_number int PATH '$[0]',
                product_id int PATH '$[1]',
                quantity int PATH '$[2]',
                unit_price decimal(12, 3) PATH '$[3]'
            )) AS line;
            SET @shop_totals_by_load = totals_by_caller;

            -- One product at a time, in the order of their ids.
            BEGIN
                DECLARE sold_product_id int;
                DECLARE sold_quantity bigint;
                DECLARE is_done boolean DEFAULT false;
                DECLARE sold CURSOR FOR
                    SELECT line.product_id, sum(line.quantity)
                    FROM shop.order_lines AS line
                    WHERE line.order_id = new_order_id
                    GROUP BY line.product_id
                    ORDER BY line.product_id;
                DECLARE CONTINUE HANDLER FOR NOT FOUND SET is_done = true;

                OPEN sold;
                FETCH sold INTO sold_product_id, sold_quantity;
                WHILE NOT is_done DO
                    UPDATE shop.inventory AS shelf
                    SET shelf.stock = shelf.stock - sold_quantity
                    WHERE shelf.product_id = sold_product_id
                        AND shelf.warehouse_id = warehouse_id
                        AND shelf.stock >= sold_quantity;
                    IF row_count() > 0 THEN
                        FETCH sold INTO sold_product_id, sold_quantity;
                    ELSE
                        -- Returns only if somebody filled the shelf between the two statements: then try again.
                        CALL shop.refuse_shortage(new_order_id, warehouse_id, sold_product_id);
                    END IF;
                END WHILE;
                CLOSE sold;
            END;

            INSERT INTO shop.stock_movements
                (product_id, warehouse_id, quantity, kind, order_id, line_number, moved_at)
            SELECT
                line.product_id, warehouse_id, -line.quantity, 'sale', line.order_id, line.line_number, ordered_at
            FROM shop.order_lines AS line
            WHERE line.order_id = new_order_id
            ORDER BY line.line_number;
        ELSE
            CALL shop.find_order_placed_before(
                token, customer_id, country, warehouse_id, wanted, wanted_count,
                new_order_id, wanted_total, ordered_at
            );
        END IF;
        COMMIT;
    END;
    SELECT
        new_order_id AS order_id, wanted_count AS line_count, wanted_total AS total_amount,
        ordered_at AS ordered_at, is_new AS is_new;
END//

DROP PROCEDURE IF EXISTS shop.cancel_order//
-- One row: cancelled (0: it was cancelled already).
CREATE DEFINER = shop_owner PROCEDURE shop.cancel_order(order_id bigint)
MODIFIES SQL DATA
BEGIN
    DECLARE current_status varchar(16);
    DECLARE cancelled_at datetime(6) DEFAULT utc_timestamp(6);
    DECLARE cancelled boolean DEFAULT true;

    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    BEGIN
        DECLARE EXIT HANDLER FOR SQLEXCEPTION
        BEGIN
            ROLLBACK;
            RESIGNAL;
        END;

        START TRANSACTION;
        UPDATE shop.orders AS known
        SET known.status = 'cancelled'
        WHERE known.order_id = order_id AND known.status = 'placed';
        IF row_count() = 0 THEN
            SET cancelled = false;
            SET current_status = (SELECT known.status FROM shop.orders AS known WHERE known.order_id = order_id);
            IF current_status IS NULL THEN
                CALL shop.refuse(
                    'SH005', concat('there is no order ', coalesce(order_id, 'NULL')),
                    json_object('order_id', order_id)
                );
            ELSEIF current_status <> 'cancelled' THEN
                CALL shop.refuse(
                    'SH006',
                    concat('order ', order_id, ' is ', current_status, ': only a placed order can be cancelled'),
                    json_object('order_id', order_id, 'status', current_status)
                );
            END IF;
        ELSE
            CALL shop.put_stock_back(order_id);

            INSERT INTO shop.stock_movements
                (product_id, warehouse_id, quantity, kind, order_id, line_number, moved_at)
            SELECT
                sale.product_id, sale.warehouse_id, -sale.quantity, 'cancellation', sale.order_id,
                sale.line_number, cancelled_at
            FROM shop.stock_movements AS sale
            WHERE sale.order_id = order_id AND sale.kind = 'sale'
            ORDER BY sale.line_number;
        END IF;
        COMMIT;
    END;
    SELECT cancelled AS cancelled;
END//

DROP PROCEDURE IF EXISTS shop.put_stock_back//
CREATE DEFINER = shop_owner PROCEDURE shop.put_stock_back(cancelled_order_id bigint)
MODIFIES SQL DATA
BEGIN
    DECLARE sold_product_id, sold_warehouse_id int;
    DECLARE sold_quantity bigint;
    DECLARE is_done boolean DEFAULT false;
    DECLARE sold CURSOR FOR
        SELECT sale.product_id, sale.warehouse_id, -sum(sale.quantity)
        FROM shop.stock_movements AS sale
        WHERE sale.order_id = cancelled_order_id AND sale.kind = 'sale'
        GROUP BY sale.product_id, sale.warehouse_id
        ORDER BY sale.product_id, sale.warehouse_id;
    DECLARE CONTINUE HANDLER FOR NOT FOUND SET is_done = true;

    OPEN sold;
    FETCH sold INTO sold_product_id, sold_warehouse_id, sold_quantity;
    WHILE NOT is_done DO
        UPDATE shop.inventory AS shelf
        SET shelf.stock = shelf.stock + sold_quantity
        WHERE shelf.product_id = sold_product_id AND shelf.warehouse_id = sold_warehouse_id;
        FETCH sold INTO sold_product_id, sold_warehouse_id, sold_quantity;
    END WHILE;
    CLOSE sold;
END//

-- The order that has this token already, or SH004 if it is another order.
DROP PROCEDURE IF EXISTS shop.find_order_placed_before//
CREATE DEFINER = shop_owner PROCEDURE shop.find_order_placed_before(
    token binary(16),
    customer_id bigint,
    country text CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    warehouse_id int,
    wanted json,
    line_count int,
    OUT earlier_order_id bigint,
    OUT earlier_total decimal(14, 3),
    OUT earlier_ordered_at datetime(6)
)
MODIFIES SQL DATA
BEGIN
    DECLARE is_same boolean;

    SELECT
        earlier.order_id, earlier.total_amount, earlier.ordered_at,
        (earlier.customer_id, earlier.country, earlier.warehouse_id, earlier.line_count)
            <=> (customer_id, country, warehouse_id, line_count)
    INTO earlier_order_id, earlier_total, earlier_ordered_at, is_same
    FROM shop.orders AS earlier
    WHERE earlier.request_token = token;

    IF NOT is_same OR EXISTS (
        SELECT 1
        FROM json_table(wanted, '$[*]' COLUMNS (
            line_number int PATH '$[0]',
            product_id int PATH '$[1]',
            quantity int PATH '$[2]'
        )) AS line
        LEFT JOIN shop.order_lines AS known
            ON known.order_id = earlier_order_id
            AND known.line_number = line.line_number
            AND known.product_id = line.product_id
            AND known.quantity = line.quantity
        WHERE known.order_id IS NULL
    ) THEN
        CALL shop.refuse(
            'SH004',
            concat('request token ', bin_to_uuid(token), ' belongs to order ', earlier_order_id,
                ', whose content is another'),
            json_object('order_id', earlier_order_id)
        );
    END IF;
END//

-- Raises SH001 with every product that is short, from this one on: those before it have been taken.
DROP PROCEDURE IF EXISTS shop.refuse_shortage//
CREATE DEFINER = shop_owner PROCEDURE shop.refuse_shortage(
    new_order_id bigint, warehouse_id int, from_product_id int
)
MODIFIES SQL DATA
BEGIN
    DECLARE shortages json;
    DECLARE products mediumtext;

    -- An aggregate over a window, for that alone keeps an order.
    WITH short AS (
        SELECT product.stock_code, line.quantity AS wanted, coalesce(shelf.stock, 0) AS available
        FROM (
            SELECT line.product_id, sum(line.quantity) AS quantity
            FROM shop.order_lines AS line
            WHERE line.order_id = new_order_id AND line.product_id >= from_product_id
            GROUP BY line.product_id
        ) AS line
        JOIN shop.products AS product ON product.product_id = line.product_id
        LEFT JOIN shop.inventory AS shelf
            ON shelf.product_id = line.product_id AND shelf.warehouse_id = warehouse_id
        WHERE coalesce(shelf.stock, 0) < line.quantity
    )
    SELECT json_arrayagg(json_object('stock_code', stock_code, 'wanted', wanted, 'available', available)) OVER (
        ORDER BY stock_code ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    )
    INTO shortages
    FROM short
    LIMIT 1;

    IF shortages IS NOT NULL THEN
        SELECT /*+ SET_VAR(group_concat_max_len = 4194304) */ group_concat(
            concat(stock_code, ' (wanted ', wanted, ', available ', available, ')')
            ORDER BY place SEPARATOR ', '
        ) INTO products
        FROM json_table(shortages, '$[*]' COLUMNS (
            place FOR ORDINALITY,
            stock_code varchar(255) PATH '$.stock_code',
            wanted bigint PATH '$.wanted',
            available int PATH '$.available'
        )) AS short;
        CALL shop.refuse('SH001', concat('out of stock: ', products), json_object('shortages', shortages));
    END IF;
END//

DROP PROCEDURE IF EXISTS shop.refuse_unknown_products//
CREATE DEFINER = shop_owner PROCEDURE shop.refuse_unknown_products(wanted_lines json)
MODIFIES SQL DATA
BEGIN
    DECLARE stock_codes json;
    DECLARE products mediumtext;

    -- Codes beyond all that exist are cut, or sorting them could take more memory than a session has.
    WITH unknown AS (
        SELECT DISTINCT left(given.stock_code, 1000) AS stock_code
        FROM json_table(wanted_lines, '$[*]' COLUMNS (
            stock_code longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.stock_code'
        )) AS given
        LEFT JOIN shop.products AS product ON product.stock_code = given.stock_code
        WHERE product.product_id IS NULL
    )
    SELECT json_arrayagg(stock_code) OVER (
        ORDER BY stock_code ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    )
    INTO stock_codes
    FROM unknown
    LIMIT 1;

    SELECT /*+ SET_VAR(group_concat_max_len = 4194304) */
        group_concat(left(stock_code, 200) ORDER BY place SEPARATOR ', ')
    INTO products
    FROM json_table(stock_codes, '$[*]' COLUMNS (
        place FOR ORDINALITY,
        stock_code longtext PATH '$'
    )) AS unknown;
    CALL shop.refuse('SH002', concat('unknown product: ', products), json_object('stock_codes', stock_codes));
END//

DROP PROCEDURE IF EXISTS shop.refuse_line//
CREATE DEFINER = shop_owner PROCEDURE shop.refuse_line(wanted_lines json, wrong_line int)
MODIFIES SQL DATA
CALL shop.refuse_order(concat(
    'line ', wrong_line, ' is ', left(json_extract(wanted_lines, concat('$[', wrong_line - 1, ']')), 200),
    ': expected a stock code and a whole quantity, 1 to 2147483647'
))//

DROP PROCEDURE IF EXISTS shop.refuse_order//
CREATE DEFINER = shop_owner PROCEDURE shop.refuse_order(
    problem text CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin
)
MODIFIES SQL DATA
CALL shop.refuse('SH003', concat('invalid order: ', problem), json_object('problem', problem))//

-- Rolls back and raises, with the row of the detail before. SIGNAL takes a literal only.
DROP PROCEDURE IF EXISTS shop.refuse//
CREATE DEFINER = shop_owner PROCEDURE shop.refuse(
    refusal char(5) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    message mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    detail json
)
MODIFIES SQL DATA
BEGIN
    ROLLBACK;
    SELECT detail AS detail;
    SET message = left(message, 128);
    CASE refusal
        WHEN 'SH001' THEN SIGNAL SQLSTATE 'SH001' SET MESSAGE_TEXT = message;
        WHEN 'SH002' THEN SIGNAL SQLSTATE 'SH002' SET MESSAGE_TEXT = message;
        WHEN 'SH003' THEN SIGNAL SQLSTATE 'SH003' SET MESSAGE_TEXT = message;
        WHEN 'SH004' THEN SIGNAL SQLSTATE 'SH004' SET MESSAGE_TEXT = message;
        WHEN 'SH005' THEN SIGNAL SQLSTATE 'SH005' SET MESSAGE_TEXT = message;
        WHEN 'SH006' THEN SIGNAL SQLSTATE 'SH006' SET MESSAGE_TEXT = message;
    END CASE;
END//

DELIMITER ;

GRANT EXECUTE ON PROCEDURE shop.place_order TO shop_application;
GRANT EXECUTE ON PROCEDURE shop.cancel_order TO shop_application;
