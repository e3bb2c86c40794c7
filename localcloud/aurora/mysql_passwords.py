"""Passwords on their way to MySQL: a client's over a connection without TLS, and a proxy's own."""

from __future__ import annotations

import functools
import itertools

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from localcloud.aurora import mysql_protocol as protocol
from localcloud.aurora.login import Refused
from localcloud.aurora.mysql_protocol import Packets

_KEY_BITS = 2048
_PADDING = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303 - MySQL's choice


async def clear_password_of(client: Packets, nonce: bytes) -> bytes:
    """The password that a client without TLS sends under a public key, which it asks for unless it has one.

    The server does this itself on an open connection; ours, by the private socket, it takes for a safe one.
    """
    said = await client.receive()
    if said == protocol.REQUEST_PUBLIC_KEY:
        client.send(bytes([protocol.MORE_DATA]) + _public_key())
        said = await client.receive()
    try:
        masked = _key().decrypt(said, _PADDING)
    except ValueError as error:
        raise Refused("28000", "Access denied", code=1045) from error
    return bytes(left ^ right for left, right in zip(masked, itertools.cycle(nonce), strict=False))


def answer(said: bytes, password: str) -> bytes:
    """What to answer to a server that asks for the password, in full or by another plugin."""
    if said == protocol.FULL_AUTHENTICATION:
        return password.encode() + b"\0"
    if said[0] == protocol.SWITCH:
        plugin, nonce = protocol.switched_to(said)
        proof = protocol.scrambled(password, plugin, nonce)
        if proof is not None:
            return proof
    raise Refused("28000", "Access denied: the database asks for what a proxy does not know", code=1045)


@functools.cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, _KEY_BITS)


@functools.cache
def _public_key() -> bytes:
    return (
        _key()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
