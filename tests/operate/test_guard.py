"""A change that takes away what holds state is refused by name, and one that does not is let through."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from botocore.stub import Stubber
from rich.console import Console

from operate import guard
from operate.deployment import Deployment as OperatedDeployment
from operate.guard import REFUSED, SAFE, judge
from operate.template_changes import losses
from operate.upgrades import Upgrade, upgrades
from stacks.engines import ENGINES
from stacks.settings import Deployment, Instances, ServerlessV2
from stacks.validation import choose
from tests.stacks.synthesized import synthesize

Templates = dict[str, dict[str, Any]]


@cache
def deployed(kind: str, engine: str) -> Templates:
    return templates(settings(kind, engine))


def settings(kind: str, engine: str) -> Deployment:
    return choose(kind, engine=engine, name="pr-1" if kind == "ephemeral" else None)


def templates(deployment: Deployment) -> Templates:
    return synthesize(deployment).templates


def other_database_name(deployment: Deployment) -> Deployment:
    return replace(deployment, database=replace(deployment.database, database_name="boutique"))


def other_network(deployment: Deployment) -> Deployment:
    return replace(deployment, network=replace(deployment.network, cidr="10.99.0.0/16"))


def other_name(deployment: Deployment) -> Deployment:
    return replace(deployment, name="other")


def other_user(deployment: Deployment) -> Deployment:
    return replace(deployment, database=replace(deployment.database, master_user="shop_owner"))


REFUSALS: list[tuple[Callable[[Deployment], Deployment], set[tuple[str, str]]]] = [
    (other_database_name, {("AWS::RDS::DBCluster", "DatabaseName")}),
    (
        other_name,
        {
            ("AWS::RDS::DBCluster", "DBClusterIdentifier"),
            ("AWS::SecretsManager::Secret", "Name"),
        },
    ),
    (
        other_network,
        {
            ("AWS::EC2::VPC", "CidrBlock"),
            ("AWS::EC2::Subnet", "CidrBlock"),
            ("AWS::EC2::Subnet", "VpcId"),
        },
    ),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("change", "expected"), REFUSALS, ids=[case[0].__name__ for case in REFUSALS])
def test_a_replacement_of_state_is_refused_with_its_property(change, expected, engine):
    before = deployed("ephemeral", engine)
    verdict = judge(before, templates(change(settings("ephemeral", engine))))
    assert verdict.exit_code == REFUSED
    refused = {(loss.resource.type, one.name) for loss, _ in verdict.refused for one in loss.differences}
    assert expected <= refused
    assert all(loss.kind == "replaced" for loss, _ in verdict.refused)


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_and_what_is_changed_in_place_is_safe(engine):
    before = deployed("ephemeral", engine)
    assert losses(before, templates(settings("ephemeral", engine))) == []
    database = settings("ephemeral", engine).database
    larger = replace(
        database,
        capacity=ServerlessV2(min_capacity_acu=1, max_capacity_acu=8),
        reader_count=2,
        rotation_days=7,
    )
    verdict = judge(before, templates(replace(settings("ephemeral", engine), database=larger)))
    assert verdict.exit_code == SAFE


def test_a_password_made_anew_behind_the_clusters_back_is_refused():
    before = deployed("ephemeral", "postgresql")
    after = templates(other_user(settings("ephemeral", "postgresql")))
    ((loss, _),) = judge(before, after).refused
    assert (loss.resource.type, loss.kind) == ("AWS::SecretsManager::Secret", "overwritten")
    assert loss.differences[0].name == "GenerateSecretString"


def test_another_engine_is_refused():
    verdict = judge(deployed("ephemeral", "postgresql"), deployed("ephemeral", "mysql"))
    (engine,) = [
        one for loss, _ in verdict.refused for one in loss.differences if loss.resource.type == CLUSTER
        if one.name == "Engine"
    ]  # fmt: skip
    assert (engine.old, engine.new) == ("aurora-postgresql", "aurora-mysql")


CLUSTER = "AWS::RDS::DBCluster"


@pytest.mark.parametrize("resource_type", ["AWS::KMS::Key", "AWS::SecretsManager::Secret", CLUSTER])
def test_a_removed_resource_of_state_is_refused(resource_type):
    before = deployed("production", "postgresql")
    found = [name for name, one in before["Database"]["Resources"].items() if one["Type"] == resource_type]
    for removed in found:
        verdict = judge(before, without(before, removed))
        assert {(loss.resource.logical_id, loss.kind) for loss, _ in verdict.refused} >= {
            (removed, "deleted")
        }


def without(before: Templates, removed: str) -> Templates:
    kept = {name: one for name, one in before["Database"]["Resources"].items() if name != removed}
    return {**before, "Database": {**before["Database"], "Resources": kept}}


def test_another_key_replaces_the_cluster_too():
    """The cluster refers to its key by a property that it was created with: its own text has not changed."""
    before = deployed("production", "postgresql")
    key = cluster(before)["Properties"]["KmsKeyId"]["Fn::GetAtt"][0]
    resources = dict(before["Database"]["Resources"])
    resources[key] = {**resources[key], "Properties": {**resources[key]["Properties"], "KeySpec": "RSA_2048"}}
    verdict = judge(before, {**before, "Database": {**before["Database"], "Resources": resources}})
    said = {loss.resource.type: loss for loss, _ in verdict.refused}
    (of_cluster,) = said[CLUSTER].differences
    assert of_cluster.name == "KmsKeyId"
    assert of_cluster.old == of_cluster.new
    assert "gets a new one itself" in str(of_cluster)


def cluster(found: Templates) -> dict[str, Any]:
    return next(one for one in found["Database"]["Resources"].values() if one["Type"] == CLUSTER)


def test_a_reader_may_go_and_the_only_writer_may_not():
    one = replace(settings("ephemeral", "postgresql").database, reader_count=0, proxy=False)
    alone = templates(replace(settings("ephemeral", "postgresql"), database=one))
    with_reader = deployed("ephemeral", "postgresql")
    types = {loss.resource.type for loss in losses(with_reader, alone)}
    assert "AWS::RDS::DBInstance" in types
    assert not [
        loss for loss, _ in judge(with_reader, alone).refused if loss.resource.type == "AWS::RDS::DBInstance"
    ]
    writer = next(n for n, r in alone["Database"]["Resources"].items() if r["Type"] == "AWS::RDS::DBInstance")
    ((loss, holds),) = judge(alone, without(alone, writer)).refused
    assert loss.resource.logical_id == writer
    assert "last instance" in holds


def test_another_instance_class_is_safe():
    production = settings("production", "postgresql")
    larger = replace(production, database=replace(production.database, capacity=Instances("r8g.xlarge")))
    assert judge(deployed("production", "postgresql"), templates(larger)).exit_code == SAFE


def test_a_log_of_a_year_counts_and_one_of_a_week_does_not():
    for kind, exit_code in {"production": REFUSED, "ephemeral": SAFE}.items():
        before = deployed(kind, "postgresql")
        log = next(
            n for n, r in before["Database"]["Resources"].items() if r["Type"] == "AWS::Logs::LogGroup"
        )
        assert judge(before, without(before, log)).exit_code == exit_code


def test_what_is_named_is_allowed_and_nothing_else():
    before = deployed("production", "postgresql")
    after = templates(other_database_name(settings("production", "postgresql")))
    refused = [loss.resource.logical_id for loss, _ in judge(before, after).refused]
    assert len(refused) == 4, "the cluster, and the three instances that are in it"
    assert judge(before, after, allow=refused).exit_code == SAFE
    assert judge(before, after, allow=refused[1:]).exit_code == REFUSED
    assert judge(before, after, allow=["Cluster"]).exit_code == REFUSED


def test_it_says_what_becomes_of_the_old_one():
    for kind, expected in {"production": "snapshot of it stays", "ephemeral": "is deleted"}.items():
        after = templates(other_database_name(settings(kind, "mysql")))
        found = judge(deployed(kind, "mysql"), after).refused
        (loss,) = [loss for loss, _ in found if loss.resource.type == CLUSTER]
        assert expected in loss.what_becomes_of_it()


# --- versions

VERSIONS = {"postgresql": ("16.13", "16.11", "18.4"), "mysql": (
    "8.0.mysql_aurora.3.12.0", "8.0.mysql_aurora.3.10.6", "8.4.mysql_aurora.8.4.8"
)}  # fmt: skip
"""Of each engine: the one that runs, an older one, one of a later major version."""
MINOR = {"postgresql": "16.14", "mysql": "8.0.mysql_aurora.3.13.0"}


def on(kind: str, engine: str, version: str) -> Deployment:
    deployment = settings(kind, engine)
    return replace(deployment, database=replace(deployment.database, engine_version=version))


def asked(
    kind: str, engine: str, wanted: str, *, running: str = "", targets: dict[str, bool] | None = None
) -> Upgrade:
    """Return what becomes of a deployment in the default version whose settings want another one.

    The answers of RDS are its own in their form: what the guard asks, and how it reads them, is checked.
    """
    running = running or ENGINES[engine].default_version
    before = deployed(kind, engine)
    after = copy.deepcopy(before)
    cluster(after)["Properties"]["EngineVersion"] = wanted
    rds = boto3.client("rds", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    engine_name = f"aurora-{engine}"
    with Stubber(rds) as stub:
        stub.add_response(
            "describe_db_clusters",
            {"DBClusters": [{"EngineVersion": running}]},
            {"DBClusterIdentifier": cluster(before)["Properties"]["DBClusterIdentifier"]},
        )
        stub.add_response(
            "describe_db_engine_versions",
            {"DBEngineVersions": [{"ValidUpgradeTarget": [
                {"Engine": engine_name, "EngineVersion": version, "IsMajorVersionUpgrade": is_major}
                for version, is_major in (targets or {}).items()
            ]}]},
            {"Engine": engine_name, "EngineVersion": running, "IncludeAll": True},
        )  # fmt: skip
        session = SimpleNamespace(client=lambda service: {"rds": rds}[service])
        (found,) = upgrades(cast(Any, session), before, after)
        stub.assert_no_pending_responses()
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_a_minor_upgrade_that_aurora_makes_is_let_through_and_told(engine):
    found = asked("production", engine, MINOR[engine], targets={MINOR[engine]: False})
    assert not found.is_refused(())
    assert "each instance restarts" in found.sentence(())


@pytest.mark.parametrize("engine", ENGINES)
def test_an_older_version_is_refused_with_the_way_back(engine):
    running, older, newer = VERSIONS[engine]
    found = asked("ephemeral", engine, older, targets={newer: True})
    assert found.is_refused((found.name,)), "nothing that is named makes Aurora go back"
    assert f"from {running} to {older}: Aurora never goes back" in found.sentence(())
    assert "restore a snapshot" in found.sentence(())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_version_that_no_upgrade_leads_to_is_refused_with_those_that_one_does(engine):
    _, _, newer = VERSIONS[engine]
    found = asked("ephemeral", engine, newer, targets={MINOR[engine]: False})
    assert found.is_refused((found.name,))
    assert f"Set engine_version to one of {MINOR[engine]}," in found.sentence(())
    assert "RDS knows no upgrade" in asked("ephemeral", engine, newer).sentence(())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_major_upgrade_of_what_is_retained_is_named_with_its_version(engine):
    _, _, newer = VERSIONS[engine]
    found = asked("production", engine, newer, targets={newer: True})
    assert found.is_refused(())
    assert found.is_refused((found.logical_id,)), "that would let the cluster be replaced as well"
    assert found.is_refused((f"{found.logical_id}:{MINOR[engine]}",))
    assert f"name it: ALLOW=ClusterEB0386A7:{newer}" in found.sentence(())
    allowed = (f"ClusterEB0386A7:{newer}",)
    assert not found.is_refused(allowed)
    for told in ("MAJOR", "no way back but a snapshot", "rehearse", "is away until it is done"):
        assert told in found.sentence(allowed)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_major_upgrade_of_what_nobody_keeps_is_told_and_let_through(engine):
    _, _, newer = VERSIONS[engine]
    found = asked("ephemeral", engine, newer, targets={newer: True})
    assert not found.is_refused(())
    assert "MAJOR" in found.sentence(())


def test_what_runs_counts_and_not_what_was_deployed():
    """AWS upgrades minor versions itself: what is later than the template may be older than the cluster."""
    found = asked("production", "postgresql", "16.14", running="16.15", targets={"18.6": True})
    assert (found.kind, found.is_refused(())) == ("backwards", True)
    caught_up = asked("production", "postgresql", "16.14", running="16.14", targets={"18.6": True})
    assert (caught_up.kind, caught_up.is_refused(())) == ("none", False)


def test_without_a_change_of_version_rds_is_not_asked():
    before = deployed("production", "postgresql")
    assert upgrades(cast(Any, None), before, before) == []
    other_engine = templates(settings("production", "mysql"))
    assert upgrades(cast(Any, None), before, other_engine) == [], "that is a replacement"


@pytest.mark.parametrize(("allow", "exit_code"), [((), REFUSED), (("ClusterEB0386A7:18.4",), SAFE)])
def test_the_verb_ends_with_the_verdict_on_a_major_upgrade(monkeypatch, allow, exit_code):
    before = deployed("production", "postgresql")
    found = asked("production", "postgresql", "18.4", targets={"18.4": True})
    monkeypatch.setattr(guard, "deployed_templates", lambda *_: before)
    monkeypatch.setattr(guard, "templates", lambda _: before)
    monkeypatch.setattr(guard, "upgrades", lambda *_: [found])
    console = Console(file=StringIO(), width=10_000)
    said = guard.check(console, cast(Any, None), OPERATED, Path(), allow=allow)
    text = console.file.getvalue()
    assert said == exit_code
    assert ("Refused: Database: ClusterEB0386A7 from" in text) == (exit_code == REFUSED)
    assert ("Safe:" in text) == (exit_code == SAFE)


OPERATED = OperatedDeployment(kind="production")
