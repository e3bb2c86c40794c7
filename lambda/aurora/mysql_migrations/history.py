"""The tables in which a database remembers its migrations, and how far the one came that is at work."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apply_schema.database import Planned, Statement
    from apply_schema.migration_files import Migration

RUN_LOCK = "migrations: a run"

READ = f"""
    SELECT name, version, checksum, kind, applied_at, applied_by, duration_seconds,
        NULL AS statements, NULL AS done, NULL AS sent, NULL AS failed_at, NULL AS said, NULL AS is_running,
        installed_as
    FROM migrations.history
    UNION ALL
    SELECT name, version, checksum, kind, began_at, began_by, duration_seconds,
        statements, done, sent, failed_at, said, IS_USED_LOCK('{RUN_LOCK}') IS NOT NULL, NULL
    FROM migrations.journal
    ORDER BY installed_as IS NULL, installed_as, version IS NULL, version, name
"""  # noqa: S608 - of our own texts
IS_THERE = """
    SELECT count(*) FROM information_schema.tables
    WHERE table_schema = 'migrations' AND table_name IN ('history', 'journal')
"""
# The names and texts are compared byte by byte: file names differ by case.
CREATE = (
    "CREATE DATABASE IF NOT EXISTS migrations",
    """
    CREATE TABLE IF NOT EXISTS migrations.history (
        installed_as bigint unsigned AUTO_INCREMENT PRIMARY KEY,
        version bigint UNIQUE,
        name varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        kind varchar(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
            CHECK (kind IN ('versioned', 'repeatable', 'baseline')),
        checksum char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        applied_at datetime(6) NOT NULL,
        applied_by varchar(255) CHARACTER SET utf8mb4 NOT NULL,
        duration_seconds double NOT NULL,
        CHECK ((version IS NULL) = (kind = 'repeatable'))
    ) ENGINE = InnoDB
      COMMENT 'One row per migration that was applied; of a repeatable one a row per run, the last counts'
    """,
    """
    CREATE TABLE IF NOT EXISTS migrations.journal (
        name varchar(255) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
        version bigint UNIQUE,
        kind varchar(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        checksum char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        began_at datetime(6) NOT NULL,
        began_by varchar(255) CHARACTER SET utf8mb4 NOT NULL,
        duration_seconds double NOT NULL DEFAULT 0,
        statements int NOT NULL,
        digests mediumtext CHARACTER SET ascii COLLATE ascii_bin NOT NULL
            COMMENT 'Of every statement, as the file had them when it was begun',
        done int NOT NULL DEFAULT 0 COMMENT 'So many statements stand',
        sent int NOT NULL DEFAULT 0 COMMENT 'The statement that was sent last, where its end is not known',
        failed_at int NOT NULL DEFAULT 0 COMMENT 'The statement that the server refused',
        said text CHARACTER SET utf8mb4
    ) ENGINE = InnoDB COMMENT 'One row per migration that was begun and is not applied whole'
    """,
)
_NOW = "utc_timestamp(6), substring_index(user(), '@', 1)"
RECORD = f"""
    INSERT INTO migrations.history (version, name, kind, checksum, applied_at, applied_by, duration_seconds)
    VALUES (%s, %s, %s, %s, {_NOW}, %s)
"""  # noqa: S608
BEGIN = f"""
    INSERT INTO migrations.journal (version, name, kind, checksum, statements, digests, began_at, began_by)
    VALUES (%s, %s, %s, %s, %s, %s, {_NOW}) AS begun
    ON DUPLICATE KEY UPDATE checksum = begun.checksum, statements = begun.statements,
        digests = begun.digests, began_at = begun.began_at, began_by = begun.began_by,
        done = 0, sent = 0, failed_at = 0, said = NULL
"""  # noqa: S608
# Becoming the next file's row is one write less than leaving and coming.
BEGIN_NEXT = """
    UPDATE migrations.journal
    SET version = %s, name = %s, kind = %s, checksum = %s, statements = %s, digests = %s,
        began_at = utc_timestamp(6), duration_seconds = 0, done = 0, sent = 0, failed_at = 0, said = NULL
    WHERE name = %s
"""
FORGET_BEGUN = "DELETE FROM migrations.journal WHERE name = %s"
WRITE_DONE = "UPDATE migrations.journal SET done = %s, sent = %s, failed_at = 0, said = NULL WHERE name = %s"
WRITE_FAILED = """
    UPDATE migrations.journal
    SET done = %s, sent = 0, failed_at = %s, said = %s, duration_seconds = duration_seconds + %s
    WHERE name = %s
"""
GO_ON = """
    UPDATE migrations.journal
    SET name = %s, checksum = %s, statements = %s, digests = %s, done = %s,
        sent = 0, failed_at = 0, said = NULL
    WHERE name = %s
"""
STANDINGS = "SELECT name, version, done, sent, failed_at, digests FROM migrations.journal"
CORRECT = "UPDATE migrations.history SET checksum = %s, name = %s WHERE version = %s"
FORGET = "DELETE FROM migrations.history WHERE version = %s"


def recorded(kind: str, migration: Migration, duration_seconds: float = 0.0) -> tuple[object, ...]:
    """Return the parameters of RECORD."""
    return migration.version, migration.name, kind, migration.checksum, duration_seconds


def begun(planned: Planned) -> tuple[object, ...]:
    """Return the parameters of BEGIN."""
    migration, script = planned
    return (
        *(migration.version, migration.name, migration.kind, migration.checksum),
        *(len(script.statements), digests(script.statements)),
    )


def gone_on(planned: Planned, done: int, former_name: str) -> tuple[object, ...]:
    """Return the parameters of GO_ON."""
    migration, script = planned
    count = len(script.statements)
    return migration.name, migration.checksum, count, digests(script.statements), done, former_name


def digests(statements: Sequence[Statement]) -> str:
    """Return what tells the statements from others, a word each."""
    return " ".join(digest(statement.text) for statement in statements)


def digest(text: str) -> str:
    """Return half of a SHA-256: enough to notice an edit, and dumps have many statements."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
