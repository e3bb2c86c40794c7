"""A PostgreSQL script, cut into its statements where psql cuts it, each with its place in the file.

A script is read before anything of it runs, so that what cannot work here is refused with its line while the
database is still as it was: transaction control, psql's commands, quotes and comments that never end.
"""

from __future__ import annotations

import re

from apply_schema.database import Script, ScriptRefused, Statement


def read_script(text: str) -> Script:
    """Return the script's statements, or raise ScriptRefused. Line ends are expected to be LF."""
    return _Reader(text).read()


# Tokens as src/fe_utils/psqlscan.l and the server's scan.l read them; a letter right behind a number belongs
# to it, as junk, since version 15. Quantifiers are possessive: where a literal never ends, nothing is tried
# twice.
_SPACE = r"[ \t\n\r\f\v]"
# Letters of all scripts may stand in names. By exclusion of ASCII's other characters, since a range up to
# U+10FFFF takes 20 ms to compile.
_NAME_START = r"[^\x00-@\[-^`{-\x7f]"
_NAME_PART = r"[^\x00-/:-@\[-^`{-\x7f]"
_NAME = rf"{_NAME_START}[^\x00-#%-/:-@\[-^`{{-\x7f]*+"
_PLAIN_STRING = r"'[^']*+(?:''[^']*+)*+'"
_ESCAPED_BODY = r"'(?:[^'\\]++|\\.|'')*+'"
# 'a' and 'b' on two lines are one literal to the server: what began as an escape string goes on as one.
_NEXT_LINE = rf"(?:[ \t\f\v]|--[^\n\r]*+)*+[\n\r](?:{_SPACE}++|--[^\n\r]*+[\n\r])*+"
_ESCAPED_STRING = rf"{_ESCAPED_BODY}(?:{_NEXT_LINE}{_ESCAPED_BODY})*+"


def _tokens(unprefixed_string: str) -> re.Pattern[str]:
    """Return one token per match, behind any space; the group's name is the token's kind.

    Every character but space matches something: no match is the end.
    """
    return re.compile(
        rf"""
        {_SPACE}*+ (?:
          (?P<remark>   --[^\n\r]*+ )
        | (?P<comment>  /\* )
        | (?P<quoted>   [eE]{_ESCAPED_STRING} | [bBxX]{_PLAIN_STRING} | [uU]&{_PLAIN_STRING}
                      | {unprefixed_string} | (?:[uU]&)?"[^"]*+(?:""[^"]*+)*+" )
        | (?P<endless>  [eE]' | [bBxX]' | (?:[uU]&)?['"] )
        | (?P<dollar>   \$(?:{_NAME_START}{_NAME_PART}*+)?\$ )
        | (?P<number>   \$?[0-9]++{_NAME_START}?+ )
        | (?P<word>     {_NAME} )
        | (?P<end>      ; )
        | (?P<open>     \( )
        | (?P<close>    \) )
        | (?P<command>  \\ )
        | (?P<other>    . )
        )
        """,
        re.VERBOSE | re.DOTALL,
    )


_TOKENS = _tokens(_PLAIN_STRING)
_TOKENS_OF_OLD_DUMPS = _tokens(_ESCAPED_STRING)
"""After SET standard_conforming_strings = off, where a backslash escapes in every string."""

_STRINGS_SETTING = re.compile(
    rf"SET{_SPACE}+(?:(?:SESSION|LOCAL){_SPACE}+)?"
    rf"standard_conforming_strings{_SPACE}*(?:=|TO\b){_SPACE}*'?(\w+)'?",
    re.IGNORECASE,
)
_END_OF_COPY = re.compile(r"^\\\.$\n?", re.MULTILINE)
_NESTED = re.compile(r"/\*|\*/")
_DIRECTIVE = re.compile(r"--\s*migrate\s*:\s*(.*?)\s*")
_NO_TRANSACTION = "no-transaction"
_DUMP_GUARD = re.compile(r"\\(?:un)?restrict\b[^\n]*")
"""pg_dump's guard against psql commands hidden in names; here no psql command ever runs."""

_CREATES_ROUTINE = re.compile(r"create (?:or replace )?(?:function|procedure)\b")
_CONTROLS_TRANSACTION = re.compile(
    r"(?:begin|start|commit|end|abort|prepare transaction)\b|rollback\b(?!(?: work| transaction)? to\b)"
)
_WORDS_THAT_TELL = 4


class _Reader:
    """Walks over the text once, keeping what psql keeps: depth of parentheses and of BEGIN ATOMIC bodies."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKENS
        self._statements: list[Statement] = []
        self._transactional = True
        self._counted_to, self._line, self._line_start = 0, 1, 0
        self._begin_statement()

    def read(self) -> Script:
        position = 0
        while token := self._tokens.match(self._text, position):
            kind = token.lastgroup or ""
            start, position = token.span(kind)
            if kind == "remark":
                self._remark(start, token[kind])
            elif kind == "comment":
                position = self._after_comment(start)
            elif kind == "command":
                position = self._after_command(start)
            elif kind == "end":
                position = self._end_statement(start)
            else:
                position = self._within_statement(kind, start, token[kind])
        self._end_statement(len(self._text))
        remark = "" if self._transactional else "without a transaction"
        return Script(tuple(self._statements), self._transactional, remark)

    def _begin_statement(self) -> None:
        self._start: int | None = None
        self._parentheses = self._blocks = 0
        self._first_words: list[str] = []
        self._previous_word = ""
        self._copies_in = False
        self._begin_part()

    def _begin_part(self) -> None:
        """Begin what a semicolon ends, which inside parentheses or a BEGIN ATOMIC body is no statement."""
        self._part_start: int | None = None
        self._part_words: list[str] = []
        self._part_in_block = self._blocks > 0

    def _within_statement(self, kind: str, start: int, token: str) -> int:
        if self._start is None:
            self._start = start
        if self._part_start is None:
            self._part_start = start
        if kind == "word":
            self._word(token.lower())
        elif kind == "open":
            self._parentheses += 1
        elif kind == "close":
            self._parentheses = max(0, self._parentheses - 1)
        elif kind == "dollar":
            return self._after_dollar_quote(start, token)
        elif kind == "endless":
            raise self._refused(start, f"the {token} opened here is never closed")
        return start + len(token)

    def _word(self, word: str) -> None:
        if len(self._part_words) < _WORDS_THAT_TELL:
            self._part_words.append(word)
        if len(self._first_words) < _WORDS_THAT_TELL:
            self._first_words.append(word)
        if self._parentheses:
            return
        if word in ("begin", "case", "end"):
            self._block(word)
        elif word in ("stdin", "stdout"):
            self._copies_in = self._previous_word == "from" and self._first_words[0] == "copy"
        self._previous_word = word

    def _block(self, word: str) -> None:
        """Count BEGIN ATOMIC … END, in which a CASE has an END of its own, as psql does."""
        if not _CREATES_ROUTINE.match(" ".join(self._first_words)):
            return
        if word == "begin" or (word == "case" and self._blocks):
            self._blocks += 1
        elif word == "end":
            self._blocks = max(0, self._blocks - 1)

    def _end_statement(self, end: int) -> int:
        """Take in what a semicolon, or the script's end, ends; return where reading goes on."""
        if self._start is None:
            return end + 1
        self._refuse_transaction_control()
        if end < len(self._text) and (self._parentheses or self._blocks):
            self._begin_part()
            return end + 1
        next_position = end + 1
        copy_data = None
        if self._copies_in:
            copy_data, next_position = self._copy_data(end + 1)
        text = self._text[self._start : end].rstrip()
        line, column = self._place_of(self._start)
        self._statements.append(Statement(text, line, column, copy_data))
        self._follow_setting(text)
        self._begin_statement()
        return next_position

    def _refuse_transaction_control(self) -> None:
        words = " ".join(self._part_words)
        ends_block = self._part_in_block and self._part_words[:1] == ["end"]
        if self._part_start is None or ends_block or not _CONTROLS_TRANSACTION.match(words):
            return
        raise self._refused(
            self._part_start,
            f"{self._part_words[0].upper()} is not allowed: a file and its history row share one "
            f"transaction; remove it, or begin the file with `-- migrate: {_NO_TRANSACTION}`",
        )

    def _follow_setting(self, statement: str) -> None:
        if setting := _STRINGS_SETTING.fullmatch(statement):
            off = setting[1].lower() in ("off", "false", "no", "0")
            self._tokens = _TOKENS_OF_OLD_DUMPS if off else _TOKENS

    def _copy_data(self, position: int) -> tuple[str, int]:
        """Return the lines up to the one that is `\\.`, and the position after that one."""
        data_start = self._text.find("\n", position) + 1 or len(self._text)
        if self._text[position:data_start].strip():
            raise self._refused(position, "the data of COPY … FROM STDIN begin on the next line")
        end = _END_OF_COPY.search(self._text, data_start)
        if end is None:
            raise self._refused(position - 1, r"the data of COPY … FROM STDIN end with no line `\.`")
        return self._text[data_start : end.start()], end.end()

    def _remark(self, start: int, text: str) -> None:
        directive = _DIRECTIVE.fullmatch(text)
        if directive is None:
            return
        if directive[1] != _NO_TRANSACTION:
            reason = f"`migrate: {directive[1]}` is unknown: expected `migrate: {_NO_TRANSACTION}`"
            raise self._refused(start, reason)
        if self._statements or self._start is not None:
            reason = (
                f"`migrate: {_NO_TRANSACTION}` holds for the whole file: put it before the first statement"
            )
            raise self._refused(start, reason)
        self._transactional = False

    def _after_comment(self, start: int) -> int:
        depth, position = 1, start + 2
        while depth:
            mark = _NESTED.search(self._text, position)
            if mark is None:
                raise self._refused(start, "the comment opened here is never closed")
            depth += 1 if mark.group() == "/*" else -1
            position = mark.end()
        return position

    def _after_dollar_quote(self, start: int, quote: str) -> int:
        end = self._text.find(quote, start + len(quote))
        if end < 0:
            raise self._refused(start, f"the {quote} opened here is never closed")
        return end + len(quote)

    def _after_command(self, start: int) -> int:
        guard = _DUMP_GUARD.match(self._text, start)
        if guard and self._start is None:
            return guard.end()
        line = self._text[start:].split("\n", 1)[0].strip()[:60]
        raise self._refused(start, f"`{line}` is a command of psql's own: only SQL can be applied")

    def _refused(self, position: int, reason: str) -> ScriptRefused:
        return ScriptRefused(self._place_of(position)[0], reason)

    def _place_of(self, position: int) -> tuple[int, int]:
        """Return line and column. Only errors lie before the last position: no line is counted twice."""
        if position < self._counted_to:
            self._counted_to, self._line, self._line_start = 0, 1, 0
        self._line += self._text.count("\n", self._counted_to, position)
        self._line_start = max(self._line_start, self._text.rfind("\n", self._counted_to, position) + 1)
        self._counted_to = position
        return self._line, position - self._line_start + 1
