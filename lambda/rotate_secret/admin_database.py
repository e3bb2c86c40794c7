"""The cluster as the rotation sees it: it accepts a password or not, and takes a new one."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from aurora.connecting import connect_with
from aurora.credentials import Credential
from aurora.deadline import Deadline
from aurora.environment import DatabaseEnvironment
from aurora.failures import CredentialRefused
from aurora.session import Session


@dataclass(frozen=True)
class AdminDatabase:
    """The cluster's writer, reached past the proxy, over TLS verified in full."""

    environment: DatabaseEnvironment
    deadline: Deadline

    def accepts(self, credential: Credential) -> bool:
        """Tell whether `credential` opens a session; what fails for another reason raises."""
        try:
            self._connect(credential).close()
        except CredentialRefused:
            return False
        return True

    def change_password(self, credential: Credential, new_password: str) -> bool:
        """Log in by `credential` and give its user `new_password`; False where the login is refused."""
        try:
            session = self._connect(credential)
        except CredentialRefused:
            return False
        with closing(session):
            session.change_password(new_password)
        return True

    def _connect(self, credential: Credential) -> Session:
        return connect_with(
            self.environment, credential, host=self.environment.cluster_endpoint, deadline=self.deadline
        )
