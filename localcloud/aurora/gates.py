"""The rules of Aurora's endpoints: who gets in, by which proof, and to which instance."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from localcloud.aurora import iam_tokens
from localcloud.aurora.cluster import Cluster, Instance
from localcloud.aurora.database_server import Account, DatabaseServer
from localcloud.aurora.endpoint import Admission
from localcloud.aurora.iam_tokens import Expected, KeyLookup, TokenRefused
from localcloud.aurora.login import Login
from localcloud.aurora.words import Words
from localcloud.iam.evaluation import Decision

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TokenCheck:
    """What tokens for one endpoint have to say, and which resource's users they may act as."""

    host: str
    port: int
    region: str
    resource_arn: Callable[[str], str]
    """Of a database user, as policies for rds-db:connect name it."""
    key_of: KeyLookup
    may_connect: Callable[[str, str], Decision]
    """Whether the holder of an access key may log in as the user of such an ARN."""

    def verify(self, user: str, token: str) -> None:
        """Returns for a token that admits this database user here; else TokenRefused."""
        expected = Expected(self.host, self.port, user, self.region)
        access_key_id = iam_tokens.verify(token, expected, self.key_of)
        resource_arn = self.resource_arn(user)
        decision = self.may_connect(access_key_id, resource_arn)
        if not decision.allowed:
            raise TokenRefused(f"it may not rds-db:connect to {resource_arn} {decision.reason}")


@dataclass(frozen=True)
class ClusterGate:
    """A cluster's or an instance's own endpoint.

    IAM users log in by token and over TLS only, all others by the password that the server asks for.
    """

    cluster: Cluster
    choose_instance: Callable[[], Instance | None]
    tokens: TokenCheck
    allows_iam: Callable[[], bool]

    def servers(self) -> Sequence[DatabaseServer]:
        """Every instance: the roles may have changed since a session began."""
        return [instance.server for instance in self.cluster.instances]

    def choose(self) -> DatabaseServer:
        """The server of the instance that this endpoint leads to."""
        return serving(self.cluster, self.choose_instance(), self._words)

    def admit(self, login: Login, chosen: DatabaseServer | None = None) -> Admission:
        """The server for this client; refuses plaintext where the cluster's parameters say so."""
        if self.cluster.requires_tls and not login.encrypted:
            raise self._words.needs_tls(login)
        server = chosen or self.choose()
        account = account_of(server, login.user, self._words)
        if not account.by_token:
            return Admission(server, account=account)
        if not login.encrypted:
            raise self._words.token_needs_tls(login)
        return Admission(server, check_token=lambda token: self._check(login, token), account=account)

    @property
    def _words(self) -> Words:
        return self.cluster.engine.words

    def _check(self, login: Login, token: str) -> None:
        try:
            if not self.allows_iam():
                raise TokenRefused("IAM authentication is not enabled on the cluster")
            self.tokens.verify(login.user, token)
        except TokenRefused as reason:
            _log.warning("token of %s refused at %s: %s", login.user, self.tokens.host, reason)
            raise self._words.token_refused(login) from reason


def serving(cluster: Cluster, instance: Instance | None, words: Words) -> DatabaseServer:
    """The instance's server if it serves; else what a client hears."""
    if instance is None or not cluster.admits_clients(instance):
        raise words.not_accepting()
    return instance.server


def account_of(server: DatabaseServer, user: str, words: Words) -> Account:
    """What the server knows of a user who wants to log in."""
    try:
        return server.account(user)
    except ConnectionError as error:
        raise words.not_accepting() from error
