-- Customers, products, stock, orders and loads. Every constraint has a name, so that an error says what it means.
--
-- Columns hold what PostgreSQL's hold. What differs: times are UTC by convention; texts that are keys have an
-- end, and room for one character beyond it, so that what a session without strict mode cuts off is refused
-- and not stored; the numbers of files get six decimals, as many as are ever read from one.

SET sql_mode = 'TRADITIONAL,ONLY_FULL_GROUP_BY'; -- tables, triggers and routines keep the mode they were made in

CREATE TABLE shop.customers (
    -- Loaded customers keep the numbers of their files; new ones are numbered above all of those.
    customer_id bigint NOT NULL AUTO_INCREMENT,
    country varchar(256) NOT NULL COMMENT 'Where the customer is now; an order keeps the country it went to',
    created_at datetime(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT customers_pk PRIMARY KEY (customer_id),
    CONSTRAINT customers_country_given CHECK (char_length(country) BETWEEN 1 AND 255),
    CONSTRAINT customers_created_at_is_a_time CHECK (created_at >= TIMESTAMP '1000-01-01 00:00:00')
) ENGINE = InnoDB AUTO_INCREMENT = 1000000;

CREATE TABLE shop.products (
    product_id int NOT NULL AUTO_INCREMENT,
    stock_code varchar(256) NOT NULL COMMENT 'Compared byte by byte: 85123A and 85123a are two products',
    description mediumtext NOT NULL
        COMMENT 'What lines without a description of their own are called: changing it renames them too',
    unit_price decimal(12, 3) NOT NULL,
    CONSTRAINT products_pk PRIMARY KEY (product_id),
    CONSTRAINT products_stock_code_unique UNIQUE (stock_code),
    CONSTRAINT products_stock_code_given CHECK (char_length(stock_code) BETWEEN 1 AND 255),
    CONSTRAINT products_price_not_negative CHECK (unit_price >= 0)
) ENGINE = InnoDB;

CREATE TABLE shop.warehouses (
    warehouse_id int NOT NULL AUTO_INCREMENT,
    name varchar(256) NOT NULL,
    is_test boolean NOT NULL DEFAULT false COMMENT 'Its orders are no business and may be purged',
    CONSTRAINT warehouses_pk PRIMARY KEY (warehouse_id),
    CONSTRAINT warehouses_name_unique UNIQUE (name),
    CONSTRAINT warehouses_name_whole CHECK (char_length(name) <= 255),
    CONSTRAINT warehouses_is_test_or_not CHECK (is_test IN (0, 1))
) ENGINE = InnoDB AUTO_INCREMENT = 100;

CREATE TABLE shop.inventory (
    product_id int NOT NULL,
    warehouse_id int NOT NULL,
    stock int NOT NULL,
    CONSTRAINT inventory_pk PRIMARY KEY (product_id, warehouse_id),
    INDEX inventory_warehouse_idx (warehouse_id),
    CONSTRAINT inventory_product_fk FOREIGN KEY (product_id) REFERENCES shop.products (product_id),
    CONSTRAINT inventory_warehouse_fk FOREIGN KEY (warehouse_id) REFERENCES shop.warehouses (warehouse_id),
    CONSTRAINT inventory_stock_not_negative CHECK (stock >= 0)
) ENGINE = InnoDB COMMENT 'Stock now: always the sum of the stock movements';

CREATE TABLE shop.loads (
    load_id int NOT NULL AUTO_INCREMENT,
    source text NOT NULL,
    sha256 varchar(65) NOT NULL,
    `lines` bigint NOT NULL,
    order_lines bigint NOT NULL,
    rejects bigint NOT NULL,
    quantity decimal(38, 6) NOT NULL COMMENT 'Sum of the quantities of all lines, rejects included',
    amount decimal(38, 6) NOT NULL COMMENT 'Sum of quantity times unit price of all lines, rejects included',
    loaded_at datetime(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT loads_pk PRIMARY KEY (load_id),
    CONSTRAINT loads_sha256_unique UNIQUE (sha256),
    CONSTRAINT loads_sha256_is_one
        CHECK (char_length(sha256) = 64 AND NOT regexp_like(sha256, '[^0-9a-f]', 'c')),
    CONSTRAINT loads_lines_accounted_for CHECK (`lines` = order_lines + rejects),
    CONSTRAINT loads_loaded_at_is_a_time CHECK (loaded_at >= TIMESTAMP '1000-01-01 00:00:00')
) ENGINE = InnoDB COMMENT 'A file brought in, once: what it held, as control totals';

CREATE TABLE shop.rejects (
    load_id int NOT NULL,
    line_number bigint NOT NULL,
    reason text NOT NULL,
    raw mediumtext NOT NULL,
    quantity decimal(38, 6),
    unit_price decimal(38, 6),
    CONSTRAINT rejects_pk PRIMARY KEY (load_id, line_number),
    CONSTRAINT rejects_load_fk FOREIGN KEY (load_id) REFERENCES shop.loads (load_id) ON DELETE CASCADE,
    CONSTRAINT rejects_line_number_positive CHECK (line_number > 0),
    CONSTRAINT rejects_reason_given CHECK (reason <> '')
) ENGINE = InnoDB COMMENT 'Lines of a file that cannot be order lines: kept, with the reason';

CREATE TABLE shop.orders (
    order_id bigint NOT NULL AUTO_INCREMENT,
    invoice_number varchar(256),
    request_token binary(16) COMMENT 'Chosen by the caller: the same token never makes a second order',
    status varchar(16) NOT NULL,
    customer_id bigint COMMENT 'NULL: a guest',
    country varchar(256) NOT NULL,
    warehouse_id int,
    line_count int NOT NULL DEFAULT 0,
    total_amount decimal(14, 3) NOT NULL DEFAULT 0,
    ordered_at datetime(6) NOT NULL DEFAULT (utc_timestamp(6))
        COMMENT 'Files have no time zone: theirs is read as UTC',
    load_id int,
    CONSTRAINT orders_pk PRIMARY KEY (order_id),
    CONSTRAINT orders_invoice_number_unique UNIQUE (invoice_number),
    CONSTRAINT orders_request_token_unique UNIQUE (request_token),
    INDEX orders_customer_idx (customer_id),
    INDEX orders_warehouse_idx (warehouse_id),
    INDEX orders_load_idx (load_id),
    CONSTRAINT orders_customer_fk FOREIGN KEY (customer_id) REFERENCES shop.customers (customer_id),
    CONSTRAINT orders_warehouse_fk FOREIGN KEY (warehouse_id) REFERENCES shop.warehouses (warehouse_id),
    CONSTRAINT orders_load_fk FOREIGN KEY (load_id) REFERENCES shop.loads (load_id),
    CONSTRAINT orders_status_known CHECK (status IN ('placed', 'cancelled', 'invoiced', 'returned')),
    -- Orders taken here move stock of a warehouse and are safe to repeat; recorded history does neither.
    CONSTRAINT orders_placed_or_recorded CHECK ((
        CASE
            WHEN status IN ('placed', 'cancelled')
                THEN request_token IS NOT NULL AND warehouse_id IS NOT NULL AND load_id IS NULL
            ELSE request_token IS NULL AND warehouse_id IS NULL AND invoice_number IS NOT NULL
        END
    ) IS TRUE),
    CONSTRAINT orders_country_given CHECK (char_length(country) BETWEEN 1 AND 255),
    CONSTRAINT orders_invoice_number_given CHECK (char_length(invoice_number) BETWEEN 1 AND 255),
    CONSTRAINT orders_line_count_not_negative CHECK (line_count >= 0),
    CONSTRAINT orders_ordered_at_is_a_time CHECK (ordered_at >= TIMESTAMP '1000-01-01 00:00:00')
) ENGINE = InnoDB;

CREATE TABLE shop.order_lines (
    order_id bigint NOT NULL,
    line_number int NOT NULL,
    product_id int NOT NULL,
    quantity int NOT NULL COMMENT 'Negative where goods came back',
    unit_price decimal(12, 3) NOT NULL
        COMMENT 'As agreed then: the product may cost something else by now',
    description mediumtext COMMENT 'NULL: the product''s own',
    invoiced_at datetime(6) COMMENT 'NULL: when the order was made',
    CONSTRAINT order_lines_pk PRIMARY KEY (order_id, line_number),
    INDEX order_lines_product_idx (product_id),
    CONSTRAINT order_lines_order_fk
        FOREIGN KEY (order_id) REFERENCES shop.orders (order_id) ON DELETE CASCADE,
    CONSTRAINT order_lines_product_fk FOREIGN KEY (product_id) REFERENCES shop.products (product_id),
    CONSTRAINT order_lines_line_number_positive CHECK (line_number > 0),
    CONSTRAINT order_lines_quantity_not_zero CHECK (quantity <> 0),
    CONSTRAINT order_lines_price_not_negative CHECK (unit_price >= 0),
    CONSTRAINT order_lines_invoiced_at_is_a_time CHECK (invoiced_at >= TIMESTAMP '1000-01-01 00:00:00')
) ENGINE = InnoDB;

CREATE TABLE shop.stock_movements (
    movement_id bigint NOT NULL AUTO_INCREMENT,
    product_id int NOT NULL,
    warehouse_id int NOT NULL,
    quantity int NOT NULL COMMENT 'Negative: leaves the warehouse',
    kind varchar(16) NOT NULL,
    order_id bigint,
    line_number int,
    moved_at datetime(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT stock_movements_pk PRIMARY KEY (movement_id),
    -- A line is sold once and taken back once, whatever is retried.
    CONSTRAINT stock_movements_once_per_line UNIQUE (order_id, line_number, kind),
    INDEX stock_movements_inventory_idx (product_id, warehouse_id),
    CONSTRAINT stock_movements_inventory_fk
        FOREIGN KEY (product_id, warehouse_id) REFERENCES shop.inventory (product_id, warehouse_id),
    CONSTRAINT stock_movements_order_line_fk
        FOREIGN KEY (order_id, line_number) REFERENCES shop.order_lines (order_id, line_number),
    -- InnoDB has no MATCH FULL: an order without a line, or a line without an order, is no reference at all
    CONSTRAINT stock_movements_order_line_whole CHECK ((order_id IS NULL) = (line_number IS NULL)),
    CONSTRAINT stock_movements_kind_fits CHECK ((
        CASE kind
            WHEN 'sale' THEN order_id IS NOT NULL AND quantity < 0
            WHEN 'cancellation' THEN order_id IS NOT NULL AND quantity > 0
            WHEN 'opening' THEN order_id IS NULL AND quantity > 0
            WHEN 'adjustment' THEN order_id IS NULL AND quantity <> 0
            ELSE false
        END
    ) IS TRUE),
    CONSTRAINT stock_movements_moved_at_is_a_time CHECK (moved_at >= TIMESTAMP '1000-01-01 00:00:00')
) ENGINE = InnoDB;

-- Thin, so that they can stay as they are: what they do is in R__order_totals.sql. While that is being replaced,
-- writing a line fails, where a trigger that is gone for a moment would let it slip past.
--
-- A load that writes counts and totals itself sets @shop_totals_by_load = 1 in its session, and NULL when done:
-- the trigger then costs 2 µs a line, and twice that where the session's default database is not shop. One more
-- trigger would cost as much again, so that none locks the order before its line is inserted: two sessions that
-- add lines to one order at a time may deadlock, and one of them has to repeat.
--
-- The first one is the loader's own: to become another account for each line would cost a load a tenth of its time.
-- It may call that one procedure, and has the right that MySQL asks of whom a trigger runs as.
GRANT TRIGGER ON shop.order_lines TO shop_loader;

DELIMITER //

CREATE DEFINER = shop_loader TRIGGER shop.order_totals_after_insert
AFTER INSERT ON shop.order_lines FOR EACH ROW
BEGIN
    IF NOT (@shop_totals_by_load <=> 1) THEN
        CALL shop.keep_order_totals(NEW.order_id);
    END IF;
END//

CREATE DEFINER = shop_owner TRIGGER shop.order_totals_after_update
AFTER UPDATE ON shop.order_lines FOR EACH ROW
BEGIN
    IF NOT (@shop_totals_by_load <=> 1) THEN
        CALL shop.keep_order_totals(NEW.order_id);
    END IF;
END//

CREATE DEFINER = shop_owner TRIGGER shop.order_totals_after_delete
AFTER DELETE ON shop.order_lines FOR EACH ROW
BEGIN
    IF NOT (@shop_totals_by_load <=> 1) THEN
        CALL shop.keep_order_totals(OLD.order_id);
    END IF;
END//

CREATE DEFINER = shop_owner TRIGGER shop.order_lines_of_placed_orders_before_update
BEFORE UPDATE ON shop.order_lines FOR EACH ROW
CALL shop.protect_placed_orders(OLD.order_id, NEW.order_id)//

CREATE DEFINER = shop_owner TRIGGER shop.order_lines_of_placed_orders_before_delete
BEFORE DELETE ON shop.order_lines FOR EACH ROW
CALL shop.protect_placed_orders(OLD.order_id, NULL)//

DELIMITER ;

-- Least privilege: orders change by procedures only (R__orders.sql), and nothing is ever deleted.
GRANT SELECT ON shop.customers TO shop_application;
GRANT INSERT (country) ON shop.customers TO shop_application;
GRANT SELECT ON shop.products TO shop_application;
GRANT SELECT ON shop.warehouses TO shop_application;
GRANT SELECT ON shop.inventory TO shop_application;
GRANT SELECT ON shop.orders TO shop_application;
GRANT SELECT ON shop.order_lines TO shop_application;
GRANT SELECT ON shop.stock_movements TO shop_application;
