"""The session while it holds the migrator's lock: what changes the database, and the history of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from apply_schema.database import Planned
from apply_schema.failures import MigrationFailed
from apply_schema.history import HistoryRefused
from apply_schema.limits import Limits
from aurora.postgresql_migrations import history
from aurora.postgresql_migrations.lock import let_go, wait_for_lock
from aurora.postgresql_migrations.parcels import apply_parcel, parcels
from aurora.postgresql_migrations.session import MAKE_DURABLE, SETTINGS, Session
from aurora.postgresql_migrations.statements import apply_one_by_one, rehearse

if TYPE_CHECKING:
    from psycopg2 import extensions

    from apply_schema.history import Applied
    from apply_schema.migration_files import Migration


@contextmanager
def locked(
    connection: extensions.connection, limits: Limits, waiting: Callable[[str], None]
) -> Iterator[LockedPostgresql]:
    """Hold the lock for the block. What was applied in it is on disk once the block is left."""
    session = Session(connection, limits)
    patience = min(limits.wait_for_lock_seconds, limits.remaining_seconds())
    with session.failing_as("the migrator's lock"):
        session.execute(SETTINGS, session.settings())
        wait_for_lock(session.cursor, patience_seconds=patience, waiting=waiting)
    try:
        session.notice_a_lost_client()
        yield LockedPostgresql(session)
    finally:
        _make_durable_and_let_go(session)


class LockedPostgresql:
    """A LockedDatabase."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def apply(self, planned: Sequence[Planned]) -> Iterator[float]:
        """Run and record each file: in parcels where that is safe, what is left statement by statement."""
        session = self._session
        self._create_history()
        for parcel in parcels(planned):
            done = []
            if len(parcel) > 1:
                with session.failing_as(parcel[0].migration.name):
                    done = apply_parcel(session, parcel)
            yield from done
            for one in parcel[len(done) :]:
                yield apply_one_by_one(session, one)

    def rehearse(self, planned: Sequence[Planned]) -> None:
        """Run the files in one transaction and roll it back."""
        rehearse(self._session, planned)

    def record(self, kind: str, migrations: Sequence[Migration]) -> None:
        """Add rows for migrations that are not to run."""
        self._create_history()
        with self._session.transaction():
            for one in migrations:
                self._session.execute(history.RECORD, history.row(kind, one))

    def correct(self, edited: Sequence[Migration], removed: Sequence[Applied]) -> None:
        """Have the history agree with the files."""
        with self._session.transaction():
            for one in edited:
                self._session.execute(history.CORRECT, (one.checksum, one.name, one.version))
            for row in removed:
                self._session.execute(history.FORGET, (row.version,))

    def settle(self, planned: Planned, done: int | None) -> None:
        """Refuse: no transaction leaves a file half applied."""
        raise HistoryRefused(f"{planned.migration.name} was not begun: {done} statements cannot stand")

    def _create_history(self) -> None:
        with self._session.transaction():
            if not self._session.value(history.IS_THERE):
                self._session.execute(history.CREATE)


def _make_durable_and_let_go(session: Session) -> None:
    if session.connection.closed:
        return
    try:
        with session.failing_as("the end of the run"):
            session.execute(MAKE_DURABLE)
            let_go(session.cursor)
    except MigrationFailed:
        session.connection.close()  # the lock ends with its session
        raise
