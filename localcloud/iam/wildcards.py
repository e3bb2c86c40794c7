"""What * and ? match: in actions, in strings, in the ARNs of resources and in those of conditions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

Translate = Callable[[str], str]
"""Makes a regular expression of a pattern."""

_WILDCARD = re.compile(r"([*?])")
COLONS_OF_AN_ARN = 5
"""They make six parts; further colons belong to the resource's own name."""


def has_wildcard(pattern: str) -> bool:
    """Tell whether the pattern matches more than itself."""
    return _WILDCARD.search(pattern) is not None


def text(pattern: str) -> str:
    """Return the expression of a pattern whose wildcards stand for any characters."""
    return _translate(pattern, ".")


def within_part(pattern: str) -> str:
    """Return the expression of a part of an ARN: its wildcards do not reach beyond the next colon."""
    return _translate(pattern, "[^:]")


def beyond_part(pattern: str) -> str:
    """Return the same, but a * that ends the part goes on beyond the colon.

    So it is in a Resource element (IAM User Guide, "IAM JSON policy elements: Resource"), not in conditions.
    """
    return within_part(pattern[:-1]) + ".*" if pattern.endswith("*") else within_part(pattern)


def resource(pattern: str) -> str:
    """Return the expression of a Resource element's ARN."""
    *parts, name = pattern.split(":", COLONS_OF_AN_ARN)
    return ":".join([*map(beyond_part, parts), text(name)])


@lru_cache(maxsize=4096)
def compiled(expression: str) -> re.Pattern[str]:
    """Return the expression compiled. Patterns with variables meet the same values again and again."""
    return re.compile(expression, re.DOTALL)


class AnyOf:
    """Whether a text is matched by one of several patterns.

    However many they are, it costs one look-up for those without wildcards and one expression for the rest.
    """

    def __init__(self, patterns: Iterable[str], translate: Translate = text) -> None:
        given = frozenset(patterns)
        wild = frozenset(filter(has_wildcard, given))
        self._everything = "*" in wild
        self._exact = given - wild
        self._wild = compiled("|".join(map(translate, sorted(wild)))) if wild else None

    def matches(self, value: str) -> bool:
        """Tell whether one of the patterns matches the whole value."""
        if self._everything or value in self._exact:
            return True
        return self._wild is not None and self._wild.fullmatch(value) is not None


def _translate(pattern: str, character: str) -> str:
    """Return the pattern as an expression whose wildcards stand for `character`."""
    meaning = {"*": character + "*", "?": character}
    return "".join(meaning.get(part) or re.escape(part) for part in _WILDCARD.split(pattern))
