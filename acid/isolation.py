"""Isolation: runs every schedule at every level, and compares what happens with what is published."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass

from acid.schedules import (
    ANOMALIES,
    HAPPENS,
    LEVELS,
    ONLY_READS,
    PREVENTED,
    PUBLISHED,
    SCHEDULES,
    Outcome,
    Row,
    Schedule,
)
from aurora.failures import DatabaseError, Remedy
from aurora.session import Session

Connect = Callable[[], Session]

LONGEST_STEP_SECONDS = 20.0
_POLL_SECONDS = 0.002

_SET_LEVEL = {
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {}",
    "mysql": "SET SESSION TRANSACTION ISOLATION LEVEL {}",
}
_OWN_ID = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}
_WAITS_FOR_A_LOCK = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
    "mysql": """
        SELECT count(*) FROM performance_schema.data_lock_waits
        JOIN performance_schema.threads ON thread_id = requesting_thread_id
        WHERE processlist_id = %s
    """,
}


@dataclass(frozen=True)
class Finding:
    """One cell of the table: an anomaly at a level."""

    anomaly: str
    level: str
    seen: str
    published: str

    @property
    def agrees(self) -> bool:
        """Whether the server does what is published of it."""
        return self.seen == self.published


def findings(connect: Connect) -> list[Finding]:
    """Return what happens at each level; `connect` opens a session that may create a table of its own."""
    with closing(connect()) as observer:
        observer.rows("CREATE TABLE anomalies (id integer PRIMARY KEY, value integer)")
        try:
            published = PUBLISHED[observer.engine]
            return [
                Finding(anomaly, level, _seen(connect, observer, anomaly, level), published[level][anomaly])
                for level in LEVELS
                for anomaly in ANOMALIES
            ]
        finally:
            observer.rows("DROP TABLE anomalies")


def _seen(connect: Connect, observer: Session, anomaly: str, level: str) -> str:
    happened = {
        schedule.writes
        for schedule in SCHEDULES
        if schedule.name == anomaly and schedule.happened(run(schedule, level, connect, observer))
    }
    if not happened:
        return PREVENTED
    return ONLY_READS if happened == {True} else HAPPENS


def run(schedule: Schedule, level: str, connect: Connect, observer: Session) -> Outcome:
    """Run one schedule: a step begins when the one before it has ended, or waits for a lock."""
    _fill(observer)
    with ExitStack() as ended:
        transactions: dict[int, _Transaction] = {}
        for number, step in enumerate(schedule.steps, 1):
            if step.transaction not in transactions:
                transactions[step.transaction] = ended.enter_context(closing(_Transaction(connect(), level)))
            transactions[step.transaction].do(number, step.statement)
            transactions[step.transaction].wait_for_end_or_lock(observer)
        for transaction in transactions.values():
            transaction.wait_for_end()
        return Outcome(
            read={number: rows for each in transactions.values() for number, rows in each.read.items()},
            aborted=frozenset(number for number, each in transactions.items() if each.aborted),
            left=dict(observer.rows("SELECT id, value FROM anomalies")),
        )


def _fill(observer: Session) -> None:
    with observer.transaction():
        observer.rows("DELETE FROM anomalies")
        observer.rows("INSERT INTO anomalies (id, value) VALUES (1, 10), (2, 20)")


class _Transaction:
    """One transaction on a thread of its own, which may wait for another's locks."""

    def __init__(self, session: Session, level: str) -> None:
        self.read: dict[int, list[Row]] = {}
        self.aborted = False
        self._session = session
        ((self._id,),) = session.rows(_OWN_ID[session.engine])
        session.rows(_SET_LEVEL[session.engine].format(level))
        session.rows("START TRANSACTION")
        self._steps: queue.Queue[tuple[int, str] | None] = queue.Queue()
        self._unexpected: Exception | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def do(self, number: int, statement: str) -> None:
        """Run the statement when those before it have ended."""
        self._steps.put((number, statement))

    def wait_for_end_or_lock(self, observer: Session) -> None:
        """Return when there is nothing left to run, or what runs waits for another transaction."""
        self._wait(lambda: bool(observer.rows(_WAITS_FOR_A_LOCK[observer.engine], (self._id,))[0][0]))

    def wait_for_end(self) -> None:
        """Return when there is nothing left to run."""
        self._wait(lambda: False)

    def close(self) -> None:
        """End the thread and the session."""
        self._steps.put(None)
        self._thread.join(LONGEST_STEP_SECONDS)
        self._session.close()

    def _wait(self, is_enough: Callable[[], bool]) -> None:
        give_up = time.monotonic() + LONGEST_STEP_SECONDS
        while self._steps.unfinished_tasks and not is_enough():
            if time.monotonic() > give_up:
                raise TimeoutError(f"a step took more than {LONGEST_STEP_SECONDS} s")
            time.sleep(_POLL_SECONDS)
        if self._unexpected:
            raise self._unexpected

    def _work(self) -> None:
        while (step := self._steps.get()) is not None:
            try:
                if not self.aborted:
                    self.read[step[0]] = self._session.rows(step[1])
            except DatabaseError as error:
                self.aborted = True
                if error.remedy is not Remedy.RETRY:
                    self._unexpected = error
                self._session.rows("ROLLBACK")
            except Exception as error:  # told to whoever waits
                self._unexpected = error
            finally:
                self._steps.task_done()


def as_table(found: Iterable[Finding]) -> Mapping[str, Mapping[str, Finding]]:
    """Return the findings by level, then by anomaly."""
    table: dict[str, dict[str, Finding]] = {}
    for finding in found:
        table.setdefault(finding.level, {})[finding.anomaly] = finding
    return table
