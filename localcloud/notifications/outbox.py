"""One thread that tells everything, in order."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from localcloud.cloud import Cloud

_log = logging.getLogger(__name__)


class Outbox:
    """What is to be told. A part of the cloud; what is still in it when the cloud ends is lost."""

    def __init__(self, cloud: Cloud) -> None:
        self._waiting: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        threading.Thread(target=self._tell, name="outbox", daemon=True).start()
        cloud.on_shutdown(lambda: self._waiting.put(None))

    @classmethod
    def of(cls, cloud: Cloud) -> Outbox:
        """Return the outbox of a cloud."""
        return cloud.part(cls, cls)

    def put(self, tell: Callable[[], object]) -> None:
        """Have this run soon, after all that was put before."""
        self._waiting.put(tell)

    def _tell(self) -> None:
        while (tell := self._waiting.get()) is not None:
            try:
                tell()
            except Exception:
                _log.exception("not told")
