"""What the local cloud asks of a database server, whatever its engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Account:
    """What a server knows of a user who wants to log in."""

    by_token: bool = False
    """Logs in by IAM token, and by nothing else."""
    requires_tls: bool = False
    """The server itself refuses the user's sessions without TLS."""
    is_private: bool = False
    """The server's own: no endpoint admits it."""


@dataclass(frozen=True)
class Measured:
    """What a server is about at this moment; None where its engine, or its role, has no such figure."""

    connections: int
    """Of clients, without those of the local cloud."""
    deadlocks: int
    """Since the server started."""
    volume_bytes: int
    """What the databases take."""
    replica_lag_ms: float | None = None
    transaction_ids: int | None = None
    """The age of the oldest one that is not frozen."""
    history_length: int | None = None
    """Of the list of undo records that purging has not reached."""


CONNECT_SECONDS = 60
"""How long a server of a loaded machine may take to greet us at its private door."""

CATCH_UP_SECONDS = 30.0
"""How long a writer that is to stop waits for its successor."""


class DatabaseServer(Protocol):
    """A writer or a reader: its process, its directory, its two doors."""

    directory: Path
    port: int
    """On the loopback address, where it asks for passwords."""

    @property
    def socket_path(self) -> Path:
        """The private door: whoever may enter its directory is trusted."""

    @property
    def is_running(self) -> bool:
        """Whether the server's process is alive."""

    @property
    def is_writer(self) -> bool:
        """Whether it takes writes."""

    def start(self) -> None:
        """It accepts connections when this returns; raises ProgramFailed."""

    def stop(self) -> None:
        """It runs no longer; its clients are disconnected."""

    def retire(self, successor: DatabaseServer) -> None:
        """It runs no longer, and this reader has received everything that it ever committed.

        Its directory is of no use any more. Raises ProgramFailed where the reader has not: it goes on then,
        or takes writes again as soon as it is started.
        """

    def kill(self) -> None:
        """It ends by SIGKILL."""

    def remove(self) -> None:
        """It runs no longer, and its directory is gone."""

    def configure(self, settings: Mapping[str, str]) -> None:
        """These settings are in force when this returns; after ProgramFailed the former ones are."""

    def promote(self) -> None:
        """A reader takes writes from now on; a writer stays one."""

    def follow(self, primary: DatabaseServer) -> None:
        """A reader follows this writer from now on."""

    def catch_up(self, writer: DatabaseServer, *, timeout_seconds: float) -> bool:
        """Whether this reader has within the time what the writer has committed by now."""

    def back_up(self, data: Path) -> None:
        """Its data of this moment are in a new directory, whatever is written; raises ProgramFailed."""

    def measure(self) -> Measured:
        """What CloudWatch is told of it; raises ProgramFailed when it does not answer."""

    def account(self, user: str) -> Account:
        """What it knows of a user now; ConnectionError when it does not answer."""

    def change_password(self, user: str, password: str) -> None:
        """The user logs in with this password from now on."""
