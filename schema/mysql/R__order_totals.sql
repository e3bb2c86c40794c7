-- Whoever adds, edits or deletes lines of recorded orders need not think of the order's count and total; and
-- nobody edits or deletes lines of orders placed here, whose goods have moved: those are cancelled.
--
-- The triggers that call these procedures are in V0002__tables.sql, with how a load passes them by. Lines that go
-- with their order, by ON DELETE CASCADE, call none of them: InnoDB's cascades fire no triggers.

SET sql_mode = 'TRADITIONAL,ONLY_FULL_GROUP_BY'; -- a routine keeps the mode it was made in, whoever calls

DELIMITER //

DROP PROCEDURE IF EXISTS shop.keep_order_totals//
CREATE DEFINER = shop_owner PROCEDURE shop.keep_order_totals(changed_order_id bigint)
MODIFIES SQL DATA
BEGIN
    DECLARE counted int;
    DECLARE total decimal(14, 3);
    DECLARE locked bigint;

    -- Whoever writes lines of this order now waits here, and counts what the one before has committed: locking
    -- reads see that, whatever the session's isolation.
    SELECT kept.order_id INTO locked FROM shop.orders AS kept WHERE kept.order_id = changed_order_id FOR UPDATE;
    SELECT count(*), coalesce(sum(line.quantity * line.unit_price), 0) INTO counted, total
    FROM shop.order_lines AS line
    WHERE line.order_id = changed_order_id
    FOR SHARE;
    UPDATE shop.orders AS kept
    SET kept.line_count = counted, kept.total_amount = total
    WHERE kept.order_id = changed_order_id;
END//

DROP PROCEDURE IF EXISTS shop.protect_placed_orders//
CREATE DEFINER = shop_owner PROCEDURE shop.protect_placed_orders(
    changed_order_id bigint,
    new_order_id bigint     -- NULL: the line is deleted
)
MODIFIES SQL DATA
BEGIN
    DECLARE current_status varchar(16);
    DECLARE problem text;

    SELECT placed.status INTO current_status
    FROM shop.orders AS placed
    WHERE placed.order_id = changed_order_id
    FOR UPDATE;
    IF current_status IN ('placed', 'cancelled') THEN
        SET problem = concat('lines of order ', changed_order_id, ' cannot change: its goods have moved');
    ELSEIF new_order_id <> changed_order_id THEN
        SET problem = concat('a line of order ', changed_order_id, ' cannot move to order ', new_order_id);
    END IF;
    IF problem IS NOT NULL THEN
        SIGNAL SQLSTATE '23001' SET MESSAGE_TEXT = problem; -- restrict violation
    END IF;
END//

DELIMITER ;

-- One of the triggers runs as the loader (V0002__tables.sql says why).
GRANT EXECUTE ON PROCEDURE shop.keep_order_totals TO shop_loader;
