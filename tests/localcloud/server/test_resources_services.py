"""Resources as their services show them: what a template says arrives, changes and goes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.localcloud.server.deploying import (
    ALLOW,
    DENY,
    OTHER_TRUST,
    TRUST,
    DeploymentFailed,
    gone,
    key_for,
    network,
    ref,
    resource,
    tags,
    tags_of,
)


def test_roles_and_policies(server, stack):
    def parts(**changed: Any) -> dict[str, Any]:
        role = {
            "AssumeRolePolicyDocument": TRUST,
            "Description": "before",
            "ManagedPolicyArns": [
                "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
                ref("Managed"),
            ],
            "Policies": [{"PolicyName": "inline", "PolicyDocument": ALLOW}],
            "Tags": tags(a="1", b="2"),
        }
        return {
            "Managed": resource("AWS::IAM::ManagedPolicy", PolicyDocument=ALLOW, Description="d"),
            "Boundary": resource("AWS::IAM::ManagedPolicy", PolicyDocument=ALLOW),
            "Role": resource("AWS::IAM::Role", **{**role, **changed}),
            "Attached": resource(
                "AWS::IAM::Policy", PolicyName="attached", PolicyDocument=ALLOW, Roles=[ref("Role")]
            ),
            "Profile": resource("AWS::IAM::InstanceProfile", Roles=[ref("Role")]),
        }

    ids, iam = stack.deploy(**parts()), server.client("iam")
    role = {"RoleName": ids["Role"]}
    assert iam.get_role(**role)["Role"]["AssumeRolePolicyDocument"] == TRUST
    attached = {one["PolicyArn"] for one in iam.list_attached_role_policies(**role)["AttachedPolicies"]}
    assert attached == {
        "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
        ids["Managed"],
    }
    assert set(iam.list_role_policies(**role)["PolicyNames"]) == {"inline", "attached"}
    [one] = iam.get_instance_profile(InstanceProfileName=ids["Profile"])["InstanceProfile"]["Roles"]
    assert one["RoleName"] == ids["Role"]

    changed = parts(
        AssumeRolePolicyDocument=OTHER_TRUST,
        Description="after",
        ManagedPolicyArns=[ref("Managed")],
        Policies=[{"PolicyName": "other", "PolicyDocument": DENY}],
        PermissionsBoundary=ref("Boundary"),
        Tags=tags(b="3"),
    )
    changed["Managed"]["Properties"]["PolicyDocument"] = DENY
    changed["Attached"]["Properties"]["PolicyDocument"] = DENY
    assert stack.deploy(**changed) == ids, "all of that happens in place"
    now = iam.get_role(**role)["Role"]
    assert now["AssumeRolePolicyDocument"] == OTHER_TRUST and now["Description"] == "after"
    assert now["PermissionsBoundary"]["PermissionsBoundaryArn"] == ids["Boundary"]
    assert tags_of(now) == {"b": "3"}
    assert [one["PolicyArn"] for one in iam.list_attached_role_policies(**role)["AttachedPolicies"]] == [
        ids["Managed"]
    ]
    assert set(iam.list_role_policies(**role)["PolicyNames"]) == {"other", "attached"}
    assert iam.get_role_policy(**role, PolicyName="attached")["PolicyDocument"] == DENY
    version = iam.get_policy(PolicyArn=ids["Managed"])["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=ids["Managed"], VersionId=version)["PolicyVersion"][
        "Document"
    ]
    assert document == DENY

    stack.delete()
    assert gone(iam.get_role, **role)
    assert gone(iam.get_policy, PolicyArn=ids["Managed"])
    assert gone(iam.get_instance_profile, InstanceProfileName=ids["Profile"])


def test_a_role_that_fails_half_way_leaves_nothing(server, stack):
    nowhere = resource(
        "AWS::IAM::Role",
        RoleName=f"role-{stack.name}",
        AssumeRolePolicyDocument=TRUST,
        ManagedPolicyArns=["arn:aws:iam::aws:policy/NoSuchPolicy"],
    )
    with pytest.raises(DeploymentFailed, match="NoSuchPolicy"):
        stack.deploy(Role=nowhere)
    assert gone(server.client("iam").get_role, RoleName=f"role-{stack.name}")


def test_buckets(server, stack):
    def parts(**changed: Any) -> dict[str, Any]:
        statement = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        return {
            "Bucket": resource("AWS::S3::Bucket", **changed),
            "Policy": resource(
                "AWS::S3::BucketPolicy",
                Bucket=ref("Bucket"),
                PolicyDocument={"Version": "2012-10-17", "Statement": [statement]},
            ),
        }

    block = dict.fromkeys(
        ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
    )
    rule = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"}}
    ids = stack.deploy(
        **parts(
            PublicAccessBlockConfiguration=block,
            VersioningConfiguration={"Status": "Enabled"},
            BucketEncryption={"ServerSideEncryptionConfiguration": [rule]},
            OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            Tags=tags(a="b"),
        )
    )
    s3, bucket = server.client("s3"), {"Bucket": ids["Bucket"]}
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    assert s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"] == block
    [encryption] = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert s3.get_bucket_tagging(**bucket)["TagSet"] == tags(a="b")
    assert "SecureTransport" in s3.get_bucket_policy(**bucket)["Policy"]
    [ownership] = s3.get_bucket_ownership_controls(**bucket)["OwnershipControls"]["Rules"]
    assert ownership["ObjectOwnership"] == "BucketOwnerEnforced"
    s3.put_object(**bucket, Key="k", Body=b"x")

    assert stack.deploy(**parts(VersioningConfiguration={"Status": "Suspended"})) == ids
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Suspended"
    assert gone(s3.get_public_access_block, **bucket)
    server.client("cloudformation").delete_stack(StackName=stack.name)
    assert any("not empty" in reason for reason in stack.reasons())
    for version in s3.list_object_versions(**bucket)["Versions"]:
        s3.delete_object(**bucket, Key="k", VersionId=version["VersionId"])
    stack.delete()
    assert gone(s3.head_bucket, **bucket)


OF_THE_ACCOUNT = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "kms:*",
            "Resource": "*",
            "Principal": {"AWS": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:root"}},
        }
    ],
}


def test_a_key_that_nobody_could_ever_change_again_is_refused(stack):
    locked = resource("AWS::KMS::Key", KeyPolicy=ALLOW)
    with pytest.raises(DeploymentFailed, match="will not allow you to update the key policy in the future"):
        stack.deploy(Key=locked)
    stack.delete()
    locked["Properties"]["BypassPolicyLockoutSafetyCheck"] = True
    stack.deploy(Key=locked)


def test_keys_and_aliases(server, stack):
    alias = f"alias/{stack.name}"

    def parts(**changed: Any) -> dict[str, Any]:
        key = {"KeyPolicy": {**OF_THE_ACCOUNT, "Id": "one"}, "EnableKeyRotation": True, "Tags": tags(a="b")}
        return {
            "Key": resource("AWS::KMS::Key", **{**key, **changed}),
            "Alias": resource("AWS::KMS::Alias", AliasName=alias, TargetKeyId={"Fn::GetAtt": ["Key", "Arn"]}),
        }

    ids, kms = stack.deploy(**parts()), server.client("kms")
    key = {"KeyId": ids["Key"]}
    assert kms.get_key_rotation_status(**key)["KeyRotationEnabled"] is True
    assert kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"] == ids["Key"]
    assert kms.list_resource_tags(**key)["Tags"] == [{"TagKey": "a", "TagValue": "b"}]
    changed = parts(
        KeyPolicy={**OF_THE_ACCOUNT, "Id": "two"},
        EnableKeyRotation=False,
        Description="now",
        Enabled=False,
        Tags=[],
    )
    assert stack.deploy(**changed) == ids
    assert json.loads(kms.get_key_policy(**key, PolicyName="default")["Policy"])["Id"] == "two"
    assert kms.get_key_rotation_status(**key)["KeyRotationEnabled"] is False
    described = kms.describe_key(**key)["KeyMetadata"]
    assert described["Description"] == "now" and described["Enabled"] is False
    assert kms.list_resource_tags(**key)["Tags"] == []
    stack.delete()
    assert kms.describe_key(**key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    assert gone(kms.describe_key, KeyId=alias)


def test_secrets(server, stack):
    def parts(description: str, **changed: Any) -> dict[str, Any]:
        generate = {
            "SecretStringTemplate": '{"username": "admin"}',
            "GenerateStringKey": "password",
            "PasswordLength": 30,
            "ExcludeCharacters": 'abc"@/\\',
            "ExcludePunctuation": True,
        }
        secret = {"Description": description, "GenerateSecretString": generate, "Tags": tags(a="b")}
        return {
            "Secret": resource("AWS::SecretsManager::Secret", **{**secret, **changed}),
            "Policy": resource(
                "AWS::SecretsManager::ResourcePolicy", SecretId=ref("Secret"), ResourcePolicy=DENY
            ),
        }

    ids, secrets = stack.deploy(**parts("one")), server.client("secretsmanager")
    secret = {"SecretId": ids["Secret"]}
    value = json.loads(secrets.get_secret_value(**secret)["SecretString"])
    assert value["username"] == "admin" and len(value["password"]) == 30
    assert not set(value["password"]) & set('abc"@/\\')
    assert json.loads(secrets.get_resource_policy(**secret)["ResourcePolicy"]) == DENY
    assert stack.deploy(**parts("two", KmsKeyId="k", Tags=tags(c="d"))) == ids
    described = secrets.describe_secret(**secret)
    assert (described["Description"], described["KmsKeyId"]) == ("two", "k")
    assert tags_of(described) == {"c": "d"}
    assert json.loads(secrets.get_secret_value(**secret)["SecretString"]) == value, "a value stays"
    stack.delete()
    assert gone(secrets.describe_secret, **secret)


def test_parameters(server, stack):
    ssm = server.client("ssm")
    wanted = {"Type": "String", "Name": f"/{stack.name}/p", "Value": "one", "Tags": {"a": "b"}}
    stack.deploy(P=resource("AWS::SSM::Parameter", **wanted))
    stack.deploy(P=resource("AWS::SSM::Parameter", **{**wanted, "Value": "two", "Tags": {"c": "d"}}))
    parameter = ssm.get_parameter(Name=wanted["Name"])["Parameter"]
    assert (parameter["Value"], parameter["Version"]) == ("two", 2)
    listed = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=wanted["Name"])["TagList"]
    assert listed == tags(c="d")
    stack.delete()
    assert gone(ssm.get_parameter, Name=wanted["Name"])


def test_logs(server, stack):
    def parts(**group: Any) -> dict[str, Any]:
        return {
            "Group": resource("AWS::Logs::LogGroup", **group),
            "Stream": resource("AWS::Logs::LogStream", LogGroupName=ref("Group"), LogStreamName="s"),
            "Filter": resource(
                "AWS::Logs::MetricFilter",
                LogGroupName=ref("Group"),
                FilterPattern="ERROR",
                MetricTransformations=[{"MetricName": "m", "MetricNamespace": "n", "MetricValue": "1"}],
            ),
            "Policy": resource(
                "AWS::Logs::ResourcePolicy", PolicyName=stack.name, PolicyDocument=json.dumps(ALLOW)
            ),
        }

    logs = server.client("logs")
    ids = stack.deploy(**parts(RetentionInDays=7, Tags=tags(a="b")))
    [group] = logs.describe_log_groups(logGroupNamePrefix=ids["Group"])["logGroups"]
    assert group["retentionInDays"] == 7
    assert logs.list_tags_log_group(logGroupName=ids["Group"])["tags"] == {"a": "b"}
    [metric] = logs.describe_metric_filters(logGroupName=ids["Group"])["metricFilters"]
    assert metric["filterPattern"] == "ERROR"
    key = key_for(server, "logs.us-east-1.amazonaws.com")
    assert stack.deploy(**parts(KmsKeyId=key)) == ids
    [group] = logs.describe_log_groups(logGroupNamePrefix=ids["Group"])["logGroups"]
    assert "retentionInDays" not in group and group["kmsKeyId"] == key
    assert logs.list_tags_log_group(logGroupName=ids["Group"])["tags"] == {}
    stack.delete()
    assert logs.describe_log_groups(logGroupNamePrefix=ids["Group"])["logGroups"] == []


def test_topics_subscriptions_and_alarms(server, stack):
    def parts(threshold: float, **topic: Any) -> dict[str, Any]:
        alarm = {
            "ComparisonOperator": "GreaterThanThreshold",
            "EvaluationPeriods": 3,
            "Threshold": threshold,
            "AlarmActions": [ref("Topic")],
            "TreatMissingData": "breaching",
        }
        return {
            "Topic": resource("AWS::SNS::Topic", **topic),
            "Subscription": resource(
                "AWS::SNS::Subscription", TopicArn=ref("Topic"), Protocol="email", Endpoint="a@example.com"
            ),
            "TopicPolicy": resource("AWS::SNS::TopicPolicy", Topics=[ref("Topic")], PolicyDocument=DENY),
            "Alarm": resource(
                "AWS::CloudWatch::Alarm",
                Namespace="AWS/RDS",
                MetricName="CPUUtilization",
                Period=60,
                Statistic="Average",
                Dimensions=[{"Name": "DBClusterIdentifier", "Value": "c"}],
                **alarm,
            ),
            "Math": resource(
                "AWS::CloudWatch::Alarm",
                Metrics=[
                    {"Id": "e", "Expression": "m * 2"},
                    {
                        "Id": "m",
                        "ReturnData": False,
                        "MetricStat": {
                            "Metric": {"Namespace": "n", "MetricName": "x"},
                            "Period": 60,
                            "Stat": "Sum",
                        },
                    },
                ],
                **alarm,
            ),
            "Any": resource("AWS::CloudWatch::CompositeAlarm", AlarmRule={"Fn::Sub": 'ALARM("${Alarm}")'}),
            "Board": resource("AWS::CloudWatch::Dashboard", DashboardBody='{"widgets": []}'),
        }

    ids = stack.deploy(**parts(80, DisplayName="before", Tags=tags(a="b")))
    sns, cloudwatch = server.client("sns"), server.client("cloudwatch")
    attributes = sns.get_topic_attributes(TopicArn=ids["Topic"])["Attributes"]
    assert attributes["DisplayName"] == "before" and json.loads(attributes["Policy"]) == DENY
    [subscription] = sns.list_subscriptions_by_topic(TopicArn=ids["Topic"])["Subscriptions"]
    assert subscription["Endpoint"] == "a@example.com"
    [alarm] = cloudwatch.describe_alarms(AlarmNames=[ids["Alarm"]])["MetricAlarms"]
    assert (alarm["Threshold"], alarm["AlarmActions"]) == (80.0, [ids["Topic"]])
    assert alarm["Dimensions"] == [{"Name": "DBClusterIdentifier", "Value": "c"}]
    [math] = cloudwatch.describe_alarms(AlarmNames=[ids["Math"]])["MetricAlarms"]
    assert [one["Id"] for one in math["Metrics"]] == ["e", "m"]
    assert cloudwatch.get_dashboard(DashboardName=ids["Board"])["DashboardBody"] == '{"widgets": []}'

    assert stack.deploy(**parts(90, DisplayName="after")) == ids
    assert sns.get_topic_attributes(TopicArn=ids["Topic"])["Attributes"]["DisplayName"] == "after"
    assert sns.list_tags_for_resource(ResourceArn=ids["Topic"])["Tags"] == []
    assert cloudwatch.describe_alarms(AlarmNames=[ids["Alarm"]])["MetricAlarms"][0]["Threshold"] == 90.0
    stack.delete()
    assert gone(sns.get_topic_attributes, TopicArn=ids["Topic"])
    assert cloudwatch.describe_alarms(AlarmNames=[ids["Alarm"], ids["Math"]])["MetricAlarms"] == []


def test_repositories(server, stack):
    def parts(**changed: Any) -> dict[str, Any]:
        return {"Repository": resource("AWS::ECR::Repository", **changed)}

    lifecycle = {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1},
                "action": {"type": "expire"},
            }
        ]
    }
    ids = stack.deploy(
        **parts(
            ImageTagMutability="IMMUTABLE",
            LifecyclePolicy={"LifecyclePolicyText": json.dumps(lifecycle)},
            RepositoryPolicyText=ALLOW,
        )
    )
    ecr, repository = server.client("ecr"), {"repositoryName": ids["Repository"]}
    [described] = ecr.describe_repositories(repositoryNames=[ids["Repository"]])["repositories"]
    assert described["imageTagMutability"] == "IMMUTABLE"
    assert json.loads(ecr.get_lifecycle_policy(**repository)["lifecyclePolicyText"]) == lifecycle
    assert stack.deploy(**parts(ImageTagMutability="MUTABLE")) == ids
    assert gone(ecr.get_lifecycle_policy, **repository)
    assert gone(ecr.get_repository_policy, **repository)
    stack.delete()
    assert gone(ecr.describe_repositories, repositoryNames=[ids["Repository"]])


def test_what_is_gone_already_is_deleted(server, stack):
    ids = stack.deploy(
        **network(
            Group=resource("AWS::EC2::SecurityGroup", GroupDescription="g", VpcId=ref("Vpc")),
            Role=resource("AWS::IAM::Role", AssumeRolePolicyDocument=TRUST),
            Bucket=resource("AWS::S3::Bucket"),
            Logs=resource("AWS::Logs::LogGroup"),
            Topic=resource("AWS::SNS::Topic"),
            Secret=resource("AWS::SecretsManager::Secret"),
            Parameter=resource("AWS::SSM::Parameter", Type="String", Value="x"),
        )
    )
    server.client("ec2").delete_security_group(GroupId=ids["Group"])
    server.client("ec2").delete_subnet(SubnetId=ids["Subnet"])
    server.client("iam").delete_role(RoleName=ids["Role"])
    server.client("s3").delete_bucket(Bucket=ids["Bucket"])
    server.client("logs").delete_log_group(logGroupName=ids["Logs"])
    server.client("sns").delete_topic(TopicArn=ids["Topic"])
    server.client("secretsmanager").delete_secret(SecretId=ids["Secret"], ForceDeleteWithoutRecovery=True)
    server.client("ssm").delete_parameter(Name=ids["Parameter"])
    stack.delete()


def test_a_property_without_a_handler_for_it_fails_by_name(server, stack):
    with pytest.raises(
        DeploymentFailed, match="AWS::EC2::VPC: the local cloud does not implement Ipv4IpamPoolId"
    ):
        stack.deploy(Vpc=resource("AWS::EC2::VPC", CidrBlock="10.9.0.0/16", Ipv4IpamPoolId="ipam"))
