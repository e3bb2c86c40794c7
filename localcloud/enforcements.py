"""What the local cloud refuses as AWS would; each enforcement can be switched off by its name."""

from __future__ import annotations

import enum
from collections.abc import Iterable


class Enforcement(enum.StrEnum):
    """A kind of refusal, by the name that `start --without` takes, and what it refuses."""

    what: str

    def __new__(cls, name: str, what: str) -> Enforcement:
        """Make a member that knows what it refuses."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.what = what
        return member

    IAM = ("iam", "API calls that a role has no right to, and roles that a service may not assume")
    KMS = ("kms", "the use of a customer's key by a service on behalf of a role without the right")
    NETWORK = ("network", "connections and API calls that security groups, routes or endpoints drop")
    DATABASE_IAM = ("database-iam", "database logins by IAM token without the right rds-db:connect")


EVERY = frozenset(Enforcement)


def named(names: Iterable[str]) -> frozenset[Enforcement]:
    """Return the enforcements of these names, several in one with commas between; ValueError for others."""
    given = [name.strip() for text in names for name in text.split(",") if name.strip()]
    unknown = sorted(set(given) - set(EVERY))
    if unknown:
        raise ValueError(f"unknown enforcement {', '.join(unknown)}: there are {', '.join(Enforcement)}")
    return frozenset(map(Enforcement._value2member_map_.__getitem__, given))  # type: ignore[arg-type]


def listed(enforcements: Iterable[Enforcement]) -> list[str]:
    """Return the names in the order in which they are documented."""
    chosen = set(enforcements)
    return [str(one) for one in Enforcement if one in chosen]
