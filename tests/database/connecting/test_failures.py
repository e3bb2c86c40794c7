"""What the other side says tells what helps: waiting, another credential, a new connection, or nothing."""

from __future__ import annotations

import psycopg2
import pytest

from aurora import postgresql
from aurora.credentials import Credential
from aurora.failures import (
    CertificateRefused,
    CredentialRefused,
    HostUnknown,
    Rejected,
    Unavailable,
)
from aurora.postgresql import Remedy

FAILURES = [
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


@pytest.mark.parametrize(("said", "kind"), FAILURES)
def test_what_is_said_tells_what_helps(monkeypatch, environment, said, kind):
    def refuse(**_options):
        raise psycopg2.OperationalError(f'connection to server at "x", port 5432 failed: {said}\n')

    monkeypatch.setattr(psycopg2, "connect", refuse)
    with pytest.raises(kind) as failed:
        postgresql.connect(environment, "x", Credential("u", "p"), ca_file="system", timeout_seconds=1)
    assert type(failed.value) is kind
    assert "u@x:" in str(failed.value)


REMEDIES = [
    ("40P01", Remedy.RETRY),
    ("40001", Remedy.RETRY),
    ("55P03", Remedy.RETRY),
    ("25006", Remedy.RECONNECT),
    ("57P01", Remedy.RECONNECT),
    ("57P03", Remedy.RECONNECT),
    ("53300", Remedy.RECONNECT),
    ("08006", Remedy.RECONNECT),
    ("23505", Remedy.NONE),
    ("SH001", Remedy.NONE),
    ("42501", Remedy.NONE),
]


@pytest.mark.parametrize(("sqlstate", "remedy"), REMEDIES)
def test_an_error_s_sqlstate_tells_what_a_caller_may_do(shared_database, sqlstate, remedy):
    with pytest.raises(psycopg2.Error) as failed:
        shared_database.rows(f"DO $$ BEGIN RAISE EXCEPTION SQLSTATE '{sqlstate}'; END $$")
    assert postgresql.remedy_for(failed.value) is remedy


def test_a_terminated_session_is_to_be_replaced(shared_database):
    connection = shared_database.connect()
    shared_database.rows("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
    for _ in range(2):  # first the server's last words, then the driver's
        with pytest.raises(psycopg2.Error) as failed, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        assert postgresql.remedy_for(failed.value) is Remedy.RECONNECT
