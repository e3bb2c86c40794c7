"""Aurora MySQL's parameter groups on a plain MySQL: what applies here, and what has no effect and why."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from localcloud.aurora.local_parameters import LocalParameters, ParameterRefused
from localcloud.aurora.mysql_parameter_names import CLUSTER, FIXED, INSTANCE, INSTANCE_PREFIX
from localcloud.aurora.mysql_programs import MysqlPrograms

REQUIRE_TLS = "require_secure_transport"
_TLS_VERSIONS = "tls_version"
_TIME_ZONE = "time_zone"
_TRUSTS_FUNCTIONS = "log_bin_trust_function_creators"
_UTC = {"utc", "+00:00", "system"}  # Aurora's system time is UTC
_TAKEN_TLS = {"TLSv1.2", "TLSv1.3"}
_OF_AURORA = re.compile(r"aurora_|aws_|server_audit_|innodb_aurora_|innodb_trx_commit_allow")
_BY_THE_LOCAL_CLOUD = {
    "binlog_format": "readers follow by rows here, and the binary log is always on",
    "enforce_gtid_consistency": "readers follow by GTID here",
    "gtid_mode": "readers follow by GTID here",
    "read_only": "the local cloud sets it by the instance's role",
    "tls_version": "the endpoints take TLSv1.2 and TLSv1.3",
}


def forces_tls(parameters: Mapping[str, str]) -> bool:
    """Whether the endpoints refuse plaintext: require_secure_transport, which is off by default."""
    return _is_true(parameters.get(REQUIRE_TLS, "OFF"))


def refuse_unknown(parameters: Mapping[str, str], *, of_cluster: bool) -> None:
    """ParameterRefused, in RDS's words, for what a parameter group of this level has not or keeps fixed."""
    known = INSTANCE | CLUSTER if of_cluster else INSTANCE
    for name in parameters:
        plain = _plain(name)
        if plain in FIXED:
            raise ParameterRefused(f"The parameter {name} cannot be modified.")
        if plain not in known and not plain.startswith(INSTANCE_PREFIX):
            raise ParameterRefused(f"Could not find parameter with name: {name}")


def localize(parameters: Mapping[str, str], programs: MysqlPrograms) -> LocalParameters:
    """Sort the parameters of a group; ParameterRefused for what no group has."""
    refuse_unknown(parameters, of_cluster=True)
    result = LocalParameters()
    plain = {_plain(name): value for name, value in parameters.items()}
    for name, value in parameters.items():
        reason = _why_without_effect(_plain(name), value, programs)
        if reason:
            result.without_effect[name] = reason
        elif _plain(name) == _TIME_ZONE:
            result.settings["default_time_zone"] = "+00:00"
        elif _plain(name) not in (REQUIRE_TLS, _TLS_VERSIONS):  # the endpoints' part
            result.settings[_plain(name)] = value
    if plain.get("binlog_format", "OFF").upper() == "OFF":
        # Aurora's binary log is off unless asked for; ours is on, and shall refuse no function for that
        result.settings[_TRUSTS_FUNCTIONS] = "1"
    return result


def _why_without_effect(name: str, value: str, programs: MysqlPrograms) -> str | None:
    if name == REQUIRE_TLS or (name == _TLS_VERSIONS and set(value.split(",")) == _TAKEN_TLS):
        return None
    if name == _TIME_ZONE:
        return None if value.lower() in _UTC else "MySQL has no named time zones here: times are UTC"
    reasons = (
        ("{" in value, "a formula over the instance class"),
        (name in _BY_THE_LOCAL_CLOUD, _BY_THE_LOCAL_CLOUD.get(name, "")),
        (_OF_AURORA.match(name) is not None, "a setting of Aurora itself"),
        (name not in _known_settings(programs), f"unknown to MySQL {programs.version}"),
    )
    return next((reason for holds, reason in reasons if holds), None)


def _is_true(value: str) -> bool:
    return value.lower() in ("1", "on", "true")


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


@functools.cache
def _known_settings(programs: MysqlPrograms) -> frozenset[str]:
    """What this mysqld takes on its command line: the table at the end of its help."""
    text = programs.run([*programs.mysqld, "--no-defaults", *programs.server_options, "--verbose", "--help"])
    table = text.partition("Variables (--variable-name=value)")[2]
    return frozenset(_plain(line.split()[0]) for line in table.splitlines() if line and line[0].isalpha())
