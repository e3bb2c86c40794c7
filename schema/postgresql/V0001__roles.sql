-- Who may do what. Roles belong to the whole cluster, so that they may be there already; the rest is this
-- database's. Runs as the master user: CREATEROLE, no superuser.

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['shop_owner', 'shop_loader', 'shop_application', 'shop_read_only'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I', role_name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- there already, or created by another database's migration at this moment
        END;
    END LOOP;
END
$$;

-- Owns every object and never logs in.
ALTER ROLE shop_owner NOLOGIN;

-- Brings files in. Dropping and adding keys around a bulk load needs ownership.
ALTER ROLE shop_loader LOGIN;
GRANT shop_owner TO shop_loader;

-- Serves customers. The isolation that the order functions are written for is stated, not assumed; limits keep
-- a forgotten transaction from holding stock rows.
ALTER ROLE shop_application LOGIN;
ALTER ROLE shop_application SET default_transaction_isolation = 'read committed';
ALTER ROLE shop_application SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE shop_application SET lock_timeout = '10s';

-- Looks. Its grants refuse writes; the setting only says so earlier.
ALTER ROLE shop_read_only LOGIN;
ALTER ROLE shop_read_only SET default_transaction_read_only = on;

-- Since PostgreSQL 16 the creator of a role administers it without being able to act as it.
GRANT shop_owner TO CURRENT_USER WITH INHERIT TRUE, SET TRUE;

-- On Aurora: log in by IAM token, never by password.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_iam') THEN
        GRANT rds_iam TO shop_loader, shop_application, shop_read_only;
    END IF;
END
$$;

DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO shop_loader, shop_application, shop_read_only', current_database()
    );
    -- The loader alone stages data. Temporary tables of others could stand in the way of a function's names.
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO shop_loader', current_database());
END
$$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

CREATE SCHEMA shop AUTHORIZATION shop_owner;
COMMENT ON SCHEMA shop IS 'A shop: customers, products, stock, orders, and the loads that brought history in';
GRANT USAGE ON SCHEMA shop TO shop_loader, shop_application, shop_read_only;

-- What later migrations create is readable, and executable by nobody until a grant says so.
ALTER DEFAULT PRIVILEGES FOR ROLE shop_owner IN SCHEMA shop GRANT SELECT ON TABLES TO shop_read_only;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
