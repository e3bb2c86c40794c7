"""What a deployment made is what its templates say, and each change past them is found, on both engines."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from operate.drift import DRIFTED, NONE
from tests.deploy.clients import CDK, ROOT, LocalCloud

Resource = dict[str, Any]


@dataclass(frozen=True)
class Deployed:
    """A deployment with production's settings on a local cloud, and ways to change it past its templates."""

    cloud: LocalCloud
    engine: str

    @property
    def stacks(self) -> list[str]:
        return [f"shop-production-{part}" for part in ("network", "database", "schema", "observability")]

    @property
    def which(self) -> list[str]:
        chosen = ["--deployment", "production", "--engine", self.engine]
        return [*chosen, "--local", "--cloud", self.cloud.name]

    def operate(self, verb: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "operate", verb, *self.which]
        return self.cloud.person.run(command, cwd=ROOT, env=self.cloud.env, check=False)

    def detect(self) -> None:
        cloudformation = self.cloud.client("cloudformation")
        for stack in self.stacks:
            detection = cloudformation.detect_stack_drift(StackName=stack)["StackDriftDetectionId"]
            status = cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
            assert status["DetectionStatus"] == "DETECTION_COMPLETE", status

    def drifts(self) -> list[Resource]:
        """Detect, and return what has drifted."""
        self.detect()
        cloudformation, wanted = self.cloud.client("cloudformation"), ["MODIFIED", "DELETED"]
        return [
            one
            for stack in self.stacks
            for one in cloudformation.describe_stack_resource_drifts(
                StackName=stack, StackResourceDriftStatusFilters=wanted
            )["StackResourceDrifts"]
        ]

    def resources(self, kind: str) -> list[str]:
        """Return the physical ids of a type's resources, by logical id: they are created in any order."""
        listed = [
            one
            for stack in self.stacks
            for one in self.cloud.items(
                "cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=stack
            )
        ]
        return [
            one["PhysicalResourceId"]
            for one in sorted(listed, key=lambda one: str(one["LogicalResourceId"]))
            if one["ResourceType"] == kind
        ]

    def first(self, kind: str) -> str:
        return self.resources(kind)[0]


@pytest.fixture(scope="module")
def deployed(cloud: LocalCloud, engine: str) -> Iterator[Deployed]:
    deployed = Deployed(cloud, engine)
    bootstrap = [str(CDK), "bootstrap", "--app", "", "--no-notices", "aws://123456789012/us-east-1"]
    cloud.person.run(bootstrap, cwd=ROOT, env=cloud.env)
    done = deployed.operate("deploy")
    try:
        assert done.returncode == 0, done.stdout
        yield deployed
    finally:
        shutil.rmtree(ROOT / "build" / "assemblies" / cloud.name, ignore_errors=True)


@pytest.fixture(scope="module")
def cloud(engine: str) -> Iterator[LocalCloud]:
    """Return a cloud for each engine: both deployments have production's names."""
    cloud = LocalCloud.start()
    yield cloud
    cloud.stop()


def shorten_a_logs_life(deployed: Deployed) -> str:
    name = deployed.first("AWS::Logs::LogGroup")
    deployed.cloud.client("logs").put_retention_policy(logGroupName=name, retentionInDays=1)
    return name


def untag_a_log(deployed: Deployed) -> str:
    name, logs = deployed.resources("AWS::Logs::LogGroup")[1], deployed.cloud.client("logs")
    logs.untag_log_group(logGroupName=name, tags=["application"])
    return name


def keep_fewer_backups(deployed: Deployed) -> str:
    name, rds = deployed.first("AWS::RDS::DBCluster"), deployed.cloud.client("rds")
    rds.modify_db_cluster(DBClusterIdentifier=name, BackupRetentionPeriod=1, ApplyImmediately=True)
    return name


def unprotect_the_cluster(deployed: Deployed) -> str:
    name, rds = deployed.first("AWS::RDS::DBCluster"), deployed.cloud.client("rds")
    rds.modify_db_cluster(DBClusterIdentifier=name, DeletionProtection=False, ApplyImmediately=True)
    return name


def set_a_parameter(deployed: Deployed) -> str:
    name, rds = deployed.first("AWS::RDS::DBClusterParameterGroup"), deployed.cloud.client("rds")
    parameters = rds.describe_db_cluster_parameters(DBClusterParameterGroupName=name)["Parameters"]
    changed = {"ParameterName": parameters[0]["ParameterName"], "ApplyMethod": "pending-reboot"}
    value = "0" if parameters[0]["ParameterValue"] == "1" else "1"
    rds.modify_db_cluster_parameter_group(
        DBClusterParameterGroupName=name, Parameters=[{**changed, "ParameterValue": value}]
    )
    return name


def let_more_out(deployed: Deployed) -> str:
    group, ec2 = deployed.first("AWS::EC2::SecurityGroup"), deployed.cloud.client("ec2")
    everywhere = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[everywhere])
    return group


def let_less_in(deployed: Deployed) -> str:
    rule, ec2 = deployed.first("AWS::EC2::SecurityGroupIngress"), deployed.cloud.client("ec2")
    [found] = ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule])["SecurityGroupRules"]
    ec2.revoke_security_group_ingress(GroupId=found["GroupId"], SecurityGroupRuleIds=[rule])
    return rule


def shorten_a_functions_time(deployed: Deployed) -> str:
    name = deployed.first("AWS::Lambda::Function")
    deployed.cloud.client("lambda").update_function_configuration(FunctionName=name, Timeout=7)
    return name


def add_a_variable(deployed: Deployed) -> str:
    functions = deployed.cloud.client("lambda")
    for name in deployed.resources("AWS::Lambda::Function"):
        variables = functions.get_function_configuration(FunctionName=name).get("Environment", {})
        if variables:
            break
    more = {**variables["Variables"], "ADDED": "by hand"}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": more})
    return name


def stop_a_keys_rotation(deployed: Deployed) -> str:
    name = deployed.first("AWS::KMS::Key")
    deployed.cloud.client("kms").disable_key_rotation(KeyId=name)
    return name


def give_a_role_more(deployed: Deployed) -> str:
    name, iam = deployed.first("AWS::IAM::Role"), deployed.cloud.client("iam")
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    everything = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_role_policy(RoleName=name, PolicyName="more", PolicyDocument=json.dumps(everything))
    return name


def change_a_roles_policy(deployed: Deployed) -> str:
    name, iam = deployed.resources("AWS::IAM::Role")[1], deployed.cloud.client("iam")
    [policy, *_] = iam.list_role_policies(RoleName=name)["PolicyNames"]
    document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
    document["Statement"][0]["Effect"] = "Deny"
    iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))
    return name


def raise_an_alarms_threshold(deployed: Deployed) -> str:
    cloudwatch = deployed.cloud.client("cloudwatch")
    names = deployed.resources("AWS::CloudWatch::Alarm")
    alarm = next(
        one
        for one in cloudwatch.describe_alarms(AlarmNames=names[:100])["MetricAlarms"]
        if one.get("Statistic")
    )
    put = set(cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members)
    given = {name: value for name, value in alarm.items() if name in put}
    cloudwatch.put_metric_alarm(**{**given, "Threshold": alarm["Threshold"] + 12345})
    return str(alarm["AlarmName"])


def delete_a_parameter(deployed: Deployed) -> str:
    name = deployed.resources("AWS::SSM::Parameter")[-1]
    deployed.cloud.client("ssm").delete_parameter(Name=name)
    return name


def change_a_parameter(deployed: Deployed) -> str:
    name = deployed.resources("AWS::SSM::Parameter")[-2]
    deployed.cloud.client("ssm").put_parameter(Name=name, Value="by hand", Overwrite=True)
    return name


def describe_a_secret_otherwise(deployed: Deployed) -> str:
    name = deployed.first("AWS::SecretsManager::Secret")
    deployed.cloud.client("secretsmanager").update_secret(SecretId=name, Description="by hand")
    return name


def name_a_topic_otherwise(deployed: Deployed) -> str:
    name, sns = deployed.first("AWS::SNS::Topic"), deployed.cloud.client("sns")
    sns.set_topic_attributes(TopicArn=name, AttributeName="DisplayName", AttributeValue="by hand")
    return name


def switch_a_rule_off(deployed: Deployed) -> str:
    name = deployed.first("AWS::Events::Rule")
    deployed.cloud.client("events").disable_rule(Name=name)
    return name


def empty_a_dashboard(deployed: Deployed) -> str:
    name = deployed.first("AWS::CloudWatch::Dashboard")
    deployed.cloud.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody='{"widgets": []}')
    return name


def let_clients_wait_less(deployed: Deployed) -> str:
    rds, proxy = deployed.cloud.client("rds"), deployed.first("AWS::RDS::DBProxy")
    rds.modify_db_proxy_target_group(
        DBProxyName=proxy, TargetGroupName="default", ConnectionPoolConfig={"ConnectionBorrowTimeout": 3}
    )
    return deployed.first("AWS::RDS::DBProxyTargetGroup")


CHANGES: list[tuple[Callable[[Deployed], str], str]] = [
    (shorten_a_logs_life, "NOT_EQUAL /RetentionInDays"),
    (untag_a_log, r"REMOVE /Tags/\d+"),
    (keep_fewer_backups, "NOT_EQUAL /BackupRetentionPeriod"),
    (unprotect_the_cluster, "NOT_EQUAL /DeletionProtection"),
    (set_a_parameter, "NOT_EQUAL /Parameters/.+"),
    (let_more_out, r"ADD /SecurityGroupEgress/\d+"),
    (let_less_in, "DELETED"),
    (shorten_a_functions_time, "NOT_EQUAL /Timeout"),
    (add_a_variable, "ADD /Environment/Variables/ADDED"),
    (stop_a_keys_rotation, "NOT_EQUAL /EnableKeyRotation"),
    (give_a_role_more, r"ADD /Policies/\d+"),
    (change_a_roles_policy, r"NOT_EQUAL /Policies/\d+/PolicyDocument/Statement/0/Effect"),
    (raise_an_alarms_threshold, "NOT_EQUAL /Threshold"),
    (delete_a_parameter, "DELETED"),
    (change_a_parameter, "NOT_EQUAL /Value"),
    (describe_a_secret_otherwise, "NOT_EQUAL /Description"),
    (name_a_topic_otherwise, "NOT_EQUAL /DisplayName"),
    (switch_a_rule_off, "NOT_EQUAL /State"),
    (empty_a_dashboard, "NOT_EQUAL /DashboardBody"),
    (let_clients_wait_less, "NOT_EQUAL /ConnectionPoolConfigurationInfo/ConnectionBorrowTimeout"),
]


@pytest.mark.long
def test_a_fresh_deployment_has_no_drift_and_every_change_past_it_is_found(deployed: Deployed) -> None:
    fresh = deployed.operate("drift")
    assert fresh.returncode == NONE, fresh.stdout
    assert re.search(r"0 of \d{3} compared resources of production have drifted", fresh.stdout)
    assert "AWS::RDS" not in fresh.stdout, "of the database everything is compared"
    assert "Number of resources with drift: 0 " in cdk_drift(deployed)

    found: set[str] = set()
    for change, expected in CHANGES:
        changed = change(deployed)
        now = {f"{one['PhysicalResourceId']} {line}" for one in deployed.drifts() for line in lines(one)}
        assert len(now - found) == 1, (change.__name__, now - found)
        assert re.fullmatch(f"{re.escape(changed)} {expected}", (now - found).pop()), change.__name__
        found = now

    drifted = deployed.operate("drift")
    assert drifted.returncode == DRIFTED, drifted.stdout
    told = drifted.stdout.splitlines()
    for change in found:
        physical_id, kind, *path = change.split(" ")
        words = [f"{physical_id})", path[0] + ":" if path else "is gone"]
        assert any(all(word in line for word in words) for line in told), (kind, change, told)
    assert f"Number of resources with drift: {len(deployed.drifts())} " in cdk_drift(deployed)


@pytest.mark.long
def test_what_is_let_into_a_group_past_the_templates_is_found_although_no_template_lists_it(
    deployed: Deployed,
) -> None:
    group, ec2 = deployed.resources("AWS::EC2::SecurityGroup")[1], deployed.cloud.client("ec2")
    everybody = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    rule = {"GroupId": group, "IpPermissions": [everybody]}
    assert "lets in" not in deployed.operate("drift").stdout
    ec2.authorize_security_group_ingress(**rule)
    drifted = deployed.operate("drift")
    assert drifted.returncode == DRIFTED, drifted.stdout
    assert re.search(rf"{group}\) lets in tcp/22-22 from 0.0.0.0/0, sgr-\w+, of no template", drifted.stdout)


def lines(one: Resource) -> list[str]:
    """Return a resource's differences, each as its kind and path; for one that is gone, that."""
    if one["StackResourceDriftStatus"] == "DELETED":
        return ["DELETED"]
    return [f"{change['DifferenceType']} {change['PropertyPath']}" for change in one["PropertyDifferences"]]


def cdk_drift(deployed: Deployed) -> str:
    """Return what `cdk drift`, unmodified, says of the same deployment."""
    assembly = ROOT / "build" / "assemblies" / deployed.cloud.name / "production"
    command = [str(CDK), "drift", "--app", str(assembly), "--no-notices"]
    return deployed.cloud.person.run(command, cwd=ROOT, env=deployed.cloud.env).stdout
