"""Several short files in one message: the fast way, which nothing depends on.

A parcel has short time limits and says nothing of its own when it fails. Each of its files is a transaction
with its row in the history, so the history tells which of them stand. The others have left nothing, and go
again statement by statement (statements.py), where errors get their places and limits are what the user asked
for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg2

from apply_schema.database import Planned
from aurora.postgresql_migrations.history import MEASURE, NEWEST, RECORD, row
from aurora.postgresql_migrations.session import COMMIT, RESET, SETTINGS, Session, milliseconds

LONGEST_STATEMENT_SECONDS = 0.5
MOST_STATEMENTS = 60
LONGEST_PARCEL_SECONDS = LONGEST_STATEMENT_SECONDS * MOST_STATEMENTS
"""In which nothing is reported, and the deadline is not looked at: there must be more left than that."""

# The server reads a whole message before it runs any of it, so a file that changes how text is read needs a
# message per statement. So does one that sets time limits of its own.
_NEED_THEIR_OWN_PACE = ("standard_conforming_strings", "backslash_quote", "client_encoding", "_timeout")


def parcels(planned: Sequence[Planned]) -> Iterator[list[Planned]]:
    """Yield the files in their order, in parcels; a file that fits into none stands alone."""
    parcel: list[Planned] = []
    statements = 0
    for one in planned:
        fits, own = _fits(one), len(one.script.statements)
        if parcel and (not fits or statements + own > MOST_STATEMENTS):
            yield parcel
            parcel, statements = [], 0
        if fits:
            parcel.append(one)
            statements += own
        else:
            yield [one]
    if parcel:
        yield parcel


def apply_parcel(session: Session, parcel: Sequence[Planned]) -> list[float]:
    """Run and record the files; return the seconds of those that stand, the first of the parcel.

    With the deadline too near for a parcel none is run.
    """
    if session.limits.remaining_seconds() < 2 * LONGEST_PARCEL_SECONDS:
        return []
    session.execute(NEWEST)
    newest, began = session.cursor.fetchall()[0]
    try:
        session.execute(_message(session, parcel))
    except psycopg2.Error:
        if session.connection.closed:
            raise
        session.roll_back()
    session.execute(MEASURE, {"newest": newest, "began": began})
    return [seconds for seconds, _ in session.cursor.fetchall()]


def _fits(planned: Planned) -> bool:
    script, text = planned.script, planned.migration.text.lower()
    return (
        script.transactional
        and 0 < len(script.statements) <= MOST_STATEMENTS
        and all(statement.copy_data is None for statement in script.statements)
        and not any(name in text for name in _NEED_THEIR_OWN_PACE)
    )


def _message(session: Session, parcel: Sequence[Planned]) -> str:
    """Return the files, each from BEGIN to COMMIT."""
    asked_for = session.limits.statement_timeout_seconds or LONGEST_STATEMENT_SECONDS
    limit = milliseconds(min(LONGEST_STATEMENT_SECONDS, asked_for))
    begin = f"{session.begin}SET LOCAL statement_timeout = '{limit}';"
    clean = session.cursor.mogrify(RESET + SETTINGS, session.settings()).decode()
    parts: list[str] = []
    for migration, script in parcel:
        record = session.cursor.mogrify(RECORD, row(migration.kind, migration)).decode()
        # a statement may end in a comment, which must not take the semicolon into it
        parts += [begin, *(f"{statement.text}\n;" for statement in script.statements), clean, record, COMMIT]
    return "\n".join(parts)
