"""The migrator's make verb: what the function answers is printed, and its exit code is the verb's own."""

import io
import json
from typing import Any

import pytest
from rich.console import Console

from operate import __main__ as operate
from operate import migrations
from operate.deployment import Deployment


class Function:
    """Stands for the session and its Lambda client; keeps what it was sent and answers."""

    def __init__(self, answer: dict[str, Any], error: str | None = None) -> None:
        self.orders: list[tuple[str, dict[str, Any]]] = []
        self._answer, self._error = answer, error

    def client(self, service: str, config: object) -> "Function":
        assert service == "lambda"
        return self

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self.orders.append((FunctionName, json.loads(Payload)))
        answer = {"Payload": io.BytesIO(json.dumps(self._answer).encode())}
        return answer | ({"FunctionError": self._error} if self._error else {})


@pytest.fixture
def deployed(monkeypatch):
    def deploy(answer: dict[str, Any], error: str | None = None) -> Function:
        function = Function(answer, error)
        monkeypatch.setattr(migrations, "session_of", lambda _console, _deployment: function)
        monkeypatch.setattr(
            migrations, "stack_outputs", lambda *_: {"MigrationsFunction": "shop-dev-apply-schema"}
        )
        return function

    return deploy


REFUSED = {
    "exit_code": 4,
    "progress": ["waiting"],
    "text": "refused: V1__a.sql",
    "data": {"state": "refused"},
}


@pytest.mark.parametrize(
    ("arguments", "order", "printed"),
    [
        (["status"], {"verb": "status"}, "refused: V1__a.sql\n"),
        (["apply", "--allow-late"], {"verb": "apply", "allow_late": True}, "refused: V1__a.sql\n"),
        (["dry-run", "--rehearse"], {"verb": "dry-run", "rehearse": True}, "refused: V1__a.sql\n"),
        (["baseline", "--version", "3"], {"verb": "baseline", "version": 3}, "refused: V1__a.sql\n"),
        (["repair", "--statement-done"], {"verb": "repair", "statement_done": True}, "refused: V1__a.sql\n"),
        (["repair", "--start-over"], {"verb": "repair", "start_over": True}, "refused: V1__a.sql\n"),
        (["status", "--json"], {"verb": "status"}, '{\n  "state": "refused"\n}\n'),
    ],
)
def test_the_order_goes_to_the_function_and_its_answer_is_the_verbs(
    deployed, capsys, arguments: list[str], order: dict[str, Any], printed: str
):
    function = deployed(REFUSED)
    assert operate.main(["migrations", *arguments, "--deployment", "dev"]) == 4
    assert function.orders == [("shop-dev-apply-schema", order)]
    assert capsys.readouterr() == (printed, "waiting\n")


def test_an_error_of_the_function_is_no_answer(deployed, capsys):
    deployed({"errorMessage": "MalformedEvent: verb is 7"}, error="Unhandled")
    code = migrations.run(Console(), Deployment(kind="dev"), {"verb": "status"}, as_json=False)
    assert code == 1
    assert capsys.readouterr() == ("", "MalformedEvent: verb is 7\n")
