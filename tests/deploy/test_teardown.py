"""A deployment that failed half-way and a destroy that was killed leave what is to be kept, and nothing else.

Each engine is deployed for good and for a while, each time on a cloud of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from operate.guard import REFUSED, deployed_templates, judge
from stacks.engines import ENGINES
from stacks.settings import Deployment
from stacks.validation import choose
from tests.deploy.clients import ROOT, LocalCloud
from tests.stacks.synthesized import synthesize

PATIENCE_SECONDS = 120
NAMES = {"production": "", "ephemeral": "pr-42"}
KEPT = {"cluster snapshot": 1, "key": 2, "secret": 1, "backup vault": 1}
"""What production keeps: the data, and what it takes to restore them."""


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    """Return a cloud of the test's own, on which nothing was retained before."""
    cloud = LocalCloud.start()
    yield cloud
    cloud.stop()


@pytest.fixture(scope="module")
def unreadable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file that the loader refuses, so that the third of the four stacks fails."""
    path = tmp_path_factory.mktemp("seed") / "lines.csv"
    path.write_text("not,an,invoice\n1,2,3\n")
    return path


@pytest.fixture(autouse=True)
def no_assembly_stays(cloud: LocalCloud) -> Iterator[None]:
    """Remove what the verbs have synthesized for this cloud."""
    yield
    shutil.rmtree(ROOT / "build" / "assemblies" / cloud.name, ignore_errors=True)


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", NAMES)
def test_nothing_is_left_but_what_is_to_be_kept(kind: str, engine: str, cloud: LocalCloud, unreadable: Path):
    name = NAMES[kind]
    chosen = choose(kind, name=name or None, engine=engine, target="local")
    which = ["--deployment", kind, "--engine", engine, "--local", "--cloud", cloud.name]
    which += ["--name", name] if name else []
    bootstrap(cloud)

    failed = operate(cloud, "deploy", *which, "--seed-file", str(unreadable))
    assert failed.returncode != 0, failed.stdout
    assert statuses(cloud, chosen) == ["CREATE_COMPLETE", "CREATE_COMPLETE", "ROLLBACK_COMPLETE"]
    if chosen.retain_data:
        assert_no_loss_passes_the_guard(cloud, chosen)

    unprotect = ["--unprotect", kind] if chosen.termination_protection else []
    kill_while("DELETE_IN_PROGRESS", cloud, chosen, "destroy", *which, *unprotect)
    done = operate(cloud, "destroy", *which, *unprotect)
    assert done.returncode == 0, done.stdout
    assert f"Of {chosen.name}: 0 left" in done.stdout
    kept = Counter(re.findall(r"^  kept +(.+?)  +[\d.]+ USD", done.stdout, re.MULTILINE))
    assert kept == (KEPT if chosen.retain_data else {}), done.stdout
    assert cloud.left_over() == ([f"secrets: {chosen.secret_name}"] if chosen.retain_data else [])
    if chosen.retain_data:
        again = operate(cloud, "deploy", *which)
        assert again.returncode == 1, again.stdout
        for said in ("Nothing was made", f"secret {chosen.secret_name} (in use)", "delete-backup-vault"):
            assert said in again.stdout, again.stdout
        assert statuses(cloud, chosen) == []


@pytest.mark.long
def test_a_pipeline_that_broke_off_is_gone_on_with(cloud: LocalCloud):
    chosen = choose("ephemeral", name="pr-43", target="local")
    which = ["--deployment", "ephemeral", "--name", chosen.name, "--local", "--cloud", cloud.name]
    bootstrap(cloud)
    kill_while("CREATE_IN_PROGRESS", cloud, chosen, "deploy", *which)
    done = operate(cloud, "deploy", *which)
    assert done.returncode == 0, done.stdout
    assert "Smoke test passed" in done.stdout
    assert statuses(cloud, chosen) == ["CREATE_COMPLETE"] * 4
    kill_while("DELETE_IN_PROGRESS", cloud, chosen, "destroy", *which)
    done = operate(cloud, "destroy", *which)
    assert done.returncode == 0, done.stdout
    assert f"Of {chosen.name}: 0 left" in done.stdout
    assert cloud.left_over() == []


@pytest.mark.long
def test_a_creation_that_fails_leaves_nothing_empty_that_is_to_be_retained(cloud: LocalCloud, tmp_path: Path):
    chosen = choose("production", target="local")
    bootstrap(cloud)
    cdk = [str(ROOT / "node_modules/.bin/cdk"), "--no-notices", "--app"]
    assembly = str(tmp_path / "assembly")
    context = ["-c", "deployment=production", "-c", "target=local"]
    app = f"{sys.executable} app.py"
    cloud.person.run([*cdk, app, "synth", "--quiet", "--output", assembly, *context], cwd=ROOT, env=cloud.env)
    made = fail_after_what_is_retained(Path(assembly) / "Database.template.json")
    assert len(made) == sum(KEPT.values()) - 1, "the snapshot comes in the end"
    deploy = [*cdk, assembly, "deploy", "--require-approval", "never", "Database"]
    failed = cloud.person.run(deploy, cwd=ROOT, env=cloud.env, check=False)
    assert failed.returncode == 1, failed.stdout
    assert statuses(cloud, chosen) == ["CREATE_COMPLETE", "ROLLBACK_COMPLETE"]
    for logical_id in made:
        assert events(cloud, chosen.stack_name("database"), logical_id)[0] == "DELETE_COMPLETE", logical_id
    assert [one for one in cloud.left_over() if chosen.secret_name in one] == []


def fail_after_what_is_retained(path: Path) -> list[str]:
    """Add to a template what fails once all is made that is to be retained, and before the cluster.

    Nobody takes back a cluster that is protected: from then on nothing is empty any more.
    """
    template = json.loads(path.read_text())
    made = [
        name for name, one in template["Resources"].items()
        if one.get("DeletionPolicy", "Delete") not in {"Delete", "Snapshot"}
    ]  # fmt: skip
    template["Resources"]["Failing"] = {
        "Type": "AWS::SSM::Parameter",
        "Properties": {"Name": "aws-is-reserved", "Type": "String", "Value": "-"},
        "DependsOn": made,
    }
    (cluster,) = (one for one in template["Resources"].values() if one["Type"] == "AWS::RDS::DBCluster")
    cluster["DependsOn"] = [*cluster.get("DependsOn", []), "Failing"]
    path.write_text(json.dumps(template))
    return made


def bootstrap(cloud: LocalCloud) -> None:
    command = [str(ROOT / "node_modules/.bin/cdk"), "bootstrap", "--app", "", "--no-notices"]
    cloud.person.run([*command, "aws://123456789012/us-east-1"], cwd=ROOT, env=cloud.env)


def events(cloud: LocalCloud, stack: str, logical_id: str) -> list[str]:
    """Return the statuses of a resource, the last one first."""
    found = cloud.items("cloudformation", "describe_stack_events", "StackEvents", StackName=stack)
    return [one["ResourceStatus"] for one in found if one["LogicalResourceId"] == logical_id]


def assert_no_loss_passes_the_guard(cloud: LocalCloud, chosen: Deployment) -> None:
    for change, resource_type, changed in (
        (database_named_otherwise, "AWS::RDS::DBCluster", "DatabaseName"),
        (network_elsewhere, "AWS::EC2::VPC", "CidrBlock"),
        (on_the_other_engine, "AWS::RDS::DBCluster", "Engine"),
    ):
        assert (resource_type, changed) in refused(cloud, chosen, change(chosen)), changed


def operate(cloud: LocalCloud, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "operate", *arguments]
    return cloud.person.run(command, cwd=ROOT, env=cloud.env, check=False)


def kill_while(status: str, cloud: LocalCloud, chosen: Deployment, *arguments: str) -> None:
    """Kill a verb, and the CDK CLI below it, while a stack has a status."""
    command = [sys.executable, "-m", "operate", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **cloud.env}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    ) as process:  # fmt: skip
        until = time.monotonic() + PATIENCE_SECONDS
        while status not in statuses(cloud, chosen):
            assert time.monotonic() < until, statuses(cloud, chosen)
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.05)
        subprocess.run(["kill", f"-{signal.SIGKILL.value}", "--", f"-{process.pid}"], check=True)
    assert statuses(cloud, chosen), "it was killed too late: nothing stands any more"


def statuses(cloud: LocalCloud, chosen: Deployment) -> list[str]:
    """Return the statuses of the deployment's stacks in the order of their creation."""
    found = {
        one["StackName"]: one["StackStatus"]
        for one in cloud.items("cloudformation", "describe_stacks", "Stacks")
    }
    names = [chosen.stack_name(part) for part in ("network", "database", "schema", "observability")]
    return [found[name] for name in names if name in found]


def refused(cloud: LocalCloud, chosen: Deployment, wanted: Deployment) -> set[tuple[str, str]]:
    """Return type and property of everything that the guard refuses to replace in what is deployed."""
    names = {part.capitalize(): chosen.stack_name(part) for part in ("network", "database")}
    deployed = deployed_templates(cast(Any, cloud), list(names.values()))  # it gives clients
    assert set(deployed) == set(names.values())
    templates = synthesize(wanted).templates
    verdict = judge(deployed, {name: templates[construct_id] for construct_id, name in names.items()})
    assert verdict.exit_code == REFUSED
    return {(loss.resource.type, one.name) for loss, _ in verdict.refused for one in loss.differences}


def database_named_otherwise(chosen: Deployment) -> Deployment:
    return replace(chosen, database=replace(chosen.database, database_name="boutique"))


def network_elsewhere(chosen: Deployment) -> Deployment:
    return replace(chosen, network=replace(chosen.network, cidr="10.99.0.0/16"))


def on_the_other_engine(chosen: Deployment) -> Deployment:
    (other,) = set(ENGINES) - {chosen.database.engine}
    return choose(chosen.name, engine=other, target="local")
