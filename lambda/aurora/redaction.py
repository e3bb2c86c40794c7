"""Keeps secrets out of logs and error texts."""

import re

HIDDEN = "***"
SHORTEST_SECRET = 6  # shorter ones would blank out ordinary words

_known: set[str] = set()

_PATTERNS = (
    # "password": "…", password=…, PASSWORD '…'
    re.compile(
        r"""(?i)(\b(?:password|passwd|pwd|secretstring)["']?\s*[=:]?\s*)("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')"""
    ),
    # MySQL's accounts: IDENTIFIED BY '…', IDENTIFIED WITH plugin AS '…'
    re.compile(
        r"""(?i)(\bidentified\s+(?:with\s+\S+\s+)?(?:by|as)\s+)("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.|'')*')"""
    ),
    re.compile(r"""(?i)(\b(?:password|passwd|pwd)\s*=\s*)([^\s"',;)}]+)"""),
    re.compile(r"(?i)(X-Amz-(?:Signature|Security-Token|Credential)=)([^&\s\"']+)"),
    re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^\s:/@]+:)([^\s@/]+)(?=@)"),
)


def remember(secret: str) -> None:
    """Have `redact` hide this value from now on: called for every secret that the process reads."""
    if len(secret) >= SHORTEST_SECRET:
        _known.add(secret)


def redact(text: str) -> str:
    """Return the text with every known secret, and whatever looks like one, replaced by ***."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return text
