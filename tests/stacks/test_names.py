"""Names, outputs and parameters: what people and programs find a deployment by."""

from __future__ import annotations

import re
from dataclasses import replace

from stacks.engines import ENGINES
from stacks.settings import DEPLOYMENTS
from stacks.validation import choose
from tests.stacks.conftest import KINDS, of_kind
from tests.stacks.synthesized import referred, synthesize

OUTPUTS = {
    "Database": {
        "DatabaseEngine": "database/database-engine",
        "ClusterEndpoint": "database/cluster-endpoint",
        "ClusterReaderEndpoint": "database/cluster-reader-endpoint",
        "ProxyEndpoint": "database/proxy-endpoint",
        "ProxyReadOnlyEndpoint": "database/proxy-read-only-endpoint",
        "DatabasePort": "database/database-port",
        "DatabaseName": "database/database-name",
        "AdminSecretArn": "database/admin-secret-arn",
        "ClusterIdentifier": "database/cluster-identifier",
    },
    "Observability": {
        "AlarmTopicArn": "observability/alarm-topic-arn",
        "DashboardName": "observability/dashboard-name",
        "DashboardUrl": "observability/dashboard-url",
    },
    "Schema": {
        "SchemaVersion": "schema/schema-version",
        "SeedTotals": "schema/seed-totals",
        "SmokeTestResult": "schema/smoke-test-result",
        "SmokeTestReport": "schema/smoke-test-report",
        "SmokeTestFunction": "schema/smoke-test-function",
        "MigrationsFunction": "schema/migrations-function",
    },
}
CONSTRUCT_IDS = ("Network", "Database", "Schema", "Observability")
STATEFUL_LOGICAL_IDS = {
    "AWS::EC2::VPC": "Vpc8378EB38",
    "AWS::RDS::DBCluster": "ClusterEB0386A7",
    "AWS::SecretsManager::Secret": "AdminSecretB9452750",
}


def test_each_output_is_a_parameter_with_the_same_value(synthesized):
    cluster = synthesized.the_one("AWS::RDS::DBCluster")[1]["DBClusterIdentifier"]
    name = cluster.removeprefix("shop-")
    for construct_id, expected in OUTPUTS.items():
        template = synthesized.templates[construct_id]
        outputs = {k: o["Value"] for k, o in template["Outputs"].items() if "Export" not in o}
        parameters = {
            resource["Properties"]["Name"]: resource["Properties"]["Value"]
            for resource in template["Resources"].values()
            if resource["Type"] == "AWS::SSM::Parameter"
        }
        assert outputs.keys() == expected.keys()
        assert parameters == {f"/shop/{name}/{path}": outputs[output] for output, path in expected.items()}


def test_outputs_tell_what_the_custom_resources_answered(synthesized):
    outputs = synthesized.templates["Schema"]["Outputs"]
    for output, resource_type in {
        "SchemaVersion": "Custom::Migrations",
        "SeedTotals": "Custom::SeedData",
        "SmokeTestResult": "Custom::SmokeTest",
        "SmokeTestReport": "Custom::SmokeTest",
    }.items():
        assert referred(outputs[output]["Value"]) == {synthesized.the_one(resource_type)[0]}


def test_no_output_and_no_parameter_carries_a_secret(synthesized):
    for template in synthesized.templates.values():
        parameters = [r for r in template["Resources"].values() if r["Type"] == "AWS::SSM::Parameter"]
        assert "{{resolve:" not in str(template.get("Outputs", {})) + str(parameters)


def test_two_ephemeral_deployments_share_no_name():
    names = [physical_names(synthesize(choose("ephemeral", name=name))) for name in ("pr-42", "pr-43")]
    assert len(names[0]) == len(names[1]) > 15
    assert not names[0] & names[1]


def physical_names(synthesized):
    """Return every name that a template chooses itself, instead of leaving it to CloudFormation."""
    return {
        value
        for resource in synthesized.resources.values()
        for key, value in resource.get("Properties", {}).items()
        if re.fullmatch(
            r"Name|AliasName|DBProxyName|DBProxyEndpointName|DBClusterIdentifier|LogGroupName", key
        )
        and isinstance(value, str)
    } | {
        artifact["properties"]["stackName"]
        for artifact in synthesized.manifest["artifacts"].values()
        if artifact["type"] == "aws:cloudformation:stack"
    }


def test_stacks_are_named_after_product_and_deployment(synthesized):
    stacks = {
        name: artifact["properties"]["stackName"]
        for name, artifact in synthesized.manifest["artifacts"].items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    prefix = synthesized.the_one("AWS::RDS::DBCluster")[1]["DBClusterIdentifier"]
    assert stacks == {name: f"{prefix}-{name.lower()}" for name in CONSTRUCT_IDS}


def test_what_holds_data_keeps_its_logical_id(synthesized):
    """Another logical id is another resource: CloudFormation would replace the database by an empty one."""
    for resource_type, logical_id in STATEFUL_LOGICAL_IDS.items():
        assert synthesized.the_one(resource_type)[0] == logical_id
    assert synthesized.key()[0] == "Key961B73FD"
    instances = synthesized.of_type("AWS::RDS::DBInstance")
    assert {"ClusterWriterA91BB273", "ClusterReader16376AFD4"} <= set(instances)


def logical_ids(kind, engine):
    found = {
        i
        for i in of_kind(kind, engine).resources
        if not re.match("ClusterReader[2-9]|SmokeTestResource|Backup|Vault|AlarmNoOrders|AlarmAcu", i)
    }
    return {re.sub("[0-9a-f]{64}", "", i) for i in found}


def test_every_deployment_has_the_same_resources_but_for_its_readers_and_recovery_points(engine):
    dev = logical_ids("dev", engine)
    assert all(logical_ids(kind, engine) == dev for kind in KINDS)


def test_an_engine_decides_on_parameter_groups_and_logs_and_on_no_other_resource():
    one, other = (of_kind("dev", engine).resources for engine in ENGINES)
    types = {(one | other)[logical_id]["Type"] for logical_id in one.keys() ^ other.keys()}
    assert types == {
        "AWS::RDS::DBClusterParameterGroup",  # whose family, and
        "AWS::RDS::DBParameterGroup",
        "AWS::EC2::SecurityGroupEgress",  # whose port is part of the id
        "AWS::EC2::SecurityGroupIngress",
        "AWS::Logs::LogGroup",
        "AWS::CloudWatch::Alarm",  # of transaction ids, of the history list
        "Custom::SmokeTest",  # whose id is a digest of all that it proves
    }


def test_another_engine_under_the_name_of_a_database_cannot_take_its_place():
    """CloudFormation would make the new cluster first, and its name is taken; so the data stay."""
    clusters = [of_kind("dev", engine).the_one("AWS::RDS::DBCluster") for engine in ENGINES]
    names = {cluster["DBClusterIdentifier"] for _, cluster in clusters}
    assert (names, {logical_id for logical_id, _ in clusters}) == ({"shop-dev"}, {"ClusterEB0386A7"})


def test_both_local_deployments_fit_into_one_cloud():
    names = [physical_names(of_kind("local", engine)) for engine in ENGINES]
    assert not names[0] & names[1]


def test_more_readers_change_nothing_about_those_that_are_there():
    dev = DEPLOYMENTS["dev"]
    more = synthesize(replace(dev, database=replace(dev.database, reader_count=3)))
    before = of_kind("dev").of_type("AWS::RDS::DBInstance")
    after = more.of_type("AWS::RDS::DBInstance")
    assert len(after) == 4
    assert before.items() <= after.items()


def test_everything_says_whose_it_is_and_of_which_deployment(synthesized):
    """Security Hub RDS.28, RDS.30 and RDS.33 among it."""
    environment = synthesized.the_one("AWS::RDS::DBCluster")[1]["DBClusterIdentifier"].removeprefix("shop-")
    expected = {"application": "shop", "owner": "shop-platform", "environment": environment}
    tagged = set()
    for logical_id, resource in synthesized.resources.items():
        properties = resource.get("Properties", {})
        for name in ("Tags", "BackupVaultTags", "BackupPlanTags"):
            if name in properties:
                found = properties[name]
                found = found if isinstance(found, dict) else {one["Key"]: one["Value"] for one in found}
                assert expected.items() <= found.items(), logical_id
                tagged.add(resource["Type"])
    assert tagged >= MARKED


MARKED = {
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::VPC",
    "AWS::IAM::Role",
    "AWS::KMS::Key",
    "AWS::Lambda::Function",
    "AWS::Logs::LogGroup",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBClusterParameterGroup",
    "AWS::RDS::DBInstance",
    "AWS::RDS::DBParameterGroup",
    "AWS::RDS::DBProxy",
    "AWS::RDS::DBProxyEndpoint",
    "AWS::RDS::DBSubnetGroup",
    "AWS::SSM::Parameter",
    "AWS::SecretsManager::Secret",
}


def test_no_account_is_written_into_a_template(synthesized):
    artifacts = synthesized.manifest["artifacts"].values()
    environments = {a["environment"] for a in artifacts if a["type"] == "aws:cloudformation:stack"}
    assert environments == {"aws://unknown-account/us-east-1"}
