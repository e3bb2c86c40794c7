-- Several tenants in one database, each of whom sees and changes its own rows alone. Optional:
--
--     python -m apply_schema apply --optional tenants
--
-- MySQL has no policies: a tenant is an account, which has no right on shop and every right here. The views of
-- shop_tenants show the rows of the tenant whose account has logged in, and the procedures of the same names as
-- shop's let it order from its own warehouses for its own customers. USER() is the login, whatever a view or a
-- procedure runs as, and no statement changes it. To add one:
--
--     CREATE USER someone IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS';
--     GRANT shop_tenant TO someone;
--     SET DEFAULT ROLE shop_tenant TO someone;
--     INSERT INTO shop_tenants.accounts (account, tenant_id) VALUES ('someone', 'one');
--
-- An account that stands in no row sees nothing and can add nothing. The accounts of shop itself (application,
-- loader, read-only) are the house's: they see all, and what they add is of the tenant `shop`, as is what was
-- there before, unless they are given a row here. docs/adr/0089 says what this does not do.
--
-- Runs again whenever it changes, and after everything else: each step finds out whether it is done.

SET sql_mode = 'TRADITIONAL,ONLY_FULL_GROUP_BY';

CREATE DATABASE IF NOT EXISTS shop_tenants CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
ALTER DATABASE shop_tenants CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

-- A role: what every tenant's account may. Nobody logs in as it.
CREATE USER IF NOT EXISTS shop_tenant IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' ACCOUNT LOCK;
ALTER USER shop_tenant IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' ACCOUNT LOCK;
REVOKE ALL PRIVILEGES, GRANT OPTION FROM shop_tenant;

DELIMITER //

DROP PROCEDURE IF EXISTS shop_tenants.add_tables//
-- Runs as whoever calls it: the migrator, which may change tables.
CREATE DEFINER = shop_owner PROCEDURE shop_tenants.add_tables()
SQL SECURITY INVOKER
MODIFIES SQL DATA
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM information_schema.tables WHERE table_schema = 'shop_tenants' AND table_name = 'accounts'
    ) THEN
        CREATE TABLE shop_tenants.accounts (
            account varchar(32) NOT NULL COMMENT 'The user name that logs in',
            tenant_id varchar(65) NOT NULL,
            CONSTRAINT accounts_pk PRIMARY KEY (account),
            CONSTRAINT accounts_tenant_given CHECK (char_length(tenant_id) BETWEEN 1 AND 64)
        ) ENGINE = InnoDB COMMENT 'Whose rows an account sees';
    END IF;
    IF NOT EXISTS (
        SELECT 1 FROM information_schema.columns
        WHERE table_schema = 'shop' AND table_name = 'customers' AND column_name = 'tenant_id'
    ) THEN
        ALTER TABLE shop.customers
            ADD COLUMN tenant_id varchar(65) NOT NULL DEFAULT 'shop',
            ADD INDEX customers_tenant_idx (tenant_id, customer_id),
            ADD CONSTRAINT customers_tenant_given CHECK (char_length(tenant_id) BETWEEN 1 AND 64);
    END IF;
    IF NOT EXISTS (
        SELECT 1 FROM information_schema.columns
        WHERE table_schema = 'shop' AND table_name = 'warehouses' AND column_name = 'tenant_id'
    ) THEN
        ALTER TABLE shop.warehouses
            ADD COLUMN tenant_id varchar(65) NOT NULL DEFAULT 'shop',
            ADD INDEX warehouses_tenant_idx (tenant_id, warehouse_id),
            ADD CONSTRAINT warehouses_tenant_given CHECK (char_length(tenant_id) BETWEEN 1 AND 64);
    END IF;
    IF NOT EXISTS (
        SELECT 1 FROM information_schema.columns
        WHERE table_schema = 'shop' AND table_name = 'orders' AND column_name = 'tenant_id'
    ) THEN
        ALTER TABLE shop.orders
            ADD COLUMN tenant_id varchar(65) NOT NULL DEFAULT 'shop',
            ADD INDEX orders_tenant_idx (tenant_id, order_id),
            ADD INDEX orders_tenant_customer_idx (tenant_id, customer_id),
            ADD CONSTRAINT orders_tenant_given CHECK (char_length(tenant_id) BETWEEN 1 AND 64);
    END IF;
END//

DELIMITER ;

CALL shop_tenants.add_tables();
DROP PROCEDURE shop_tenants.add_tables;

GRANT SELECT, INSERT, EXECUTE ON shop_tenants.* TO shop_owner;

DELIMITER //

DROP FUNCTION IF EXISTS shop_tenants.tenant_of_login//
-- NULL: the account is no tenant's.
CREATE DEFINER = shop_owner FUNCTION shop_tenants.tenant_of_login() RETURNS varchar(65)
READS SQL DATA
RETURN (
    SELECT who.tenant_id
    FROM shop_tenants.accounts AS who
    -- what stands before the last @: a user's name may hold one, a host's may not
    WHERE who.account = left(user(), char_length(user()) - locate('@', reverse(user())))
)//

DELIMITER ;

-- Whoever adds a row for a tenant adds it for the login's: the column is not the caller's to choose. Locked, so that
-- nobody adds one while there is no trigger.
-- accept: lock-tables two triggers are made under it, in milliseconds
LOCK TABLES shop.customers WRITE, shop.orders WRITE;
DROP TRIGGER IF EXISTS shop.customers_of_tenants;
CREATE DEFINER = shop_owner TRIGGER shop.customers_of_tenants
BEFORE INSERT ON shop.customers FOR EACH ROW
SET NEW.tenant_id = coalesce(shop_tenants.tenant_of_login(), NEW.tenant_id);
DROP TRIGGER IF EXISTS shop.orders_of_tenants;
CREATE DEFINER = shop_owner TRIGGER shop.orders_of_tenants
BEFORE INSERT ON shop.orders FOR EACH ROW
SET NEW.tenant_id = coalesce(shop_tenants.tenant_of_login(), NEW.tenant_id);
UNLOCK TABLES;

-- A look-up of one row, not the function: the server then finds the tenant's rows by their index.
CREATE OR REPLACE DEFINER = shop_owner SQL SECURITY DEFINER VIEW shop_tenants.customers AS
SELECT customer_id, country, created_at
FROM shop.customers
WHERE tenant_id = (
    SELECT who.tenant_id FROM shop_tenants.accounts AS who
    WHERE who.account = left(user(), char_length(user()) - locate('@', reverse(user())))
)
WITH CASCADED CHECK OPTION;

CREATE OR REPLACE DEFINER = shop_owner SQL SECURITY DEFINER VIEW shop_tenants.products AS
SELECT product_id, stock_code, description, unit_price
FROM shop.products
WHERE EXISTS (
    SELECT 1 FROM shop_tenants.accounts AS who
    WHERE who.account = left(user(), char_length(user()) - locate('@', reverse(user())))
);

CREATE OR REPLACE DEFINER = shop_owner SQL SECURITY DEFINER VIEW shop_tenants.warehouses AS
SELECT warehouse_id, name, is_test
FROM shop.warehouses
WHERE tenant_id = (
    SELECT who.tenant_id FROM shop_tenants.accounts AS who
    WHERE who.account = left(user(), char_length(user()) - locate('@', reverse(user())))
);

CREATE OR REPLACE DEFINER = shop_owner SQL SECURITY DEFINER VIEW shop_tenants.inventory AS
SELECT shelf.product_id, shelf.warehouse_id, shelf.stock
FROM shop.warehouses AS warehouse
JOIN shop.inventory AS shelf ON shelf.warehouse_id = warehouse.warehouse_id
WHERE warehouse.tenant_id = (
    SELECT who.tenant_id FROM shop_tenants.accounts AS who
    WHERE who.account = left(user(), char_length(user()) - locate('@', reverse(user())))
);

CREATE OR REPLACE DEFINER = shop_owner SQL SECURITY DEFINER VIEW shop_tenants.orders AS
SELECT
    order_id, invoice_number, request_token, status, customer_id, country, warehouse_id, line_count,
    total_amount, ordered_at
FROM shop.orders
WHERE tenant_id = (
    SELECT who.tenant_id FROM shop_tenants.accounts AS who
    WHERE who.account = left(user(), char_length(user()) - locate('@', reverse(user())))
);

CREATE OR REPLACE DEFINER = shop_owner SQL SECURITY DEFINER VIEW shop_tenants.order_lines AS
SELECT
    line.order_id, line.line_number, line.product_id, line.quantity, line.unit_price, line.description,
    line.invoiced_at
FROM shop.orders AS placed
JOIN shop.order_lines AS line ON line.order_id = placed.order_id
WHERE placed.tenant_id = (
    SELECT who.tenant_id FROM shop_tenants.accounts AS who
    WHERE who.account = left(user(), char_length(user()) - locate('@', reverse(user())))
);

CREATE OR REPLACE DEFINER = shop_owner SQL SECURITY DEFINER VIEW shop_tenants.stock_movements AS
SELECT
    moved.movement_id, moved.product_id, moved.warehouse_id, moved.quantity, moved.kind, moved.order_id,
    moved.line_number, moved.moved_at
FROM shop.warehouses AS warehouse
JOIN shop.inventory AS shelf ON shelf.warehouse_id = warehouse.warehouse_id
JOIN shop.stock_movements AS moved
    ON moved.product_id = shelf.product_id AND moved.warehouse_id = shelf.warehouse_id
WHERE warehouse.tenant_id = (
    SELECT who.tenant_id FROM shop_tenants.accounts AS who
    WHERE who.account = left(user(), char_length(user()) - locate('@', reverse(user())))
);

DELIMITER //

DROP PROCEDURE IF EXISTS shop_tenants.place_order//
-- As shop.place_order, for the login's tenant. What is another's is refused as what does not exist.
CREATE DEFINER = shop_owner PROCEDURE shop_tenants.place_order(
    request_token text CHARACTER SET ascii,
    customer_id bigint,
    country text CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    warehouse_id int,
    wanted_lines json
)
MODIFIES SQL DATA
BEGIN
    DECLARE tenant varchar(65) DEFAULT shop_tenants.tenant_of_login();

    IF tenant IS NULL OR NOT EXISTS (
        SELECT 1 FROM shop.warehouses AS own
        WHERE own.tenant_id = tenant AND own.warehouse_id = warehouse_id
    ) THEN
        SIGNAL SQLSTATE 'SH003' SET MESSAGE_TEXT = 'invalid order: there is no such warehouse';
    ELSEIF customer_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM shop.customers AS own
        WHERE own.tenant_id = tenant AND own.customer_id = customer_id
    ) THEN
        SIGNAL SQLSTATE 'SH003' SET MESSAGE_TEXT = 'invalid order: there is no such customer';
    ELSEIF is_uuid(request_token) AND EXISTS (
        SELECT 1 FROM shop.orders AS known
        WHERE known.request_token = uuid_to_bin(request_token) AND known.tenant_id <> tenant
    ) THEN
        SIGNAL SQLSTATE 'SH003' SET MESSAGE_TEXT = 'invalid order: the request token is taken';
    END IF;
    CALL shop.place_order(request_token, customer_id, country, warehouse_id, wanted_lines);
END//

DROP PROCEDURE IF EXISTS shop_tenants.cancel_order//
-- As shop.cancel_order, for the login's tenant.
CREATE DEFINER = shop_owner PROCEDURE shop_tenants.cancel_order(order_id bigint)
MODIFIES SQL DATA
BEGIN
    DECLARE tenant varchar(65) DEFAULT shop_tenants.tenant_of_login();
    DECLARE problem varchar(128);

    IF tenant IS NULL OR NOT EXISTS (
        SELECT 1 FROM shop.orders AS own WHERE own.tenant_id = tenant AND own.order_id = order_id
    ) THEN
        SET problem = concat('there is no order ', coalesce(order_id, 'NULL'));
        SIGNAL SQLSTATE 'SH005' SET MESSAGE_TEXT = problem;
    END IF;
    CALL shop.cancel_order(order_id);
END//

DELIMITER ;

GRANT SELECT ON shop_tenants.customers TO shop_tenant;
GRANT INSERT (country) ON shop_tenants.customers TO shop_tenant;
GRANT SELECT ON shop_tenants.products TO shop_tenant;
GRANT SELECT ON shop_tenants.warehouses TO shop_tenant;
GRANT SELECT ON shop_tenants.inventory TO shop_tenant;
GRANT SELECT ON shop_tenants.orders TO shop_tenant;
GRANT SELECT ON shop_tenants.order_lines TO shop_tenant;
GRANT SELECT ON shop_tenants.stock_movements TO shop_tenant;
GRANT EXECUTE ON PROCEDURE shop_tenants.place_order TO shop_tenant;
GRANT EXECUTE ON PROCEDURE shop_tenants.cancel_order TO shop_tenant;
