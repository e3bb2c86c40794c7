"""Rehearsals of our own deployment on a local cloud: under orders, with faults, on both engines."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from operate.local_cloud import LocalCloud as OperatedCloud
from operate.rehearsals import restore
from operate.rehearsals.copies import Copies
from operate.rehearsals.functions import Functions
from operate.rehearsals.steps import RehearsalFailed, Steps
from stacks.validation import choose
from tests.deploy.clients import ROOT, LocalCloud
from tests.deploy.test_teardown import PATIENCE_SECONDS, bootstrap, operate

pytestmark = pytest.mark.long

ORDER = (
    """shop.place_order('{token}', NULL, 'France', 2, '[{{"stock_code": "SMOKE-TEST-A", "quantity": 1}}]')"""
)
PLACE = {"postgresql": f"SELECT * FROM {ORDER}", "mysql": f"CALL {ORDER}"}
NEWER = {"postgresql": "18.4", "mysql": "8.4.mysql_aurora.8.4.7"}


class Deployed:
    """An ephemeral deployment on the cloud, its copies and functions, and ways to its data."""

    def __init__(self, cloud: LocalCloud, engine: str) -> None:
        self.cloud, self.engine, self.name = cloud, engine, f"pr-{engine}"
        self.which = ["--deployment", "ephemeral", "--name", self.name, "--engine", engine]
        self.which += ["--local", "--cloud", cloud.name]
        self.settings = choose("ephemeral", name=self.name, engine=engine, target="local")
        self.said = io.StringIO()

    @property
    def cluster(self) -> str:
        return self.settings.cluster_name

    @property
    def outputs(self) -> dict[str, str]:
        client = self.cloud.client("cloudformation")
        names = [self.settings.stack_name(part) for part in ("database", "schema")]
        stacks = [client.describe_stacks(StackName=name)["Stacks"][0] for name in names]
        return {one["OutputKey"]: one["OutputValue"] for stack in stacks for one in stack["Outputs"]}

    def rehearse(self, rehearsal: str, *options: str) -> subprocess.CompletedProcess[str]:
        return operate(self.cloud, "rehearse", rehearsal, *self.which, *options)

    def copies(self) -> Copies:
        session = OperatedCloud(self.cloud.name).session()
        steps = Steps(Console(file=self.said, width=200), poll_seconds=0.1)
        return Copies(session, steps, cluster=self.cluster, tags=self.settings.tags)

    def functions(self) -> Functions:
        return Functions(OperatedCloud(self.cloud.name).session(), self.outputs)

    def rows(self, statement: str, *, host: str = "") -> list[tuple[Any, ...]]:
        outputs = self.outputs
        host = host or outputs["ClusterEndpoint"]
        return self.cloud.query(statement, host=host, secret=outputs["AdminSecretArn"])

    def place_order(self) -> None:
        self.rows(PLACE[self.engine].format(token=uuid.uuid4()))

    def rotate(self) -> None:
        self.cloud.client("secretsmanager").rotate_secret(SecretId=self.outputs["AdminSecretArn"])

    @contextmanager
    def orders_going_on(self) -> Iterator[list[int]]:
        """Have orders placed one after the other while the block runs, from before it begins."""
        placed, stop, first = [], threading.Event(), threading.Event()

        def customer() -> None:
            while not stop.is_set():
                self.place_order()
                placed.append(1)
                first.set()

        with ThreadPoolExecutor(1) as pool:
            customer_of = pool.submit(customer)
            try:
                assert first.wait(PATIENCE_SECONDS)
                yield placed
            finally:
                stop.set()
        customer_of.result()

    def made(self) -> list[str]:
        """Return what RDS has beside the deployment."""
        rds = self.cloud.client("rds")
        clusters = [one["DBClusterIdentifier"] for one in rds.describe_db_clusters()["DBClusters"]]
        instances = rds.describe_db_instances()["DBInstances"]
        snapshots = rds.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
        return [
            *(name for name in clusters if name != self.cluster),
            *(i["DBInstanceIdentifier"] for i in instances if i["DBClusterIdentifier"] != self.cluster),
            *(one["DBClusterSnapshotIdentifier"] for one in snapshots),
        ]


@pytest.fixture(scope="module")
def deployed(engine: str) -> Iterator[Deployed]:
    cloud = LocalCloud.start()
    try:
        bootstrap(cloud)
        one = Deployed(cloud, engine)
        done = operate(cloud, "deploy", *one.which, "--seed-lines", "2000")
        assert done.returncode == 0, done.stdout
        yield one
    finally:
        cloud.stop()
        shutil.rmtree(ROOT / "build" / "assemblies" / cloud.name, ignore_errors=True)


@pytest.fixture(autouse=True)
def nothing_is_left(deployed: Deployed) -> Iterator[None]:
    yield
    assert deployed.made() == []


class Meddling:
    """Functions between whose looks something happens to the copy, which a restore must not do."""

    def __init__(self, deployed: Deployed, statements: list[str]) -> None:
        self._functions, self._deployed, self._statements = deployed.functions(), deployed, statements

    def contents(self, *, endpoint: str | None = None, up_to: dict[str, int] | None = None) -> Any:
        for statement in self._statements if endpoint else []:
            self._deployed.rows(statement, host=str(endpoint))
        return self._functions.contents(endpoint=endpoint, up_to=up_to)


def test_a_failover_under_orders_loses_none_and_tells_its_pause(deployed: Deployed):
    before = deployed.rows("SELECT count(*) FROM shop.orders")
    done = deployed.rehearse("failover", "--order-seconds", "60")
    assert done.returncode == 0, done.stdout
    assert f"Failover of {deployed.cluster}: worked" in done.stdout
    assert "ms in which nobody was acknowledged an order" in done.stdout
    assert "0 lost, 0 altered, 0 twice" in done.stdout
    assert "0 left" in done.stdout
    assert deployed.rows("SELECT count(*) FROM shop.orders") == before


def test_a_snapshot_is_restored_whole_while_orders_go_on(deployed: Deployed):
    with deployed.orders_going_on() as placed:
        begun = len(placed)
        done = deployed.rehearse("snapshot")
        assert len(placed) > begun
    assert done.returncode == 0, done.stdout
    assert f"Restore of a snapshot of {deployed.cluster}: worked" in done.stdout
    assert "changed meanwhile" not in done.stdout
    assert "the snapshot is restored" in done.stdout


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("shop.products", "UPDATE shop.products SET unit_price = unit_price + 0.001 WHERE product_id = 1"),
        ("shop.rejects", "DELETE FROM shop.rejects"),
    ],
)
def test_a_row_that_is_changed_or_missing_in_the_copy_is_found(
    deployed: Deployed, table: str, statement: str
):
    with deployed.orders_going_on():
        found = restore.rehearse_snapshot(deployed.copies(), Meddling(deployed, [statement]))
    assert not found.worked
    assert [one.table for one in found.comparison.tables if one.verdict == "DIFFERS"] == [table]


def test_a_lost_order_is_found(deployed: Deployed):
    deployed.place_order()
    last = "(SELECT id FROM (SELECT max(order_id) AS id FROM shop.orders) AS last)"
    lose = [
        f"DELETE FROM shop.stock_movements WHERE order_id = {last}",
        f"DELETE FROM shop.orders WHERE order_id = {last}",
    ]
    found = restore.rehearse_snapshot(deployed.copies(), Meddling(deployed, lose))
    assert not found.worked
    differing = {one.table for one in found.comparison.tables if one.verdict == "DIFFERS"}
    assert differing == {"shop.orders", "shop.order_lines", "shop.stock_movements"}
    assert found.comparison.violations == {"stock is the sum of its movements": 1}


def test_a_moment_is_restored_with_all_before_it_and_nothing_after(deployed: Deployed):
    with deployed.orders_going_on():
        copies = deployed.copies()
        found = restore.rehearse_moment(copies, deployed.functions(), None)
    assert found.worked, deployed.said.getvalue()
    assert {one.verdict for one in found.comparison.tables} == {"same"}
    assert found.contents.newest_order is not None
    assert found.moment is not None
    # customers ordered at every moment, this one too
    assert found.moment - timedelta(seconds=30) < datetime.fromisoformat(found.contents.newest_order)
    assert datetime.fromisoformat(found.contents.newest_order) <= found.moment


def test_a_moment_before_a_rotation_is_opened_by_the_former_password_and_one_before_two_by_none(
    deployed: Deployed,
):
    deployed.place_order()
    moment = next_second(deployed)
    deployed.rotate()
    found = restore.rehearse_moment(deployed.copies(), deployed.functions(), moment)
    assert found.worked, deployed.said.getvalue()
    deployed.rotate()
    with pytest.raises(RehearsalFailed, match="rotated twice since"):
        restore.rehearse_moment(deployed.copies(), deployed.functions(), moment)


def test_an_upgrade_is_rehearsed_on_a_copy_while_orders_go_on(deployed: Deployed):
    before = deployed.rows("SELECT version()")
    with deployed.orders_going_on():
        done = deployed.rehearse("upgrade", "--to", NEWER[deployed.engine])
    assert done.returncode == 0, done.stdout
    assert f"Upgrade to {NEWER[deployed.engine]} of {deployed.cluster}: worked" in done.stdout
    assert deployed.rows("SELECT version()") == before


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_rehearsal_that_is_interrupted_takes_its_copy_away(deployed: Deployed, sent: signal.Signals):
    with looking_into_a_copy(deployed) as process:
        assert deployed.made() != []
        process.send_signal(sent)
        rest, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, rest
    assert "the copy is taken away" in rest


def test_what_a_killed_rehearsal_has_left_is_found_and_taken_away(deployed: Deployed):
    with looking_into_a_copy(deployed) as process:
        process.kill()
    assert f"{deployed.cluster}-rehearsal" in deployed.made()
    done = operate(deployed.cloud, "leftovers", *deployed.which)
    assert "A rehearsal has left" in done.stdout


LOOKS_FOR_EVER = """
import sys, time
from operate import __main__ as operate
from operate.rehearsals.functions import Functions

look = Functions.contents

def contents(self, *, endpoint=None, up_to=None):
    if endpoint is None:
        return look(self, up_to=up_to)
    print("looking into the copy", flush=True)
    time.sleep(600)

Functions.contents = contents
sys.exit(operate.main(sys.argv[1:]))
"""


@contextmanager
def looking_into_a_copy(deployed: Deployed) -> Iterator[subprocess.Popen[str]]:
    """Start a rehearsal that does not come to an end, and wait until its copy serves."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOOKS_FOR_EVER, "rehearse", "snapshot", *deployed.which],
        cwd=ROOT,
        env={**os.environ, **deployed.cloud.env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        while "looking into the copy" not in said:
            line = process.stdout.readline()
            said += line
            assert line, said
        yield process
    finally:
        process.kill()
        process.communicate()


def next_second(deployed: Deployed) -> datetime:
    """Return the next whole second by the server's clock, once it has passed."""
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    while datetime.now(UTC) <= moment:
        time.sleep(0.05)
    return moment
