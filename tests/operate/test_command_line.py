"""The verbs refuse what they cannot do with the value, the reason and the next step, and exit with 1."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from operate.deployment import PROJECT, Deployment
from operate.report import CLIENT_COMMANDS
from stacks.engines import ENGINES
from stacks.validation import choose


def operate(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    without_aws = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-m", "operate", *arguments],
        cwd=PROJECT,
        env={**without_aws, "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("verb", ["deploy", "destroy", "smoke"])
def test_without_credentials_it_says_how_to_get_some_and_what_works_without(verb: str):
    done = operate(verb, "--deployment", "dev")
    assert done.returncode == 1
    assert "AWS_PROFILE" in done.stderr
    assert "make local" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_deployment_is_named_with_those_that_exist():
    done = operate("synth", "--deployment", "prod")
    assert done.returncode == 1
    assert "prod" in done.stderr
    assert "production" in done.stderr


def test_a_protected_deployment_is_not_destroyed():
    done = operate("destroy", "--deployment", "production")
    assert done.returncode == 1
    assert "termination_protection" in done.stderr


def test_a_seed_file_that_is_not_there_is_refused_before_anything_starts():
    done = operate("local", "up", "--cloud", "never-started", "--seed-file", "/nonexistent/lines.csv.gz")
    assert done.returncode == 1
    assert "/nonexistent/lines.csv.gz" in done.stderr


def test_status_of_a_cloud_that_does_not_run_says_how_to_start_one():
    done = operate("local", "status", "--cloud", "never-started")
    assert done.returncode == 1
    assert "make local" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["local"], ["deploy"], ["unknown"]])
def test_wrong_usage_exits_with_2_and_shows_the_usage(arguments: list[str]):
    done = operate(*arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_help_names_every_verb():
    done = operate("--help")
    assert done.returncode == 0
    for verb in ("local", "synth", "deploy", "destroy", "smoke", "password"):
        assert verb in done.stdout


VERIFIED = {
    "postgresql": "sslmode=verify-full sslrootcert=/tmp/ca.pem",
    "mysql": "--ssl-mode=VERIFY_IDENTITY --ssl-ca=/tmp/ca.pem",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_client_s_command_verifies_the_server_and_holds_no_password(engine: str):
    outputs = {"ClusterEndpoint": "127.1.2.3", "DatabasePort": "15432", "DatabaseName": "shop"}
    deployment = Deployment(kind="ephemeral", name="pr-42")
    line = CLIENT_COMMANDS[engine](outputs, deployment, "/tmp/ca.pem")
    assert VERIFIED[engine] in line
    assert "$(.venv/bin/python -m operate password --deployment ephemeral --name pr-42)" in line
    assert subprocess.run(["bash", "-n", "-c", line], check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "stacks", "context"),
    [
        (("local", ""), "shop-local-schema", {"deployment": "local"}),
        (("local", "postgresql"), "shop-local-schema", {"deployment": "local", "engine": "postgresql"}),
        (("local", "mysql"), "shop-local-mysql-schema", {"deployment": "local-mysql", "engine": "mysql"}),
        (("local-mysql", ""), "shop-local-mysql-schema", {"deployment": "local-mysql"}),
        (("dev", "mysql"), "shop-dev-schema", {"deployment": "dev", "engine": "mysql"}),
    ],
)
def test_an_engine_chooses_among_the_local_deployments_and_the_engine_of_the_others(
    arguments: tuple[str, str], stacks: str, context: dict[str, str]
):
    deployment = Deployment.on_engine(*arguments)
    assert deployment.stack_names[2] == stacks
    assert deployment.context == context
    assert choose(**context).name == deployment.title


def test_a_command_to_paste_names_the_engine_where_the_kind_does_not():
    assert Deployment.on_engine("dev", "mysql").variables == "DEPLOYMENT=dev ENGINE=mysql"
    assert Deployment.on_engine("local", "mysql").variables == "DEPLOYMENT=local-mysql"
    assert Deployment(kind="ephemeral", name="pr-42").variables == "DEPLOYMENT=ephemeral NAME=pr-42"


def test_a_command_to_paste_names_the_cloud_where_it_is_not_the_usual_one():
    one = Deployment(kind="ephemeral", name="pr-42", on_local_cloud=True, cloud="mine")
    assert one.variables == "DEPLOYMENT=ephemeral NAME=pr-42 LOCAL=1 CLOUD=mine"
    assert Deployment(kind="local", cloud="mine").variables == "DEPLOYMENT=local CLOUD=mine"
    assert Deployment(kind="local").variables == "DEPLOYMENT=local"
    assert Deployment(kind="dev", cloud="mine").variables == "DEPLOYMENT=dev", "which is on AWS"


def test_an_unknown_engine_is_wrong_usage_that_names_those_that_exist():
    for arguments in (["local", "up"], ["synth", "--deployment", "dev"]):
        done = operate(*arguments, "--engine", "oracle")
        assert done.returncode == 2
        assert "'postgresql', 'mysql'" in done.stderr


def test_an_engine_that_a_deployment_cannot_have_is_refused():
    done = operate("synth", "--deployment", "local-mysql", "--engine", "postgresql")
    assert done.returncode == 1
    assert "choose deployment=local" in done.stderr


@pytest.mark.parametrize(
    ("verb", "passed"),
    [
        ("local", "local up --engine mysql"),
        ("local-status", "local status --engine mysql"),
        ("local-destroy", "local down --engine mysql"),
        ("synth", "synth --deployment dev --engine mysql"),
        ("deploy", "deploy --deployment dev --engine mysql"),
        ("destroy", "destroy --deployment dev --engine mysql"),
        ("smoke", "smoke --deployment dev --engine mysql"),
        ("migrations", "migrations status --deployment dev --engine mysql"),
    ],
)
def test_make_passes_the_engine_on(verb: str, passed: str):
    done = subprocess.run(
        ["make", verb, "ENGINE=mysql", "CLOUD=mine", "--dry-run", "--silent"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"operate {passed} --cloud mine" in " ".join(done.stdout.replace('"', "").split())


def test_where_no_server_of_an_engine_can_be_had_make_local_says_how_to_get_one(tmp_path: Path):
    done = operate(
        "local", "up", "--engine", "mysql", "--cloud", "never-started",
        PATH=str(tmp_path), XDG_CACHE_HOME=str(tmp_path), LOCALCLOUD_MYSQLD="",
    )  # fmt: skip
    assert done.returncode == 1
    assert "there is no MySQL server" in done.stderr
    assert "Install one so that mysqld is on PATH, or set LOCALCLOUD_MYSQLD to it" in done.stderr
    assert "Traceback" not in done.stderr
