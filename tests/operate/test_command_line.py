"""The verbs refuse what they cannot do with the value, the reason and the next step, and exit with 1."""

import os
import subprocess
import sys

import pytest

from operate.deployment import PROJECT, Deployment
from operate.report import psql_command


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


def test_the_psql_command_verifies_the_server_and_holds_no_password():
    outputs = {"ClusterEndpoint": "127.1.2.3", "DatabasePort": "15432", "DatabaseName": "shop"}
    line = psql_command(outputs, Deployment(kind="ephemeral", name="pr-42"), ca_bundle="/tmp/ca.pem")
    assert "sslmode=verify-full sslrootcert=/tmp/ca.pem" in line
    assert "operate password --deployment ephemeral --name pr-42)" in line
