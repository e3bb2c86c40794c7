"""A network between client and endpoint that can be cut, and that can swallow what is sent."""

from __future__ import annotations

import contextlib
import socket
import threading


class Network:
    """Passes bytes on from a port of the endpoint's own address, so that its certificate fits. Close it.

    `swallow_answers` lets requests reach the server and no answer come back; `swallow` lets nothing through.
    Neither ends a connection: nobody is told.
    """

    def __init__(self, address: str, port_there: int) -> None:
        self._there = (address, port_there)
        self._listener = socket.create_server((address, 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self._to_server, self._to_client = threading.Event(), threading.Event()
        self._open: list[socket.socket] = []
        self.restore()
        threading.Thread(target=self._serve, daemon=True).start()

    def swallow_answers(self) -> None:
        self._to_client.clear()

    def swallow(self) -> None:
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
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that would accept one more
        self._listener.close()
        self.cut()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                server = socket.create_connection(self._there, timeout=10)
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
