"""docs/rights.md: who has which right, why, and what was seen to fail without it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.deploy.clients import ROOT
from tests.deploy.least_privilege.noticing import Notice
from tests.deploy.least_privilege.rights import STACKS, Right
from tests.deploy.least_privilege.running import Tried

PAGE = ROOT / "docs" / "rights.md"
INTRODUCTION = """# What each role may do, and what fails without it

Written by `.venv/bin/python -m tests.deploy.least_privilege --write`, from the templates of the deployment
`local` with a seed file. The other deployments have the same rights, on either engine but for the port;
without a seed file nobody has `s3:GetObject`. In production one more role makes recovery points: no backup
runs on the local cloud, so that its rights are looked at in tests/stacks only. Each right was taken out of
its template, the stacks were deployed without it, and the last column is what was seen: the reason of the
resource that failed, or what was missing afterwards.
`tests/deploy/test_least_privilege.py` does it again, and fails when nothing notices that a right is gone, or
when this page lacks one. How, and what it does not prove: [ADR 0054](adr/0054-every-right-is-tried.md).
"""
LONGEST_REASON = 330

WHY = {
    "ec2:CreateNetworkInterface": "Lambda makes the network interfaces with this role, before there is one"
    " to name: hence `*`",
    "ec2:RevokeSecurityGroupIngress": "closes the VPC's default group; opens it again before the VPC goes",
    "kms:*": "lets this account's IAM policies decide about the key: nobody else could",
    "kms:Decrypt": "the secret is encrypted with our key; through Secrets Manager only",
    "lambda:InvokeFunction": "calls this function, and waits for it while it is updated",
    "logs:PutLogEvents": "writes this log, which is there already: it cannot create one",
    "rds-db:connect": "logs in by token; these users have no password",
    "s3:GetObject": "reads the seed file, this object alone",
    "secretsmanager:GetRandomPassword": "a new password belongs to no secret yet: hence `*`",
    "secretsmanager:GetSecretValue": "logs in as the admin, who owns the schema",
    "secretsmanager:PutSecretValue": "takes the four steps of a rotation",
    "sns:Publish": "tells whoever subscribed to the topic of alarms",
    "xray:PutTraceSegments": "sends its traces, which belong to no resource: hence `*`",
}
"""What an action is for, and with it the others of its statement that are not here."""

WHY_OF_HOLDERS = {
    "Monitoring": "writes what the operating systems tell into RDS's own group, one for a whole account",
    "LogKey": "CloudWatch Logs encrypts with it the log groups of this deployment, and no other",
    "TopicKey": "what is published to the topic of alarms is encrypted with it",
}
"""What a statement is for whose actions serve another purpose elsewhere; not for a key's root."""

WHY_OTHER_KINDS = {
    "endpoint": "the subnets have no other way to this service",
    "permission": "starts the rotation, for this account only",
    "rule": "the only way there; both groups have to name it",
    "trust": "runs with this role",
}


def page(tried: Sequence[Tried]) -> str:
    """Return the page's text. KeyError: a right has no reason yet, so that nobody knows what it is for."""
    parts = [INTRODUCTION.rstrip()]
    for stack in STACKS:
        parts += [f"\n## {stack} stack\n", "| who | may | why | without it |", "| --- | --- | --- | --- |"]
        parts += [_row(one) for one in tried if one.right.stack == stack]
    return "\n".join(parts) + "\n"


def check(rights: Sequence[Right]) -> None:
    """Return when the page can say all of them; to be asked before minutes are spent on trying them."""
    for right in rights:
        described(right), why(right)


def without_reasons(text: str) -> list[str]:
    """Return a page's lines as far as every run writes the same: times and addresses may change a reason."""
    return [line.rpartition("| ")[0].rpartition("| ")[0] if line.startswith("|") else line
            for line in text.splitlines()]  # fmt: skip


def _row(one: Tried) -> str:
    cells = (_holder(one.right), described(one.right), why(one.right), _seen(one.notice))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def why(right: Right) -> str:
    """Return what a right is for; KeyError when nobody has said so yet."""
    if right.kind in WHY_OTHER_KINDS:
        return WHY_OTHER_KINDS[right.kind]
    if right.holder in WHY_OF_HOLDERS and right.content["Action"] != "kms:*":
        return WHY_OF_HOLDERS[right.holder]
    reasons = [WHY[action] for action in _as_list(right.content["Action"]) if action in WHY]
    if not reasons:
        raise KeyError(f"what is {right.name} for? Say it in WHY: {right.content}")
    return "; ".join(reasons)


def _holder(right: Right) -> str:
    name = _short(right.content["GroupId"]) if right.kind == "rule" else right.holder
    return re.sub(r"^Custom(.+)CustomResourceProvider$", r"\1", name)  # the CDK's own


def described(right: Right) -> str:
    """Return a right in as few words as tell it from all others of its holder."""
    content = right.content
    if right.kind == "trust":
        return f"assumed by {content['Principal']['Service']}"
    if right.kind == "rule":
        peer = _peer(content)
        return f"tcp {content['FromPort'] if isinstance(content['FromPort'], int) else 'database'} {peer}"
    if right.kind == "endpoint":
        return f"{content['VpcEndpointType']} endpoint of {_short(content['ServiceName']).rpartition('.')[2]}"
    actions = "<br>".join(_as_list(content["Action"]))
    if right.kind in ("key policy", "resource policy") and "Service" in content["Principal"]:
        services = _as_list(content["Principal"]["Service"])
        return f"{actions} by {', '.join(services)}"
    if right.kind == "permission":
        return f"{actions} by {content['Principal']}"
    return f"{actions}<br>on {', '.join(_short(one) for one in _as_list(content['Resource']))}"


def _peer(rule: Mapping[str, Any]) -> str:
    for word, names in (("to", ("DestinationSecurityGroupId", "DestinationPrefixListId")),
                        ("from", ("SourceSecurityGroupId",))):  # fmt: skip
        for name in names:
            if name in rule:
                return f"{word} {_short(rule[name])}"
    raise KeyError(f"a rule without a peer that is known here: {rule}")


def _short(value: Any) -> str:
    """Return a value of a template by the names in it, without the CDK's hashes."""
    if isinstance(value, str):
        return value
    if "Ref" in value:
        return _plain(value["Ref"])
    if "Fn::GetAtt" in value:
        return _plain(value["Fn::GetAtt"][0])
    if "Fn::ImportValue" in value:
        name = re.sub(r".*ExportsOutput(Ref|FnGetAtt)", "", value["Fn::ImportValue"])
        return _plain(re.sub(r"(?<=[0-9A-F]{8})[A-Za-z]*[0-9A-F]{8}$", "", name))
    if "Fn::Select" in value:
        return _short(value["Fn::Select"][1]["Fn::Split"][1])
    if "Fn::Sub" in value:
        return str(value["Fn::Sub"]).replace("${AWS::AccountId}", "ACCOUNT")
    parts = [_short(part) for part in value["Fn::Join"][1]]
    name = "".join(parts)
    for before in ("dbuser:", "security-group/", "log-group:", ":::"):
        name = name.rpartition(before)[2]
    return re.sub(r"[0-9a-f]{64}", "…", name)


def _plain(logical_id: str) -> str:
    return re.sub(r"[0-9A-F]{8}$", "", logical_id)


def _seen(notice: Notice | None) -> str:
    if notice is None:
        return "**nothing notices**"
    reason = " ".join(notice.reason.split())
    for pattern, plain in _NOT_FOR_READERS:
        reason = re.sub(pattern, plain, reason)
    shortened = reason if len(reason) <= LONGEST_REASON else reason[:LONGEST_REASON].rpartition(" ")[0] + " …"
    return f"{notice.by}: {shortened}"


_NOT_FOR_READERS = (
    (r"Received response status \[FAILED\] from custom resource\. Message returned: (Error: )?", ""),
    (r" Logs: /aws/lambda/.*", ""),
    (r"(Error: )?RequestId: [0-9a-f-]{36} ", ""),
    (r": Sandbox\.Timedout: .*(?=; refused)", ""),
    (r" \(RequestId: [^)]*\)", ""),
    (r"shop([-/])(w\d+|control)(?=[-/:])", r"shop\1local"),
    (r"\b(vpce|vpc|sg|rtb|subnet|pl)-[0-9a-f]{8,17}\b", r"\1-…"),
    (r"(?<=database/admin-)\w{6}", "…"),
    (r"arn:aws:[a-z0-9-]+:[a-z0-9-]*:\d*:", ""),
    (r"(?<=\w)-(?=\d*[A-Z])[A-Z0-9]{12,13}\b", ""),
    (r"\b(127|10)(\.\d+){3}\b(?!/)", "…"),
    (r"[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "…"),
    (r"(?<=Resource)[0-9a-f]{8}(?=:)", ""),
    (r"(?<=[A-Za-z])[0-9A-F]{8}(?=[: /-])", ""),
)
"""What differs from run to run, or says nothing."""


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
