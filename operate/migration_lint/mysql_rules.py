"""What is dangerous on Aurora MySQL: what copies or locks a table, loses data, or breaks the code that runs.

What the server does is what its manual's tables say (Online DDL Operations), and what a real server answers:
tests/database/test_migration_lint.py asks one for each rule of `COPIES` whether it can do without.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from apply_schema.database import Statement
from operate.migration_lint.findings import Finding
from operate.migration_lint.masking import parts, words_of_mysql

_NAME = r"(?:`(?:[^`]|``)+`|[\w$]+)"
_TABLE = rf"{_NAME}(?: ?\. ?{_NAME})?"
_SAY_SO = (
    "say ALGORITHM=INPLACE, LOCK=NONE (or ALGORITHM=INSTANT): the server then refuses what it would copy"
)


@dataclass(frozen=True)
class Rule:
    """What breaks it, as part of an ALTER TABLE or as a statement of its own, and why that is dangerous."""

    why: str
    alteration: str = r"(?!)"
    statement: str = r"(?!)"

    def is_broken_by(self, statement: str, alterations: Sequence[str]) -> bool:
        """Tell whether a statement, or a part of it, does what the rule is about; in one line, as words."""
        return bool(
            re.match(self.statement, statement, re.IGNORECASE)
            or any(re.match(self.alteration, one, re.IGNORECASE) for one in alterations)
        )


_NO_COLUMN = "CONSTRAINT|INDEX|KEY|UNIQUE|PRIMARY|FOREIGN|CHECK|FULLTEXT|SPATIAL|PARTITION"
_ADD_COLUMN = rf"ADD (?:COLUMN )?(?!(?:{_NO_COLUMN})\b)"
_ADD_CONSTRAINT = rf"ADD (?:CONSTRAINT (?:{_NAME} )??)?"
_QUIET = "nobody writes while it is built: do it in a window"
_COPIED = "copies the table while nobody writes"

COPIES: Mapping[str, Rule] = {
    "column-type": Rule(f"may copy the table while nobody writes: {_SAY_SO}", r"(?:MODIFY|CHANGE)\b"),
    "convert-charset": Rule(
        f"{_COPIED}: add columns of the new character set, fill them, switch",
        r"CONVERT TO (?:CHARACTER SET|CHARSET)\b",
    ),
    "drop-primary-key": Rule(f"{_COPIED}: {_SAY_SO}, and add the new key beside it", r"DROP PRIMARY KEY\b"),
    "add-primary-key": Rule(
        f"rebuilds the table and every index: {_SAY_SO}", rf"{_ADD_CONSTRAINT}PRIMARY KEY\b"
    ),
    "add-stored-column": Rule(
        f"{_COPIED}: make it VIRTUAL and index that, or fill a plain column",
        rf"{_ADD_COLUMN}.*\bAS ?\(.*\) STORED\b",
    ),
    "add-expression-default": Rule(
        f"{_COPIED}: add it with a constant or NULL, then ALTER COLUMN SET DEFAULT",
        rf"{_ADD_COLUMN}.*\bDEFAULT ?\(",
    ),
    "add-auto-increment": Rule(
        f"{_COPIED}: fill a new table in batches", rf"{_ADD_COLUMN}.*\bAUTO_INCREMENT\b"
    ),
    "add-foreign-key": Rule(
        f"{_COPIED}: SET foreign_key_checks = 0 adds it in place; look at the rows yourself",
        rf"{_ADD_CONSTRAINT}FOREIGN KEY\b",
    ),
    "add-check": Rule(
        f"{_COPIED}: add it NOT ENFORCED where the table is large",
        rf"{_ADD_CONSTRAINT}CHECK\b(?!.*\bNOT ENFORCED\b)",
    ),
    "fulltext-index": Rule(_QUIET, r"ADD FULLTEXT\b", r"CREATE FULLTEXT INDEX\b"),
    "spatial-index": Rule(_QUIET, r"ADD SPATIAL\b", r"CREATE SPATIAL INDEX\b"),
    "partitioning": Rule(
        f"{_COPIED}: fill a partitioned table beside it, and switch",
        r".*\bPARTITION BY\b|REMOVE PARTITIONING\b|(?:REORGANIZE|COALESCE) PARTITION\b",
    ),
    "rebuild": Rule(
        f"rebuilds the table: {_SAY_SO}, at a quiet hour",
        r"(?:ENGINE|ROW_FORMAT|KEY_BLOCK_SIZE|FORCE|ORDER BY)\b",
        r"OPTIMIZE (?:LOCAL |NO_WRITE_TO_BINLOG )?TABLE\b",
    ),
}
"""What may copy a table or stop its writers; no finding where the statement itself forbids the server to."""

LOSES: Mapping[str, Rule] = {
    "drop-database": Rule("its data are gone", statement=r"DROP (?:DATABASE|SCHEMA)\b"),
    "drop-table": Rule(
        "its data are gone, and code that runs breaks: contract in a later release",
        statement=r"DROP TABLE\b",
    ),
    "drop-column": Rule(
        "its data are gone, and code that reads it breaks: contract when no release that runs knows it",
        r"DROP (?:COLUMN )?(?!(?:PRIMARY|INDEX|KEY|FOREIGN|CHECK|CONSTRAINT|PARTITION)\b)",
    ),
    "drop-partition": Rule("its data are gone", r"(?:DROP|TRUNCATE) PARTITION\b"),
    "truncate": Rule("all rows are gone, and cannot be rolled back", statement=r"TRUNCATE\b"),
    "rename-table": Rule(
        "code that runs knows the old name: rename when nothing uses it",
        r"RENAME (?!(?:COLUMN|INDEX|KEY)\b)",
        r"RENAME TABLE\b",
    ),
    "rename-column": Rule(
        "code that runs knows the old name: add a column, write both, then drop the old one",
        rf"RENAME COLUMN\b|CHANGE (?:COLUMN )?(?P<old>{_NAME}) (?!(?P=old)(?:\s|$)){_NAME}",
    ),
    "add-not-null-column": Rule(
        "every row silently gets 0 or '', and INSERTs that do not know it fail: give it a DEFAULT",
        rf"{_ADD_COLUMN}(?!.*\b(?:DEFAULT|AUTO_INCREMENT)\b)(?!.*\bAS ?\().*\bNOT NULL\b",
    ),
    "unbounded-write": Rule(
        "one transaction over all rows: locks them all and fills the undo log; write in batches by key",
        statement=r"(?:UPDATE|DELETE)\b(?!.*\b(?:WHERE|LIMIT)\b)",
    ),
    "lock-tables": Rule(
        "everybody waits",
        statement=r"LOCK (?:TABLES?|INSTANCE)\b|FLUSH .*\bWITH READ LOCK\b|FLUSH .*\bFOR EXPORT\b",
    ),
    "password": Rule(
        "everybody who reads the file knows it: log in by IAM token",
        statement=r"(?:CREATE|ALTER) USER\b.*\bIDENTIFIED (?:WITH \S+ )?BY ''|SET PASSWORD\b",
    ),
    "blocking-algorithm": Rule(
        "asks for what stops writers",
        statement=r"(?:ALTER TABLE|CREATE .*INDEX|DROP INDEX)\b.*\b"
        r"(?:ALGORITHM ?=? ?COPY|LOCK ?=? ?(?:SHARED|EXCLUSIVE))\b",
    ),
}
"""What no option of the statement makes harmless."""

RULES: Mapping[str, Rule] = {**COPIES, **LOSES}

_ALTER = re.compile(rf"ALTER TABLE ({_TABLE}) (.*)", re.IGNORECASE)
_CREATE = re.compile(rf"CREATE (?:TEMPORARY )?TABLE (?:IF NOT EXISTS )?({_TABLE})", re.IGNORECASE)
_OTHERS = re.compile(
    rf"(?:DROP (?:TEMPORARY )?TABLE (?:IF EXISTS )?|TRUNCATE (?:TABLE )?"
    rf"|UPDATE (?:LOW_PRIORITY )?(?:IGNORE )?|DELETE (?:LOW_PRIORITY )?(?:QUICK )?(?:IGNORE )?FROM "
    rf"|RENAME TABLE |OPTIMIZE TABLE "
    rf"|CREATE (?:UNIQUE |FULLTEXT |SPATIAL )?INDEX {_NAME} (?:USING \w+ )?ON )({_TABLE})",
    re.IGNORECASE,
)
_FORBIDS_COPIES = re.compile(
    r".*\bALGORITHM ?=? ?INSTANT\b|(?=.*\bALGORITHM ?=? ?INPLACE\b)(?=.*\bLOCK ?=? ?NONE\b)", re.IGNORECASE
)
_ADDED_IN_PARENTHESES = re.compile(r"ADD (?:COLUMN )?\((.*)\)", re.IGNORECASE)
_OPTION = re.compile(r"(?:ALGORITHM|LOCK) ?=? ?\w+", re.IGNORECASE)


def findings_of(statements: Sequence[Statement]) -> Iterator[Finding]:
    """Yield what the statements of a file break; a table that the same file creates is nobody's yet."""
    own: set[str] = set()
    for statement in statements:
        words = words_of_mysql(statement.text)
        if created := _CREATE.match(words):
            own.add(_plain(created[1]))
            continue
        if _table_of(words) in own:
            continue
        for rule in _broken(words):
            yield Finding(statement.line, rule, RULES[rule].why)


def _broken(words: str) -> Iterator[str]:
    altered = _ALTER.match(words)
    alterations = list(_alterations(altered[2])) if altered else []
    asked = LOSES if _FORBIDS_COPIES.match(words) else RULES
    return (name for name, rule in asked.items() if rule.is_broken_by(words, alterations))


def _alterations(text: str) -> Iterator[str]:
    for part in parts(text):
        in_parentheses = _ADDED_IN_PARENTHESES.fullmatch(part)
        if in_parentheses:
            yield from (f"ADD COLUMN {column}" for column in parts(in_parentheses[1]))
        elif not _OPTION.fullmatch(part):
            yield part


def _table_of(words: str) -> str:
    found = _ALTER.match(words) or _OTHERS.match(words)
    return _plain(found[1]) if found else ""


def _plain(name: str) -> str:
    return name.replace("`", "").replace(" ", "").lower()
