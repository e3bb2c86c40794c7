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
    "xray:PutTelemetryRecords": "a trace belongs to no resource: the action has none",
    "xray:PutTraceSegments": "a trace belongs to no resource: the action has none",
    "secretsmanager:GetRandomPassword": "the password belongs to no secret yet: the action has no resource",
}
"""What a statement on `*` may say, and why AWS leaves no other way."""
NAMES_THAT_AWS_ENDS = {
    ":log-group:RDSOSMetrics:*": "streams of RDS's own group, one for each instance",
    ":cluster-snapshot:awsbackup:*": "AWS Backup names each snapshot after its job",
}
"""How a resource may end, where AWS makes the rest of its name."""


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
        resources = [json.dumps(one).strip(']}"') for one in as_list(statement["Resource"])]
        if any("*" in one and not one.endswith(tuple(NAMES_THAT_AWS_ENDS)) for one in resources):
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
    (statement,) = [s for s in key["KeyPolicy"]["Statement"] if s["Effect"] == "Allow"]
    assert statement["Action"] == "kms:*"
    assert referred(statement["Principal"]) == set()
    assert statement["Principal"]["AWS"]["Fn::Join"][1][-1] == ":root"


def test_a_role_that_uses_the_key_does_so_through_secrets_manager(synthesized):
    using = [
        statement
        for role_id, statement in statements_of_roles(synthesized)
        if "kms:" in json.dumps(statement["Action"]) and not role_id.startswith("BackupRole")
    ]
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
    (leave,) = [s for s in key["KeyPolicy"]["Statement"] if "Service" in s["Principal"]]
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
        own, *services = [s for s in key["KeyPolicy"]["Statement"] if s["Effect"] == "Allow"]
        assert own["Principal"]["AWS"]["Fn::Join"][1][-1] == ":root", key_id
        for statement in services:
            assert list(statement["Principal"]) == ["Service"], key_id
            # EventBridge says nothing about itself that a condition could ask for (stacks/observability.py)
            says_nothing = statement["Principal"] == {"Service": "events.amazonaws.com"}
            assert statement.get("Condition") or says_nothing, key_id


def test_nobody_but_a_service_gives_a_key_away_by_a_grant(synthesized):
    for key_id, key in synthesized.of_type("AWS::KMS::Key").items():
        (denied,) = [s for s in key["KeyPolicy"]["Statement"] if s["Effect"] == "Deny"]
        assert (denied["Action"], denied["Principal"]) == ("kms:CreateGrant", {"AWS": "*"}), key_id
        assert denied["Condition"] == {
            "BoolIfExists": {"kms:GrantIsForAWSResource": "false", "aws:PrincipalIsAWSService": "false"}
        }


def test_the_code_of_a_function_cannot_use_the_rights_that_lambda_needs_for_its_interface(synthesized):
    """Calls of Lambda's own carry no function's ARN; those of the code do."""
    making = [s for _, s in statements_of_roles(synthesized) if "ec2:CreateNetworkInterface" in s["Action"]]
    assert len(making) == len(synthesized.functions())
    for statement in making:
        assert statement["Condition"] == {"Null": {"lambda:SourceFunctionArn": "true"}}


ACTS_FOR_OTHERS = ("vpc-flow-logs", "monitoring.rds", "backup")
"""Services that act for many accounts, by the documentation of each with the account's number."""


def test_a_service_that_acts_for_many_accounts_has_our_roles_for_this_one_only(synthesized):
    asked = set()
    for role_id, role in synthesized.of_type("AWS::IAM::Role").items():
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        service = trust["Principal"]["Service"].removesuffix(".amazonaws.com")
        if service in ACTS_FOR_OTHERS:
            asked.add(service)
            assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}, (
                role_id
            )
    assert asked >= {"vpc-flow-logs", "monitoring.rds"}
