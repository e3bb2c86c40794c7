"""A deployment with data goes to another class, readers first, and to a later major version, by its settings.

As its users do it: settings are edited, then `make deploy`. While the class changes, customers order.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from operate.guard import REFUSED
from tests.deploy.clients import ROOT, App, LocalCloud
from tests.deploy.test_local_deployment import copy_of_the_project

KINDS = {"postgresql": "production", "mysql": "dev"}
"""One whose data are retained, and one that nobody keeps."""
VERSIONS = {
    "postgresql": ("16.13", "18.4"),
    "mysql": ("8.0.mysql_aurora.3.12.0", "8.4.mysql_aurora.8.4.8"),
}
FAMILIES = {"postgresql": "aurora-postgresql18", "mysql": "aurora-mysql8.4"}
SMALL, LARGE = 'Instances("r8g.large")', 'Instances("r8g.xlarge")'
SETTINGS = """

_upgraded = DEPLOYMENTS["{kind}"]
_changed = replace(_upgraded.database, engine="{engine}", engine_version="{version}", reader_count=1,
                   port=ENGINES["{engine}"].default_port, capacity={capacity}, reader_capacity={readers})
DEPLOYMENTS = {{**DEPLOYMENTS, "{kind}": replace(_upgraded, database=_changed)}}
"""
PATIENT = Config(read_timeout=600, retries={"total_max_attempts": 1})
ORDER_SECONDS = 10


class Shop:
    """A deployment on the local cloud from a copy of the project, whose settings are edited."""

    def __init__(self, cloud: LocalCloud, engine: str, project: Path) -> None:
        self.cloud, self.engine, self.kind = cloud, engine, KINDS[engine]
        self.app = App(cloud, project)
        self._settings = project / "stacks" / "settings.py"
        self._original = self._settings.read_text()
        self.names = {part: f"shop-{self.kind}-{part}" for part in ("database", "schema")}

    def edit(self, *, version: str = "", capacity: str = SMALL, readers: str = "None") -> None:
        """Write settings: the original ones, but for what is given."""
        change = SETTINGS.format(
            kind=self.kind,
            engine=self.engine,
            version=version or VERSIONS[self.engine][0],
            capacity=capacity,
            readers=readers,
        )
        self._settings.write_text(self._original + change)

    def operate(self, verb: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a verb as make does."""
        command = [sys.executable, "-m", "operate", verb, "--deployment", self.kind, "--local"]
        command += ["--cloud", self.cloud.name, *options]
        return self.cloud.person.run(command, cwd=self.app.directory, env=self.cloud.env, check=check)

    def invoke(self, output: str, event: dict[str, Any]) -> dict[str, Any]:
        """Return the answer of the function that an output of the schema's stack names."""
        name = self.app.outputs(self.names["schema"])[output]
        functions = boto3.client(
            "lambda",
            endpoint_url=self.cloud.variables["AWS_ENDPOINT_URL"],
            region_name=self.cloud.variables["AWS_REGION"],
            aws_access_key_id=self.cloud.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.cloud.variables["AWS_SECRET_ACCESS_KEY"],
            config=PATIENT,
        )
        answer = functions.invoke(FunctionName=name, Payload=json.dumps(event))
        payload: dict[str, Any] = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return payload

    def contents(self) -> dict[str, Any]:
        """Return what the database holds, by the migrator: rows and a digest by table, and the invariants."""
        answer = self.invoke("MigrationsFunction", {"verb": "contents"})
        assert answer["exit_code"] == 0, answer
        found: dict[str, Any] = answer["data"]
        return found

    def instances(self) -> dict[str, dict[str, Any]]:
        """Return what RDS says of the instances, by logical id."""
        described = self.cloud.items("rds", "describe_db_instances", "DBInstances")
        by_name = {one["DBInstanceIdentifier"]: one for one in described}
        resources = self.cloud.items(
            "cloudformation",
            "list_stack_resources",
            "StackResourceSummaries",
            StackName=self.names["database"],
        )
        return {
            one["LogicalResourceId"]: by_name[one["PhysicalResourceId"]]
            for one in resources
            if one["ResourceType"] == "AWS::RDS::DBInstance"
        }

    def cluster(self) -> dict[str, Any]:
        """Return what RDS says of the cluster."""
        (found,) = self.cloud.items("rds", "describe_db_clusters", "DBClusters")
        return dict(found)

    def writer(self) -> str:
        """Return the writer's identifier."""
        return str(
            next(
                m["DBInstanceIdentifier"] for m in self.cluster()["DBClusterMembers"] if m["IsClusterWriter"]
            )
        )

    @contextmanager
    def customers(self) -> Iterator[list[dict[str, Any]]]:
        """Have customers order until the block ends; what became of their orders is in the list then."""
        answers: list[dict[str, Any]] = []
        ended, began = threading.Event(), threading.Event()

        def order() -> None:
            try:
                while not ended.is_set():
                    answers.append(
                        self.invoke(
                            "SmokeTestFunction",
                            {"verb": "order", "seconds": ORDER_SECONDS, "customers": 2},
                        )
                    )
                    began.set()
            finally:
                began.set()

        with ThreadPoolExecutor(1) as pool:
            ordering = pool.submit(order)
            try:
                began.wait()
                yield answers
            finally:
                ended.set()
        ordering.result()


@pytest.fixture
def shop(cloud: LocalCloud, engine: str, tmp_path: Path) -> Iterator[Shop]:
    project = copy_of_the_project(tmp_path / "project")
    for part in ("operate", "localcloud"):
        shutil.copytree(ROOT / part, project / part, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "node_modules").symlink_to(ROOT / "node_modules")
    cloud.person.run(
        [str(ROOT / "node_modules/.bin/cdk"), "bootstrap", "--app", "", "--no-notices",
         "aws://123456789012/us-east-1"], cwd=ROOT, env=cloud.env,
    )  # fmt: skip
    yield Shop(cloud, engine, project)
    shutil.rmtree(ROOT / "build" / "assemblies" / cloud.name)


def nothing_lost(answers: list[dict[str, Any]]) -> bool:
    """Whether every order that was acknowledged stands once, and some were."""
    assert sum(answer["acknowledged"] for answer in answers) > 0
    for answer in answers:
        assert (answer["result"], answer["lost"], answer["altered"], answer["twice"]) == ("kept", 0, 0, 0), (
            answer
        )
        assert (answer["violations"], answer["gave_up"]) == ({}, []), answer
    return True


def same_contents(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether every table holds the same rows, and no invariant is violated."""
    assert before["tables"] == after["tables"]
    assert sum(table["rows"] for table in after["tables"].values()) > 0
    assert set(after["violations"].values()) == {0}
    return True


@pytest.mark.long
def test_readers_first_then_the_writer_then_the_next_major_version(shop: Shop):
    change_class_with_customers(shop)
    upgrade(shop)
    shop.operate("smoke")
    unprotect = ["--unprotect", shop.kind] if shop.kind == "production" else []
    assert "0 left" in shop.operate("destroy", *unprotect).stdout


def change_class_with_customers(shop: Shop) -> None:
    """Readers first, then a failover, then the former writer: each step touches what it names."""
    shop.edit()
    shop.operate("deploy")
    first = shop.writer()
    with shop.customers() as answers:
        shop.edit(readers=LARGE)
        shop.operate("deploy")
    assert nothing_lost(answers)
    assert shop.writer() == first
    classes = {one["DBInstanceIdentifier"]: one["DBInstanceClass"] for one in shop.instances().values()}
    (reader,) = classes.keys() - {first}
    assert classes == {first: "db.r8g.large", reader: "db.r8g.xlarge"}
    shop.operate("rehearse", "failover", "--order-seconds", "60")  # ends with 1 where an order was lost
    assert shop.writer() == reader
    with shop.customers() as answers:
        shop.edit(capacity=LARGE)
        shop.operate("deploy")
    assert nothing_lost(answers)
    assert shop.writer() == reader, "the class of what is no writer any more was changed"
    assert {one["DBInstanceClass"] for one in shop.instances().values()} == {"db.r8g.xlarge"}
    updated = {
        logical_id
        for logical_id, status, _ in shop.app.events(shop.names["database"])
        if status == "UPDATE_COMPLETE" and not logical_id.startswith("shop-")
    }
    assert updated == set(shop.instances()), "neither the cluster nor the proxy was touched"


def upgrade(shop: Shop) -> None:
    """A major version by settings: rows stay, groups are the new family's, and nothing leads back."""
    older, newer = VERSIONS[shop.engine]
    before = shop.contents()
    shop.edit(version=newer, capacity=LARGE)
    allow = confirmed(shop, newer)
    said = shop.operate("deploy", *allow).stdout
    assert f"from {older} to {newer}: a MAJOR upgrade in place" in said
    cluster = shop.cluster()
    assert (cluster["EngineVersion"], cluster["Status"]) == (newer, "available")
    for one in shop.instances().values():
        assert (one["EngineVersion"], one["DBInstanceStatus"]) == (newer, "available")
    groups = {
        group["DBParameterGroupName"] for i in shop.instances().values() for group in i["DBParameterGroups"]
    }
    groups.add(cluster["DBClusterParameterGroup"])
    assert len(groups) == 2
    assert families(shop, groups) == {FAMILIES[shop.engine]}
    after = shop.contents()
    assert same_contents(before, after)
    if shop.engine == "postgresql":  # the programs of MySQL here are of one release, whatever the version
        assert after["server_version"].startswith("18.")
    assert shop.app.outputs(shop.names["schema"])["SmokeTestResult"] == "passed"
    with shop.customers() as answers:
        pass
    assert nothing_lost(answers)
    shop.edit(version=older, capacity=LARGE)
    refused = shop.operate("guard", check=False)
    assert refused.returncode == REFUSED, refused.stdout
    assert "Aurora never goes back" in refused.stdout


def confirmed(shop: Shop, version: str) -> list[str]:
    """Return what confirms the upgrade where data are retained, after it was refused without."""
    if shop.kind != "production":
        return []
    refused = shop.operate("deploy", check=False)
    assert refused.returncode == REFUSED, refused.stdout
    assert f"ALLOW=ClusterEB0386A7:{version}" in refused.stdout
    assert shop.cluster()["EngineVersion"] == VERSIONS[shop.engine][0]
    return ["--allow", f"ClusterEB0386A7:{version}"]


def families(shop: Shop, groups: set[str]) -> set[str]:
    """Return the families of parameter groups of both kinds."""
    found = [
        *shop.cloud.items("rds", "describe_db_parameter_groups", "DBParameterGroups"),
        *shop.cloud.items("rds", "describe_db_cluster_parameter_groups", "DBClusterParameterGroups"),
    ]
    return {
        one["DBParameterGroupFamily"]
        for one in found
        if one.get("DBParameterGroupName", one.get("DBClusterParameterGroupName")) in groups
    }
