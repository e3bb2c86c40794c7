"""The two connections while they hold the migrator's locks: what changes the database and its history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pymysql

from apply_schema.database import Planned
from apply_schema.failures import RehearsalRefused
from aurora.mysql_migrations import history
from aurora.mysql_migrations.errors import failure
from aurora.mysql_migrations.lock import wait_for_lock
from aurora.mysql_migrations.resume import Point, standing_of, standings, where_to_go_on
from aurora.mysql_migrations.session import WORKER_LOCK, Journal, Worker
from aurora.mysql_migrations.statements import FileRun

if TYPE_CHECKING:
    from pymysql.connections import Connection

    from apply_schema.history import Applied
    from apply_schema.limits import Limits
    from apply_schema.migration_files import Migration


@contextmanager
def locked(
    connection: Connection[Any], limits: Limits, waiting: Callable[[str], None]
) -> Iterator[LockedMysql]:
    """Hold both locks for the block."""
    journal = Journal(connection)
    patience = min(limits.wait_for_lock_seconds, limits.remaining_seconds())
    with journal.failing_as("the migrator's lock"):
        journal.allow_messages()
        wait_for_lock(connection, history.RUN_LOCK, patience_seconds=patience, waiting=waiting)
        # the proof that nothing of a killed run is at work any more
        wait_for_lock(connection, WORKER_LOCK, patience_seconds=patience, waiting=waiting)
        journal.execute("DO RELEASE_LOCK(%s)", (WORKER_LOCK,))
    try:
        yield LockedMysql(journal, limits)
    finally:
        if connection.open:
            with suppress(pymysql.Error):  # the locks end with their sessions
                journal.execute("DO RELEASE_ALL_LOCKS()")


class LockedMysql:
    """A LockedDatabase."""

    def __init__(self, journal: Journal, limits: Limits) -> None:
        self._journal = journal
        self._limits = limits

    def apply(self, planned: Sequence[Planned]) -> Iterator[float]:
        """Run and record each file, from where the journal says that it stands."""
        self._create_history()
        with self._working() as worker:
            points = self._points(worker, planned)
            for number, one in enumerate(planned):
                is_next_new = number + 1 < len(planned) and points[number + 1] is None
                following = planned[number + 1] if is_next_new else None
                run = FileRun(worker, self._journal, self._limits, one, points[number])
                yield run.apply(following, is_begun=number > 0 and points[number] is None)

    def _points(self, worker: Worker, planned: Sequence[Planned]) -> list[Point | None]:
        """Return where each file goes on, None of a new one, before any of them runs."""
        with self._journal.failing_as("migrations.journal"):
            found = standings(self._journal)
            points: list[Point | None] = []
            for one in planned:
                standing = standing_of(found, one.migration)
                if standing is None:
                    points.append(None)
                    continue
                points.append(where_to_go_on(worker, one, standing))
                worker.reset(schema_changed=True)
            return points

    def rehearse(self, planned: Sequence[Planned]) -> None:
        """Refuse: every CREATE, ALTER and DROP commits what was before it."""
        raise RehearsalRefused(
            "MySQL cannot roll back what a rehearsal would run: every CREATE, ALTER and DROP commits by "
            "itself. Apply the files to a copy instead: a clone of the cluster (aws rds "
            "restore-db-cluster-to-point-in-time --restore-type copy-on-write), or `make local ENGINE=mysql`"
        )

    def record(self, kind: str, migrations: Sequence[Migration]) -> None:
        """Add rows for migrations that are not to run."""
        self._create_history()
        with self._journal.failing_as("migrations.history"):
            self._journal.write_together(
                *((history.RECORD, history.recorded(kind, one)) for one in migrations)
            )

    def correct(self, edited: Sequence[Migration], removed: Sequence[Applied]) -> None:
        """Have the history agree with the files."""
        writes: list[tuple[str, tuple[object, ...]]] = [
            (history.CORRECT, (one.checksum, one.name, one.version)) for one in edited
        ]
        writes += [
            (history.FORGET_BEGUN, (row.name,)) if row.progress else (history.FORGET, (row.version,))
            for row in removed
        ]
        if writes:
            with self._journal.failing_as("migrations.history"):
                self._journal.write_together(*writes)

    def settle(self, planned: Planned, done: int | None) -> None:
        """Write down where the file goes on, with its statements as they are now."""
        migration = planned.migration
        with self._journal.failing_as("migrations.journal"):
            if done is None:
                self._journal.execute(history.FORGET_BEGUN, (migration.name,))
                return
            standing = standing_of(standings(self._journal), migration)
            if standing:
                self._journal.execute(history.GO_ON, history.gone_on(planned, done, standing.name))

    @contextmanager
    def _working(self) -> Iterator[Worker]:
        try:
            worker = Worker.beside(self._journal.connection, self._limits)
        except pymysql.Error as error:
            raise failure("the migrator's second connection", error) from error
        try:
            with self._journal.failing_as("the migrator's second connection"):
                worker.begin_session()
            yield worker
        finally:
            worker.close()

    def _create_history(self) -> None:
        with self._journal.failing_as("migrations.history"):
            if self._journal.execute(history.IS_THERE) != [(2,)]:
                for statement in history.CREATE:
                    self._journal.execute(statement)
