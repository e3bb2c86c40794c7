"""Several short files in one message: the fast way, which nothing depends on.

A parcel has short time limits and says nothing of its own when it fails. Each of its files is a transaction
with its row in the history, so the history tells which of them stand. The others have left nothing, and go
again statement by statement (statements.py), where errors get their places and limits are what the user asked
for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import psycopg2

from apply_schema.database import Planned
from aurora.postgresql_migrations.history import NEWEST, RECORD_IN_PARCEL, SINCE, row
from aurora.postgresql_migrations.session import COMMIT, RESET, SETTINGS, Session, milliseconds

LONGEST_STATEMENT_SECONDS = 1.0
MOST_STATEMENTS = 30
LONGEST_PARCEL_SECONDS = LONGEST_STATEMENT_SECONDS * MOST_STATEMENTS
"""In which nothing is reported, and the deadline is not looked at: there must be more left than that."""

# The server reads a whole message before it runs any of it, so a file that changes how text is read needs a
# message per statement; so does one that sets time limits of its own.
_NEEDS_ITS_OWN_PACE = re.compile(
    "standard_conforming_strings|backslash_quote|client_encoding|_timeout|client_connection_check_interval",
    re.IGNORECASE,
)


def parcels(session: Session, planned: Sequence[Planned]) -> Iterator[list[Planned]]:
    """Yield the files in their order, in parcels; a file that fits into none stands alone."""
    parcel: list[Planned] = []
    statements = 0
    for one in planned:
        own = len(one.script.statements)
        if parcel and (statements + own > MOST_STATEMENTS or not fits(session, one)):
            yield parcel
            parcel, statements = [], 0
        parcel.append(one)
        statements += own
        if not fits(session, one):
            yield parcel
            parcel, statements = [], 0
    if parcel:
        yield parcel


def fits(session: Session, planned: Planned) -> bool:
    """Tell whether a file may travel in a parcel now."""
    script = planned.script
    return (
        script.transactional
        and 0 < len(script.statements) <= MOST_STATEMENTS
        and all(statement.copy_data is None for statement in script.statements)
        and not _NEEDS_ITS_OWN_PACE.search(planned.migration.text)
        and session.limits.remaining_seconds() > 2 * LONGEST_PARCEL_SECONDS
    )


def apply_parcel(session: Session, parcel: Sequence[Planned]) -> list[float]:
    """Run and record the files; return the seconds of those that stand, the first of the parcel."""
    newest = session.value(NEWEST)
    try:
        session.execute("".join(_message(session, one) for one in parcel))
    except psycopg2.Error:
        if session.connection.closed:
            raise
        session.roll_back()
    session.execute(SINCE, {"newest": newest})
    return [seconds for (seconds,) in session.cursor.fetchall()]


def _message(session: Session, planned: Planned) -> str:
    """Return one file, from BEGIN to COMMIT."""
    migration, script = planned
    settings = session.settings()
    most = min(
        LONGEST_STATEMENT_SECONDS, session.limits.statement_timeout_seconds or LONGEST_STATEMENT_SECONDS
    )
    # a file that ends in a comment without a line break must not take the next statement into it
    statements = "\n;".join(statement.text for statement in script.statements)
    end = session.cursor.mogrify(
        RESET + SETTINGS + RECORD_IN_PARCEL + COMMIT, settings | row(migration.kind, migration)
    )
    limit = f"SET LOCAL statement_timeout = '{milliseconds(most)}';"
    return f"{session.begin}{limit}\n{statements}\n;{end.decode()}"
