"""The rules of Aurora's endpoints: who gets in, by which proof, and to which instance."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg2

from localcloud.aurora import iam_tokens
from localcloud.aurora import postgresql_protocol as protocol
from localcloud.aurora.endpoint import Admission
from localcloud.aurora.iam_tokens import Expected, KeyLookup, TokenRefused
from localcloud.aurora.postgresql_cluster import Instance, PostgresqlCluster
from localcloud.aurora.postgresql_protocol import Refused, Startup
from localcloud.aurora.postgresql_server import PostgresqlServer
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

    Members of rds_iam log in by token and over TLS only, all others by the password that the server asks for.
    """

    cluster: PostgresqlCluster
    choose: Callable[[], Instance | None]
    tokens: TokenCheck
    allows_iam: Callable[[], bool]

    def servers(self) -> Sequence[PostgresqlServer]:
        """Every instance: the roles may have changed since a session began."""
        return [instance.server for instance in self.cluster.instances]

    def admit(self, startup: Startup, *, client_address: str, encrypted: bool) -> Admission:
        """The instance for this client; refuses plaintext as RDS does where rds.force_ssl is on."""
        if self.cluster.requires_tls and not encrypted:
            raise _no_entry(startup, client_address)
        instance = running(self.choose())
        if not is_iam_user(instance, startup.user):
            return Admission(instance.server)
        if not encrypted:
            raise _no_entry(startup, client_address)
        return Admission(instance.server, check_token=lambda token: self._check(startup.user, token))

    def _check(self, user: str, token: str) -> None:
        try:
            if not self.allows_iam():
                raise TokenRefused("IAM authentication is not enabled on the cluster")
            self.tokens.verify(user, token)
        except TokenRefused as reason:
            _log.warning("token of %s refused at %s: %s", user, self.tokens.host, reason)
            raise Refused(
                protocol.INVALID_AUTHORIZATION, f'PAM authentication failed for user "{user}"'
            ) from reason


def running(instance: Instance | None) -> Instance:
    """The instance if it serves; else what a client hears."""
    if instance is None or not instance.server.is_running:
        raise Refused(protocol.CANNOT_CONNECT_NOW, "the database system is not accepting connections")
    return instance


def is_iam_user(instance: Instance, user: str) -> bool:
    """Whether this role logs in by token only."""
    try:
        return instance.iam.includes(user)
    except psycopg2.OperationalError as error:
        raise Refused(
            protocol.CANNOT_CONNECT_NOW, "the database system is not accepting connections"
        ) from error


def _no_entry(startup: Startup, client_address: str) -> Refused:
    return Refused(
        protocol.INVALID_AUTHORIZATION,
        f'no pg_hba.conf entry for host "{client_address}", user "{startup.user}",'
        f' database "{startup.database}", no encryption',
    )
