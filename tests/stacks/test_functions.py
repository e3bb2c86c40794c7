"""What our Lambda functions may do, and what they are told."""

from __future__ import annotations

import platform
import sys
from dataclasses import replace

from tests.stacks.conftest import chosen
from tests.stacks.synthesized import as_list, referred, synthesize

PACKAGES = {"apply_schema", "seed_data", "smoke_test", "rotate_secret"}


def test_every_function_lives_in_the_isolated_subnets_as_a_client(synthesized):
    assert synthesized.functions().keys() == PACKAGES
    subnets = set(synthesized.of_type("AWS::EC2::Subnet"))
    for function in synthesized.functions().values():
        assert referred(function["VpcConfig"]["SubnetIds"]) == subnets
        assert referred(function["VpcConfig"]["SecurityGroupIds"]) == {synthesized.group_of("Client")}


def test_every_function_has_a_role_and_a_log_of_its_own(synthesized):
    functions = synthesized.of_type("AWS::Lambda::Function").values()
    roles = [frozenset(referred(function["Role"])) for function in functions]
    logs = [frozenset(referred(function["LoggingConfig"]["LogGroup"])) for function in functions]
    assert len(set(roles)) == len(set(logs)) == len(functions)


def test_every_log_is_forgotten_after_a_while(synthesized):
    for group in synthesized.of_type("AWS::Logs::LogGroup").values():
        assert group["RetentionInDays"] >= 1


def test_every_log_is_encrypted_with_the_key_of_logs(synthesized):
    key_id, _ = synthesized.key("LogKey")
    for group_id, group in synthesized.of_type("AWS::Logs::LogGroup").items():
        assert referred(group["KmsKeyId"]) == {key_id}, group_id


def test_no_function_brings_back_a_deleted_log_group(synthesized):
    for function_id, function in synthesized.of_type("AWS::Lambda::Function").items():
        actions = [a for s in synthesized.statements_of(function["Role"]) for a in as_list(s["Action"])]
        assert "logs:CreateLogGroup" not in actions, function_id


def test_each_function_writes_to_its_own_log_only(synthesized):
    for function in synthesized.of_type("AWS::Lambda::Function").values():
        (statement,) = [
            s
            for s in synthesized.statements_of(function["Role"])
            if "logs:PutLogEvents" in as_list(s["Action"])
        ]
        assert referred(statement["Resource"]) == referred(function["LoggingConfig"]["LogGroup"])


def test_only_migrator_and_rotation_know_and_may_read_the_admin_secret(synthesized):
    secret_id, _ = synthesized.the_one("AWS::SecretsManager::Secret")
    knowing, reading = set(), set()
    for package, function in synthesized.functions().items():
        if "ADMIN_SECRET_ARN" in function["Environment"]["Variables"]:
            assert referred(function["Environment"]["Variables"]["ADMIN_SECRET_ARN"]) == {secret_id}
            knowing.add(package)
        for statement in synthesized.statements_of(function["Role"]):
            if "secretsmanager:GetSecretValue" in as_list(statement["Action"]):
                assert referred(statement["Resource"]) == {secret_id}
                reading.add(package)
    assert knowing == reading == {"apply_schema", "rotate_secret"}


def test_whoever_reads_the_secret_may_decrypt_it_through_secrets_manager_only(synthesized):
    """An imported secret's grant forgets that: https://github.com/aws/aws-cdk/issues/10160."""
    key_id, _ = synthesized.key()
    decrypting = {}
    for package, function in synthesized.functions().items():
        for statement in synthesized.statements_of(function["Role"]):
            if "kms:Decrypt" in as_list(statement["Action"]):
                assert referred(statement["Resource"]) == {key_id}
                via = statement["Condition"]["StringEquals"]["kms:ViaService"]
                assert via == "secretsmanager.us-east-1.amazonaws.com"
                decrypting[package] = set(as_list(statement["Action"]))
    assert decrypting == {
        "apply_schema": {"kms:Decrypt"},
        "rotate_secret": {"kms:Decrypt", "kms:GenerateDataKey"},
    }


def test_the_rotation_may_change_this_secret_and_no_other(synthesized):
    secret_id, _ = synthesized.the_one("AWS::SecretsManager::Secret")
    role = synthesized.functions()["rotate_secret"]["Role"]
    (changing,) = [
        s for s in synthesized.statements_of(role) if "secretsmanager:PutSecretValue" in as_list(s["Action"])
    ]
    assert referred(changing["Resource"]) == {secret_id}
    assert set(changing["Action"]) == {
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
    }


def test_each_function_logs_in_where_and_as_whom_it_needs(synthesized):
    cluster_id, _ = synthesized.the_one("AWS::RDS::DBCluster")
    proxy_id, _ = synthesized.the_one("AWS::RDS::DBProxy")
    logins = {}
    for package, function in synthesized.functions().items():
        for statement in synthesized.statements_of(function["Role"]):
            if statement["Action"] == "rds-db:connect":
                users = {r["Fn::Join"][1][-1] for r in as_list(statement["Resource"])}
                logins[package] = (referred(statement["Resource"]), users)
    assert logins == {
        "seed_data": ({cluster_id}, {"/shop_loader"}),
        "smoke_test": ({proxy_id}, {"/shop_application", "/shop_read_only"}),
    }


def test_every_function_is_told_where_the_database_is(synthesized):
    cluster_id, cluster = synthesized.the_one("AWS::RDS::DBCluster")
    proxy_id, _ = synthesized.the_one("AWS::RDS::DBProxy")
    read_only_id, _ = synthesized.the_one("AWS::RDS::DBProxyEndpoint")
    for function in synthesized.functions().values():
        told = function["Environment"]["Variables"]
        assert told["DATABASE_ENGINE"] == synthesized.engine.name
        assert told["DATABASE_NAME"] == cluster["DatabaseName"]
        assert told["DATABASE_PORT"] == str(cluster["Port"])
        assert told["CLUSTER_ENDPOINT"] == {"Fn::GetAtt": [cluster_id, "Endpoint.Address"]}
        assert told["CLUSTER_READER_ENDPOINT"] == {"Fn::GetAtt": [cluster_id, "ReadEndpoint.Address"]}
        assert told["PROXY_ENDPOINT"] == {"Fn::GetAtt": [proxy_id, "Endpoint"]}
        assert told["PROXY_READ_ONLY_ENDPOINT"] == {"Fn::GetAtt": [read_only_id, "Endpoint"]}


def is_local(synthesized):
    return synthesized.the_one("AWS::RDS::DBCluster")[1]["DBClusterIdentifier"].startswith("shop-local")


def test_the_local_cloud_alone_is_trusted_by_the_machine_s_own_store(synthesized):
    local = is_local(synthesized)
    for function in synthesized.functions().values():
        assert function["Environment"]["Variables"].get("CA_BUNDLE") == ("system" if local else None)


def test_functions_run_on_graviton_in_aws_and_on_this_machine_s_python_locally(synthesized):
    local = is_local(synthesized)
    host = f"python{sys.version_info.major}.{sys.version_info.minor}"
    machine = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    for function in synthesized.functions().values():
        assert function["Runtime"] == (host if local else "python3.14")
        assert function["Architectures"] == [machine if local else "arm64"]


def test_no_function_outlasts_the_framework_that_answers_for_it(synthesized):
    for function in synthesized.functions().values():
        assert 60 <= function["Timeout"] <= 14 * 60


def test_no_function_runs_without_limit_or_is_left_without_a_place_to_run(synthesized):
    for function in [*synthesized.functions().values(), *frameworks_of(synthesized)]:
        assert function["ReservedConcurrentExecutions"] == 2


def test_functions_are_left_to_the_account_s_pool_where_settings_say_so(engine):
    dev = chosen("dev", engine)
    synthesized = synthesize(replace(dev, functions=replace(dev.functions, reserved_concurrency=None)))
    for function in [*synthesized.functions().values(), *frameworks_of(synthesized)]:
        assert "ReservedConcurrentExecutions" not in function


def test_every_call_of_our_functions_is_traced(synthesized):
    for function in synthesized.functions().values():
        assert function["TracingConfig"] == {"Mode": "Active"}
        (tracing,) = [
            s
            for s in synthesized.statements_of(function["Role"])
            if "xray:PutTraceSegments" in as_list(s["Action"])
        ]
        assert set(tracing["Action"]) >= {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}


def frameworks_of(synthesized):
    return [
        function
        for function in synthesized.of_type("AWS::Lambda::Function").values()
        if function["Handler"] == "framework.onEvent"
    ]


def test_each_framework_function_may_call_its_function_and_no_other(synthesized):
    frameworks = frameworks_of(synthesized)
    assert len(frameworks) == 3
    for framework in frameworks:
        (call,) = [s for s in synthesized.statements_of(framework["Role"]) if "lambda:" in str(s["Action"])]
        target = framework["Environment"]["Variables"]["USER_ON_EVENT_FUNCTION_ARN"]
        assert referred(call["Resource"]) == referred(target)
