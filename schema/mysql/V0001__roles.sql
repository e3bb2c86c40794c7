-- Who may do what. Accounts belong to the whole server, so that they may be there already; their rights are
-- taken away first, so that they are exactly those below. Runs as the master user: CREATE USER, no SUPER.
--
-- The accounts that log in do so by IAM token, and over TLS: the parameter require_secure_transport sees to
-- that for everybody, where REQUIRE SSL would shut out a Unix socket too.

-- Binary: 85123A and 85123a are two products, and so are a code with and a code without a blank at its end.
CREATE DATABASE IF NOT EXISTS shop CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
ALTER DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

-- Routines, triggers and views run with its rights. Nobody can log in as it, for it has no password and is locked.
CREATE USER IF NOT EXISTS shop_owner IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' ACCOUNT LOCK;
ALTER USER shop_owner IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' ACCOUNT LOCK;
REVOKE ALL PRIVILEGES, GRANT OPTION FROM shop_owner;
GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE, TRIGGER ON shop.* TO shop_owner;

-- Brings files in, and edits recorded history. Keys and triggers stay: it cannot change a table.
CREATE USER IF NOT EXISTS shop_loader IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS';
ALTER USER shop_loader IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' ACCOUNT UNLOCK;
REVOKE ALL PRIVILEGES, GRANT OPTION FROM shop_loader;
GRANT SELECT, INSERT, UPDATE, DELETE, LOCK TABLES, CREATE TEMPORARY TABLES ON shop.* TO shop_loader;

-- Serves customers. V0002__tables.sql says what of the tables it sees.
CREATE USER IF NOT EXISTS shop_application IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS';
ALTER USER shop_application IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' ACCOUNT UNLOCK;
REVOKE ALL PRIVILEGES, GRANT OPTION FROM shop_application;

-- Looks, at what later migrations create too.
CREATE USER IF NOT EXISTS shop_read_only IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS';
ALTER USER shop_read_only IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' ACCOUNT UNLOCK;
REVOKE ALL PRIVILEGES, GRANT OPTION FROM shop_read_only;
GRANT SELECT ON shop.* TO shop_read_only;
