"""Restore and upgrade: a copy of the cluster from a snapshot, or of a moment, is looked into and compared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from operate.aws import Refused
from operate.rehearsals.comparison import Comparison, compare, compare_with_the_past, print_comparison
from operate.rehearsals.copies import Copies, Copy
from operate.rehearsals.functions import Contents, Functions

if TYPE_CHECKING:
    from operate.deployment import Deployment
    from operate.rehearsals.steps import Steps

SECOND = timedelta(seconds=1)
SERVES = ("the snapshot is restored", "the moment is restored", "its instance serves")
"""The steps from a backup to a database that answers."""


@dataclass(frozen=True)
class Restored:
    """A copy that was compared with its source."""

    copy: Copy
    comparison: Comparison
    source: Contents
    contents: Contents
    moment: datetime | None = None

    @property
    def beyond(self) -> bool:
        """Whether the copy holds an order of after the moment that it was restored to."""
        newest = self.contents.newest_order
        return bool(self.moment and newest and datetime.fromisoformat(newest) > self.moment + SECOND)

    @property
    def worked(self) -> bool:
        """Whether the copy holds what it should, and nothing else."""
        return self.comparison.holds and not self.beyond


def rehearse_snapshot(copies: Copies, functions: Functions) -> Restored:
    """Make a snapshot, restore it, and compare."""
    with copies.taken_away():
        before = _look(copies, functions, "the cluster is looked at")
        with copies.steps.step("a snapshot is made"):
            copies.snapshot()
        copy = copies.from_snapshot()
        return _compared(copies, functions, before, copy)


def rehearse_moment(copies: Copies, functions: Functions, moment: datetime | None) -> Restored:
    """Restore a moment, without one the next second, and compare.

    Orders of after that moment are not in the copy; all others are.
    """
    with copies.taken_away():
        if moment is not None:
            return _compared_with_the_past(copies, functions, moment)
        before = _look(copies, functions, "the cluster is looked at")
        # the first whole second behind everything that was seen: RestoreToTime knows no parts of one
        moment = datetime.fromisoformat(before.at).astimezone(UTC).replace(microsecond=0) + SECOND
        copy = copies.to_moment(moment)
        return _compared(copies, functions, before, copy, moment=moment)


def rehearse_upgrade(copies: Copies, functions: Functions, version: str) -> Restored:
    """Make a snapshot, restore it, upgrade the copy, and compare; raises Refused for no upgrade target."""
    family = family_of_upgrade(copies, version)
    with copies.taken_away():
        before = _look(copies, functions, "the cluster is looked at")
        with copies.steps.step("a snapshot is made"):
            copies.snapshot()
        copies.from_snapshot()
        with copies.steps.step(f"the copy is upgraded to {version}"):
            copy = copies.upgrade(version, family=family)
        return _compared(copies, functions, before, copy)


def family_of_upgrade(copies: Copies, version: str) -> str | None:
    """Return the parameter group family of a major upgrade, None for a minor one.

    Raises Refused with what the deployed version can be upgraded to, where this is none of it.
    """
    engine, deployed = copies.engine_and_version()
    targets = copies.upgrade_targets(engine, deployed)
    if version not in targets:
        raise Refused(
            f"{copies.cluster} has {engine} {deployed}, which cannot be upgraded to {version}: "
            f"name one of {', '.join(targets) or 'none: RDS has no target'} (TO=…)"
        )
    return copies.family(engine, version) if targets[version] else None


def print_report(
    steps: Steps, deployment: Deployment, found: Restored, *, cluster: str, what: str, again: str
) -> int:
    """Say whether it worked, how long until it served, and what next; returns the exit code."""
    console = steps.console
    console.print()
    print_comparison(console, found.comparison)
    console.print(
        f"Server: {found.contents.engine} {found.contents.server_version}, read in "
        f"{found.contents.milliseconds / 1000:.1f} s"
    )
    if found.moment:
        newest = found.contents.newest_order or "none"
        words = "AFTER the moment" if found.beyond else "none is newer than the moment"
        moment = f"{found.moment:%Y-%m-%d %H:%M:%S}"
        console.print(f"Restored to {moment} UTC; newest order {newest}: {words}", soft_wrap=True)
    said = "worked" if found.worked else "DID NOT WORK"
    seconds = sum(steps.seconds.get(one, 0.0) for one in SERVES)
    console.print(f"A database of version {found.copy.engine_version} that serves: after {seconds:.1f} s")
    console.print(f"{what} of {cluster}: {said}; {found.comparison.rows:,} rows are the same", soft_wrap=True)
    if found.worked:
        console.print(
            "The copy is gone, and nothing of it is left. For real: docs/rehearsals.md", soft_wrap=True
        )
        return 0
    console.print(f"Once more: make rehearse REHEARSAL={again} {deployment.variables}", soft_wrap=True)
    return 1


def _look(
    copies: Copies, functions: Functions, title: str, *, at: Copy | None = None, like: Contents | None = None
) -> Contents:
    with copies.steps.step(title):
        return functions.contents(endpoint=at.endpoint if at else None, up_to=like.limits if like else None)


def _compared(
    copies: Copies, functions: Functions, before: Contents, copy: Copy, *, moment: datetime | None = None
) -> Restored:
    contents = _look(copies, functions, "the copy is looked at", at=copy, like=before)
    after = _look(copies, functions, "the cluster is looked at again", like=before)
    return Restored(copy, compare(before, contents, after), before, contents, moment)


def _compared_with_the_past(copies: Copies, functions: Functions, moment: datetime) -> Restored:
    copy = copies.to_moment(moment)
    contents = _look(copies, functions, "the copy is looked at", at=copy)
    source = _look(copies, functions, "the cluster is looked at", like=contents)
    return Restored(copy, compare_with_the_past(contents, source), source, contents, moment)
