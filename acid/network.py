"""A network between client and server that can be cut, and that can swallow what is sent."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path


class Network:
    """Passes bytes on, until it is told otherwise. Close it.

    `swallow_answers` lets requests reach the server and no answer come back; `swallow` lets nothing through.
    Neither ends a connection: nobody is told.
    """

    def __init__(self, listener: socket.socket, reach: Callable[[], socket.socket]) -> None:
        self._listener = listener
        self._reach = reach
        self.connections = 0
        self._to_server, self._to_client = threading.Event(), threading.Event()
        self._open: list[socket.socket] = []
        self.restore()
        threading.Thread(target=self._serve, daemon=True).start()

    @classmethod
    def to_port(cls, address: str, port: int) -> Network:
        """Listen on another port of the endpoint's own address, so that its certificate fits."""
        return cls(
            socket.create_server((address, 0)), lambda: socket.create_connection((address, port), timeout=10)
        )

    @classmethod
    def to_socket(cls, path: Path, *, at: Path) -> Network:
        """Listen at one path for the Unix socket at another, which may come and go."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(at))
        listener.listen(128)

        def reach() -> socket.socket:
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(path))
            return server

        return cls(listener, reach)

    @property
    def port(self) -> int:
        """The port that is listened on, of a network to a port."""
        return int(self._listener.getsockname()[1])

    def swallow_answers(self) -> None:
        """Let requests through alone."""
        self._to_client.clear()

    def swallow(self) -> None:
        """Let nothing through."""
        self._to_client.clear()
        self._to_server.clear()

    def restore(self) -> None:
        """Let everything through: what was swallowed stays lost, and its connection useless."""
        self._to_client.set()
        self._to_server.set()

    def cut(self) -> None:
        """End all connections, as a restarted firewall does."""
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self) -> None:
        """Neither listen nor hold a connection any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that would accept one more
        self._listener.close()
        self.cut()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                try:
                    server = self._reach()
                except OSError:  # nobody is there: the client learns it as from a refusing host
                    client.close()
                    continue
                server.settimeout(None)
                self._open += [client, server]
                for source, target, passes in (
                    (client, server, self._to_server),
                    (server, client, self._to_client),
                ):
                    threading.Thread(target=_pump, args=(source, target, passes), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, passes: threading.Event) -> None:
    swallowed = False
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            swallowed = swallowed or not passes.is_set()
            if not swallowed:
                target.sendall(data)
        target.shutdown(socket.SHUT_WR)
