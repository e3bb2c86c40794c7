"""Sessions of roles: whose an access key is, which policies limit it, and what conditions can ask of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from localcloud.iam.evaluation import Policies, Principal
from localcloud.iam.policy import Policy

ADMINISTRATOR = "_localcloud_administrator"
"""Marks a session that an administrator's key has assumed, as the CDK CLI does: it passes like that key."""

ISSUED_AT = "_localcloud_issued_at"
"""When a session was given out, which moto does not keep."""

FUNCTION = "_localcloud_function"
"""The ARN of the function that a session was minted for."""


@dataclass(frozen=True)
class Session:
    """A role at work: what IAM knows of it at this moment."""

    principal: Principal
    region: str
    role: Any = field(repr=False)
    policies: Policies = field(repr=False)
    user_id: str = ""
    issued_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    source_function_arn: str | None = None
    """The function that the session was minted for."""

    @property
    def context(self) -> Mapping[str, str | Sequence[str]]:
        """Return the global condition keys of any call of the session."""
        now = datetime.now(UTC)
        tags = {f"aws:PrincipalTag/{tag['Key']}": tag["Value"] for tag in _tags(self.role)}
        function = {"lambda:SourceFunctionArn": self.source_function_arn} if self.source_function_arn else {}
        return {
            "aws:PrincipalArn": self.principal.role_arn or self.principal.arn,
            "aws:PrincipalAccount": self.principal.account,
            "aws:PrincipalType": "AssumedRole",
            "aws:userid": self.user_id,
            "aws:RequestedRegion": self.region,
            "aws:SecureTransport": "true",
            "aws:CurrentTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "aws:EpochTime": str(int(now.timestamp())),
            "aws:PrincipalIsAWSService": "false",
            "aws:ViaAWSService": "false",
            "aws:TokenIssueTime": self.issued_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            **tags,
            **function,
        }


def session_of_key(access_key_id: str, region: str) -> Session | None:
    """Return the session that a key belongs to; None for an administrator's key, or one not of STS."""
    for partitions in list(sts_backends.values()):
        for backend in list(partitions.values()):
            found = backend.get_assumed_role_from_access_key(access_key_id)
            if found is not None and not getattr(found, ADMINISTRATOR, False):
                return _session(found, region)
    return None


def session_of_role(role_arn: str, region: str, *, name: str) -> Session:
    """Return a session as a service would have it that assumes the role; it needs no key."""
    role = _role(role_arn)
    _, partition, _, _, account, path = role_arn.split(":")
    role_name = path.rpartition("/")[2]
    arn = f"arn:{partition}:sts::{account}:assumed-role/{role_name}/{name}"
    user_id = f"{role.id if role else ''}:{name}"
    return Session(Principal(arn, account, role_arn), region, role, _policies(role), user_id)


def trust_policy(role_arn: str) -> Policy | None:
    """Return who may assume the role; None when there is no such role."""
    role = _role(role_arn)
    return parsed(role.assume_role_policy_document) if role else None


def parsed(document: str) -> Policy:
    """Return a policy's document as IAM keeps it, URL-encoded or not."""
    return Policy.parse(unquote(document) if document.lstrip().startswith("%") else document)


def _session(found: Any, region: str) -> Session:
    role = _role(found.role_arn)
    policies = _policies(role, session=found.policy)
    principal = Principal(found.arn, found.account_id, found.role_arn)
    return Session(
        principal,
        region,
        role,
        policies,
        found.user_id,
        issued_at=getattr(found, ISSUED_AT, None) or datetime.now(UTC),
        source_function_arn=getattr(found, FUNCTION, None),
    )


def _policies(role: Any, *, session: str | None = None) -> Policies:
    """Return what limits the role's sessions; a role that is gone may nothing."""
    if role is None:
        return Policies()
    managed = [_document(policy) for policy in role.managed_policies.values()]
    return Policies(
        identity=[parsed(document) for document in (*role.policies.values(), *managed)],
        boundary=_boundary(role),
        session=parsed(session) if session else None,
    )


def _boundary(role: Any) -> Policy | None:
    arn = role.permissions_boundary_arn
    if not arn:
        return None
    policy = iam_backends[role.account_id][role.partition].managed_policies.get(arn)
    return parsed(_document(policy)) if policy else Policy(())  # one that is gone allows nothing


def _document(policy: Any) -> str:
    document: str = next(version.document for version in policy.versions if version.is_default)
    return document


def _role(arn: str) -> Any:
    backend = iam_backends[arn.split(":")[4]][arn.split(":")[1]]
    return next((role for role in list(backend.roles.values()) if role.arn == arn), None)


def _tags(role: Any) -> list[dict[str, str]]:
    tags = getattr(role, "tags", None) or []
    return list(tags.values()) if isinstance(tags, dict) else list(tags)
