"""One file, statement by statement, with the journal's notes of how far it came.

A transaction carries its note itself, so that both are there or neither. What commits by itself is noted
before it is sent, unless the server can be asked afterwards whether it was done: what creates something. A
note is a commit, and commits are what takes the time: the end of one statement and the beginning of the next
are one note, so are the end of one file and the beginning of the next.
"""

from __future__ import annotations

import re
import time
from typing import NoReturn

import pymysql

from apply_schema.database import Planned, Statement
from apply_schema.failures import ConnectionLost, MigrationFailed, OutOfTime, StatementFailed
from apply_schema.limits import Limits
from aurora.mysql_migrations import history
from aurora.mysql_migrations.errors import (
    INTERRUPTED,
    LOCK_WAIT_TIMEOUT,
    code_of,
    failure,
    failure_of_session,
    statement_failed,
)
from aurora.mysql_migrations.kinds import Kind, kind_of
from aurora.mysql_migrations.lock import holders_of_tables
from aurora.mysql_migrations.resume import Point, restore_session
from aurora.mysql_migrations.session import Journal, Worker

# Where a file asks for what the statement before left (ROW_COUNT), or takes from its session what a note
# needs (rights, tables that are not locked), notes are the other connection's alone.
_APART = re.compile(
    r"\b(?:row_count|found_rows|diagnostics|show\s+(?:count|warnings|errors)|set\s+(?:session\s+)?role"
    r"|read\s+only|transaction_read_only|lock\s+tables?|flush\s+|sql_log_bin|xa\s+|insert_id|timestamp\s*=)\b",
    re.IGNORECASE,
)
_CHANGES_ROLE = re.compile(r"\bset\s+role\b", re.IGNORECASE)
_CHANGES_SCHEMA = re.compile(r"\b(?:use|database|schema)\b", re.IGNORECASE)


class FileRun:
    """The run of one file from behind the statements that stand."""

    def __init__(
        self, worker: Worker, journal: Journal, limits: Limits, planned: Planned, point: Point | None
    ) -> None:
        self._worker = worker
        self._journal = journal
        self._limits = limits
        self._migration, self._script = planned
        self._planned = planned
        self._point = point
        self._done = point.done if point else 0
        """So many statements stand, or hold for the session."""
        self._noted_sent = 0
        self._is_recorded = False
        self._is_apart = bool(_APART.search(self._migration.text))
        self._began = time.monotonic()

    def apply(self, following: Planned | None, *, is_begun: bool) -> float:
        """Run what is left of the file and record it; note that the next one begins. Return the seconds."""
        statements = self._script.statements
        with self._journal.failing_as(self._migration.name):
            self._begin(is_begun=is_begun)
        number = self._done
        try:
            for number in range(self._done + 1, len(statements) + 1):
                self._run(number, statements[number - 1], following)
            self._refuse_open_transaction()
        except pymysql.Error as error:
            self._fail(number, error)
        except OutOfTime as late:
            self._note_failure(number, str(late), has_begun=number > 1)
            raise
        except StatementFailed as failed:
            self._note_failure(number, str(failed))
            raise
        if not self._is_recorded:
            with self._journal.failing_as(f"{self._migration.name}: at its end"):
                self._journal.write_together(*self._end(following))
        self._clean()
        return time.monotonic() - self._began

    def _begin(self, *, is_begun: bool) -> None:
        if self._point:
            self._journal.execute(
                history.GO_ON, history.gone_on(self._planned, self._done, self._point.former_name)
            )
            restore_session(self._worker, self._planned, self._done)
        elif not is_begun:
            self._journal.execute(history.BEGIN, history.begun(self._planned))

    # --- statements

    def _run(self, number: int, statement: Statement, following: Planned | None) -> None:
        if self._limits.remaining_seconds() == 0.0:
            raise OutOfTime(
                f"{self._migration.name}: the deadline came before statement {number} of "
                f"{len(self._script.statements)}; the next run goes on there"
            )
        kind = kind_of(statement.text)
        in_transaction = not self._worker.commits_by_itself
        if kind is Kind.ATOMIC and not in_transaction and not self._is_apart:
            self._run_with_note(number, statement, following)
            return
        if kind is Kind.OTHER or (self._is_apart and kind is Kind.ATOMIC and not in_transaction):
            self._note(sent=number, in_transaction=in_transaction)
        elif kind is Kind.END and in_transaction and self._is_apart:
            self._note(sent=number, in_transaction=False)
        elif kind is Kind.END and in_transaction:
            self._note_in_transaction(number)
        elif in_transaction and kind in (Kind.BEGIN, Kind.EVIDENT):  # these commit what was before them
            self._note_in_transaction(number - 1)
        elif self._noted_sent:
            self._note(sent=0, in_transaction=in_transaction)
        self._worker.run(statement.text)
        if not self._worker.is_in_transaction:
            self._done = number

    def _run_with_note(self, number: int, statement: Statement, following: Planned | None) -> None:
        """Run a statement in a transaction with its note; the last one's is that the file is applied."""
        worker = self._worker
        if self._noted_sent:
            self._note(sent=0, in_transaction=False)
        worker.execute("START TRANSACTION")
        worker.run(statement.text, can_be_taken_back=True)
        if number == len(self._script.statements):
            for sql, parameters in self._end(following):
                worker.execute(sql, parameters)
        else:
            worker.execute(history.WRITE_DONE, (number, 0, self._migration.name))
        worker.execute("COMMIT")
        self._done = number
        self._is_recorded = number == len(self._script.statements)

    # --- notes

    def _note(self, *, sent: int, in_transaction: bool) -> None:
        """Note what stands, and what is sent next: with the transaction that this commits, or at once."""
        done = sent - 1 if sent and in_transaction else self._done
        parameters = (done, sent, self._migration.name)
        if in_transaction and not self._is_apart:
            self._worker.execute(history.WRITE_DONE, parameters)
        else:
            with self._journal.failing_as(self._migration.name):
                self._journal.execute(history.WRITE_DONE, parameters)
        self._noted_sent = sent

    def _note_in_transaction(self, done: int) -> None:
        if not self._is_apart:
            self._worker.execute(history.WRITE_DONE, (done, 0, self._migration.name))
            self._noted_sent = 0

    def _end(self, following: Planned | None) -> list[tuple[str, tuple[object, ...]]]:
        """Return the writes that end this file, and begin the next where it is known to be new."""
        seconds = time.monotonic() - self._began
        record = (history.RECORD, history.recorded(self._migration.kind, self._migration, seconds))
        name = self._migration.name
        if following is None:
            return [record, (history.FORGET_BEGUN, (name,))]
        return [record, (history.BEGIN_NEXT, (*history.begun(following), name))]

    def _note_failure(self, failed_at: int, said: str, *, has_begun: bool = True) -> None:
        """Note where the file stands; where that fails too, the next run finds it out."""
        if not self._worker.roll_back():
            return
        name, seconds = self._migration.name, time.monotonic() - self._began
        text = said.split("\nstatement: ", maxsplit=1)[0][:2000]
        try:
            if has_begun:
                self._journal.execute(history.WRITE_FAILED, (self._done, failed_at, text, seconds, name))
            else:
                self._journal.execute(history.FORGET_BEGUN, (name,))
        except pymysql.Error as error:
            raise failure(f"{self._migration.name}: {text}", error) from error

    # --- ends

    def _fail(self, number: int, error: pymysql.Error) -> NoReturn:
        name, statement = self._migration.name, self._script.statements[number - 1]
        lost = failure_of_session(name, error)
        if lost is not None:
            raise lost from error
        # 1205 takes back its statement alone: whatever failed, no half of a transaction may be committed
        if not self._worker.roll_back():
            raise ConnectionLost(f"{name}: the connection is gone") from error
        failed = self._described(number, statement, error)
        self._note_failure(number, str(failed))
        raise failed from error

    def _described(self, number: int, statement: Statement, error: pymysql.Error) -> MigrationFailed:
        name = self._migration.name
        code, stopped = code_of(error), self._worker.was_stopped
        if code == INTERRUPTED and stopped == "deadline":
            return OutOfTime(f"{name}: statement {number} reached the deadline; the next run goes on there")
        remarks = []
        if code == INTERRUPTED and stopped:
            remarks.append(f"it took more than {self._limits.statement_timeout_seconds:g} s, its limit")
        if code == LOCK_WAIT_TIMEOUT:
            held = holders_of_tables(self._journal.connection, self._worker.session)
            remarks.append(f"sessions that hold tables or rows here: {held}")
        failed = statement_failed(name, statement, error, *remarks)
        count = len(self._script.statements)
        goes_on = self._done + 1
        failed.remarks.append(
            f"{name} failed at statement {number} of {count}: {self._done} stand; the next run goes on at "
            f"statement {goes_on}"
        )
        return failed

    def _refuse_open_transaction(self) -> None:
        if self._worker.is_in_transaction:
            raise StatementFailed(
                f"{self._migration.name}: at its end a transaction is open, whose work would be lost: "
                "a COMMIT or ROLLBACK is missing"
            )

    def _clean(self) -> None:
        text = self._migration.text
        changes = bool(_CHANGES_SCHEMA.search(text))
        with self._journal.failing_as(f"{self._migration.name}: at its end"):
            self._worker.reset(schema_changed=changes, role_changed=bool(_CHANGES_ROLE.search(text)))
