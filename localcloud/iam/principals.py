"""Whom a Principal or NotPrincipal element names, and how closely.

IAM User Guide, "AWS JSON policy elements: Principal" and "AWS JSON policy elements: NotPrincipal".
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

_ACCOUNT_OF_ROOT = re.compile(r"arn:[^:]+:iam::(\d{12}):root")
EVERYBODY = "*"


@dataclass(frozen=True)
class Principal:
    """Who asks: a role session, a user, or a service."""

    arn: str
    """arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION, an IAM ARN, or a service's name."""
    account: str
    role_arn: str | None = None
    """The role of a session."""
    service: str | None = None
    """A service's name, as lambda.amazonaws.com, when the service itself asks."""


class Naming(enum.IntEnum):
    """How closely a policy names a principal. It decides what else may limit what the policy grants."""

    NOT = 0
    ACCOUNT = 1
    """Its account: the account's own policies have to allow it as well."""
    ROLE = 2
    """The role of the session: its boundary and session policy still limit it."""
    ITSELF = 3
    """The session, the user, the service, or everybody."""


@dataclass(frozen=True)
class Principals:
    """The element, with the accounts in their short form."""

    aws: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    everybody: bool = False

    @classmethod
    def parse(cls, names: Mapping[str, Collection[str]]) -> Principals:
        """Return what is named by type: AWS, Service, and Federated and CanonicalUser, who never ask here."""
        aws = {_short(name) for name in names.get("AWS", ())}
        services = frozenset(names.get("Service", ()))
        return cls(frozenset(aws - {EVERYBODY}), services, everybody=EVERYBODY in aws)

    def naming(self, principal: Principal) -> Naming:
        """Return how closely the principal is named."""
        if self.everybody or principal.arn in self.aws:
            return Naming.ITSELF
        if principal.service is not None:
            named = principal.service in self.services or EVERYBODY in self.services
            return Naming.ITSELF if named else Naming.NOT
        if principal.role_arn in self.aws:
            return Naming.ROLE
        return Naming.ACCOUNT if principal.account in self.aws else Naming.NOT

    def spare(self, principal: Principal) -> bool:
        """Tell whether a Deny with these as NotPrincipal leaves the principal alone.

        A session has to be named together with its role and its account, a user with its account: each of
        them is looked at, and one that is not named is denied.
        """
        if self.everybody:
            return True
        if principal.service is not None:
            return self.naming(principal) is Naming.ITSELF
        return self.aws.issuperset({principal.arn, principal.role_arn or principal.arn, principal.account})


def _short(name: str) -> str:
    """Return an account's number for each of the two ways to name it."""
    root = _ACCOUNT_OF_ROOT.fullmatch(name)
    return root[1] if root else name
