"""A session with the database of a URL, for command lines: no AWS, and no module that is slow to import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from aurora.session import Session

CONNECT_TIMEOUT_SECONDS = 10.0
POSTGRESQL_SCHEMES = ("postgresql", "postgres")
MYSQL_SCHEMES = ("mysql",)
FORMS = "postgresql://user@host:port/database or mysql://user@host:port/database"
_LOOPBACK = ("", "localhost", "127.0.0.1", "::1")


class UrlMalformed(ValueError):
    """The text is no URL of a database; it is not repeated, since a password may stand in it."""


def engine_of(url: str) -> str:
    """Return the engine that the URL's scheme names, or raise UrlMalformed."""
    scheme = url.partition("://")[0]
    if scheme in POSTGRESQL_SCHEMES:
        return "postgresql"
    if scheme in MYSQL_SCHEMES:
        return "mysql"
    raise UrlMalformed(f"the URL's scheme is unknown: expected {FORMS}")


def connect_by_url(url: str, variables: Mapping[str, str], *, application_name: str = "shop") -> Session:
    """Open the database of a URL, or raise UrlMalformed or a type of failures.py.

    A password may stand in PGPASSWORD, ~/.pgpass or MYSQL_PWD instead. Over a network TLS is verified in full
    unless the URL says else (sslmode=…, ssl-mode=DISABLED).
    """
    if engine_of(url) == "mysql":
        return _mysql(url, variables, application_name)
    return _postgresql(url, variables, application_name)


def _postgresql(url: str, variables: Mapping[str, str], application_name: str) -> Session:
    import psycopg2  # noqa: PLC0415 - one driver is enough
    from psycopg2.extensions import parse_dsn  # noqa: PLC0415

    from aurora.postgresql import PostgresqlSession, kind_of_failure  # noqa: PLC0415

    try:
        parts = parse_dsn(url)
        _remember(parts.get("password"))
        connection = psycopg2.connect(
            url,
            connect_timeout=round(CONNECT_TIMEOUT_SECONDS),
            application_name=parts.get("application_name", application_name),
            **_verified_tls(parts, variables),
        )
    except (psycopg2.ProgrammingError, UnicodeError):
        # without `from`: the driver's text repeats the URL, password and all
        raise UrlMalformed(f"the URL is malformed: expected {FORMS}") from None
    except psycopg2.OperationalError as error:
        said = _said(error)
        if "for connection option" in said:  # such as a port that is no number
            raise UrlMalformed(f"the URL is malformed: expected {FORMS}") from None
        raise kind_of_failure(said)(said) from None
    return PostgresqlSession(connection)


def _verified_tls(parts: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what makes TLS safe where nothing was said: libpq's own default falls back to plain text."""
    host = parts.get("host") or parts.get("hostaddr") or variables.get("PGHOST", "")
    is_here = host in _LOOPBACK or host.startswith(("/", "@"))
    if is_here or "sslmode" in parts or "PGSSLMODE" in variables:
        return {}
    from aurora.trust import ca_file  # noqa: PLC0415

    chosen = parts.get("sslrootcert") or variables.get("PGSSLROOTCERT")
    return {"sslmode": "verify-full", "sslrootcert": chosen or ca_file(variables.get("CA_BUNDLE"))}


def _mysql(url: str, variables: Mapping[str, str], application_name: str) -> Session:
    import pymysql  # noqa: PLC0415 - one driver is enough

    from aurora.mysql import MysqlSession, kind_of_failure, open_connection  # noqa: PLC0415

    options = _mysql_options(url, variables)
    try:
        connection = open_connection(
            **options, program_name=application_name, timeout_seconds=CONNECT_TIMEOUT_SECONDS
        )
    except pymysql.Error as error:
        kind, said = kind_of_failure(error)
        raise kind(said) from None
    return MysqlSession(connection)


_MYSQL_OPTIONS = ("unix_socket", "socket", "ssl-mode", "ssl-ca")
_MYSQL_TLS_MODES = ("DISABLED", "VERIFY_IDENTITY")


def _mysql_options(url: str, variables: Mapping[str, str]) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        port = parts.port or 3306
        queried = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        raise UrlMalformed(f"the URL is malformed: expected {FORMS}") from None
    unknown = sorted(set(queried) - set(_MYSQL_OPTIONS))
    if unknown:
        raise UrlMalformed(f"the URL's option {unknown[0]} is unknown: there are {', '.join(_MYSQL_OPTIONS)}")
    password = unquote(parts.password) if parts.password else variables.get("MYSQL_PWD", "")
    _remember(password)
    host, unix_socket = parts.hostname or "", queried.get("unix_socket") or queried.get("socket")
    options: dict[str, Any] = {
        "host": host or "localhost",
        "port": port,
        "unix_socket": unix_socket,
        "user": unquote(parts.username or "") or variables.get("USER") or None,
        "password": password,
        "database": unquote(parts.path.removeprefix("/")) or None,
    }
    return options | _mysql_tls(queried, variables, is_here=bool(unix_socket) or host in _LOOPBACK)


def _mysql_tls(queried: Mapping[str, str], variables: Mapping[str, str], *, is_here: bool) -> dict[str, Any]:
    """Return verified TLS unless it is declined: the driver's own default takes any certificate, or none."""
    mode = queried.get("ssl-mode", "DISABLED" if is_here and "ssl-ca" not in queried else "VERIFY_IDENTITY")
    if mode not in _MYSQL_TLS_MODES:
        raise UrlMalformed(f"the URL's ssl-mode is unknown: expected {' or '.join(_MYSQL_TLS_MODES)}")
    if mode == "DISABLED":
        return {"ssl_disabled": True}
    from aurora.trust import ca_file, tls_context  # noqa: PLC0415

    return {"ssl": tls_context(ca_file(queried.get("ssl-ca") or variables.get("CA_BUNDLE")))}


def _remember(password: str | None) -> None:
    if password:
        from aurora import redaction  # noqa: PLC0415

        redaction.remember(password)


def _said(error: Exception) -> str:
    from aurora.redaction import redact  # noqa: PLC0415

    return redact(" ".join(str(error).split()))
