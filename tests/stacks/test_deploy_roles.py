"""The roles of pipelines: who may take them, what they may, and what nobody may.

What a policy allows is asked of the local cloud's evaluator, which decides as AWS documents it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from app import wire
from localcloud.iam.evaluation import AccessRequest, Policies, Principal, evaluate
from localcloud.iam.policy import Policy
from stacks.assets import LambdaAsset, Platform
from stacks.deploy_roles import (
    ASKS,
    ENVIRONMENTS,
    ISSUER,
    LOOKS,
    SERVICES,
    DeployRoles,
    DeployRolesStack,
    choose,
)
from stacks.settings import on_local_cloud
from stacks.validation import SettingsError
from tests.stacks.conftest import chosen
from tests.stacks.synthesized import FLAGS, PROJECT, as_list

ACCOUNT = "123456789012"
BOUNDARY_NAME = "shop-boundary"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/{BOUNDARY_NAME}"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
KNOWN = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "Boundary": BOUNDARY,
    "GitHub.Arn": PROVIDER,
}


def resolved(value: Any) -> Any:
    """Return a value of a template as CloudFormation would, in one account."""
    if isinstance(value, list):
        return [resolved(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "Ref" in value:
        return KNOWN[value["Ref"]]
    if "Fn::GetAtt" in value:
        return KNOWN[".".join(value["Fn::GetAtt"])]
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return separator.join(resolved(parts))
    return {key: resolved(item) for key, item in value.items()}


def template(roles: DeployRoles) -> dict[str, Any]:
    app = cdk.App()
    DeployRolesStack(app, "DeployRoles", roles=roles)
    directory = Path(app.synth().directory)
    return json.loads((directory / "DeployRoles.template.json").read_text())


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    found = template(choose("acme/shop"))["Resources"]
    return {name: resolved(resource.get("Properties", {})) for name, resource in found.items()}


def roles_of(resources: dict[str, Any]) -> dict[str, Any]:
    return {one["RoleName"]: one for one in resources.values() if "RoleName" in one}


def allowed(resources: dict[str, Any], role: str, action: str, resource: str, **context: str) -> bool:
    """Tell whether AWS would let a pipeline do something."""
    own = roles_of(resources)[role]
    arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
    principal = Principal(arn.replace(":role/", ":assumed-role/") + "/job", ACCOUNT, role_arn=arn)
    policies = Policies(
        identity=[Policy.parse(one["PolicyDocument"]) for one in own["Policies"]],
        boundary=Policy.parse(resources["Boundary"]["PolicyDocument"]),
    )
    return evaluate(AccessRequest(principal, action, resource, context), policies).allowed


ADMINISTRATOR = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


def possible(resources: dict[str, Any], action: str, resource: str, **context: str) -> bool:
    """Tell whether CloudFormation's role could do something: an administrator within the boundary."""
    arn = f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-us-east-1"
    policies = Policies(
        identity=[Policy.parse(ADMINISTRATOR)],
        boundary=Policy.parse(resources["Boundary"]["PolicyDocument"]),
    )
    request = AccessRequest(Principal(arn, ACCOUNT, role_arn=arn), action, resource, context)
    return evaluate(request, policies).allowed


# --- who may take a role


def test_a_role_is_taken_by_one_repository_in_one_environment_by_its_token_alone(resources):
    subjects = {
        "shop-plan": "repo:acme/shop:pull_request",
        "shop-deploy-pull-request": "repo:acme/shop:environment:pull-request",
        "shop-deploy-dev": "repo:acme/shop:environment:dev",
        "shop-deploy-production": "repo:acme/shop:environment:production",
    }
    assert roles_of(resources).keys() == subjects.keys()
    for name, role in roles_of(resources).items():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement == {
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Effect": "Allow",
            "Principal": {"Federated": PROVIDER},
            "Condition": {
                "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": subjects[name]}
            },
        }


def test_the_provider_is_github_s_for_sts_alone(resources):
    assert resources["GitHub"] == {"Url": f"https://{ISSUER}", "ClientIdList": ["sts.amazonaws.com"]}


def test_a_provider_that_the_account_has_is_not_made_again():
    found = template(choose("acme/shop", provider_arn=PROVIDER))["Resources"]
    assert [one for one in found.values() if one["Type"] == "AWS::IAM::OIDCProvider"] == []
    trust = found["Plan"]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]
    assert trust["Principal"] == {"Federated": PROVIDER}


def test_there_is_no_user_and_no_key(resources):
    types = {one["Type"] for one in template(choose("acme/shop"))["Resources"].values()}
    assert types == {"AWS::IAM::OIDCProvider", "AWS::IAM::ManagedPolicy", "AWS::IAM::Role"}


def test_sessions_end(resources):
    hours = {name: role["MaxSessionDuration"] / 3600 for name, role in roles_of(resources).items()}
    assert hours.pop("shop-plan") == 1
    assert set(hours.values()) == {2}


def test_only_the_environments_of_the_account_have_roles():
    found = template(choose("acme/shop", environments="production"))["Resources"]
    names = {one["Properties"].get("RoleName") for one in found.values()} - {None}
    assert names == {"shop-plan", "shop-deploy-production"}


# --- what a role may


def arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:us-east-1:{ACCOUNT}:{rest}"


BOOTSTRAP_ROLE = f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-{{}}-role-{ACCOUNT}-us-east-1"
OF_DEV = [
    ("sts:AssumeRole", BOOTSTRAP_ROLE.format("deploy")),
    ("sts:AssumeRole", BOOTSTRAP_ROLE.format("file-publishing")),
    ("ssm:GetParameter", arn("ssm", "parameter/cdk-bootstrap/hnb659fds/version")),
    ("cloudformation:GetTemplate", arn("cloudformation", "stack/shop-dev-schema/1")),
    ("cloudformation:DescribeStackResources", arn("cloudformation", "stack/shop-dev-database/1")),
    ("lambda:InvokeFunction", arn("lambda", "function:shop-dev-schema-SmokeTestFunction3F-aB1")),
    ("lambda:InvokeFunction", arn("lambda", "function:shop-dev-schema-ApplySchemaFunction3F-aB1")),
    ("logs:FilterLogEvents", arn("logs", "log-group:shop-dev-schema-SmokeTestLogs3F-aB1")),
    ("logs:GetLogEvents", arn("logs", "log-group:/aws/rds/cluster/shop-dev/postgresql:log-stream:a")),
    ("rds:FailoverDBCluster", arn("rds", "cluster:shop-dev")),
    ("ssm:GetParametersByPath", arn("ssm", "parameter/shop/dev")),
    ("ssm:GetParametersByPath", arn("ssm", "parameter/shop/dev/database")),
]


@pytest.mark.parametrize(("action", "resource"), OF_DEV)
def test_a_deploying_role_may_what_the_verbs_need(resources, action: str, resource: str):
    assert allowed(resources, "shop-deploy-dev", action, resource)


@pytest.mark.parametrize("role", ["shop-deploy-pull-request", "shop-deploy-production", "shop-plan"])
@pytest.mark.parametrize(("action", "resource"), OF_DEV[3:])
def test_a_role_of_another_environment_may_not(resources, role: str, action: str, resource: str):
    if role == "shop-plan" and action.startswith("cloudformation:"):
        assert allowed(resources, role, action, resource)  # to show what a change would do
    else:
        assert not allowed(resources, role, action, resource)


@pytest.mark.parametrize("role", ["shop-deploy-dev", "shop-deploy-pull-request", "shop-plan"])
@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("sts:AssumeRole", BOOTSTRAP_ROLE.format("cfn-exec")),
        ("sts:AssumeRole", BOOTSTRAP_ROLE.format("lookup")),
        ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/administrator"),
        ("sts:AssumeRole", f"arn:aws:iam::210987654321:role/cdk-hnb659fds-deploy-role-{ACCOUNT}-us-east-1"),
        ("secretsmanager:GetSecretValue", arn("secretsmanager", "secret:shop/dev/database/admin-aB1")),
        ("kms:Decrypt", arn("kms", "key/1")),
        ("rds:DeleteDBCluster", arn("rds", "cluster:shop-dev")),
        ("cloudformation:DeleteStack", arn("cloudformation", "stack/shop-dev-database/1")),
        ("lambda:InvokeFunction", arn("lambda", "function:shop-dev-database-RotateSecretFunction3F-aB1")),
        ("lambda:UpdateFunctionCode", arn("lambda", "function:shop-dev-schema-SmokeTestFunction3F-aB1")),
        ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/shop-dev-x"),
        ("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/anybody"),
    ],
)
def test_a_role_may_nothing_else(resources, role: str, action: str, resource: str):
    assert not allowed(resources, role, action, resource)


def test_the_role_that_plans_hands_nothing_over(resources):
    assert not allowed(resources, "shop-plan", *OF_DEV[0])
    assert not allowed(resources, "shop-plan", *OF_DEV[1])
    template_of_production = arn("cloudformation", "stack/shop-production-database/1")
    assert allowed(resources, "shop-plan", "cloudformation:GetTemplate", template_of_production)


OF_PULL_REQUESTS = [
    ("logs:DeleteLogGroup", arn("logs", "log-group:shop-pr-7-schema-SmokeTestLogs3F-aB1"), ""),
    ("logs:DeleteLogGroup", arn("logs", "log-group:/aws/rds/cluster/shop-pr-7/postgresql"), ""),
    ("logs:DeleteLogGroup", arn("logs", "log-group:/aws/rds/proxy/shop-pr-7"), ""),
    ("ssm:DeleteParameter", arn("ssm", "parameter/shop/pr-7/database/port"), ""),
    ("secretsmanager:DeleteSecret", arn("secretsmanager", "secret:shop/pr-7/database/admin-aB1"), ""),
    ("rds:DeleteDBClusterSnapshot", arn("rds", "cluster-snapshot:shop-pr-7-final"), "pr-7"),
    ("kms:ScheduleKeyDeletion", arn("kms", "key/1"), "pr-7"),
    ("rds:DeleteDBCluster", arn("rds", "cluster:shop-pr-7-rehearsal"), ""),
    ("rds:DeleteDBInstance", arn("rds", "db:shop-pr-7-copy"), ""),
    ("ec2:DeleteNetworkInterface", arn("ec2", "network-interface/eni-1"), ""),
    ("tag:GetResources", "*", ""),
    ("rds:DescribeDBClusters", "*", ""),
    ("rds:DescribeDBEngineVersions", "*", ""),
]


@pytest.mark.parametrize(("action", "resource", "tag"), OF_PULL_REQUESTS)
def test_what_pull_requests_leave_is_taken_away_by_their_role_alone(resources, action, resource, tag):
    context = {"aws:ResourceTag/environment": tag} if tag else {}
    assert allowed(resources, "shop-deploy-pull-request", action, resource, **context)
    may_look = resource == "*"
    for other in ("shop-deploy-dev", "shop-deploy-production"):
        assert allowed(resources, other, action, resource, **context) == may_look
    assert not allowed(resources, "shop-plan", action, resource, **context)
    theirs = resource.replace("pr-7", "production")
    if theirs != resource:
        assert not allowed(resources, "shop-deploy-pull-request", action, theirs)
    if tag:
        production = {"aws:ResourceTag/environment": "production"}
        assert not allowed(resources, "shop-deploy-pull-request", action, resource, **production)
        assert not allowed(resources, "shop-deploy-pull-request", action, resource)


def test_looking_reads_no_content(resources):
    for action in LOOKS:
        assert re.match(r"[a-z0-9]+:(Describe|List)|tag:GetResources$", action)
    for action in ASKS:
        assert re.search(r"(Quota|AccountSettings)$", action)


def test_whoever_deploys_may_ask_whether_there_is_room(resources):
    for role in ("shop-deploy-dev", "shop-deploy-production", "shop-deploy-pull-request"):
        for action in ASKS:
            assert allowed(resources, role, action, "*"), (role, action)
        assert not allowed(resources, role, "servicequotas:RequestServiceQuotaIncrease", "*")


def test_a_pull_request_reaches_every_environment_of_its_kind_and_no_other(resources):
    role, describe = "shop-deploy-pull-request", "cloudformation:GetTemplate"
    for name, is_its in {"pr-7": True, "pr-42-my": True, "production": False, "dev": False}.items():
        stack = arn("cloudformation", f"stack/shop-{name}-schema/1")
        assert allowed(resources, role, describe, stack) == is_its, name


def test_another_bootstrap_is_another_set_of_roles():
    found = template(choose("acme/shop", qualifier="shopprod"))["Resources"]
    assert "cdk-shopprod-deploy-role" in json.dumps(found)
    assert "hnb659fds" not in json.dumps(found)


WILDCARDS = {
    "Look": "lists of what there is: AWS asks for no resource",
    "AskForRoom": "limits of the account: AWS asks for no resource",
    "ListRoles": "likewise",
    "ServicesOfTheProject": "a boundary gives nothing; what it leaves open is listed with reasons",
    "RolesCarryTheBoundary": "a denial: of whatever role",
    "TheBoundaryStays": "a denial: of whatever role",
}
"""Statements on every resource, or on every action of a service, and why."""


def test_a_wildcard_has_its_reason(resources):
    policies = [one["PolicyDocument"] for role in roles_of(resources).values() for one in role["Policies"]]
    for policy in [*policies, resources["Boundary"]["PolicyDocument"]]:
        for statement in policy["Statement"]:
            actions, places = statement["Action"], statement["Resource"]
            everything = "*" in (places if isinstance(places, list) else [places])
            if everything or any("*" in action for action in actions):
                assert statement["Sid"] in WILDCARDS
            assert "NotAction" not in statement
            assert "NotResource" not in statement


# --- what nobody may


def test_every_role_carries_the_boundary(resources):
    assert {role["PermissionsBoundary"] for role in roles_of(resources).values()} == {BOUNDARY}


def test_a_deployment_can_make_roles_that_carry_the_boundary_and_no_others(resources):
    role = f"arn:aws:iam::{ACCOUNT}:role/shop-dev-schema-SmokeTestRole3F-aB1"
    assert possible(resources, "iam:CreateRole", role, **{"iam:PermissionsBoundary": BOUNDARY})
    assert not possible(resources, "iam:CreateRole", role)
    other = f"arn:aws:iam::{ACCOUNT}:policy/wider"
    assert not possible(resources, "iam:CreateRole", role, **{"iam:PermissionsBoundary": other})
    assert not possible(
        resources, "iam:PutRolePermissionsBoundary", role, **{"iam:PermissionsBoundary": other}
    )
    assert not possible(resources, "iam:DeleteRolePermissionsBoundary", role)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:CreatePolicyVersion", BOUNDARY),
        ("iam:SetDefaultPolicyVersion", BOUNDARY),
        ("iam:DeletePolicy", BOUNDARY),
        ("iam:UpdateAssumeRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/shop-deploy-production"),
        ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/shop-plan"),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/administrator"),
        ("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/shop-x"),
        ("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/shop-x"),
        ("iam:UpdateOpenIDConnectProviderThumbprint", PROVIDER),
        ("iam:CreateSAMLProvider", f"arn:aws:iam::{ACCOUNT}:saml-provider/x"),
        ("organizations:LeaveOrganization", "*"),
        ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/administrator"),
    ],
)
def test_what_a_deployment_cannot_do_even_as_administrator(resources, action: str, resource: str):
    assert not possible(resources, action, resource)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/shop-x"),
        ("iam:PutRolePermissionsBoundary", f"arn:aws:iam::{ACCOUNT}:role/shop-x"),
        ("iam:DeleteRolePermissionsBoundary", f"arn:aws:iam::{ACCOUNT}:role/shop-x"),
        ("iam:CreatePolicyVersion", BOUNDARY),
        ("iam:DeletePolicyVersion", BOUNDARY),
        ("iam:SetDefaultPolicyVersion", BOUNDARY),
        ("iam:DeletePolicy", BOUNDARY),
        ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/shop-plan"),
        ("iam:UpdateAssumeRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/shop-deploy-production"),
    ],
)
def test_what_is_denied_stays_denied_if_the_boundary_is_widened_one_day(
    resources, action: str, resource: str
):
    document = resources["Boundary"]["PolicyDocument"]
    widened = {**document, "Statement": [*document["Statement"], *ADMINISTRATOR["Statement"]]}
    wider = {**resources, "Boundary": {"PolicyDocument": widened}}
    assert not possible(wider, action, resource)
    assert possible(
        wider, action, f"arn:aws:iam::{ACCOUNT}:role/other", **{"iam:PermissionsBoundary": BOUNDARY}
    ) == (action != "iam:DeleteRolePermissionsBoundary")


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("rds:CreateDBCluster", arn("rds", "cluster:shop-dev")),
        ("kms:CreateKey", "*"),
        ("lambda:CreateFunction", arn("lambda", "function:shop-dev-schema-SmokeTestFunction3F-aB1")),
        ("backup:CreateBackupPlan", "*"),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/shop-dev-database-ProxyRole3F-aB1"),
        ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/shop-dev-database-ProxyRole3F-aB1"),
        ("iam:CreateServiceLinkedRole", f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/rds.amazonaws.com/A"),
    ],
)
def test_what_a_deployment_does_is_possible(resources, action: str, resource: str):
    assert possible(resources, action, resource)


SERVICE_OF_TYPE = {"cdk": None, "iam": None}
"""CloudFormation's names of services, where IAM's is another: made by no service, or by action."""


def test_the_boundary_leaves_room_for_all_that_stacks_hold(synthesized):
    types = {resource["Type"] for resource in synthesized.resources.values()}
    services = {name.split("::")[1].lower() for name in types if name.startswith("AWS::")}
    assert {SERVICE_OF_TYPE.get(name, name) for name in services} - {None} <= SERVICES.keys()


def test_the_boundary_leaves_room_for_all_that_roles_of_stacks_may(synthesized):
    for role_id in synthesized.of_type("AWS::IAM::Role"):
        for statement in synthesized.statements_of({"Ref": role_id}):
            services = {action.partition(":")[0] for action in as_list(statement["Action"])}
            assert services <= SERVICES.keys(), role_id


@pytest.mark.parametrize("named_by", ["settings", "cdk.json"])
def test_every_role_of_the_stacks_carries_the_boundary_that_is_named(named_by: str):
    context = {"@aws-cdk/core:permissionsBoundary": {"name": BOUNDARY_NAME}}
    app = cdk.App(
        context={**FLAGS, **(context if named_by == "cdk.json" else {}), "aws:cdk:bundling-stacks": []}
    )
    deployment = chosen("production", "postgresql")
    if named_by == "settings":
        deployment = replace(deployment, permissions_boundary=BOUNDARY_NAME)
    wire(app, deployment, LambdaAsset(Platform.named(deployment.functions.platform)))
    templates = Path(app.synth().directory).glob("*.template.json")
    roles = [
        (path.name, logical_id, resource["Properties"].get("PermissionsBoundary"))
        for path in templates
        for logical_id, resource in json.loads(path.read_text())["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role"
    ]
    assert len(roles) >= 10
    for name, logical_id, carried in roles:
        assert f"policy/{BOUNDARY_NAME}" in json.dumps(carried), (name, logical_id)


def test_on_the_local_cloud_which_has_no_such_policy_no_role_asks_for_it(synthesized):
    bound = replace(chosen("production", "postgresql"), permissions_boundary=BOUNDARY_NAME)
    assert on_local_cloud(bound).permissions_boundary is None
    for role_id, properties in synthesized.of_type("AWS::IAM::Role").items():
        assert "PermissionsBoundary" not in properties, role_id


def test_the_boundary_is_within_iam_s_limit(resources):
    document = json.dumps(resources["Boundary"]["PolicyDocument"], separators=(",", ":"))
    assert len(document) <= 6144


# --- bad input


@pytest.mark.parametrize(
    ("repository", "said"),
    [
        ("", "is not OWNER/NAME"),
        (None, "is not OWNER/NAME"),
        ("shop", "is not OWNER/NAME"),
        ("acme/*", "is not OWNER/NAME"),
        ("*/shop", "is not OWNER/NAME"),
        ("acme/shop:environment:dev", "is not OWNER/NAME"),
        ("acme/shop/more", "is not OWNER/NAME"),
        ("https://github.com/acme/shop", "is not OWNER/NAME"),
        ("acme/shop\n", "is not OWNER/NAME"),
        ("acme/..", "is not OWNER/NAME"),
        ("-acme/shop", "is not OWNER/NAME"),
        ("acme-/shop", "is not OWNER/NAME"),
        (f"{'a' * 40}/shop", "is not OWNER/NAME"),
        ("acme/sh?p", "is not OWNER/NAME"),
        (f"acme/{'s' * 41}", "1 to 40 characters"),
        ("acme/___", "1 to 40 characters"),
    ],
)
def test_a_repository_that_is_none_is_refused(repository: object, said: str):
    with pytest.raises(SettingsError) as refused:
        choose(repository)
    assert said in str(refused.value)


def test_all_problems_come_at_once():
    with pytest.raises(SettingsError) as refused:
        choose("shop", "dev,staging,dev", "mars-1", "far too long", "arn:aws:iam::1:oidc-provider/gitlab.com")
    for said in ("'staging' is not known", "names one twice", "mars-1", "far too long", "GitHub's provider"):
        assert said in str(refused.value)


@pytest.mark.parametrize("name", ["acme/shop", "A1/a.b-c_d", "a/x"])
def test_names_as_github_has_them_are_taken(name: str):
    assert choose(name).repository == name


def test_an_environment_deploys_what_is_named_as_a_deployment_can_be():
    assert {one.deployments for one in ENVIRONMENTS.values()} == {"pr-*", "dev", "production"}


# --- as a command


@pytest.mark.slow
def test_the_template_is_clean_and_the_command_names_what_is_missing(tmp_path: Path):
    make = ["make", "--silent", "synth-roles"]
    done = subprocess.run(
        [*make, "REPOSITORY=acme/shop", f"ROLES_FOLDER={tmp_path}"],
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lint = [str(Path(sys.executable).parent / "cfn-lint"), str(tmp_path / "DeployRoles.template.json")]
    linted = subprocess.run(lint, capture_output=True, text=True, check=False, timeout=120)
    assert (linted.returncode, linted.stdout) == (0, "")
    done = subprocess.run(
        [*make, f"ROLES_FOLDER={tmp_path / 'none'}"],
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode != 0
    assert "repository='' is not OWNER/NAME" in done.stderr
