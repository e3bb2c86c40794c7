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
NEWEST = "SELECT coalesce(max(installed_as), 0) FROM migrations.history"
SINCE = """
    SELECT duration_seconds FROM migrations.history
    WHERE installed_as > %(newest)s ORDER BY installed_as
"""
# Of several files in one message, each began when the one before it was recorded, the first when the message
# came.
RECORD_IN_PARCEL = """
    INSERT INTO migrations.history (version, name, kind, checksum, duration_seconds)
    SELECT %(version)s, %(name)s, %(kind)s, %(checksum)s,
        greatest(0, extract(epoch FROM clock_timestamp() - greatest(statement_timestamp(),
            (SELECT applied_at FROM migrations.history ORDER BY installed_as DESC LIMIT 1))));
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
