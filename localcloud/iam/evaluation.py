"""Whether a request is allowed, and AWS's own words for why not.

IAM User Guide: "How AWS enforcement code logic evaluates requests to allow or deny access", "Cross-account
policy evaluation logic", "Permissions boundaries for IAM entities", "Troubleshoot access denied error
messages".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from localcloud.iam.policy import Policy, Statement
from localcloud.iam.principals import Naming, Principal
from localcloud.iam.variables import Context

__all__ = ["AccessRequest", "Decision", "Policies", "Principal", "evaluate"]


@dataclass(frozen=True)
class AccessRequest:
    """Who wants to do what with which resource."""

    principal: Principal
    action: str
    """As "secretsmanager:GetSecretValue"."""
    resource: str
    """An ARN, or "*" for an action that is not about a resource."""
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """Condition keys in any case: a text for a single-valued key, a sequence for a multivalued one."""


@dataclass(frozen=True)
class Policies:
    """The policies that apply to a request."""

    identity: Sequence[Policy] = ()
    """Inline and managed policies of the user or role."""
    boundary: Policy | None = None
    session: Policy | None = None
    endpoint: Policy | None = None
    """Of the VPC endpoint through which the request came."""
    resource: Policy | None = None
    resource_account: str | None = None
    """Whose the resource is; None: the principal's own account's."""
    resource_policy_decides: bool = False
    """Key policies and trust policies: without them, nothing that IAM says suffices."""


@dataclass(frozen=True)
class Decision:
    """Allowed, or not for a reason in AWS's words, to be put behind "… on resource: ARN"."""

    allowed: bool
    reason: str = ""


_ALLOWED = Decision(allowed=True)
_IDENTITY = "identity-based policy"
_BOUNDARY = "permissions boundary"
_SESSION = "session policy"
_ENDPOINT = "VPC endpoint policy"
_RESOURCE = "resource-based policy"
_TRUST = "role trust policy"


def evaluate(request: AccessRequest, policies: Policies) -> Decision:
    """Return whether AWS would allow the request: nothing denies it, and all that has to allow it does."""
    asked = _Asked(request, policies)
    if (kind := asked.denied_by()) is not None:
        article = "the" if kind is _TRUST else "an" if kind is _IDENTITY else "a"
        return Decision(allowed=False, reason=f"with an explicit deny in {article} {kind}")
    if (kind := asked.not_allowed_by()) is not None:
        return Decision(allowed=False, reason=f"because no {kind} allows the {request.action} action")
    return _ALLOWED


class _Asked:
    """One request before its policies. The order of the questions is that of AWS's flow chart."""

    def __init__(self, request: AccessRequest, policies: Policies) -> None:
        self._principal = request.principal
        self._action = request.action.lower()
        self._resource = request.resource
        self._context: Context = {key.lower(): value for key, value in request.context.items()}
        self._policies = policies

    def denied_by(self) -> str | None:
        """Return the kind of policy with a Deny for the request; it outweighs every Allow."""
        own = self._policies
        if own.resource and any(map(self._meant_by_deny, self._speaking(own.resource.denying))):
            return self._kind_of_resource_policy
        if any(self._speaks(policy.denying) for policy in own.identity):
            return _IDENTITY
        if own.boundary and self._speaks(own.boundary.denying):
            return _BOUNDARY
        if own.session and self._speaks(own.session.denying):
            return _SESSION
        if own.endpoint and any(map(self._meant_by_deny, self._speaking(own.endpoint.denying))):
            return _ENDPOINT
        return None

    def not_allowed_by(self) -> str | None:
        """Return the kind of policy whose Allow is missing; None if none is."""
        own = self._policies
        granted = self._granted(own.resource)
        if own.endpoint and not self._granted(own.endpoint):
            return _ENDPOINT
        if granted is Naming.ITSELF and (self._within_one_account or self._principal.service):
            return None
        if not granted and not self._iam_may_suffice:
            return self._kind_of_resource_policy
        return self._not_allowed_by_iam(granted_to_role=granted is Naming.ROLE and self._within_one_account)

    def _not_allowed_by_iam(self, *, granted_to_role: bool) -> str | None:
        own = self._policies
        if not granted_to_role and not any(self._speaks(policy.allowing) for policy in own.identity):
            return _IDENTITY
        if own.boundary and not self._speaks(own.boundary.allowing):
            return _BOUNDARY
        if own.session and not self._speaks(own.session.allowing):
            return _SESSION
        return None

    @property
    def _within_one_account(self) -> bool:
        return self._policies.resource_account in (None, self._principal.account)

    @property
    def _iam_may_suffice(self) -> bool:
        """Whether the resource's policy may be silent: not on a key or a trust, not in another account.

        A service has no policies of its own at all.
        """
        decides = self._policies.resource_policy_decides
        return not decides and self._within_one_account and self._principal.service is None

    @property
    def _kind_of_resource_policy(self) -> str:
        return _TRUST if self._action.startswith("sts:") else _RESOURCE

    def _granted(self, policy: Policy | None) -> Naming:
        """Return how closely an Allow of a resource's or an endpoint's policy names the principal."""
        speaking = self._speaking(policy.allowing) if policy else ()
        return max(map(self._meant_by_allow, speaking), default=Naming.NOT)

    def _meant_by_allow(self, statement: Statement) -> Naming:
        if statement.not_principals:
            named = statement.not_principals.naming(self._principal)
            return Naming.NOT if named else Naming.ITSELF
        return statement.principals.naming(self._principal) if statement.principals else Naming.NOT

    def _meant_by_deny(self, statement: Statement) -> bool:
        if statement.not_principals:
            # whoever has a boundary is denied, named or not ("Permissions boundaries for IAM entities")
            return bool(self._policies.boundary) or not statement.not_principals.spare(self._principal)
        return bool(statement.principals and statement.principals.naming(self._principal))

    def _speaks(self, statements: Iterable[Statement]) -> bool:
        return any(True for _ in self._speaking(statements))

    def _speaking(self, statements: Iterable[Statement]) -> Iterator[Statement]:
        """Yield the statements that are about this action, resource and context."""
        for statement in statements:
            if statement.applies(self._action, self._resource, self._context):
                yield statement
