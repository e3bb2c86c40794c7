"""What was refused as AWS would refuse it: who, what, and the local reason, for `status` and the log."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from localcloud.enforcements import Enforcement

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

MOST_REMEMBERED = 100

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Refusal:
    """One thing that did not pass."""

    at: str
    """The moment, in UTC."""
    enforcement: str
    who: str
    """The function, the session's ARN, the proxy or the database user."""
    reason: str

    def as_json(self) -> dict[str, str]:
        """Return it for programs."""
        return asdict(self)


class Refusals:
    """The latest refusals of a cloud. A part of it."""

    def __init__(self, _: Cloud) -> None:
        self._latest: deque[Refusal] = deque(maxlen=MOST_REMEMBERED)  # its append is atomic

    @classmethod
    def of(cls, cloud: Cloud) -> Refusals:
        """Return the refusals of a cloud."""
        return cloud.part(cls, cls)

    def record(self, enforcement: Enforcement, who: str, reason: str) -> None:
        """Remember a refusal, and say it in the server's log at once."""
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._latest.append(Refusal(moment, str(enforcement), who, reason))
        _log.warning("%s refused %s: %s", enforcement, who, reason)

    @property
    def latest(self) -> list[Refusal]:
        """Return what was refused, the latest last."""
        return list(self._latest)
