"""A server that speaks just enough of MySQL's protocol to be sent a script, and writes down what arrives."""

from __future__ import annotations

import re
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_QUIT, _INIT_DB, _QUERY = 0x01, 0x02, 0x03
_CAPABILITIES = 0x000FF7FF & ~0x0800 | 0x00080000  # everything of 4.1 and plugins, but no TLS
_AUTOCOMMIT, _NO_BACKSLASH_ESCAPES = 0x0002, 0x0200
_GREETING = (
    b"\x0a8.0.42-recording\0" + struct.pack("<I", 1) + b"12345678\0"
    + struct.pack("<HBHHB", _CAPABILITIES & 0xFFFF, 255, _AUTOCOMMIT, _CAPABILITIES >> 16, 21)
    + bytes(10) + b"123456789012\0" + b"caching_sha2_password\0"
)  # fmt: skip
_ONE_COLUMN = b"\x03def\0\0\0\x01d\x01d\x0c\xff\x00\x00\x01\x00\x00\xfd\0\0\0\0\0"
_END_OF_ROWS = b"\xfe\0\0\2\0"
_OF_THE_CLIENT_ITSELF = ("select @@", "select $$", "select DATABASE()")


class Recorder:
    """What the server was sent: queries, and USE for each schema that was chosen, in whatever way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sent: list[str] = []

    def serve(self, connection: socket.socket) -> None:
        """Answer one client to its end."""
        status, schema = _AUTOCOMMIT, b"\xfb"
        _write(connection, 0, _GREETING)
        _read(connection)
        _write(connection, 2, _ok(status))
        while (packet := _read(connection)) and packet[0] != _QUIT:
            text = packet[1:].decode()
            if text == "SELECT DATABASE()":
                for number, part in enumerate((b"\1", _ONE_COLUMN, _END_OF_ROWS, schema, _END_OF_ROWS), 1):
                    _write(connection, number, part)
                continue
            chosen = re.fullmatch(r"\s*use\s+`([^`]*)`\s*", text, re.IGNORECASE)
            if packet[0] == _INIT_DB or chosen:
                name = chosen[1] if chosen else text
                schema = bytes([len(name)]) + name.encode()
                self.sent.append(f"USE `{name}`")
            elif packet[0] == _QUERY and not text.startswith(_OF_THE_CLIENT_ITSELF):
                self.sent.append(text)
                if "sql_mode" in text.lower():
                    off = "NO_BACKSLASH_ESCAPES" in text
                    status = _AUTOCOMMIT | (_NO_BACKSLASH_ESCAPES if off else 0)
            _write(connection, 1, _ok(status))


@contextmanager
def recording(path: Path) -> Iterator[Recorder]:
    """Run the server at a Unix socket."""
    recorder = Recorder(path)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            recorder.serve(self.request)

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
        thread.start()
        try:
            yield recorder
        finally:
            server.shutdown()
            thread.join()


def _ok(status: int) -> bytes:
    return b"\0\0\0" + struct.pack("<HH", status, 0)


def _write(connection: socket.socket, number: int, payload: bytes) -> None:
    connection.sendall(struct.pack("<I", len(payload))[:3] + bytes([number]) + payload)


def _read(connection: socket.socket) -> bytes:
    header = _exactly(connection, 4)
    return _exactly(connection, int.from_bytes(header[:3], "little")) if header else b""


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            return b""
        data += part
    return data
