-- Placing and cancelling orders: each in one round trip, whole or not at all, and safe to repeat.
--
-- Written for READ COMMITTED. Every function changes stock by conditional updates in the order of product ids,
-- so that no two of them can wait for each other in a circle, and changes it late, so that the row of a
-- sought-after product is locked for little more than the commit.
--
-- Errors have SQLSTATEs of their own and a JSON object as DETAIL:
--   SH001 out of stock        {"shortages": [{"stock_code": …, "wanted": …, "available": …}, …]}
--   SH002 unknown product     {"stock_codes": […]}
--   SH003 invalid order       {"problem": …}
--   SH004 token already used  {"order_id": …}   by an order of other content
--   SH005 unknown order       {"order_id": …}
--   SH006 not cancellable     {"order_id": …, "status": …}

SET ROLE shop_owner;

-- An order's lines as asked for, with what the product costs now.
DO $$
BEGIN
    CREATE TYPE shop.wanted_line AS (
        line_number integer,
        stock_code text,
        quantity integer,
        product_id integer,
        unit_price numeric(12, 3)
    );
EXCEPTION WHEN duplicate_object THEN
    NULL;
END
$$;

CREATE OR REPLACE FUNCTION shop.place_order(
    request_token uuid,
    customer_id bigint,     -- NULL: a guest
    country text,
    warehouse_id integer,
    lines jsonb             -- [{"stock_code": …, "quantity": …}, …]; a product may stand on several lines
)
RETURNS TABLE (
    order_id bigint,
    line_count integer,
    total_amount numeric,
    ordered_at timestamptz,
    is_new boolean          -- false: placed by an earlier call with this token
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    wanted shop.wanted_line[];
    totals_known text;
BEGIN
    IF request_token IS NULL OR warehouse_id IS NULL OR coalesce(country, '') = '' THEN
        PERFORM shop.refuse_order('an order needs a request token, a warehouse and a country');
    END IF;
    wanted := shop.priced_lines(lines);

    INSERT INTO shop.orders AS placed
        (request_token, status, customer_id, country, warehouse_id, line_count, total_amount)
    SELECT
        place_order.request_token, 'placed', place_order.customer_id, place_order.country,
        place_order.warehouse_id, count(*), sum(line.quantity * line.unit_price)
    FROM unnest(wanted) AS line
    ON CONFLICT ON CONSTRAINT orders_request_token_unique DO NOTHING
    RETURNING placed.order_id, placed.line_count, placed.total_amount, placed.ordered_at, true
    INTO order_id, line_count, total_amount, ordered_at, is_new;
    IF NOT FOUND THEN
        RETURN QUERY SELECT * FROM shop.order_placed_before(
            place_order.request_token, place_order.customer_id, place_order.country,
            place_order.warehouse_id, wanted
        );
        RETURN;
    END IF;

    totals_known := set_config('shop.totals_known', 'yes', true); -- the order has its count and total already
    INSERT INTO shop.order_lines (order_id, line_number, product_id, quantity, unit_price)
    SELECT place_order.order_id, line.line_number, line.product_id, line.quantity, line.unit_price
    FROM unnest(wanted) AS line;
    totals_known := set_config('shop.totals_known', '', true);

    PERFORM shop.take_stock(place_order.warehouse_id, wanted);

    INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind, order_id, line_number)
    SELECT
        line.product_id, place_order.warehouse_id, -line.quantity, 'sale', place_order.order_id,
        line.line_number
    FROM unnest(wanted) AS line;
    RETURN NEXT;
END
$$;

CREATE OR REPLACE FUNCTION shop.cancel_order(order_id bigint)
RETURNS boolean             -- false: it was cancelled already
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    current_status text;
    line record;
BEGIN
    UPDATE shop.orders AS cancelled
    SET status = 'cancelled'
    WHERE cancelled.order_id = cancel_order.order_id AND cancelled.status = 'placed';
    IF NOT FOUND THEN
        SELECT known.status INTO current_status
        FROM shop.orders AS known
        WHERE known.order_id = cancel_order.order_id;
        IF current_status = 'cancelled' THEN
            RETURN false;
        ELSIF current_status IS NULL THEN
            RAISE EXCEPTION USING
                ERRCODE = 'SH005',
                MESSAGE = format('there is no order %s', coalesce(cancel_order.order_id::text, 'NULL')),
                DETAIL = jsonb_build_object('order_id', cancel_order.order_id);
        END IF;
        RAISE EXCEPTION USING
            ERRCODE = 'SH006',
            MESSAGE = format('order %s is %s: only a placed order can be cancelled',
                cancel_order.order_id, current_status),
            DETAIL = jsonb_build_object('order_id', cancel_order.order_id, 'status', current_status);
    END IF;

    FOR line IN
        SELECT sale.product_id, sale.warehouse_id, -sum(sale.quantity) AS quantity
        FROM shop.stock_movements AS sale
        WHERE sale.order_id = cancel_order.order_id AND sale.kind = 'sale'
        GROUP BY sale.product_id, sale.warehouse_id
        ORDER BY sale.product_id, sale.warehouse_id
    LOOP
        UPDATE shop.inventory AS shelf
        SET stock = shelf.stock + line.quantity
        WHERE shelf.product_id = line.product_id AND shelf.warehouse_id = line.warehouse_id;
    END LOOP;

    INSERT INTO shop.stock_movements (product_id, warehouse_id, quantity, kind, order_id, line_number)
    SELECT sale.product_id, sale.warehouse_id, -sale.quantity, 'cancellation', sale.order_id, sale.line_number
    FROM shop.stock_movements AS sale
    WHERE sale.order_id = cancel_order.order_id AND sale.kind = 'sale';
    RETURN true;
END
$$;

-- The lines as asked for with their products' ids and prices; refuses what is no order line.
CREATE OR REPLACE FUNCTION shop.priced_lines(lines jsonb)
RETURNS shop.wanted_line[]
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wrong_line bigint;
    priced shop.wanted_line[];
    unknown_codes text[];
BEGIN
    IF jsonb_typeof(lines) IS DISTINCT FROM 'array' OR jsonb_array_length(lines) NOT BETWEEN 1 AND 1000 THEN
        PERFORM shop.refuse_order('an order has 1 to 1000 lines');
    END IF;

    SELECT min(given.line_number) INTO wrong_line
    FROM jsonb_array_elements(lines) WITH ORDINALITY AS given (line, line_number)
    WHERE jsonb_typeof(given.line -> 'stock_code') IS DISTINCT FROM 'string'
        OR jsonb_typeof(given.line -> 'quantity') IS DISTINCT FROM 'number'
        -- whole, positive, and within an integer; ten digits at most keep the cast from failing
        OR CASE
            WHEN given.line ->> 'quantity' ~ '^[1-9][0-9]{0,9}$'
                THEN (given.line ->> 'quantity')::bigint > 2147483647
            ELSE true
        END;
    IF wrong_line IS NOT NULL THEN
        PERFORM shop.refuse_order(format(
            'line %s is %s: expected a stock code and a whole quantity, 1 to 2147483647',
            wrong_line, left((lines -> (wrong_line - 1)::integer)::text, 200)
        ));
    END IF;

    -- A left join: an inner one would drop an unknown product in silence and place a smaller order.
    SELECT
        array_agg(ROW(
            given.line_number, given.line ->> 'stock_code', (given.line ->> 'quantity')::integer,
            product.product_id, product.unit_price
        )::shop.wanted_line ORDER BY given.line_number),
        array_agg(DISTINCT given.line ->> 'stock_code') FILTER (WHERE product.product_id IS NULL)
    INTO priced, unknown_codes
    FROM jsonb_array_elements(lines) WITH ORDINALITY AS given (line, line_number)
    LEFT JOIN shop.products AS product ON product.stock_code = given.line ->> 'stock_code';
    IF unknown_codes IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'SH002',
            MESSAGE = format('unknown product: %s', left(array_to_string(unknown_codes, ', '), 200)),
            DETAIL = jsonb_build_object('stock_codes', unknown_codes);
    END IF;
    RETURN priced;
END
$$;

-- Takes what is wanted off the warehouse's stock, or says what is short and takes nothing.
CREATE OR REPLACE FUNCTION shop.take_stock(warehouse_id integer, wanted shop.wanted_line[])
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    product record;
BEGIN
    FOR product IN
        SELECT line.product_id, sum(line.quantity) AS quantity
        FROM unnest(wanted) AS line
        GROUP BY line.product_id
        ORDER BY line.product_id
    LOOP
        LOOP
            UPDATE shop.inventory AS shelf
            SET stock = shelf.stock - product.quantity
            WHERE shelf.product_id = product.product_id
                AND shelf.warehouse_id = take_stock.warehouse_id
                AND shelf.stock >= product.quantity;
            EXIT WHEN FOUND;
            -- Returns only if somebody filled the shelf between the two statements: then try again.
            PERFORM shop.refuse_shortage(take_stock.warehouse_id, wanted, product.product_id);
        END LOOP;
    END LOOP;
END
$$;

-- Raises SH001 with every product that is short, from this one on: those before it have been taken.
CREATE OR REPLACE FUNCTION shop.refuse_shortage(
    warehouse_id integer, wanted shop.wanted_line[], from_product_id integer
)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    shortages jsonb;
    products text;
BEGIN
    SELECT
        jsonb_agg(jsonb_build_object(
            'stock_code', product.stock_code, 'wanted', product.quantity, 'available', coalesce(shelf.stock, 0)
        ) ORDER BY product.stock_code),
        string_agg(format('%s (wanted %s, available %s)',
            product.stock_code, product.quantity, coalesce(shelf.stock, 0)), ', ' ORDER BY product.stock_code)
    INTO shortages, products
    FROM (
        SELECT line.product_id, line.stock_code, sum(line.quantity) AS quantity
        FROM unnest(wanted) AS line
        WHERE line.product_id >= from_product_id
        GROUP BY line.product_id, line.stock_code
    ) AS product
    LEFT JOIN shop.inventory AS shelf
        ON shelf.product_id = product.product_id AND shelf.warehouse_id = refuse_shortage.warehouse_id
    WHERE coalesce(shelf.stock, 0) < product.quantity;
    IF shortages IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'SH001',
            MESSAGE = format('out of stock: %s', left(products, 500)),
            DETAIL = jsonb_build_object('shortages', shortages);
    END IF;
END
$$;

-- The order that has this token already, or SH004 if it is another order.
CREATE OR REPLACE FUNCTION shop.order_placed_before(
    request_token uuid, customer_id bigint, country text, warehouse_id integer, wanted shop.wanted_line[]
)
RETURNS TABLE (
    order_id bigint, line_count integer, total_amount numeric, ordered_at timestamptz, is_new boolean
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    earlier shop.orders;
BEGIN
    SELECT * INTO STRICT earlier
    FROM shop.orders AS known
    WHERE known.request_token = order_placed_before.request_token;

    IF (earlier.customer_id, earlier.country, earlier.warehouse_id) IS DISTINCT FROM (
            order_placed_before.customer_id, order_placed_before.country, order_placed_before.warehouse_id
        )
        OR earlier.line_count <> cardinality(wanted)
        OR EXISTS (
            SELECT line.line_number, line.product_id, line.quantity FROM unnest(wanted) AS line
            EXCEPT
            SELECT line.line_number, line.product_id, line.quantity
            FROM shop.order_lines AS line
            WHERE line.order_id = earlier.order_id
        )
    THEN
        RAISE EXCEPTION USING
            ERRCODE = 'SH004',
            MESSAGE = format('request token %s belongs to order %s, whose content is another',
                earlier.request_token, earlier.order_id),
            DETAIL = jsonb_build_object('order_id', earlier.order_id);
    END IF;
    RETURN QUERY SELECT
        earlier.order_id, earlier.line_count, earlier.total_amount::numeric, earlier.ordered_at, false;
END
$$;

CREATE OR REPLACE FUNCTION shop.refuse_order(problem text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'SH003',
        MESSAGE = 'invalid order: ' || problem,
        DETAIL = jsonb_build_object('problem', problem);
END
$$;

GRANT EXECUTE ON FUNCTION
    shop.place_order(uuid, bigint, text, integer, jsonb),
    shop.cancel_order(bigint)
TO shop_application;

RESET ROLE;
