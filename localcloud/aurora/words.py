"""In which words a client is refused: every engine, and RDS Proxy for it, has its own."""

from __future__ import annotations

from typing import Protocol

from localcloud.aurora.login import Login, Refused


class Words(Protocol):
    """What a server of one engine says, and what a proxy before it says."""

    def needs_tls(self, login: Login) -> Refused:
        """The cluster admits nobody without TLS."""

    def token_needs_tls(self, login: Login) -> Refused:
        """Tokens are not taken without TLS."""

    def token_refused(self, login: Login) -> Refused:
        """The cluster does not take this token."""

    def not_accepting(self) -> Refused:
        """There is no server that runs."""

    def proxy_needs_tls(self) -> Refused:
        """The proxy admits nobody without TLS."""

    def proxy_token_needs_tls(self, login: Login) -> Refused:
        """The proxy takes no token without TLS."""

    def proxy_has_no_credentials(self, login: Login) -> Refused:
        """No secret of the proxy's is for this user."""

    def proxy_token_refused(self, login: Login) -> Refused:
        """The proxy does not take this token."""

    def proxy_not_admitted(self, login: Login, *, by_token: bool) -> Refused:
        """The database does not take what the proxy comes with: its role's token, or a secret's password."""

    def proxy_has_no_target(self, reason: str) -> Refused:
        """No server is there for the client; said at once, where RDS Proxy waits for its borrow timeout."""
