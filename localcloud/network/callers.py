"""Whose connection it is: from the two ends of a TCP connection to the function that opened it.

The kernel names the client's socket (sock_diag(7), which any user may ask), /proc the process that has it.
Nothing has to be known of the function's driver, language or user.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from collections.abc import Iterator

from localcloud.functions.environment import ExecutionEnvironment
from localcloud.functions.live import LiveEnvironments

SocketAddress = tuple[str, int]

# linux/sock_diag.h, linux/inet_diag.h, linux/netlink.h
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_ANY_STATE = 0xFFFFFFFF
_NO_COOKIE = b"\xff" * 8
_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_REQUEST = struct.Struct(
    "=BBBxI"
)  # inet_diag_req_v2 before its socket id: family, protocol, extensions, states
_INODE = struct.Struct("=68xI")  # inet_diag_msg up to its inode
_PATIENCE_SECONDS = 1.0


class Gone(ConnectionError):
    """The connection has ended before anybody could ask whose it is."""


class Callers:
    """Finds the execution environment that a connection comes from."""

    def __init__(self, live: LiveEnvironments) -> None:
        self._live = live

    def of(self, client: SocketAddress, here: SocketAddress) -> ExecutionEnvironment | None:
        """Return the function's environment that opened `client` to `here`; None for everybody else's.

        Gone when the connection has ended.
        """
        environments = self._live.all()
        if not environments:
            return None
        inode = socket_inode(client, here)
        if inode is None:
            raise Gone
        link = f"socket:[{inode}]"
        # nearly always it is the function itself; whoever it started is looked at only when it is not
        for environment in environments:
            if _has_open(environment.process_id, link):
                return environment
        for environment in environments:
            if any(_has_open(pid, link) for pid in _below(environment.process_id)):
                return environment
        return None


def unenforceable() -> str | None:
    """Return why nobody can tell here whose a connection is; None where that can be told."""
    if sys.platform != "linux":
        return f"only Linux tells which process opened a connection, and this is {sys.platform}"
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        try:
            inode = socket_inode(client.getsockname(), client.getpeername())
        except OSError as error:
            return f"the kernel does not tell whose a connection is (sock_diag: {error})"
        if inode is None or not _has_open(os.getpid(), f"socket:[{inode}]"):
            return "the kernel does not tell which process opened a connection (sock_diag, /proc)"
    return None


def socket_inode(local: SocketAddress, remote: SocketAddress) -> int | None:
    """Return the inode of this machine's socket with these IPv4 ends; None when there is none any more.

    6 µs, where reading /proc/net/tcp takes milliseconds: the kernel prints its whole table for that.
    """
    body = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, _ANY_STATE)
    body += struct.pack("!HH", local[1], remote[1])
    body += socket.inet_aton(local[0]) + bytes(12) + socket.inet_aton(remote[0]) + bytes(12)
    body += bytes(4) + _NO_COOKIE  # on any network interface
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(_PATIENCE_SECONDS)
        kernel.send(_HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0) + body)
        answer = kernel.recv(4096)
    if _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        return None
    (inode,) = _INODE.unpack_from(answer, _HEADER.size)
    return inode or None  # 0: closed by the client, the kernel only waits


def _has_open(pid: int, link: str) -> bool:
    directory = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(directory):
            with contextlib.suppress(OSError):
                if os.readlink(f"{directory}/{descriptor}") == link:
                    return True
    return False


def _below(pid: int) -> Iterator[int]:
    """Every process that this one started, and those that they started."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as listed:
                children = [int(child) for child in listed.read().split()]
            for child in children:
                yield child
                yield from _below(child)
