"""What the database stack promises."""

from __future__ import annotations

import json
from dataclasses import replace

from stacks.settings import ServerlessV2
from tests.stacks.conftest import chosen
from tests.stacks.synthesized import as_list, referred, synthesize

TLS_REQUIRED = {"postgresql": ("rds.force_ssl", "1"), "mysql": ("require_secure_transport", "ON")}
LOG_EXPORTS = {"postgresql": ["postgresql"], "mysql": ["audit", "error", "slowquery"]}


def cluster_of(synthesized):
    return synthesized.the_one("AWS::RDS::DBCluster")[1]


def test_only_the_client_group_and_the_proxy_reach_the_cluster(synthesized):
    (group,) = referred(cluster_of(synthesized)["VpcSecurityGroupIds"])
    port = cluster_of(synthesized)["Port"]
    assert synthesized.admitted(group) == {
        (synthesized.group_of("Client"), port),
        (synthesized.group_of("Proxy"), port),
    }
    assert synthesized.let_out(group) == set()


def test_only_the_client_group_reaches_the_proxy(synthesized):
    port = cluster_of(synthesized)["Port"]
    _, proxy = synthesized.the_one("AWS::RDS::DBProxy")
    _, read_only = synthesized.the_one("AWS::RDS::DBProxyEndpoint")
    for endpoint in (proxy, read_only):
        (group,) = referred(endpoint["VpcSecurityGroupIds"])
        assert synthesized.admitted(group) == {(synthesized.group_of("Client"), port)}
        assert synthesized.let_out(group) == {(synthesized.group_of("Cluster"), port)}


def test_the_client_group_leads_to_the_database_its_secret_and_s3_only(synthesized):
    port = cluster_of(synthesized)["Port"]
    client = synthesized.group_of("Client")
    assert synthesized.admitted(client) == set()
    assert synthesized.let_out(client) == {
        (synthesized.group_of("Cluster"), port),
        (synthesized.group_of("Proxy"), port),
        (synthesized.group_of("SecretsManagerEndpoint"), 443),
        ("pl-63a5400a", 443),  # S3 in us-east-1
    }


def test_the_database_listens_where_no_scanner_looks_first(synthesized):
    assert cluster_of(synthesized)["Port"] not in (5432, 3306)


def test_data_and_secret_are_encrypted_with_a_key_of_our_own_that_rotates(synthesized):
    key_id, key = synthesized.key()
    _, secret = synthesized.the_one("AWS::SecretsManager::Secret")
    assert key["EnableKeyRotation"] is True
    assert cluster_of(synthesized)["StorageEncrypted"] is True
    assert referred(cluster_of(synthesized)["KmsKeyId"]) == {key_id}
    assert referred(secret["KmsKeyId"]) == {key_id}


def test_the_key_is_given_to_this_account_alone(synthesized):
    _, key = synthesized.key()
    for statement in key["KeyPolicy"]["Statement"]:
        if statement["Effect"] == "Deny":
            continue
        assert list(statement["Principal"]) == ["AWS"]
        assert statement["Principal"]["AWS"] != "*"
        assert {"Ref": "AWS::AccountId"} in statement["Principal"]["AWS"]["Fn::Join"][1]


def test_writer_and_first_reader_lie_in_different_zones(synthesized):
    instances = synthesized.of_type("AWS::RDS::DBInstance").values()
    by_tier = {instance["PromotionTier"]: instance["AvailabilityZone"] for instance in instances}
    subnets = [referred(zone) for zone in by_tier.values()]
    assert len(subnets) == 2
    assert subnets[0] != subnets[1]


def test_instances_of_production_lie_in_a_zone_each(retained):
    instances = retained.of_type("AWS::RDS::DBInstance").values()
    zones = [frozenset(referred(instance["AvailabilityZone"])) for instance in instances]
    assert len(zones) == len(set(zones)) == 3
    assert {instance["DBInstanceClass"] for instance in instances} == {"db.r8g.large"}


def test_no_instance_is_public(synthesized):
    for instance in synthesized.of_type("AWS::RDS::DBInstance").values():
        assert instance["PubliclyAccessible"] is False


def test_connections_without_tls_are_refused(synthesized):
    _, group = synthesized.the_one("AWS::RDS::DBClusterParameterGroup")
    _, proxy = synthesized.the_one("AWS::RDS::DBProxy")
    name, value = TLS_REQUIRED[synthesized.engine.name]
    assert group["Parameters"][name] == value
    assert proxy["RequireTLS"] is True


def test_cluster_and_instances_use_our_parameter_groups(synthesized):
    cluster_group, _ = synthesized.the_one("AWS::RDS::DBClusterParameterGroup")
    instance_group, _ = synthesized.the_one("AWS::RDS::DBParameterGroup")
    assert referred(cluster_of(synthesized)["DBClusterParameterGroupName"]) == {cluster_group}
    for instance in synthesized.of_type("AWS::RDS::DBInstance").values():
        assert referred(instance["DBParameterGroupName"]) == {instance_group}


def test_users_prove_themselves_to_cluster_and_proxy_by_iam_without_any_password(synthesized):
    _, proxy = synthesized.the_one("AWS::RDS::DBProxy")
    assert cluster_of(synthesized)["EnableIAMDatabaseAuthentication"] is True
    assert proxy["DefaultAuthScheme"] == "IAM_AUTH"
    assert "Auth" not in proxy


def test_the_proxy_may_log_in_to_this_cluster_as_the_two_application_roles_only(synthesized):
    cluster_id, _ = synthesized.the_one("AWS::RDS::DBCluster")
    _, proxy = synthesized.the_one("AWS::RDS::DBProxy")
    (statement,) = synthesized.statements_of(proxy["RoleArn"])
    assert statement["Action"] == "rds-db:connect"
    resources = as_list(statement["Resource"])
    assert all({"Fn::GetAtt": [cluster_id, "DBClusterResourceId"]} in r["Fn::Join"][1] for r in resources)
    assert {r["Fn::Join"][1][-1] for r in resources} == {"/shop_application", "/shop_read_only"}


def test_the_read_only_endpoint_leads_to_readers_through_the_same_proxy(synthesized):
    proxy_id, _ = synthesized.the_one("AWS::RDS::DBProxy")
    _, read_only = synthesized.the_one("AWS::RDS::DBProxyEndpoint")
    assert read_only["TargetRole"] == "READ_ONLY"
    assert referred(read_only["DBProxyName"]) == {proxy_id}


def test_the_proxy_waits_for_the_instances_that_it_leads_to(synthesized):
    target_group_id, _ = synthesized.the_one("AWS::RDS::DBProxyTargetGroup")
    instances = set(synthesized.of_type("AWS::RDS::DBInstance"))
    assert set(synthesized.resources[target_group_id]["DependsOn"]) == instances


def test_the_admin_password_is_generated_attached_and_never_in_a_template(synthesized):
    secret_id, secret = synthesized.the_one("AWS::SecretsManager::Secret")
    cluster_id, cluster = synthesized.the_one("AWS::RDS::DBCluster")
    _, attachment = synthesized.the_one("AWS::SecretsManager::SecretTargetAttachment")
    assert secret["GenerateSecretString"]["GenerateStringKey"] == "password"
    assert secret["GenerateSecretString"]["PasswordLength"] >= 30
    assert "SecretString" not in secret
    password = cluster["MasterUserPassword"]["Fn::Join"][1]
    assert password[0] == "{{resolve:secretsmanager:"
    assert password[1] == {"Ref": secret_id}
    assert (referred(attachment["SecretId"]), referred(attachment["TargetId"])) == ({secret_id}, {cluster_id})


def test_the_master_user_is_not_one_that_everybody_knows(synthesized):
    _, secret = synthesized.the_one("AWS::SecretsManager::Secret")
    template = json.loads(secret["GenerateSecretString"]["SecretStringTemplate"])
    assert template == {"username": "shop_admin"}


def test_the_attached_secret_rotates_by_our_own_function_but_never_during_a_deployment(synthesized):
    _, schedule = synthesized.the_one("AWS::SecretsManager::RotationSchedule")
    attachment_id, _ = synthesized.the_one("AWS::SecretsManager::SecretTargetAttachment")
    (function,) = referred(schedule["RotationLambdaARN"])
    assert synthesized.resources[function]["Properties"]["Handler"] == "rotate_secret.handler.on_event"
    assert referred(schedule["SecretId"]) == {attachment_id}
    assert schedule["RotationRules"] == {"AutomaticallyAfterDays": 30}
    assert schedule["RotateImmediatelyOnUpdate"] is False


def test_secrets_manager_of_this_account_alone_may_start_the_rotation(synthesized):
    permission_id, permission = synthesized.the_one("AWS::Lambda::Permission")
    schedule_id, schedule = synthesized.the_one("AWS::SecretsManager::RotationSchedule")
    assert permission["Principal"] == "secretsmanager.amazonaws.com"
    assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert referred(permission["FunctionName"]) == referred(schedule["RotationLambdaARN"])
    assert permission_id in as_list(synthesized.resources[schedule_id]["DependsOn"])


def test_what_rds_logs_goes_to_a_group_that_was_there_before_it(synthesized):
    """RDS would make the group itself, without retention, and leave it behind."""
    cluster_id, cluster = synthesized.the_one("AWS::RDS::DBCluster")
    groups = synthesized.of_type("AWS::Logs::LogGroup")
    exported = cluster["EnableCloudwatchLogsExports"]
    assert exported == LOG_EXPORTS[synthesized.engine.name]
    for kind in exported:
        expected = f"/aws/rds/cluster/{cluster['DBClusterIdentifier']}/{kind}"
        (group_id,) = [i for i, group in groups.items() if group.get("LogGroupName") == expected]
        assert group_id in as_list(synthesized.resources[cluster_id]["DependsOn"])


def test_minor_upgrades_and_tags_on_snapshots_are_decided_not_left_to_defaults(synthesized):
    cluster = cluster_of(synthesized)
    assert cluster["AutoMinorVersionUpgrade"] is True
    assert cluster["CopyTagsToSnapshot"] is True
    for instance in synthesized.of_type("AWS::RDS::DBInstance").values():
        assert instance["AutoMinorVersionUpgrade"] is True


def test_a_cluster_can_be_rewound_where_its_engine_can(synthesized):
    """Only from its creation on, so that it is decided from the first (Security Hub RDS.14)."""
    window_seconds = cluster_of(synthesized).get("BacktrackWindow")
    assert window_seconds == {"postgresql": None, "mysql": 24 * 3600}[synthesized.engine.name]


def test_the_proxy_speaks_the_engine_s_protocol(synthesized):
    _, proxy = synthesized.the_one("AWS::RDS::DBProxy")
    assert proxy["EngineFamily"] == synthesized.engine.name.upper()


def test_without_a_proxy_functions_use_the_cluster_and_may_log_in_there(engine):
    dev = chosen("dev", engine)
    database = replace(dev.database, proxy=False, capacity=ServerlessV2(0, 2))
    synthesized = synthesize(replace(dev, database=database))
    assert not synthesized.has_type("AWS::RDS::DBProxy")
    cluster_id, cluster = synthesized.the_one("AWS::RDS::DBCluster")
    assert cluster["ServerlessV2ScalingConfiguration"] == {"MinCapacity": 0, "MaxCapacity": 2}
    function = synthesized.functions()["smoke_test"]
    variables = function["Environment"]["Variables"]
    assert variables["PROXY_ENDPOINT"] == variables["CLUSTER_ENDPOINT"]
    assert variables["PROXY_READ_ONLY_ENDPOINT"] == variables["CLUSTER_READER_ENDPOINT"]
    (login,) = [s for s in synthesized.statements_of(function["Role"]) if s["Action"] == "rds-db:connect"]
    assert referred(login["Resource"]) == {cluster_id}
    (group,) = referred(cluster["VpcSecurityGroupIds"])
    assert {source for source, _ in synthesized.admitted(group)} == {synthesized.group_of("Client")}


def test_every_instance_is_watched_from_the_inside_by_a_role_for_that_alone(synthesized):
    """Security Hub RDS.6."""
    for instance in synthesized.of_type("AWS::RDS::DBInstance").values():
        assert instance["MonitoringInterval"] == 60
        (statement,) = synthesized.statements_of(instance["MonitoringRoleArn"])
        assert all(action.startswith("logs:") for action in statement["Action"])
        assert all("log-group:RDSOSMetrics" in json.dumps(one) for one in statement["Resource"])


def test_what_sessions_waited_for_is_kept_under_our_key(synthesized):
    key_id, _ = synthesized.key()
    watched = [cluster_of(synthesized), *synthesized.of_type("AWS::RDS::DBInstance").values()]
    for one in watched:
        assert one.get("PerformanceInsightsEnabled", one.get("EnablePerformanceInsights")) is True
        assert referred(one.get("PerformanceInsightsKmsKeyId", one.get("PerformanceInsightsKMSKeyId"))) == {
            key_id
        }


def insights_of(synthesized):
    cluster = cluster_of(synthesized)
    return cluster["DatabaseInsightsMode"], cluster["PerformanceInsightsRetentionPeriod"]


def test_insights_are_advanced_where_data_are_retained(retained):
    assert insights_of(retained) == ("advanced", 465)


def test_insights_are_standard_elsewhere(not_retained):
    assert insights_of(not_retained) == ("standard", 7)


def test_the_proxy_decides_how_long_anybody_waits_and_logs_no_statement(synthesized):
    _, proxy = synthesized.the_one("AWS::RDS::DBProxy")
    _, targets = synthesized.the_one("AWS::RDS::DBProxyTargetGroup")
    assert (proxy["IdleClientTimeout"], proxy["DebugLogging"]) == (1800, False)
    assert targets["ConnectionPoolConfigurationInfo"]["ConnectionBorrowTimeout"] == 30


def test_what_the_proxy_logs_goes_to_a_group_that_was_there_before_it(synthesized):
    proxy_id, proxy = synthesized.the_one("AWS::RDS::DBProxy")
    (group,) = [
        group_id
        for group_id, group in synthesized.of_type("AWS::Logs::LogGroup").items()
        if group.get("LogGroupName") == f"/aws/rds/proxy/{proxy['DBProxyName']}"
    ]
    assert group in as_list(synthesized.resources[proxy_id]["DependsOn"])


def test_rules_between_proxy_and_cluster_name_their_port(synthesized):
    port = cluster_of(synthesized)["Port"]
    for kind in ("Ingress", "Egress"):
        for rule in synthesized.of_type(f"AWS::EC2::SecurityGroup{kind}").values():
            assert rule["FromPort"] == rule["ToPort"]
            assert rule["FromPort"] in (port, 443)


AUDITED = {
    "postgresql": {
        "shared_preload_libraries": "pg_stat_statements,pgaudit",
        "pgaudit.log": "ddl,role",
        "pgaudit.log_parameter": "0",
        "log_connections": "1",
        "log_disconnections": "1",
    },
    "mysql": {"server_audit_logging": "1", "server_audit_events": "CONNECT,QUERY_DCL,QUERY_DDL"},
}


def test_who_came_and_what_changed_schema_or_rights_is_recorded_without_the_customers_values(synthesized):
    _, group = synthesized.the_one("AWS::RDS::DBClusterParameterGroup")
    expected = AUDITED[synthesized.engine.name]
    assert {name: group["Parameters"].get(name) for name in expected} == expected


def test_a_deployment_may_have_parameters_of_its_own(engine):
    dev = chosen("dev", engine)
    name = {"postgresql": "work_mem", "mysql": "max_connections"}[engine]
    other = synthesize(replace(dev, database=replace(dev.database, parameters={name: "1000"})))
    _, group = other.the_one("AWS::RDS::DBClusterParameterGroup")
    assert group["Parameters"][name] == "1000"
    tls, required = TLS_REQUIRED[engine]
    assert group["Parameters"][tls] == required
