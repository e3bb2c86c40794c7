"""The errors with which AWS's services deny a call: each service's own code, the text of IAM."""

from __future__ import annotations

from moto.core.exceptions import ServiceException

from localcloud.authorization.api_calls import Target
from localcloud.iam.evaluation import Decision, Principal

# "Common errors" of each service's API reference; all others say AccessDeniedException.
_CODES = {
    "autoscaling": "AccessDenied",
    "cloudformation": "AccessDenied",
    "cloudwatch": "AccessDenied",
    "ec2": "UnauthorizedOperation",
    "elbv2": "AccessDenied",
    "iam": "AccessDenied",
    "rds": "AccessDenied",
    "s3": "AccessDenied",
    "ses": "AccessDenied",
    "sns": "AuthorizationError",
    "sqs": "AccessDenied",
    "sts": "AccessDenied",
}


class Denied(ServiceException):  # type: ignore[misc]
    """What the service answers; the text is IAM's."""

    def __init__(self, service: str, message: str) -> None:
        super().__init__(_CODES.get(service, "AccessDeniedException"), message)


def denied(service: str, principal: Principal, target: Target, decision: Decision) -> Denied:
    """Return the error for a decision, after "Troubleshoot access denied error messages" in the IAM guide."""
    if service == "ec2":
        return Denied(
            service, f"You are not authorized to perform this operation. {_text(principal, target, decision)}"
        )
    return Denied(service, _text(principal, target, decision))


def kms_denied_to_secrets_manager() -> Denied:
    """Return what Secrets Manager says when KMS refuses the key of a secret.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html
    """
    return Denied("secretsmanager", "Access to KMS is not allowed")


def not_known(what: str) -> Denied:
    """Return the refusal of a call that the local cloud cannot judge: what AWS would say is not known."""
    return Denied(
        "",
        f"The local cloud cannot tell {what}, so it does not let the call pass."
        " `--without iam` switches its IAM off.",
    )


def _text(principal: Principal, target: Target, decision: Decision) -> str:
    # S3 alone has the resource in quotation marks
    resource = f'"{target.arn}"' if target.action.startswith("s3:") else target.arn
    return (
        f"User: {principal.arn} is not authorized to perform: {target.action}"
        f" on resource: {resource} {decision.reason}"
    )
