"""What a case is made of: a request, its policies, the decision, and the page of AWS's that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from localcloud.iam.evaluation import AccessRequest, Policies, Principal
from localcloud.iam.policy import Policy

USER_GUIDE = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"

ACCOUNT = "111122223333"
OTHER_ACCOUNT = "444455556666"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/examplerole"
SESSION_ARN = f"arn:aws:sts::{ACCOUNT}:assumed-role/examplerole/examplesession"
USER_ARN = f"arn:aws:iam::{ACCOUNT}:user/exampleuser"
ROOT_ARN = f"arn:aws:iam::{ACCOUNT}:root"

SESSION = Principal(SESSION_ARN, ACCOUNT, ROLE_ARN)
USER = Principal(USER_ARN, ACCOUNT)
SERVICE = Principal("lambda.amazonaws.com", ACCOUNT, service="lambda.amazonaws.com")

ACTION = "secretsmanager:GetSecretValue"
RESOURCE = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:shop/admin-AbCdEf"

ALLOWED = ""
NO_IDENTITY = "because no identity-based policy allows the {action} action"
NO_BOUNDARY = "because no permissions boundary allows the {action} action"
NO_SESSION = "because no session policy allows the {action} action"
NO_RESOURCE = "because no resource-based policy allows the {action} action"
NO_TRUST = "because no role trust policy allows the {action} action"
NO_ENDPOINT = "because no VPC endpoint policy allows the {action} action"
DENY_IN_IDENTITY = "with an explicit deny in an identity-based policy"
DENY_IN_BOUNDARY = "with an explicit deny in a permissions boundary"
DENY_IN_SESSION = "with an explicit deny in a session policy"
DENY_IN_RESOURCE = "with an explicit deny in a resource-based policy"
DENY_IN_TRUST = "with an explicit deny in the role trust policy"
DENY_IN_ENDPOINT = "with an explicit deny in a VPC endpoint policy"


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    id: str
    reference: str
    expected: str
    request: AccessRequest
    policies: Policies


def allow(action: Any = ACTION, resource: Any = "*", **elements: Any) -> dict[str, Any]:
    """Return a statement that allows."""
    return _statement("Allow", action, resource, elements)


def deny(action: Any = ACTION, resource: Any = "*", **elements: Any) -> dict[str, Any]:
    """Return a statement that denies."""
    return _statement("Deny", action, resource, elements)


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> Policy:
    """Return the policy of some statements."""
    return Policy.parse({"Version": version, "Statement": list(statements)})


def case(
    name: str,
    page: str,
    expected: str,
    *,
    principal: Principal = SESSION,
    action: str = ACTION,
    resource: str = RESOURCE,
    context: dict[str, str | list[str]] | None = None,
    identity: Any = (),
    **policies: Any,
) -> Case:
    """Return a case; `page` is a page of the user guide or a whole URL, policies are lists of statements."""
    reference = page if page.startswith("https://") else USER_GUIDE + page
    for kind in {"boundary", "session", "endpoint", "resource_policy"} & set(policies):
        policies[kind] = policy(*policies[kind])
    if "resource_policy" in policies:
        policies["resource"] = policies.pop("resource_policy")
    attached = [one if isinstance(one, Policy) else policy(one) for one in identity]
    return Case(
        name,
        reference,
        expected.format(action=action),
        AccessRequest(principal, action, resource, context or {}),
        Policies(identity=attached, **policies),
    )


def _statement(effect: str, action: Any, resource: Any, elements: dict[str, Any]) -> dict[str, Any]:
    statement = {"Effect": effect, **elements}
    if "NotAction" not in elements:
        statement["Action"] = action
    if "NotResource" not in elements and resource is not None:
        statement["Resource"] = resource
    return statement
