"""Statements as their words: without comments and without what is quoted, so that patterns see SQL alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

_MYSQL = re.compile(
    r"(?P<string>'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\")"
    r"|(?P<name>`(?:[^`]|``)*`)"
    r"|(?P<conditional>/\*!\d*|\*/)"
    r"|(?P<comment>/\*(?!!).*?\*/|(?:--(?=\s|\Z)|\#)[^\n]*)",
    re.DOTALL,
)
_POSTGRESQL = re.compile(
    r"(?P<string>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)"
    r"|(?P<name>\"(?:[^\"]|\"\")*\")"
    r"|(?P<comment>/\*.*?\*/|--[^\n]*)",
    re.DOTALL,
)


def words_of_mysql(statement: str) -> str:
    """Return the statement in one line: texts are '', comments are gone, conditional ones are obeyed."""
    return _in_one_line(_MYSQL.sub(_masked, statement))


def words_of_postgresql(statement: str) -> str:
    """Return the statement in one line: texts and bodies are '', comments are gone."""
    return _in_one_line(_POSTGRESQL.sub(_masked, statement))


def parts(text: str) -> Iterator[str]:
    """Yield what commas outside of parentheses and names divide."""
    depth, begin, in_name = 0, 0, False
    for position, character in enumerate(text):
        if character == "`":
            in_name = not in_name
        elif in_name:
            continue
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == "," and depth == 0:
            yield text[begin:position].strip()
            begin = position + 1
    yield text[begin:].strip()


def _masked(found: re.Match[str]) -> str:
    if found.lastgroup == "name":
        return found[0]
    return "''" if found["string"] else " "


def _in_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
