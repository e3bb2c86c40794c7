"""One running cloud: what its parts share."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from localcloud.addresses import Addresses
from localcloud.enforcements import EVERY, Enforcement

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

ACCOUNT = "123456789012"  # moto's own default: its backends are keyed by it

Part = TypeVar("Part")
_log = logging.getLogger(__name__)


@dataclass
class Cloud:
    """Where a cloud listens and keeps its files, the parts that live as long as it does, and their end."""

    port: int
    directory: Path
    region: str = "us-east-1"
    account: str = ACCOUNT
    enforcements: frozenset[Enforcement] = EVERY
    addresses: Addresses = field(init=False)
    endpoints: dict[str, str] = field(default_factory=dict, init=False)
    """What `status` shows beside the stacks: a name for people ("cluster x, writer") and host:port."""
    databases: dict[str, str] = field(default_factory=dict, init=False)
    """What `status` says of each cluster: its engine, and what runs in its place."""
    _parts: dict[type[Any], Any] = field(default_factory=dict, init=False, repr=False)
    _making: dict[type[Any], threading.Lock] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _pages: dict[str, WSGIApplication] = field(default_factory=dict, init=False, repr=False)
    _at_shutdown: list[Callable[[], None]] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        self.addresses = Addresses(self.port)

    def enforces(self, enforcement: Enforcement) -> bool:
        """Tell whether this cloud refuses what AWS would refuse in this respect."""
        return enforcement in self.enforcements

    @property
    def endpoint_url(self) -> str:
        """The URL of every AWS API. By name: moto reads "127" of 127.0.0.1 as a bucket."""
        return f"http://localhost:{self.port}"

    def part(self, kind: type[Part], make: Callable[[Cloud], Part]) -> Part:
        """Return the cloud's one `kind` (clusters, certificate authority, …), made by the first who asks.

        Parts that need each other in a circle would wait for each other for ever.
        """
        with self._lock:
            making = self._making.setdefault(kind, threading.Lock())
        with making:
            if kind not in self._parts:
                self._parts[kind] = make(self)
            found: Part = self._parts[kind]
            return found

    @property
    def ca_bundle(self) -> Path:
        """Where the certificate authority of this cloud's endpoints is, once an endpoint with TLS exists."""
        return self.directory / "ca.pem"

    def serve(self, prefix: str, application: WSGIApplication) -> None:
        """Let `application` answer every request whose path starts with `prefix`, before any AWS API does."""
        self._pages[prefix] = application

    def page(self, path: str) -> WSGIApplication | None:
        """Return what answers `path` instead of the AWS APIs."""
        return next((page for prefix, page in self._pages.items() if path.startswith(prefix)), None)

    def on_shutdown(self, callback: Callable[[], None]) -> None:
        """Have `callback` run when the cloud ends; the last registered runs first."""
        with self._lock:
            self._at_shutdown.append(callback)

    def shut_down(self) -> None:
        """Run every callback, each once, also when another one fails."""
        while True:
            with self._lock:
                if not self._at_shutdown:
                    return
                callback = self._at_shutdown.pop()
            try:
                callback()
            except Exception:
                _log.exception("while shutting down")
