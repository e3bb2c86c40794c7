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


WHO_AND_WHERE = {
    "postgresql": "SELECT current_user, current_database(), current_setting('application_name')",
    "mysql": """
        SELECT substring_index(current_user(), '@', 1), database(), attr_value
        FROM performance_schema.session_account_connect_attrs
        WHERE attr_name = 'program_name' AND processlist_id = connection_id()
    """,
}


def who_and_where(session):
    """Return user, database and application name, and end the session."""
    with closing(session):
        ((user, database, application_name),) = session.rows(WHO_AND_WHERE[session.engine])
        return user, database, application_name


@contextmanager
def statements_logged(database, user):
    """Collect what this user's sessions send to the server."""
    sent = []
    if database.engine == "postgresql":
        database.rows(f"ALTER ROLE {user} SET log_statement = 'all'")
        before = database.server.log.count("statement:")
        try:
            yield sent
        finally:
            database.rows(f"ALTER ROLE {user} RESET log_statement")
        logged = [line for line in database.server.log.splitlines() if "statement:" in line][before:]
        sent += [line.split("statement: ", 1)[1] for line in logged if "ALTER ROLE" not in line]
        return
    database.rows("SET GLOBAL log_output = 'TABLE'")
    database.rows("SET GLOBAL general_log = ON")
    try:
        yield sent
    finally:
        database.rows("SET GLOBAL general_log = OFF")
    sent += [
        argument.decode()
        for (argument,) in database.rows(
            "SELECT argument FROM mysql.general_log"
            " WHERE command_type = 'Query' AND user_host LIKE %s ORDER BY event_time",
            (f"%{user}%",),
        )
    ]
    database.rows("TRUNCATE mysql.general_log")
    database.rows("SET GLOBAL log_output = 'FILE'")


@contextmanager
def one_connection_at_most(database, user):
    """Keep this user to one connection at a time."""
    limit = {
        "postgresql": f"ALTER ROLE {user} CONNECTION LIMIT {{}}",
        "mysql": f"ALTER USER {user} WITH MAX_USER_CONNECTIONS {{}}",
    }[database.engine]
    unlimited = {"postgresql": -1, "mysql": 0}[database.engine]
    database.rows(limit.format(1))
    try:
        yield
    finally:
        database.rows(limit.format(unlimited))


CLIENT_SSL = 0x0800  # of MySQL's capabilities: TLS can be had


def without_tls(data):
    """Return a greeting of MySQL's that offers no TLS, as somebody in between would make it."""
    body = bytearray(data)
    low_capabilities = body.index(0, 5) + 1 + 4 + 8 + 1  # behind header, version, thread id, salt, filler
    body[low_capabilities + 1] &= ~(CLIENT_SSL >> 8) & 0xFF
    return bytes(body)


@contextmanager
def relayed_to(host, port_there, *, port=0, after_seconds=0.0, greeting=None):
    """Pass bytes on from a port of 127.0.0.1, which opens so many seconds from now.

    `greeting` changes what the server says first.
    """
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
            if greeting:
                client.sendall(greeting(server.recv(65536)))
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
