"""`make diff`: what deploying would change, fit to be read by everybody."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from operate import difference
from operate.cdk import CdkFailed
from operate.deployment import Deployment
from operate.difference import to_be_read
from tests.operate.test_command_line import operate

SAID = "Stack Database (shop-dev-database) (aws://123456789012/us-east-1)\n" + "x" * 301 + "\n\n"


@pytest.fixture
def cli(monkeypatch, tmp_path):
    """The CLI's command lines; what it answers is a stack that differs."""
    asked = []

    def run(*arguments, environment, output):
        asked.append(arguments)
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(SAID)

    monkeypatch.setattr(difference.local, "LOGS", tmp_path)
    monkeypatch.setattr(difference, "session_of", lambda console, _: console.print("Account 123456789012"))
    monkeypatch.setattr(difference, "claimed", lambda _, deployment, **__: deployment)
    monkeypatch.setattr(difference.cdk, "synthesize", lambda *_, **__: None)
    monkeypatch.setattr(difference.cdk, "finish", lambda *_: None)
    monkeypatch.setattr(difference.cdk, "run", run)
    return asked


def shown(deployment: Deployment) -> str:
    written = io.StringIO()
    assert difference.show(Console(file=written), deployment) == 0
    return written.getvalue()


def test_it_compares_templates_and_makes_no_change_set(cli):
    shown(Deployment(kind="dev"))
    ((verb, *options),) = cli
    assert verb == "diff"
    assert "--no-change-set" in options


def test_it_shows_the_difference_alone_without_accounts_and_without_endless_lines(cli):
    text = shown(Deployment(kind="dev"))
    assert "Stack Database (shop-dev-database) (aws://ACCOUNT/us-east-1)" in text
    assert "123456789012" not in text
    assert max(map(len, text.splitlines())) <= 302


def test_lines_of_the_length_allowed_stay_whole():
    assert to_be_read("a" * 300) == "a" * 300
    assert to_be_read("a" * 301) == "a" * 300 + " …"


def test_what_the_cli_fails_over_is_told(cli, monkeypatch):
    def fail(*_, **__):
        raise CdkFailed("no such stack")

    monkeypatch.setattr(difference.cdk, "run", fail)
    with pytest.raises(CdkFailed, match="no such stack"):
        shown(Deployment(kind="dev"))


def test_without_credentials_it_says_how_to_get_some():
    done = operate("diff", "--deployment", "dev")
    assert done.returncode == 1
    assert "AWS_PROFILE" in done.stderr
    assert done.stdout == ""
