-- Several tenants in one database, each of whom sees and changes its own rows alone. Optional:
--
--     python -m apply_schema apply --optional tenants
--
-- A session says whose it is, SET shop.tenant_id = '…' (or PGOPTIONS, or ALTER ROLE … SET). One that says nothing
-- sees nothing and can add nothing. That holds for everybody but a superuser: the policies are forced on the
-- owner, and on whoever acts as it, too. What was there before belongs to the tenant `shop`.
--
-- Products are one catalogue for all. Numbers are drawn from sequences that all share, so that gaps between its
-- own tell a tenant how many others there were. The setting is the caller's word: programs set it from the login
-- that they have verified, and never let a tenant send SQL. docs/adr/0089 says what else this does not do.
--
-- Runs again whenever it changes, and after everything else: each step finds out whether it is done.
-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion -- columns, policies and
-- indexes become tenants' in one transaction or not at all, before the first tenant is let in

SET ROLE shop_owner;

DO $$
DECLARE
    of_tenants text;
BEGIN
    FOREACH of_tenants IN ARRAY ARRAY[
        'customers', 'warehouses', 'inventory', 'loads', 'rejects', 'orders', 'order_lines', 'stock_movements'
    ] LOOP
        IF NOT EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = format('shop.%I', of_tenants)::regclass AND attname = 'tenant_id'
        ) THEN
            -- with a constant, no row is rewritten
            EXECUTE format(
                'ALTER TABLE shop.%1$I ADD COLUMN tenant_id text COLLATE "C" NOT NULL DEFAULT %2$L,'
                ' ADD CONSTRAINT %3$I CHECK (tenant_id <> %4$L)',
                of_tenants, 'shop', of_tenants || '_tenant_given', ''
            );
        END IF;
        EXECUTE format(
            'ALTER TABLE shop.%I ALTER COLUMN tenant_id'
            ' SET DEFAULT nullif(pg_catalog.current_setting(''shop.tenant_id'', true), '''')',
            of_tenants
        );
        EXECUTE format('DROP POLICY IF EXISTS tenants ON shop.%I', of_tenants);
        -- without a command or a role: for all of both. NULL, where no tenant is set, is no row's.
        EXECUTE format(
            'CREATE POLICY tenants ON shop.%I'
            ' USING (tenant_id = (SELECT nullif(pg_catalog.current_setting(''shop.tenant_id'', true), '''')))',
            of_tenants
        );
        EXECUTE format('ALTER TABLE shop.%I ENABLE ROW LEVEL SECURITY', of_tenants);
        EXECUTE format('ALTER TABLE shop.%I FORCE ROW LEVEL SECURITY', of_tenants);
    END LOOP;
END
$$;

-- What is unique is so within a tenant, and rows refer to rows of their own tenant alone: a violation, or the
-- lack of one, would else tell of another's rows. The constraints keep their names, by which errors are told.
DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT step, relation, name, definition
        FROM (VALUES
            (1, 'customers', 'customers_tenant_unique', 'UNIQUE (tenant_id, customer_id)'),
            (2, 'warehouses', 'warehouses_tenant_unique', 'UNIQUE (tenant_id, warehouse_id)'),
            (3, 'loads', 'loads_tenant_unique', 'UNIQUE (tenant_id, load_id)'),
            (4, 'warehouses', 'warehouses_name_unique', 'UNIQUE (tenant_id, name)'),
            (5, 'loads', 'loads_sha256_unique', 'UNIQUE (tenant_id, sha256)'),
            (6, 'orders', 'orders_invoice_number_unique', 'UNIQUE (tenant_id, invoice_number)'),
            (7, 'orders', 'orders_request_token_unique', 'UNIQUE (tenant_id, request_token)'),
            (8, 'inventory', 'inventory_warehouse_fk',
                'FOREIGN KEY (tenant_id, warehouse_id) REFERENCES shop.warehouses(tenant_id, warehouse_id)'),
            (9, 'rejects', 'rejects_load_fk',
                'FOREIGN KEY (tenant_id, load_id) REFERENCES shop.loads(tenant_id, load_id) ON DELETE CASCADE'),
            (10, 'orders', 'orders_customer_fk',
                'FOREIGN KEY (tenant_id, customer_id) REFERENCES shop.customers(tenant_id, customer_id)'),
            (11, 'orders', 'orders_warehouse_fk',
                'FOREIGN KEY (tenant_id, warehouse_id) REFERENCES shop.warehouses(tenant_id, warehouse_id)'),
            (12, 'orders', 'orders_load_fk',
                'FOREIGN KEY (tenant_id, load_id) REFERENCES shop.loads(tenant_id, load_id)')
        ) AS steps (step, relation, name, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_constraint
            WHERE conrelid = format('shop.%I', relation)::regclass AND conname = name
                AND pg_get_constraintdef(pg_constraint.oid) = definition
        )
        ORDER BY step
    LOOP
        EXECUTE format('ALTER TABLE shop.%I DROP CONSTRAINT IF EXISTS %I', wanted.relation, wanted.name);
        EXECUTE format(
            'ALTER TABLE shop.%I ADD CONSTRAINT %I %s', wanted.relation, wanted.name, wanted.definition
        );
    END LOOP;
END
$$;

-- A tenant's customers and orders, newest last, without looking at anybody else's.
CREATE INDEX IF NOT EXISTS orders_tenant_customer_idx ON shop.orders (tenant_id, customer_id);
DROP INDEX IF EXISTS shop.orders_customer_idx;
CREATE INDEX IF NOT EXISTS order_lines_tenant_idx ON shop.order_lines (tenant_id, order_id);
CREATE INDEX IF NOT EXISTS stock_movements_tenant_idx ON shop.stock_movements (tenant_id, product_id, warehouse_id);

RESET ROLE;
