"""What the schema stack promises."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from stacks.assets import LambdaAsset, Platform
from stacks.engines import ENGINES
from stacks.settings import DEPLOYMENTS, Deployment
from tests.stacks.conftest import chosen
from tests.stacks.synthesized import PROJECT, as_list, referred, synthesize


def depends_on(synthesized, resource_id):
    return set(as_list(synthesized.resources[resource_id].get("DependsOn", [])))


def test_migrations_then_seed_then_smoke_test(synthesized):
    migrations, _ = synthesized.the_one("Custom::Migrations")
    seed, _ = synthesized.the_one("Custom::SeedData")
    smoke_test, _ = synthesized.the_one("Custom::SmokeTest")
    assert migrations in depends_on(synthesized, seed)
    assert seed in depends_on(synthesized, smoke_test)


def test_a_failure_rolls_back_the_schema_stack_alone(synthesized):
    """The database is complete before the first custom resource runs, in a stack that does not contain it."""
    schema = synthesized.templates["Schema"]
    types = {resource["Type"] for resource in schema["Resources"].values()}
    assert not [
        name for name in types if name.startswith(("AWS::RDS::", "AWS::KMS::", "AWS::SecretsManager::"))
    ]
    for name in ("Network", "Database"):
        elsewhere = synthesized.templates[name]["Resources"].values()
        assert not {"Custom::Migrations", "Custom::SeedData", "Custom::SmokeTest"} & {
            resource["Type"] for resource in elsewhere
        }


def test_each_custom_resource_is_answered_by_the_framework_around_its_function(synthesized):
    handlers = {
        "Custom::Migrations": "apply_schema",
        "Custom::SeedData": "seed_data",
        "Custom::SmokeTest": "smoke_test",
    }
    for resource_type, package in handlers.items():
        _, resource = synthesized.the_one(resource_type)
        (framework_id,) = referred(resource["ServiceToken"])
        framework = synthesized.resources[framework_id]["Properties"]
        (function_id,) = referred(framework["Environment"]["Variables"]["USER_ON_EVENT_FUNCTION_ARN"])
        handler = synthesized.resources[function_id]["Properties"]["Handler"]
        assert handler == f"{package}.handler.on_event"
        assert "VpcConfig" not in framework  # from isolated subnets it could not answer CloudFormation


@dataclass(frozen=True)
class Project:
    """A small project of its own, whose contents a test may change, and its deployment on one engine."""

    directory: Path
    deployment: Deployment

    @property
    def migrations(self) -> Path:
        """The engine's own."""
        return self.directory / "schema" / self.deployment.database.engine

    def contents(self, deployment: Deployment | None = None):
        asset = LambdaAsset(Platform.of_lambda(), self.directory)
        synthesized = synthesize(deployment or self.deployment, asset)
        return {
            name: synthesized.the_one(f"Custom::{name}") for name in ("Migrations", "SeedData", "SmokeTest")
        }


@pytest.fixture
def project(tmp_path: Path, engine: str) -> Project:
    (tmp_path / "lambda" / "seed_data").mkdir(parents=True)
    (tmp_path / "lambda" / "seed_data" / "sample.csv").write_text("sample\n")
    for name in ENGINES:
        (tmp_path / "schema" / name).mkdir(parents=True)
        (tmp_path / "schema" / name / "V0001__first.sql").write_text("SELECT 1;\n")
    (tmp_path / "requirements-lambda.txt").write_bytes((PROJECT / "requirements-lambda.txt").read_bytes())
    return Project(tmp_path, chosen("dev", engine))


def test_changed_sql_runs_the_migrations_again_and_a_new_smoke_test(project):
    before = project.contents()
    (project.migrations / "V0002__second.sql").write_text("SELECT 2;\n")
    after = project.contents()
    assert before["Migrations"][0] == after["Migrations"][0]
    assert before["Migrations"][1]["Digest"] != after["Migrations"][1]["Digest"]
    assert before["SmokeTest"][0] != after["SmokeTest"][0]
    assert before["SeedData"] == after["SeedData"]


def test_sql_of_the_other_engine_runs_no_migrations(project):
    before = project.contents()
    for other in ENGINES.keys() - {project.deployment.database.engine}:
        (project.directory / "schema" / other / "V0002__second.sql").write_text("SELECT 2;\n")
    assert project.contents()["Migrations"] == before["Migrations"]


def test_changed_code_runs_a_new_smoke_test_and_neither_migrations_nor_seed(project):
    before = project.contents()
    (project.directory / "lambda" / "orders.py").write_text("# new\n")
    after = project.contents()
    assert before["Migrations"] == after["Migrations"]
    assert before["SeedData"] == after["SeedData"]
    assert before["SmokeTest"][0] != after["SmokeTest"][0]
    assert before["SmokeTest"][1]["Digest"] != after["SmokeTest"][1]["Digest"]


def test_changed_settings_run_a_new_smoke_test(project):
    dev = project.deployment
    before = project.contents()
    after = project.contents(replace(dev, database=replace(dev.database, reader_count=2)))
    assert before["Migrations"] == after["Migrations"]
    assert before["SmokeTest"][0] != after["SmokeTest"][0]


def test_nothing_changed_changes_nothing(project):
    assert project.contents() == project.contents()


def test_line_ends_and_a_byte_order_mark_change_no_migration(project):
    file = project.migrations / "V0001__first.sql"
    file.write_bytes(b"SELECT 1;\nSELECT 2;\n")
    before = project.contents()
    file.write_bytes(b"\xef\xbb\xbfSELECT 1;\r\nSELECT 2;\r\n")
    assert before["Migrations"] == project.contents()["Migrations"]


def test_both_engines_have_the_same_migrations():
    """A migration is one file per engine, under the same name, so that a version means the same on both."""
    names = {name: {path.name for path in (PROJECT / "schema" / name).glob("*.sql")} for name in ENGINES}
    assert names["postgresql"]
    assert names["mysql"] ^ names["postgresql"] == set()


def test_a_seed_file_is_an_asset_that_the_loader_alone_may_read_and_nothing_beside_it(tmp_path):
    lines = tmp_path / "lines.csv.gz"
    lines.write_bytes(b"invoice lines")
    synthesized = synthesize(replace(DEPLOYMENTS["dev"], seed_file=lines))
    _, seed = synthesized.the_one("Custom::SeedData")
    assert seed["FileName"] == "lines.csv.gz"
    reads = {
        package: [s for s in synthesized.statements_of(f["Role"]) if s["Action"] == "s3:GetObject"]
        for package, f in synthesized.functions().items()
    }
    (statement,) = reads.pop("seed_data")
    assert not any(reads.values())
    bucket = seed["Bucket"]["Fn::Sub"].replace("${AWS::AccountId}", "*")
    parts = [
        part if isinstance(part, str) else part["Fn::Sub"].replace("${AWS::AccountId}", "*")
        for part in statement["Resource"]["Fn::Join"][1]
    ]
    assert "".join(parts) == f"arn:aws:s3:::{bucket}/{seed['Key']}"


def test_generated_lines_are_a_property_of_the_seed_and_need_no_right():
    of_sample, generated = (synthesize(replace(DEPLOYMENTS["dev"], seed_lines=n)) for n in (None, 1000))
    assert "GeneratedLines" not in of_sample.the_one("Custom::SeedData")[1]
    assert generated.the_one("Custom::SeedData")[1]["GeneratedLines"] == "1000"
    rights = [one.statements_of(one.functions()["seed_data"]["Role"]) for one in (of_sample, generated)]
    assert rights[0] == rights[1]


def test_another_seed_file_is_loaded_whatever_its_path(tmp_path):
    one, other, copy = (tmp_path / folder / "lines.csv" for folder in ("one", "other", "copy"))
    for path, content in ((one, b"1"), (other, b"2"), (copy, b"1")):
        path.parent.mkdir()
        path.write_bytes(content)

    def seed_and_smoke_test(path):
        synthesized = synthesize(replace(DEPLOYMENTS["dev"], seed_file=path))
        return synthesized.the_one("Custom::SeedData"), synthesized.the_one("Custom::SmokeTest")

    assert seed_and_smoke_test(one) == seed_and_smoke_test(copy)
    assert seed_and_smoke_test(one)[0][1]["Digest"] != seed_and_smoke_test(other)[0][1]["Digest"]
    assert seed_and_smoke_test(one)[1][0] != seed_and_smoke_test(other)[1][0]
