"""What scanners say, whichever scanner it was: findings by resource and rule, and what is acknowledged."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from stacks.engines import ENGINES
from stacks.settings import DEPLOYMENTS

CONTROL = "control"
"""A stack that is wrong on purpose: a scanner that finds nothing there looked at nothing."""


@dataclass(frozen=True, order=True)
class Target:
    """One deployment on one engine."""

    kind: str
    engine: str

    def __str__(self) -> str:
        return f"{self.kind}-{self.engine}" if self.engine else self.kind


@dataclass(frozen=True, order=True)
class Finding:
    """What a rule objects to in a resource."""

    resource: str
    """The construct's path, as Database/Cluster/Resource."""
    rule: str
    advice: str = field(compare=False, default="")
    """What the scanner says about it, and what to do."""


@dataclass(frozen=True, order=True)
class Acknowledgement:
    """A finding that stays, as stacks/acknowledgements.py records it."""

    resource: str
    rule: str
    reason: str


@dataclass(frozen=True)
class Scan:
    """What one scanner says of the stacks of one target."""

    scanner: str
    compliant: int
    """How many checks hold: rules on resources where the scanner counts so, else rules on stacks."""
    found: frozenset[Finding]
    """What it finds in templates that say nothing of acknowledgements."""
    left: frozenset[Finding]
    """What it finds in them as they are deployed."""

    @property
    def acknowledged(self) -> frozenset[Finding]:
        """What it finds and accepts."""
        return self.found - self.left

    @property
    def looked(self) -> bool:
        """Whether it looked at anything at all."""
        return bool(self.compliant or self.found)


@dataclass(frozen=True)
class Audit:
    """What all scanners say of one target."""

    target: Target
    resource_count: int
    scans: tuple[Scan, ...]
    acknowledgements: frozenset[Acknowledgement]

    @property
    def stale(self) -> list[Acknowledgement]:
        """Acknowledgements that no scanner needs here; they would hide what comes later."""
        needed = {(finding.resource, finding.rule) for scan in self.scans for finding in scan.found}
        return sorted(a for a in self.acknowledgements if (a.resource, a.rule) not in needed)

    @property
    def unexplained(self) -> list[Finding]:
        """Findings that a template hides without an acknowledgement, so that nobody gave a reason."""
        explained = {(a.resource, a.rule) for a in self.acknowledgements}
        hidden = {finding for scan in self.scans for finding in scan.acknowledged}
        return sorted(f for f in hidden if (f.resource, f.rule) not in explained)

    @property
    def blind(self) -> list[str]:
        """Scanners that looked at nothing; of the control, those that find nothing wrong with it."""
        if self.target.kind == CONTROL:
            return [scan.scanner for scan in self.scans if not scan.found]
        return [scan.scanner for scan in self.scans if not scan.looked]

    @property
    def passed(self) -> bool:
        """Whether there is nothing to do. The control's findings are what it is for."""
        if self.target.kind == CONTROL:
            return not self.blind
        left = any(scan.left for scan in self.scans)
        return not (left or self.stale or self.unexplained or self.blind)


def every_target(kinds: Collection[str] = (), engines: Collection[str] = ()) -> list[Target]:
    """Return each deployment on each engine, or those that are named; `local-mysql` is `local` on MySQL."""
    own = tuple(f"-{engine}" for engine in ENGINES)
    return [
        Target(kind, engine)
        for kind in DEPLOYMENTS
        if not kind.endswith(own) and (not kinds or kind in kinds)
        for engine in ENGINES
        if not engines or engine in engines
    ]
