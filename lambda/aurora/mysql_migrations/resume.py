"""Where a file goes on that was begun and not applied whole, and what has to be as it was before.

Both of the migrator's locks are held: nothing of the run that began the file is at work any more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import pymysql

from apply_schema.database import Planned, Statement
from apply_schema.failures import InDoubt
from apply_schema.history import HistoryRefused
from apply_schema.statement_errors import excerpt
from aurora.mysql_migrations import history
from aurora.mysql_migrations.errors import failure_of_session, statement_failed
from aurora.mysql_migrations.kinds import Kind, evidence_of, is_repeatable, kind_of, temporary_table
from aurora.mysql_migrations.session import Journal, Worker
from aurora.redaction import redact

if TYPE_CHECKING:
    from apply_schema.migration_files import Migration

_VOLATILE = re.compile(
    r"\b(?:select|last_insert_id|row_count|found_rows|now|sysdate|curdate|curtime|current_\w+|utc_\w+|unix_timestamp"
    r"|uuid|uuid_short|rand|random_bytes|connection_id|get_lock|version)\b",
    re.IGNORECASE,
)
_VARIABLE = r"@(?!@)(`[^`]+`|'[^']+'|\"[^\"]+\"|[\w.$]+)"
_ASSIGNS = re.compile(rf"(?:\bset\b|,|\binto\b|^)\s*{_VARIABLE}|{_VARIABLE}\s*:=", re.IGNORECASE)
_USES = re.compile(_VARIABLE)
_LAST_ID = re.compile(
    r"\blast_insert_id\s*\(\s*\)|@@(?:session\.)?(?:last_insert_id|identity)\b", re.IGNORECASE
)
_INSERTS = re.compile(r"\s*(?:insert|replace|load|call|execute)\b", re.IGNORECASE)


class Standing(NamedTuple):
    """What the journal says of a file."""

    name: str
    done: int
    sent: int
    failed_at: int
    digests: list[str]


Standings = dict[int | str, Standing]
"""By version, or by name where a file is repeatable."""


def standings(journal: Journal) -> Standings:
    """Return all that the journal says."""
    return {
        (name if version is None else version): Standing(name, done, sent, failed_at, str(digests).split())
        for name, version, done, sent, failed_at, digests in journal.execute(history.STANDINGS)
    }


def standing_of(found: Standings, migration: Migration) -> Standing | None:
    """Return what the journal says of a file, whatever its name was when it began."""
    return found.get(migration.name if migration.version is None else migration.version)


class Point(NamedTuple):
    """Where a file goes on: behind so many statements; and what it was called when it began."""

    done: int
    former_name: str


def where_to_go_on(worker: Worker, planned: Planned, standing: Standing) -> Point:
    """Return how many statements of a file stand; the worker's session has to be reset after.

    Raises HistoryRefused where the file cannot go on, InDoubt where only somebody who looks can tell.
    """
    if planned.migration.version is None:
        return Point(0, standing.name)  # what is repeatable is repeated
    return Point(_Resumption(worker, planned, standing).point(), standing.name)


def restore_session(worker: Worker, planned: Planned, done: int) -> None:
    """Have the worker's session as the statements that stand left it."""
    lost: set[str] = set()
    for statement in planned.script.statements[:done]:
        if _holds_for_session(statement) and not _loses(statement, lost):
            _run(worker, planned.migration.name, statement)


class _Resumption:
    def __init__(self, worker: Worker, planned: Planned, standing: Standing) -> None:
        self._worker = worker
        self._migration, self._script = planned
        self._planned = planned
        self._standing = standing

    def point(self) -> int:
        self._refuse_edits()
        done = self._standing.done
        restore_session(self._worker, self._planned, done)
        if self._standing.sent:
            done = self._settled(self._standing.sent, done)
        elif not self._standing.failed_at:
            done = self._last_evident(done)
        self._refuse_what_is_lost(done)
        return done

    def _refuse_edits(self) -> None:
        """Refuse a file whose statements are not those that ran."""
        statements = self._script.statements
        for number in range(1, self._standing.done + 1):
            if number > len(statements):
                place, what = "", "is gone"
            elif self._is_unchanged(number):
                continue
            else:
                place, what = f":{statements[number - 1].line}", "was edited"
            raise HistoryRefused(
                f"{self._migration.name}{place}: statement {number} {what}, but it has run: "
                f"{self._standing.done} of the file's statements stand. Restore it, or have "
                "`repair --statement-undone` accept the edit and go on behind what stands; where you undo "
                "what ran, have `repair --start-over` begin the file anew"
            )

    def _is_unchanged(self, number: int) -> bool:
        digests, statements = self._standing.digests, self._script.statements
        return (
            number <= min(len(digests), len(statements))
            and history.digest(statements[number - 1].text) == digests[number - 1]
        )

    def _settled(self, sent: int, done: int) -> int:
        """Return what stands if the server can tell about the statement that was sent last."""
        if not self._is_unchanged(sent):
            raise self._doubt(sent, None)
        statement = self._script.statements[sent - 1]
        if evidence_of(statement.text):
            return sent if self._was_done(statement) else done
        if is_repeatable(statement.text):
            return done
        raise self._doubt(sent, statement)

    def _last_evident(self, done: int) -> int:
        """Return what stands: of what was sent without a note, the server can tell."""
        for number, statement in enumerate(self._script.statements[done:], done + 1):
            kind = kind_of(statement.text)
            if kind is Kind.SESSION:
                _run(self._worker, self._migration.name, statement)
            elif kind is not Kind.EVIDENT:
                break
            elif not self._is_unchanged(number):
                raise self._doubt(number, None)
            elif not self._was_done(statement):
                break
            else:
                done = number
        return done

    def _was_done(self, statement: Statement) -> bool:
        evidence = evidence_of(statement.text)
        if evidence is None:
            return False
        query = f"SELECT count(*) > 0 FROM information_schema.{evidence.query}"  # noqa: S608 - of our own texts
        return (self._worker.execute(query, evidence.names) == [(b"1",)]) is evidence.is_there

    def _doubt(self, number: int, statement: Statement | None) -> InDoubt:
        name, count = self._migration.name, len(self._script.statements)
        if statement is None:
            place, shown = name, "the file has changed since: restore it to see which statement that was"
        else:
            place = f"{name}:{statement.line}:{statement.column}"
            shown = redact("\n".join(excerpt(statement.text)))
        return InDoubt(
            f"{place}: statement {number} of {count} is in doubt: a run that ended too early had sent it, "
            "and whether it was done is not known; nothing runs any more. Look what the database has, then "
            "say `repair --statement-done` to go on behind it, or `repair --statement-undone` to repeat it\n"
            f"{shown}"
        )

    # --- what a new session lacks

    def _refuse_what_is_lost(self, done: int) -> None:
        before, rest = self._script.statements[:done], self._script.statements[done:]
        self._refuse_missing_tables(before, rest)
        self._refuse_missing_variables(before, rest)
        for statement in rest:
            if _LAST_ID.search(statement.text):
                raise self._lost(statement, "the last insert id of a statement that stands")
            if _INSERTS.match(statement.text):
                break

    def _refuse_missing_tables(self, before: Sequence[Statement], rest: Sequence[Statement]) -> None:
        for table in filter(None, (temporary_table(statement.text) for statement in before)):
            for statement in rest:
                if re.search(rf"(?<![\w$]){re.escape(table)}(?![\w$])", statement.text, re.IGNORECASE):
                    raise self._lost(statement, f"the temporary table {table}")

    def _refuse_missing_variables(self, before: Sequence[Statement], rest: Sequence[Statement]) -> None:
        lost: set[str] = set()
        for statement in before:
            if (
                _holds_for_session(statement)
                and not _assigned(statement.text)
                and lost & _used(statement.text)
            ):
                raise self._lost(statement, f"@{min(lost & _used(statement.text))}")
            _loses(statement, lost)
        for statement in rest:
            missing = lost & _used(statement.text)
            if missing:
                raise self._lost(statement, f"@{min(missing)}, which an earlier one took from data or time")
            lost -= _assigned(statement.text)

    def _lost(self, statement: Statement, what: str) -> HistoryRefused:
        return HistoryRefused(
            f"{self._migration.name}:{statement.line}: the file cannot go on: this statement uses {what}, "
            "and that went with the session of the run before. Change what is left of the file so that it "
            "does not need it, or undo what stands and have `repair --start-over` begin the file anew"
        )


def _holds_for_session(statement: Statement) -> bool:
    kind = kind_of(statement.text)
    return kind is Kind.SESSION or (kind is Kind.END and "autocommit" in statement.text.lower())


def _loses(statement: Statement, lost: set[str]) -> bool:
    """Take in the variables that a statement sets to what it cannot be set to again; tell whether it did."""
    assigned = _assigned(statement.text)
    is_lost = bool(assigned) and (
        not _holds_for_session(statement)
        or bool(_VOLATILE.search(statement.text))
        or bool(lost & (_used(statement.text) - assigned))
    )
    if is_lost:
        lost |= assigned
    else:
        lost -= assigned
    return is_lost


def _assigned(text: str) -> set[str]:
    return {_name(found[0] or found[1]) for found in _ASSIGNS.findall(text)}


def _used(text: str) -> set[str]:
    return {_name(found) for found in _USES.findall(text)}


def _name(text: str) -> str:
    return text.strip("`'\"").lower()


def _run(worker: Worker, name: str, statement: Statement) -> None:
    try:
        worker.run(statement.text)
    except pymysql.Error as error:
        raise failure_of_session(name, error) or statement_failed(name, statement, error) from error
