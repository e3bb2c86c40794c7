"""What the tests of connecting share: how long a refusal may take, and a way to be the wrong host."""

from __future__ import annotations

import functools
import socket
import threading
import time
from contextlib import closing, contextmanager

from aurora.deadline import Deadline

SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/admin-AbCdEf"
AT_ONCE_SECONDS = 2  # far below the deadlines here, far above what a refusal takes
SOON = functools.partial(Deadline.after, 20)


@contextmanager
def within(seconds):
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


def session(connection):
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_database(), current_setting('application_name')")
        return cursor.fetchone()


@contextmanager
def relayed_to(host, port_there, *, port=0, after_seconds=0.0):
    """Pass bytes on from a port of 127.0.0.1, which opens so many seconds from now."""
    ended = threading.Event()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))

    def serve():
        if ended.wait(after_seconds):
            return
        listener.listen()
        listener.settimeout(0.1)
        while not ended.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            server = socket.create_connection((host, port_there), timeout=10)
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=pump, args=(source, target), daemon=True).start()

    if not after_seconds:
        listener.listen()
    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        serving.join()
        listener.close()


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side has gone; so do we
