"""Before the AWS APIs: a call from a function in a VPC needs a way out of it, or gets no answer."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from localcloud.cloud import Cloud
from localcloud.cloudformation import custom_resources
from localcloud.functions.environment import ExecutionEnvironment
from localcloud.network import interfaces, routes
from localcloud.network.admission import SILENCE_SECONDS, Network
from localcloud.network.callers import SocketAddress
from localcloud.network.interfaces import Dropped
from localcloud.network.routes import ServicePath

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

MOST_HELD = 64
"""Calls that wait in silence, each on a thread; a further one is disconnected instead."""

_PATH = "localcloud.service_path"
_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/([^/]+)/aws4_request")
_KEY = re.compile(r"Credential=([^/]+)/")
_OWN_PAGES = "/localcloud/"


class Unanswered(ConnectionError):
    """The connection has ended without an answer: werkzeug says nothing when an application raises this."""


class ApiDoor:
    """Asks of each call whose it is, and whether it finds its way."""

    def __init__(self, cloud: Cloud) -> None:
        self._network = Network.of(cloud)
        self._region = cloud.region
        self._keys_of_others: set[str] = set()
        self._asking = threading.Lock()
        self._held = threading.BoundedSemaphore(MOST_HELD)

    def admit(self, environ: WSGIEnvironment) -> None:
        """Return for a call that gets through, with its way in `environ`; raise Unanswered for one that ends.

        A call without a way is held first: until its client gives up or ends, as when packets are dropped.
        """
        if not self._network.enforced:
            return
        connection: socket.socket = environ["werkzeug.socket"]
        client = environ["REMOTE_ADDR"], environ["REMOTE_PORT"]  # known, also when it has gone
        caller = self._caller(client, connection.getsockname(), environ.get("HTTP_AUTHORIZATION", ""))
        source = interfaces.of_function(caller.configuration) if caller else None
        service = _service(environ, self._region)
        if caller is None or source is None or service is None:
            return
        try:
            environ[_PATH] = routes.path_to_service(source, *service)
        except Dropped as reason:
            self._network.refuse(caller, f"{service[0]}: {reason}")
            self._hold(connection)
            _disconnect(connection)
            raise Unanswered from None

    def _caller(
        self, client: SocketAddress, here: SocketAddress, signature: str
    ) -> ExecutionEnvironment | None:
        """Return whose call it is. A key that was not a function's once is asked about no more.

        Most calls of a deployment have such a key, and to find nobody takes longest.
        """
        key = _KEY.search(signature)
        with self._asking:  # six at once, as the CDK CLI publishes its assets, would take turns at every file
            if key and key[1] in self._keys_of_others:
                return None
            caller = self._network.callers.of(client, here)
            if key and caller is None:
                self._keys_of_others.add(key[1])
        return caller

    def _hold(self, connection: socket.socket) -> None:
        if not self._held.acquire(blocking=False):
            return
        try:
            ended = select.poll()
            ended.register(connection, select.POLLRDHUP)
            ended.poll(SILENCE_SECONDS * 1000)
        finally:
            self._held.release()


def service_path(environ: Mapping[str, Any]) -> ServicePath | None:
    """Return the way that a call took out of a function's VPC; None when it came from elsewhere."""
    path: ServicePath | None = environ.get(_PATH)
    return path


def _disconnect(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _service(environ: WSGIEnvironment, region: str) -> tuple[str, str] | None:
    """Return the signing name and region of the service that is called; None when it is none of AWS's."""
    path = environ.get("PATH_INFO", "")
    if path.startswith(custom_resources.PAGE):
        return "s3", region  # on AWS the answer of a custom resource goes to a bucket of CloudFormation's
    if path.startswith(_OWN_PAGES):
        return None
    signed = environ.get("HTTP_AUTHORIZATION") or unquote(environ.get("QUERY_STRING", ""))
    scope = _SCOPE.search(signed)
    if scope is None:
        return "s3", region  # only buckets are open to calls without a signature
    return scope[2], scope[1]
