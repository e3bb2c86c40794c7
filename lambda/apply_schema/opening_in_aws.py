"""The ways to a database that lead through AWS: a function's environment, or a secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from apply_schema.database import MigrationDatabase
from apply_schema.engines import migrations_over
from apply_schema.failures import DatabaseUnknown, MigrationFailed
from apply_schema.limits import Limits
from aurora import connecting
from aurora.credentials import PATIENCE
from aurora.deadline import Deadline
from aurora.environment import SECRET_ARN, DatabaseEnvironment, EnvironmentIncomplete
from aurora.failures import ConnectionFailed, SecretUnavailable

LONGEST_CONNECT_SECONDS = 60.0


def open_database(secret_arn: str | None, variables: Mapping[str, str], limits: Limits) -> MigrationDatabase:
    """Open by the secret if there is one, else by the environment, with errors for a command line."""
    deadline = limits.deadline or Deadline.after(LONGEST_CONNECT_SECONDS)
    try:
        if secret_arn:
            return open_by_secret(secret_arn, variables, limits, deadline=deadline)
        return open_by_environment(variables, limits, deadline=deadline)
    except EnvironmentIncomplete as error:
        raise DatabaseUnknown(str(error)) from error
    except (ConnectionFailed, SecretUnavailable) as error:
        raise MigrationFailed(str(error)) from None


def open_by_environment(
    variables: Mapping[str, str], limits: Limits, *, deadline: Deadline
) -> MigrationDatabase:
    """Open the database of a function's environment as its admin, on the writer and past the proxy."""
    environment = DatabaseEnvironment.from_environment(variables)
    return migrations_over(connecting.connect_admin(environment, deadline=deadline), limits)


def open_by_secret(
    arn: str, variables: Mapping[str, str], limits: Limits, *, deadline: Deadline
) -> MigrationDatabase:
    """Open the database that an RDS secret describes: host, port, dbname, username and password."""
    if not SECRET_ARN.fullmatch(arn):
        raise SecretUnavailable(f"{arn!r}: expected a secret's complete ARN")
    content = _described_database(arn)
    host = str(content["host"])
    environment = DatabaseEnvironment(
        engine=_engine_of(content),
        database=str(content["dbname"]),
        port=content["port"],
        cluster_endpoint=host,
        cluster_reader_endpoint=host,
        proxy_endpoint=host,
        proxy_read_only_endpoint=host,
        region=_region_of(arn),
        admin_secret_arn=arn,
        ca_bundle=variables.get("CA_BUNDLE"),
    )
    return migrations_over(connecting.connect_admin(environment, deadline=deadline), limits)


def _described_database(arn: str) -> dict[str, Any]:
    """Return the secret's content, of which an attached secret has host, port and dbname."""
    client = boto3.client("secretsmanager", region_name=_region_of(arn), config=PATIENCE)
    try:
        content = json.loads(client.get_secret_value(SecretId=arn)["SecretString"])
        missing = [name for name in ("host", "port", "dbname") if not content.get(name)]
        content["port"] = int(content.get("port", 0))
    except (BotoCoreError, ClientError) as error:
        raise SecretUnavailable(f"{arn}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        # without `from`: the JSON error would carry the secret's text along
        raise SecretUnavailable(f"{arn}: the secret does not describe a database") from None
    if missing:
        raise SecretUnavailable(
            f"{arn}: the secret has no {' and no '.join(missing)}: attach it to its cluster"
        )
    return dict(content)


def _engine_of(content: Mapping[str, Any]) -> str:
    """Return the engine of RDS's own word for it, such as aurora-mysql; secrets may lack it."""
    return "mysql" if "mysql" in str(content.get("engine", "")) else "postgresql"


def _region_of(arn: str) -> str:
    return arn.split(":")[3]
