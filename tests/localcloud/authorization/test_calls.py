"""Calls of functions are allowed and denied as on AWS, in each service's protocol, code and words."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest

from tests.localcloud.authorization.conftest import Ask, allow, call, deny, policy
from tests.localcloud.server.machine import Machine

ACCOUNT, REGION = "123456789012", "us-east-1"


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def denial(action: str, on: str, why: str = "") -> str:
    reason = why or f"because no identity-based policy allows the {action} action"
    return f"is not authorized to perform: {action} on resource: {on} {reason}"


# A call, the error's code, and the resource that it names; one for each protocol.
PROTOCOLS = [
    (call("secretsmanager", "get_secret_value", SecretId="none"), "AccessDeniedException", "none"),
    (call("sns", "publish", TopicArn=arn("sns", "t"), Message="m"), "AuthorizationError", arn("sns", "t")),
    (
        call("sts", "assume_role", RoleArn=f"arn:aws:iam::{ACCOUNT}:role/r", RoleSessionName="session"),
        "AccessDenied",
        "",
    ),
    (call("ec2", "describe_vpcs"), "UnauthorizedOperation", "*"),
    (
        call("lambda", "invoke", FunctionName="f"),
        "AccessDeniedException",
        arn("lambda", "function:f"),
    ),
    (call("s3", "get_object", Bucket="b", Key="k/x"), "AccessDenied", '"arn:aws:s3:::b/k/x"'),
    (call("s3", "list_objects_v2", Bucket="b"), "AccessDenied", '"arn:aws:s3:::b"'),
    (call("rds", "describe_db_clusters", DBClusterIdentifier="c"), "AccessDenied", arn("rds", "cluster:c")),
    (
        call("dynamodb", "get_item", TableName="t", Key={}),
        "AccessDeniedException",
        arn("dynamodb", "table/t"),
    ),
    (call("logs", "describe_log_streams", logGroupName="g"), "AccessDeniedException", "log-group:g"),
    (call("kms", "encrypt", KeyId="1", Plaintext="p"), "AccessDeniedException", arn("kms", "key/1")),
]


def test_each_protocol_carries_the_code_and_the_words(ask: Ask) -> None:
    answers = ask([], *(one for one, _, _ in PROTOCOLS))
    for (asked, code, resource), answer in zip(PROTOCOLS, answers, strict=True):
        assert answer.startswith(f"{code}: "), asked
        assert re.search(r"User: arn:aws:sts::\d+:assumed-role/[\w-]+/[\w-]+ is not authorized", answer), (
            asked
        )
        assert f"on resource: {resource}" in answer or resource in answer, asked


@pytest.fixture(scope="module")
def secret(server: Machine) -> str:
    created = server.client("secretsmanager").create_secret(Name=f"s{uuid.uuid4().hex}", SecretString="x")
    return str(created["ARN"])


@pytest.fixture(scope="module")
def bucket(server: Machine) -> str:
    name = f"b{uuid.uuid4().hex}"
    s3 = server.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="in/one", Body=b"1")
    return name


READ = "secretsmanager:GetSecretValue"


def test_exact_arns_are_told_apart(ask: Ask, secret: str) -> None:
    read = call("secretsmanager", "get_secret_value", SecretId=secret)
    by_name = call("secretsmanager", "get_secret_value", SecretId=secret.split(":")[-1][:-7])
    assert ask([allow(READ, secret)], read, by_name) == ["ok", "ok"]
    [answer] = ask([allow(READ, f"{secret[:-1]}?x")], read)
    assert denial(READ, secret) in answer


def test_a_deny_outweighs_and_conditions_decide(ask: Ask, secret: str) -> None:
    read = call("secretsmanager", "get_secret_value", SecretId=secret)
    [answer] = ask([allow(READ), deny(READ, secret)], read)
    assert denial(READ, secret, "with an explicit deny in an identity-based policy") in answer
    current = {"StringEquals": {"secretsmanager:VersionStage": "AWSPREVIOUS"}}
    [answer] = ask([allow(READ, Condition=current)], read)
    assert denial(READ, secret) in answer
    here = {"StringEquals": {"aws:RequestedRegion": REGION, "aws:PrincipalAccount": ACCOUNT}}
    assert ask([allow(READ, Condition=here)], read) == ["ok"]


def test_a_boundary_limits(ask: Ask, server: Machine, secret: str) -> None:
    boundary = server.client("iam").create_policy(
        PolicyName=f"p{uuid.uuid4().hex}", PolicyDocument=json.dumps(policy(allow("ssm:*")))
    )["Policy"]["Arn"]
    read = call("secretsmanager", "get_secret_value", SecretId=secret)
    [answer] = ask([allow("*")], read, role={"PermissionsBoundary": boundary})
    assert denial(READ, secret, f"because no permissions boundary allows the {READ} action") in answer


def test_managed_policies_count(ask: Ask) -> None:
    managed = {"ManagedPolicyArns": ["arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"]}
    assert ask([], call("ec2", "describe_vpcs"), role=managed) == ["ok"]


def test_a_secrets_policy_grants_and_denies(ask: Ask, server: Machine, secret: str) -> None:
    client = server.client("secretsmanager")
    read = call("secretsmanager", "get_secret_value", SecretId=secret)

    def with_policy(statement: dict[str, Any]) -> str:
        client.put_resource_policy(SecretId=secret, ResourcePolicy=json.dumps(policy(statement)))
        try:
            [answer] = ask([allow("ssm:*")] if statement["Effect"] == "Allow" else [allow(READ)], read)
        finally:
            client.delete_resource_policy(SecretId=secret)
        return answer

    assert with_policy({**allow(READ), "Principal": "*"}) == "ok"
    assert denial(READ, secret) in with_policy({**allow(READ), "Principal": {"AWS": ACCOUNT}})
    refused = with_policy({**deny(READ), "Principal": "*"})
    assert denial(READ, secret, "with an explicit deny in a resource-based policy") in refused


def test_a_bucket_policy_with_a_condition_decides(ask: Ask, server: Machine, bucket: str) -> None:
    objects = f"arn:aws:s3:::{bucket}/in/*"
    reading = call("s3", "get_object", Bucket=bucket, Key="in/one")
    listing = call("s3", "list_objects_v2", Bucket=bucket, Prefix="in/")
    other = call("s3", "list_objects_v2", Bucket=bucket)
    by_prefix = {"StringLike": {"s3:prefix": "in/*"}}
    rights = [
        allow("s3:GetObject", objects),
        allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", Condition=by_prefix),
    ]
    answers = ask(rights, reading, listing, other)
    assert answers[:2] == ["ok", "ok"]
    assert denial("s3:ListBucket", f'"arn:aws:s3:::{bucket}"') in answers[2]
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    document = policy({**deny("s3:*", objects, Condition=insecure), "Principal": "*"})
    server.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    assert ask(rights, reading) == ["ok"]
    document = policy({**deny("s3:GetObject", objects), "Principal": "*"})
    server.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    [answer] = ask(rights, reading)
    assert "with an explicit deny in a resource-based policy" in answer
    server.client("s3").delete_bucket_policy(Bucket=bucket)


def key_for(server: Machine, *statements: dict[str, Any]) -> str:
    administer = {**allow("kms:*"), "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/admin"}}
    created = server.client("kms").create_key(Policy=json.dumps(policy(administer, *statements)))
    return str(created["KeyMetadata"]["Arn"])


def test_a_secret_under_a_customers_key_needs_the_key(ask: Ask, server: Machine) -> None:
    delegating = {**allow("kms:*"), "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    key = key_for(server, delegating)
    own = key_for(server)
    client = server.client("secretsmanager")
    shared, closed = (
        client.create_secret(Name=f"k{uuid.uuid4().hex}", SecretString="x", KmsKeyId=one)["ARN"]
        for one in (key, own)
    )
    via = {"StringEquals": {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}}
    read, read_closed = (call("secretsmanager", "get_secret_value", SecretId=one) for one in (shared, closed))
    kms_denied = "AccessDeniedException: An error occurred (AccessDeniedException) when calling the"
    [without] = ask([allow(READ)], read)
    assert without.startswith(kms_denied) and without.endswith("Access to KMS is not allowed")
    rights = [allow(READ), allow("kms:Decrypt", Condition=via)]
    answers = ask(rights, read, read_closed, call("kms", "decrypt", KeyId=key, CiphertextBlob="x"))
    assert answers[0] == "ok"
    assert answers[1].endswith("Access to KMS is not allowed")  # that key's policy names nobody's account
    assert denial("kms:Decrypt", key) in answers[2]  # not by itself: the right is for Secrets Manager's use


def test_a_role_is_assumed_where_its_trust_policy_says_so_and_acts_with_its_own_rights(
    ask: Ask, server: Machine, secret: str
) -> None:
    def role_trusting(principal: dict[str, Any], **more: Any) -> str:
        trust = policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more})
        name = f"r{uuid.uuid4().hex}"
        iam = server.client("iam")
        created = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy(allow(READ))))
        return str(created)

    account = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    trusted, closed = role_trusting(account), role_trusting({"Service": "ec2.amazonaws.com"})
    other = {"Condition": {"StringEquals": {"sts:ExternalId": "known"}}}
    with_id = role_trusting(account, **other)
    take = [allow("sts:AssumeRole")]
    answers = ask(
        take,
        call("session", "", RoleArn=closed),
        call("session", "", RoleArn=with_id),
        call("session", "", RoleArn=with_id, ExternalId="known"),
        call("session", "", RoleArn=trusted),
        call("secretsmanager", "get_secret_value", SecretId=secret),
        call("ssm", "get_parameter", Name="/x"),
    )
    assert (
        denial("sts:AssumeRole", closed, "because no role trust policy allows the sts:AssumeRole action")
        in answers[0]
    )
    assert "because no role trust policy allows" in answers[1]
    assert answers[2:5] == ["ok", "ok", "ok"]
    assert (
        f"assumed-role/{trusted.split('/')[-1]}/other is not authorized to perform: ssm:GetParameter"
        in answers[5]
    )
    limited = json.dumps(policy(allow("ssm:*")))
    answers = ask(
        take,
        call("session", "", RoleArn=trusted, Policy=limited),
        call("secretsmanager", "get_secret_value", SecretId=secret),
    )
    assert denial(READ, secret, f"because no session policy allows the {READ} action") in answers[1]


def test_what_the_local_cloud_cannot_judge_is_its_own_refusal(ask: Ask) -> None:
    [answer] = ask([allow("*")], call("ec2", "terminate_instances", InstanceIds=["i-1"]))
    assert "The local cloud cannot tell which" in answer and "`--without iam`" in answer


def test_who_runs_the_cloud_and_roles_that_they_assume_pass(server: Machine, secret: str) -> None:
    iam, name = server.client("iam"), f"r{uuid.uuid4().hex}"
    trust = policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    given = server.client("sts").assume_role(RoleArn=role, RoleSessionName="cli")["Credentials"]
    import boto3

    session = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], REGION)
    client = session.client("secretsmanager", endpoint_url=server.variables()["AWS_ENDPOINT_URL"])
    assert client.get_secret_value(SecretId=secret)["SecretString"] == "x"
