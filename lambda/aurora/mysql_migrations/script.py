"""A MySQL script, cut into its statements where the mysql client cuts it, each with its place in the file.

What that client does is what its read_and_execute() and add_line() do (client/mysql.cc of 8.0): it reads line
by line, knows strings and comments, and nothing of SQL. A chunk that it sends may hold several statements for
the server to cut (statement_ends.py): here each of them is one. Its commands are obeyed where a script needs
them (delimiter, use), passed over where they only change what it prints, and refused where they would reach
beyond the file.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from apply_schema.database import Script, ScriptRefused, Statement
from aurora.mysql_migrations.statement_ends import statements_in


def read_script(text: str) -> Script:
    """Return the script's statements, or raise ScriptRefused. Line ends are expected to be LF."""
    return _Client(text).read()


class _Command(NamedTuple):
    name: str
    letter: str
    takes_parameters: bool


# As the client's own table has them; the first that fits counts.
_COMMANDS = tuple(
    _Command(*row)
    for row in (
        ("?", "?", True),
        ("clear", "c", False),
        ("connect", "r", True),
        ("delimiter", "d", True),
        ("edit", "e", False),
        ("ego", "G", False),
        ("exit", "q", False),
        ("go", "g", False),
        ("help", "h", True),
        ("nopager", "n", False),
        ("notee", "t", False),
        ("pager", "P", True),
        ("print", "p", False),
        ("prompt", "R", True),
        ("quit", "q", False),
        ("rehash", "#", False),
        ("source", ".", True),
        ("status", "s", False),
        ("system", "!", True),
        ("tee", "T", True),
        ("use", "u", True),
        ("charset", "C", True),
        ("warnings", "W", False),
        ("nowarning", "w", False),
        ("resetconnection", "x", False),
        ("query_attributes", "", True),
        ("ssl_session_data_print", "", True),
    )
)
_BY_NAME = {command.name: command for command in _COMMANDS}
_BY_LETTER = {command.letter: command for command in reversed(_COMMANDS) if command.letter}
_FOR_PEOPLE = frozenset(
    {"?", "help", "nopager", "notee", "pager", "print", "prompt", "rehash", "status", "warnings", "nowarning"}
)
"""What changes only what the client prints; in batch mode it has no pager."""
_UNICODE = frozenset({"utf8mb4", "utf8mb3", "utf8"})

_SPACE = " \t\n\v\f\r"
_LONGEST_DELIMITER = 15
_IN_STRING = {quote: re.compile(rf"[\\{quote}]") for quote in "'\"`"}
_IN_COMMENT = re.compile(r"/\*|\*/")
_NOTHING_YET = re.compile(r"(?:\s++|/\*(?![!+]).*?\*/|--(?=[\s]|\Z)[^\n]*+|\#[^\n]*+)*+", re.DOTALL)
_TRAILING_COMMENT = re.compile(r"\#|--\s")
_SQL_MODE = re.compile(
    r"\bset\b.*?\bsql_mode\s*:?=\s*(?:'([^']*)'|\"([^\"]*)\"|(default\b|@))", re.IGNORECASE | re.DOTALL
)
_NONE, _CONDITIONAL, _HINT = range(3)


class _Client:
    """Walks over the lines and keeps what the client keeps: delimiter, string, comment, what is unsent."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        if self._lines[-1] == "":
            self._lines.pop()
        self._statements: list[Statement] = []
        self._number = 0
        self._in_string = ""
        self._in_comment = False
        self._opened_at = 0
        self._no_backslash = False
        self._ended = False
        self._set_delimiter(";")
        self._clear()

    def read(self) -> Script:
        for line in self._lines:
            self._number += 1
            if not self._is_command(line):
                self._add_line(line)
            if self._ended:
                break
        else:
            self._refuse_open_end()
            self._send_rest()
        return Script(tuple(self._statements), transactional=False)

    # --- what is not sent yet

    def _clear(self) -> None:
        self._buffer: list[str] = []
        self._place = (0, 0)
        self._has_content = False

    def _append(self, text: str, column: int) -> None:
        if not text:
            return
        if not self._buffer:
            self._place = (self._number, column)
        self._buffer.append(text)

    def _send(self) -> None:
        """Take in what the client would send now, if it is more than comments."""
        text = "".join(self._buffer)
        nothing = _NOTHING_YET.match(text)
        start = nothing.end() if nothing else 0
        line, column = self._place
        for begin, end in statements_in(text, start):
            before = text[:begin]
            breaks = before.count("\n")
            at = (line + breaks, begin - before.rindex("\n")) if breaks else (line, column + begin)
            self._take(text[begin:end], *at)
        self._clear()

    def _take(self, text: str, line: int, column: int) -> None:
        self._statements.append(Statement(text, line, column))
        found = _SQL_MODE.search(text)
        if found:
            self._no_backslash = "NO_BACKSLASH_ESCAPES" in (found[1] or found[2] or "").upper()

    def _send_rest(self) -> None:
        text = "".join(self._buffer).rstrip(_SPACE)
        rest = text[_behind_comments(text) :]
        command = self._command_in(rest) if rest else None
        if command is None:
            self._send()
        else:
            self._obey(command, rest, 1)

    # --- lines

    def _is_command(self, line: str) -> bool:
        """Obey a line that is a command as a whole, which it can be where no statement has begun."""
        if self._in_string or self._in_comment:
            return False
        if self._buffer and not self._has_content:
            text = "".join(self._buffer)
            self._has_content = _behind_comments(text) < len(text)
        if self._has_content:
            return False
        text = line[_behind_comments(line) :]
        command = self._command_in(text)
        if command is None:
            return False
        self._clear()
        self._obey(command, text, 1)
        return True

    def _add_line(self, line: str) -> None:
        if not line and not self._buffer:
            return
        self._kind_of_comment = _NONE
        self._line = line
        self._flushed_to = position = 0
        self._out: list[str] = []
        while position < len(line) and not self._ended:
            if self._in_string:
                position = self._within_string(position)
            elif self._in_comment:
                position = self._within_comment(position)
            else:
                position = self._within_statement(position)
        if self._ended:
            return
        rest = "".join(self._out)
        if rest or self._buffer:
            is_delimiter = rest[:9].lower() == "delimiter" and not self._in_string and not self._in_comment
            self._append(rest if is_delimiter else rest + "\n", self._flushed_to + 1)

    def _flush(self, position: int) -> None:
        self._append("".join(self._out), self._flushed_to + 1)
        self._out = []
        self._flushed_to = position

    def _within_string(self, position: int) -> int:
        line = self._line
        mark = _IN_STRING[self._in_string].search(line, position)
        if mark is None:
            self._out.append(line[position:])
            return len(line)
        self._out.append(line[position : mark.start()])
        position = mark.start()
        if mark.group() != "\\":
            self._in_string = ""
        elif not self._no_backslash:
            follower = line[position + 1 : position + 2]
            if not follower:
                return len(line)  # and the line break is what was escaped
            self._out.append("\\" if follower == self._in_string == "`" else "\\" + follower)
            return position + (1 if follower == self._in_string == "`" else 2)
        self._out.append(mark.group())
        return position + 1

    def _within_comment(self, position: int) -> int:
        line = self._line
        mark = _IN_COMMENT.search(line, position)
        if mark is None:
            self._out.append(line[position:])
            return len(line)
        self._out.append(line[position : mark.start()])
        position = mark.start()
        if mark.group() == "*/" and self._kind_of_comment == _NONE:
            self._in_comment = False
        elif mark.group() == "*/" or self._opens_special(position):
            if mark.group() == "*/":
                self._kind_of_comment = _NONE
            self._out.append(mark.group()[0])
            return position + 1
        self._out.append(mark.group())
        return position + 2

    def _within_statement(self, position: int) -> int:
        line = self._line
        mark = self._marks.search(line, position)
        if mark is None:
            self._out.append(line[position:])
            return len(line)
        self._out.append(line[position : mark.start()])
        position, kind = mark.start(), mark.lastgroup
        if kind == "backslash":
            return self._after_backslash(position)
        if self._kind_of_comment == _HINT and kind in ("delimiter", "remark", "quote"):
            kind = "open" if line.startswith("/*", position) else "other"
            kind = "close" if line.startswith("*/", position) else kind
        if kind == "delimiter":
            return self._after_delimiter(position + len(self._delimiter))
        if kind == "remark":
            return self._after_remark(position)
        if kind == "open" and not self._opens_special(position):
            self._in_comment, self._opened_at = True, self._number
            self._out.append("/*")
            return position + 2
        if kind == "close":
            self._kind_of_comment = _NONE
        elif kind == "quote":
            self._in_string, self._opened_at = line[position], self._number
        self._out.append(line[position])
        return position + 1

    def _opens_special(self, position: int) -> bool:
        """Tell whether /* begins a conditional comment or a hint, or stands in a hint."""
        follower = self._line[position + 2 : position + 3]
        if follower == "!":
            self._kind_of_comment = _CONDITIONAL
        elif follower == "+":
            self._kind_of_comment = _HINT
        return follower in ("!", "+") or self._kind_of_comment == _HINT

    def _after_delimiter(self, position: int) -> int:
        line = self._line
        while position < len(line) and line[position] in _SPACE:
            self._out.append(line[position])
            position += 1
        self._flush(position)
        if _TRAILING_COMMENT.match(line, position):
            position = len(line)
        text = "".join(self._buffer)
        command = self._command_in(text[_behind_comments(text) :])
        if command is None:
            self._send()
        else:
            self._obey(command, text[_behind_comments(text) :], 1)
            self._clear()
        self._flushed_to = position
        return position

    def _after_remark(self, position: int) -> int:
        self._flush(position)
        if self._buffer:
            self._append(self._line[position:], position + 1)
        self._flushed_to = len(self._line)
        return len(self._line)

    def _after_backslash(self, position: int) -> int:
        line = self._line
        letter = line[position + 1 : position + 2]
        if not letter:
            return len(line)
        if letter == "N":  # NULL
            self._out.append("\\N")
            return position + 2
        command = _BY_LETTER.get(letter)
        if command is None:
            raise ScriptRefused(self._number, f"`\\{letter}` is unknown to the mysql client too")
        self._flush(position)
        self._obey(command, line[position:], position + 1)
        position += 2
        if command.takes_parameters:
            if self._kind_of_comment:
                end = line.find("*/", position)
                position = end if end >= 0 else len(line)
            else:
                end = line.find(self._delimiter, position)
                position = end + len(self._delimiter) if end >= 0 else len(line)
        self._flushed_to = position
        return position

    # --- commands

    def _command_in(self, text: str) -> _Command | None:
        """Return the command that this text is."""
        text = text.lstrip(_SPACE)
        is_delimiter = text[:9].lower() == "delimiter"
        if "\\g" in text or (self._delimiter in text and not is_delimiter):
            return None
        word = re.split("[ \t]", text, maxsplit=1)
        command = _BY_NAME.get(word[0].lower())
        if command and (command.takes_parameters or len(word) == 1 or not word[1].strip(_SPACE)):
            return command
        return None

    def _obey(self, command: _Command, text: str, column: int) -> None:
        name = command.name
        if name == "delimiter":
            self._set_delimiter(self._delimiter_in(text))
        elif name == "use":
            self._take(self._use(text), self._number, column)
        elif name in ("go", "ego"):
            self._send()
        elif name == "clear":
            self._clear()
        elif name in ("quit", "exit"):
            if text.startswith("\\"):
                self._send()
            self._ended = True
        elif name == "charset" and (_argument(text) or "").lower() in _UNICODE:
            self._take("SET NAMES utf8mb4", self._number, column)
        elif name not in _FOR_PEOPLE:
            said = text.split("\n", 1)[0].strip()[:60]
            raise ScriptRefused(
                self._number, f"`{said}` is a command of the mysql client's own: only SQL can be applied"
            )

    def _use(self, text: str) -> str:
        """Return USE as SQL. With quotes the client sends the line itself, else the name as it is."""
        if re.search("['\"`]", text):
            if text.startswith("\\"):
                raise ScriptRefused(self._number, "`\\u` takes no quoted name: write USE")
            return text.strip(_SPACE)
        name = _argument(text) or self._missing("USE must be followed by a database name")
        return f"USE `{name.replace('`', '``')}`"

    def _delimiter_in(self, text: str) -> str:
        delimiter = _argument(text) or self._missing("DELIMITER must be followed by a delimiter")
        if "\\" in delimiter:
            raise ScriptRefused(self._number, "a delimiter cannot hold a backslash")
        return delimiter[:_LONGEST_DELIMITER]

    def _missing(self, reason: str) -> str:
        raise ScriptRefused(self._number, reason)

    def _set_delimiter(self, delimiter: str) -> None:
        self._delimiter = delimiter
        self._marks = re.compile(
            rf"(?P<backslash>\\)|(?P<delimiter>{re.escape(delimiter)})|(?P<remark>\#|--(?=[{_SPACE}]|\Z))"
            r"|(?P<open>/\*)|(?P<close>\*/)|(?P<quote>['\"`])"
        )

    def _refuse_open_end(self) -> None:
        if self._in_string or self._in_comment:
            opened = self._in_string or "/*"
            raise ScriptRefused(self._opened_at, f"the {opened} opened here is never closed")


def _behind_comments(text: str) -> int:
    """Return where the client believes that text begins: behind spaces and most comments."""
    position, end = 0, len(text)
    while True:
        while position < end and text[position] in _SPACE:
            position += 1
        if position + 2 < end and text.startswith("/*", position):
            position += 2
            while position + 2 < end and text[position] != "*" and text[position + 1] != "/":
                position += 1
            if position + 2 < end and text.startswith("*/", position):
                position += 2
        more = position < end and (
            text[position] in _SPACE or (position + 2 < end and text.startswith("/*", position))
        )
        if not more:
            return position


def _argument(text: str) -> str | None:
    """Return a command's first argument as the client reads it: a space ends it, quotes hold it together."""
    text = text.lstrip(_SPACE)
    text = text[2:] if text.startswith("\\") else re.sub(rf"^[^{_SPACE}]*", "", text)
    text = text.lstrip(_SPACE)
    if text[:1] in ("'", '"', "`") and text:
        return text[1:].split(text[0], 1)[0] or None
    return re.sub(r"\\(.)", r"\1", text.split(" ", 1)[0], flags=re.DOTALL) or None
