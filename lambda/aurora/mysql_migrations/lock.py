"""The lock that lets one migrator at a time work on a server, and who holds it.

There are two. The journal's connection holds the run's, from beginning to end. The worker's holds its own, as
long as the server executes what it was sent: a killed run lets go of the first at once, of the second when
its last statement has ended. Who wants to migrate needs both, in this order.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pymysql.connections import Connection

from apply_schema.failures import LockHeld, MigrationFailed
from aurora.mysql_migrations.history import RUN_LOCK
from aurora.mysql_migrations.session import WORKER_LOCK
from aurora.redaction import redact

POLL_SECONDS = 0.05
LONGEST_WAIT_SECONDS = 1
"""In the server at a time: a wait has no other way to notice that its client is gone."""
_LONGEST_STATEMENT = 60
_SESSIONS = """
    SELECT id, user, host, command, utc_timestamp() - INTERVAL time SECOND, coalesce(info, '')
    FROM information_schema.processlist WHERE id IN (IS_USED_LOCK(%s), IS_USED_LOCK(%s))
"""
_HOLDERS_OF_TABLES = """
    SELECT DISTINCT p.id, p.user, p.host, p.command, utc_timestamp() - INTERVAL p.time SECOND,
        coalesce(p.info, '')
    FROM performance_schema.metadata_locks AS held
    JOIN performance_schema.threads AS thread ON thread.thread_id = held.owner_thread_id
    JOIN information_schema.processlist AS p ON p.id = thread.processlist_id
    WHERE held.lock_status = 'GRANTED' AND held.object_type = 'TABLE'
      AND held.object_schema NOT IN ('performance_schema', 'information_schema', 'mysql', 'migrations')
      AND p.id <> connection_id() AND p.id <> %s
    LIMIT 5
"""
_HOLDERS_OF_ROWS = """
    SELECT p.id, p.user, p.host, p.command,
        utc_timestamp() - INTERVAL timestampdiff(SECOND, trx.trx_started, now()) SECOND, coalesce(p.info, '')
    FROM information_schema.innodb_trx AS trx
    JOIN information_schema.processlist AS p ON p.id = trx.trx_mysql_thread_id
    WHERE p.id <> connection_id() AND p.id <> %s AND trx.trx_rows_locked > 0 LIMIT 5
"""


def wait_for_lock(
    connection: Connection[Any], name: str, *, patience_seconds: float, waiting: Callable[[str], None]
) -> None:
    """Take the lock, or raise LockHeld naming its holder, whom `waiting` is told as the wait begins."""
    until = time.monotonic() + patience_seconds
    if _taken(connection, name, 0):
        return
    holders = sessions_that_hold(connection)
    waiting(f"waiting for {_WHOSE[name]}: {holders}")
    while (left := until - time.monotonic()) > 0:
        if left < LONGEST_WAIT_SECONDS:  # the server counts in whole seconds
            time.sleep(min(POLL_SECONDS, left))
        if _taken(connection, name, LONGEST_WAIT_SECONDS if left >= LONGEST_WAIT_SECONDS else 0):
            return
        holders = sessions_that_hold(connection) or holders
    raise LockHeld(
        f"waited {patience_seconds:.1f} s for the migrator's lock, which is held by {_WHOSE[name]}: {holders}"
    )


_WHOSE = {RUN_LOCK: "another migrator", WORKER_LOCK: "the last statement of a migrator that is gone"}


def sessions_that_hold(connection: Connection[Any]) -> str:
    """Name the sessions that hold the migrator's locks."""
    return _named(connection, _SESSIONS, (RUN_LOCK, WORKER_LOCK))


def holders_of_tables(connection: Connection[Any], worker: int) -> str:
    """Name sessions that hold tables or rows: after a wait in vain, the reason is among them."""
    held = [_named(connection, query, (worker,)) for query in (_HOLDERS_OF_TABLES, _HOLDERS_OF_ROWS)]
    return (
        "; ".join(dict.fromkeys(part for each in held for part in each.split("; ") if part))
        or "none any more"
    )


def _taken(connection: Connection[Any], name: str, seconds: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, %s)", (name, seconds))
        row = cursor.fetchone()
    answer = row[0] if row else None
    if answer is None:
        raise MigrationFailed("GET_LOCK answered NULL: the wait was ended, or the server is out of memory")
    return int(answer) == 1


def _named(connection: Connection[Any], query: str, parameters: tuple[object, ...]) -> str:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        rows = cursor.fetchall()
    return "; ".join(
        f"processlist id {number}, user {user}, host {host}, {_doing(command, info)} since "
        f"{since:%Y-%m-%d %H:%M:%S%z}"
        for number, user, host, command, since, info in rows
    )


def _doing(command: str, info: str) -> str:
    if command == "Sleep":
        return "idle"
    text = redact(" ".join(info.split()))
    return f"in `{text[:_LONGEST_STATEMENT]}{'…' if len(text) > _LONGEST_STATEMENT else ''}`"
