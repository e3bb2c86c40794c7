"""One record per database engine: the versions it may run, and what it needs from the cluster around it.

Nothing here imports aws_cdk before a cluster is built, so that settings are validated without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_cdk import aws_rds as rds


@dataclass(frozen=True)
class Engine:
    """A database engine as Aurora offers it."""

    name: str
    """What settings and the functions' environment call it."""
    major_versions: Mapping[str, str]
    """Every version that a deployment may choose, with the major version that decides its parameters."""
    well_known_port: int
    """The port that scanners try first, so that no deployment may take it (Security Hub RDS.23)."""
    reserved_users: frozenset[str]
    """Names that Aurora keeps for itself, or that every attacker tries first (Security Hub RDS.24)."""
    reserved_databases: frozenset[str]
    log_exports: tuple[str, ...]
    cluster_parameters: Mapping[str, str]
    instance_parameters: Mapping[str, str]
    _cluster_engine: Callable[[str, str], rds.IClusterEngine] = field(repr=False)

    def cluster_engine(self, version: str) -> rds.IClusterEngine:
        """Return the CDK's view of this engine in `version`."""
        return self._cluster_engine(version, self.major_versions[version])

    def family(self, version: str) -> str:
        """Return the parameter-group family, for construct ids: a new family has to be a new group.

        A group cannot change its family in place (https://github.com/aws/aws-cdk/issues/21758).
        """
        return f"Aurora{self.name.capitalize()}{self.major_versions[version].replace('.', '')}"


def _aurora_postgresql(version: str, major: str) -> rds.IClusterEngine:
    from aws_cdk import aws_rds as rds  # noqa: PLC0415 -- see the module's docstring

    # Not the CDK's constants: they lag behind Aurora (https://github.com/aws/aws-cdk/issues/38738).
    return rds.DatabaseClusterEngine.aurora_postgres(
        version=rds.AuroraPostgresEngineVersion.of(version, major)
    )


ENGINES: Mapping[str, Engine] = {
    "postgresql": Engine(
        name="postgresql",
        major_versions={"16.11": "16", "16.13": "16", "17.7": "17", "17.9": "17"},
        well_known_port=5432,
        reserved_users=frozenset({"admin", "postgres", "rdsadmin", "rdsproxyadmin", "rdsrepladmin", "root"}),
        reserved_databases=frozenset({"postgres", "rdsadmin", "template0", "template1"}),
        log_exports=("postgresql",),
        cluster_parameters={
            "rds.force_ssl": "1",
            "password_encryption": "scram-sha-256",
            "shared_preload_libraries": "pg_stat_statements",
        },
        instance_parameters={
            "log_lock_waits": "1",
            "log_min_duration_statement": "1000",  # ms: what takes longer than this is worth a line
            "idle_in_transaction_session_timeout": "60000",  # ms: a forgotten transaction holds locks
        },
        _cluster_engine=_aurora_postgresql,
    ),
}
