"""What a change of version, class or number of readers changes in the templates: that, and nothing beside.

The smoke test runs anew with each of them; its run, which is named after what it proves, and its report do
not count.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from stacks.engines import ENGINES
from stacks.settings import Deployment, Instances
from tests.stacks.conftest import chosen
from tests.stacks.synthesized import Synthesized, referred, synthesize

MAJORS = {
    name: sorted(set(engine.major_versions.values()), key=lambda major: [int(n) for n in major.split(".")])
    for name, engine in ENGINES.items()
}
MINOR_STEPS = [
    pytest.param(name, older, newer, id=f"{older}-{newer}")
    for name, engine in ENGINES.items()
    for older, newer in zip(engine.major_versions, list(engine.major_versions)[1:], strict=False)
    if engine.major_versions[older] == engine.major_versions[newer]
]
MAJOR_STEPS = [
    pytest.param(name, older, newer, id=f"{older}-{newer}")
    for name, majors in MAJORS.items()
    for number, older in enumerate(majors)
    for newer in majors[number + 1 :]
]
GROUPS = ("AWS::RDS::DBClusterParameterGroup", "AWS::RDS::DBParameterGroup")
CLUSTER, INSTANCE = "AWS::RDS::DBCluster", "AWS::RDS::DBInstance"
Changes = set[tuple[str, str]]


@cache
def production(engine: str, version: str = "") -> Synthesized:
    """Return production's templates in a version; without one, in the default."""
    return synthesize(with_database(engine, engine_version=version) if version else chosen_on(engine))


def chosen_on(engine: str) -> Deployment:
    return chosen("production", engine)


def with_database(engine: str, **changed: Any) -> Deployment:
    deployment = chosen_on(engine)
    return replace(deployment, database=replace(deployment.database, **changed))


def first_of(engine: str, major: str) -> str:
    return next(one for one, its_major in ENGINES[engine].major_versions.items() if its_major == major)


def standing(synthesized: Synthesized) -> dict[str, dict[str, Any]]:
    """Return all resources but the smoke test's run, and the two parameters that tell of it."""
    (run,) = [
        logical_id for logical_id in synthesized.resources if logical_id.startswith("SmokeTestResource")
    ]
    telling = {i for i, one in synthesized.resources.items() if run in referred(one.get("Properties", {}))}
    assert {synthesized.resources[i]["Type"] for i in telling} == {"AWS::SSM::Parameter"}
    return {i: one for i, one in synthesized.resources.items() if i not in {run, *telling}}


def changes(before: Synthesized, after: Synthesized) -> Changes:
    """Return logical id and property of all that differs between what both have.

    Not what a resource depends on: that changes an order, and no resource.
    """
    found: Changes = set()
    for logical_id in standing(before).keys() & standing(after).keys():
        old, new = before.resources[logical_id], after.resources[logical_id]
        of_old, of_new = old.get("Properties", {}), new.get("Properties", {})
        found |= {
            (logical_id, name)
            for name in of_old.keys() | of_new.keys()
            if of_old.get(name) != of_new.get(name)
        }
        found |= {
            (logical_id, name)
            for name in (old.keys() | new.keys()) - {"Properties", "DependsOn"}
            if old.get(name) != new.get(name)
        }
    return found


def of_database(before: Synthesized, after: Synthesized) -> Changes:
    """Return the changes of the database's stack; alarms and dashboard follow the sizes."""
    resources = before.templates["Database"]["Resources"]
    return {(logical_id, name) for logical_id, name in changes(before, after) if logical_id in resources}


def ids(synthesized: Synthesized, *types: str) -> set[str]:
    return {logical_id for one in types for logical_id in synthesized.of_type(one)}


def writer(synthesized: Synthesized) -> str:
    (found,) = [i for i, one in synthesized.of_type(INSTANCE).items() if one["PromotionTier"] == 0]
    return found


@pytest.mark.parametrize(("engine", "older", "newer"), MINOR_STEPS)
def test_a_minor_version_is_one_property(engine: str, older: str, newer: str):
    before, after = production(engine, older), production(engine, newer)
    assert standing(before).keys() == standing(after).keys()
    cluster, _ = before.the_one(CLUSTER)
    assert changes(before, after) == {(cluster, "EngineVersion")}


@pytest.mark.parametrize(("engine", "older", "newer"), MAJOR_STEPS)
def test_a_major_version_is_the_familys_groups_and_who_uses_them(engine: str, older: str, newer: str):
    before, after = (production(engine, first_of(engine, major)) for major in (older, newer))
    gone, come = ids(before, *GROUPS), ids(after, *GROUPS)
    assert standing(before).keys() - standing(after).keys() == gone
    assert standing(after).keys() - standing(before).keys() == come
    cluster, _ = before.the_one(CLUSTER)
    assert changes(before, after) == {
        (cluster, "EngineVersion"),
        (cluster, "DBClusterParameterGroupName"),
        (cluster, "DBInstanceParameterGroupName"),
        *((instance, "DBParameterGroupName") for instance in before.of_type(INSTANCE)),
    }


@pytest.mark.parametrize("version", [v for e in ENGINES.values() for v in e.major_versions])
def test_the_cluster_names_the_group_that_its_instances_have(version: str):
    """A major upgrade takes the instances along to the group of the new family that the cluster names.

    Without it RDS refuses: the instances' group is custom, and of the old one (aws-cdk#26072).
    """
    (engine,) = [name for name, one in ENGINES.items() if version in one.major_versions]
    synthesized = production(engine, version)
    group, _ = synthesized.the_one("AWS::RDS::DBParameterGroup")
    assert referred(synthesized.the_one(CLUSTER)[1]["DBInstanceParameterGroupName"]) == {group}
    for instance in synthesized.of_type(INSTANCE).values():
        assert referred(instance["DBParameterGroupName"]) == {group}


@pytest.mark.parametrize("number", [1, 3])
def test_more_or_fewer_readers_touch_neither_writer_nor_cluster(engine: str, number: int):
    before, after = production(engine), synthesize(with_database(engine, reader_count=number))
    own = {writer(before), before.the_one(CLUSTER)[0], *ids(before, *GROUPS)}
    assert own == {writer(after), after.the_one(CLUSTER)[0], *ids(after, *GROUPS)}
    assert len(ids(after, INSTANCE)) == 1 + number
    assert of_database(before, after) == set()


def test_readers_of_another_class_touch_neither_writer_nor_cluster(engine: str):
    before = production(engine)
    after = synthesize(with_database(engine, reader_capacity=Instances("r8g.xlarge")))
    readers = ids(before, INSTANCE) - {writer(before)}
    assert standing(before).keys() == standing(after).keys()
    assert of_database(before, after) == {(reader, "DBInstanceClass") for reader in readers}
    classes = {i: one["DBInstanceClass"] for i, one in after.of_type(INSTANCE).items()}
    assert classes == {writer(after): "db.r8g.large", **dict.fromkeys(readers, "db.r8g.xlarge")}


def test_the_second_step_to_another_class_is_the_former_writer_alone(engine: str):
    larger = Instances("r8g.xlarge")
    before = synthesize(with_database(engine, reader_capacity=larger))
    after = synthesize(with_database(engine, capacity=larger))
    assert of_database(before, after) == {(writer(before), "DBInstanceClass")}


def test_readers_have_thresholds_of_their_own_class(engine: str):
    after = synthesize(with_database(engine, reader_capacity=Instances("r8g.xlarge")))
    thresholds = {
        one["AlarmName"].rpartition("memory-")[2]: one["Threshold"]
        for one in after.of_type("AWS::CloudWatch::Alarm").values()
        if "memory-" in one["AlarmName"]
    }
    assert thresholds["readers"] == pytest.approx(2 * thresholds["writer"], abs=1)


def test_readers_of_a_fixed_class_may_stand_beside_a_serverless_writer(engine: str):
    """The way from capacity units to a class, and back."""
    dev = chosen("dev", engine)
    mixed = synthesize(replace(dev, database=replace(dev.database, reader_capacity=Instances("r8g.large"))))
    classes = {one["DBInstanceClass"] for one in mixed.of_type(INSTANCE).values()}
    assert classes == {"db.serverless", "db.r8g.large"}
    assert "ServerlessV2ScalingConfiguration" in mixed.the_one(CLUSTER)[1]


@pytest.mark.parametrize(
    "version", [v for v, major in ENGINES["postgresql"].major_versions.items() if major == "18"]
)
def test_postgresql_18_is_audited_as_those_before_it(version: str):
    """Two parameters are others there, and a deployment would tell of neither mistake."""
    synthesized = production("postgresql", version)
    _, cluster = synthesized.the_one("AWS::RDS::DBClusterParameterGroup")
    _, instances = synthesized.the_one("AWS::RDS::DBParameterGroup")
    former = production("postgresql", "16.13").the_one("AWS::RDS::DBClusterParameterGroup")[1]["Parameters"]
    assert cluster["Parameters"] == {**former, "log_connections": "all"}
    assert instances["Parameters"]["shared_preload_libraries"] == former["shared_preload_libraries"]


def test_a_parameter_of_the_settings_is_not_undone_by_the_instances(engine: str):
    """An instance's own group wins over the cluster's."""
    name = {"postgresql": "log_min_duration_statement", "mysql": "long_query_time"}[engine]
    dev = chosen("dev", engine)
    changed = synthesize(replace(dev, database=replace(dev.database, parameters={name: "5"})))
    for group in GROUPS:
        assert changed.the_one(group)[1]["Parameters"][name] == "5"
