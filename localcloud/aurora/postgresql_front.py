"""PostgreSQL's protocol at an endpoint: TLS if asked for, the user, a token or the server's own questions."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

from localcloud.aurora import postgresql_protocol as protocol
from localcloud.aurora.database_server import DatabaseServer
from localcloud.aurora.endpoint import Gate
from localcloud.aurora.login import Login, Refused
from localcloud.aurora.postgresql_protocol import CancelRequest, EncryptionRequest, Startup
from localcloud.aurora.scram_login import log_in
from localcloud.aurora.wire import Wire

_CANCEL_TIMEOUT_SECONDS = 5.0


class PostgresqlFront:
    """A Front (see endpoint.py). The client speaks first, and the server is chosen when its user is known."""

    async def negotiate(self, client: Wire, gate: Gate, tls: ssl.SSLContext) -> Wire | None:
        """Log a client in, or pass its cancel request on; who is refused is told why."""
        try:
            return await _negotiate(client, gate, tls)
        except Refused as refused:
            client.transport.write(protocol.fatal(refused))
            return None


async def _negotiate(client: Wire, gate: Gate, tls: ssl.SSLContext) -> Wire | None:
    encrypted = False
    while True:
        packet = await protocol.read_packet(client, largest_bytes=protocol.LARGEST_STARTUP_PACKET_BYTES)
        if len(packet) < 8:
            raise EOFError
        match protocol.first_packet(packet):
            case EncryptionRequest(tls=wants_tls):
                if encrypted or client.has_unread:  # data before the handshake would pass for encrypted
                    raise Refused(protocol.PROTOCOL_VIOLATION, "received unencrypted data after SSL request")
                client.transport.write(b"S" if wants_tls else b"N")
                if wants_tls:
                    await client.start_tls(tls)
                    encrypted = True
            case CancelRequest(packet=cancel):
                await _pass_on(gate, cancel)
                return None
            case Startup() as startup:
                return await _log_in(client, gate, startup, encrypted=encrypted)


async def _log_in(client: Wire, gate: Gate, startup: Startup, *, encrypted: bool) -> Wire:
    login = Login(startup.user, startup.database, client.peer_address, encrypted)
    admission = await asyncio.to_thread(gate.admit, login)
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


async def _pass_on(gate: Gate, cancel: bytes) -> None:
    """Ask every server: process ids are unique on one machine, so only the one that is meant acts."""
    for server in gate.servers():
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            async with asyncio.timeout(_CANCEL_TIMEOUT_SECONDS):
                wire = await _connect(server, trusted=True)
                wire.transport.write(cancel)
                await wire.read(1)  # the server answers by closing, once the signal is sent


async def _ask_for_token(client: Wire) -> str:
    client.transport.write(protocol.authentication(protocol.AUTHENTICATION_CLEARTEXT))
    kind, body = await protocol.read_message(client, largest_bytes=protocol.LARGEST_PASSWORD_BYTES)
    if kind != b"p":
        raise Refused(protocol.PROTOCOL_VIOLATION, f"expected password response, got message type {kind[0]}")
    return body.rstrip(b"\0").decode(errors="replace")


async def _start_session(server: DatabaseServer, startup: Startup, *, trusted: bool = False) -> Wire:
    try:
        wire = await _connect(server, trusted=trusted)
    except OSError as error:
        raise Refused(
            protocol.CANNOT_CONNECT_NOW, "the database system is not accepting connections"
        ) from error
    wire.transport.write(startup.packet)
    return wire


async def _connect(server: DatabaseServer, *, trusted: bool) -> Wire:
    """To the server's door that trusts, or to the one that asks for the password."""
    loop = asyncio.get_running_loop()
    if trusted:
        _, wire = await loop.create_unix_connection(Wire, str(server.socket_path))
    else:
        _, wire = await loop.create_connection(Wire, "127.0.0.1", server.port)
    return wire
