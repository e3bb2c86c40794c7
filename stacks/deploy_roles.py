"""The roles that pipelines on GitHub take: by OIDC, without any long-lived key.

Deployed by an administrator, by an app of its own: whoever deploys it could give themselves rights.

    make deploy-roles REPOSITORY=owner/name          (docs/pipelines.md)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.regions import S3_PREFIX_LISTS
from stacks.validation import SettingsError

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
CONTEXT = ("repository", "environments", "region", "qualifier", "provider_arn")
"""What `cdk -c` may choose by."""


@dataclass(frozen=True)
class Environment:
    """An environment of GitHub's, and the deployments that its jobs may deploy."""

    name: str
    deployments: str
    """The name that all their own names carry; a * stands for any number of ephemeral ones."""
    cleans_up: bool = False
    """Its jobs destroy, and take away what stacks leave behind."""


ENVIRONMENTS: Mapping[str, Environment] = {
    "pull-request": Environment("pull-request", "pr-*", cleans_up=True),
    "dev": Environment("dev", "dev"),
    "production": Environment("production", "production"),
}


@dataclass(frozen=True)
class DeployRoles:
    """Who may deploy what in one account."""

    repository: str
    """OWNER/NAME on GitHub."""
    environments: tuple[Environment, ...] = tuple(ENVIRONMENTS.values())
    """Those that are deployed into this account: production may well have one of its own."""
    region: str = "us-east-1"
    qualifier: str = "hnb659fds"
    """Of the CDK's bootstrap: which of its roles the deployments go through."""
    provider_arn: str = ""
    """GitHub's identity provider, where the account has it already: there can be only one."""

    @property
    def prefix(self) -> str:
        """What the names of all roles begin with."""
        return re.sub(r"[^a-z0-9]+", "-", self.repository.rpartition("/")[2].lower()).strip("-")

    @property
    def boundary_name(self) -> str:
        """The name of the permissions boundary, for cdk.json and `cdk bootstrap`."""
        return f"{self.prefix}-boundary"


def choose(
    repository: object = None,
    environments: object = None,
    region: object = None,
    qualifier: object = None,
    provider_arn: object = None,
) -> DeployRoles:
    """Return the roles that the context asks for; raises SettingsError with all problems."""
    names = tuple(part.strip() for part in str(environments or ",".join(ENVIRONMENTS)).split(","))
    chosen = DeployRoles(
        repository=str(repository or ""),
        environments=tuple(ENVIRONMENTS[name] for name in names if name in ENVIRONMENTS),
        region=str(region or DeployRoles.region),
        qualifier=str(qualifier or DeployRoles.qualifier),
        provider_arn=str(provider_arn or ""),
    )
    problems = [*_of_environments(names), *_problems(chosen)]
    if problems:
        raise SettingsError(problems)
    return chosen


_OWNER = r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}"
_NAME = r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}"


def _of_environments(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if name not in ENVIRONMENTS:
            yield f"environment {name!r} is not known; choose of {', '.join(ENVIRONMENTS)}"
    if len(set(names)) != len(names):
        yield f"environments={','.join(names)} names one twice; name each once"


def _problems(chosen: DeployRoles) -> Iterator[str]:
    if not re.fullmatch(f"{_OWNER}/{_NAME}", chosen.repository):
        yield (
            f"repository={chosen.repository!r} is not OWNER/NAME as GitHub spells it (letters, digits and "
            "hyphens; in the name dots and underscores too): a wildcard would let others in"
        )
    elif len(chosen.prefix) > _LONGEST_PREFIX or not chosen.prefix:
        yield (
            f"repository={chosen.repository}: roles would be named {chosen.prefix!r}-…, of which AWS takes 1 "
            f"to {_LONGEST_PREFIX} characters; a shorter name in stacks/deploy_roles.py would do"
        )
    if chosen.region not in S3_PREFIX_LISTS:
        yield f"region={chosen.region} is not known; choose one of {', '.join(S3_PREFIX_LISTS)}"
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,10}", chosen.qualifier):
        yield f"qualifier={chosen.qualifier!r}: 1 to 10 letters, digits, _ and -, as `cdk bootstrap` took it"
    if chosen.provider_arn and not re.fullmatch(
        rf"arn:aws[a-z-]*:iam::\d{{12}}:oidc-provider/{re.escape(ISSUER)}", chosen.provider_arn
    ):
        yield (
            f"provider_arn={chosen.provider_arn} is not GitHub's provider: expected "
            f"arn:aws:iam::ACCOUNT:oidc-provider/{ISSUER}; leave it out to make one"
        )


_LONGEST_PREFIX = 40  # IAM's limit is 64, and -deploy-pull-request has to fit


class DeployRolesStack(cdk.Stack):
    """GitHub as identity provider, a permissions boundary, a role to plan, one for each environment."""

    def __init__(self, scope: Construct, construct_id: str, *, roles: DeployRoles) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=f"{roles.prefix}-deploy-roles",
            description=f"What the pipelines of {roles.repository} may do",
            env=cdk.Environment(region=roles.region),
            termination_protection=True,
        )
        self._roles = roles
        self._provider_arn = roles.provider_arn or self._provider()
        self._boundary = iam.CfnManagedPolicy(
            self,
            "Boundary",
            managed_policy_name=roles.boundary_name,
            description="The most that the pipelines, and every role that they make, can ever do",
            policy_document=iam.PolicyDocument(statements=self._most()),
        )
        self._role("Plan", "plan", "pull_request", self._plan(), hours=1)
        for environment in roles.environments:
            self._role(
                "".join(word.capitalize() for word in ["deploy", *environment.name.split("-")]),
                f"deploy-{environment.name}",
                f"environment:{environment.name}",
                self._deploy(environment),
                hours=2,  # a first deployment takes 20 minutes, giving network interfaces back half an hour
            )
        cdk.CfnOutput(self, "BoundaryName", value=roles.boundary_name)

    def _provider(self) -> str:
        # AWS trusts GitHub's certificates by its own list of authorities: no thumbprint is needed.
        provider = iam.CfnOIDCProvider(self, "GitHub", url=f"https://{ISSUER}", client_id_list=[AUDIENCE])
        return provider.attr_arn

    def _role(
        self, construct_id: str, name: str, subject: str, may: list[iam.PolicyStatement], *, hours: int
    ) -> None:
        equals = {
            f"{ISSUER}:aud": AUDIENCE,
            # equal, not like: no pattern in it could match another repository
            f"{ISSUER}:sub": f"repo:{self._roles.repository}:{subject}",
        }
        role = iam.CfnRole(
            self,
            construct_id,
            role_name=f"{self._roles.prefix}-{name}",
            description=f"For {self._roles.repository}, {subject}",
            max_session_duration=hours * 3600,
            permissions_boundary=self._boundary.ref,
            assume_role_policy_document=iam.PolicyDocument(
                statements=[
                    iam.PolicyStatement(
                        actions=["sts:AssumeRoleWithWebIdentity"],
                        principals=[iam.FederatedPrincipal(self._provider_arn, {"StringEquals": equals})],
                    )
                ]
            ),
            policies=[
                iam.CfnRole.PolicyProperty(
                    policy_name="Own", policy_document=iam.PolicyDocument(statements=may)
                )
            ],
        )
        cdk.CfnOutput(self, f"{construct_id}RoleArn", value=role.attr_arn)

    # --- what roles may

    def _plan(self) -> list[iam.PolicyStatement]:
        """Read what is deployed, to show what a change would do; no data, no secret, no change."""
        return [*self._find("*"), _allow("Look", ["cloudformation:DescribeStacks"], ["*"])]

    def _deploy(self, environment: Environment) -> list[iam.PolicyStatement]:
        """Hand templates and assets to the CDK's own roles, and what verbs do themselves afterwards."""
        names = environment.deployments
        return [
            _allow("HandOver", ["sts:AssumeRole"], self._bootstrap_roles()),
            *self._find(names),
            _allow("Look", LOOKS, ["*"]),
            _allow("AskForRoom", ASKS, ["*"]),
            _allow("LookAtEndpoints", ["ssm:GetParametersByPath"], self._parameters(names)),
            *(self._clean_up(names) if environment.cleans_up else ()),
            _allow(
                "TestAndMigrate",
                ["lambda:InvokeFunction"],
                [
                    self._arn("lambda", f"function:shop-{names}-schema-{function}*")
                    for function in ("SmokeTest", "ApplySchema")
                ],
            ),
            _allow(
                "ReadLogs",
                ["logs:FilterLogEvents", "logs:GetLogEvents"],
                [
                    self._arn("logs", f"log-group:shop-{names}-*"),
                    self._arn("logs", f"log-group:/aws/rds/cluster/shop-{names}/*"),
                ],
            ),
            _allow(
                "FailOver",
                ["rds:DescribeDBClusters", "rds:FailoverDBCluster"],
                [self._arn("rds", f"cluster:shop-{names}")],
            ),
        ]

    def _find(self, names: str) -> list[iam.PolicyStatement]:
        version = f"parameter/cdk-bootstrap/{self._roles.qualifier}/version"
        return [
            _allow("Bootstrapped", ["ssm:GetParameter"], [self._arn("ssm", version)]),
            _allow(
                "Describe",
                [
                    "cloudformation:DescribeStackEvents",
                    "cloudformation:DescribeStackResources",
                    "cloudformation:DescribeStacks",
                    "cloudformation:GetTemplate",
                ],
                [self._arn("cloudformation", f"stack/shop-{names}-*/*")],
            ),
        ]

    def _clean_up(self, names: str) -> list[iam.PolicyStatement]:
        """Take away what the stacks of ephemeral environments leave: by name, or by their tag."""
        tagged = {"StringLike": {"aws:ResourceTag/environment": names}}
        places = ("", "/aws/lambda/", "/aws/rds/cluster/", "/aws/rds/instance/", "/aws/rds/proxy/")
        return [
            _allow(
                "CleanUpLogs",
                ["logs:DeleteLogGroup"],
                [self._arn("logs", f"log-group:{place}shop-{names}") for place in places],
            ),
            _allow(
                "CleanUpNames",
                ["secretsmanager:DeleteSecret", "ssm:DeleteParameter"],
                [
                    self._arn("secretsmanager", f"secret:shop/{names}/*"),
                    *self._parameters(names),
                ],
            ),
            _allow(
                "CleanUpTagged",
                ["kms:ScheduleKeyDeletion", "rds:DeleteDBClusterSnapshot"],
                [self._arn("kms", "key/*"), self._arn("rds", "cluster-snapshot:*")],
                tagged,
            ),
            _allow(
                "CleanUpRehearsals",
                ["rds:DeleteDBCluster", "rds:DeleteDBInstance"],
                [
                    self._arn("rds", f"cluster:shop-{names}-rehearsal"),
                    self._arn("rds", f"db:shop-{names}-copy"),
                ],
            ),
            # Lambda makes them and tags none; one that is in use cannot be deleted.
            _allow(
                "CleanUpInterfaces", ["ec2:DeleteNetworkInterface"], [self._arn("ec2", "network-interface/*")]
            ),
        ]

    def _parameters(self, names: str) -> list[str]:
        return [self._arn("ssm", f"parameter/shop/{names}{below}") for below in ("", "/*")]

    def _bootstrap_roles(self) -> list[str]:
        where = f"{self.account}-{self.region}"
        return [
            self._iam(f"role/cdk-{self._roles.qualifier}-{kind}-role-{where}")
            for kind in ("deploy", "file-publishing")
        ]

    # --- what nobody may, whatever else a policy says

    def _most(self) -> list[iam.PolicyStatement]:
        own = self._iam(f"policy/{self._roles.boundary_name}")
        made, ours = self._iam("role/shop-*"), self._iam(f"role/{self._roles.prefix}-*")
        carried = {"iam:PermissionsBoundary": own}
        return [
            # A boundary gives nothing: what a role may do is what this and its own policies both allow.
            _allow("ServicesOfTheProject", [f"{service}:*" for service in SERVICES], ["*"]),
            _allow("HandOver", ["sts:AssumeRole"], self._bootstrap_roles()),
            _allow("RolesOfTheProject", ROLE_ACTIONS, [made]),
            _allow(
                "RolesOfServices", ["iam:CreateServiceLinkedRole"], [self._iam("role/aws-service-role/*")]
            ),
            _deny(
                "RolesCarryTheBoundary",
                ["iam:CreateRole", "iam:PutRolePermissionsBoundary"],
                ["*"],
                {"StringNotEquals": carried},
            ),
            _deny("TheBoundaryStays", ["iam:DeleteRolePermissionsBoundary"], ["*"]),
            _deny(
                "TheBoundaryStaysAsItIs",
                [
                    "iam:CreatePolicyVersion",
                    "iam:DeletePolicy",
                    "iam:DeletePolicyVersion",
                    "iam:SetDefaultPolicyVersion",
                ],
                [own],
            ),
            _deny(
                "ThePipelinesStayAsTheyAre",
                ROLE_ACTIONS,
                [
                    f"{ours.removesuffix('*')}plan",
                    *(f"{ours.removesuffix('*')}deploy-{one.name}" for one in self._roles.environments),
                ],
            ),
        ]

    def _arn(self, service: str, rest: str) -> str:
        return f"arn:{cdk.Aws.PARTITION}:{service}:{self.region}:{self.account}:{rest}"

    def _iam(self, rest: str) -> str:
        return f"arn:{cdk.Aws.PARTITION}:iam::{self.account}:{rest}"


SERVICES: Mapping[str, str] = {
    "backup": "plans and vaults",
    "backup-storage": "a vault's key is mounted by it",
    "cloudformation": "stacks describe themselves",
    "cloudtrail": "trails of data events",
    "cloudwatch": "alarms, dashboards, metrics",
    "ec2": "network, security groups, network interfaces of functions",
    "events": "rules that start functions",
    "kms": "keys of data and logs",
    "lambda": "functions",
    "logs": "log groups",
    "pi": "Database Insights",
    "rds": "cluster, instances, proxy",
    "rds-db": "logins by IAM",
    "s3": "assets, seed files, trails",
    "secretsmanager": "the administrator's secret and its rotation",
    "servicequotas": "whether there is room for an environment",
    "sns": "the alarms' topic",
    "sqs": "what a function could not handle",
    "ssm": "parameters with endpoints",
    "tag": "finding what a deployment has left",
    "xray": "traces",
}
"""Whose actions the boundary leaves open, and what for; of iam, only what stands below."""

ROLE_ACTIONS = [
    f"iam:{action}"
    for action in (
        "AttachRolePolicy",
        "CreateRole",
        "DeleteRole",
        "DeleteRolePolicy",
        "DetachRolePolicy",
        "GetRole",
        "GetRolePolicy",
        "ListAttachedRolePolicies",
        "ListRolePolicies",
        "ListRoleTags",
        "PassRole",
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
        "TagRole",
        "UntagRole",
        "UpdateAssumeRolePolicy",
        "UpdateRole",
        "UpdateRoleDescription",
    )
]
"""What CloudFormation does with the roles of stacks."""


LOOKS = (
    "backup:ListBackupVaults",
    "backup:ListRecoveryPointsByBackupVault",
    "cloudformation:DescribeStacks",
    "cloudwatch:ListDashboards",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeVpcEndpoints",
    "ec2:DescribeVpcs",
    "iam:ListRoles",
    "kms:DescribeKey",
    "kms:ListAliases",
    "lambda:ListFunctions",
    "logs:DescribeLogGroups",
    "rds:DescribeDBClusterAutomatedBackups",
    "rds:DescribeDBClusterParameterGroups",
    "rds:DescribeDBClusterSnapshots",
    "rds:DescribeDBClusters",
    "rds:DescribeDBEngineVersions",
    "rds:DescribeDBInstances",
    "rds:DescribeDBParameterGroups",
    "rds:DescribeDBProxies",
    "rds:DescribeDBSubnetGroups",
    "rds:DescribeEventSubscriptions",
    "secretsmanager:ListSecrets",
    "tag:GetResources",
)
"""How an environment is found, and what a destroy has left: names and states, and nothing's content."""

ASKS = (
    "lambda:GetAccountSettings",
    "servicequotas:GetAWSDefaultServiceQuota",
    "servicequotas:GetServiceQuota",
)
"""How much an account may have (operate/quotas.py)."""


def _allow(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    conditions: Mapping[str, Any] | None = None,
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=sid, actions=list(actions), resources=list(resources), conditions=conditions
    )


def _deny(
    sid: str, actions: Sequence[str], resources: Sequence[str], conditions: Mapping[str, Any] | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=sid,
        effect=iam.Effect.DENY,
        actions=list(actions),
        resources=list(resources),
        conditions=conditions,
    )
