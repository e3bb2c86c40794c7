"""Which rights a template gives, and what is left of it without one."""

from stacks.engines import ENGINES
from tests.deploy.least_privilege.rights import LETS_NOBODY_OUT, STACKS, actions_of, rights_of, without
from tests.deploy.least_privilege.table import described
from tests.stacks.conftest import of_kind

TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
WRITE = {"Effect": "Allow", "Action": ["s3:PutObject", "s3:DeleteObject"], "Resource": "*"}
LOG = {"Effect": "Allow", "Action": "logs:PutLogEvents", "Resource": "*"}
OWNER = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
AUDITOR = {"Effect": "Allow", "Action": "kms:DescribeKey", "Resource": "*"}
PUBLISH = {"Effect": "Allow", "Action": "sns:Publish", "Principal": {"Service": "cloudwatch.amazonaws.com"}}
NOBODY = {"Effect": "Deny", "Action": "kms:CreateGrant", "Resource": "*"}
NOWHERE = {"CidrIp": LETS_NOBODY_OUT, "IpProtocol": "icmp"}
INLINE = {"CidrIp": "10.0.0.0/8", "IpProtocol": "-1"}
RULE = {"GroupId": {"Ref": "Group"}, "IpProtocol": "tcp"}
ENDPOINT = {"ServiceName": "com.amazonaws.us-east-1.s3"}
PERMISSION = {"Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com"}
MANAGED = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


def policy(name, *statements):
    return {"PolicyName": name, "PolicyDocument": {"Statement": list(statements)}}


def resource(kind, **properties):
    return {"Type": f"AWS::{kind}", "Properties": properties}


def templates():
    resources = {
        "Role01234567": resource(
            "IAM::Role",
            AssumeRolePolicyDocument={"Statement": [TRUST]},
            Policies=[policy("Own", READ, WRITE), policy("Log", LOG)],
            ManagedPolicyArns=[MANAGED],
        ),
        "Key": resource("KMS::Key", KeyPolicy={"Statement": [OWNER, AUDITOR, NOBODY]}),
        "Policy": resource("SNS::TopicPolicy", PolicyDocument={"Statement": [PUBLISH, NOBODY]}),
        "Group": resource("EC2::SecurityGroup", SecurityGroupEgress=[NOWHERE], SecurityGroupIngress=[INLINE]),
        "Rule": resource("EC2::SecurityGroupIngress", **RULE),
        "Endpoint": resource("EC2::VPCEndpoint", **ENDPOINT),
        "Permission": resource("Lambda::Permission", **PERMISSION),
        "Function": {**resource("Lambda::Function"), "DependsOn": ["Permission", "Key"]},
        "Schedule": {**resource("Scheduler::Schedule"), "DependsOn": "Permission"},
    }
    return {stack: {"Resources": resources if stack == "Schema" else {}} for stack in STACKS}


def the_right(content):
    (right,) = [one for one in rights_of(templates()) if one.content == content]
    return right


def left_without(right):
    changed = without(templates()[right.stack], right)
    return changed, [one.content for one in rights_of({**templates(), right.stack: changed})]


def test_every_kind_of_right_is_found():
    found = [(one.kind, one.content) for one in rights_of(templates())]
    assert found == [
        ("policy", READ),
        ("policy", WRITE),
        ("policy", LOG),
        ("managed policy", MANAGED),
        ("trust", TRUST),
        ("key policy", OWNER),
        ("key policy", AUDITOR),
        ("resource policy", PUBLISH),
        ("rule", INLINE),
        ("rule", RULE),
        ("endpoint", ENDPOINT),
        ("permission", PERMISSION),
    ]
    assert len({one.name for one in rights_of(templates())}) == len(found)


def test_without_a_right_all_others_are_left():
    for right in rights_of(templates()):
        if right.kind == "trust":
            continue  # see below
        others = [one.content for one in rights_of(templates()) if one.name != right.name]
        assert left_without(right)[1] == others, right.name


def test_a_policy_that_would_say_nothing_goes():
    changed, _ = left_without(the_right(LOG))
    assert changed["Resources"]["Role01234567"]["Properties"]["Policies"] == [policy("Own", READ, WRITE)]


def test_the_only_statement_of_a_trust_policy_turns_into_its_opposite():
    changed, left = left_without(the_right(TRUST))
    role = changed["Resources"]["Role01234567"]["Properties"]
    assert role["AssumeRolePolicyDocument"]["Statement"] == [{**TRUST, "Effect": "Deny"}]
    assert TRUST not in left


def test_nothing_waits_for_a_resource_that_is_gone():
    changed, _ = left_without(the_right(PERMISSION))
    assert changed["Resources"]["Function"]["DependsOn"] == ["Key"]
    assert "DependsOn" not in changed["Resources"]["Schedule"]


def test_single_actions_are_those_of_statements_with_several():
    actions = actions_of(rights_of(templates()))
    assert [one.content for one in actions] == ["s3:PutObject", "s3:DeleteObject"]
    changed = without(templates()["Schema"], actions[0])
    (statement,) = [
        one["PolicyDocument"]["Statement"][1]
        for one in changed["Resources"]["Role01234567"]["Properties"]["Policies"]
        if one["PolicyName"] == "Own"
    ]
    assert statement == {**WRITE, "Action": ["s3:DeleteObject"]}


def test_our_stacks_give_the_same_rights_on_both_engines_but_for_the_port():
    """So that docs/rights.md, which is of one engine, holds for the other."""
    on_postgresql, on_mysql = (
        [described(right).replace(f"tcp {engine.default_port} ", "tcp PORT ") for right in rights_of(given)]
        for engine, given in ((engine, of_kind("local", name).templates) for name, engine in ENGINES.items())
    )
    assert len(on_postgresql) > 40
    assert on_mysql == on_postgresql
