"""Where the files are, and which database a command line means: by its URL, a secret, or the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from apply_schema.engines import ENGINES, migrations_over
from apply_schema.failures import DatabaseUnknown, MigrationFailed
from apply_schema.limits import Limits

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from apply_schema.database import MigrationDatabase
    from aurora.deadline import Deadline

_SOURCE_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_ROOTS = (_SOURCE_ROOT, os.path.dirname(_SOURCE_ROOT))
URL_SCHEMES = {"postgresql": "postgresql", "postgres": "postgresql", "mysql": "mysql"}
URL_FORMS = "postgresql://user@host:port/database or mysql://user@host:port/database"
CONNECT_TIMEOUT_SECONDS = 10


def packaged_directory(engine: str = "postgresql") -> str:
    """Return schema/<engine>: beside the packages in Lambda, beside lambda/ in the repository."""
    in_lambda, in_repository = (os.path.join(root, "schema", engine) for root in _ROOTS)
    return in_lambda if os.path.isdir(in_lambda) else in_repository


def engine_meant(options: argparse.Namespace, variables: Mapping[str, str]) -> str:
    """Return the engine that is named, or whose database or folder of files is."""
    url = options.url or (None if options.secret_arn else variables.get("DATABASE_URL", ""))
    folder = os.path.basename(os.path.normpath(options.directory or ""))
    named = options.engine or URL_SCHEMES.get((url or "").partition("://")[0])
    if not named and not options.secret_arn and not url:
        named = variables.get("DATABASE_ENGINE") if not folder or folder not in ENGINES else folder
    named = named or (folder if folder in ENGINES else None)
    return named if named in ENGINES else "postgresql"


def open_database(options: argparse.Namespace, variables: Mapping[str, str]) -> MigrationDatabase:
    """Open the database that the command line or the environment names, or raise DatabaseUnknown."""
    limits = Limits(
        wait_for_lock_seconds=options.wait_seconds,
        lock_timeout_seconds=options.lock_timeout_seconds,
        statement_timeout_seconds=options.statement_timeout_seconds,
        deadline=_deadline(options.deadline_seconds),
    )
    url = options.url or (None if options.secret_arn else variables.get("DATABASE_URL"))
    if url:
        return open_by_url(url, variables, limits)
    if options.secret_arn or "DATABASE_ENGINE" in variables:
        # boto3 alone takes longer to import than a whole run with nothing to do
        from apply_schema import opening_in_aws

        return opening_in_aws.open_database(options.secret_arn, variables, limits)
    raise DatabaseUnknown(
        "no database is named: give --url or --secret-arn, or set DATABASE_URL or a function's variables"
    )


def _deadline(seconds: float | None) -> Deadline | None:
    if seconds is None:
        return None
    from aurora.deadline import Deadline

    return Deadline.after(seconds)


def open_by_url(url: str, variables: Mapping[str, str], limits: Limits) -> MigrationDatabase:
    """Open the database of a URL. Over a network, TLS is verified in full unless the URL says else."""
    engine = URL_SCHEMES.get(url.partition("://")[0])
    if engine is None:
        raise DatabaseUnknown(f"the URL's scheme is unknown: expected {URL_FORMS}")
    if engine == "mysql":
        return _open_mysql(url, variables, limits)
    return _open_postgresql(url, variables, limits)


def _open_mysql(url: str, variables: Mapping[str, str], limits: Limits) -> MigrationDatabase:
    from aurora.failures import ConnectionFailed
    from aurora.opening_by_url import UrlMalformed, connect_by_url

    try:
        return migrations_over(connect_by_url(url, variables, application_name="apply_schema"), limits)
    except UrlMalformed as error:
        raise DatabaseUnknown(str(error)) from None
    except ConnectionFailed as error:
        raise MigrationFailed(str(error)) from None


def _open_postgresql(url: str, variables: Mapping[str, str], limits: Limits) -> MigrationDatabase:
    """As libpq reads the URL; `connect_by_url` would take a quarter of a run with nothing to do."""
    import psycopg2
    from psycopg2.extensions import parse_dsn

    from aurora.postgresql_migrations import PostgresqlMigrations

    try:
        parts = parse_dsn(url)
        if "password" in parts:
            from aurora import redaction

            redaction.remember(parts["password"])
        tls = _verified_tls(parts, variables)
        connection = psycopg2.connect(url, connect_timeout=CONNECT_TIMEOUT_SECONDS, **tls)
    except (psycopg2.ProgrammingError, UnicodeError):
        # without `from`: the driver's text repeats the URL, password and all
        raise DatabaseUnknown(f"the URL is malformed: expected {URL_FORMS}") from None
    except psycopg2.OperationalError as error:
        from aurora.redaction import redact

        raise MigrationFailed(redact(" ".join(str(error).split()))) from None
    return PostgresqlMigrations(connection, limits)


def _verified_tls(parts: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what makes TLS safe where nothing was said: libpq's own default falls back to plain text."""
    host = parts.get("host") or parts.get("hostaddr") or variables.get("PGHOST", "")
    is_here = host in ("", "localhost", "127.0.0.1", "::1") or host.startswith(("/", "@"))
    if is_here or "sslmode" in parts or "PGSSLMODE" in variables:
        return {}
    from aurora.failures import CertificateRefused
    from aurora.trust import ca_file

    chosen = parts.get("sslrootcert") or variables.get("PGSSLROOTCERT")
    try:
        return {"sslmode": "verify-full", "sslrootcert": chosen or ca_file(variables.get("CA_BUNDLE"))}
    except CertificateRefused as error:
        raise MigrationFailed(str(error)) from None
