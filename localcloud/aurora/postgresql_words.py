"""In which words PostgreSQL, and RDS Proxy for PostgreSQL, refuse a client."""

from __future__ import annotations

from localcloud.aurora import postgresql_protocol as protocol
from localcloud.aurora.login import Login, Refused


class PostgresqlWords:
    """Words (see words.py). Source: Aurora User Guide, "Troubleshooting RDS Proxy issues with PostgreSQL"."""

    def needs_tls(self, login: Login) -> Refused:
        """Refuse as Aurora does with rds.force_ssl."""
        return Refused(
            protocol.INVALID_AUTHORIZATION,
            f'no pg_hba.conf entry for host "{login.address}", user "{login.user}",'
            f' database "{login.database}", no encryption',
        )

    def token_needs_tls(self, login: Login) -> Refused:
        """Refuse by the same rule."""
        return self.needs_tls(login)

    def token_refused(self, login: Login) -> Refused:
        """Refuse as Aurora's PAM does."""
        return Refused(protocol.INVALID_AUTHORIZATION, f'PAM authentication failed for user "{login.user}"')

    def not_accepting(self) -> Refused:
        """Refuse as a server does that is starting or stopping."""
        return Refused(protocol.CANNOT_CONNECT_NOW, "the database system is not accepting connections")

    def proxy_needs_tls(self) -> Refused:
        """Refuse plaintext."""
        return Refused(protocol.INVALID_AUTHORIZATION, "This RDS Proxy requires TLS connections")

    def proxy_token_needs_tls(self, login: Login) -> Refused:
        """Refuse a token in plaintext."""
        return Refused(protocol.INVALID_AUTHORIZATION, "IAM is allowed only with SSL connections")

    def proxy_has_no_credentials(self, login: Login) -> Refused:
        """Refuse who has no secret."""
        return Refused(
            protocol.INVALID_PASSWORD,
            f"This RDS proxy has no credentials for the role {login.user}."
            " Check the credentials for this role and try again.",
        )

    def proxy_token_refused(self, login: Login) -> Refused:
        """Refuse a token."""
        return Refused(
            protocol.INVALID_AUTHORIZATION,
            f"The IAM authentication failed for the role {login.user}."
            " Check the IAM token for this role and try again.",
        )

    def proxy_not_admitted(self, login: Login, *, by_token: bool) -> Refused:
        """Pass on what the database says to the proxy."""
        method = "PAM" if by_token else "password"
        return Refused(protocol.INVALID_PASSWORD, f'{method} authentication failed for user "{login.user}"')

    def proxy_has_no_target(self, reason: str) -> Refused:
        """Refuse for want of a server."""
        return Refused(
            protocol.TOO_MANY_CONNECTIONS, f"Timed-out waiting to acquire database connection ({reason})"
        )
