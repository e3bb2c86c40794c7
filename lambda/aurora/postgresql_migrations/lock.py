"""The lock that lets one migrator at a time work on a database, and who holds it.

It is a session's advisory lock, so that a killed run holds it for as long as the server still executes what
it sent. Inside a file's transaction it is held once more, for the transaction: no file can let go of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from psycopg2 import extensions

from apply_schema.failures import LockHeld

LOCK_KEY = int.from_bytes(b"migrate1", "big")
FIRST_POLL_SECONDS = 0.02
LONGEST_POLL_SECONDS = 0.5

HOLD_IN_TRANSACTION = f"SELECT pg_advisory_xact_lock({LOCK_KEY}); "
DROP_ALL_BUT_THIS = f"SELECT pg_advisory_unlock_all(), pg_advisory_lock({LOCK_KEY});"
"""Within a transaction that holds it once more, so that it is free at no moment."""

_SESSIONS = """
    SELECT DISTINCT activity.pid, activity.application_name, activity.usename, activity.backend_start
    FROM pg_locks AS held JOIN pg_stat_activity AS activity USING (pid)
    WHERE held.granted AND held.pid <> pg_backend_pid()
      AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# The server shows a key of 64 bits in two halves.
_HOLDERS = f"""{_SESSIONS} AND held.locktype = 'advisory' AND held.objsubid = 1
    AND held.classid = {LOCK_KEY >> 32} AND held.objid = {LOCK_KEY & 0xFFFFFFFF}"""
_HOLDERS_OF_TABLES = f"{_SESSIONS} AND held.locktype = 'relation' LIMIT 5"


def wait_for_lock(
    cursor: extensions.cursor, *, patience_seconds: float, waiting: Callable[[str], None]
) -> None:
    """Take the lock, or raise LockHeld naming its holder; `waiting` is told of the holder as the wait begins.

    Polls rather than waits in the server. A session that waits there holds a snapshot, and a CREATE INDEX
    CONCURRENTLY of the lock's holder would wait for that snapshot in turn: both for ever.
    """
    until = time.monotonic() + patience_seconds
    pause = FIRST_POLL_SECONDS
    told = False
    while not _taken(cursor):
        holders = _sessions(cursor, _HOLDERS)
        if holders and not told:
            waiting(f"waiting for another migrator: {holders}")
            told = True
        if time.monotonic() + pause > until:
            raise LockHeld(
                f"waited {patience_seconds:.1f} s for the migrator's lock, which another one holds: {holders}"
            )
        time.sleep(pause)
        pause = min(LONGEST_POLL_SECONDS, 2 * pause)


def let_go(cursor: extensions.cursor) -> None:
    """Release the lock, and whatever other advisory lock the session holds."""
    cursor.execute("SELECT pg_advisory_unlock_all()")


def holders_of_tables(cursor: extensions.cursor) -> str:
    """Name sessions that hold tables: after a wait for a table in vain, the reason is among them."""
    return _sessions(cursor, _HOLDERS_OF_TABLES) or "none any more"


def _taken(cursor: extensions.cursor) -> bool:
    cursor.execute("SELECT pg_try_advisory_lock(%s)", (LOCK_KEY,))
    row = cursor.fetchone()
    return row is not None and bool(row[0])


def _sessions(cursor: extensions.cursor, query: str) -> str:
    cursor.execute(query)
    return "; ".join(
        f"pid {pid}, application {application!r}, user {user}, connected since {since:%Y-%m-%d %H:%M:%S%z}"
        for pid, application, user, since in cursor.fetchall()
    )
