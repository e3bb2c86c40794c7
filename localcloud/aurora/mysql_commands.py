"""What a joined MySQL session may not say: that it is somebody else from now on."""

from __future__ import annotations

from localcloud.aurora import mysql_protocol as protocol
from localcloud.aurora.login import Refused

_CHANGE_USER = 0x11


class MysqlCommands:
    """Follows a client's packets and ends the session at COM_CHANGE_USER.

    The private door takes our word for who an account of AWSAuthenticationPlugin is, and rdsadmin's; our word
    was given for one login.
    """

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self._length = 0
        self._number = -1
        self._at_command = False

    def __call__(self, data: bytes) -> bytes | None:
        """The error to end the session with, or None as long as all is well."""
        at = 0
        while at < len(data):
            if self._left:
                if self._at_command and data[at] == _CHANGE_USER:
                    return _refusal()
                self._at_command = False
                taken = min(self._left, len(data) - at)
                self._left -= taken
                at += taken
            else:
                missing = 4 - len(self._head)
                self._head += data[at : at + missing]
                at += missing
                if len(self._head) == 4:
                    self._begin_packet()
        return None

    def _begin_packet(self) -> None:
        number, length = self._head[3], int.from_bytes(self._head[:3], "little")
        # a file that is sent to the server goes on after number 255 with 0, and ends with an empty packet
        goes_on = self._number == 255 and self._length > 0
        self._at_command = number == 0 and not goes_on
        self._number, self._length, self._left, self._head = number, length, length, b""


def _refusal() -> bytes:
    packet = protocol.error(Refused("08S01", "Unknown command", code=1047))
    return len(packet).to_bytes(3, "little") + b"\x01" + packet
