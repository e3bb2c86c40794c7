"""What watches a deployment: encrypted logs, traced functions, subscriptions, rules, backups, trails."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.localcloud.server.deploying import (
    TRUST,
    DeploymentFailed,
    key_for,
    ref,
    resource,
    tags,
)

LOGS = "logs.us-east-1.amazonaws.com"
ACCOUNT = "123456789012"


def group_arn(name: str) -> str:
    return f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{name}"


def test_a_log_group_takes_a_key_that_logs_may_use_for_it(server, stack):
    name = f"/group/{stack.name}"
    key = key_for(server, LOGS, ArnEquals={"kms:EncryptionContext:aws:logs:arn": group_arn(name)})
    stack.deploy(Group=resource("AWS::Logs::LogGroup", LogGroupName=name, KmsKeyId=key))
    [group] = server.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert group["kmsKeyId"] == key
    stack.delete()


@pytest.mark.parametrize("case", ["of another service", "of another group", "disabled", "absent"])
def test_a_log_group_is_refused_a_key_that_logs_may_not_use_for_it(server, stack, case):
    name = f"/group/{stack.name}"
    other = {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": group_arn("/group/other")}}
    keys = {
        "of another service": lambda: key_for(server, "sns.amazonaws.com"),
        "of another group": lambda: key_for(server, LOGS, **other),
        "disabled": lambda: key_for(server, LOGS),
        "absent": lambda: f"arn:aws:kms:us-east-1:{ACCOUNT}:key/absent",
    }
    key = keys[case]()
    if case == "disabled":
        server.client("kms").disable_key(KeyId=key.rpartition("/")[2])
    words = f"does not exist or is not allowed to be used with Arn '{group_arn(name)}'"
    with pytest.raises(DeploymentFailed, match=words):
        stack.deploy(Group=resource("AWS::Logs::LogGroup", LogGroupName=name, KmsKeyId=key))
    assert server.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"] == []


def test_a_key_is_named_by_its_arn(server, stack):
    key = key_for(server, LOGS).rpartition("/")[2]
    with pytest.raises(DeploymentFailed, match="it has to be an ARN"):
        stack.deploy(Group=resource("AWS::Logs::LogGroup", KmsKeyId=key))


def function(**properties: Any) -> dict[str, dict[str, Any]]:
    """Return a function with its role, whose rights are the statements given."""
    rights = properties.pop("rights", [])
    policy = {"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": rights}}
    return {
        "Role": resource(
            "AWS::IAM::Role", AssumeRolePolicyDocument=TRUST, **({"Policies": [policy]} if rights else {})
        ),
        "Function": resource(
            "AWS::Lambda::Function",
            Handler="index.handler",
            Role={"Fn::GetAtt": ["Role", "Arn"]},
            Runtime="python3.13",
            Code={"ZipFile": "def handler(event, context): return 1"},
            **properties,
        ),
    }


def allow(*actions: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*"}


def test_tracing_and_dead_letters_need_the_roles_rights(server, stack):
    queue = {"TargetArn": {"Fn::GetAtt": ["Queue", "Arn"]}}

    def parts(*rights: dict[str, Any]) -> dict[str, Any]:
        made = function(rights=list(rights), TracingConfig={"Mode": "Active"}, DeadLetterConfig=queue)
        return {"Queue": resource("AWS::SQS::Queue"), **made}

    with pytest.raises(DeploymentFailed, match="does not have permissions to call PutTraceSegments on XRAY"):
        stack.deploy(**parts(allow("sqs:SendMessage")))
    stack.delete()
    xray = allow("xray:PutTraceSegments", "xray:PutTelemetryRecords")
    with pytest.raises(DeploymentFailed, match="does not have permissions to call SendMessage on SQS"):
        stack.deploy(**parts(xray))
    stack.delete()
    ids = stack.deploy(**parts(xray, allow("sqs:SendMessage")))
    described = server.client("lambda").get_function_configuration(FunctionName=ids["Function"])
    assert described["TracingConfig"] == {"Mode": "Active"}
    assert described["DeadLetterConfig"]["TargetArn"].startswith("arn:aws:sqs:")
    assert stack.deploy(
        Queue=resource("AWS::SQS::Queue"), **function(rights=[xray, allow("sqs:SendMessage")])
    )
    described = server.client("lambda").get_function_configuration(FunctionName=ids["Function"])
    assert described["TracingConfig"] == {"Mode": "PassThrough"} and "DeadLetterConfig" not in described
    stack.delete()


def test_a_key_for_the_environment_has_to_be_there(server, stack):
    absent = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/absent"
    with pytest.raises(DeploymentFailed, match="the KMS key is invalid for CreateGrant"):
        stack.deploy(**function(KmsKeyArn=absent))
    stack.delete()
    key = key_for(server, "lambda.amazonaws.com")
    ids = stack.deploy(**function(KmsKeyArn=key))
    assert server.client("lambda").get_function(FunctionName=ids["Function"])["Configuration"][
        "KMSKeyArn"
    ] == (key)
    stack.delete()


def test_reserved_concurrency_throttles_and_leaves_the_account_its_hundred(server, stack):
    client = server.client("lambda")
    with pytest.raises(DeploymentFailed, match=r"below its minimum value of \[100\]"):
        stack.deploy(**function(ReservedConcurrentExecutions=901))
    stack.delete()
    ids = stack.deploy(**function(ReservedConcurrentExecutions=0))
    with pytest.raises(client.exceptions.TooManyRequestsException, match="Rate Exceeded"):
        client.invoke(FunctionName=ids["Function"])
    assert stack.deploy(**function(ReservedConcurrentExecutions=900)) == ids
    assert (
        client.get_function_concurrency(FunctionName=ids["Function"])["ReservedConcurrentExecutions"] == 900
    )
    assert client.invoke(FunctionName=ids["Function"])["Payload"].read() == b"1"
    stack.delete()


def test_event_subscriptions(server, stack):
    def parts(**changed: Any) -> dict[str, Any]:
        given = {"SourceType": "db-cluster", "EventCategories": ["failover", "failure"], "Tags": tags(a="b")}
        return {
            "Topic": resource("AWS::SNS::Topic"),
            "Subscription": resource(
                "AWS::RDS::EventSubscription", SnsTopicArn=ref("Topic"), **{**given, **changed}
            ),
        }

    rds, ids = server.client("rds"), stack.deploy(**parts())
    [found] = rds.describe_event_subscriptions(SubscriptionName=ids["Subscription"])["EventSubscriptionsList"]
    assert found["SnsTopicArn"] == ids["Topic"] and found["SourceType"] == "db-cluster"
    assert found["EventCategoriesList"] == ["failover", "failure"] and found["Enabled"] is True
    assert (
        stack.deploy(**parts(SourceType="db-instance", EventCategories=["availability"], Enabled=False))
        == ids
    )
    [found] = rds.describe_event_subscriptions(SubscriptionName=ids["Subscription"])["EventSubscriptionsList"]
    assert found["SourceType"] == "db-instance" and found["Enabled"] is False
    stack.delete()
    assert rds.describe_event_subscriptions()["EventSubscriptionsList"] == []


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"SnsTopicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:absent"}, "SNSTopicArnNotFound"),
        ({"SourceType": "db-clusters"}, "Invalid source type: db-clusters"),
        ({"EventCategories": ["fail over"], "SourceType": "db-cluster"}, "SubscriptionCategoryNotFound"),
        ({"SourceIds": ["c"]}, "must also specify a SourceType"),
        ({"SourceIds": ["absent"], "SourceType": "db-cluster"}, "could not be found: absent"),
    ],
)
def test_a_subscription_that_would_hear_nothing_is_refused(stack, properties, reason):
    given = {"SnsTopicArn": ref("Topic"), **properties}
    with pytest.raises(DeploymentFailed, match=reason):
        stack.deploy(
            Topic=resource("AWS::SNS::Topic"),
            Subscription=resource("AWS::RDS::EventSubscription", **given),
        )


def backup(vault: str, key: str, **rule: Any) -> dict[str, Any]:
    trust = json.loads(json.dumps(TRUST).replace("lambda", rule.pop("trusted", "backup")))
    given = {"RuleName": "daily", "TargetBackupVault": vault, "Lifecycle": {"DeleteAfterDays": 35}}
    plan = {"BackupPlanName": vault, "BackupPlanRule": [{**given, **rule}]}
    return {
        "Vault": resource(
            "AWS::Backup::BackupVault",
            BackupVaultName=vault,
            EncryptionKeyArn=key,
            BackupVaultTags={"a": "b"},
            LockConfiguration={"MinRetentionDays": 7},
        ),
        "Plan": {**resource("AWS::Backup::BackupPlan", BackupPlan=plan), "DependsOn": "Vault"},
        "Role": resource("AWS::IAM::Role", AssumeRolePolicyDocument=trust),
        "Selection": resource(
            "AWS::Backup::BackupSelection",
            BackupPlanId=ref("Plan"),
            BackupSelection={
                "SelectionName": "s",
                "IamRoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                "Resources": ["*"],
            },
        ),
    }


def test_backup_plans(server, stack):
    key, client = key_for(server, "backup.amazonaws.com"), server.client("backup")
    copies = [{"DestinationBackupVaultArn": f"arn:aws:backup:eu-west-1:{ACCOUNT}:backup-vault:far"}]
    ids = stack.deploy(**backup(stack.name, key, CopyActions=copies))
    [vault] = [one for one in client.list_backup_vaults()["BackupVaultList"] if one["Locked"]]
    assert vault["EncryptionKeyArn"] == key and vault["MinRetentionDays"] == 7
    plan = client.get_backup_plan(BackupPlanId=ids["Plan"])
    [rule] = plan["BackupPlan"]["Rules"]
    assert rule["TargetBackupVaultName"] == stack.name and rule["CopyActions"] == copies
    assert ids["Selection"].endswith(ids["Plan"])
    changed = stack.deploy(**backup(stack.name, key, RuleName="weekly"))
    assert changed == ids
    now = client.get_backup_plan(BackupPlanId=ids["Plan"])
    assert now["VersionId"] != plan["VersionId"]
    assert now["BackupPlan"]["Rules"][0]["RuleName"] == "weekly"
    stack.delete()
    assert [one["BackupVaultName"] for one in client.list_backup_vaults()["BackupVaultList"]] == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"TargetBackupVault": "absent"}, "Backup vault absent does not exist"),
        (
            {"Lifecycle": {"MoveToColdStorageAfterDays": 30, "DeleteAfterDays": 35}},
            "cannot be less than 90 days",
        ),
        ({"trusted": "lambda"}, "cannot be assumed by AWS Backup"),
    ],
)
def test_a_backup_that_could_not_run_is_refused(server, stack, changed, reason):
    with pytest.raises(DeploymentFailed, match=reason):
        stack.deploy(**backup(stack.name, key_for(server, "backup.amazonaws.com"), **changed))


def test_queues(server, stack):
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": "*",
            }
        ],
    }

    def parts(**queue: Any) -> dict[str, Any]:
        return {
            "Queue": resource("AWS::SQS::Queue", **queue),
            "Policy": resource("AWS::SQS::QueuePolicy", Queues=[ref("Queue")], PolicyDocument=policy),
        }

    ids, sqs = stack.deploy(**parts(VisibilityTimeout=90, Tags=tags(a="b"))), server.client("sqs")
    shown = sqs.get_queue_attributes(QueueUrl=ids["Queue"], AttributeNames=["All"])["Attributes"]
    assert shown["VisibilityTimeout"] == "90" and json.loads(shown["Policy"]) == policy
    assert stack.deploy(**parts(MessageRetentionPeriod=3600)) == ids
    shown = sqs.get_queue_attributes(QueueUrl=ids["Queue"], AttributeNames=["All"])["Attributes"]
    assert (shown["VisibilityTimeout"], shown["MessageRetentionPeriod"]) == ("30", "3600")
    stack.delete()
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix=stack.name)


def trail(bucket: str, *statements: dict[str, Any]) -> dict[str, Any]:
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    return {
        "Bucket": resource("AWS::S3::Bucket", BucketName=bucket),
        "Policy": resource("AWS::S3::BucketPolicy", Bucket=ref("Bucket"), PolicyDocument=policy),
        "Trail": {
            **resource("AWS::CloudTrail::Trail", S3BucketName=ref("Bucket"), IsLogging=True),
            "DependsOn": "Policy",
        },
    }


def test_a_trail_needs_a_bucket_that_lets_it_write(server, stack):
    service = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}}
    looks = {**service, "Action": "s3:GetBucketAcl", "Resource": f"arn:aws:s3:::{stack.name}"}
    writes = {
        **service,
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{stack.name}/AWSLogs/{ACCOUNT}/*",
        "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}},
    }
    with pytest.raises(DeploymentFailed, match="Incorrect S3 bucket policy"):
        stack.deploy(**trail(stack.name, looks))
    stack.delete()
    ids = stack.deploy(**trail(stack.name, looks, writes))
    assert server.client("cloudtrail").get_trail_status(Name=ids["Trail"])["IsLogging"] is True
    stack.delete()
    assert server.client("cloudtrail").describe_trails()["trailList"] == []


def test_rules_of_the_event_bus(server, stack):
    def parts(**changed: Any) -> dict[str, Any]:
        given = {
            "EventPattern": {"source": ["aws.rds"]},
            "Targets": [{"Id": "t", "Arn": ref("Topic")}],
            "Tags": tags(a="b"),
        }
        return {
            "Topic": resource("AWS::SNS::Topic"),
            "Rule": resource("AWS::Events::Rule", **{**given, **changed}),
        }

    ids, events = stack.deploy(**parts()), server.client("events")
    rule = events.describe_rule(Name=ids["Rule"])
    assert json.loads(rule["EventPattern"]) == {"source": ["aws.rds"]} and rule["State"] == "ENABLED"
    [target] = events.list_targets_by_rule(Rule=ids["Rule"])["Targets"]
    assert target["Arn"] == ids["Topic"]
    assert stack.deploy(**parts(State="DISABLED", Targets=[])) == ids
    assert events.describe_rule(Name=ids["Rule"])["State"] == "DISABLED"
    assert events.list_targets_by_rule(Rule=ids["Rule"])["Targets"] == []
    stack.delete()
    assert events.list_rules(NamePrefix=stack.name)["Rules"] == []


def test_a_target_that_gets_nothing_here_is_refused(stack):
    target = {"Id": "t", "Arn": f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:m"}
    rule = resource("AWS::Events::Rule", EventPattern={"source": ["aws.rds"]}, Targets=[target])
    with pytest.raises(DeploymentFailed, match="the local cloud delivers to lambda, logs, sns, sqs"):
        stack.deploy(Rule=rule)
