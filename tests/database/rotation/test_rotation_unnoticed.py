"""A rotation in the middle of work: whoever asks for a connection gets one, and what is open goes on."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import boto3
import pytest

from apply_schema.limits import Limits
from apply_schema.migration_files import read_files
from apply_schema.migrations import apply_reconnecting
from apply_schema.opening_in_aws import open_by_environment
from aurora import connecting, credentials
from aurora.credentials import Credential
from aurora.deadline import Deadline
from aurora.failures import CredentialRefused
from rotate_secret.admin_database import AdminDatabase
from rotate_secret.rotation import Step
from tests.database.migrating import history, write
from tests.database.rotation.rotating import FIRST_PASSWORD, password, taking
from tests.database.servers import MASTER, MASTER_PASSWORD

CALLERS = 4
CONNECTIONS_PER_STEP = 12
VERSIONS = ("a" * 32, "b" * 32, "c" * 32)


@pytest.fixture
def environment(endpoints, on_server, secret_arn, client, monkeypatch):
    monkeypatch.setattr(credentials, "_secrets_manager", lambda region: client)
    return endpoints.environment(on_server.some_database, ADMIN_SECRET_ARN=secret_arn)


class Callers:
    """Threads that connect as the admin and ask something, one connection after the other."""

    def __init__(self, environment):
        self.failures = []
        self.answered = 0
        self._environment = environment
        self._count = threading.Lock()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._connect_again_and_again) for _ in range(CALLERS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error):
        self._ended.set()
        for thread in self._threads:
            thread.join(30)

    def wait_for_more(self):
        """Return when so many more connections were had since now, or refused."""
        until, patience = self.answered + len(self.failures) + CONNECTIONS_PER_STEP, Deadline.after(60)
        while self.answered + len(self.failures) < until:
            assert not patience.passed(), f"{self.answered} answered, {self.failures}"
            time.sleep(0.005)

    def _connect_again_and_again(self):
        while not self._ended.is_set():
            try:
                session = connecting.connect_admin(self._environment, deadline=Deadline.after(10))
                with closing(session):
                    assert session.rows("SELECT 1") == [(1,)]
            except Exception as failure:  # whatever it is: the caller saw it
                with self._count:
                    self.failures.append(failure)
            else:
                with self._count:
                    self.answered += 1


@pytest.fixture
def refusals(monkeypatch):
    """The versions that a caller turned to after a refusal."""
    turned_to = []
    renew = credentials.AdminLogin.renew

    def watched(login):
        found = renew(login)
        turned_to.append(login.credential() if found else None)
        return found

    monkeypatch.setattr(credentials.AdminLogin, "renew", watched)
    return turned_to


def rotate_among(callers, take):
    for version in VERSIONS:
        for step in Step:
            take(step, version=version)
            callers.wait_for_more()


def test_no_caller_notices_three_rotations(environment, take, refusals):
    with Callers(environment) as callers:
        callers.wait_for_more()
        rotate_among(callers, take)
    assert callers.failures == []
    assert callers.answered >= CONNECTIONS_PER_STEP * len(VERSIONS) * len(Step)
    # the gap was there: between setSecret and finishSecret everybody was refused first
    assert len(refusals) >= len(VERSIONS) * CONNECTIONS_PER_STEP
    assert None not in refusals


def test_without_the_pending_version_callers_would_notice(environment, take, monkeypatch):
    """The control: what a client sees that knows the current version alone."""
    monkeypatch.setattr(credentials, "_pending_credential", lambda environment: None)
    with Callers(environment) as callers:
        rotate_among(callers, take)
    assert {type(failure) for failure in callers.failures} == {CredentialRefused}
    assert len(callers.failures) >= CONNECTIONS_PER_STEP


def test_a_session_that_is_open_goes_on(environment, take):
    with closing(connecting.connect_admin(environment, deadline=Deadline.after(10))) as session:
        for version in VERSIONS:
            for step in Step:
                take(step, version=version)
                assert session.rows("SELECT 1") == [(1,)]


class BreaksOff:
    """Makes one call fail once, before it took effect or after."""

    def __init__(self, when):
        self.when = when
        self.calls = 0

    def around(self, call):
        def broken(*arguments, **options):
            self.calls += 1
            if self.calls > 1:
                return call(*arguments, **options)
            if self.when == "after":
                call(*arguments, **options)
            raise ConnectionError("broken off")

        return broken


BREAKING = {
    Step.CREATE: "put_secret_value",
    Step.SET: "change_password",
    Step.TEST: "accepts",
    Step.FINISH: "update_secret_version_stage",
}


@pytest.fixture
def break_off(client, monkeypatch):
    """Have a step's own call fail once."""

    def break_off(step, when):
        breaks, name = BreaksOff(when), BREAKING[step]
        if hasattr(AdminDatabase, name):
            monkeypatch.setattr(AdminDatabase, name, breaks.around(getattr(AdminDatabase, name)))
        else:
            monkeypatch.setattr(client, name, breaks.around(getattr(client, name)))
            monkeypatch.setattr(boto3, "client", lambda *_service, **_options: client)

    return break_off


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", list(Step))
def test_a_rotation_that_breaks_off_at_any_step_leaves_a_way_in_and_ends_well_when_repeated(
    environment, take, break_off, client, secret_arn, database, user, step, when
):  # fmt: skip
    before = list(Step)[: list(Step).index(step)]
    take(*before, version=VERSIONS[0])
    break_off(step, when)
    with pytest.raises(ConnectionError, match="broken off"):
        take(step, version=VERSIONS[0])
    connecting.connect_admin(environment, deadline=Deadline.after(10)).close()

    take(*Step, version=VERSIONS[0])
    assert database.accepts(Credential(user, password(client, secret_arn)))
    assert not database.accepts(Credential(user, FIRST_PASSWORD))
    connecting.connect_admin(environment, deadline=Deadline.after(10)).close()


SLOW = {"postgresql": "SELECT pg_sleep(2)", "mysql": "DO sleep(2)"}
FILES = {
    "V1__slow.sql": "{slow};\n",
    "V2__first.sql": "CREATE TABLE {schema}.first_thing (x int);\n",
    "V3__second.sql": "CREATE TABLE {schema}.second_thing (x int);\n",
}


@pytest.fixture
def rotated_master(client, endpoints, empty_database, secret_of, monkeypatch):
    """The master user itself, as the migrator's environment names it."""
    arn = secret_of(MASTER, MASTER_PASSWORD)
    monkeypatch.setattr(credentials, "_secrets_manager", lambda region: client)
    name = empty_database.name
    if empty_database.engine == "mysql":
        empty_database.rows("CREATE DATABASE shop")
    variables = endpoints.variables(name) | {"ADMIN_SECRET_ARN": arn}
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    yield taking(arn), variables
    as_others_know_it = {"postgresql": "ALTER ROLE {} PASSWORD %s", "mysql": "ALTER USER {} IDENTIFIED BY %s"}
    statement = as_others_know_it[empty_database.engine].format(MASTER)
    empty_database.rows(statement, (MASTER_PASSWORD,))


def test_a_migration_that_runs_and_one_that_begins_meanwhile_notice_nothing(
    rotated_master, empty_database, tmp_path
):
    take, variables = rotated_master
    schema = {"postgresql": "public", "mysql": "shop"}[empty_database.engine]
    slow = SLOW[empty_database.engine]
    files = read_files(
        write(tmp_path, {name: text.format(slow=slow, schema=schema) for name, text in FILES.items()})
    )
    outcomes, deadline = [], Deadline.after(60)

    def migrate():
        outcomes.append(
            apply_reconnecting(
                lambda: open_by_environment(
                    variables, Limits(wait_for_lock_seconds=30, deadline=deadline), deadline=deadline
                ),
                files,
                report=lambda _line: None,
                deadline=deadline,
            )
        )

    running = [threading.Thread(target=migrate)]
    running[0].start()
    time.sleep(0.5)  # in the slow file
    take(Step.CREATE, Step.SET, version=VERSIONS[0])
    running.append(threading.Thread(target=migrate))
    running[1].start()  # the current version of the secret opens nothing now
    time.sleep(0.5)
    take(Step.TEST, Step.FINISH, version=VERSIONS[0])
    for thread in running:
        thread.join(60)
    assert sorted(outcome.applied for outcome in outcomes) == [(), tuple(FILES)]
    assert [name for name, _ in history(empty_database)] == list(FILES)
