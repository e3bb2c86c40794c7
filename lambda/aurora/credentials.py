"""With what a role logs in: the admin by the secret's password, everyone else by a signed token."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from aurora import redaction
from aurora.environment import DatabaseEnvironment
from aurora.failures import SecretUnavailable

# In an isolated subnet without an endpoint a call is never answered: fail while the caller can still say so.
# Throttling is retried by the standard mode, with backoff and jitter.
PATIENCE = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})


@dataclass(frozen=True)
class Credential:
    """A user and the password or token that proves it; printing it shows the user alone."""

    user: str
    password: str = field(repr=False)


def admin_credential(environment: DatabaseEnvironment) -> Credential:
    """Return what the admin secret holds now, or raise SecretUnavailable naming the secret and the reason."""
    arn = environment.admin_secret_arn
    if arn is None:
        raise SecretUnavailable("ADMIN_SECRET_ARN is not set: this function was not given the admin secret")
    try:
        secret = _secrets_manager(environment.region).get_secret_value(SecretId=arn)["SecretString"]
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
