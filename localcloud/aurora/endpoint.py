"""Endpoints: what listens where a client connects, and joins it to a server.

An endpoint decides nothing itself: its gate says whom it admits and to which server, and its front speaks the
engine's protocol up to the session.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from localcloud.aurora.database_server import Account, DatabaseServer
from localcloud.aurora.login import Login
from localcloud.aurora.wire import Wire
from localcloud.network.admission import SILENCE_SECONDS, Door

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

NEGOTIATION_TIMEOUT_SECONDS = 60.0  # PostgreSQL's authentication_timeout
_BACKLOG = 512

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Admission:
    """Where a client may go, and how it has to prove who it is.

    Without `check_token` the server itself asks for the password. With it the client has to send an IAM
    token, which `check_token` refuses by raising Refused; the server is then told the `password`, or takes
    our word where there is none.
    """

    server: DatabaseServer
    check_token: Callable[[str], None] | None = None
    password: str | None = None
    account: Account | None = None
    """What the server knows of the user, where the gate has asked."""


class Gate(Protocol):
    """The rules of one endpoint. It is asked on threads: it may take its time, and must be safe there."""

    def choose(self) -> DatabaseServer:
        """The server that a client gets now; raises Refused where there is none."""

    def admit(self, login: Login, chosen: DatabaseServer | None = None) -> Admission:
        """Where this client goes, to the server `chosen` already where there is one; raises Refused."""

    def servers(self) -> Sequence[DatabaseServer]:
        """All servers that sessions of this endpoint may be on."""


class Front(Protocol):
    """One engine's protocol, from the connection to the session."""

    async def negotiate(self, client: Wire, gate: Gate, tls: ssl.SSLContext) -> Wire | None:
        """The server's side of the session, logged in; None when the client has got its answer.

        EOFError and OSError say that nobody is left to answer.
        """


class Endpoints:
    """All endpoints of one cloud, served by one thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="endpoints", daemon=True)
        self._thread.start()
        self._open: set[Endpoint] = set()

    @classmethod
    def of(cls, cloud: Cloud) -> Endpoints:
        """The endpoints of a cloud; they end with it."""

        def make(cloud: Cloud) -> Endpoints:
            endpoints = cls()
            cloud.on_shutdown(endpoints.close)
            return endpoints

        return cloud.part(cls, make)

    def listen(
        self,
        address: str,
        port: int,
        *,
        tls: ssl.SSLContext,
        gate: Gate,
        front: Front,
        door: Door | None = None,
    ) -> Endpoint:
        """An endpoint that accepts connections when this returns; OSError when the address is taken.

        Whom the `door` does not admit gets no answer.
        """
        endpoint = Endpoint(tls, gate, front, door, self)
        self._run(endpoint.start(address, port))
        self._open.add(endpoint)
        return endpoint

    def close_endpoint(self, endpoint: Endpoint) -> None:
        """Neither listens nor holds a connection any more."""
        self._open.discard(endpoint)
        self._run(endpoint.end())

    def close(self) -> None:
        """No endpoint, no connection and no thread is left."""
        if self._loop.is_closed():
            return
        for endpoint in list(self._open):
            self.close_endpoint(endpoint)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


class Endpoint:
    """One address and port. All clients of one endpoint are under one gate."""

    def __init__(
        self, tls: ssl.SSLContext, gate: Gate, front: Front, door: Door | None, endpoints: Endpoints
    ) -> None:
        self._tls = tls
        self._gate = gate
        self._front = front
        self._door = door
        self._endpoints = endpoints
        self._listener: asyncio.Server | None = None
        self._clients: dict[Wire, asyncio.Task[None]] = {}

    def close(self) -> None:
        """End the endpoint with all its connections. Not from the endpoints' own thread."""
        self._endpoints.close_endpoint(self)

    async def start(self, address: str, port: int) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: Wire(self._accept, self._forget), address, port, backlog=_BACKLOG, family=socket.AF_INET
        )

    async def end(self) -> None:
        """Stop listening and disconnect everyone."""
        if self._listener:
            self._listener.close()
        for wire, task in list(self._clients.items()):
            task.cancel()
            wire.transport.abort()
        await asyncio.sleep(0)  # the connections' ends are told in the next turn

    def _accept(self, client: Wire) -> None:
        self._clients[client] = asyncio.get_running_loop().create_task(self._serve(client))

    def _forget(self, client: Wire) -> None:
        self._clients.pop(client, None)

    async def _serve(self, client: Wire) -> None:
        try:
            if not await self._admits(client):
                # the connection stays, without a word, until the client or its process ends, or gives up
                asyncio.get_running_loop().call_later(SILENCE_SECONDS, client.transport.abort)
                return
            async with asyncio.timeout(NEGOTIATION_TIMEOUT_SECONDS):
                server = await self._front.negotiate(client, self._gate, self._tls)
        except (EOFError, OSError, TimeoutError):  # gone, or no client of ours: nobody to answer
            client.transport.abort()
        except Exception:
            _log.exception("a connection could not be served")
            client.transport.abort()
        else:
            if server is None:
                client.transport.close()
            else:
                client.join(server)

    async def _admits(self, client: Wire) -> bool:
        if self._door is None:
            return True
        ends = [client.transport.get_extra_info(name) for name in ("peername", "sockname")]
        if None in ends:
            raise EOFError  # gone before anybody could look
        return await asyncio.to_thread(self._door, *ends)
