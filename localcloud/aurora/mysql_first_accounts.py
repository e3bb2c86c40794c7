"""Aurora's accounts in a new MySQL server: its superuser, the master user with its role, and its readers."""

from __future__ import annotations

from typing import Any

from pymysql.connections import Connection

SUPERUSER = "rdsadmin"
REPLICATION_USER = "rdsrepladmin"

# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Compare-80-v3.html: what
# rds_superuser_role may; without the privileges that only Aurora's own server knows.
_SUPERUSER_ROLE = "rds_superuser_role"
_PRIVILEGES = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES,"
    " CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, CREATE VIEW,"
    " SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER, CREATE ROLE, DROP ROLE,"
    " APPLICATION_PASSWORD_ADMIN, ROLE_ADMIN, XA_RECOVER_ADMIN, CONNECTION_ADMIN"
)
_DEFINERS = {True: "SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER", False: "SET_USER_ID"}


def create_accounts(
    connection: Connection[Any],
    *,
    version: str,
    master_user: str,
    master_password: str,
    replication_password: str,
    database: str | None,
) -> None:
    """They are there, and the first database where it is named; the connection is root's, now rdsadmin's."""
    newer = tuple(map(int, version.split(".")[:2])) >= (8, 3)
    with connection.cursor() as cursor:
        cursor.execute(f"RENAME USER root@localhost TO {SUPERUSER}@localhost")
        cursor.execute(f"CREATE ROLE {_SUPERUSER_ROLE}")
        for privileges in (_PRIVILEGES, _DEFINERS[newer]):
            cursor.execute(f"GRANT {privileges} ON *.* TO {_SUPERUSER_ROLE} WITH GRANT OPTION")
        cursor.execute("CREATE USER %s@'%%' IDENTIFIED BY %s", [master_user, master_password])
        cursor.execute(f"GRANT {_SUPERUSER_ROLE} TO %s@'%%' WITH ADMIN OPTION", [master_user])
        cursor.execute(f"SET DEFAULT ROLE {_SUPERUSER_ROLE} TO %s@'%%'", [master_user])
        cursor.execute(f"CREATE USER {REPLICATION_USER}@'127.0.0.1' IDENTIFIED BY %s", [replication_password])
        cursor.execute(f"GRANT REPLICATION SLAVE ON *.* TO {REPLICATION_USER}@'127.0.0.1'")
        if database is not None:
            cursor.execute(f"CREATE DATABASE `{database.replace('`', '``')}`")
