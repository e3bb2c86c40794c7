"""The anomalies of isolation, each as a schedule of statements and as what shows that it happened.

After Adya's definitions, as ept/hermitage orders them (https://github.com/ept/hermitage); its table says
which level of which engine prevents what. A table `anomalies (id, value)` holds (1, 10) and (2, 20) before
each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Step:
    """A statement of one of the transactions, which are numbered from 1."""

    transaction: int
    statement: str


@dataclass(frozen=True)
class Outcome:
    """What a schedule led to."""

    read: Mapping[int, list[Row]]
    """The rows of each step that returned, by its number, counted from 1."""
    aborted: frozenset[int]
    """The transactions that the server gave up."""
    left: Mapping[int, int]
    """The table in the end: value by id."""


@dataclass(frozen=True)
class Schedule:
    """An anomaly, and statements under which it happens where nothing prevents it."""

    name: str
    meaning: str
    steps: tuple[Step, ...]
    happened: Callable[[Outcome], bool]
    writes: bool = False
    """The transaction that is misled writes; where only this kind happens, hermitage says R/O."""


def _steps(text: str) -> tuple[Step, ...]:
    lines = (line.split(None, 1) for line in text.strip().splitlines())
    return tuple(Step(int(transaction[1:]), statement) for transaction, statement in lines)


SCHEDULES = (
    Schedule(
        "G0",
        "two transactions' writes are mixed",
        _steps(
            """
            T1 UPDATE anomalies SET value = 11 WHERE id = 1
            T2 UPDATE anomalies SET value = 12 WHERE id = 1
            T1 UPDATE anomalies SET value = 21 WHERE id = 2
            T1 COMMIT
            T2 UPDATE anomalies SET value = 22 WHERE id = 2
            T2 COMMIT
            """
        ),
        lambda seen: dict(seen.left) in ({1: 11, 2: 22}, {1: 12, 2: 21}),
    ),
    Schedule(
        "G1a",
        "what is rolled back was read",
        _steps(
            """
            T1 UPDATE anomalies SET value = 101 WHERE id = 1
            T2 SELECT value FROM anomalies WHERE id = 1
            T1 ROLLBACK
            T2 COMMIT
            """
        ),
        lambda seen: seen.read.get(2) == [(101,)],
    ),
    Schedule(
        "G1b",
        "what was about to be overwritten was read",
        _steps(
            """
            T1 UPDATE anomalies SET value = 101 WHERE id = 1
            T2 SELECT value FROM anomalies WHERE id = 1
            T1 UPDATE anomalies SET value = 11 WHERE id = 1
            T1 COMMIT
            T2 COMMIT
            """
        ),
        lambda seen: seen.read.get(2) == [(101,)],
    ),
    Schedule(
        "G1c",
        "two transactions read each other's writes",
        _steps(
            """
            T1 UPDATE anomalies SET value = 11 WHERE id = 1
            T2 UPDATE anomalies SET value = 22 WHERE id = 2
            T1 SELECT value FROM anomalies WHERE id = 2
            T2 SELECT value FROM anomalies WHERE id = 1
            T1 COMMIT
            T2 COMMIT
            """
        ),
        lambda seen: seen.read.get(3) == [(22,)] and seen.read.get(4) == [(11,)],
    ),
    Schedule(
        "OTV",
        "a transaction was seen, and then the one before it",
        _steps(
            """
            T1 UPDATE anomalies SET value = 11 WHERE id = 1
            T1 UPDATE anomalies SET value = 19 WHERE id = 2
            T2 UPDATE anomalies SET value = 12 WHERE id = 1
            T1 COMMIT
            T3 SELECT id, value FROM anomalies ORDER BY id
            T2 UPDATE anomalies SET value = 18 WHERE id = 2
            T3 SELECT id, value FROM anomalies ORDER BY id
            T2 COMMIT
            T3 SELECT id, value FROM anomalies ORDER BY id
            T3 COMMIT
            """
        ),
        lambda seen: [(1, 12), (2, 19)] in (seen.read.get(5), seen.read.get(7), seen.read.get(9)),
    ),
    Schedule(
        "PMP",
        "a row appeared among those that a condition had found",
        _steps(
            """
            T1 SELECT id FROM anomalies WHERE value % 3 = 0
            T2 INSERT INTO anomalies (id, value) VALUES (3, 30)
            T2 COMMIT
            T1 SELECT id FROM anomalies WHERE value % 3 = 0
            T1 COMMIT
            """
        ),
        lambda seen: seen.read.get(1) == [] and seen.read.get(4) == [(3,)],
    ),
    Schedule(
        "PMP",
        "a write missed a row that its own condition had found",
        _steps(
            """
            T1 UPDATE anomalies SET value = value + 10
            T2 SELECT id FROM anomalies WHERE value = 20
            T2 DELETE FROM anomalies WHERE value = 20
            T1 COMMIT
            T2 COMMIT
            """
        ),
        lambda seen: not seen.aborted and seen.read.get(2) == [(2,)] and 2 in seen.left,
        writes=True,
    ),
    Schedule(
        "P4",
        "an update was lost",
        _steps(
            """
            T1 SELECT value FROM anomalies WHERE id = 1
            T2 SELECT value FROM anomalies WHERE id = 1
            T1 UPDATE anomalies SET value = 11 WHERE id = 1
            T2 UPDATE anomalies SET value = 11 WHERE id = 1
            T1 COMMIT
            T2 COMMIT
            """
        ),
        lambda seen: not seen.aborted,
    ),
    Schedule(
        "G-single",
        "one row was read before another's transaction, and one after",
        _steps(
            """
            T1 SELECT value FROM anomalies WHERE id = 1
            T2 UPDATE anomalies SET value = 12 WHERE id = 1
            T2 UPDATE anomalies SET value = 18 WHERE id = 2
            T2 COMMIT
            T1 SELECT value FROM anomalies WHERE id = 2
            T1 COMMIT
            """
        ),
        lambda seen: not seen.aborted and seen.read[1] == [(10,)] and seen.read[5] == [(18,)],
    ),
    Schedule(
        "G-single",
        "a row that was read was written by another's condition",
        _steps(
            """
            T1 SELECT id, value FROM anomalies ORDER BY id
            T2 UPDATE anomalies SET value = 12 WHERE id = 1
            T2 UPDATE anomalies SET value = 18 WHERE id = 2
            T2 COMMIT
            T1 DELETE FROM anomalies WHERE value = 20
            T1 COMMIT
            """
        ),
        lambda seen: not seen.aborted and seen.read[1] == [(1, 10), (2, 20)] and seen.left.get(2) == 18,
        writes=True,
    ),
    Schedule(
        "G2-item",
        "two transactions each wrote what the other had read",
        _steps(
            """
            T1 SELECT id, value FROM anomalies ORDER BY id
            T2 SELECT id, value FROM anomalies ORDER BY id
            T1 UPDATE anomalies SET value = 11 WHERE id = 1
            T2 UPDATE anomalies SET value = 21 WHERE id = 2
            T1 COMMIT
            T2 COMMIT
            """
        ),
        lambda seen: not seen.aborted,
    ),
    Schedule(
        "G2",
        "two transactions each added to what the other's condition had found",
        _steps(
            """
            T1 SELECT id FROM anomalies WHERE value % 3 = 0
            T2 SELECT id FROM anomalies WHERE value % 3 = 0
            T1 INSERT INTO anomalies (id, value) VALUES (3, 30)
            T2 INSERT INTO anomalies (id, value) VALUES (4, 42)
            T1 COMMIT
            T2 COMMIT
            """
        ),
        lambda seen: not seen.aborted,
    ),
    Schedule(
        "G2",
        "a reader saw a state that no order of the writers leads to",
        _steps(
            """
            T1 SELECT id, value FROM anomalies ORDER BY id
            T2 UPDATE anomalies SET value = value + 5 WHERE id = 2
            T2 COMMIT
            T3 SELECT id, value FROM anomalies ORDER BY id
            T3 COMMIT
            T1 UPDATE anomalies SET value = 0 WHERE id = 1
            T1 COMMIT
            """
        ),
        lambda seen: not seen.aborted and seen.read.get(4) == [(1, 10), (2, 25)],
    ),
)

LEVELS = ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
ANOMALIES = tuple(dict.fromkeys(schedule.name for schedule in SCHEDULES))

PREVENTED, HAPPENS, ONLY_READS = "prevented", "happens", "prevented for reads"


def _published(text: str) -> dict[str, str]:
    words = {"v": PREVENTED, "-": HAPPENS, "r": ONLY_READS}
    return dict(zip(ANOMALIES, (words[letter] for letter in text.split()), strict=True))


# hermitage's table. PostgreSQL has no READ UNCOMMITTED: it gives READ COMMITTED.
PUBLISHED: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "postgresql": {
        "READ UNCOMMITTED": _published("v v v v v - - - - -"),
        "READ COMMITTED": _published("v v v v v - - - - -"),
        "REPEATABLE READ": _published("v v v v v v v v - -"),
        "SERIALIZABLE": _published("v v v v v v v v v v"),
    },
    "mysql": {
        "READ UNCOMMITTED": _published("v - - - - - - - - -"),
        "READ COMMITTED": _published("v v v v v - - - - -"),
        "REPEATABLE READ": _published("v v v v v r - r - -"),
        "SERIALIZABLE": _published("v v v v v v v v v v"),
    },
}
