"""The admin secret rotates on a deployed database while its functions are at work: none of them notices."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from stacks.settings import kind_on
from tests.deploy.clients import App
from tests.deploy.test_local_deployment import copy_of_the_project

CALLERS = 3
ROTATIONS = 3


@pytest.fixture
def app(cloud, engine, tmp_path):
    app = App(cloud, copy_of_the_project(tmp_path / "app"))
    app.synthesize("app", deployment="local", engine=engine)
    app.bootstrap("app")
    return app


def test_functions_that_are_at_work_notice_no_rotation(app, cloud, engine):
    name = kind_on("local", engine)
    app.deploy("app")
    secret = app.outputs(f"shop-{name}-database")["AdminSecretArn"]
    functions, manager = cloud.client("lambda"), cloud.client("secretsmanager")
    migrator = app.outputs(f"shop-{name}-schema")["MigrationsFunction"]
    ended = threading.Event()

    def ask_again_and_again():
        answers = []
        while not ended.is_set():
            try:
                answer = functions.invoke(FunctionName=migrator, Payload=json.dumps({"verb": "status"}))
            except functions.exceptions.TooManyRequestsException:
                continue  # the function has a limit of its own to how many run at once
            answers.append(json.loads(answer["Payload"].read()))
        return answers

    def password():
        return json.loads(manager.get_secret_value(SecretId=secret)["SecretString"])["password"]

    passwords = [password()]
    with ThreadPoolExecutor(CALLERS) as pool:
        callers = [pool.submit(ask_again_and_again) for _ in range(CALLERS)]
        try:
            for _ in range(ROTATIONS):
                manager.rotate_secret(SecretId=secret)
                passwords.append(password())
        finally:
            ended.set()
        answers = [answer for caller in callers for answer in caller.result()]
    assert len(set(passwords)) == 1 + ROTATIONS
    assert len(answers) > 2 * ROTATIONS
    assert [answer for answer in answers if answer.get("exit_code") != 0] == []
    app.destroy("app")
