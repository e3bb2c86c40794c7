"""What an engine's record says, against the CDK, CloudFormation's schema and MySQL's own words."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from aws_cdk import aws_rds as rds

from stacks.engines import ENGINES
from tests.stacks.conftest import chosen
from tests.stacks.synthesized import synthesize

VERSIONS = [(engine.name, version) for engine in ENGINES.values() for version in engine.major_versions]
FAMILIES = {
    "16": "aurora-postgresql16",
    "17": "aurora-postgresql17",
    "18": "aurora-postgresql18",
    "8.0": "aurora-mysql8.0",
    "8.4": "aurora-mysql8.4",
}
NO_MORE_MADE = "8.0.mysql_aurora.3.05.2"


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_a_version_has_the_parameters_of_its_major_version(name, version):
    dev = chosen("dev", name)
    synthesized = synthesize(replace(dev, database=replace(dev.database, engine_version=version)))
    family = FAMILIES[ENGINES[name].major_versions[version]]
    assert synthesized.the_one("AWS::RDS::DBCluster")[1]["EngineVersion"] == version
    for resource_type in ("AWS::RDS::DBClusterParameterGroup", "AWS::RDS::DBParameterGroup"):
        assert synthesized.the_one(resource_type)[1]["Family"] == family


def test_the_cdk_takes_mysql_5_7_for_a_version_without_its_major_version():
    """Why each version says its own. When this fails, the trap is gone."""
    silently = rds.AuroraMysqlEngineVersion.of("8.0.mysql_aurora.3.13.0")
    engine = rds.DatabaseClusterEngine.aurora_mysql(version=silently)
    assert engine.parameter_group_family == "aurora-mysql5.7"


@pytest.mark.parametrize("name", ENGINES)
def test_a_deployment_that_says_no_version_gets_one_that_may_be_chosen(name):
    assert ENGINES[name].default_version in ENGINES[name].major_versions


@pytest.mark.slow
def test_new_clusters_can_be_made_with_each_version(tmp_path: Path):
    """W3690 knows when AWS has stopped that; see it find one where it has."""
    assert not _warned_of({(name, version) for name, version in VERSIONS}, tmp_path)
    assert _warned_of({("mysql", NO_MORE_MADE)}, tmp_path) == ["W3690"]


def _warned_of(versions: set[tuple[str, str]], scratch: Path) -> list[str]:
    template = {
        "Resources": {
            f"Cluster{number}": {
                "Type": "AWS::RDS::DBCluster",
                "DeletionPolicy": "Delete",
                "UpdateReplacePolicy": "Delete",
                "Properties": {"Engine": f"aurora-{name}", "EngineVersion": version},
            }
            for number, (name, version) in enumerate(sorted(versions))
        }
    }
    path = scratch / "versions.template.json"
    path.write_text(json.dumps(template))
    lint = [str(Path(sys.executable).parent / "cfn-lint"), "--format", "json", str(path)]
    done = subprocess.run(lint, capture_output=True, text=True, check=False, timeout=120)
    return [found["Rule"]["Id"] for found in json.loads(done.stdout)]


def of_mysql(version: str) -> dict[str, str]:
    return ENGINES["mysql"].cluster_parameters(version)


@pytest.mark.parametrize("version", ENGINES["mysql"].major_versions)
def test_mysql_records_who_comes_and_what_changes_rights_or_schema_but_no_query(version):
    """Security Hub RDS.34 and RDS.45. The values of queries would be the customers' own."""
    parameters = of_mysql(version)
    assert parameters["server_audit_logging"] == "1"
    assert set(parameters["server_audit_events"].split(",")) == {"CONNECT", "QUERY_DCL", "QUERY_DDL"}
    assert "audit" in ENGINES["mysql"].log_exports


@pytest.mark.parametrize("version", ENGINES["mysql"].major_versions)
def test_mysql_tells_articles_apart_that_differ_in_case_alone(version):
    parameters = of_mysql(version)
    assert parameters["collation_server"] == "utf8mb4_0900_bin"
    assert parameters["collation_server"].startswith(parameters["character_set_server"])


def test_mysql_takes_no_tls_older_than_1_2():
    """8.4 has no older one; the parameter is left to it."""
    assert of_mysql("8.0.mysql_aurora.3.12.0")["tls_version"] == "TLSv1.2,TLSv1.3"
    assert "tls_version" not in of_mysql("8.4.mysql_aurora.8.4.7")


def test_mysql_keeps_no_binary_log_with_which_it_could_not_be_rewound():
    assert "binlog_format" not in of_mysql("8.0.mysql_aurora.3.12.0")


def test_mysql_can_tell_who_holds_a_table_that_a_migration_waits_for():
    """The migrator reads performance_schema.metadata_locks, which is empty on Aurora unless asked for."""
    for version in ENGINES["mysql"].major_versions:
        assert ENGINES["mysql"].instance_parameters(version)["performance_schema"] == "1"


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_statements_that_take_longer_than_a_second_are_logged(name, version):
    said = {
        "postgresql": {"log_min_duration_statement": "1000"},
        "mysql": {"slow_query_log": "1", "long_query_time": "1", "log_output": "FILE"},
    }
    assert said[name].items() <= ENGINES[name].instance_parameters(version).items()
