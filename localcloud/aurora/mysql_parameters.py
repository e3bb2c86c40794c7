"""Aurora MySQL's parameter groups on a plain MySQL: what applies here, and what has no effect and why."""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.aurora.local_parameters import LocalParameters
from localcloud.aurora.mysql_programs import MysqlPrograms

REQUIRE_TLS = "require_secure_transport"


def forces_tls(parameters: Mapping[str, str]) -> bool:
    """Whether the endpoints refuse plaintext."""
    return parameters.get(REQUIRE_TLS, "OFF").lower() in ("1", "on", "true")


def refuse_unknown(parameters: Mapping[str, str]) -> None:
    """ParameterRefused for what nobody may change."""


def localize(parameters: Mapping[str, str], programs: MysqlPrograms) -> LocalParameters:
    """Sort the parameters of a group."""
    return LocalParameters(dict(parameters))
