"""Endpoints: what listens where a client connects, speaks TLS, asks for tokens, and routes to a server.

An endpoint decides nothing itself: its gate says whom it admits and to which server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from localcloud.aurora import postgresql_protocol as protocol
from localcloud.aurora.postgresql_protocol import CancelRequest, EncryptionRequest, Refused, Startup
from localcloud.aurora.postgresql_server import PostgresqlServer
from localcloud.aurora.scram_login import log_in
from localcloud.aurora.wire import Wire
from localcloud.network.admission import SILENCE_SECONDS, Door

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

NEGOTIATION_TIMEOUT_SECONDS = 60.0  # PostgreSQL's authentication_timeout
_CANCEL_TIMEOUT_SECONDS = 5.0
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

    server: PostgresqlServer
    check_token: Callable[[str], None] | None = None
    password: str | None = None


class Gate(Protocol):
    """The rules of one endpoint. It is asked on threads: it may take its time, and must be safe there."""

    def admit(self, startup: Startup, *, client_address: str, encrypted: bool) -> Admission:
        """Where this client goes; raises Refused."""

    def servers(self) -> Sequence[PostgresqlServer]:
        """All servers that sessions of this endpoint may be on."""


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
        self, address: str, port: int, *, tls: ssl.SSLContext, gate: Gate, door: Door | None = None
    ) -> Endpoint:
        """An endpoint that accepts connections when this returns; OSError when the address is taken.

        Whom the `door` does not admit gets no answer.
        """
        endpoint = Endpoint(tls, gate, door, self)
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

    def __init__(self, tls: ssl.SSLContext, gate: Gate, door: Door | None, endpoints: Endpoints) -> None:
        self._tls = tls
        self._gate = gate
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
                server = await self._negotiate(client)
        except Refused as refused:
            client.transport.write(protocol.fatal(refused))
            client.transport.close()
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

    async def _negotiate(self, client: Wire) -> Wire | None:
        """The server's side of the session; None where none comes to be."""
        encrypted = False
        while True:
            packet = await client.read_packet(largest_bytes=protocol.LARGEST_STARTUP_PACKET_BYTES)
            if len(packet) < 8:
                raise EOFError
            match protocol.first_packet(packet):
                case EncryptionRequest(tls=wants_tls):
                    if encrypted or client.has_unread:  # data before the handshake would pass for encrypted
                        raise Refused(
                            protocol.PROTOCOL_VIOLATION, "received unencrypted data after SSL request"
                        )
                    client.transport.write(b"S" if wants_tls else b"N")
                    if wants_tls:
                        await client.start_tls(self._tls)
                        encrypted = True
                case CancelRequest(packet=cancel):
                    await self._pass_on(cancel)
                    return None
                case Startup() as startup:
                    return await self._log_in(client, startup, encrypted=encrypted)

    async def _log_in(self, client: Wire, startup: Startup, *, encrypted: bool) -> Wire:
        admission = await asyncio.to_thread(
            self._gate.admit, startup, client_address=client.peer_address, encrypted=encrypted
        )
        if admission.check_token is None:
            return await _start_session(admission.server, startup)
        token = await _ask_for_token(client)
        await asyncio.to_thread(admission.check_token, token)
        if admission.password is None:
            return await _start_session(admission.server, startup, trusted=True)
        server = await _start_session(admission.server, startup)
        try:
            await log_in(server, startup.user, admission.password)
        except BaseException:
            server.transport.abort()
            raise
        client.transport.write(protocol.authentication(protocol.AUTHENTICATION_OK))
        return server

    async def _pass_on(self, cancel: bytes) -> None:
        """Ask every server: process ids are unique on one machine, so only the one that is meant acts."""
        for server in self._gate.servers():
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                async with asyncio.timeout(_CANCEL_TIMEOUT_SECONDS):
                    wire = await _connect(server, trusted=True)
                    wire.transport.write(cancel)
                    await wire.read(1)  # the server answers by closing, once the signal is sent


async def _ask_for_token(client: Wire) -> str:
    client.transport.write(protocol.authentication(protocol.AUTHENTICATION_CLEARTEXT))
    kind, body = await client.read_message(largest_bytes=protocol.LARGEST_PASSWORD_BYTES)
    if kind != b"p":
        raise Refused(protocol.PROTOCOL_VIOLATION, f"expected password response, got message type {kind[0]}")
    return body.rstrip(b"\0").decode(errors="replace")


async def _start_session(server: PostgresqlServer, startup: Startup, *, trusted: bool = False) -> Wire:
    try:
        wire = await _connect(server, trusted=trusted)
    except OSError as error:
        raise Refused(
            protocol.CANNOT_CONNECT_NOW, "the database system is not accepting connections"
        ) from error
    wire.transport.write(startup.packet)
    return wire


async def _connect(server: PostgresqlServer, *, trusted: bool) -> Wire:
    """To the server's door that trusts, or to the one that asks for the password."""
    loop = asyncio.get_running_loop()
    if trusted:
        _, wire = await loop.create_unix_connection(Wire, str(server.socket_path))
    else:
        _, wire = await loop.create_connection(Wire, "127.0.0.1", server.port)
    return wire
