"""What the other side says tells what helps: waiting, another credential, a new connection, or nothing."""

from __future__ import annotations

import socket
import ssl

import psycopg2
import pymysql
import pytest

from aurora import mysql, postgresql
from aurora.credentials import Credential
from aurora.failures import (
    Cause,
    CertificateRefused,
    CredentialRefused,
    DatabaseError,
    HostUnknown,
    Rejected,
    Remedy,
    Unavailable,
    remedy_for,
)

POSTGRESQL_SAYS = [
    ('FATAL:  password authentication failed for user "x"', CredentialRefused),
    ('FATAL:  PAM authentication failed for user "shop_application"', CredentialRefused),
    (
        "FATAL:  The IAM authentication failed for the role x. Check the IAM token for this role",
        CredentialRefused,
    ),
    ("FATAL:  the database system is starting up", Unavailable),
    ("FATAL:  the database system is in recovery mode", Unavailable),
    ("FATAL:  the database system is shutting down", Unavailable),
    ("FATAL:  the database system is not yet accepting connections", Unavailable),
    ("FATAL:  the database system is not accepting connections", Unavailable),
    ("FATAL:  sorry, too many clients already", Unavailable),
    ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", Unavailable),
    ("FATAL:  Timed-out waiting to acquire database connection", Unavailable),
    ("server closed the connection unexpectedly", Unavailable),
    ("SSL SYSCALL error: EOF detected", Unavailable),
    ("No route to host", Unavailable),
    ('could not translate host name "x" to address: Temporary failure in name resolution', Unavailable),
    ('could not translate host name "x" to address: Name or service not known', HostUnknown),
    ("SSL error: certificate verify failed", CertificateRefused),
    ('server certificate for "a" (and 1 other name) does not match host name "b"', CertificateRefused),
    ("server does not support SSL, but SSL was required", CertificateRefused),
    ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "x", no encryption', CertificateRefused),
    ('FATAL:  permission denied for database "shop"', Rejected),
    ('FATAL:  role "x" does not exist', Rejected),
    ("FATAL:  This RDS proxy has no credentials for the role x.", Rejected),
]


MYSQL_SAYS = [
    (1045, "Access denied for user 'x'@'10.0.0.1' (using password: YES)", CredentialRefused),
    (1040, "Too many connections", Unavailable),
    (1053, "Server shutdown in progress", Unavailable),
    (1226, "User 'x' has exceeded the 'max_user_connections' resource (current value: 1)", Unavailable),
    (2013, "Lost connection to MySQL server during query", Unavailable),
    (3032, "The server is currently in offline mode", Unavailable),
    (9501, "Timed-out waiting to acquire database connection", Unavailable),
    (2026, "SSL is required but the server doesn't support it", CertificateRefused),
    (1049, "Unknown database 'nowhere'", Rejected),
    (1044, "Access denied for user 'x'@'%' to database 'mysql'", Rejected),
    (1129, "Host '10.0.0.1' is blocked because of many connection errors", Rejected),
]
MYSQL_CANNOT_BE_REACHED = [
    (ConnectionRefusedError(111, "Connection refused"), Unavailable),
    (TimeoutError("timed out"), Unavailable),
    (ConnectionResetError(104, "Connection reset by peer"), Unavailable),
    (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), Unavailable),
    (ssl.SSLCertVerificationError(1, "certificate verify failed"), CertificateRefused),
    (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), HostUnknown),
    (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), Unavailable),
]


@pytest.mark.engine("postgresql")
@pytest.mark.parametrize(("said", "kind"), POSTGRESQL_SAYS)
def test_what_postgresql_says_tells_what_helps(monkeypatch, environment, said, kind):
    error = psycopg2.OperationalError(f'connection to server at "x", port 5432 failed: {said}\n')
    fails_as(kind, psycopg2, error, postgresql, monkeypatch, environment)


@pytest.mark.engine("mysql")
@pytest.mark.parametrize(("code", "said", "kind"), MYSQL_SAYS)
def test_what_mysql_says_tells_what_helps(monkeypatch, environment, code, said, kind):
    fails_as(kind, pymysql, pymysql.OperationalError(code, said), mysql, monkeypatch, environment)


@pytest.mark.engine("mysql")
@pytest.mark.parametrize(("original", "kind"), MYSQL_CANNOT_BE_REACHED, ids=str)
def test_why_mysql_is_not_reached_tells_what_helps(monkeypatch, environment, original, kind):
    error = pymysql.OperationalError(2003, f"Can't connect to MySQL server on 'x' ({original})")
    error.original_exception = original
    fails_as(kind, pymysql, error, mysql, monkeypatch, environment)


def fails_as(kind, driver, error, dialect, monkeypatch, environment):
    def refuse(**_options):
        raise error

    monkeypatch.setattr(driver, "connect", refuse)
    trusted = str(environment.ca_bundle)
    with pytest.raises(kind) as failed:
        dialect.connect(environment, "x", Credential("u", "p"), ca_file=trusted, timeout_seconds=1)
    assert type(failed.value) is kind
    assert "u@x:" in str(failed.value)


RAISE = {
    "postgresql": "DO $$ BEGIN RAISE EXCEPTION SQLSTATE '{}'; END $$",
    "mysql": "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {}, MESSAGE_TEXT = 'said by a test'",
}
REMEDIES = {
    "postgresql": {
        "40P01": Remedy.RETRY,
        "40001": Remedy.RETRY,
        "55P03": Remedy.RETRY,
        "25006": Remedy.RECONNECT,
        "57P01": Remedy.RECONNECT,
        "57P03": Remedy.RECONNECT,
        "53300": Remedy.RECONNECT,
        "08006": Remedy.RECONNECT,
        "23505": Remedy.NONE,
        "SH001": Remedy.NONE,
        "42501": Remedy.NONE,
    },
    "mysql": {
        1213: Remedy.RETRY,  # deadlock
        1205: Remedy.RETRY,  # waited for a lock too long
        3572: Remedy.RETRY,  # would not wait for a lock
        1836: Remedy.RECONNECT,  # a reader
        1040: Remedy.RECONNECT,  # too many connections
        1053: Remedy.RECONNECT,  # shutting down
        4031: Remedy.RECONNECT,  # idle for too long
        1290: Remedy.NONE,  # an option forbids it, without a word of read-only
        1062: Remedy.NONE,  # there already
        1142: Remedy.NONE,  # not permitted
        3024: Remedy.NONE,  # took too long
    },
}


@pytest.mark.parametrize("place", range(11))
def test_an_error_s_code_tells_what_a_caller_may_do(shared_database, place):
    code, remedy = list(REMEDIES[shared_database.engine].items())[place]
    session = shared_database.session("rdsadmin")
    with pytest.raises(DatabaseError) as failed:
        session.rows(RAISE[shared_database.engine].format(code))
    assert (failed.value.code, remedy_for(failed.value)) == (str(code), remedy)


@pytest.mark.engine("mysql")
def test_a_writer_that_takes_no_writes_any_more_is_to_be_replaced(shared_database):
    session = shared_database.session("rdsadmin")
    session.rows("SET GLOBAL read_only = ON")
    try:
        with pytest.raises(DatabaseError, match=r"1290.*read-only") as failed:
            shared_database.session("shop_loader").rows("DELETE FROM shop.rejects")
    finally:
        session.rows("SET GLOBAL read_only = OFF")
    assert (failed.value.cause, failed.value.remedy) == (Cause.READ_ONLY, Remedy.RECONNECT)


TERMINATE = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}
OWN_ID = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}


def test_a_terminated_session_is_to_be_replaced(shared_database):
    session = shared_database.session("shop_admin")
    ((own_id,),) = session.rows(OWN_ID[session.engine])
    shared_database.rows(TERMINATE[session.engine].format(own_id))
    for _ in range(2):  # first the server's last words, then the driver's
        with pytest.raises(DatabaseError) as failed:
            session.rows("SELECT 1")
        assert remedy_for(failed.value) is Remedy.RECONNECT
    assert session.closed
