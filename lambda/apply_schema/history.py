"""What a database remembers of its migrations, compared with the files. Pure: each rule has a test."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from apply_schema.migration_files import Migration, MigrationFiles

if TYPE_CHECKING:
    from datetime import datetime


class Progress(NamedTuple):
    """How far a file came that was begun and not applied whole, on an engine whose DDL commits by itself."""

    statements: int
    done: int
    """So many of its statements are known to stand: the first ones."""
    sent: int = 0
    """The number of a statement that was sent without its end being known; 0: there is none."""
    failed_at: int = 0
    """The number of the statement that the server refused; 0: the run ended otherwise."""
    said: str = ""
    """What the server said about it."""
    is_running: bool = False
    """Whether a run is at it right now."""


class Applied(NamedTuple):
    """One row of the history, or of the journal: then `progress` is there."""

    name: str
    version: int | None
    checksum: str
    kind: str
    """`versioned`, `repeatable` or `baseline`: stated to be there already, never run."""
    applied_at: datetime
    applied_by: str
    duration_seconds: float
    progress: Progress | None = None


class State(enum.Enum):
    """How one migration stands in one database."""

    APPLIED = "applied"
    PENDING = "pending"
    CHANGED = "changed"
    """A repeatable file whose content is not what ran last: it runs again."""
    EDITED = "edited"
    REMOVED = "removed"
    LATE = "late"
    AHEAD = "ahead"
    """Newer than every file: the database was migrated by a later version of the code."""
    FAILED = "failed"
    """Begun, up to a statement that the server refused: it goes on there."""
    IN_DOUBT = "in doubt"
    """Begun, up to a statement that was sent without its end being known."""
    BEGUN = "begun"
    """Begun, up to a statement that was not sent."""
    RUNNING = "running"
    WITHOUT_FILE = "without file"
    """A repeatable migration that the files do not have any more: what it created stands."""


class Entry(NamedTuple):
    """One migration: its file, its last row in the history, or both."""

    state: State
    file: Migration | None
    row: Applied | None

    @property
    def name(self) -> str:
        """The file's name, or the history's where no file is left."""
        return self.file.name if self.file else self.row.name if self.row else ""

    @property
    def standing(self) -> str:
        """The state, and of a file that was begun the statement at which it stands."""
        progress = self.row.progress if self.row else None
        if progress is None:
            return self.state.value
        at = progress.failed_at or progress.sent or min(progress.done + 1, progress.statements)
        return f"{self.state.value} at {at}/{progress.statements}"


HALF_APPLIED = (State.FAILED, State.IN_DOUBT, State.BEGUN, State.RUNNING)


class HistoryRefused(Exception):
    """The files contradict the history; the message names each file, both hashes and the remedy."""


class Comparison(NamedTuple):
    """Every migration of the files and of the history, in the order in which they run."""

    entries: tuple[Entry, ...]

    def of(self, *states: State) -> tuple[Entry, ...]:
        """Return the entries in one of these states."""
        return tuple(entry for entry in self.entries if entry.state in states)

    @property
    def is_ahead(self) -> bool:
        """Whether the database is newer than the files. It is then left alone, repeatable files included."""
        return bool(self.of(State.AHEAD))

    @property
    def pending(self) -> tuple[Migration, ...]:
        """What an apply would run, in its order."""
        if self.is_ahead:
            return ()
        states = (State.PENDING, State.CHANGED, *HALF_APPLIED)
        return tuple(entry.file for entry in self.of(*states) if entry.file)

    @property
    def problems(self) -> tuple[str, ...]:
        """One line per file that contradicts the history."""
        return tuple(_problem(entry) for entry in self.of(State.EDITED, State.REMOVED, State.LATE))

    def refuse_problems(self) -> None:
        """Raise HistoryRefused where any file contradicts the history."""
        if self.problems:
            raise HistoryRefused("\n".join(self.problems))


def compare(files: MigrationFiles, history: Sequence[Applied], *, allow_late: bool = False) -> Comparison:
    """Return how each migration stands; `allow_late` takes files inserted before applied ones as pending."""
    by_version = {row.version: row for row in history if row.version is not None}
    by_name = {row.name: row for row in history if row.version is None}
    highest_applied = max(by_version, default=0)
    entries: list[Entry] = []
    for one in files.migrations:
        if one.version is None:
            entries.append(_repeatable(one, by_name.pop(one.name, None)))
        else:
            late = one.version < highest_applied and not allow_late
            entries.append(_versioned(one, by_version.pop(one.version, None), late))
    for row in by_version.values():
        if _left_nothing(row):
            continue
        state = State.AHEAD if (row.version or 0) > files.highest_version else State.REMOVED
        entries.append(Entry(state, None, row))
    entries += [Entry(State.WITHOUT_FILE, None, row) for row in by_name.values() if not row.progress]
    return Comparison(tuple(sorted(entries, key=_order)))


def _versioned(one: Migration, row: Applied | None, late: bool) -> Entry:
    if row is None:
        return Entry(State.LATE if late else State.PENDING, one, None)
    if row.progress:
        return Entry(_half_applied(row.progress), one, row)
    return Entry(State.APPLIED if row.checksum == one.checksum else State.EDITED, one, row)


def _repeatable(one: Migration, row: Applied | None) -> Entry:
    if row is None:
        return Entry(State.PENDING, one, None)
    if row.progress:
        return Entry(_half_applied(row.progress), one, row)
    return Entry(State.APPLIED if row.checksum == one.checksum else State.CHANGED, one, row)


def _left_nothing(row: Applied) -> bool:
    """Tell whether the server refused the first statement of a file whose number has no file any more."""
    return row.progress is not None and row.progress.done == 0 and row.progress.failed_at == 1


def _half_applied(progress: Progress) -> State:
    if progress.is_running:
        return State.RUNNING
    if progress.failed_at:
        return State.FAILED
    return State.IN_DOUBT if progress.sent else State.BEGUN


def _order(entry: Entry) -> tuple[bool, int, str]:
    version = entry.file.version if entry.file else entry.row.version if entry.row else None
    return version is None, version or 0, entry.name


def _problem(entry: Entry) -> str:
    file, row = entry.file, entry.row
    if row is None:
        assert file is not None  # noqa: S101 - an entry has a file or a row
        return (
            f"{file.name} (sha256 {file.checksum}) comes late: higher versions are applied already; "
            "give it a number above theirs, or allow late files explicitly"
        )
    if file is None:
        was = "begun" if row.progress else "applied"
        return (
            f"{row.name} (sha256 {row.checksum}) was {was} at {row.applied_at:%Y-%m-%d %H:%M:%S%z} "
            "and its file is gone (no hash); restore it, or have `repair` forget it"
        )
    formerly = "" if row.name == file.name else f" as {row.name}"
    return (
        f"{file.name} was applied{formerly} at {row.applied_at:%Y-%m-%d %H:%M:%S%z} with sha256 "
        f"{row.checksum}; now the file has sha256 {file.checksum}; restore it and add a new file, "
        "or have `repair` accept the edit"
    )
