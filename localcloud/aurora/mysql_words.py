"""In which words MySQL, and RDS Proxy for MySQL, refuse a client."""

from __future__ import annotations

from localcloud.aurora.login import Login, Refused


class MysqlWords:
    """Words (see words.py). Source: Aurora User Guide, "Troubleshooting RDS Proxy issues with MySQL".

    MySQL tells nobody why a login failed: it is always 1045.
    """

    def access_denied(self, login: Login, *, with_password: bool = True) -> Refused:
        """Refuse a login as MySQL does, whatever the reason."""
        using = "YES" if with_password else "NO"
        message = f"Access denied for user '{login.user}'@'{login.address}' (using password: {using})"
        return Refused("28000", message, code=1045)

    def needs_tls(self, login: Login) -> Refused:
        """Refuse as a server does with require_secure_transport."""
        return Refused(
            "HY000",
            "Connections using insecure transport are prohibited while --require_secure_transport=ON.",
            code=3159,
        )

    def token_needs_tls(self, login: Login) -> Refused:
        """Refuse as the plugin does."""
        return self.access_denied(login)

    def token_refused(self, login: Login) -> Refused:
        """Refuse as the plugin does."""
        return self.access_denied(login)

    def not_accepting(self) -> Refused:
        """Refuse as a server does that is stopping: one that has stopped would not answer at all."""
        return Refused("08S01", "Server shutdown in progress", code=1053)

    def proxy_needs_tls(self) -> Refused:
        """Refuse plaintext."""
        return Refused("HY000", "This RDS Proxy requires TLS connections.", code=3159)

    def proxy_token_needs_tls(self, login: Login) -> Refused:
        """Refuse a token in plaintext."""
        return self.access_denied(login)

    def proxy_has_no_credentials(self, login: Login) -> Refused:
        """Refuse who has no secret."""
        return self.access_denied(login)

    def proxy_token_refused(self, login: Login) -> Refused:
        """Refuse a token."""
        return self.access_denied(login)

    def proxy_not_admitted(self, login: Login, *, by_token: bool) -> Refused:
        """Pass on what the database says to the proxy."""
        return self.access_denied(login)

    def proxy_has_no_target(self, reason: str) -> Refused:
        """Refuse for want of a server."""
        return Refused("HY000", f"Timed-out waiting to acquire database connection ({reason})", code=9501)
