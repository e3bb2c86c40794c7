"""What AWS's services do with the roles that they are given, and what they refuse where a role does not fit.

Nothing is asked where the enforcement of IAM (or of KMS, for keys) is switched off.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from localcloud.authorization import sessions
from localcloud.authorization.api_calls import ApiCall, Target
from localcloud.authorization.authorizer import ALLOWED, Authorizer
from localcloud.authorization.denials import Denied
from localcloud.cloud import Cloud
from localcloud.enforcements import Enforcement
from localcloud.iam.evaluation import AccessRequest, Decision, Policies, Principal, evaluate
from localcloud.iam.policy import Policy

LAMBDA = "lambda.amazonaws.com"
RDS = "rds.amazonaws.com"
MONITORING = "monitoring.rds.amazonaws.com"
FLOW_LOGS = "vpc-flow-logs.amazonaws.com"
SECRETS_MANAGER = "secretsmanager.amazonaws.com"

# "Giving Lambda functions access to resources in an Amazon VPC", Lambda developer guide
_INTERFACE_ACTIONS = ("CreateNetworkInterface", "DescribeNetworkInterfaces", "DeleteNetworkInterface")
# "Visualize Lambda function invocations using AWS X-Ray", Lambda developer guide
_TRACING_ACTIONS = ("PutTraceSegments", "PutTelemetryRecords")
# "Setting up and enabling Enhanced Monitoring", RDS user guide
_MONITORING_ACTIONS = (
    "logs:CreateLogGroup",
    "logs:PutRetentionPolicy",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
)
# "IAM role for publishing flow logs to CloudWatch Logs", VPC user guide
_FLOW_LOG_ACTIONS = ("logs:CreateLogStream", "logs:PutLogEvents")

_log = logging.getLogger(__name__)


def may_assume(cloud: Cloud, role_arn: str, service: str, *, source_arn: str | None = None) -> Decision:
    """Return whether the role's trust policy lets the service assume it."""
    if not cloud.enforces(Enforcement.IAM):
        return ALLOWED
    trust = sessions.trust_policy(role_arn) or Policy(())
    request = AccessRequest(
        Principal(service, cloud.account, service=service),
        "sts:AssumeRole",
        role_arn,
        _source(cloud, source_arn),
    )
    return evaluate(request, Policies(resource=trust, resource_policy_decides=True))


def why_no_function(
    cloud: Cloud, role_arn: str, *, in_vpc: bool, traced: bool = False, dead_letters: str | None = None
) -> str | None:
    """Return in Lambda's words why it creates no function with this role; None when it does.

    `dead_letters` is the ARN of the queue or topic that gets the events of failed invocations.
    """
    if not may_assume(cloud, role_arn, LAMBDA).allowed:
        return "The role defined for the function cannot be assumed by Lambda."
    needed = [("ec2", action, "*") for action in _INTERFACE_ACTIONS if in_vpc]
    needed += [("xray", action, "*") for action in _TRACING_ACTIONS if traced]
    needed += [_dead_letter_action(dead_letters)] if dead_letters else []
    for service, action, resource in needed:
        if not _may(cloud, role_arn, f"{service}:{action}", resource).allowed:
            return (
                f"The provided execution role does not have permissions to call {action} on {service.upper()}"
            )
    return None


def _dead_letter_action(arn: str) -> tuple[str, str, str]:
    service = arn.split(":")[2]
    return service, {"sqs": "SendMessage", "sns": "Publish"}.get(service, "SendMessage"), arn


def may_trace(cloud: Cloud, role_arn: str) -> bool:
    """Return whether the segments of a function with this role reach X-Ray."""
    return _may(cloud, role_arn, "xray:PutTraceSegments", "*").allowed


def log_rights(cloud: Cloud, role_arn: str, region: str, group: str) -> Callable[[str], bool]:
    """Return whether a function's role lets its log into the group: asked for an action of logs, by name."""

    def may(action: str) -> bool:
        stream = f"arn:aws:logs:{region}:{role_arn.split(':')[4]}:log-group:{group}:log-stream:"
        decision = _may(cloud, role_arn, f"logs:{action}", stream)
        if not decision.allowed:
            _log.warning("the log of %s gets no entry: %s %s", group, role_arn, decision.reason)
        return decision.allowed

    return may


def why_no_rotation(cloud: Cloud, function: Any, secret_arn: str) -> str | None:
    """Return in Secrets Manager's words why it cannot rotate with this function; None when it can."""
    if not cloud.enforces(Enforcement.IAM):
        return None
    statements = function.policy.statements if function.policy else []
    policy = Policy.parse({"Version": "2012-10-17", "Statement": statements}) if statements else Policy(())
    principal = Principal(SECRETS_MANAGER, cloud.account, service=SECRETS_MANAGER)
    request = AccessRequest(
        principal, "lambda:InvokeFunction", function.function_arn, _source(cloud, secret_arn)
    )
    if evaluate(request, Policies(resource=policy)).allowed:
        return None
    return (
        "Secrets Manager cannot invoke the specified Lambda function."
        f" Ensure that the function policy grants access to the principal {SECRETS_MANAGER}."
    )


def why_secret_unreadable(cloud: Cloud, role_arn: str, region: str, secret_arn: str) -> str | None:
    """Return why RDS Proxy cannot read a secret with its role, trust and key included; None when it can."""
    trust = may_assume(cloud, role_arn, RDS)
    if not trust.allowed:
        return f"{RDS} cannot assume {role_arn} {trust.reason}"
    session = sessions.session_of_role(role_arn, region, name="rds-proxy")
    account = role_arn.split(":")[4]
    call = ApiCall("secretsmanager", "GetSecretValue", {"SecretId": secret_arn}, account, region)
    try:
        Authorizer.of(cloud).check(session, call)
    except Denied as denial:
        return str(denial.message)
    return None


def why_no_monitoring(cloud: Cloud, role_arn: str, region: str) -> str | None:
    """Return in RDS's words why it takes no Enhanced Monitoring with this role; None when it does."""
    group = f"arn:aws:logs:{region}:{role_arn.split(':')[4]}:log-group:RDSOSMetrics:log-stream:instance"
    fits = may_assume(cloud, role_arn, MONITORING).allowed and _may_all(
        cloud, role_arn, _MONITORING_ACTIONS, group
    )
    if fits:
        return None
    return (
        "IAM role ARN value is invalid or does not include the required permissions for: ENHANCED_MONITORING"
    )


def may_deliver_flow_logs(cloud: Cloud, role_arn: str, region: str, group: str) -> bool:
    """Return whether a flow log reaches its log group with this role."""
    stream = f"arn:aws:logs:{region}:{role_arn.split(':')[4]}:log-group:{group}:log-stream:eni"
    return may_assume(cloud, role_arn, FLOW_LOGS).allowed and _may_all(
        cloud, role_arn, _FLOW_LOG_ACTIONS, stream
    )


def may_connect(cloud: Cloud, role_arn: str, database_user_arn: str) -> Decision:
    """Return whether a service's session of the role, as RDS Proxy's, may log in as a database user."""
    if not cloud.enforces(Enforcement.DATABASE_IAM):
        return ALLOWED
    trust = may_assume(cloud, role_arn, RDS)
    if not trust.allowed:
        return trust
    return Authorizer.of(cloud).allows(role_arn, "rds-db:connect", database_user_arn)


def key_may_connect(cloud: Cloud, access_key_id: str, database_user_arn: str) -> Decision:
    """Return whether the holder of an access key may log in as a database user; administrators may."""
    if not cloud.enforces(Enforcement.DATABASE_IAM):
        return ALLOWED
    authorizer = Authorizer.of(cloud)
    session = authorizer.session_of_key(access_key_id)
    if session is None:
        return ALLOWED
    return authorizer.decide(session, Target("rds-db:connect", database_user_arn))


def _may(cloud: Cloud, role_arn: str, action: str, resource: str) -> Decision:
    if not cloud.enforces(Enforcement.IAM):
        return ALLOWED
    return Authorizer.of(cloud).allows(role_arn, action, resource)


def _may_all(cloud: Cloud, role_arn: str, actions: Sequence[str], resource: str) -> bool:
    return all(_may(cloud, role_arn, action, resource).allowed for action in actions)


def _source(cloud: Cloud, arn: str | None) -> dict[str, str | list[str]]:
    """Return what a service says of whom it acts for."""
    return {"aws:SourceAccount": cloud.account, **({"aws:SourceArn": arn} if arn else {})}
