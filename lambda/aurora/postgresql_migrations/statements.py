"""One file, statement by statement: each a message of its own, so that every error has its place."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence

import psycopg2

from apply_schema.database import Planned, Statement
from apply_schema.failures import MigrationFailed
from aurora.postgresql_migrations.errors import statement_failed, words
from aurora.postgresql_migrations.history import RECORD, row
from aurora.postgresql_migrations.lock import holders_of_tables
from aurora.postgresql_migrations.session import (
    COMMIT,
    IN_TRANSACTION,
    NO_TRANSACTION,
    RESET,
    SETTINGS,
    Session,
)

_LOCK_NOT_AVAILABLE = "55P03"
_INVALID_INDEXES = """
    SELECT quote_ident(space.nspname) || '.' || quote_ident(index.relname)
    FROM pg_catalog.pg_index JOIN pg_catalog.pg_class AS index ON index.oid = indexrelid
    JOIN pg_catalog.pg_namespace AS space ON space.oid = index.relnamespace
    WHERE NOT indisvalid AND index.relkind = 'i' AND position(lower(index.relname) IN lower(%(text)s)) > 0
"""


def apply_one_by_one(session: Session, planned: Planned) -> float:
    """Run one file and record it, in one transaction or without one, as the file says; return its seconds."""
    migration, script = planned
    began = time.monotonic()
    if script.transactional:
        run_in_transaction(session, migration.name, script.statements)
    else:
        _run_alone(session, migration.name, script.statements)
    duration = time.monotonic() - began
    begin = "" if script.transactional else session.begin
    parameters = session.settings() | row(migration.kind, migration, duration)
    with session.failing_as(f"{migration.name}: at its end"):
        session.execute(begin + RESET + SETTINGS + RECORD + COMMIT, parameters)
    return duration


def rehearse(session: Session, planned: Sequence[Planned]) -> None:
    """Run files in one transaction, cleaning the session after each as an apply does, and roll all back."""
    begin = session.begin
    try:
        for migration, script in planned:
            run_in_transaction(session, migration.name, script.statements, begin)
            with session.failing_as(f"{migration.name}: at its end"):
                session.execute(RESET + SETTINGS, session.settings())
            begin = ""
    finally:
        session.roll_back()


def run_in_transaction(
    session: Session, name: str, statements: Sequence[Statement], begin: str | None = None
) -> None:
    """Send the statements, the first one behind what begins the transaction."""
    begin = session.begin if begin is None else begin
    if begin and (not statements or statements[0].copy_data is not None):
        with session.failing_as(name):
            session.execute(begin)
        begin = ""
    for statement in statements:
        _run(session, name, statement, begin, IN_TRANSACTION)
        begin = ""


def _run_alone(session: Session, name: str, statements: Sequence[Statement]) -> None:
    for number, statement in enumerate(statements):
        try:
            _run(session, name, statement, "", NO_TRANSACTION)
            _refuse_invalid_indexes(session, name, statement)
        except MigrationFailed as failure:
            failure.remarks.append(
                f"{name} runs without a transaction: {number} of its {len(statements)} statements stand, "
                "and the next run begins it anew; write it so that it can be repeated "
                "(DROP INDEX CONCURRENTLY IF EXISTS before CREATE INDEX CONCURRENTLY)"
            )
            raise


def _run(session: Session, name: str, statement: Statement, prefix: str, expected_status: int) -> None:
    try:
        session.keep_to_deadline(name)
        if statement.copy_data is None:
            session.execute(prefix + statement.text)
        else:
            session.cursor.copy_expert(statement.text, io.StringIO(statement.copy_data))
        _refuse_leaving_the_rails(session, name, statement, expected_status)
    except psycopg2.Error as error:
        raise _failure_of_statement(session, name, statement, error, len(prefix)) from error
    except MigrationFailed:
        session.roll_back()
        raise


def _refuse_leaving_the_rails(
    session: Session, name: str, statement: Statement, expected_status: int
) -> None:
    """Notice, by what the driver knows anyway, a statement that gives those after it another meaning."""
    if session.connection.info.transaction_status != expected_status:
        said = "this statement began or ended a transaction, which is the migrator's part"
        raise statement_failed(name, statement, [said])
    if session.connection.info.parameter_status("client_encoding") != "UTF8":
        raise statement_failed(name, statement, ["this changes client_encoding, but files are UTF-8"])


def _refuse_invalid_indexes(session: Session, name: str, statement: Statement) -> None:
    """Say what CREATE INDEX CONCURRENTLY IF NOT EXISTS is silent about: what a broken-off one left."""
    if statement.text[:6].upper() != "CREATE":
        return
    session.execute(_INVALID_INDEXES, {"text": statement.text})
    invalid = [index for (index,) in session.cursor.fetchall()]
    if invalid:
        said = f"index {', '.join(invalid)} is invalid: drop it before it is created anew"
        raise statement_failed(name, statement, [said])


def _failure_of_statement(
    session: Session, name: str, statement: Statement, error: psycopg2.Error, prefix_length: int
) -> MigrationFailed:
    session.roll_back()
    failure = session.failure_of_session(name, error)
    if failure is not None:
        return failure
    said = words(error)
    if error.pgcode == _LOCK_NOT_AVAILABLE:
        said.append(f"sessions that hold tables here: {holders_of_tables(session.cursor)}")
    position = error.diag.statement_position
    place = max(1, int(position) - prefix_length) if position else None
    return statement_failed(name, statement, said, place)
