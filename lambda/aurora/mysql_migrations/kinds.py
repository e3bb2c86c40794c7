"""What a statement leaves behind, as far as its beginning tells: it decides how the journal follows it."""

from __future__ import annotations

import enum
import re
from typing import NamedTuple


class Kind(enum.Enum):
    """How a statement and the journal's note of it belong together."""

    SESSION = "holds for the session, and is repeated where a file goes on"
    TRACELESS = "leaves nothing, or nothing that outlives its session"
    BEGIN = "begins a transaction of the file's own, or a part of one"
    END = "ends a transaction of the file's own"
    ATOMIC = "is a transaction, in which the note is written too"
    EVIDENT = "creates something: whether it is there tells whether the statement was done"
    OTHER = "commits by itself: it is noted that it is sent"


class Evidence(NamedTuple):
    """Something that is there, or is not, once a statement was done."""

    query: str
    names: tuple[str | None, ...]
    """Its schema, None for the session's own, and its own names."""
    is_there: bool


# Comments and what makes others of statements: /*!50003 CREATE*/ /*!50020 DEFINER=…*/ …
_SURROUNDINGS = re.compile(r"/\*!\d*|\*/|/\*.*?\*/|(?:--\s|\#)[^\n]*\n", re.DOTALL)
_LONGEST_HEAD = 2000
# Letters, digits, _, $ and what is not ASCII; said by what it is not, which compiles far faster.
_NAME = r"(`(?:[^`]|``)+`|[^\x00-#%-/:-@\[-^`{-\x7f]+)"
_QUALIFIED = rf"(?:{_NAME}\s*\.\s*)?{_NAME}"
_DEFINER = r"(?:DEFINER\s*=\s*(?:\S+?\s*@\s*\S+|\S+)\s+)?"
_IF_NOT = r"(?:IF\s+NOT\s+EXISTS\s+)?"


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text.replace(" ", r"\s+"), re.IGNORECASE)


_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (Kind.END, _pattern(r"COMMIT\b|ROLLBACK\b(?! (?:WORK )?TO\b)|SET.*\bautocommit\b")),
    (Kind.BEGIN, _pattern(r"BEGIN\b|START TRANSACTION\b|SAVEPOINT\b|RELEASE SAVEPOINT\b|ROLLBACK\b")),
    (
        Kind.OTHER,
        _pattern(
            r"SET (?:PASSWORD|DEFAULT ROLE)\b"
            r"|SET.*(?:@@|\b)(?:GLOBAL|PERSIST|PERSIST_ONLY)(?:\.\s*| )\w+\s*:?="
        ),
    ),
    (Kind.SESSION, _pattern(r"(?:SET|USE|PREPARE|DEALLOCATE|LOCK|UNLOCK)\b|DROP PREPARE\b")),
    (
        Kind.TRACELESS,
        _pattern(r"(?:SHOW|EXPLAIN|DESC|DESCRIBE|HELP|CHECKSUM)\b|(?:CREATE|DROP) TEMPORARY\b"),
    ),
    (
        Kind.ATOMIC,
        _pattern(r"\(*(?:INSERT|REPLACE|UPDATE|DELETE|SELECT|WITH|TABLE|VALUES|DO)\b|LOAD (?:DATA|XML)\b"),
    ),
)
_ONE_OBJECT = (
    ("TABLE", "tables WHERE table_schema = {} AND table_name = %s"),
    ("VIEW", "views WHERE table_schema = {} AND table_name = %s"),
    ("TRIGGER", "triggers WHERE trigger_schema = {} AND trigger_name = %s"),
    ("EVENT", "events WHERE event_schema = {} AND event_name = %s"),
    ("PROCEDURE", "routines WHERE routine_type = 'PROCEDURE' AND routine_schema = {} AND routine_name = %s"),
    ("FUNCTION", "routines WHERE routine_type = 'FUNCTION' AND routine_schema = {} AND routine_name = %s"),
)
_SCHEMA = "coalesce(%s, database())"
_SCHEMATA = "schemata WHERE %s IS NULL AND schema_name = %s"
_STATISTICS = f"statistics WHERE table_schema = {_SCHEMA} AND table_name = %s AND index_name = %s"
_OPTIONS = rf"(?:ALGORITHM\s*=\s*\w+\s+)?{_DEFINER}(?:SQL SECURITY \w+ )?"
_CREATES = tuple(
    (re.compile(rf"CREATE\s+{_OPTIONS}{what}\s+{_IF_NOT}{_QUALIFIED}(?!\s*\.)", re.IGNORECASE), query)
    for what, query in _ONE_OBJECT
)
_DROPS = tuple(
    (re.compile(rf"DROP\s+{what}\s+(?!IF\s+EXISTS\b){_QUALIFIED}\s*(?:RESTRICT|CASCADE)?\s*$", re.I), query)
    for what, query in _ONE_OBJECT
)
_CREATES_SCHEMA = re.compile(rf"CREATE\s+(?:DATABASE|SCHEMA)\s+{_IF_NOT}{_NAME}", re.IGNORECASE)
_DROPS_SCHEMA = re.compile(rf"DROP\s+(?:DATABASE|SCHEMA)\s+(?!IF\s+EXISTS\b){_NAME}\s*$", re.IGNORECASE)
_CREATES_INDEX = re.compile(
    rf"CREATE\s+(?:UNIQUE\s+|FULLTEXT\s+|SPATIAL\s+)?INDEX\s+{_NAME}\s+(?:USING\s+\w+\s+)?ON\s+{_QUALIFIED}",
    re.IGNORECASE,
)
_DROPS_INDEX = re.compile(rf"DROP\s+INDEX\s+{_NAME}\s+ON\s+{_QUALIFIED}", re.IGNORECASE)
_REPEATABLE = _pattern(
    r"CREATE OR REPLACE\b|DROP \w+ IF EXISTS\b|CREATE \w+ IF NOT EXISTS\b|ALTER USER\b|ALTER DATABASE\b"
    r"|GRANT\b|ANALYZE\b|OPTIMIZE\b|CHECK\b|FLUSH\b|SET\b"
)


def kind_of(text: str) -> Kind:
    """Return what the journal has to know of a statement."""
    head = _head(text)
    for kind, pattern in _KINDS:
        if pattern.match(head):
            return kind
    return Kind.EVIDENT if _created(head) else Kind.OTHER


def evidence_of(text: str) -> Evidence | None:
    """Return what tells whether a statement was done, if anything does."""
    head = _head(text)
    return _created(head) or _dropped(head)


def is_repeatable(text: str) -> bool:
    """Tell whether a second run of the statement leaves what the first one left."""
    return bool(_REPEATABLE.match(_head(text)))


def temporary_table(text: str) -> str | None:
    """Return the name of a temporary table that the statement creates."""
    found = re.match(rf"CREATE\s+TEMPORARY\s+TABLE\s+{_IF_NOT}{_QUALIFIED}", _head(text), re.IGNORECASE)
    return _plain(found[2]) if found else None


def _head(text: str) -> str:
    return _SURROUNDINGS.sub(" ", text[:_LONGEST_HEAD] + "\n").strip()


def _created(head: str) -> Evidence | None:
    if found := _CREATES_SCHEMA.match(head):
        return Evidence(_SCHEMATA, (None, _plain(found[1])), is_there=True)
    if found := _CREATES_INDEX.match(head):
        return _of_index(found, is_there=True)
    for pattern, query in _CREATES:
        if found := pattern.match(head):
            return _of_object(found, query, is_there=True)
    return None


def _dropped(head: str) -> Evidence | None:
    if found := _DROPS_SCHEMA.match(head):
        return Evidence(_SCHEMATA, (None, _plain(found[1])), is_there=False)
    if found := _DROPS_INDEX.match(head):
        return _of_index(found, is_there=False)
    for pattern, query in _DROPS:
        if found := pattern.match(head):
            return _of_object(found, query, is_there=False)
    return None


def _of_index(found: re.Match[str], *, is_there: bool) -> Evidence:
    index, schema, table = found.groups()
    return Evidence(_STATISTICS, (schema and _plain(schema), _plain(table), _plain(index)), is_there)


def _of_object(found: re.Match[str], query: str, *, is_there: bool) -> Evidence:
    schema, name = found.groups()
    return Evidence(query.format(_SCHEMA), (schema and _plain(schema), _plain(name)), is_there)


def _plain(name: str) -> str:
    return name[1:-1].replace("``", "`") if name.startswith("`") else name
