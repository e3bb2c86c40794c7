"""Which engines this machine can run, and getting ready what is not there yet."""

from __future__ import annotations

from localcloud.aurora import mysql_packages
from localcloud.aurora.mysql_packages import NotAvailable, Tell
from localcloud.aurora.mysql_pristine import make_pristine
from localcloud.aurora.mysql_programs import MysqlPrograms
from localcloud.aurora.postgresql_programs import ProgramFailed, Programs

_DEFAULT_MAJOR = 16
ENGINES = ("postgresql", "mysql")


def available() -> dict[str, str]:
    """What runs here as each of Aurora's engines, or how it can be had. Fetches nothing."""
    versions = [programs.version for programs in Programs.here()]
    postgresql = f"PostgreSQL {', '.join(versions)}" if versions else "no PostgreSQL here"
    return {"aurora-postgresql": postgresql, "aurora-mysql": _mysql()}


def prepare(engine: str, tell: Tell) -> str:
    """Have everything on this machine that a first cluster of an engine needs; return what runs then.

    Raises ProgramFailed, saying how to get it.
    """
    if engine == "postgresql":
        Programs.find(_DEFAULT_MAJOR)
    else:
        make_pristine(MysqlPrograms.find(tell), tell)
    return available()[f"aurora-{engine}"]


def _mysql() -> str:
    try:
        programs = MysqlPrograms.here()
        if programs:
            return f"MySQL {programs.version}"
        mysql_packages.require_debian()
    except ProgramFailed as error:
        return str(error)
    except NotAvailable as error:
        return f"no MySQL here, and none can be fetched: {error}"
    return "no MySQL here yet: the first cluster fetches it, 66 MB (or before: localcloud prepare)"
