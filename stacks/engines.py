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
    default_version: str
    default_port: int
    well_known_port: int
    """The port that scanners try first, so that no deployment may take it (Security Hub RDS.23)."""
    longest_master_user: int
    longest_database_name: int
    reserved_users: frozenset[str]
    """Names that Aurora keeps for itself, or that every attacker tries first (Security Hub RDS.24)."""
    reserved_user_prefixes: tuple[str, ...]
    reserved_databases: frozenset[str]
    log_exports: tuple[str, ...]
    _instance_parameters: Mapping[str, str]
    _cluster_parameters: Mapping[str, str]
    _cluster_engine: Callable[[str, str], rds.IClusterEngine] = field(repr=False)
    _cluster_parameters_of_majors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What only some major versions know, or need to be told, or told otherwise."""
    _instance_parameters_of_majors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    default_backtrack_hours: int = 0
    longest_backtrack_hours: int = 0
    """0: Aurora cannot rewind a cluster of this engine."""
    safe_values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """What no deployment may set otherwise: without it passwords and data would travel in plaintext."""
    _audited_values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    _audited_values_of_majors: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    activity_stream_modes: tuple[str, ...] = ()
    """How the engine can send an activity stream from the isolated subnets."""

    def cluster_engine(self, version: str) -> rds.IClusterEngine:
        """Return the CDK's view of this engine in `version`."""
        return self._cluster_engine(version, self.major_versions[version])

    def cluster_parameters(self, version: str) -> dict[str, str]:
        """Return the parameters that all instances of a cluster share."""
        return {
            **self._cluster_parameters,
            **self._cluster_parameters_of_majors.get(self.major_versions[version], {}),
        }

    def instance_parameters(self, version: str) -> dict[str, str]:
        """Return the parameters that each instance has for itself; they win over the cluster's."""
        return {
            **self._instance_parameters,
            **self._instance_parameters_of_majors.get(self.major_versions[version], {}),
        }

    def audited_values(self, version: str) -> dict[str, frozenset[str]]:
        """Return what may not be set otherwise where data are retained: their trail, and logs' silence."""
        return {
            **self._audited_values,
            **self._audited_values_of_majors.get(self.major_versions[version], {}),
        }

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


def _aurora_mysql(version: str, major: str) -> rds.IClusterEngine:
    from aws_cdk import aws_rds as rds  # noqa: PLC0415 -- see the module's docstring

    # The major version is said each time: without it the CDK takes the parameters of MySQL 5.7, silently.
    return rds.DatabaseClusterEngine.aurora_mysql(version=rds.AuroraMysqlEngineVersion.of(version, major))


_OF_AURORA = frozenset({"admin", "rdsadmin", "rdsproxyadmin", "rdsrepladmin", "root"})
"""Users that both engines keep, or that everybody knows."""

ENGINES: Mapping[str, Engine] = {
    "postgresql": Engine(
        name="postgresql",
        # Of 18 the first that is generally available is 18.3 (the CDK's VER_18_3); 18.1 was a preview:
        # https://aws.amazon.com/about-aws/whats-new/2025/12/amazon-aurora-postgresql-18-1-rds-database-preview/
        major_versions={
            "16.11": "16",
            "16.13": "16",
            "17.7": "17",
            "17.9": "17",
            "18.3": "18",
            "18.4": "18",
            "18.6": "18",
        },
        default_version="16.13",
        default_port=15432,
        well_known_port=5432,
        longest_master_user=63,
        longest_database_name=63,
        reserved_users=_OF_AURORA | {"postgres"},
        reserved_user_prefixes=("pg_", "rds"),
        reserved_databases=frozenset({"postgres", "rdsadmin", "template0", "template1"}),
        log_exports=("postgresql",),
        _cluster_parameters={
            "rds.force_ssl": "1",
            "password_encryption": "scram-sha-256",
            "shared_preload_libraries": "pg_stat_statements,pgaudit",
            # What changed the schema, users and rights, in the words that changed it. Not read and not write:
            # their values are the customers', and their number would be the bill.
            "pgaudit.log": "ddl,role",
            "pgaudit.log_parameter": "0",
            "pgaudit.role": "rds_pgaudit",  # what is granted to it is recorded whoever reads or writes it
            "log_connections": "1",  # who came, or was refused; through the proxy there are few
            "log_disconnections": "1",
        },
        _cluster_parameters_of_majors={
            # A list of stages since 18 (https://www.postgresql.org/docs/18/runtime-config-logging.html).
            # PostgreSQL still takes the former 1; Aurora's family does not, as whoever upgraded reports.
            "18": {"log_connections": "all"},
        },
        _instance_parameters_of_majors={
            # In the cluster's group as well, where AWS says that it belongs:
            # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Appendix.PostgreSQL.CommonDBATasks.pgaudit.basic-setup.html
            # Who asked DescribeEngineDefaultParameters of aurora-postgresql18 reports that it has moved to
            # the instances there, and that the cluster's has no effect. Both groups take it; without it there
            # would be no audit, and no error either (docs/adr/0113).
            "18": {"shared_preload_libraries": "pg_stat_statements,pgaudit"},
        },
        safe_values={
            "rds.force_ssl": frozenset({"1"}),
            "password_encryption": frozenset({"scram-sha-256"}),
            "ssl_min_protocol_version": frozenset({"TLSv1.2", "TLSv1.3"}),
        },
        _audited_values_of_majors={"18": {"log_connections": frozenset({"all"})}},
        _audited_values={
            "log_connections": frozenset({"1"}),
            "log_disconnections": frozenset({"1"}),
            "log_statement": frozenset({"none", "ddl"}),  # the others log the customers' values
            "pgaudit.log": frozenset({"ddl,role", "role,ddl"}),
            "pgaudit.log_parameter": frozenset({"0"}),
            "shared_preload_libraries": frozenset({"pg_stat_statements,pgaudit"}),
        },
        activity_stream_modes=("async", "sync"),
        _instance_parameters={
            "log_lock_waits": "1",
            "log_min_duration_statement": "1000",  # ms: what takes longer than this is worth a line
            "idle_in_transaction_session_timeout": "60000",  # ms: a forgotten transaction holds locks
        },
        _cluster_engine=_aurora_postgresql,
    ),
    "mysql": Engine(
        name="mysql",
        major_versions={
            "8.0.mysql_aurora.3.10.5": "8.0",  # 3.10 has long-term support
            "8.0.mysql_aurora.3.10.6": "8.0",
            "8.0.mysql_aurora.3.12.0": "8.0",
            "8.0.mysql_aurora.3.13.0": "8.0",
            "8.4.mysql_aurora.8.4.7": "8.4",
            "8.4.mysql_aurora.8.4.8": "8.4",
        },
        default_version="8.0.mysql_aurora.3.12.0",
        default_port=13306,
        well_known_port=3306,
        longest_master_user=16,
        longest_database_name=64,
        reserved_users=_OF_AURORA | {"event_scheduler", "mysql"},
        reserved_user_prefixes=("mysql_", "rds"),
        reserved_databases=frozenset(
            {"information_schema", "innodb", "mysql", "performance_schema", "sys", "tmp"}
        ),
        log_exports=("audit", "error", "slowquery"),
        _cluster_parameters={
            "require_secure_transport": "ON",
            "server_audit_logging": "1",
            # Who came or was refused, what changed the schema, what changed users and rights. No queries:
            # their values are the customers', and their number would be the bill.
            "server_audit_events": "CONNECT,QUERY_DCL,QUERY_DDL",
            "character_set_server": "utf8mb4",
            "collation_server": "utf8mb4_0900_bin",  # 85123A and 85123a are two articles, as in PostgreSQL
            "time_zone": "UTC",
            "innodb_print_all_deadlocks": "1",  # into the error log, which is exported
            "innodb_rollback_on_timeout": "1",  # 1205 would leave what the transaction did before it
        },
        _cluster_parameters_of_majors={
            "8.0": {"tls_version": "TLSv1.2,TLSv1.3"},  # 8.4 has no older ones
        },
        safe_values={
            "require_secure_transport": frozenset({"ON", "1"}),
            "tls_version": frozenset({"TLSv1.2", "TLSv1.3", "TLSv1.2,TLSv1.3"}),
        },
        _audited_values={
            "general_log": frozenset({"0"}),  # it has every statement, with the customers' values
            "server_audit_logging": frozenset({"1"}),
            "server_audit_events": frozenset({"CONNECT,QUERY_DCL,QUERY_DDL"}),
            "server_audit_excl_users": frozenset({""}),
        },
        # None: Aurora MySQL itself calls KMS for its stream, from subnets that lead there nowhere.
        # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/DBActivityStreams.Prereqs.html
        _instance_parameters={
            "slow_query_log": "1",
            "long_query_time": "1",  # s: what takes longer than this is worth a line
            "log_output": "FILE",  # a table is what RDS would have it, and cannot be exported
            "innodb_lock_wait_timeout": "10",  # s: then an order is rolled back whole, and tried again
            "lock_wait_timeout": "60",  # s: a year by default, for DDL and for all that queues up behind it
            "interactive_timeout": "3600",  # s: Aurora takes the shorter of the two for every session
            "wait_timeout": "3600",  # s: the nearest that MySQL has to a limit for forgotten transactions
            "performance_schema": "1",  # who holds a table that a migration waits for, stands nowhere else
            "local_infile": "1",  # the loader streams by LOAD DATA LOCAL
            # The owner of triggers and functions has no SUPER; where somebody turns a binary log on for
            # replication, MySQL would refuse to create them.
            "log_bin_trust_function_creators": "1",
        },
        _cluster_engine=_aurora_mysql,
        default_backtrack_hours=24,
        longest_backtrack_hours=72,
    ),
}
