"""To which version a cluster can be upgraded: a function of two versions, and the versions that RDS lists.

Aurora user guide: "Getting a list of available versions in your AWS Region" (upgrade targets of Aurora
PostgreSQL), "Upgrading the major version of an Aurora MySQL DB cluster"; the release notes of both engines.
Nothing is ever downgraded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from localcloud.aurora.engines import MYSQL, POSTGRESQL, Engine

AS_OF = "2026-11"

# What DescribeDBEngineVersions lists. A cluster may have others: what decides is the order of versions.
VERSIONS: Mapping[str, Sequence[str]] = {
    POSTGRESQL.name: (
        "14.18", "14.19", "14.20", "14.22", "14.23",
        "15.13", "15.14", "15.15", "15.17", "15.18",
        "16.4", "16.6", "16.8", "16.9", "16.10", "16.11", "16.13", "16.14",
        "17.4", "17.5", "17.6", "17.7", "17.9", "17.10",
        "18.3", "18.4", "18.6",
    ),
    MYSQL.name: (
        "8.0.mysql_aurora.3.04.6",
        "8.0.mysql_aurora.3.10.3",
        "8.0.mysql_aurora.3.10.4",
        "8.0.mysql_aurora.3.10.5",
        "8.0.mysql_aurora.3.10.6",
        "8.0.mysql_aurora.3.11.1",
        "8.0.mysql_aurora.3.12.0",
        "8.0.mysql_aurora.3.13.0",
        "8.4.mysql_aurora.8.4.7",
        "8.4.mysql_aurora.8.4.8",
    ),
}  # fmt: skip

_SAME_DAY = {14: 18, 15: 13, 16: 9, 17: 5, 18: -1}
"""Minor versions that the community released on one day (2025-05-08; 18 is reckoned back)."""


class UpgradeRefused(Exception):
    """RDS takes no such change of version; the message is in its words."""

    def __init__(self, message: str, *, code: str = "InvalidParameterCombination") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Target:
    """A version that a cluster can be upgraded to."""

    version: str
    is_major: bool


def targets(engine: Engine, version: str) -> list[Target]:
    """Return the listed versions that a cluster of this version can be upgraded to, the lowest first."""
    return [
        Target(wanted, engine.release(version) != engine.release(wanted))
        for wanted in VERSIONS[engine.name]
        if _leads_to(engine, version, wanted)
    ]


def is_major(engine: Engine, version: str, wanted: str) -> bool:
    """Whether this change of version needs new parameter groups and AllowMajorVersionUpgrade."""
    return engine.release(version) != engine.release(wanted)


def refuse(engine: Engine, version: str, wanted: str, *, allow_major: bool) -> None:
    """UpgradeRefused for a downgrade, for a version that no upgrade leads to, for a major one unasked."""
    if engine.release(wanted) is None:
        raise UpgradeRefused(f"Cannot find version {wanted} for {engine}")
    if not _leads_to(engine, version, wanted):
        if _order(engine, wanted) < _order(engine, version):
            raise UpgradeRefused(f"Cannot upgrade {engine} from {version} to {wanted}")
        raise UpgradeRefused(f"Cannot find upgrade target from {version} with requested version {wanted}.")
    if is_major(engine, version, wanted) and not allow_major:
        raise UpgradeRefused(
            "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version."
        )


def _order(engine: Engine, version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.replace("mysql_aurora.", "")))


def _leads_to(engine: Engine, version: str, wanted: str) -> bool:
    if _order(engine, wanted) <= _order(engine, version):
        return False
    return _RULES[engine.name](_order(engine, version), _order(engine, wanted))


def _postgresql_leads_to(version: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Not to a major version's minor that is older than what the cluster has: fixes would be lost."""
    if version[0] == wanted[0] or len(version) < 2 or len(wanted) < 2:
        return True
    if not {version[0], wanted[0]} <= _SAME_DAY.keys():
        return wanted[0] > version[0]
    return wanted[1] - _SAME_DAY[wanted[0]] >= version[1] - _SAME_DAY[version[0]]


_RULES: Mapping[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    POSTGRESQL.name: _postgresql_leads_to,
    MYSQL.name: lambda _version, _wanted: True,
}
