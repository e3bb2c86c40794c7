"""What a call is about: the action, the ARN, and what conditions can ask of it."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.authorization.api_calls import ApiCall, Unmapped
from localcloud.authorization.targets import targets_of

ACCOUNT, REGION = "123456789012", "eu-west-1"


def call(service: str, operation: str, **parameters: Any) -> ApiCall:
    return ApiCall(service, operation, parameters, ACCOUNT, REGION)


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


# The page is the service's in the Service Authorization Reference, or the one named.
CASES = [
    # Secrets Manager
    (
        call("secretsmanager", "CreateSecret", Name="shop/admin"),
        [("secretsmanager:CreateSecret", arn("secretsmanager", "secret:shop/admin-??????"))],
    ),
    (
        call("secretsmanager", "GetSecretValue", SecretId="missing"),
        [("secretsmanager:GetSecretValue", "missing")],
    ),
    (call("secretsmanager", "ListSecrets"), [("secretsmanager:ListSecrets", "*")]),
    (call("secretsmanager", "GetRandomPassword"), [("secretsmanager:GetRandomPassword", "*")]),
    # Lambda
    (
        call("lambda", "Invoke", FunctionName="smoke"),
        [("lambda:InvokeFunction", arn("lambda", "function:smoke"))],
    ),
    (
        call("lambda", "Invoke", FunctionName=arn("lambda", "function:smoke:live")),
        [("lambda:InvokeFunction", arn("lambda", "function:smoke:live"))],
    ),
    (
        call("lambda", "Invoke", FunctionName="123456789012:function:smoke", Qualifier="7"),
        [("lambda:InvokeFunction", arn("lambda", "function:smoke:7"))],
    ),
    # CloudWatch Logs
    (
        call("logs", "PutLogEvents", logGroupName="/aws/lambda/f", logStreamName="s"),
        [("logs:PutLogEvents", arn("logs", "log-group:/aws/lambda/f:log-stream:s"))],
    ),
    # SSM
    (
        call("ssm", "GetParameters", Names=["/a", "b"]),
        [("ssm:GetParameters", arn("ssm", "parameter/a")), ("ssm:GetParameters", arn("ssm", "parameter/b"))],
    ),
    (
        call("ssm", "GetParametersByPath", Path="/shop/"),
        [("ssm:GetParametersByPath", arn("ssm", "parameter/shop/"))],
    ),
    # KMS
    (
        call("kms", "Decrypt", KeyId="1234"),
        [("kms:Decrypt", arn("kms", "key/1234"))],
    ),
    (
        call("kms", "ReEncrypt", SourceKeyId="1", DestinationKeyId="2"),
        [("kms:ReEncryptFrom", arn("kms", "key/1")), ("kms:ReEncryptTo", arn("kms", "key/2"))],
    ),
    (call("kms", "ListKeys"), [("kms:ListKeys", "*")]),
    # SNS, SQS
    (
        call("sns", "Publish", TopicArn=arn("sns", "alarms")),
        [("sns:Publish", arn("sns", "alarms"))],
    ),
    (call("sns", "PublishBatch", TopicArn=arn("sns", "a")), [("sns:Publish", arn("sns", "a"))]),
    (call("sns", "Publish", PhoneNumber="+15550100"), [("sns:Publish", "+15550100")]),
    (
        call("sqs", "SendMessageBatch", QueueUrl=f"http://localhost/{ACCOUNT}/orders"),
        [("sqs:SendMessage", arn("sqs", "orders"))],
    ),
    (call("sqs", "GetQueueUrl", QueueName="orders"), [("sqs:GetQueueUrl", arn("sqs", "orders"))]),
    # DynamoDB
    (call("dynamodb", "PutItem", TableName="t"), [("dynamodb:PutItem", arn("dynamodb", "table/t"))]),
    (
        call("dynamodb", "Query", TableName="t", IndexName="i"),
        [("dynamodb:Query", arn("dynamodb", "table/t/index/i"))],
    ),
    (
        call("dynamodb", "BatchGetItem", RequestItems={"a": {}, "b": {}}),
        [
            ("dynamodb:BatchGetItem", arn("dynamodb", "table/a")),
            ("dynamodb:BatchGetItem", arn("dynamodb", "table/b")),
        ],
    ),
    (
        call(
            "dynamodb",
            "TransactWriteItems",
            TransactItems=[{"Put": {"TableName": "a"}}, {"ConditionCheck": {"TableName": "b"}}],
        ),
        [
            ("dynamodb:PutItem", arn("dynamodb", "table/a")),
            ("dynamodb:ConditionCheckItem", arn("dynamodb", "table/b")),
        ],
    ),
    # RDS
    (
        call("rds", "ModifyDBCluster", DBClusterIdentifier="shop"),
        [("rds:ModifyDBCluster", arn("rds", "cluster:shop"))],
    ),
    (
        call("rds", "DescribeDBInstances", DBInstanceIdentifier="writer"),
        [("rds:DescribeDBInstances", arn("rds", "db:writer"))],
    ),
    # IAM, CloudFormation, EventBridge
    (call("iam", "GetRole", RoleName="r"), [("iam:GetRole", f"arn:aws:iam::{ACCOUNT}:role/r")]),
    (
        call("cloudformation", "DescribeStacks", StackName="shop"),
        [("cloudformation:DescribeStacks", arn("cloudformation", "stack/shop/*"))],
    ),
    (
        call("events", "PutEvents", Entries=[{}, {"EventBusName": "own"}]),
        [
            ("events:PutEvents", arn("events", "event-bus/default")),
            ("events:PutEvents", arn("events", "event-bus/own")),
        ],
    ),
    # EC2: by the reference alone
    (
        call("ec2", "RevokeSecurityGroupEgress", GroupId="sg-1"),
        [("ec2:RevokeSecurityGroupEgress", arn("ec2", "security-group/sg-1"))],
    ),
    (call("ec2", "DescribeVpcs"), [("ec2:DescribeVpcs", "*")]),
    # STS
    (
        call("sts", "AssumeRole", RoleArn=f"arn:aws:iam::{ACCOUNT}:role/other", RoleSessionName="s"),
        [("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/other")],
    ),
]


@pytest.mark.parametrize(
    ("asked", "expected"),
    CASES,
    ids=[f"{one.service}:{one.operation}-{n}" for n, (one, _) in enumerate(CASES)],
)
def test_a_call_is_about(asked: ApiCall, expected: list[tuple[str, str]]) -> None:
    assert [(target.action, target.arn) for target in targets_of(asked)] == expected


def test_an_external_id_and_a_session_name_can_be_asked_for() -> None:
    [target] = targets_of(
        call(
            "sts", "AssumeRole", RoleArn=f"arn:aws:iam::{ACCOUNT}:role/x", RoleSessionName="s", ExternalId="e"
        )
    )
    assert target.context == {"sts:RoleSessionName": "s", "sts:ExternalId": "e"}
    assert target.policy_decides


def test_a_version_stage_can_be_asked_for() -> None:
    [target] = targets_of(call("secretsmanager", "GetSecretValue", SecretId="a", VersionStage="AWSPENDING"))
    assert target.context["secretsmanager:VersionStage"] == "AWSPENDING"


@pytest.mark.parametrize(
    "asked",
    [call("lambda", "NoSuchOperation"), call("ec2", "TerminateInstances", InstanceIds=["i-1"])],
)
def test_what_cannot_be_told_is_said_and_not_let_through(asked: ApiCall) -> None:
    with pytest.raises(Unmapped):
        targets_of(asked)
