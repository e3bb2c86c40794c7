"""Where the server ends a statement: a chunk that the client sends may hold several, a routine many parts.

Only a chunk under a changed delimiter holds a semicolon outside of strings and comments. The server's grammar
ends a statement at the first one, unless it stands in the body of a routine, a trigger or an event.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKENS = re.compile(
    r"""
      (?P<comment> /\*(?![!+]).*?\*/ | --(?=\s|\Z)[^\n]*+ | \#[^\n]*+ )
    | (?P<quoted>  '(?:[^'\\]|\\.|'')*+' | "(?:[^"\\]|\\.|"")*+" | `[^`]*+` )
    | (?P<word>    [A-Za-z_\x80-\U0010ffff$][\w$]*+ )
    | (?P<end>     ; )
    | (?P<label>   : (?!=) )
    | (?P<other>   . )
    """,
    re.VERBOSE | re.DOTALL,
)
_CREATES = re.compile(
    r"(?:/\*!\d*\s*)?(?:CREATE|ALTER)\b.*?\b(?:PROCEDURE|FUNCTION|TRIGGER|EVENT)\b", re.IGNORECASE | re.DOTALL
)
_OTHERS = frozenset(["table", "view", "index", "user", "role", "database", "schema", "server", "tablespace"])
_OPENERS = frozenset(["begin", "if", "case", "loop", "repeat", "while"])
_BEGINS_STATEMENT = frozenset(["begin", "then", "else", "do", "loop", "repeat"])
_SIMPLE_BODIES = frozenset(["set", "select", "call", "return", "with", "signal"])
_NO_OPENER = re.compile(r"\s*(?:\(|not\s+exists\b|exists\b)", re.IGNORECASE)
_TRAILING = "".join(map(chr, range(33)))


def statements_in(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Yield where each statement of a chunk begins and ends, less what surrounds it; nothing for none."""
    if ";" not in text:
        if text[start:].strip(_TRAILING):
            yield start, _stripped(text, start, len(text))
        return
    while True:
        begin, end = _next(text, start)
        if begin is None:
            return
        yield begin, _stripped(text, begin, end)
        start = end + 1


def _stripped(text: str, begin: int, end: int) -> int:
    return begin + len(text[begin:end].rstrip(_TRAILING))


def _next(text: str, start: int) -> tuple[int | None, int]:
    """Return where the next statement begins, None without one, and the semicolon behind it or the end."""
    begin: int | None = None
    body: _Body | None = None
    for token in _TOKENS.finditer(text, start):
        kind, word = token.lastgroup or "", token.group()
        if kind == "comment" or word.isspace():
            continue
        if kind == "end":
            if begin is None:
                continue  # an empty statement
            if body is None or not body.is_open:
                return begin, token.start()
        if begin is None:
            begin = token.start()
            body = _Body() if _has_body(text, begin) else None
        if body is not None:
            body.follow(kind, word.lower(), bool(_NO_OPENER.match(text, token.end())))
    return begin, len(text)


def _has_body(text: str, begin: int) -> bool:
    """Tell whether a routine, a trigger or an event is created here."""
    head = _CREATES.match(text, begin)
    tokens = _TOKENS.finditer(text, begin, head.end()) if head else ()
    return head is not None and not any(
        token.lastgroup == "end" or token.group().lower() in _OTHERS for token in tokens
    )


class _Body:
    """Follows the blocks of a body. BEGIN and END are no reserved words: what counts is where they stand."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._in_head = True
        self._at_statement = False
        self._in_handler = False
        self._after_end = False
        self._parentheses = 0
        self._previous_word = ""

    @property
    def is_open(self) -> bool:
        """Whether a semicolon is part of the body."""
        return bool(self._open)

    def follow(self, kind: str, word: str, followed_by_expression: bool) -> None:
        """Take in a token."""
        after_end, self._after_end = self._after_end, False
        if kind != "word":
            self._at_statement = kind in ("end", "label") and not self._in_head
            self._parentheses += (word == "(") - (word == ")")
            self._in_handler = self._in_handler and kind != "end"
        elif after_end and word in _OPENERS:
            self._at_statement = False
        elif word == "end" and self._closes():
            self._open.pop()
            self._after_end, self._at_statement = True, False
        elif word == "until" and self._at_statement and self._top == "repeat":
            self._open[-1], self._at_statement = "until", False
        elif word == "case" and not (self._at_statement and not self._in_head):
            self._open.append("expression")
            self._at_statement = False
        else:
            self._follow_word(word, followed_by_expression)

    def _follow_word(self, word: str, followed_by_expression: bool) -> None:
        if self._opens(word, followed_by_expression):
            self._open.append(word)
            self._in_head = self._in_handler = False
        elif word == "handler":
            self._in_handler = True
        elif word in _SIMPLE_BODIES and not self._parentheses and self._previous_word != "character":
            self._in_head = False
        self._at_statement = word in _BEGINS_STATEMENT and self._top != "expression" and not self._in_head
        self._previous_word = word

    def _opens(self, word: str, followed_by_expression: bool) -> bool:
        if word not in _OPENERS or self._top == "expression":
            return False
        if self._in_head:
            return not self._parentheses and not (word in ("if", "repeat") and followed_by_expression)
        return self._at_statement or (word == "begin" and self._in_handler)

    def _closes(self) -> bool:
        return self.is_open and (self._at_statement or self._top in ("expression", "until"))

    @property
    def _top(self) -> str:
        return self._open[-1] if self._open else ""
