"""What all roles, keys and groups have in common. That each right is needed is tried in tests/deploy."""

from __future__ import annotations

import json

from tests.stacks.synthesized import as_list, referred

BEFORE_THE_INTERFACE = (
    "Lambda asks for it when the function is made, before its network interface exists: "
    "https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions"
)
ON_EVERY_RESOURCE = {
    "ec2:AssignPrivateIpAddresses": BEFORE_THE_INTERFACE,
    "ec2:CreateNetworkInterface": BEFORE_THE_INTERFACE,
    "ec2:DeleteNetworkInterface": BEFORE_THE_INTERFACE,
    "ec2:DescribeNetworkInterfaces": BEFORE_THE_INTERFACE,
    "ec2:DescribeSubnets": BEFORE_THE_INTERFACE,
    "ec2:UnassignPrivateIpAddresses": BEFORE_THE_INTERFACE,
    "secretsmanager:GetRandomPassword": "the password belongs to no secret yet: the action has no resource",
}
"""What a statement on `*` may say, and why AWS leaves no other way."""


def statements_of_roles(synthesized):
    return [
        (role_id, statement)
        for role_id in synthesized.of_type("AWS::IAM::Role")
        for statement in synthesized.statements_of({"Ref": role_id})
    ]


def test_no_action_is_given_by_a_wildcard(synthesized):
    for role_id, statement in statements_of_roles(synthesized):
        assert "NotAction" not in statement, role_id
        assert not [action for action in as_list(statement["Action"]) if "*" in action], role_id


def test_only_what_has_no_resource_is_allowed_on_every_resource(synthesized):
    for role_id, statement in statements_of_roles(synthesized):
        assert "NotResource" not in statement, role_id
        if "*" in json.dumps(statement["Resource"]):
            assert set(as_list(statement["Action"])) <= ON_EVERY_RESOURCE.keys(), (role_id, statement)


def test_no_role_has_a_policy_that_aws_or_another_stack_may_widen(synthesized):
    for role_id, role in synthesized.of_type("AWS::IAM::Role").items():
        assert "ManagedPolicyArns" not in role, role_id
    for resource_type in ("Policy", "ManagedPolicy", "RolePolicy"):
        assert not synthesized.has_type(f"AWS::IAM::{resource_type}")


def test_every_role_is_assumed_by_one_service_and_nobody_else(synthesized):
    for role_id, role in synthesized.of_type("AWS::IAM::Role").items():
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Action"] == "sts:AssumeRole", role_id
        assert list(trust["Principal"]) == ["Service"], role_id
        assert trust["Principal"]["Service"].endswith(".amazonaws.com"), role_id


def test_the_key_leaves_decisions_to_this_account_and_says_so_once(synthesized):
    _, key = synthesized.key()
    (statement,) = key["KeyPolicy"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "kms:*")
    assert referred(statement["Principal"]) == set()
    assert statement["Principal"]["AWS"]["Fn::Join"][1][-1] == ":root"


def test_a_role_that_uses_the_key_does_so_through_secrets_manager(synthesized):
    using = [s for _, s in statements_of_roles(synthesized) if "kms:" in json.dumps(s["Action"])]
    assert using
    for statement in using:
        assert statement["Condition"]["StringEquals"].keys() == {"kms:ViaService"}


def test_a_group_stays_closed_when_its_last_rule_goes(synthesized):
    """EC2 gives a group without any egress rule one that allows everything."""
    for group_id, group in synthesized.of_type("AWS::EC2::SecurityGroup").items():
        assert "SecurityGroupIngress" not in group, group_id
        (nowhere,) = group["SecurityGroupEgress"]
        assert (nowhere["CidrIp"], nowhere["IpProtocol"]) == ("255.255.255.255/32", "icmp"), group_id


def test_the_key_of_logs_is_used_by_cloudwatch_logs_for_groups_of_this_deployment_only(synthesized):
    _, key = synthesized.key("LogKey")
    _, leave = key["KeyPolicy"]["Statement"]
    assert leave["Principal"] == {"Service": "logs.us-east-1.amazonaws.com"}
    name = synthesized.the_one("AWS::RDS::DBCluster")[1]["DBClusterIdentifier"]
    groups = [
        "".join(part for part in arn["Fn::Join"][1] if isinstance(part, str))
        for arn in leave["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    ]
    assert [group.rpartition("log-group:")[2] for group in groups] == [
        *(f"{name}-{stack}-*" for stack in ("network", "database", "schema", "observability")),
        f"/aws/rds/cluster/{name}/*",
        f"/aws/rds/proxy/{name}",
    ]


def test_every_key_rotates_and_names_nobody_but_this_account_and_services(synthesized):
    for key_id, key in synthesized.of_type("AWS::KMS::Key").items():
        assert key["EnableKeyRotation"] is True, key_id
        own, *services = key["KeyPolicy"]["Statement"]
        assert own["Principal"]["AWS"]["Fn::Join"][1][-1] == ":root", key_id
        for statement in services:
            assert list(statement["Principal"]) == ["Service"], key_id
            assert statement["Condition"], key_id
