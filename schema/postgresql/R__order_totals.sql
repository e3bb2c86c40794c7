-- Whoever adds, edits or deletes lines of recorded orders need not think of the order's count and total; and
-- nobody edits or deletes lines of orders placed here, whose goods have moved: those are cancelled.
--
-- A load that writes counts and totals itself may disable these triggers inside its transaction. Who writes the
-- lines of one order with its count and total, as shop.place_order does for every order, sets shop.totals_known to
-- yes around that statement: the trigger would only find that nothing is to do, in half of the order's time.

SET ROLE shop_owner;

CREATE OR REPLACE FUNCTION shop.keep_order_totals()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Whoever writes lines of these orders now waits here. A statement of its own: the next one then counts what
    -- the one before has committed, where this one still sees what was there when it began to wait.
    PERFORM
    FROM shop.orders AS kept
    WHERE kept.order_id IN (SELECT changed.order_id FROM changed_lines AS changed)
    ORDER BY kept.order_id
    FOR NO KEY UPDATE;

    UPDATE shop.orders AS kept
    SET line_count = lines.line_count, total_amount = lines.total_amount
    FROM (
        SELECT
            changed.order_id,
            count(line.order_id) AS line_count,
            coalesce(sum(line.quantity * line.unit_price), 0) AS total_amount
        FROM (SELECT DISTINCT order_id FROM changed_lines) AS changed
        LEFT JOIN shop.order_lines AS line USING (order_id)
        GROUP BY changed.order_id
    ) AS lines
    WHERE kept.order_id = lines.order_id
        AND (kept.line_count, kept.total_amount) IS DISTINCT FROM (lines.line_count, lines.total_amount);
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION shop.protect_placed_orders()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    placed_order_id bigint;
BEGIN
    SELECT placed.order_id INTO placed_order_id
    FROM shop.orders AS placed
    WHERE placed.order_id = OLD.order_id AND placed.status IN ('placed', 'cancelled');
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'restrict_violation',
            MESSAGE = format('lines of order %s cannot change: its goods have moved', placed_order_id),
            HINT = 'Cancel the order and place another.';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    ELSIF NEW.order_id <> OLD.order_id THEN
        RAISE EXCEPTION USING
            ERRCODE = 'restrict_violation',
            MESSAGE = format('a line of order %s cannot move to order %s', OLD.order_id, NEW.order_id),
            HINT = 'Delete it there and insert it here.';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER order_lines_of_placed_orders
    BEFORE UPDATE OR DELETE ON shop.order_lines
    FOR EACH ROW EXECUTE FUNCTION shop.protect_placed_orders();

CREATE OR REPLACE TRIGGER order_totals_after_insert
    AFTER INSERT ON shop.order_lines
    REFERENCING NEW TABLE AS changed_lines
    FOR EACH STATEMENT
    WHEN (coalesce(current_setting('shop.totals_known', true), '') <> 'yes')
    EXECUTE FUNCTION shop.keep_order_totals();

CREATE OR REPLACE TRIGGER order_totals_after_update
    AFTER UPDATE ON shop.order_lines
    REFERENCING NEW TABLE AS changed_lines
    FOR EACH STATEMENT EXECUTE FUNCTION shop.keep_order_totals();

CREATE OR REPLACE TRIGGER order_totals_after_delete
    AFTER DELETE ON shop.order_lines
    REFERENCING OLD TABLE AS changed_lines
    FOR EACH STATEMENT EXECUTE FUNCTION shop.keep_order_totals();

RESET ROLE;
