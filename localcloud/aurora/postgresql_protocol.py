"""The few messages of PostgreSQL's protocol 3 that come before a session: what a front has to read and write.

Source: PostgreSQL documentation, "Message Formats" and "Message Flow".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from localcloud.aurora.login import Refused
from localcloud.aurora.wire import Wire

LARGEST_STARTUP_PACKET_BYTES = 10_000  # the server's own limit, MAX_STARTUP_PACKET_LENGTH
LARGEST_PASSWORD_BYTES = 64_000  # an IAM token with its session token stays below 3,000

_CANCEL_REQUEST = 80877102
_SSL_REQUEST = 80877103
_GSS_ENCRYPTION_REQUEST = 80877104

AUTHENTICATION_OK = 0
AUTHENTICATION_CLEARTEXT = 3
AUTHENTICATION_SASL = 10
AUTHENTICATION_SASL_CONTINUE = 11
AUTHENTICATION_SASL_FINAL = 12

INVALID_AUTHORIZATION = "28000"
INVALID_PASSWORD = "28P01"  # noqa: S105 - an SQLSTATE
PROTOCOL_VIOLATION = "08P01"
CANNOT_CONNECT_NOW = "57P03"
TOO_MANY_CONNECTIONS = "53300"


@dataclass(frozen=True)
class EncryptionRequest:
    """The client asks whether the connection may be encrypted, by TLS or by GSSAPI."""

    tls: bool


@dataclass(frozen=True)
class CancelRequest:
    """The client asks, on a connection of its own, that a running statement be cancelled."""

    packet: bytes


@dataclass(frozen=True)
class Startup:
    """The client says who it is and which database it wants."""

    packet: bytes
    parameters: dict[str, str]

    @property
    def user(self) -> str:
        """The role that wants to log in."""
        return self.parameters["user"]

    @property
    def database(self) -> str:
        """The database asked for; by default that of the user's name."""
        return self.parameters.get("database") or self.user


FirstPacket = EncryptionRequest | CancelRequest | Startup


def first_packet(packet: bytes) -> FirstPacket:
    """What a client's first packet (with its length) says; Refused when it is none of protocol 3."""
    (code,) = struct.unpack_from("!I", packet, 4)
    if code in (_SSL_REQUEST, _GSS_ENCRYPTION_REQUEST):
        return EncryptionRequest(tls=code == _SSL_REQUEST)
    if code == _CANCEL_REQUEST:
        return CancelRequest(packet)
    if code >> 16 != 3:
        raise Refused(PROTOCOL_VIOLATION, f"unsupported frontend protocol {code >> 16}.{code & 0xFFFF}")
    fields = packet[8:].split(b"\0")
    try:
        names = [field.decode() for field in fields]
    except UnicodeDecodeError as error:
        raise Refused(PROTOCOL_VIOLATION, "invalid startup packet: not UTF-8") from error
    # name, value, name, value, …, and an empty name behind the last value
    parameters = {name: value for name, value in zip(names[::2], names[1::2], strict=False) if name}
    if not parameters.get("user"):
        raise Refused(INVALID_AUTHORIZATION, "no PostgreSQL user name specified in startup packet")
    return Startup(packet, parameters)


async def read_message(wire: Wire, *, largest_bytes: int) -> tuple[bytes, bytes]:
    """The next message's kind and body; EOFError when it claims to be larger than allowed."""
    kind = await wire.read(1)
    return kind, (await read_packet(wire, largest_bytes=largest_bytes))[4:]


async def read_packet(wire: Wire, *, largest_bytes: int) -> bytes:
    """The next packet that has no kind, with its length; EOFError when it claims to be too large."""
    head = await wire.read(4)
    (length,) = struct.unpack("!I", head)
    if not 4 <= length <= largest_bytes:
        raise EOFError
    return head + await wire.read(length - 4)


def message(kind: bytes, body: bytes) -> bytes:
    """A message as it goes over the wire: its kind, its length, its body."""
    return kind + struct.pack("!I", len(body) + 4) + body


def fatal(refused: Refused) -> bytes:
    """An ErrorResponse of severity FATAL."""
    fields = (("S", "FATAL"), ("V", "FATAL"), ("C", refused.sqlstate), ("M", refused.message))
    return message(b"E", b"".join(f"{kind}{text}\0".encode() for kind, text in fields) + b"\0")


def authentication(code: int) -> bytes:
    """An authentication request (or AUTHENTICATION_OK) without further data."""
    return message(b"R", struct.pack("!I", code))


def authentication_code(body: bytes) -> int:
    """Which authentication a message of kind R asks for."""
    (code,) = struct.unpack_from("!I", body)
    return int(code)


def sasl_initial_response(mechanism: str, first_message: str) -> bytes:
    """The client's choice of a SASL mechanism, with its first message."""
    data = first_message.encode()
    return message(b"p", mechanism.encode() + b"\0" + struct.pack("!I", len(data)) + data)


def sasl_mechanisms(body: bytes) -> list[str]:
    """The mechanisms that an AUTHENTICATION_SASL message offers."""
    return [name.decode() for name in body[4:].split(b"\0") if name]
