"""Policy variables: ${key}, ${key, 'default'} and the fixed ${*}, ${?}, ${$}.

IAM User Guide, "IAM policy elements: Variables and tags".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from localcloud.iam import wildcards
from localcloud.iam.wildcards import Translate

Context = Mapping[str, str | Sequence[str]]
"""The condition keys of a request, in lower case: a text is a single-valued key, a sequence multivalued."""

_VARIABLE = re.compile(r"\$\{\s*(?P<key>[^},]+?)\s*(?:,\s*'(?P<default>[^']*)'\s*)?\}")
_COLON = re.compile(r":(?![^{]*\})")
"""A colon outside of variables."""
_FIXED = ("*", "?", "$")


@dataclass(frozen=True)
class Variable:
    """A part of a text that the request fills in."""

    key: str
    default: str | None = None

    def value(self, context: Context) -> str | None:
        """Return the value; None where the request has none. Multivalued keys cannot be variables."""
        value = context.get(self.key)
        return value if isinstance(value, str) else self.default


@dataclass(frozen=True)
class Template:
    """A text with variables in it."""

    parts: tuple[str | Variable, ...]

    @classmethod
    def parse(cls, text: str, *, variables: bool = True) -> Template:
        """Return the template; without variables, ${ is text like any other."""
        if not variables or "${" not in text:
            return cls((text,))
        parts: list[str | Variable] = []
        end = 0
        for found in _VARIABLE.finditer(text):
            key = found["key"]
            # the fixed ones are variables of no key with nothing but a default
            variable = Variable("", key) if key in _FIXED else Variable(key.lower(), found["default"])
            parts += [text[end : found.start()], variable]
            end = found.end()
        return cls((*parts, text[end:]))

    @property
    def constant(self) -> bool:
        """Whether there is nothing to fill in."""
        return all(isinstance(part, str) for part in self.parts)

    def filled(self, context: Context) -> str | None:
        """Return the text with its values; None if one is missing."""
        return self._joined(context, lambda text: text, lambda value: value)

    def expression(self, context: Context, translate: Translate) -> str | None:
        """Return the text as a regular expression; None if a value is missing.

        Only what the policy says is translated: a * that a request brings along in a value is no wildcard.
        """
        return self._joined(context, translate, re.escape)

    def _joined(
        self, context: Context, text: Callable[[str], str], value: Callable[[str], str]
    ) -> str | None:
        joined = ""
        for part in self.parts:
            if isinstance(part, str):
                joined += text(part)
            elif (found := part.value(context)) is None:
                return None
            else:
                joined += value(found)
        return joined


class Pattern:
    """A pattern with wildcards and variables, in one part or, as an ARN, in several between colons."""

    def __init__(self, *parts: tuple[Template, Translate]) -> None:
        self._parts = parts
        constant = all(template.constant for template, _ in parts)
        self._constant = self._compiled({}) if constant else None

    @classmethod
    def of_text(cls, pattern: str, *, variables: bool) -> Pattern:
        """Return the pattern of StringLike: wildcards stand for any characters."""
        return cls((Template.parse(pattern, variables=variables), wildcards.text))

    @classmethod
    def of_arn(cls, pattern: str, *, variables: bool) -> Pattern:
        """Return the pattern of ArnLike: each of the six parts is matched by itself."""
        *parts, name = _COLON.split(pattern, wildcards.COLONS_OF_AN_ARN)
        heads = [(Template.parse(part, variables=variables), wildcards.within_part) for part in parts]
        return cls(*heads, (Template.parse(name, variables=variables), wildcards.text))

    @classmethod
    def of_resource(cls, pattern: str) -> Pattern:
        """Return the pattern of a Resource element. Variables are such in its last part, text elsewhere."""
        *parts, name = _COLON.split(pattern, wildcards.COLONS_OF_AN_ARN)
        heads = [(Template.parse(part, variables=False), wildcards.beyond_part) for part in parts]
        return cls(*heads, (Template.parse(name), wildcards.text))

    def matches(self, value: str, context: Context) -> bool:
        """Tell whether it matches the whole value; with a variable that has no value it matches nothing."""
        expression = self._constant or self._compiled(context)
        return expression is not None and expression.fullmatch(value) is not None

    def _compiled(self, context: Context) -> re.Pattern[str] | None:
        filled = []
        for template, translate in self._parts:
            expression = template.expression(context, translate)
            if expression is None:
                return None
            filled.append(expression)
        return wildcards.compiled(":".join(filled))
