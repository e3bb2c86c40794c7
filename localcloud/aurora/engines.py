"""The engines that Aurora has here: one record each, of everything that depends on the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from localcloud.aurora import (
    mysql_parameters,
    mysql_upgrade,
    mysql_versions,
    postgresql_parameters,
    postgresql_upgrade,
)
from localcloud.aurora.continuous_backup import Log
from localcloud.aurora.database_server import DatabaseServer
from localcloud.aurora.endpoint import Front
from localcloud.aurora.local_parameters import LocalParameters
from localcloud.aurora.mysql_backups import MysqlLog
from localcloud.aurora.mysql_front import MysqlFront
from localcloud.aurora.mysql_programs import MysqlPrograms
from localcloud.aurora.mysql_server import MysqlServer
from localcloud.aurora.mysql_words import MysqlWords
from localcloud.aurora.postgresql_backups import PostgresqlLog
from localcloud.aurora.postgresql_front import PostgresqlFront
from localcloud.aurora.postgresql_programs import Programs
from localcloud.aurora.postgresql_server import PostgresqlServer
from localcloud.aurora.postgresql_words import PostgresqlWords
from localcloud.aurora.words import Words

Tell = Callable[[str], None]


class Create(Protocol):
    """Makes a new running writer of a release."""

    def __call__(
        self,
        directory: Path,
        *,
        release: str,
        master_user: str,
        master_password: str,
        database: str | None,
        parameters: Mapping[str, str],
        tell: Tell,
    ) -> DatabaseServer:
        """The server, with Aurora's roles, the master user and the first database; raises ProgramFailed."""


class Upgrade(Protocol):
    """Makes a writer of another release from one that runs."""

    def __call__(
        self,
        former: DatabaseServer,
        directory: Path,
        *,
        release: str,
        settings: Mapping[str, str],
        take_down: Callable[[], None],
    ) -> DatabaseServer:
        """The running writer with the former's data, users and rights; it may be the former one itself.

        `take_down` is called when all is checked: nobody is served until this returns. Raises ProgramFailed
        for what cannot be upgraded; the former one's data are whole then, and it runs when started.
        """


class Restore(Protocol):
    """Makes a new running writer with the data of a backup."""

    def __call__(
        self, data: Path, directory: Path, *, release: str, parameters: Mapping[str, str]
    ) -> DatabaseServer:
        """The server, as the backed up one was; the backup stays as it is. Raises ProgramFailed."""


class RefuseUnknown(Protocol):
    """Judges the parameters of a group."""

    def __call__(self, parameters: Mapping[str, str], *, of_cluster: bool) -> None:
        """Raises ParameterRefused for what AWS does not take in a group of this level."""


@dataclass(frozen=True)
class Engine:
    """What AWS calls it, how its servers are made, its parameters, its protocol and its words."""

    name: str
    product: str
    """The server that runs here."""
    secret_name: str
    """What a secret of Secrets Manager calls it."""
    family: str
    """What RDS Proxy calls it."""
    default_version: str
    default_port: int
    logs: frozenset[str]
    """What can be exported to CloudWatch."""
    reserved_users: frozenset[str]
    longest_password: int
    has_backtrack: bool
    release: Callable[[str], str | None]
    """Of an EngineVersion, what no upgrade in place changes ("16", "8.0"); None for no version."""
    running_version: Callable[[str, Tell], str]
    """What runs here for a release; fetched if need be. Raises ProgramFailed."""
    create: Create
    clone: Callable[[DatabaseServer, Path, Mapping[str, str]], DatabaseServer]
    upgrade: Upgrade
    restore: Restore
    log: Log
    """How clusters are restored to a point in time."""
    localize: Callable[[Mapping[str, str], str], LocalParameters]
    """Sorts a parameter group's parameters for a release; raises ParameterRefused."""
    refuse_unknown: RefuseUnknown
    forces_tls: Callable[[Mapping[str, str], str], bool]
    """Whether a release with these parameters admits nobody without TLS."""
    front: Front
    words: Words

    @staticmethod
    def of_family(family: str) -> tuple[Engine, str] | None:
        """The engine and the release of a parameter group's family ("aurora-mysql8.0"); None for none."""
        for engine in ENGINES.values():
            release = family.removeprefix(engine.name)
            if release != family and engine.release(release) == release:
                return engine, release
        return None

    def parameter_family(self, release: str) -> str:
        """The family that parameter groups for this release are of."""
        return f"{self.name}{release}"

    def __str__(self) -> str:
        """What AWS calls it."""
        return self.name


def _postgresql(
    directory: Path,
    *,
    release: str,
    master_user: str,
    master_password: str,
    database: str | None,
    parameters: Mapping[str, str],
    tell: Tell,
) -> DatabaseServer:
    return PostgresqlServer.initialize(
        directory,
        major=int(release),
        master_user=master_user,
        master_password=master_password,
        database=database,
        parameters=parameters,
    )


def _postgresql_reader(
    primary: DatabaseServer, directory: Path, parameters: Mapping[str, str]
) -> DatabaseServer:
    if not isinstance(primary, PostgresqlServer):
        raise TypeError(primary)
    return PostgresqlServer.clone(primary, directory, parameters)


def _postgresql_upgrade(
    former: DatabaseServer,
    directory: Path,
    *,
    release: str,
    settings: Mapping[str, str],
    take_down: Callable[[], None],
) -> DatabaseServer:
    if not isinstance(former, PostgresqlServer):
        raise TypeError(former)
    return postgresql_upgrade.upgrade(
        former, directory, major=int(release), settings=settings, take_down=take_down
    )


def _postgresql_restored(
    data: Path, directory: Path, *, release: str, parameters: Mapping[str, str]
) -> DatabaseServer:
    return PostgresqlServer.restore(data, directory, major=int(release), parameters=parameters)


def _postgresql_version(release: str, tell: Tell) -> str:
    return Programs.find(int(release)).version


def _postgresql_release(version: str) -> str | None:
    major = version.partition(".")[0]
    return major if major.isdecimal() else None


def _mysql(
    directory: Path,
    *,
    release: str,
    master_user: str,
    master_password: str,
    database: str | None,
    parameters: Mapping[str, str],
    tell: Tell,
) -> DatabaseServer:
    return MysqlServer.initialize(
        directory,
        master_user=master_user,
        master_password=master_password,
        database=database,
        parameters=parameters,
        tell=tell,
    )


def _mysql_reader(primary: DatabaseServer, directory: Path, parameters: Mapping[str, str]) -> DatabaseServer:
    if not isinstance(primary, MysqlServer):
        raise TypeError(primary)
    return MysqlServer.clone(primary, directory, parameters)


def _mysql_upgrade(
    former: DatabaseServer,
    directory: Path,
    *,
    release: str,
    settings: Mapping[str, str],
    take_down: Callable[[], None],
) -> DatabaseServer:
    if not isinstance(former, MysqlServer):
        raise TypeError(former)
    return mysql_upgrade.upgrade(former, settings=settings, take_down=take_down)


POSTGRESQL = Engine(
    name="aurora-postgresql",
    product="PostgreSQL",
    secret_name="postgres",  # noqa: S106 - no secret
    family="POSTGRESQL",
    default_version="16.13",
    default_port=5432,
    logs=frozenset({"postgresql", "instance", "iam-db-auth-error"}),
    reserved_users=frozenset({"admin", "rdsadmin"}),
    longest_password=99,
    has_backtrack=False,
    release=_postgresql_release,
    running_version=_postgresql_version,
    create=_postgresql,
    clone=_postgresql_reader,
    upgrade=_postgresql_upgrade,
    restore=_postgresql_restored,
    log=PostgresqlLog(),
    localize=lambda parameters, release: postgresql_parameters.localize(
        parameters, Programs.find(int(release))
    ),
    refuse_unknown=lambda parameters, of_cluster: postgresql_parameters.refuse_fixed(parameters),
    forces_tls=lambda parameters, release: postgresql_parameters.forces_tls(parameters, major=int(release)),
    front=PostgresqlFront(),
    words=PostgresqlWords(),
)

MYSQL = Engine(
    name="aurora-mysql",
    product="MySQL",
    secret_name="mysql",  # noqa: S106
    family="MYSQL",
    default_version="8.0.mysql_aurora.3.12.0",
    default_port=3306,
    logs=frozenset({"audit", "error", "general", "iam-db-auth-error", "instance", "slowquery"}),
    reserved_users=frozenset({"rdsadmin", "rdsrepladmin", "rds_superuser_role"}),
    longest_password=41,
    has_backtrack=True,
    release=mysql_versions.release,
    running_version=lambda _release, tell: MysqlPrograms.find(tell).version,
    create=_mysql,
    clone=_mysql_reader,
    upgrade=_mysql_upgrade,
    restore=lambda data, directory, *, release, parameters: MysqlServer.restore(
        data, directory, parameters=parameters
    ),
    log=MysqlLog(),
    localize=lambda parameters, _release: mysql_parameters.localize(parameters, MysqlPrograms.find()),
    refuse_unknown=mysql_parameters.refuse_unknown,
    forces_tls=lambda parameters, _release: mysql_parameters.forces_tls(parameters),
    front=MysqlFront(),
    words=MysqlWords(),
)

ENGINES = {engine.name: engine for engine in (POSTGRESQL, MYSQL)}
"""By the names that templates give them."""
