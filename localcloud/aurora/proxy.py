"""An RDS proxy: TLS, IAM tokens and secrets in front of a cluster. Clients do not share connections here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from localcloud.aurora.cluster import Cluster
from localcloud.aurora.database_server import Account, DatabaseServer
from localcloud.aurora.endpoint import Admission
from localcloud.aurora.engines import Engine
from localcloud.aurora.gates import TokenCheck, account_of, serving
from localcloud.aurora.iam_tokens import TokenRefused
from localcloud.aurora.login import Login
from localcloud.aurora.words import Words
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
    engine: Engine
    settings: ProxySettings
    cluster: Cluster | None = None
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

    def servers(self) -> Sequence[DatabaseServer]:
        """Every instance of the target."""
        cluster = self.proxy.cluster
        return [instance.server for instance in cluster.instances] if cluster else []

    def choose(self) -> DatabaseServer:
        """The target's writer or a reader, whichever this endpoint leads to."""
        cluster = self.proxy.cluster
        if cluster is None:
            raise self._words.proxy_has_no_target(f"proxy {self.proxy.name} has no target")
        if reason := self.proxy.why_unreachable():
            _log.warning("proxy %s does not reach its target: %s", self.proxy.name, reason)
            raise self._words.proxy_has_no_target(
                f"local cloud: the target of proxy {self.proxy.name}: {reason}"
            )
        instance = cluster.next_reader() if self.read_only else cluster.writer
        if instance is None:
            wanted = "reader" if self.read_only else "writer"
            raise self._words.proxy_has_no_target(f"proxy {self.proxy.name} has no {wanted}")
        return serving(cluster, instance, self._words)

    def admit(self, login: Login, chosen: DatabaseServer | None = None) -> Admission:
        """The server, by the proof that the proxy is configured to ask for."""
        settings = self.proxy.settings
        if settings.requires_tls and not login.encrypted:
            raise self._words.proxy_needs_tls()
        secret = next((one for one in settings.secret_users() if one.user == login.user), None)
        if secret is None and not settings.end_to_end_iam:
            raise self._words.proxy_has_no_credentials(login)
        by_token = secret is None or secret.requires_token
        if by_token and not login.encrypted:
            raise self._words.proxy_token_needs_tls(login)
        server = chosen or self.choose()
        account = account_of(server, login.user, self._words)
        if secret is None:
            return Admission(
                server, lambda token: self._check_end_to_end(account, login, token), account=account
            )
        if account.by_token:  # the proxy would come with the secret's password
            raise self._words.proxy_not_admitted(login, by_token=True)
        if not by_token:
            return Admission(server, account=account)
        return Admission(server, lambda token: self._check(login, token), secret.password, account)

    @property
    def _words(self) -> Words:
        return self.proxy.engine.words

    def _check_end_to_end(self, account: Account, login: Login, token: str) -> None:
        self._check(login, token)
        # the proxy in turn logs in by a token of its own role: the database takes it for IAM users
        if not account.by_token:
            raise self._words.proxy_not_admitted(login, by_token=False)
        role_arn, resource_arn = self.proxy.settings.role_arn, self.proxy.cluster_resource_arn(login.user)
        decision = self.proxy.role_may_connect(role_arn, resource_arn)
        if not decision.allowed:
            raise self._words.proxy_not_admitted(login, by_token=True)

    def _check(self, login: Login, token: str) -> None:
        try:
            self.tokens.verify(login.user, token)
        except TokenRefused as reason:
            _log.warning("token of %s refused at proxy %s: %s", login.user, self.proxy.name, reason)
            raise self._words.proxy_token_refused(login) from reason
