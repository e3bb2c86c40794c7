"""A client's login at an endpoint, whatever the engine: who it says it is, and how it is turned away."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Login:
    """What a client has said of itself, and what is seen of it."""

    user: str
    database: str
    address: str
    encrypted: bool


class Refused(Exception):
    """The client is told so and disconnected: an SQLSTATE, the server's words and, on MySQL, its number."""

    def __init__(self, sqlstate: str, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.message = message
        self.code = code
