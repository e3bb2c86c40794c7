"""Security Hub's controls as they apply to an Aurora cluster and what stands around it, one test each.

Every test looks at every deployment on both engines, and is seen failing: the last test takes away what
each of them looks for.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from stacks.engines import ENGINES
from tests.stacks.conftest import of_kind
from tests.stacks.synthesized import Synthesized, as_list, referred
from tests.stacks.test_rights import ON_EVERY_RESOURCE

LOG_EXPORTS = {"postgresql": {"postgresql"}, "mysql": {"audit", "error", "slowquery"}}
CLUSTER, INSTANCE = "AWS::RDS::DBCluster", "AWS::RDS::DBInstance"
BACKUP_DAYS = 7
"""What RDS.50 asks for at least."""


def cluster_of(synthesized: Synthesized) -> dict[str, Any]:
    return synthesized.the_one(CLUSTER)[1]


def instances_of(synthesized: Synthesized) -> list[dict[str, Any]]:
    return list(synthesized.of_type(INSTANCE).values())


def retains(synthesized: Synthesized) -> bool:
    """Whether this deployment's data are to survive, as its template says."""
    cluster_id, _ = synthesized.the_one(CLUSTER)
    return synthesized.resources[cluster_id]["DeletionPolicy"] == "Snapshot"


def parameters_of(synthesized: Synthesized) -> dict[str, str]:
    return synthesized.the_one("AWS::RDS::DBClusterParameterGroup")[1]["Parameters"]


def statements(synthesized: Synthesized) -> list[dict[str, Any]]:
    """What every role may do."""
    return [
        statement
        for role_id in synthesized.of_type("AWS::IAM::Role")
        for statement in synthesized.statements_of({"Ref": role_id})
    ]


def actions(statement: dict[str, Any]) -> list[str]:
    return as_list(statement["Action"])


def is_a_rotating_key(synthesized: Synthesized, reference: Any) -> bool:
    (key_id,) = referred(reference)
    resource = synthesized.resources[key_id]
    return resource["Type"] == "AWS::KMS::Key" and resource["Properties"].get("EnableKeyRotation") is True


def test_rds_1_and_4_snapshots_are_encrypted_and_nobody_may_share_them(synthesized):
    assert cluster_of(synthesized)["StorageEncrypted"] is True  # a snapshot inherits it
    for statement in statements(synthesized):
        for action in actions(statement):
            assert not action.lower().startswith(
                ("rds:modifydbclustersnapshot", "rds:modifydbsnapshot", "rds:*")
            )


def test_rds_2_no_instance_is_public(synthesized):
    for instance in instances_of(synthesized):
        assert instance["PubliclyAccessible"] is False


def test_rds_46_no_subnet_of_the_database_has_a_route_to_an_internet_gateway(synthesized):
    _, group = synthesized.the_one("AWS::RDS::DBSubnetGroup")
    assert referred(group["SubnetIds"]) <= set(synthesized.of_type("AWS::EC2::Subnet"))
    assert not synthesized.has_type("AWS::EC2::InternetGateway")
    assert not synthesized.has_type("AWS::EC2::Route")


def test_rds_3_and_27_storage_is_encrypted_with_a_key_of_our_own_that_rotates(synthesized):
    assert cluster_of(synthesized)["StorageEncrypted"] is True
    assert is_a_rotating_key(synthesized, cluster_of(synthesized)["KmsKeyId"])


def test_rds_6_enhanced_monitoring_is_on_with_its_role(synthesized):
    monitoring = "AWS::IAM::Role"
    for instance in instances_of(synthesized):
        assert instance["MonitoringInterval"] in (1, 5, 10, 15, 30, 60)
        (role,) = referred(instance["MonitoringRoleArn"])
        assert synthesized.resources[role]["Type"] == monitoring
        trust = synthesized.resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert [s["Principal"]["Service"] for s in trust] == ["monitoring.rds.amazonaws.com"]


def test_rds_7_and_8_a_cluster_that_is_kept_is_protected_from_deletion(synthesized):
    assert cluster_of(synthesized)["DeletionProtection"] is retains(synthesized)


def test_rds_12_users_log_in_by_iam(synthesized):
    assert cluster_of(synthesized)["EnableIAMDatabaseAuthentication"] is True


def test_rds_13_minor_upgrades_are_chosen(synthesized):
    for instance in instances_of(synthesized):
        assert instance["AutoMinorVersionUpgrade"] is True


def test_rds_14_a_mysql_cluster_can_be_rewound(synthesized):
    if synthesized.engine.name == "mysql":
        assert cluster_of(synthesized)["BacktrackWindow"] > 0
    else:
        assert "BacktrackWindow" not in cluster_of(synthesized)  # Aurora has it for MySQL alone


def test_rds_15_instances_lie_in_two_zones_or_more(synthesized):
    zones = {json.dumps(instance["AvailabilityZone"]) for instance in instances_of(synthesized)}
    assert len(zones) >= 2


def test_rds_16_tags_go_with_snapshots(synthesized):
    assert cluster_of(synthesized)["CopyTagsToSnapshot"] is True


@pytest.mark.parametrize(
    ("control", "source"),
    [(19, "db-cluster"), (20, "db-instance"), (21, "db-parameter-group"), (22, "db-security-group")],
)
def test_rds_19_to_22_what_happens_to_the_database_is_told(synthesized, control, source):
    told = [
        subscription
        for subscription in synthesized.of_type("AWS::RDS::EventSubscription").values()
        if subscription["SourceType"] == source
    ]
    assert told, f"RDS.{control}: nobody is told of {source}"
    for subscription in told:
        assert subscription.get("Enabled", True) is True
        (topic,) = referred(subscription["SnsTopicArn"])
        assert synthesized.resources[topic]["Type"] == "AWS::SNS::Topic"


def test_rds_23_the_port_is_not_one_that_scanners_try_first(synthesized):
    assert cluster_of(synthesized)["Port"] not in (5432, 3306)


def test_rds_24_the_master_user_is_not_one_that_everybody_knows(synthesized):
    _, secret = synthesized.the_one("AWS::SecretsManager::Secret")
    user = json.loads(secret["GenerateSecretString"]["SecretStringTemplate"])["username"]
    assert user not in ("postgres", "admin", "root")


def test_rds_26_a_cluster_that_is_kept_is_in_a_backup_plan(synthesized):
    """What nobody keeps the data of has Aurora's own backups."""
    cluster_id, _ = synthesized.the_one(CLUSTER)
    if retains(synthesized):
        selections = synthesized.of_type("AWS::Backup::BackupSelection").values()
        assert any(cluster_id in referred(s["BackupSelection"]["Resources"]) for s in selections)


def test_rds_28_30_and_33_cluster_instances_and_subnet_group_have_tags(synthesized):
    for resource_type in (CLUSTER, INSTANCE, "AWS::RDS::DBSubnetGroup"):
        for resource in synthesized.of_type(resource_type).values():
            assert resource["Tags"], resource_type


def test_rds_34_and_37_logs_are_exported(synthesized):
    exported = set(cluster_of(synthesized)["EnableCloudwatchLogsExports"])
    assert exported == LOG_EXPORTS[synthesized.engine.name]


def test_rds_45_who_came_and_what_changed_is_audited(synthesized):
    parameters = parameters_of(synthesized)
    if synthesized.engine.name == "mysql":
        assert parameters["server_audit_logging"] == "1"
        events = set(parameters["server_audit_events"].split(","))
        assert events >= {"CONNECT", "QUERY_DCL", "QUERY_DDL"}
    else:
        assert "pgaudit" in parameters["shared_preload_libraries"].split(",")
        assert {"ddl", "role"} <= set(parameters["pgaudit.log"].split(","))


def test_rds_38_and_39_connections_without_tls_are_refused(synthesized):
    name, value = {"postgresql": ("rds.force_ssl", "1"), "mysql": ("require_secure_transport", "ON")}[
        synthesized.engine.name
    ]
    assert parameters_of(synthesized)[name] == value


def test_rds_43_the_proxy_refuses_connections_without_tls(synthesized):
    _, proxy = synthesized.the_one("AWS::RDS::DBProxy")
    assert proxy["RequireTLS"] is True


def test_rds_50_backups_of_what_is_kept_reach_back_a_week(synthesized):
    days = cluster_of(synthesized)["BackupRetentionPeriod"]
    assert days >= (BACKUP_DAYS if retains(synthesized) else 1)


def test_secrets_manager_1_and_4_every_secret_rotates_by_itself(synthesized):
    attachment = {
        attachment_id: next(iter(referred(properties["SecretId"])))
        for attachment_id, properties in synthesized.of_type(
            "AWS::SecretsManager::SecretTargetAttachment"
        ).items()
    }
    rotating = set()
    for schedule in synthesized.of_type("AWS::SecretsManager::RotationSchedule").values():
        assert 1 <= schedule["RotationRules"]["AutomaticallyAfterDays"] <= 90
        assert referred(schedule["RotationLambdaARN"])
        (secret,) = referred(schedule["SecretId"])
        rotating.add(attachment.get(secret, secret))
    assert rotating == set(synthesized.of_type("AWS::SecretsManager::Secret"))


def test_every_secret_is_encrypted_with_a_key_of_our_own(synthesized):
    for secret in synthesized.of_type("AWS::SecretsManager::Secret").values():
        assert is_a_rotating_key(synthesized, secret["KmsKeyId"])


def test_kms_4_every_key_rotates(synthesized):
    for key in synthesized.of_type("AWS::KMS::Key").values():
        assert key["EnableKeyRotation"] is True


def test_kms_5_no_key_allows_anything_to_everybody(synthesized):
    for key in synthesized.of_type("AWS::KMS::Key").values():
        for statement in key["KeyPolicy"]["Statement"]:
            if statement["Effect"] == "Allow":
                assert statement["Principal"] != "*"
                assert "*" not in as_list(statement["Principal"].get("AWS", []))


def test_ec2_no_address_is_let_in_anywhere_and_nobody_is_let_out_to_one(synthesized):
    for group in synthesized.of_type("AWS::EC2::SecurityGroup"):
        for other, _port in synthesized.admitted(group) | synthesized.let_out(group):
            assert "/" not in other, f"{group} and {other}"


def test_ec2_every_group_says_that_it_lets_nobody_out(synthesized):
    """A group without any rule for the way out gets one from EC2 that leads everywhere."""
    for group in synthesized.of_type("AWS::EC2::SecurityGroup").values():
        assert group["SecurityGroupEgress"]


def test_ec2_2_the_default_security_group_is_closed(synthesized):
    vpc_id, _ = synthesized.the_one("AWS::EC2::VPC")
    _, closing = synthesized.the_one("Custom::VpcRestrictDefaultSG")
    assert closing["DefaultSecurityGroupId"] == {"Fn::GetAtt": [vpc_id, "DefaultSecurityGroup"]}


def test_ec2_6_all_flows_are_logged(synthesized):
    vpc_id, _ = synthesized.the_one("AWS::EC2::VPC")
    _, flow_log = synthesized.the_one("AWS::EC2::FlowLog")
    assert (flow_log["TrafficType"], referred(flow_log["ResourceId"])) == ("ALL", {vpc_id})


def test_lambda_3_whatever_talks_to_the_database_lives_in_its_subnets(synthesized):
    subnets = set(synthesized.of_type("AWS::EC2::Subnet"))
    for name, function in synthesized.functions().items():
        assert referred(function["VpcConfig"]["SubnetIds"]) == subnets, name


def test_lambda_every_function_has_a_role_of_its_own(synthesized):
    functions = synthesized.of_type("AWS::Lambda::Function")
    roles = [next(iter(referred(function["Role"]))) for function in functions.values()]
    assert len(set(roles)) == len(functions)


def test_lambda_every_function_has_a_log_of_its_own_that_forgets_and_is_encrypted(synthesized):
    functions = synthesized.of_type("AWS::Lambda::Function")
    groups = [next(iter(referred(function["LoggingConfig"]["LogGroup"]))) for function in functions.values()]
    assert len(set(groups)) == len(functions)
    for group in groups:
        properties = synthesized.resources[group]["Properties"]
        assert properties["RetentionInDays"] >= 1
        assert is_a_rotating_key(synthesized, properties["KmsKeyId"])


def test_logs_every_log_is_encrypted_and_forgets(synthesized):
    for group in synthesized.of_type("AWS::Logs::LogGroup").values():
        assert group["RetentionInDays"] >= 1
        assert is_a_rotating_key(synthesized, group["KmsKeyId"])


def test_lambda_our_functions_are_traced(synthesized):
    for name, function in synthesized.functions().items():
        assert function["TracingConfig"] == {"Mode": "Active"}, name


def test_iam_no_action_is_a_wildcard_and_every_resource_that_has_an_arn_is_named(synthesized):
    for statement in statements(synthesized):
        for action in actions(statement):
            assert "*" not in action
            if "*" in as_list(statement["Resource"]):
                assert action in ON_EVERY_RESOURCE, f"{action} on *"


def test_sns_what_is_told_is_encrypted_with_a_key_of_our_own(synthesized):
    for topic in synthesized.of_type("AWS::SNS::Topic").values():
        assert is_a_rotating_key(synthesized, topic["KmsMasterKeyId"])


Break = Callable[[Synthesized], None]


def change(resource_type: str, **properties: Any) -> Break:
    """Return what gives the first resource of a type other properties; None takes one away."""

    def break_it(synthesized: Synthesized) -> None:
        found = next(iter(synthesized.of_type(resource_type).values()))
        for name, value in properties.items():
            found.pop(name, None) if value is None else found.update({name: value})

    return break_it


def parameter(value: str, **names: str) -> Break:
    """Return what sets a parameter, another one on each engine."""

    def break_it(synthesized: Synthesized) -> None:
        parameters_of(synthesized)[names[synthesized.engine.name].replace("__", ".")] = value

    return break_it


def statement(**properties: Any) -> Break:
    """Return what gives a role one more right."""

    def break_it(synthesized: Synthesized) -> None:
        role = next(iter(synthesized.of_type("AWS::IAM::Role").values()))
        policy = {"PolicyDocument": {"Statement": [{"Effect": "Allow", **properties}]}}
        role["Policies"] = [*role.get("Policies", []), policy]

    return break_it


def remove(resource_type: str) -> Break:
    """Return what takes all resources of a type away."""

    def break_it(synthesized: Synthesized) -> None:
        for logical_id in synthesized.of_type(resource_type):
            del synthesized.resources[logical_id]

    return break_it


def add(resource_type: str, **properties: Any) -> Break:
    """Return what adds a resource."""

    def break_it(synthesized: Synthesized) -> None:
        synthesized.resources["Added"] = {"Type": resource_type, "Properties": properties}

    return break_it


def open_a_group(synthesized: Synthesized) -> None:
    anybody = {"CidrIp": "0.0.0.0/0", "FromPort": 22}
    next(iter(synthesized.of_type("AWS::EC2::SecurityGroup").values()))["SecurityGroupIngress"] = [anybody]


def of_ours(**properties: Any) -> Break:
    """Return what changes one of our functions, not one of the CDK's."""

    def break_it(synthesized: Synthesized) -> None:
        synthesized.functions()["smoke_test"].update(properties)

    return break_it


def share_what_has_to_be_its_own(name: str) -> Break:
    """Return what gives one function the role, or the log, of another."""

    def break_it(synthesized: Synthesized) -> None:
        one, other = list(synthesized.of_type("AWS::Lambda::Function").values())[:2]
        one[name] = other[name]

    return break_it


def let_everybody_use_a_key(synthesized: Synthesized) -> None:
    key = next(iter(synthesized.of_type("AWS::KMS::Key").values()))
    key["KeyPolicy"]["Statement"][0] |= {"Effect": "Allow", "Principal": {"AWS": "*"}}


def rename_the_master_user(synthesized: Synthesized) -> None:
    secret = synthesized.the_one("AWS::SecretsManager::Secret")[1]["GenerateSecretString"]
    secret["SecretStringTemplate"] = '{"username": "postgres"}'


BREAKS: dict[Callable[..., None], list[Break]] = {
    test_rds_1_and_4_snapshots_are_encrypted_and_nobody_may_share_them: [
        change(CLUSTER, StorageEncrypted=False),
        statement(Action="rds:ModifyDBClusterSnapshotAttribute", Resource="arn:aws:rds:::snapshot"),
    ],
    test_rds_2_no_instance_is_public: [change(INSTANCE, PubliclyAccessible=True)],
    test_rds_46_no_subnet_of_the_database_has_a_route_to_an_internet_gateway: [
        add("AWS::EC2::InternetGateway"),
        add("AWS::EC2::Route"),
        change("AWS::RDS::DBSubnetGroup", SubnetIds=[{"Ref": "Elsewhere"}]),
    ],
    test_rds_3_and_27_storage_is_encrypted_with_a_key_of_our_own_that_rotates: [
        change(CLUSTER, StorageEncrypted=None),
        change(CLUSTER, KmsKeyId={"Ref": "Cluster"}),
    ],
    test_rds_6_enhanced_monitoring_is_on_with_its_role: [
        change(INSTANCE, MonitoringInterval=0),
        change(INSTANCE, MonitoringRoleArn=None),
    ],
    test_rds_7_and_8_a_cluster_that_is_kept_is_protected_from_deletion: [
        change(CLUSTER, DeletionProtection=None),
        change(CLUSTER, DeletionProtection="as it was not decided"),
    ],
    test_rds_12_users_log_in_by_iam: [change(CLUSTER, EnableIAMDatabaseAuthentication=None)],
    test_rds_13_minor_upgrades_are_chosen: [change(INSTANCE, AutoMinorVersionUpgrade=None)],
    test_rds_14_a_mysql_cluster_can_be_rewound: [change(CLUSTER, BacktrackWindow=0)],
    test_rds_15_instances_lie_in_two_zones_or_more: [
        lambda s: [i.update(AvailabilityZone="us-east-1a") for i in instances_of(s)] and None
    ],
    test_rds_16_tags_go_with_snapshots: [change(CLUSTER, CopyTagsToSnapshot=None)],
    test_rds_23_the_port_is_not_one_that_scanners_try_first: [
        change(CLUSTER, Port=5432),
        change(CLUSTER, Port=3306),
    ],
    test_rds_24_the_master_user_is_not_one_that_everybody_knows: [rename_the_master_user],
    test_rds_26_a_cluster_that_is_kept_is_in_a_backup_plan: [
        change("AWS::Backup::BackupSelection", BackupSelection={"Resources": []}),
        remove("AWS::Backup::BackupSelection"),
    ],
    test_rds_28_30_and_33_cluster_instances_and_subnet_group_have_tags: [
        change(CLUSTER, Tags=None),
        change(INSTANCE, Tags=None),
        change("AWS::RDS::DBSubnetGroup", Tags=[]),
    ],
    test_rds_34_and_37_logs_are_exported: [change(CLUSTER, EnableCloudwatchLogsExports=["error"])],
    test_rds_45_who_came_and_what_changed_is_audited: [
        parameter("", postgresql="shared_preload_libraries", mysql="server_audit_logging"),
        parameter("read", postgresql="pgaudit__log", mysql="server_audit_events"),
    ],
    test_rds_38_and_39_connections_without_tls_are_refused: [
        parameter("0", postgresql="rds__force_ssl", mysql="require_secure_transport")
    ],
    test_rds_43_the_proxy_refuses_connections_without_tls: [change("AWS::RDS::DBProxy", RequireTLS=False)],
    test_rds_50_backups_of_what_is_kept_reach_back_a_week: [change(CLUSTER, BackupRetentionPeriod=0)],
    test_secrets_manager_1_and_4_every_secret_rotates_by_itself: [
        remove("AWS::SecretsManager::RotationSchedule"),
        add("AWS::SecretsManager::Secret"),
    ],
    test_every_secret_is_encrypted_with_a_key_of_our_own: [
        change("AWS::SecretsManager::Secret", KmsKeyId=None)
    ],
    test_kms_4_every_key_rotates: [change("AWS::KMS::Key", EnableKeyRotation=None)],
    test_kms_5_no_key_allows_anything_to_everybody: [let_everybody_use_a_key],
    test_ec2_no_address_is_let_in_anywhere_and_nobody_is_let_out_to_one: [open_a_group],
    test_ec2_every_group_says_that_it_lets_nobody_out: [
        change("AWS::EC2::SecurityGroup", SecurityGroupEgress=None)
    ],
    test_ec2_2_the_default_security_group_is_closed: [remove("Custom::VpcRestrictDefaultSG")],
    test_ec2_6_all_flows_are_logged: [change("AWS::EC2::FlowLog", TrafficType="REJECT")],
    test_lambda_3_whatever_talks_to_the_database_lives_in_its_subnets: [of_ours(VpcConfig={"SubnetIds": []})],
    test_lambda_every_function_has_a_role_of_its_own: [share_what_has_to_be_its_own("Role")],
    test_lambda_every_function_has_a_log_of_its_own_that_forgets_and_is_encrypted: [
        share_what_has_to_be_its_own("LoggingConfig")
    ],
    test_logs_every_log_is_encrypted_and_forgets: [
        change("AWS::Logs::LogGroup", KmsKeyId=None),
        change("AWS::Logs::LogGroup", RetentionInDays=None),
    ],
    test_lambda_our_functions_are_traced: [of_ours(TracingConfig={"Mode": "PassThrough"})],
    test_iam_no_action_is_a_wildcard_and_every_resource_that_has_an_arn_is_named: [
        statement(Action="rds:*", Resource="arn:aws:rds:::cluster"),
        statement(Action="s3:GetObject", Resource="*"),
    ],
    test_sns_what_is_told_is_encrypted_with_a_key_of_our_own: [
        change("AWS::SNS::Topic", KmsMasterKeyId=None)
    ],
}
"""What each test has to notice."""


OF_WHAT_IS_KEPT = {test_rds_26_a_cluster_that_is_kept_is_in_a_backup_plan}
"""Tests that ask for nothing where nobody keeps the data."""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["dev", "production"])
@pytest.mark.parametrize(
    ("test", "break_it"),
    [
        pytest.param(test, break_it, id=f"{test.__name__}-{number}")
        for test, breaks in BREAKS.items()
        for number, break_it in enumerate(breaks)
    ],
)
def test_each_control_is_seen_failing(test, break_it, kind, engine):
    whole = of_kind("production" if test in OF_WHAT_IS_KEPT else kind, engine)
    broken = Synthesized(copy.deepcopy(whole.templates), whole.manifest)
    break_it(broken)
    with pytest.raises((AssertionError, KeyError, ValueError)):
        test(broken)


@pytest.mark.parametrize(
    ("control", "source"),
    [(19, "db-cluster"), (20, "db-instance"), (21, "db-parameter-group"), (22, "db-security-group")],
)
def test_rds_19_to_22_are_seen_failing(control, source):
    whole = of_kind("production")
    broken = Synthesized(copy.deepcopy(whole.templates), whole.manifest)
    for subscription in broken.of_type("AWS::RDS::EventSubscription").values():
        subscription["Enabled"] = subscription["SourceType"] != source
    with pytest.raises(AssertionError):
        test_rds_19_to_22_what_happens_to_the_database_is_told(broken, control, source)


def test_no_control_is_left_out_of_what_is_seen_failing():
    tests = {name for name in globals() if name.startswith("test_") and "seen_failing" not in name}
    assert tests == {test.__name__ for test in BREAKS} | {
        test_rds_19_to_22_what_happens_to_the_database_is_told.__name__
    }
