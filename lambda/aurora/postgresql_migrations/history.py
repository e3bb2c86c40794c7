"""The table in which a database remembers its migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apply_schema.migration_files import Migration

READ = """
    SELECT name, version, checksum, kind, applied_at, applied_by, duration_seconds
    FROM migrations.history ORDER BY installed_as
"""
IS_THERE = "SELECT to_regclass('migrations.history') IS NOT NULL"
CREATE = """
    CREATE SCHEMA IF NOT EXISTS migrations;
    CREATE TABLE IF NOT EXISTS migrations.history (
        installed_as bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        version bigint UNIQUE,
        name text NOT NULL,
        kind text NOT NULL CHECK (kind IN ('versioned', 'repeatable', 'baseline')),
        checksum text NOT NULL CHECK (checksum ~ '^[0-9a-f]{64}$'),
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        applied_by text NOT NULL DEFAULT session_user,
        duration_seconds double precision NOT NULL,
        CHECK ((version IS NULL) = (kind = 'repeatable'))
    );
    COMMENT ON TABLE migrations.history IS
        'One row per migration that was applied; a repeatable one has a row per run, the last one counts';
"""
RECORD = """
    INSERT INTO migrations.history (version, name, kind, checksum, duration_seconds)
    VALUES (%(version)s, %(name)s, %(kind)s, %(checksum)s, %(duration_seconds)s);
"""
NEWEST = "SELECT coalesce(max(installed_as), 0), clock_timestamp() FROM migrations.history"
# Of several files in one message, each began when the one before it was recorded: the transactions themselves
# all begin with the message, by their own timestamps. The commit need not wait for the disk.
MEASURE = """
    WITH measured AS (
        SELECT installed_as, applied_at - lag(applied_at, 1, %(began)s) OVER (ORDER BY installed_as) AS took
        FROM migrations.history WHERE installed_as > %(newest)s
    ), recorded AS (
        UPDATE migrations.history SET duration_seconds = greatest(0, extract(epoch FROM took))
        FROM measured WHERE history.installed_as = measured.installed_as
        RETURNING history.installed_as, duration_seconds
    )
    SELECT duration_seconds, pg_catalog.set_config('synchronous_commit', 'off', true)
    FROM recorded ORDER BY installed_as
"""
CORRECT = "UPDATE migrations.history SET checksum = %s, name = %s WHERE version = %s"
FORGET = "DELETE FROM migrations.history WHERE version = %s"


def row(kind: str, migration: Migration, duration_seconds: float = 0.0) -> dict[str, object]:
    """Return the parameters of a new row."""
    return {
        "version": migration.version,
        "name": migration.name,
        "kind": kind,
        "checksum": migration.checksum,
        "duration_seconds": duration_seconds,
    }
