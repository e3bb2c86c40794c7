"""With what a role logs in: the admin by the secret's password, everyone else by a signed token."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from aurora import redaction
from aurora.environment import DatabaseEnvironment
from aurora.failures import SecretUnavailable

# In an isolated subnet without an endpoint a call is never answered: fail while the caller can still say so.
# Throttling is retried by the standard mode, with backoff and jitter.
PATIENCE = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})

CURRENT = "AWSCURRENT"
PENDING = "AWSPENDING"


@dataclass(frozen=True)
class Credential:
    """A user and the password or token that proves it; printing it shows the user alone."""

    user: str
    password: str = field(repr=False)


class Login(Protocol):
    """How a user proves itself from one attempt to the next."""

    def credential(self) -> Credential:
        """Return what the next attempt is to bring."""

    def renew(self) -> bool:
        """After a refusal: turn to another credential, or tell that there is none."""


class AdminLogin:
    """The admin by the secret, whatever a rotation is doing to it.

    A user has one password. From the moment at which a rotation sets the new one until it makes that version
    the current one, the current version is refused and the pending one opens the database. Whoever is refused
    turns to the version that was not refused yet. No password is tried twice: a wrong one costs one login.
    """

    def __init__(self, environment: DatabaseEnvironment) -> None:
        self._environment = environment
        self._next: Credential | None = None
        self._refused: list[Credential] = []

    def credential(self) -> Credential:
        """Return the current version's, read once, or the one that `renew` turned to."""
        if self._next is None:
            self._next = admin_credential(self._environment)
        return self._next

    def renew(self) -> bool:
        """Turn to the current version where it is another one by now, else to the pending one."""
        self._refused.append(self.credential())
        # The pending one first: should the rotation end between the two, the other answer has the new one.
        pending = _pending_credential(self._environment)
        for found in (admin_credential(self._environment), pending):
            if found is not None and found not in self._refused:
                self._next = found
                return True
        return False


class TokenLogin:
    """A user by tokens: signed for each attempt, so that waiting for a database lets none of them expire."""

    def __init__(self, environment: DatabaseEnvironment, *, user: str, host: str) -> None:
        self._environment, self._user, self._host = environment, user, host
        self._was_refused = False

    def credential(self) -> Credential:
        """Return a new token."""
        return token_credential(self._environment, user=self._user, host=self._host)

    def renew(self) -> bool:
        """Allow one more, for a token that was too old, or signed by keys that were replaced meanwhile."""
        was_refused, self._was_refused = self._was_refused, True
        return not was_refused


@dataclass(frozen=True)
class GivenLogin:
    """A credential that the caller has at hand. Refused is final: there is no other."""

    given: Credential

    def credential(self) -> Credential:
        """Return it."""
        return self.given

    def renew(self) -> bool:
        """Tell that there is no other."""
        return False


def admin_credential(environment: DatabaseEnvironment, *, stage: str = CURRENT) -> Credential:
    """Return what the admin secret holds now, or raise SecretUnavailable naming the secret and the reason."""
    arn = environment.admin_secret_arn
    if arn is None:
        raise SecretUnavailable("ADMIN_SECRET_ARN is not set: this function was not given the admin secret")
    try:
        secrets = _secrets_manager(environment.region)
        secret = secrets.get_secret_value(SecretId=arn, VersionStage=stage)["SecretString"]
    except ClientError as error:
        raise SecretUnavailable(f"{arn}: {_aws_words(error)}") from error
    except (BotoCoreError, KeyError) as error:
        raise SecretUnavailable(f"{arn}: {type(error).__name__}: {redaction.redact(str(error))}") from error
    return _parsed(arn, secret)


def token_credential(environment: DatabaseEnvironment, *, user: str, host: str) -> Credential:
    """Return a token for one connection of this user to this host: signed locally, good for 15 minutes."""
    token = _rds(environment.region).generate_db_auth_token(
        DBHostname=host, Port=environment.port, DBUsername=user, Region=environment.region
    )
    return Credential(user, token)


def forget_clients() -> None:
    """Make the next credential by new clients: for a process that turns to another AWS environment."""
    boto3.setup_default_session()
    _secrets_manager.cache_clear()
    _rds.cache_clear()


def _pending_credential(environment: DatabaseEnvironment) -> Credential | None:
    """Return what a rotation is about to make current; None without one, or before it has a password."""
    try:
        return admin_credential(environment, stage=PENDING)
    except SecretUnavailable:
        return None  # whether the secret can be read at all, the current version tells


def _parsed(arn: str, secret: str) -> Credential:
    try:
        content = json.loads(secret)
    except ValueError:
        # without `from`: the JSON error would carry the secret's text along
        raise SecretUnavailable(f"{arn}: the secret is not JSON") from None
    if not isinstance(content, dict):
        raise SecretUnavailable(f"{arn}: the secret is not a JSON object")
    values = {name: content.get(name) for name in ("username", "password")}
    wrong = [name for name, value in values.items() if not (isinstance(value, str) and value)]
    if wrong:
        raise SecretUnavailable(f"{arn}: the secret has no {' and no '.join(wrong)}")
    redaction.remember(str(values["password"]))
    return Credential(str(values["username"]), str(values["password"]))


def _aws_words(error: ClientError) -> str:
    described = error.response.get("Error", {})
    return redaction.redact(f"{described.get('Code', 'unknown error')}: {described.get('Message', '')}")


# boto3 makes its clients' methods at run time: they have no type of their own.
@functools.cache
def _secrets_manager(region: str) -> Any:
    return boto3.client("secretsmanager", region_name=region, config=PATIENCE)


@functools.cache
def _rds(region: str) -> Any:
    return boto3.client("rds", region_name=region, config=PATIENCE)
