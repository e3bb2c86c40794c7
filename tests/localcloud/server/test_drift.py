"""What somebody changes past a template, by a service's own API, is drift.

That what is deployed is none, deploy() itself holds every test of this folder to.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.server.deploying import ALLOW, DENY, TRUST, network, ref, resource, tags


def test_a_bucket_and_its_policy(server, stack):
    block = dict.fromkeys(
        ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
    )
    default = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    policy = {"Version": "2012-10-17", "Statement": [{**DENY["Statement"][0], "Principal": "*"}]}
    ids = stack.deploy(
        Bucket=resource(
            "AWS::S3::Bucket",
            BucketEncryption={"ServerSideEncryptionConfiguration": [default]},
            PublicAccessBlockConfiguration=block,
            VersioningConfiguration={"Status": "Enabled"},
            Tags=tags(a="1"),
        ),
        Policy=resource("AWS::S3::BucketPolicy", Bucket=ref("Bucket"), PolicyDocument=policy),
    )
    s3, bucket = server.client("s3"), {"Bucket": ids["Bucket"]}
    s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Suspended"})
    assert stack.drift() == ["Bucket NOT_EQUAL /VersioningConfiguration/Status"]
    s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_public_access_block(
        **bucket, PublicAccessBlockConfiguration={**block, "RestrictPublicBuckets": False}
    )
    assert stack.drift() == ["Bucket NOT_EQUAL /PublicAccessBlockConfiguration/RestrictPublicBuckets"]
    s3.delete_public_access_block(**bucket)
    assert stack.drift() == ["Bucket REMOVE /PublicAccessBlockConfiguration"]
    s3.put_public_access_block(**bucket, PublicAccessBlockConfiguration=block)
    s3.put_bucket_tagging(**bucket, Tagging={"TagSet": tags(a="2", b="3")})
    s3.delete_bucket_encryption(**bucket)
    s3.delete_bucket_policy(**bucket)
    assert sorted(stack.drift()) == [
        "Bucket ADD /Tags/1", "Bucket NOT_EQUAL /Tags/0/Value", "Bucket REMOVE /BucketEncryption",
        "Policy DELETED",
    ]  # fmt: skip


def test_keys_and_secrets_that_wait_for_their_deletion_are_gone(server, stack):
    ids = stack.deploy(
        Key=resource("AWS::KMS::Key", EnableKeyRotation=True),
        Other=resource("AWS::KMS::Key", Description="other"),
        Alias=resource("AWS::KMS::Alias", AliasName=f"alias/{stack.name}", TargetKeyId=ref("Key")),
        Secret=resource("AWS::SecretsManager::Secret", SecretString="not to be compared"),
        Policy=resource(
            "AWS::SecretsManager::ResourcePolicy",
            SecretId=ref("Secret"),
            ResourcePolicy={**DENY, "Statement": [{**DENY["Statement"][0], "Principal": "*"}]},
        ),
    )
    kms, secrets = server.client("kms"), server.client("secretsmanager")
    secrets.put_secret_value(SecretId=ids["Secret"], SecretString="something else")
    assert stack.drift() == [], "no value of a secret is compared"
    kms.update_alias(AliasName=ids["Alias"], TargetKeyId=ids["Other"])
    assert stack.drift() == ["Alias NOT_EQUAL /TargetKeyId"]
    kms.update_alias(AliasName=ids["Alias"], TargetKeyId=ids["Key"])
    secrets.delete_resource_policy(SecretId=ids["Secret"])
    assert stack.drift() == ["Policy DELETED"]
    kms.schedule_key_deletion(KeyId=ids["Key"])
    secrets.delete_secret(SecretId=ids["Secret"])
    assert set(stack.drift()) >= {"Key DELETED", "Secret DELETED"}


def test_roles_managed_policies_topics_and_queues(server, stack):
    ids = stack.deploy(
        Managed=resource("AWS::IAM::ManagedPolicy", PolicyDocument=ALLOW, Roles=[ref("Role")]),
        Role=resource(
            "AWS::IAM::Role",
            AssumeRolePolicyDocument=TRUST,
            ManagedPolicyArns=["arn:aws:iam::aws:policy/ReadOnlyAccess"],
            Policies=[{"PolicyName": "own", "PolicyDocument": ALLOW}],
        ),
        Attached=resource("AWS::IAM::Policy", PolicyName="more", PolicyDocument=ALLOW, Roles=[ref("Role")]),
        Topic=resource("AWS::SNS::Topic", DisplayName="d"),
        Queue=resource("AWS::SQS::Queue", VisibilityTimeout=60),
        Told=resource(
            "AWS::SNS::Subscription",
            TopicArn=ref("Topic"),
            Protocol="sqs",
            Endpoint={"Fn::GetAtt": ["Queue", "Arn"]},
            RawMessageDelivery=True,
        ),
    )
    iam, role = server.client("iam"), {"RoleName": ids["Role"]}
    iam.attach_role_policy(**role, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    assert stack.drift() == ["Role ADD /ManagedPolicyArns/1"]
    iam.detach_role_policy(**role, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    iam.create_policy_version(PolicyArn=ids["Managed"], PolicyDocument=json.dumps(DENY), SetAsDefault=True)
    iam.put_role_policy(**role, PolicyName="own", PolicyDocument=json.dumps(DENY))
    changed = "PolicyDocument/Statement/0"
    assert sorted(stack.drift()) == [
        f"Managed NOT_EQUAL /{changed}/Action", f"Managed NOT_EQUAL /{changed}/Effect",
        f"Role NOT_EQUAL /Policies/0/{changed}/Action", f"Role NOT_EQUAL /Policies/0/{changed}/Effect",
    ]  # fmt: skip
    iam.delete_role_policy(**role, PolicyName="own")
    assert "Role REMOVE /Policies/0" in stack.drift()
    server.client("sqs").set_queue_attributes(QueueUrl=ids["Queue"], Attributes={"VisibilityTimeout": "1"})
    server.client("sns").set_subscription_attributes(
        SubscriptionArn=ids["Told"], AttributeName="RawMessageDelivery", AttributeValue="false"
    )
    assert {"Queue NOT_EQUAL /VisibilityTimeout", "Told NOT_EQUAL /RawMessageDelivery"} <= set(stack.drift())
    server.client("sns").unsubscribe(SubscriptionArn=ids["Told"])
    assert "Told DELETED" in stack.drift()


def rule(port: int, **more: Any) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **more}


def test_networks_and_their_rules(server, stack):
    ids = stack.deploy(
        **network(
            Group=resource(
                "AWS::EC2::SecurityGroup",
                GroupDescription="d",
                VpcId=ref("Vpc"),
                SecurityGroupIngress=[rule(1, CidrIp="10.0.0.0/8"), rule(2, CidrIp="10.0.0.0/8")],
                SecurityGroupEgress=[rule(443, CidrIp="0.0.0.0/0", Description="out")],
            ),
            Rule=resource(
                "AWS::EC2::SecurityGroupIngress",
                GroupId=ref("Group"),
                SourceSecurityGroupId=ref("Group"),
                **rule(3),
            ),
            Table=resource("AWS::EC2::RouteTable", VpcId=ref("Vpc")),
            Follows=resource(
                "AWS::EC2::SubnetRouteTableAssociation", RouteTableId=ref("Table"), SubnetId=ref("Subnet")
            ),
            Gateway=resource(
                "AWS::EC2::VPCEndpoint",
                VpcId=ref("Vpc"),
                ServiceName="com.amazonaws.us-east-1.s3",
                RouteTableIds=[ref("Table")],
            ),
        )
    )
    ec2, group = server.client("ec2"), {"GroupId": ids["Group"]}
    ec2.revoke_security_group_ingress(**group, IpPermissions=[rule(1, IpRanges=[{"CidrIp": "10.0.0.0/8"}])])
    assert stack.drift() == ["Group REMOVE /SecurityGroupIngress/0"]
    ec2.authorize_security_group_ingress(**group, IpPermissions=[rule(1, IpRanges=[{"CidrIp": "0.0.0.0/0"}])])
    assert stack.drift() == ["Group REMOVE /SecurityGroupIngress/0", "Group ADD /SecurityGroupIngress/1"]
    ec2.revoke_security_group_ingress(**group, SecurityGroupRuleIds=[ids["Rule"]])
    assert "Rule DELETED" in stack.drift()
    ec2.modify_vpc_attribute(VpcId=ids["Vpc"], EnableDnsHostnames={"Value": False})
    ec2.modify_vpc_endpoint(VpcEndpointId=ids["Gateway"], RemoveRouteTableIds=[ids["Table"]])
    ec2.disassociate_route_table(AssociationId=ids["Follows"])
    ec2.create_tags(Resources=[ids["Subnet"]], Tags=tags(Name="private"))
    assert set(stack.drift()) >= {
        "Vpc NOT_EQUAL /EnableDnsHostnames", "Gateway REMOVE /RouteTableIds/0", "Follows DELETED",
        "Subnet NOT_EQUAL /Tags/0/Value",
    }  # fmt: skip


def test_the_api_answers_as_cloudformations(server, stack):
    ids = stack.deploy(
        Parameter=resource("AWS::SSM::Parameter", Type="String", Value="1"),
        Log=resource("AWS::Logs::LogGroup", RetentionInDays=7),
        Policy=resource("AWS::SNS::TopicPolicy", PolicyDocument=ALLOW, Topics=[]),
    )
    client, named = server.client("cloudformation"), {"StackName": stack.name}
    server.client("ssm").put_parameter(Name=ids["Parameter"], Value="2", Overwrite=True)
    one = client.detect_stack_resource_drift(**named, LogicalResourceId="Parameter")["StackResourceDrift"]
    assert one["StackResourceDriftStatus"] == "MODIFIED"
    assert one["PropertyDifferences"] == [
        {"PropertyPath": "/Value", "ExpectedValue": "1", "ActualValue": "2", "DifferenceType": "NOT_EQUAL"}
    ]
    assert json.loads(one["ExpectedProperties"]) == {"Type": "String", "Value": "1"}
    assert json.loads(one["ActualProperties"]) == {"Type": "String", "Value": "2"}

    detection = client.detect_stack_drift(**named)["StackDriftDetectionId"]
    status = client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
    told = {"DetectionStatus": "DETECTION_COMPLETE", "StackDriftStatus": "DRIFTED"}
    assert {name: status[name] for name in told} == told
    assert (status["DriftedStackResourceCount"], status["StackId"].split("/")[1]) == (1, stack.name)
    [described] = client.describe_stacks(**named)["Stacks"]
    assert described["DriftInformation"]["StackDriftStatus"] == "DRIFTED"
    assert described["DriftInformation"]["LastCheckTimestamp"] == status["Timestamp"]
    for found in (
        client.list_stack_resources(**named)["StackResourceSummaries"],
        client.describe_stack_resources(**named)["StackResources"],
    ):
        by_name = {
            one["LogicalResourceId"]: one["DriftInformation"]["StackResourceDriftStatus"] for one in found
        }
        assert by_name == {"Parameter": "MODIFIED", "Log": "IN_SYNC", "Policy": "NOT_CHECKED"}

    first = client.describe_stack_resource_drifts(**named, MaxResults=1)
    second = client.describe_stack_resource_drifts(**named, MaxResults=1, NextToken=first["NextToken"])
    assert "NextToken" not in second
    names = {page["StackResourceDrifts"][0]["LogicalResourceId"] for page in (first, second)}
    assert names == {"Parameter", "Log"}
    filtered = client.describe_stack_resource_drifts(**named, StackResourceDriftStatusFilters=["IN_SYNC"])
    assert [one["LogicalResourceId"] for one in filtered["StackResourceDrifts"]] == ["Log"]


def test_what_cannot_be_detected_is_refused(server, stack):
    stack.deploy(Policy=resource("AWS::SNS::TopicPolicy", PolicyDocument=ALLOW, Topics=[]))
    client, named = server.client("cloudformation"), {"StackName": stack.name}
    for operation, given, words in (
        (client.detect_stack_drift, {"StackName": "nowhere"}, "Stack with id nowhere does not exist"),
        (client.describe_stack_drift_detection_status, {"StackDriftDetectionId": "none"}, "does not exist"),
        (client.detect_stack_resource_drift, {**named, "LogicalResourceId": "Policy"}, "not supported"),
        (client.detect_stack_drift, {**named, "LogicalResourceIds": ["None"]}, "None does not exist"),
        (client.describe_stack_resource_drifts, {**named, "NextToken": "x"}, "invalid"),
    ):
        with pytest.raises(ClientError, match=f"ValidationError.*{words}"):
            operation(**given)
