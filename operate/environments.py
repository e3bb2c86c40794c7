"""The environments that stand in an account: whose they are, how old, and until when."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.table import Table

from operate.deployment import PRODUCT
from stacks.settings import DEPLOYMENTS, STACKS

if TYPE_CHECKING:
    import boto3

EPHEMERAL_HOURS = 72
"""For how long an ephemeral environment stands if nobody says: over a weekend."""
MOMENT = "%Y-%m-%dT%H:%M:%SZ"
_STACK = re.compile(rf"{PRODUCT}-(?P<name>.+)-(?P<part>{'|'.join(STACKS)})")


@dataclass
class Environment:
    """The stacks of one name, as they are deployed."""

    name: str
    statuses: dict[str, str] = field(default_factory=dict)
    """By part, in the order of their creation."""
    tags: dict[str, str] = field(default_factory=dict)
    engine: str = "-"
    created: datetime | None = None

    @property
    def owner(self) -> str:
        """Whom to ask about it."""
        return self.tags.get("owner", "-")

    @property
    def expires_at(self) -> datetime | None:
        """When it may be swept; None: never. A tag that is no moment is none: nobody is swept by mistake."""
        return moment(self.tags.get("expires-at", ""))

    @property
    def is_ephemeral(self) -> bool:
        """Whether it is one of any number: those with an entry of their own in the settings are not."""
        return self.name not in DEPLOYMENTS

    def is_expired(self, now: datetime) -> bool:
        """Whether a sweep takes it."""
        return self.is_ephemeral and self.expires_at is not None and self.expires_at <= now

    @property
    def status(self) -> str:
        """The stacks' common status, or what is wrong with the first that is not complete."""
        missing = [part for part in STACKS if part not in self.statuses]
        unfinished = [f"{part} {one}" for part, one in self.statuses.items() if not _is_complete(one)]
        return "; ".join([*unfinished, *(f"{part} missing" for part in missing)]) or "complete"


def environments(session: boto3.Session) -> list[Environment]:
    """Return every environment of this project that has a stack in the account's region, by name."""
    found: dict[str, Environment] = {}
    for page in session.client("cloudformation").get_paginator("describe_stacks").paginate():
        for name, part, stack in _ours(page["Stacks"]):
            one = found.setdefault(name, Environment(name))
            one.statuses[part] = stack["StackStatus"]
            one.tags |= _tags(stack)
            one.created = min(filter(None, (one.created, stack["CreationTime"])))
            outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
            one.engine = outputs.get("DatabaseEngine", one.engine)
    for one in found.values():
        one.statuses = {part: one.statuses[part] for part in STACKS if part in one.statuses}
    return sorted(found.values(), key=lambda one: one.name)


def expiry(hours: float, *, now: datetime) -> str:
    """Return a moment so many hours from now, as a tag has it."""
    return (now + timedelta(hours=hours)).strftime(MOMENT)


def moment(text: str) -> datetime | None:
    """Return the moment that a tag tells; None when it tells none."""
    try:
        return datetime.strptime(text, MOMENT).replace(tzinfo=UTC)
    except ValueError:
        return None


def table(found: list[Environment], *, now: datetime) -> Table:
    """Return them as a table."""
    shown = Table(box=None, padding=(0, 2), title="Environments", title_justify="left")
    for column in ("name", "engine", "owner", "age", "expires", "status"):
        shown.add_column(column, overflow="fold")
    for one in found:
        age = _duration(now - one.created) if one.created else "-"
        shown.add_row(one.name, one.engine, one.owner, age, _expires(one, now), one.status)
    return shown


def _ours(stacks: list[dict[str, Any]]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield name, part and stack of those that bear this project's name and its tags."""
    for stack in stacks:
        match, tags = _STACK.fullmatch(stack["StackName"]), _tags(stack)
        if match and tags.get("application") == PRODUCT and tags.get("environment") == match["name"]:
            yield match["name"], match["part"], stack


def _tags(stack: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}


def _is_complete(status: str) -> bool:
    return status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}


def _expires(one: Environment, now: datetime) -> str:
    if one.expires_at is None:
        return "never"
    if one.expires_at <= now:
        return f"expired {_duration(now - one.expires_at)} ago"
    return f"in {_duration(one.expires_at - now)}"


def _duration(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 72 * 60 else f"{minutes // (24 * 60)} days"
