"""What a service of AWS asks for in its own name: the resource's own policy alone decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.authorization.authorizer import ALLOWED
from localcloud.cloud import Cloud
from localcloud.enforcements import Enforcement
from localcloud.iam.evaluation import AccessRequest, Decision, Policies, Principal, evaluate
from localcloud.iam.policy import Policy

Context = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class ServiceCall:
    """A service that acts for a resource of the account, which conditions know as aws:SourceArn."""

    cloud: Cloud
    service: str
    source_arn: str
    tells_source: bool = True
    """Whether conditions see for what it acts."""

    def may(
        self,
        action: str,
        resource: str,
        policy: Policy,
        context: Context | None = None,
        *,
        enforcement: Enforcement = Enforcement.IAM,
    ) -> Decision:
        """Return whether the policy of the resource lets it; yes, where nothing of the kind is enforced."""
        if not self.cloud.enforces(enforcement):
            return ALLOWED
        account = self.cloud.account
        source = {"aws:SourceAccount": account, "aws:SourceArn": self.source_arn} if self.tells_source else {}
        asked = {**source, **(context or {})}
        return evaluate(
            AccessRequest(Principal(self.service, account, service=self.service), action, resource, asked),
            Policies(resource=policy, resource_policy_decides=True),
        )
