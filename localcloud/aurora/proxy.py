"""An RDS proxy: TLS, IAM tokens and secrets in front of a cluster. Clients do not share connections here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from localcloud.aurora import postgresql_protocol as protocol
from localcloud.aurora.endpoint import Admission
from localcloud.aurora.gates import TokenCheck, is_iam_user, running
from localcloud.aurora.iam_tokens import TokenRefused
from localcloud.aurora.postgresql_cluster import Instance, PostgresqlCluster
from localcloud.aurora.postgresql_protocol import Refused, Startup
from localcloud.aurora.postgresql_server import PostgresqlServer
from localcloud.iam.evaluation import Decision

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SecretUser:
    """A database user whose password a secret has, and whether clients have to come with an IAM token."""

    user: str
    password: str = field(repr=False)
    requires_token: bool


@dataclass
class ProxySettings:
    """What a DBProxy is configured to do; may change while it runs."""

    role_arn: str
    requires_tls: bool
    end_to_end_iam: bool
    """Users without a secret log in by IAM token, to the proxy and from it to the database."""
    secret_users: Callable[[], Sequence[SecretUser]]
    """Reads the secrets anew: they rotate."""


@dataclass
class Proxy:
    """A proxy and the cluster that its target group names, once there is one."""

    name: str
    settings: ProxySettings
    cluster: PostgresqlCluster | None = None
    cluster_resource_arn: Callable[[str], str] = lambda user: user
    role_may_connect: Callable[[str, str], Decision] = lambda _role_arn, _resource_arn: Decision(allowed=True)
    why_unreachable: Callable[[], str | None] = lambda: None
    """What keeps the proxy's own connections from the cluster; None when nothing does."""


@dataclass(frozen=True)
class ProxyGate:
    """One endpoint of a proxy; the read-only kind leads to readers only, and nowhere without one."""

    proxy: Proxy
    tokens: TokenCheck
    read_only: bool = False

    def servers(self) -> Sequence[PostgresqlServer]:
        """Every instance of the target."""
        cluster = self.proxy.cluster
        return [instance.server for instance in cluster.instances] if cluster else []

    def admit(self, startup: Startup, *, client_address: str, encrypted: bool) -> Admission:
        """The target's writer or a reader, by the proof that the proxy is configured to ask for."""
        user, settings = startup.user, self.proxy.settings
        if settings.requires_tls and not encrypted:
            raise Refused(protocol.INVALID_AUTHORIZATION, "This RDS Proxy requires TLS connections")
        secret = next((one for one in settings.secret_users() if one.user == user), None)
        if secret is None and not settings.end_to_end_iam:
            raise _no_credentials(user)
        by_token = secret is None or secret.requires_token
        if by_token and not encrypted:
            raise Refused(protocol.INVALID_AUTHORIZATION, "IAM is allowed only with SSL connections")
        instance = self._instance()
        if secret is None:
            return Admission(instance.server, lambda token: self._check_end_to_end(instance, user, token))
        if is_iam_user(instance, user):  # the proxy would come with the secret's password
            raise Refused(protocol.INVALID_PASSWORD, f'PAM authentication failed for user "{user}"')
        if not by_token:
            return Admission(instance.server)
        return Admission(instance.server, lambda token: self._check(user, token), secret.password)

    def _instance(self) -> Instance:
        cluster = self.proxy.cluster
        if cluster is None:
            raise _no_target(f"proxy {self.proxy.name} has no target")
        if reason := self.proxy.why_unreachable():
            _log.warning("proxy %s does not reach its target: %s", self.proxy.name, reason)
            raise _no_target(f"local cloud: the target of proxy {self.proxy.name}: {reason}")
        instance = cluster.next_reader() if self.read_only else cluster.writer
        if instance is None:
            wanted = "reader" if self.read_only else "writer"
            raise _no_target(f"proxy {self.proxy.name} has no {wanted}")
        return running(instance)

    def _check_end_to_end(self, instance: Instance, user: str, token: str) -> None:
        self._check(user, token)
        # the proxy in turn logs in by a token of its own role: the database takes it for members of rds_iam
        if not is_iam_user(instance, user):
            raise Refused(protocol.INVALID_PASSWORD, f'password authentication failed for user "{user}"')
        role_arn, resource_arn = self.proxy.settings.role_arn, self.proxy.cluster_resource_arn(user)
        decision = self.proxy.role_may_connect(role_arn, resource_arn)
        if not decision.allowed:
            raise Refused(protocol.INVALID_PASSWORD, f'PAM authentication failed for user "{user}"')

    def _check(self, user: str, token: str) -> None:
        try:
            self.tokens.verify(user, token)
        except TokenRefused as reason:
            _log.warning("token of %s refused at proxy %s: %s", user, self.proxy.name, reason)
            raise Refused(
                protocol.INVALID_AUTHORIZATION,
                f"The IAM authentication failed for the role {user}."
                " Check the IAM token for this role and try again.",
            ) from reason


def _no_credentials(user: str) -> Refused:
    return Refused(
        protocol.INVALID_PASSWORD,
        f"This RDS proxy has no credentials for the role {user}."
        " Check the credentials for this role and try again.",
    )


def _no_target(reason: str) -> Refused:
    """RDS Proxy says this after its borrow timeout; here it is said at once, with the reason."""
    return Refused(
        protocol.TOO_MANY_CONNECTIONS, f"Timed-out waiting to acquire database connection ({reason})"
    )
