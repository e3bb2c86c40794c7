"""The few packets of MySQL's protocol that come before a session: what a front has to read and write.

Source: MySQL documentation, "Connection Phase" and "Connection Phase Packets" of the client/server protocol.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from localcloud.aurora.login import Refused
from localcloud.aurora.wire import Wire

LARGEST_PACKET_BYTES = 64_000  # before a session; an IAM token with its session token stays below 3,000

CONNECT_WITH_DATABASE = 1 << 3
COMPRESS = 1 << 5
PROTOCOL_41 = 1 << 9
SSL = 1 << 11
SECURE_CONNECTION = 1 << 15
PLUGIN_AUTH = 1 << 19
PLUGIN_AUTH_LENGTH_ENCODED = 1 << 21
COMPRESS_ZSTD = 1 << 26
MULTI_FACTOR = 1 << 28
_NOT_OFFERED = COMPRESS | COMPRESS_ZSTD | MULTI_FACTOR
"""What would change how a session's packets are read, and a second proof."""

OK, MORE_DATA, SWITCH, ERROR = 0x00, 0x01, 0xFE, 0xFF  # a packet's first byte
FAST_SUCCESS, FULL_AUTHENTICATION = b"\x01\x03", b"\x01\x04"  # of caching_sha2_password
REQUEST_PUBLIC_KEY = b"\x02"
CLEAR_PASSWORD, CACHING_SHA2, NATIVE = (
    "mysql_clear_password",
    "caching_sha2_password",
    "mysql_native_password",
)
_RESPONSE_HEAD_BYTES = 32
_FILENAME_COLLATION = 17  # in it "rds@0061dmin" is another spelling of rdsadmin
_LONGEST_NONCE_BYTES = 20


class Packets:
    """The packets of one connection, both directions numbered in turn."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._next = 0

    async def receive(self) -> bytes:
        """The next packet; EOFError when it is too large, empty or out of order."""
        head = await self.wire.read(4)
        length = int.from_bytes(head[:3], "little")
        if not 0 < length <= LARGEST_PACKET_BYTES or head[3] != self._next:
            raise EOFError
        self._next = (self._next + 1) % 256
        return await self.wire.read(length)

    def send(self, packet: bytes) -> None:
        """Send a packet under the next number."""
        self.wire.transport.write(len(packet).to_bytes(3, "little") + bytes([self._next]) + packet)
        self._next = (self._next + 1) % 256


@dataclass(frozen=True)
class Greeting:
    """What a server says first: its version, the connection's id, capabilities, and a nonce for passwords."""

    packet: bytes
    capabilities_at: int

    @classmethod
    def parse(cls, packet: bytes) -> Greeting:
        """Read a greeting of protocol 10; EOFError for anything else."""
        end_of_version = packet.find(b"\0", 1)
        capabilities_at = end_of_version + 14
        if packet[0] != 10 or end_of_version < 0 or len(packet) < capabilities_at + 31:
            raise EOFError
        return cls(packet, capabilities_at)

    @property
    def capabilities(self) -> int:
        """What the server can do."""
        low, high = (
            struct.unpack_from("<H", self.packet, self.capabilities_at + offset)[0] for offset in (0, 5)
        )
        return int(low | high << 16)

    @property
    def nonce(self) -> bytes:
        """The 20 bytes that passwords are scrambled with."""
        first = self.packet[self.capabilities_at - 9 : self.capabilities_at - 1]
        rest = self.packet[self.capabilities_at + 18 : self.capabilities_at + 30]
        return first + rest

    def for_clients(self) -> bytes:
        """The same greeting, with TLS and without what a front could not follow."""
        offered = (self.capabilities | SSL) & ~_NOT_OFFERED
        at, made = self.capabilities_at, bytearray(self.packet)
        struct.pack_into("<H", made, at, offered & 0xFFFF)
        struct.pack_into("<H", made, at + 5, offered >> 16)
        return bytes(made)


@dataclass(frozen=True)
class Response:
    """A client's answer to the greeting: who it is and what it wants."""

    packet: bytes
    user: str
    database: str
    gives_password: bool

    @classmethod
    def parse(cls, packet: bytes) -> Response:
        """Read a response of protocol 4.1 with plugins, as every client of this decade sends it.

        Raises Refused in MySQL's words.
        """
        if len(packet) <= _RESPONSE_HEAD_BYTES or not capabilities(packet) & PROTOCOL_41:
            raise _bad_handshake()
        if not capabilities(packet) & PLUGIN_AUTH:
            raise Refused(
                "08004",
                "Client does not support authentication protocol requested by server;"
                " consider upgrading MySQL client",
                code=1251,
            )
        if packet[8] == _FILENAME_COLLATION:
            raise Refused("42000", "Unknown character set: 'filename'", code=1115)
        try:
            user, at = _until_nul(packet, _RESPONSE_HEAD_BYTES)
            proof, at = _proof(packet, at)
            wants_database = capabilities(packet) & CONNECT_WITH_DATABASE
            database = _until_nul(packet, at)[0] if wants_database else b""
            return cls(packet, _unquoted(user.decode()), database.decode(), bool(proof))
        except (ValueError, IndexError) as error:
            raise _bad_handshake() from error

    def for_server(self, *, encrypted: bool) -> bytes:
        """The same response without what was not offered, for a connection of our own."""
        return _with_capabilities(self.packet, encrypted=encrypted)

    def with_password(self, scrambled: bytes, plugin: str, *, encrypted: bool) -> bytes:
        """The same user, database and character set, with another proof."""
        database = self.database.encode() + b"\0" if self.database else b""
        flags = PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH
        kept = capabilities(self.packet) & ~(PLUGIN_AUTH_LENGTH_ENCODED | CONNECT_WITH_DATABASE | 1 << 20)
        flags |= kept | (CONNECT_WITH_DATABASE if database else 0)
        head = struct.pack("<I", flags) + self.packet[4:_RESPONSE_HEAD_BYTES]
        proof = bytes([len(scrambled)]) + scrambled
        packet = head + self.user.encode() + b"\0" + proof + database + plugin.encode() + b"\0"
        return _with_capabilities(packet, encrypted=encrypted)


def capabilities(packet: bytes) -> int:
    """What a client's first packet claims for itself."""
    return int.from_bytes(packet[:4], "little")


def asks_for_tls(packet: bytes) -> bool:
    """Whether a client's first packet is the short one that TLS begins after."""
    return len(packet) == _RESPONSE_HEAD_BYTES and bool(capabilities(packet) & SSL)


def tls_request(response: bytes) -> bytes:
    """The short packet before TLS that goes with this response."""
    return response[:_RESPONSE_HEAD_BYTES]


def error(refused: Refused, *, greeted: bool = True) -> bytes:
    """An error packet; before the greeting it carries no SQLSTATE yet."""
    state = f"#{refused.sqlstate:.5}" if greeted else ""
    return b"\xff" + struct.pack("<H", refused.code) + (state + refused.message).encode()


def switch(plugin: str, data: bytes = b"") -> bytes:
    """The server's request for another way to prove who one is."""
    return bytes([SWITCH]) + plugin.encode() + b"\0" + data


def switched_to(packet: bytes) -> tuple[str, bytes]:
    """The plugin and the nonce that a switch names."""
    name, _, data = packet[1:].partition(b"\0")
    return name.decode(errors="replace"), data[:_LONGEST_NONCE_BYTES]


def scrambled(password: str, plugin: str, nonce: bytes) -> bytes | None:
    """The proof that one knows the password, as the plugin wants it; None for other plugins."""
    algorithm = {CACHING_SHA2: hashlib.sha256, NATIVE: hashlib.sha1}.get(plugin)
    if algorithm is None:
        return None
    once = algorithm(password.encode()).digest()
    twice = algorithm(once).digest()
    mask = algorithm(twice + nonce if plugin == CACHING_SHA2 else nonce + twice).digest()
    return bytes(left ^ right for left, right in zip(once, mask, strict=True))


def _with_capabilities(packet: bytes, *, encrypted: bool) -> bytes:
    flags = capabilities(packet) & ~(_NOT_OFFERED | SSL) | (SSL if encrypted else 0)
    return struct.pack("<I", flags) + packet[4:]


def _proof(packet: bytes, at: int) -> tuple[bytes, int]:
    if not capabilities(packet) & (PLUGIN_AUTH_LENGTH_ENCODED | SECURE_CONNECTION):
        return _until_nul(packet, at)
    length, at = packet[at], at + 1
    if capabilities(packet) & PLUGIN_AUTH_LENGTH_ENCODED and length > 250:
        if length != 0xFC:
            raise ValueError(length)  # more than 64 KiB of proof
        length, at = int.from_bytes(packet[at : at + 2], "little"), at + 2
    if at + length > len(packet):
        raise ValueError(length)
    return packet[at : at + length], at + length


def _until_nul(packet: bytes, at: int) -> tuple[bytes, int]:
    end = packet.index(b"\0", at)
    return packet[at:end], end + 1


def _unquoted(user: str) -> str:
    """The server takes one pair of quotes off a user's name."""
    return user[1:-1] if len(user) > 1 and user[0] == user[-1] == "'" else user


def _bad_handshake() -> Refused:
    return Refused("08S01", "Bad handshake", code=1043)
