"""What the schema `shop` consists of, read back from the engine itself and said in the same words for both.

A fact is a name and a value: "orders.country" is "text not null". What the engines call differently is
translated in the queries; whether they mean the same is for the tests to say.
"""

from __future__ import annotations

from tests.database.servers import Database


def described(database: Database) -> dict[str, str]:
    """Return every fact about tables, columns, constraints, indexes, views and callable routines, by name."""
    facts = [fact for query in QUERIES[database.engine] for fact in database.rows(query)]
    by_name = {name: str(value) for name, value in facts}
    assert len(by_name) == len(facts), "two facts of one name"
    return by_name


POSTGRESQL = [
    # Tables and views
    """
    SELECT
        CASE relkind WHEN 'v' THEN 'view ' ELSE 'table ' END || relname,
        CASE relkind WHEN 'r' THEN coalesce(obj_description(oid, 'pg_class'), '') ELSE 'is there' END
    FROM pg_class
    WHERE relnamespace = 'shop'::regnamespace AND relkind NOT IN ('i', 'S', 'c')
    """,
    # Columns: type, default, comment, place
    """
    SELECT
        format('%s.%s%s', relname, attname, fact.name),
        CASE fact.name
            WHEN '' THEN format_type(atttypid, atttypmod)
                || CASE WHEN attnotnull THEN ' not null' ELSE '' END
            WHEN ': place' THEN attnum::text
            WHEN ': comment' THEN coalesce(col_description(attrelid, attnum), '')
            WHEN ': default' THEN
                CASE attidentity
                    WHEN 'a' THEN 'always numbered'
                    WHEN 'd' THEN 'numbered'
                    ELSE coalesce(
                        CASE pg_get_expr(adbin, adrelid) WHEN 'now()' THEN 'now' WHEN 'false' THEN '0' END,
                        pg_get_expr(adbin, adrelid), ''
                    )
                END
        END
    FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    CROSS JOIN (VALUES (''), (': place'), (': comment'), (': default')) AS fact (name)
    WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0 AND NOT attisdropped
    """,
    # Room for texts
    """
    SELECT format('%s.%s: room', relname, attname), 'as much as there is'
    FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'shop'::regnamespace AND relkind = 'r' AND atttypid = 'text'::regtype
        AND attnum > 0
    """,
    # Where numbering goes on
    """
    SELECT replace(sequencename, '_seq', '') || ': next number', coalesce(last_value + 1, start_value)
    FROM pg_sequences
    WHERE schemaname = 'shop'
    """,
    # Constraints
    """
    SELECT
        child.relname || ': '
            || CASE contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'c' THEN 'check'
                WHEN 'f' THEN 'foreign key' END
            || CASE contype WHEN 'p' THEN '' ELSE ' ' || conname END,
        CASE WHEN contype = 'c' THEN 'enforced' ELSE (
            SELECT string_agg(attname, ', ' ORDER BY place)
            FROM unnest(conkey) WITH ORDINALITY AS key (number, place)
            JOIN pg_attribute ON attrelid = conrelid AND attnum = number
        ) END
        || CASE WHEN contype = 'f' THEN format(' -> %s (%s), on delete %s, match %s',
            parent.relname,
            (
                SELECT string_agg(attname, ', ' ORDER BY place)
                FROM unnest(confkey) WITH ORDINALITY AS key (number, place)
                JOIN pg_attribute ON attrelid = confrelid AND attnum = number
            ),
            CASE confdeltype WHEN 'a' THEN 'no action' WHEN 'c' THEN 'cascade' END,
            CASE confmatchtype WHEN 's' THEN 'simple' WHEN 'f' THEN 'full' END
        ) ELSE '' END
    FROM pg_constraint
    JOIN pg_class AS child ON child.oid = conrelid
    LEFT JOIN pg_class AS parent ON parent.oid = confrelid
    WHERE connamespace = 'shop'::regnamespace AND contype NOT IN ('n', 't')  -- not null: see the columns
    """,
    # Indexes that are no constraints
    """
    SELECT
        indexed.relname || ': index ' || pg_class.relname,
        (
            SELECT string_agg(attname, ', ' ORDER BY place)
            FROM unnest(indkey) WITH ORDINALITY AS key (number, place)
            JOIN pg_attribute ON attrelid = indrelid AND attnum = number
        ) || coalesce(' where ' || pg_get_expr(indpred, indrelid), '')
    FROM pg_index
    JOIN pg_class ON pg_class.oid = indexrelid
    JOIN pg_class AS indexed ON indexed.oid = indrelid
    WHERE pg_class.relnamespace = 'shop'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u'))
    """,
    # What the application may call
    """
    SELECT
        'routine ' || proname,
        array_to_string(proargnames[1:pronargs], ', ')
    FROM pg_proc
    WHERE pronamespace = 'shop'::regnamespace AND has_function_privilege('shop_application', oid, 'EXECUTE')
    """,
]

MYSQL = [
    """
    SELECT
        concat(if(table_type = 'VIEW', 'view ', 'table '), table_name),
        if(table_type = 'VIEW', 'is there', table_comment)
    FROM information_schema.tables
    WHERE table_schema = 'shop'
    """,
    """
    SELECT
        concat(table_name, '.', column_name, fact.name),
        CASE fact.name
            WHEN '' THEN concat(
                CASE
                    WHEN data_type IN ('varchar', 'text', 'mediumtext') THEN 'text'
                    WHEN column_type = 'int' THEN 'integer'
                    WHEN column_type = 'tinyint(1)' THEN 'boolean'
                    WHEN column_type = 'datetime(6)' THEN 'timestamp with time zone'
                    WHEN column_type = 'binary(16)' THEN 'uuid'
                    ELSE replace(column_type, 'decimal', 'numeric')
                END,
                if(is_nullable = 'NO' AND table_name <> 'invariants', ' not null', '')
            )
            WHEN ': place' THEN ordinal_position
            WHEN ': comment' THEN column_comment
            WHEN ': default' THEN CASE
                WHEN table_name = 'invariants' THEN ''
                WHEN extra = 'auto_increment' THEN 'numbered'
                WHEN column_default = 'utc_timestamp(6)' THEN 'now'
                WHEN data_type = 'decimal' AND column_default = 0 THEN '0'
                ELSE coalesce(column_default, '')
            END
        END
    FROM information_schema.columns
    JOIN (VALUES ROW(''), ROW(': place'), ROW(': comment'), ROW(': default')) AS fact (name)
    WHERE table_schema = 'shop'
    """,
    """
    SELECT concat(table_name, '.', column_name, ': room'), column_type
    FROM information_schema.columns
    WHERE table_schema = 'shop' AND data_type IN ('varchar', 'text', 'mediumtext')
        AND table_name <> 'invariants'
    """,
    """
    SELECT concat(table_name, '_', column_name, ': next number'), auto_increment
    FROM information_schema.tables
    JOIN information_schema.columns USING (table_schema, table_name)
    WHERE table_schema = 'shop' AND extra = 'auto_increment'
    """,
    """
    SELECT
        concat(known.table_name, ': ', lower(constraint_type),
            if(constraint_type = 'PRIMARY KEY', '', concat(' ', constraint_name))),
        CASE constraint_type
            WHEN 'CHECK' THEN if(enforced = 'YES', 'enforced', 'not enforced')
            ELSE concat(
                columns_of.here,
                if(constraint_type = 'FOREIGN KEY', concat(
                    ' -> ', parent.referenced_table_name, ' (', columns_of.there, '), on delete ',
                    lower(delete_rule), ', match ', if(match_option = 'NONE', 'simple', lower(match_option))
                ), '')
            )
        END
    FROM information_schema.table_constraints AS known
    LEFT JOIN (
        SELECT
            constraint_schema, table_name, constraint_name,
            group_concat(column_name ORDER BY ordinal_position SEPARATOR ', ') AS here,
            group_concat(referenced_column_name ORDER BY ordinal_position SEPARATOR ', ') AS there
        FROM information_schema.key_column_usage
        GROUP BY constraint_schema, table_name, constraint_name
    ) AS columns_of USING (constraint_schema, table_name, constraint_name)
    LEFT JOIN information_schema.referential_constraints AS parent
        USING (constraint_schema, table_name, constraint_name)
    WHERE constraint_schema = 'shop'
    """,
    """
    SELECT
        concat(table_name, ': index ', index_name),
        group_concat(column_name ORDER BY seq_in_index SEPARATOR ', ')
    FROM information_schema.statistics
    WHERE table_schema = 'shop' AND non_unique = 1
    GROUP BY table_name, index_name
    """,
    """
    SELECT
        concat('routine ', proc.routine_name),
        group_concat(parameter_name ORDER BY ordinal_position SEPARATOR ', ')
    FROM mysql.procs_priv AS proc
    JOIN information_schema.parameters ON specific_schema = proc.db AND specific_name = proc.routine_name
    WHERE proc.db = 'shop' AND proc.user = 'shop_application'
    GROUP BY proc.routine_name
    """,
]

QUERIES = {"postgresql": POSTGRESQL, "mysql": MYSQL}
