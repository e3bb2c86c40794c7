"""The decision: who gets through to a database endpoint or an AWS API, and what was refused to whom."""

from __future__ import annotations

from collections.abc import Callable

from localcloud.cloud import Cloud
from localcloud.enforcements import Enforcement
from localcloud.functions.environment import ExecutionEnvironment
from localcloud.functions.live import LiveEnvironments
from localcloud.network import interfaces, routes, security_groups
from localcloud.network.callers import Callers, Gone, SocketAddress, unenforceable
from localcloud.network.interfaces import Dropped, Interface
from localcloud.refusals import Refusals

SILENCE_SECONDS = 127.0
"""So long Linux waits for an answer: 1 + 2 + 4 … + 64 s (tcp_syn_retries, tcp(7))."""

Locate = Callable[[], Interface | None]
"""Where a target stands now; None when it is being deleted."""

Door = Callable[[SocketAddress, SocketAddress], bool]
"""Whether a connection from the first address to the second is admitted."""


class Network:
    """What passes between functions, databases and AWS's APIs. A part of the cloud.

    Nothing is looked up where the enforcement is off, or where the system cannot tell whose a connection is.
    Whoever is no function, as a developer's own client, gets through.
    """

    def __init__(self, cloud: Cloud) -> None:
        self.enforced = cloud.enforces(Enforcement.NETWORK) and unenforceable() is None
        self.callers = Callers(cloud.part(LiveEnvironments, LiveEnvironments))
        self._refusals = Refusals.of(cloud)

    @classmethod
    def of(cls, cloud: Cloud) -> Network:
        """Return the network of a cloud."""
        return cloud.part(cls, cls)

    def door(self, name: str, locate: Locate, port: int) -> Door | None:
        """Return who decides about connections to a database endpoint; None when all get through."""

        def admits(client: SocketAddress, here: SocketAddress) -> bool:
            try:
                caller = self.callers.of(client, here)
            except Gone:
                return False
            target = locate() if caller else None
            if caller is None or target is None:
                return True
            try:
                _check(interfaces.of_function(caller.configuration), target, port)
            except Dropped as reason:
                self.refuse(caller, f"{name}: {reason}")
                return False
            return True

        return admits if self.enforced else None

    def between(self, source: Locate, target: Locate, port: int) -> str | None:
        """Return why a proxy does not reach its target; None when it does."""
        here, there = source(), target()
        if not self.enforced or here is None or there is None:
            return None
        try:
            _check(here, there, port)
        except Dropped as reason:
            return str(reason)
        return None

    def refuse(self, caller: ExecutionEnvironment, reason: str) -> None:
        """Say why the function will get no answer: in the server's log, in its own, and in its timeout."""
        self._refusals.record(Enforcement.NETWORK, f"function {caller.configuration.name}", reason)
        caller.leave_unanswered(reason)


def _check(source: Interface | None, target: Interface, port: int) -> None:
    if source is None:
        _check_from_outside(target, port)
    elif source.vpc_id != target.vpc_id:
        raise Dropped(f"it is in {target.vpc_id}, and the caller in {source.vpc_id}")
    else:
        security_groups.check(source, target, port)


def _check_from_outside(target: Interface, port: int) -> None:
    if not target.public:
        raise Dropped(
            f"the function has no VpcConfig, so it has no route to private addresses of {target.vpc_id}"
        )
    routes.require_open_subnets(target)
    security_groups.enter(target, security_groups.Peer((security_groups.ANYWHERE,)), port)
