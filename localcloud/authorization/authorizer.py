"""Decides whether a role may do what it asks for. Who runs the cloud is an administrator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from localcloud.authorization import denials, sessions, targets
from localcloud.authorization.api_calls import ApiCall, Target, Unmapped
from localcloud.authorization.sessions import Session
from localcloud.cloud import Cloud
from localcloud.enforcements import Enforcement
from localcloud.iam.evaluation import AccessRequest, Decision, evaluate
from localcloud.refusals import Refusals

ALLOWED = Decision(allowed=True)
SERVICE_SESSION = "service"


class Authorizer:
    """Everything that IAM decides in one cloud. A part of it: `cloud.part(Authorizer, Authorizer)`."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._refusals = Refusals.of(cloud)

    @classmethod
    def of(cls, cloud: Cloud) -> Authorizer:
        """Return the authorizer of a cloud."""
        return cloud.part(cls, cls)

    @property
    def enforced(self) -> bool:
        """Whether calls are judged at all."""
        return self.cloud.enforces(Enforcement.IAM) or self.cloud.enforces(Enforcement.KMS)

    def session_of_key(self, access_key_id: str, region: str | None = None) -> Session | None:
        """Return whose rights a key has; None for an administrator's."""
        return sessions.session_of_key(access_key_id, region or self.cloud.region)

    def check(self, session: Session, call: ApiCall) -> None:
        """Return for a call that AWS would let pass; raise Denied, the service's own error."""
        if f"{call.prefix}:{call.operation}" in targets.ALWAYS_ALLOWED:
            return
        if self.cloud.enforces(Enforcement.IAM):
            self._check_action(session, call)
        if self.cloud.enforces(Enforcement.KMS):
            self._check_keys(session, call)

    def check_targets(self, session: Session, call: ApiCall, about: Sequence[Target]) -> None:
        """Return where all of it is allowed; raise Denied with the first that is not."""
        for target in about:
            decision = self.decide(session, target, call)
            if not decision.allowed:
                what = f"{target.action} on {target.arn} {decision.reason}"
                self._refusals.record(Enforcement.IAM, session.principal.arn, what)
                raise denials.denied(call.service, session.principal, target, decision)

    def decide(self, session: Session, target: Target, call: ApiCall | None = None) -> Decision:
        """Return IAM's decision about one action on one resource."""
        path = call.path if call else None
        endpoint = sessions.parsed(path.endpoint_policy) if path and path.endpoint_policy else None
        context = {
            "aws:ResourceAccount": target.account or self.cloud.account,
            **session.context,
            **(path.context if path else {}),
            **target.context,
        }
        policies = replace(
            session.policies,
            endpoint=endpoint,
            resource=target.policy,
            resource_account=target.account,
            resource_policy_decides=target.policy_decides,
        )
        return evaluate(AccessRequest(session.principal, target.action, target.arn, context), policies)

    def allows(
        self,
        role_arn: str,
        action: str,
        resource: str,
        context: Mapping[str, str | list[str]] | None = None,
        *,
        session_name: str = SERVICE_SESSION,
    ) -> Decision:
        """Return whether a role may do this, as an action without a policy of the resource's own."""
        session = sessions.session_of_role(role_arn, self.cloud.region, name=session_name)
        return self.decide(session, Target(action, resource, context or {}))

    def _check_action(self, session: Session, call: ApiCall) -> None:
        try:
            about = targets.targets_of(call)
        except Unmapped as gap:
            what = f"{call.service}:{call.operation} cannot be judged: the local cloud does not know {gap}"
            self._refusals.record(Enforcement.IAM, session.principal.arn, what)
            raise denials.not_known(str(gap)) from None
        self.check_targets(session, call, about)

    def _check_keys(self, session: Session, call: ApiCall) -> None:
        """Secrets Manager uses a secret's key with the caller's rights."""
        actions = _KEY_ACTIONS.get((call.service, call.operation))
        secret = targets.secret_of(call) if actions else None
        if not actions or secret is None or not secret.kms_key_id:
            return
        context: dict[str, str | list[str]] = {
            "kms:ViaService": f"secretsmanager.{call.region}.amazonaws.com",
            "kms:EncryptionContext:SecretARN": secret.arn,
            "kms:EncryptionContextKeys": ["SecretARN", "SecretVersionId"],
        }
        for action in actions:
            target = targets.key_target(call, secret.kms_key_id, action, context)
            decision = self.decide(session, target) if target else ALLOWED
            if target and not decision.allowed:
                what = f"{action} with {target.arn} via Secrets Manager {decision.reason}"
                self._refusals.record(Enforcement.KMS, session.principal.arn, what)
                raise denials.kms_denied_to_secrets_manager()


# "Secret encryption and decryption in AWS Secrets Manager": which rights on the key each operation needs.
_KEY_ACTIONS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("secretsmanager", "GetSecretValue"): ("kms:Decrypt",),
    ("secretsmanager", "PutSecretValue"): ("kms:GenerateDataKey", "kms:Decrypt"),
    ("secretsmanager", "UpdateSecret"): ("kms:GenerateDataKey", "kms:Decrypt"),
}
