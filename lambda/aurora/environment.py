"""What a function's environment says about its database."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ENGINES = ("postgresql", "mysql")
DATABASE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
SECRET_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]{1,520}")
REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")


class EnvironmentIncomplete(Exception):
    """The environment lacks a variable or holds a malformed one; the message names all of them at once."""


@dataclass(frozen=True)
class DatabaseEnvironment:
    """Where the database is and how it is trusted; complete and well formed once it exists."""

    engine: str
    database: str
    port: int
    cluster_endpoint: str
    cluster_reader_endpoint: str
    proxy_endpoint: str
    proxy_read_only_endpoint: str
    region: str
    admin_secret_arn: str | None = None
    """Only the migrator and the rotation have it: nothing else may read the admin secret."""
    ca_bundle: str | None = None
    """None: the packaged one. `system`: the runtime's own, which honours SSL_CERT_FILE. Else: a path."""
    application_name: str = "shop"
    """What the server shows in pg_stat_activity and its log."""

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> DatabaseEnvironment:
        """Return the environment, or raise EnvironmentIncomplete naming every missing or malformed one."""
        read = _Reader(variables)
        environment = cls(
            engine=read.required("DATABASE_ENGINE", lambda v: v in ENGINES, f"one of {', '.join(ENGINES)}"),
            database=read.required("DATABASE_NAME", DATABASE_NAME.fullmatch, "a plain lower-case identifier"),
            port=int(read.required("DATABASE_PORT", _is_port, "a port, 1 to 65535") or 0),
            cluster_endpoint=read.host("CLUSTER_ENDPOINT"),
            cluster_reader_endpoint=read.host("CLUSTER_READER_ENDPOINT"),
            proxy_endpoint=read.host("PROXY_ENDPOINT"),
            proxy_read_only_endpoint=read.host("PROXY_READ_ONLY_ENDPOINT"),
            region=read.required("AWS_REGION", REGION.fullmatch, "a region such as eu-central-1"),
            admin_secret_arn=read.optional(
                "ADMIN_SECRET_ARN", SECRET_ARN.fullmatch, "a secret's complete ARN"
            ),
            ca_bundle=read.optional("CA_BUNDLE", _is_ca_bundle, "'system' or an absolute path"),
            application_name=variables.get("AWS_LAMBDA_FUNCTION_NAME", "shop"),
        )
        read.raise_problems()
        return environment


class _Reader:
    """Reads variables and remembers what was wrong, so that one error can name everything."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._problems: list[str] = []

    def required(self, name: str, valid: Callable[[str], object], expected: str) -> str:
        value = self.optional(name, valid, expected)
        if value is None and name not in self._variables:
            self._problems.append(f"{name} is not set: expected {expected}")
        return value or ""

    def optional(self, name: str, valid: Callable[[str], object], expected: str) -> str | None:
        value = self._variables.get(name)
        if value is None or valid(value):
            return value
        self._problems.append(f"{name}={value[:80]!r}: expected {expected}")
        return None

    def host(self, name: str) -> str:
        return self.required(name, HOST_NAME.fullmatch, "a host name")

    def raise_problems(self) -> None:
        if self._problems:
            raise EnvironmentIncomplete("; ".join(self._problems))


def _is_port(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 5 and 1 <= int(value) <= 65535


def _is_ca_bundle(value: str) -> bool:
    return value == "system" or (value.startswith("/") and "\0" not in value)
