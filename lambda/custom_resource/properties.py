"""The properties of a custom resource. CloudFormation sends every scalar as a string."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

LONGEST_TEXT = 4096
DIGEST = re.compile(r"[0-9a-f]{64}")


class MalformedEvent(Exception):
    """An event that CloudFormation does not send; the message names each wrong part and what was expected."""


class Properties(Mapping[str, object]):
    """Reads properties by type; MalformedEvent names the property, its value and what was expected."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> object:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def allow(self, *names: str) -> None:
        """Refuse every property but these: a misspelt one would otherwise be ignored in silence."""
        unknown = sorted(set(self._values) - set(names))
        if unknown:
            shown = ", ".join(name[:60] for name in unknown)
            raise MalformedEvent(f"unknown properties {shown!a}: expected {', '.join(names) or 'none'}")

    def text(self, name: str, *, longest: int = LONGEST_TEXT) -> str:
        """Return a non-empty string without control characters."""
        value = self._values.get(name)
        if isinstance(value, str) and 0 < len(value) <= longest and value.isprintable():
            return value
        raise self._wrong(name, f"1 to {longest} printable characters")

    def optional_text(self, name: str, *, longest: int = LONGEST_TEXT) -> str | None:
        """Return the string, or None where the property is missing."""
        return self.text(name, longest=longest) if name in self._values else None

    def digest(self, name: str) -> str:
        """Return a SHA-256 in lower-case hexadecimal digits."""
        value = self._values.get(name)
        if isinstance(value, str) and DIGEST.fullmatch(value):
            return value
        raise self._wrong(name, "a SHA-256 as 64 lower-case hexadecimal digits")

    def boolean(self, name: str) -> bool:
        """Return the truth of `true` or `false`, which CloudFormation sends as strings."""
        value = self._values.get(name)
        if value in {"true", "false"} or isinstance(value, bool):
            return value in {"true", True}
        raise self._wrong(name, "true or false")

    def whole_number(self, name: str, *, smallest: int, largest: int) -> int:
        """Return a number within its limits, written in plain digits."""
        value = self._values.get(name)
        written = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
        if re.fullmatch(r"-?[0-9]{1,18}", written) and smallest <= int(written) <= largest:
            return int(written)
        raise self._wrong(name, f"a whole number, {smallest} to {largest}")

    def _wrong(self, name: str, expected: str) -> MalformedEvent:
        value = self._values.get(name)
        shown = "missing" if name not in self._values else repr(value)[:80]
        return MalformedEvent(f"property {name} is {shown}: expected {expected}")
