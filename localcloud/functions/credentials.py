"""Credentials of a role, minted as Lambda mints them for a function; and the way back from key to role."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition

from localcloud.authorization.sessions import FUNCTION

LIFETIME_SECONDS = 12 * 3600


@dataclass(frozen=True)
class Credentials:
    """A session of a role. The secret parts stay out of every repr, and so out of logs."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    role_arn: str
    account: str


def mint(role_arn: str, *, session_name: str, region: str, function_arn: str | None = None) -> Credentials:
    """Return new credentials of the role, which moto's STS knows from now on, and for which function."""
    account = role_arn.split(":")[4]
    session = sts_backends[account][get_partition(region)].assume_role(
        region_name=region,
        role_session_name=session_name[:64],  # the longest name that AssumeRole takes
        role_arn=role_arn,
        policy="",
        duration=LIFETIME_SECONDS,
        external_id="",
    )
    setattr(session, FUNCTION, function_arn)
    return _credentials(session)


def secret_of(access_key_id: str) -> Credentials | None:
    """Return the session that a temporary access key belongs to, or None when STS did not issue it."""
    for partitions in list(sts_backends.values()):
        for backend in list(partitions.values()):
            session = backend.get_assumed_role_from_access_key(access_key_id)
            if session is not None:
                return _credentials(session)
    return None


def _credentials(session: Any) -> Credentials:
    return Credentials(
        access_key_id=session.access_key_id,
        secret_access_key=session.secret_access_key,
        session_token=session.session_token,
        role_arn=session.role_arn,
        account=session.account_id,
    )
