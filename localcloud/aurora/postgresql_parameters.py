"""Aurora's parameter groups on a plain PostgreSQL: what applies here, and what has no effect and why."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from localcloud.aurora.local_parameters import LocalParameters, ParameterRefused
from localcloud.aurora.postgresql_configuration import OURS
from localcloud.aurora.postgresql_programs import Programs

FORCE_SSL = "rds.force_ssl"
_LOGICAL_REPLICATION = "rds.logical_replication"
_PRELOAD = "shared_preload_libraries"

# What Aurora does not let a parameter group change either: the doors, the files, what durability rests on.
_FIXED = {
    "config_file",
    "data_directory",
    "external_pid_file",
    "fsync",
    "full_page_writes",
    "hba_file",
    "ident_file",
    "listen_addresses",
    "port",
    "unix_socket_directories",
    "wal_level",
}
_TRUE = {"1", "on", "true", "yes"}


def is_true(value: str | None) -> bool:
    """Whether a boolean parameter is on, in any of PostgreSQL's spellings."""
    return value is not None and value.lower() in _TRUE


def forces_tls(parameters: Mapping[str, str], *, major: int) -> bool:
    """Whether the endpoints refuse plaintext: rds.force_ssl, which is on by default from version 17."""
    return is_true(parameters.get(FORCE_SSL, "1" if major >= 17 else "0"))


def refuse_fixed(parameters: Mapping[str, str]) -> None:
    """ParameterRefused for the parameters that nobody may change; it names all of them."""
    fixed = sorted(name for name in parameters if name.lower() in _FIXED)
    if fixed:
        raise ParameterRefused(f"The parameter {', '.join(fixed)} cannot be modified.")


def localize(parameters: Mapping[str, str], programs: Programs) -> LocalParameters:
    """Sort the parameters of a group; ParameterRefused for what nobody may change."""
    refuse_fixed(parameters)
    preloaded = _libraries(parameters.get(_PRELOAD, ""))
    installed = [library for library in preloaded if programs.has_library(library)]
    result = LocalParameters()
    for name, value in parameters.items():
        reason = _why_without_effect(name, value, installed, programs)
        if reason:
            result.without_effect[name] = reason
        elif name == _LOGICAL_REPLICATION:
            result.settings["wal_level"] = "logical" if is_true(value) else "replica"
        elif name not in (FORCE_SSL, _PRELOAD):
            result.settings[name] = value
    if preloaded:
        result.settings[_PRELOAD] = ",".join(installed)
    if installed != preloaded:
        missing = ", ".join(library for library in preloaded if library not in installed)
        result.without_effect[_PRELOAD] = f"not installed here: {missing}"
    return result


def _why_without_effect(name: str, value: str, installed: list[str], programs: Programs) -> str | None:
    if name in (FORCE_SSL, _LOGICAL_REPLICATION, _PRELOAD):
        return None
    library, dot, _ = name.partition(".")
    reasons = (
        ("{" in value, "a formula over the instance class"),
        (name in OURS and value != OURS[name], f"the local cloud sets it to {OURS.get(name)}"),
        (library == "rds" and bool(dot), "a setting of RDS itself"),
        (bool(dot) and library not in installed, f"{library} is not preloaded here"),
        (
            not dot and name.lower() not in _known_settings(programs),
            f"unknown to PostgreSQL {programs.major}",
        ),
    )
    return next((reason for holds, reason in reasons if holds), None)


def _libraries(value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


@functools.cache
def _known_settings(programs: Programs) -> frozenset[str]:
    lines = programs.run("postgres", "--describe-config").splitlines()
    return frozenset(line.partition("\t")[0].lower() for line in lines)
