"""What only the deployment's own functions can do: nobody else reaches the database."""

from __future__ import annotations

import json
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from operate.rehearsals.steps import RehearsalFailed

if TYPE_CHECKING:
    import boto3

LONGEST_SECONDS = 900
"""Lambda's own limit."""
OLDER = "the deployed functions know nothing of rehearsals: deploy once more (make deploy), then rehearse"


@dataclass(frozen=True)
class TableContents:
    """What one table held: up to a key, where it has one."""

    rows: int
    digest: str
    up_to: int | None


@dataclass(frozen=True)
class Contents:
    """What a database held at one moment; lambda/aurora/contents.py says how."""

    engine: str
    server_version: str
    at: str
    newest_order: str | None
    tables: dict[str, TableContents]
    violations: dict[str, int]
    milliseconds: float

    @property
    def limits(self) -> dict[str, int]:
        """Return up to which key each table was looked at, for another look at the same rows."""
        return {name: one.up_to for name, one in self.tables.items() if one.up_to is not None}


class Functions:
    """The functions of one deployment. None is invoked twice for one answer: it would order twice."""

    def __init__(self, session: boto3.Session, outputs: dict[str, str]) -> None:
        # alive, or a firewall on the way forgets a connection on which nothing is said for minutes
        patient = Config(read_timeout=LONGEST_SECONDS, tcp_keepalive=True, retries={"total_max_attempts": 1})
        self._lambda: Any = session.client("lambda", config=patient)
        self._outputs = outputs

    def contents(self, *, endpoint: str | None = None, up_to: dict[str, int] | None = None) -> Contents:
        """Return what the cluster holds, or its copy at an endpoint; raises RehearsalFailed."""
        event: dict[str, Any] = {"verb": "contents", "up_to": up_to or {}}
        answer = self._invoke("MigrationsFunction", event | ({"endpoint": endpoint} if endpoint else {}))
        if answer.get("data", {}).get("state") == "usage":
            raise RehearsalFailed(OLDER)
        if answer.get("exit_code") != 0:
            raise RehearsalFailed(f"the contents could not be read: {answer.get('text', answer)}")
        found = {key: value for key, value in answer["data"].items() if key != "state"}
        tables = {name: TableContents(**one) for name, one in found.pop("tables").items()}
        return Contents(tables=tables, **found)

    def order(self, *, seconds: int, customers: int, run: str) -> Future[dict[str, Any]]:
        """Have customers order for a while; the future holds what became of their orders.

        In a thread that ends with this process: the function itself goes on to its end, and takes its orders
        away.
        """
        event = {"verb": "order", "seconds": seconds, "customers": customers, "run": run}
        future: Future[dict[str, Any]] = Future()

        def ask() -> None:
            try:
                answer = self._invoke("SmokeTestFunction", event)
                if "acknowledged" not in answer:
                    raise RehearsalFailed(OLDER)
                future.set_result(answer)
            except BaseException as error:  # whatever it is, it belongs to who waits
                future.set_exception(error)

        threading.Thread(target=ask, daemon=True).start()
        return future

    def _invoke(self, output: str, event: dict[str, Any]) -> dict[str, Any]:
        if output not in self._outputs:
            raise RehearsalFailed(OLDER)
        name = self._outputs[output]
        invoked = self._lambda.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        answer: dict[str, Any] = json.loads(invoked["Payload"].read())
        if invoked.get("FunctionError"):
            raise RehearsalFailed(f"{name} failed: {answer.get('errorMessage')}")
        return answer
