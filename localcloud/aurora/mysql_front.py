"""MySQL's protocol at an endpoint: the real server's greeting, TLS, a token or the server's own questions.

The server speaks first, and its connection id is what clients name in KILL. So a client is given its server
at once, and the rest of the login goes through that one connection, by the private socket.
"""

from __future__ import annotations

import asyncio
import functools
import ssl

from localcloud.aurora import mysql_protocol as protocol
from localcloud.aurora.database_server import Account, DatabaseServer
from localcloud.aurora.endpoint import Admission, Gate
from localcloud.aurora.login import Login, Refused
from localcloud.aurora.mysql_commands import MysqlCommands
from localcloud.aurora.mysql_passwords import answer, clear_password_of
from localcloud.aurora.mysql_protocol import Greeting, Packets, Response
from localcloud.aurora.mysql_words import MysqlWords
from localcloud.aurora.wire import Wire


class MysqlFront:
    """A Front (see endpoint.py)."""

    async def negotiate(self, client: Wire, gate: Gate, tls: ssl.SSLContext) -> Wire | None:
        """Greet a client as its server does and log it in; who is refused is told why."""
        packets = Packets(client)
        try:
            chosen = await asyncio.to_thread(gate.choose)
            server = await _connect(chosen)
        except Refused as refused:
            packets.send(protocol.error(refused, greeted=False))
            return None
        joined = False
        try:
            joined = await _Login(packets, server, chosen, gate, tls).run()
        except Refused as refused:
            packets.send(protocol.error(refused))
        finally:
            if not joined:
                server.wire.transport.abort()
        if not joined:
            return None
        client.watch = MysqlCommands()
        return server.wire


class _Login:
    """One login of one client at one server."""

    def __init__(
        self, client: Packets, server: Packets, chosen: DatabaseServer, gate: Gate, tls: ssl.SSLContext
    ) -> None:
        self._client = client
        self._server = server
        self._chosen = chosen
        self._gate = gate
        self._tls = tls

    async def run(self) -> bool:
        """Whether the client is logged in; if not, and nothing is raised, the server has told it why."""
        first = await self._server.receive()
        if first[0] == protocol.ERROR:  # too many connections, say
            self._client.send(first)
            return False
        greeting = Greeting.parse(first)
        self._client.send(greeting.for_clients())
        response, encrypted = await self._response()
        login = Login(response.user, response.database, self._client.wire.peer_address, encrypted)
        admission = await asyncio.to_thread(self._gate.admit, login, self._chosen)
        account = admission.account
        if account is None:
            account = await asyncio.to_thread(self._account, login.user)
        if account.is_private or (account.by_token and not admission.check_token):
            raise MysqlWords().access_denied(login, with_password=response.gives_password)
        if admission.check_token:
            await self._check_token(admission)
        return await self._log_in(greeting, response, admission, account, encrypted=encrypted)

    async def _response(self) -> tuple[Response, bool]:
        packet, encrypted = await self._client.receive(), False
        if protocol.asks_for_tls(packet):
            await self._client.wire.start_tls(self._tls)
            packet, encrypted = await self._client.receive(), True
        return Response.parse(packet), encrypted

    def _account(self, user: str) -> Account:
        try:
            return self._chosen.account(user)
        except ConnectionError as error:
            raise MysqlWords().not_accepting() from error

    async def _check_token(self, admission: Admission) -> None:
        self._client.send(protocol.switch(protocol.CLEAR_PASSWORD))
        token = (await self._client.receive()).rstrip(b"\0").decode(errors="replace")
        if admission.check_token:
            await asyncio.to_thread(admission.check_token, token)

    async def _log_in(
        self,
        greeting: Greeting,
        response: Response,
        admission: Admission,
        account: Account,
        *,
        encrypted: bool,
    ) -> bool:
        """Log in to the server: with the client's own answers, with a password of ours, or by our word."""
        upstream_tls = encrypted and account.requires_tls
        packet = response.for_server(encrypted=upstream_tls)
        if admission.password is not None:
            proof = protocol.scrambled(admission.password, protocol.CACHING_SHA2, greeting.nonce) or b""
            packet = response.with_password(proof, protocol.CACHING_SHA2, encrypted=upstream_tls)
        if upstream_tls:
            self._server.send(protocol.tls_request(packet))
            await self._server.wire.start_tls(_private_tls(), server_side=False)
        self._server.send(packet)
        if admission.check_token is None:
            return await self._relay(greeting.nonce, encrypted=encrypted)
        while True:
            said = await self._server.receive()
            if said[0] in (protocol.OK, protocol.ERROR):
                self._client.send(said)
                return said[0] == protocol.OK
            if admission.password is None:  # it does not take our word for this account
                raise MysqlWords().access_denied(
                    Login(response.user, response.database, self._client.wire.peer_address, encrypted)
                )
            if said != protocol.FAST_SUCCESS:
                self._server.send(answer(said, admission.password))

    async def _relay(self, nonce: bytes, *, encrypted: bool) -> bool:
        """The server asks the client, whatever way it likes, until it is satisfied or not."""
        while True:
            said = await self._server.receive()
            if said == protocol.FULL_AUTHENTICATION and not encrypted:
                self._client.send(said)
                self._server.send(await clear_password_of(self._client, nonce))
                continue
            self._client.send(said)
            match said[0]:
                case protocol.OK:
                    return True
                case protocol.ERROR:
                    return False
                case protocol.SWITCH:
                    nonce = protocol.switched_to(said)[1]
            if said != protocol.FAST_SUCCESS:
                self._server.send(await self._client.receive())


async def _connect(server: DatabaseServer) -> Packets:
    try:
        _, wire = await asyncio.get_running_loop().create_unix_connection(Wire, str(server.socket_path))
    except OSError as error:
        raise MysqlWords().not_accepting() from error
    return Packets(wire)


@functools.cache
def _private_tls() -> ssl.SSLContext:
    """For accounts that require TLS of every session: nobody can stand between on a private socket."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
