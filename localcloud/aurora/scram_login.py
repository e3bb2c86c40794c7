"""A proxy's login to its database with the password of a secret: SCRAM-SHA-256, the client's side."""

from __future__ import annotations

from scramp import ScramClient, ScramException

from localcloud.aurora import postgresql_protocol as protocol
from localcloud.aurora.login import Refused
from localcloud.aurora.wire import Wire

_MECHANISM = "SCRAM-SHA-256"
_LARGEST_MESSAGE_BYTES = 64_000


async def log_in(server: Wire, user: str, password: str) -> None:
    """The server has taken the password when this returns, and goes on with the session; else Refused."""
    scram = ScramClient([_MECHANISM], user, password)
    while True:
        kind, body = await protocol.read_message(server, largest_bytes=_LARGEST_MESSAGE_BYTES)
        if kind != b"R":
            raise Refused(protocol.INVALID_PASSWORD, f'password authentication failed for user "{user}"')
        try:
            answer = _answer(scram, body, user)
        except (ScramException, UnicodeDecodeError) as error:
            raise Refused(
                protocol.INVALID_PASSWORD, f'SCRAM with the database failed for user "{user}"'
            ) from error
        if answer is None:
            return
        server.transport.write(answer)


def _answer(scram: ScramClient, body: bytes, user: str) -> bytes | None:
    """What to send to the server; None when it is satisfied."""
    match protocol.authentication_code(body):
        case protocol.AUTHENTICATION_OK:
            return None
        case protocol.AUTHENTICATION_SASL if _MECHANISM in protocol.sasl_mechanisms(body):
            return protocol.sasl_initial_response(_MECHANISM, scram.get_client_first())
        case protocol.AUTHENTICATION_SASL_CONTINUE:
            scram.set_server_first(body[4:].decode())
            return protocol.message(b"p", scram.get_client_final().encode())
        case protocol.AUTHENTICATION_SASL_FINAL:
            scram.set_server_final(body[4:].decode())
            return b""
        case code:
            raise Refused(
                protocol.INVALID_PASSWORD, f'no way to log in user "{user}": the server asks for {code}'
            )
