"""What the local cloud refuses as AWS would; each enforcement can be switched off by its name."""

from __future__ import annotations

import enum


class Enforcement(enum.StrEnum):
    """A kind of refusal, by the name that `start --without` takes."""

    IAM = "iam"
    """API calls made with a role's credentials, and roles that a service may not assume."""
    KMS = "kms"
    """The use of a customer key by a service on behalf of a role."""
    NETWORK = "network"
    """Connections and API calls that security groups, routes or missing endpoints would drop."""
    DATABASE_IAM = "database-iam"
    """Database logins by IAM token without rds-db:connect."""


EVERY = frozenset(Enforcement)
