"""Where the files are, and which database a command line means: by its URL, a secret, or the environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg2
from aurora import redaction
from aurora.deadline import Deadline
from aurora.environment import EnvironmentIncomplete
from aurora.failures import ConnectionFailed, SecretUnavailable
from aurora.postgresql_migrations import Limits, PostgresqlMigrations
from aurora.trust import ca_file
from psycopg2.extensions import parse_dsn

from apply_schema.database import MigrationDatabase, MigrationFailed

SOURCE_ROOT = Path(__file__).resolve().parents[1]
URL_SCHEMES = ("postgresql://", "postgres://")
CONNECT_TIMEOUT_SECONDS = 10
LONGEST_CONNECT_SECONDS = 60.0


class DatabaseUnknown(Exception):
    """No database is named, or not in a way that can be understood."""


def packaged_directory(engine: str = "postgresql") -> Path:
    """Return schema/<engine>: beside the packages in Lambda, beside lambda/ in the repository."""
    in_lambda, in_repository = (root / "schema" / engine for root in (SOURCE_ROOT, SOURCE_ROOT.parent))
    return in_lambda if in_lambda.is_dir() else in_repository


def open_database(options: argparse.Namespace, variables: Mapping[str, str]) -> MigrationDatabase:
    """Open the database that the command line or the environment names, or raise DatabaseUnknown."""
    limits = Limits(
        wait_for_lock_seconds=options.wait_seconds,
        lock_timeout_seconds=options.lock_timeout_seconds,
        statement_timeout_seconds=options.statement_timeout_seconds,
        deadline=None if options.deadline_seconds is None else Deadline.after(options.deadline_seconds),
    )
    url = options.url or (None if options.secret_arn else variables.get("DATABASE_URL"))
    if url:
        return open_by_url(url, variables, limits)
    if options.secret_arn or "DATABASE_ENGINE" in variables:
        return _open_in_aws(options.secret_arn, variables, limits)
    raise DatabaseUnknown(
        "no database is named: give --url or --secret-arn, or set DATABASE_URL or a function's variables"
    )


def _open_in_aws(secret_arn: str | None, variables: Mapping[str, str], limits: Limits) -> MigrationDatabase:
    """Open by secret or by environment, failing with the errors that the command line knows."""
    # boto3 alone takes longer to import than a whole run with nothing to do
    from apply_schema import opening_in_aws  # noqa: PLC0415

    deadline = limits.deadline or Deadline.after(LONGEST_CONNECT_SECONDS)
    try:
        if secret_arn:
            return opening_in_aws.open_by_secret(secret_arn, variables, limits, deadline=deadline)
        return opening_in_aws.open_by_environment(variables, limits, deadline=deadline)
    except EnvironmentIncomplete as error:
        raise DatabaseUnknown(str(error)) from error
    except (ConnectionFailed, SecretUnavailable) as error:
        raise MigrationFailed(str(error)) from None


def open_by_url(url: str, variables: Mapping[str, str], limits: Limits) -> MigrationDatabase:
    """Open the database of a URL as libpq reads it. Over a network, TLS is verified unless it says else."""
    if not url.startswith(URL_SCHEMES):
        raise DatabaseUnknown("the URL's scheme is unknown: expected postgresql://user@host:port/database")
    try:
        parts = parse_dsn(url)
        redaction.remember(parts.get("password", ""))
        options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_SECONDS}
        connection = psycopg2.connect(url, **options | _verified_tls(parts, variables))
    except (psycopg2.ProgrammingError, UnicodeError):
        # without `from`: the driver's text repeats the URL, password and all
        raise DatabaseUnknown("the URL is malformed: expected postgresql://user@host:port/database") from None
    except psycopg2.OperationalError as error:
        raise MigrationFailed(redaction.redact(" ".join(str(error).split()))) from None
    return PostgresqlMigrations(connection, limits)


def _verified_tls(parts: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Return what makes TLS safe where nothing was said: libpq's own default falls back to plain text."""
    host = parts.get("host") or parts.get("hostaddr") or variables.get("PGHOST", "")
    is_here = host in ("", "localhost", "127.0.0.1", "::1") or host.startswith(("/", "@"))
    if is_here or "sslmode" in parts or "PGSSLMODE" in variables:
        return {}
    chosen = parts.get("sslrootcert") or variables.get("PGSSLROOTCERT")
    return {"sslmode": "verify-full", "sslrootcert": chosen or ca_file(variables.get("CA_BUNDLE"))}
