"""What a call is about, service by service.

Actions, their resource types and ARN formats come from AWS's Service Authorization Reference
(localcloud/iam/actions.py). Here stands what the reference does not say: which parameter of a request holds
which part of an ARN, where an action's name is not the operation's, and what policies the resources have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from localcloud.authorization import sessions
from localcloud.authorization.api_calls import ApiCall, Target, Unmapped
from localcloud.iam import actions
from localcloud.iam.policy import Policy

ALWAYS_ALLOWED = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken"})
"""https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html: no permission is needed."""


def targets_of(call: ApiCall) -> list[Target]:
    """Return what the caller has to be allowed, all of it; Unmapped where the local cloud cannot tell."""
    specific = _SERVICES.get(call.service)
    found = list(specific(call)) if specific else []
    return found or [_by_reference(call)]


def key_target(
    call: ApiCall, key_id: str, action: str, context: Mapping[str, str | list[str]]
) -> Target | None:
    """Return the use of a KMS key; None for a key that AWS manages: the account's callers may use it."""
    backend = kms_backends[call.account][call.region]
    try:
        key = backend.describe_key(backend.any_id_to_key_id(key_id))
    except Exception:
        named = key_id if key_id.startswith("arn:") else call.arn(f"key/{key_id}", service="kms")
        return Target(action, named)
    if str(key_id).rpartition("alias/")[2].startswith("aws/") or key.key_manager == "AWS":
        return None
    told = {"kms:CallerAccount": call.account, **context}
    return Target(action, key.arn, told, Policy.parse(key.policy), policy_decides=True)


def secret_of(call: ApiCall) -> Any:
    """Return the secret that a call names, by name, ARN or ARN without its random end; None without one."""
    wanted = call.parameters.get("SecretId")
    if not wanted:
        return None
    secrets = list(secretsmanager_backends[call.account][call.region].secrets.values())
    return next((one for one in secrets if wanted in (one.arn, one.name, one.arn[:-7])), None)


def _secretsmanager(call: ApiCall) -> Iterator[Target]:
    wanted = call.parameters.get("SecretId")
    if not wanted:
        if call.operation == "CreateSecret":  # the six characters behind the name are not known yet
            yield Target(_action(call), call.arn(f"secret:{call.parameters['Name']}-??????"))
        return
    secret = secret_of(call)
    context: dict[str, str | list[str]] = {"secretsmanager:SecretId": wanted}
    if call.operation in ("GetSecretValue", "BatchGetSecretValue"):
        context["secretsmanager:VersionStage"] = call.parameters.get("VersionStage", "AWSCURRENT")
    if secret is None:
        yield Target(_action(call), wanted, context)  # AWS too looks at the bare name of what is not there
        return
    context |= _tags(secret.tags, "secretsmanager:ResourceTag/", "aws:ResourceTag/")
    policy = Policy.parse(secret.policy) if secret.policy else None
    yield Target(_action(call), secret.arn, context, policy)


def _kms(call: ApiCall) -> Iterator[Target]:
    key_id = call.parameters.get("KeyId") or call.parameters.get("SourceKeyId")
    if key_id is None and call.operation in ("Decrypt", "ReEncrypt"):
        key_id = _key_of_ciphertext(call)
    if key_id is None:
        return
    context = {
        f"kms:EncryptionContext:{name}": str(value)
        for name, value in call.parameters.get("EncryptionContext", {}).items()
    }
    if call.operation == "ReEncrypt":
        other = call.parameters["DestinationKeyId"]
        uses = [("kms:ReEncryptFrom", key_id), ("kms:ReEncryptTo", other)]
    else:
        uses = [(_action(call), key_id)]
    for action, key in uses:
        target = key_target(call, key, action, context)
        if target is not None:
            yield target


def _key_of_ciphertext(call: ApiCall) -> str | None:
    """Return the key id that moto writes at the beginning of what it encrypts."""
    blob = call.parameters.get("CiphertextBlob", b"")
    found = re.match(rb"[0-9a-f-]{36}", blob if isinstance(blob, bytes) else str(blob).encode())
    return found[0].decode() if found else None


def _lambda(call: ApiCall) -> Iterator[Target]:
    name = call.parameters.get("FunctionName")
    if not name:
        return
    function, _, qualifier = _function_parts(name)
    qualifier = call.parameters.get("Qualifier") or qualifier
    arn = call.arn(f"function:{function}") + (f":{qualifier}" if qualifier else "")
    yield Target(_action(call), arn, {}, _function_policy(call, function))


def _function_parts(name: str) -> tuple[str, str, str]:
    """Split NAME, NAME:QUALIFIER, ACCOUNT:function:NAME and ARNs with or without a qualifier."""
    _, colon, rest = name.rpartition("function:")
    return (rest if colon else name).partition(":")


def _function_policy(call: ApiCall, name: str) -> Policy | None:
    functions = lambda_backends[call.account][call.region].list_functions(None)
    function = next((one for one in functions if one.function_name == name), None)
    if function is None or function.policy is None or not function.policy.statements:
        return None
    return Policy.parse({"Version": "2012-10-17", "Statement": function.policy.statements})


def _logs(call: ApiCall) -> Iterator[Target]:
    """AWS's denials name log streams, also for calls whose type in the reference is the log group."""
    group = call.parameters.get("logGroupName") or call.parameters.get("logGroupIdentifier")
    if group:
        name = group.rpartition("log-group:")[2].removesuffix(":*")
        stream = call.parameters.get("logStreamName", "")
        yield Target(_action(call), call.arn(f"log-group:{name}:log-stream:{stream}"))


def _ssm(call: ApiCall) -> Iterator[Target]:
    names = call.parameters.get("Names") or [call.parameters.get(key) for key in ("Name", "Path")]
    for name in filter(None, names):
        parameter = name if name.startswith("arn:") else call.arn(f"parameter/{name.lstrip('/')}")
        yield Target(_action(call), parameter)


def _sns(call: ApiCall) -> Iterator[Target]:
    arn = call.parameters.get("TopicArn") or call.parameters.get("TargetArn")
    if not arn and "PhoneNumber" in call.parameters:
        yield Target(_action(call), call.parameters["PhoneNumber"])
    if arn:
        topic = sns_backends[call.account][call.region].topics.get(arn)
        yield Target(_action(call), arn, {}, _given_policy(getattr(topic, "policy", None)))


def _sqs(call: ApiCall) -> Iterator[Target]:
    name = call.parameters.get("QueueName") or str(call.parameters.get("QueueUrl", "")).rpartition("/")[2]
    if name:
        queue = sqs_backends[call.account][call.region].queues.get(name)
        policy = _given_policy(getattr(queue, "policy", None))
        yield Target(_action(call), call.arn(name), {}, policy)


def _dynamodb(call: ApiCall) -> Iterator[Target]:
    table = call.parameters.get("TableName")
    if table:
        index = call.parameters.get("IndexName")
        yield Target(_action(call), _table(call, table) + (f"/index/{index}" if index else ""))
    for name in call.parameters.get("RequestItems", {}):
        yield Target(_action(call), _table(call, name))
    for item in call.parameters.get("TransactItems", ()):
        for kind, request in item.items():  # authorised as what each item is
            action = "ConditionCheckItem" if kind == "ConditionCheck" else f"{kind}Item"
            yield Target(f"dynamodb:{action}", _table(call, request["TableName"]))


def _table(call: ApiCall, name: str) -> str:
    return name if name.startswith("arn:") else call.arn(f"table/{name}")


def _iam(call: ApiCall) -> Iterator[Target]:
    """Roles, users and groups are named; their paths are theirs."""
    for kind in ("Role", "User", "Group"):
        name = call.parameters.get(f"{kind}Name")
        if name:
            found = _named(call, kind, name)
            arn = found.arn if found else f"arn:aws:iam::{call.account}:{kind.lower()}/{name}"
            yield Target(_action(call), arn)
            return


def _named(call: ApiCall, kind: str, name: str) -> Any:
    backend = iam_backends[call.account]["aws"]
    known = {"Role": backend.roles, "User": backend.users, "Group": backend.groups}[kind]
    return next((one for one in list(known.values()) if one.name == name), None)


def _events(call: ApiCall) -> Iterator[Target]:
    for entry in call.parameters.get("Entries", ()):
        bus = entry.get("EventBusName", "default")
        yield Target(_action(call), bus if bus.startswith("arn:") else call.arn(f"event-bus/{bus}"))


def _cloudformation(call: ApiCall) -> Iterator[Target]:
    name = call.parameters.get("StackName")
    if name:
        yield Target(_action(call), name if name.startswith("arn:") else call.arn(f"stack/{name}/*"))


def _rds(call: ApiCall) -> Iterator[Target]:
    """The reference names parts of RDS's ARNs otherwise than its parameters."""
    for parameter, kind in _RDS_RESOURCES.items():
        name = call.parameters.get(parameter)
        if name:
            yield Target(_action(call), name if name.startswith("arn:") else call.arn(f"{kind}:{name}"))
            return


_RDS_RESOURCES = {
    "DBClusterIdentifier": "cluster",
    "DBInstanceIdentifier": "db",
    "DBClusterParameterGroupName": "cluster-pg",
    "DBParameterGroupName": "pg",
    "DBSubnetGroupName": "subgrp",
    "DBClusterSnapshotIdentifier": "cluster-snapshot",
    "DBSnapshotIdentifier": "snapshot",
    "ResourceName": "",
}


def _sts(call: ApiCall) -> Iterator[Target]:
    role_arn = call.parameters.get("RoleArn")
    if role_arn:
        context: dict[str, str | list[str]] = {
            "sts:RoleSessionName": call.parameters.get("RoleSessionName", "")
        }
        if "ExternalId" in call.parameters:
            context["sts:ExternalId"] = call.parameters["ExternalId"]
        trust = sessions.trust_policy(role_arn) or Policy(())
        account = role_arn.split(":")[4]
        yield Target(_action(call), role_arn, context, trust, policy_decides=True, account=account)


_SERVICES: Mapping[str, Callable[[ApiCall], Iterator[Target]]] = {
    "cloudformation": _cloudformation,
    "dynamodb": _dynamodb,
    "events": _events,
    "iam": _iam,
    "kms": _kms,
    "lambda": _lambda,
    "logs": _logs,
    "rds": _rds,
    "secretsmanager": _secretsmanager,
    "sns": _sns,
    "sqs": _sqs,
    "ssm": _ssm,
    "sts": _sts,
}


def _by_reference(call: ApiCall) -> Target:
    """Return what AWS's reference says an action is about, its ARN filled from parameters of those names."""
    action = _action(call)
    types = actions.resource_types(*action.split(":"))
    for one in types:
        arn = _filled(one.arn_format, call)
        if arn is not None:
            return Target(action, arn)
    if types and (any(one.required for one in types) or _names_something(call)):
        raise Unmapped(f"which {' or '.join(one.name for one in types)} {action} is about")
    return Target(action, "*")


def _filled(arn_format: str, call: ApiCall) -> str | None:
    """Return the ARN; None where a part of it is in no parameter."""
    known = {key.lower(): value for key, value in call.parameters.items() if isinstance(value, str)}
    service = arn_format.split(":")[2]
    given = next((text for text in known.values() if text.startswith(f"arn:aws:{service}:")), None)
    if given:
        return given
    parts = {"partition": "aws", "region": call.region, "account": call.account}

    def part(found: re.Match[str]) -> str:
        name = found[1].lower()
        return parts.get(name) or known[_parameter_for(name, known)]

    try:
        return re.sub(r"\$\{(\w+)\}", part, arn_format)
    except KeyError:
        return None


def _parameter_for(part: str, parameters: Mapping[str, str]) -> str:
    """Return which parameter holds a part of an ARN: GroupId, or DBInstanceIdentifier for DbInstanceName."""
    fitting = [name for name in parameters if part.endswith(name)]
    return max(fitting, key=len, default=f"{part.removesuffix('name')}identifier")


def _names_something(call: ApiCall) -> bool:
    return any(re.search(r"(Id|Name|Arn|Identifier)$", key) for key in call.parameters)


def _action(call: ApiCall) -> str:
    """Return the action's name as AWS writes it; Unmapped for an operation that no action is named after."""
    name = f"{call.prefix}:{_RENAMED.get((call.service, call.operation), call.operation)}"
    known = actions.find(name)
    if known is None:
        raise Unmapped(f"the action behind the operation {call.operation} of {call.service}")
    return known.name


# Where an operation asks for an action of another name: the reference's "API operations" columns.
_RENAMED = {
    ("lambda", "Invoke"): "InvokeFunction",
    ("lambda", "InvokeAsync"): "InvokeFunction",
    ("sns", "PublishBatch"): "Publish",
    ("sqs", "ChangeMessageVisibilityBatch"): "ChangeMessageVisibility",
    ("sqs", "DeleteMessageBatch"): "DeleteMessage",
    ("sqs", "SendMessageBatch"): "SendMessage",
    ("lambda", "InvokeWithResponseStream"): "InvokeFunction",
}


def _given_policy(policy: Any) -> Policy | None:
    if not policy:
        return None
    return Policy.parse(policy if isinstance(policy, str) else json.dumps(policy))


def _tags(tags: list[dict[str, str]] | None, *prefixes: str) -> dict[str, str | list[str]]:
    return {prefix + tag["Key"]: tag["Value"] for tag in tags or [] for prefix in prefixes}
