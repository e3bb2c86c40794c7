"""One TCP connection of an endpoint: read by exact counts while it is negotiated, then joined to another."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

LARGEST_UNREAD_BYTES = 128 * 1024  # more than any message before the session; then the sender waits
_WRITE_BUFFER_BYTES = 256 * 1024


class Wire(asyncio.Protocol):
    """Nothing is lost between negotiation and relay, and a fast sender waits for a slow receiver."""

    def __init__(
        self, on_connect: Callable[[Wire], None] | None = None, on_end: Callable[[Wire], None] | None = None
    ) -> None:
        self._on_connect = on_connect
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self._ended = False
        self._news: asyncio.Future[None] | None = None
        self._other: Wire | None = None
        self.watch: Callable[[bytes], bytes | None] | None = None
        """Sees what comes in once it is joined; with what it returns the connection ends instead."""

    @property
    def transport(self) -> asyncio.Transport:
        """The transport, TLS once it is started."""
        if self._transport is None:
            raise RuntimeError("not connected yet")
        return self._transport

    @property
    def has_unread(self) -> bool:
        """Whether the other side has sent something that nobody has read yet."""
        return bool(self._unread)

    @property
    def peer_address(self) -> str:
        """The IP address at the other end."""
        name = self.transport.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) else ""

    async def read(self, count: int) -> bytes:
        """Exactly `count` bytes; EOFError when the connection ends before."""
        while len(self._unread) < count:
            if self._ended:
                raise EOFError
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        self.transport.resume_reading()
        return taken

    async def start_tls(self, context: ssl.SSLContext, *, server_side: bool = True) -> None:
        """A TLS handshake; everything after goes encrypted.

        What was read and not taken yet belongs to the handshake.
        """
        loop = asyncio.get_running_loop()
        plain = self.transport
        plain.pause_reading()  # until the transport has a protocol that speaks TLS
        begun = bytes(self._unread)
        self._unread.clear()
        handshake = loop.create_task(
            loop.start_tls(plain, self, context, server_side=server_side, ssl_handshake_timeout=30)
        )
        if begun:
            await asyncio.sleep(0)  # now the transport has that protocol
            await asyncio.sleep(0)  # now the protocol has its transport, and nothing was read since
            _feed(plain.get_protocol(), begun)
        transport = await handshake
        if transport is None:
            raise EOFError
        self._use(transport)

    def join(self, other: Wire) -> None:
        """From now on both sides see each other only."""
        for wire, opposite in ((self, other), (other, self)):
            wire._other = opposite
            unread = bytes(wire._unread)
            wire._unread.clear()
            wire._pass_on(unread)
            wire.transport.resume_reading()
        if self._ended or other._ended:
            self.transport.close()
            other.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio sets TCP_NODELAY by itself)."""
        self._use(cast(asyncio.Transport, transport))
        if self._on_connect:
            self._on_connect(self)

    def data_received(self, data: bytes) -> None:
        """Pass on, or keep for a reader."""
        if self._other is not None:
            self._pass_on(data)
            return
        self._unread += data
        if len(self._unread) > LARGEST_UNREAD_BYTES:
            self.transport.pause_reading()
        self._tell_reader()

    def eof_received(self) -> bool:
        """One direction ends; the other stays open where the transport can do that (TLS cannot)."""
        self._ended = True
        self._tell_reader()
        if self._other is None:
            return False
        if self._other.transport.can_write_eof():
            self._other.transport.write_eof()
        else:
            self._other.transport.close()  # after what is still to be written
        return self.transport.can_write_eof()

    def connection_lost(self, error: Exception | None) -> None:
        """The other side ends too, after what is still to be written."""
        self._ended = True
        self._tell_reader()
        if self._other is not None:
            self._other.transport.close()
        if self._on_end:
            self._on_end(self)

    def pause_writing(self) -> None:
        """The receiver is slow: stop reading from the sender."""
        if self._other is not None:
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        """The receiver has caught up."""
        if self._other is not None:
            self._other.transport.resume_reading()

    def _use(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)

    def _pass_on(self, data: bytes) -> None:
        other = cast(Wire, self._other)
        last_words = self.watch(data) if self.watch else None
        if last_words is None:
            other.transport.write(data)
        else:
            self.transport.write(last_words)
            other.transport.abort()

    def _tell_reader(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


def _feed(protocol: asyncio.BaseProtocol, data: bytes) -> None:
    """Let a protocol receive these bytes as if its transport had just read them."""
    receiver = cast(asyncio.BufferedProtocol, protocol)
    while data:
        buffer = memoryview(receiver.get_buffer(len(data))).cast("B")
        count = min(len(buffer), len(data))
        buffer[:count] = data[:count]
        receiver.buffer_updated(count)
        data = data[count:]
