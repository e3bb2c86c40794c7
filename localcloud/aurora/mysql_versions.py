"""Aurora MySQL's version numbers: 8.0.mysql_aurora.3.12.0 is Aurora's 3.12.0, compatible with MySQL 8.0."""

from __future__ import annotations

import re

_AURORA = {"8.0": "3", "8.4": "8"}
"""Which of Aurora's own major versions goes with which of MySQL's."""
_VERSION = re.compile(r"(?P<release>\d+\.\d+)(\.mysql_aurora\.(?P<aurora>\d+)(\.\d+){2})?")


def release(version: str) -> str | None:
    """The MySQL release that an EngineVersion is compatible with; None for no version of Aurora MySQL's."""
    found = _VERSION.fullmatch(version)
    if found is None or found["release"] not in _AURORA:
        return None
    return found["release"] if found["aurora"] in (None, _AURORA[found["release"]]) else None
